// Flushes that are under way, and what they did.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_FLUSH_HPP
#define SSTORE_FLUSH_HPP

#include <sstore/call.hpp>

namespace sstore {

/// What a flush did.
struct FlushResult {
    /// Such as "manual". Lives for ever.
    std::string_view reason;
    /// The numbers of the files written.
    std::vector<std::uint64_t> files;
    std::uint64_t entries;
    std::uint64_t bytes;
    /// Every write up to this sequence is durable.
    std::uint64_t durable_sequence;
};

/// A flush that is under way or done; it goes on without this object. Thread safety: free. Move-only.
class FlushToken {
public:
    /// The type of c_handle().
    using c_type = sstore_flush_token;

    /// Takes over a handle of the C interface.
    explicit FlushToken(sstore_flush_token *taken) noexcept : handle_(taken) {}
    /// Whether it has ended. Gives its error if it failed. Does not block.
    bool done() const { return try_done().value(); }
    Result<bool> try_done() const
    {
        const auto done = detail::filled<std::int32_t>([&](std::int32_t *out, sstore_error **error) {
            return sstore_flush_token_poll(c_handle(), out, error);
        });
        if (!done) return done.error();
        return *done != 0;
    }
    /// Blocks until it has ended: at most `timeout_millis`; 0: as long as it takes. SSTORE_TIMED_OUT: it goes on. Gives its error if it
    /// failed. Not in a listener.
    void wait(std::uint64_t timeout_millis = 0) const { try_wait(timeout_millis).value(); }
    Result<void> try_wait(std::uint64_t timeout_millis = 0) const
    {
        return detail::call([&](sstore_error **error) { return sstore_flush_token_wait(c_handle(), timeout_millis, error); });
    }
    /// What it did. SSTORE_BUSY if it has not ended. Does not block.
    FlushResult result() const { return try_result().value(); }
    Result<FlushResult> try_result() const
    {
        const auto given = detail::filled<sstore_flush_result>([&](sstore_flush_result *out, sstore_error **error) {
            return sstore_flush_token_result(c_handle(), out, error);
        });
        if (!given) return given.error();
        FlushResult result{sstore_flush_reason_name(given->reason), {}, given->entries, given->bytes, given->durable_sequence};
        if (given->file_count > 0) result.files.assign(given->files, given->files + given->file_count);
        return Result<FlushResult>(std::move(result));
    }
    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_flush_token *c_handle() const noexcept { return handle_.get(); }

private:
    detail::Handle<sstore_flush_token, sstore_flush_token_free> handle_;
};

} // namespace sstore

#endif
