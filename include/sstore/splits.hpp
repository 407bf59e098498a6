// Scans in pieces, for other threads and processes.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_SPLITS_HPP
#define SSTORE_SPLITS_HPP

#include <sstore/arrow.hpp>

namespace sstore {

/// Executes a split, which may come from another process, without a database handle; see Scan::splits. Somebody must keep its files until
/// then: the Splits, an export, a copy. `database`: where they lie now; empty: where they lay. SSTORE_CORRUPTION if these bytes are no
/// split, or a file of it is not the one it was. May block: reads files. Any thread.
inline Result<RowStream> try_execute_split(std::string_view split, const std::filesystem::path &database = {})
{
    return detail::streamed([&](ArrowArrayStream *out, sstore_error **error) {
        return sstore_split_execute(split.data(), split.size(), database.empty() ? nullptr : database.c_str(), out, error);
    }, database);
}
inline RowStream execute_split(std::string_view split, const std::filesystem::path &database = {})
{
    return try_execute_split(split, database).value();
}

/// A scan in pieces. No file that they read is deleted as long as it is there. It does not keep its database open.
/// Thread safety: free. Move-only.
class Splits {
public:
    /// The type of c_handle().
    using c_type = sstore_splits;

    /// Takes over a handle of the C interface.
    explicit Splits(sstore_splits *taken) noexcept : handle_(taken) {}
    /// How many; 0 if it was moved from.
    std::size_t size() const noexcept { return sstore_splits_count(c_handle()); }
    /// The last write that they show.
    std::uint64_t sequence() const noexcept { return sstore_splits_sequence(c_handle()); }
    /// The split at `index`; SSTORE_NOT_FOUND from size() on. Its bytes live as long as this object, and the one that it is moved to.
    sstore_split operator[](std::size_t index) const { return try_at(index).value(); }
    Result<sstore_split> try_at(std::size_t index) const
    {
        return detail::filled<sstore_split>([&](sstore_split *out, sstore_error **error) {
            return sstore_splits_get(c_handle(), index, out, error);
        });
    }
    /// Executes the split at `index` here, as execute_split() does.
    RowStream execute(std::size_t index) const { return try_execute(index).value(); }
    Result<RowStream> try_execute(std::size_t index) const
    {
        const auto split = try_at(index);
        if (!split) return split.error();
        return try_execute_split(detail::view(split->bytes));
    }
    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_splits *c_handle() const noexcept { return handle_.get(); }

private:
    detail::Handle<sstore_splits, sstore_splits_free> handle_;
};

} // namespace sstore

#endif
