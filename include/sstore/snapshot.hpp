// Snapshots, and where reads look.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_SNAPSHOT_HPP
#define SSTORE_SNAPSHOT_HPP

#include <sstore/call.hpp>

namespace sstore {

/// A moment of a database that reads can go back to. An old one keeps old versions on disk, and Db::close() from closing.
/// Thread safety: free. Move-only.
class Snapshot {
public:
    /// The type of c_handle().
    using c_type = sstore_snapshot;

    /// Takes over a handle of the C interface.
    explicit Snapshot(sstore_snapshot *taken) noexcept : handle_(taken) {}
    /// The sequence of the last write that it sees; 0 if it was moved from.
    std::uint64_t sequence() const noexcept { return sstore_snapshot_sequence(c_handle()); }
    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_snapshot *c_handle() const noexcept { return handle_.get(); }

private:
    detail::Handle<sstore_snapshot, sstore_snapshot_free> handle_;
};

/// How one read is done.
struct ReadOptions {
    /// Where to read: null is now. It must live until the call returns.
    const Snapshot *snapshot = nullptr;
};

namespace detail {

inline sstore_snapshot *c(const Snapshot *snapshot) noexcept { return snapshot == nullptr ? nullptr : snapshot->c_handle(); }

inline sstore_read_options c(const ReadOptions &options) noexcept
{
    auto given = sized<sstore_read_options>();
    given.snapshot = c(options.snapshot);
    return given;
}

} // namespace detail

} // namespace sstore

#endif
