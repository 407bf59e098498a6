// How far calls that take long are: what is told of it, and how it is called off. Used by exports, repairs and imports.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_PROGRESS_HPP
#define SSTORE_PROGRESS_HPP

#include <sstore/call.hpp>

namespace sstore {

/// Told how far an export or a repair is: bytes that are done, of so many in all; 0 of 0 as long as an export waits for its flush. On the
/// calling thread, at the beginning, at most ten times a second, and at the end; false calls it off: SSTORE_CANCELLED, and nothing is left
/// of it. What it throws ends it as well, and is thrown by it, also by its try_ form; at the end, when all is done, it is only thrown.
/// It must not close the database.
using Progress = std::function<bool(std::uint64_t bytes_done, std::uint64_t bytes_total)>;

namespace detail {

/// A function of the user that a call of C tells of its progress, with as many numbers as that has. What it throws ends the call.
template <class... Number> class Told {
public:
    using Function = std::function<bool(Number...)>;
    explicit Told(const Function &function) noexcept : function_(function) {}
    /// Calls a C function that takes a callback and its data. What the user's function threw is thrown when that has returned.
    template <class F> auto during(F &&call)
    {
        auto done = call(function_ ? &Told::run : nullptr, static_cast<void *>(this));
        if (thrown_) std::rethrow_exception(thrown_);
        return done;
    }

private:
    static int run(void *user_data, Number... numbers) noexcept
    {
        Told &told = *static_cast<Told *>(user_data);
        return guarded([&] { return told.function_(numbers...) ? 1 : 0; }, [&] { return told.thrown_ = std::current_exception(), 0; });
    }
    const Function &function_;
    std::exception_ptr thrown_;
};

} // namespace detail

} // namespace sstore

#endif
