// What calls give in C++: sstore::Error and sstore::Result, which every other header uses.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_RESULT_HPP
#define SSTORE_RESULT_HPP

#include <sstore.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

// What a function gives points into the object that it is called on: clang warns where a temporary would be outlived.
#if defined(__clang__)
#define SSTORE_LENT [[clang::lifetimebound]]
#else
#define SSTORE_LENT
#endif

namespace sstore {

/// The codes are those of C: SSTORE_NOT_FOUND and so on.
using Code = sstore_code;

/// Why a call failed. Thrown by every function but the `try_` ones, which return it in a Result. Copies share one description, and to move
/// it is to copy it. Thread safety: free.
class Error : public std::exception {
public:
    /// Takes over the error object of a call, which may be null.
    Error(Code code, sstore_error *taken) : Error(code, Taken(taken, sstore_error_free)) {}
    /// What these headers refuse themselves, and what a stream says.
    Error(Code code, std::string message, int os_errno = 0) : about_(std::make_shared<About>())
    {
        about_->code = code;
        about_->message = std::move(message);
        about_->os_errno = os_errno;
    }
    // Declared, so that nothing is moved out of one.
    Error(const Error &other) noexcept = default;
    Error &operator=(const Error &other) noexcept = default;
    ~Error() override = default;

    /// What happened, for people; never parse it. Lives as long as a copy of this error.
    const char *what() const noexcept override { return about_->message.c_str(); }
    /// Which failure it is.
    Code code() const noexcept { return about_->code; }
    /// The file or directory that it concerns; empty if none. Lives as long as a copy of this error.
    std::string_view path() const noexcept SSTORE_LENT { return about_->path; }
    /// The offset in that file, if it concerns one.
    std::optional<std::uint64_t> offset() const noexcept
    {
        return about_->offset == UINT64_MAX ? std::nullopt : std::optional<std::uint64_t>(about_->offset);
    }
    /// The error number of the operating system; 0 if it had no part in it.
    int os_errno() const noexcept { return about_->os_errno; }
    /// Whether the same call may succeed later without any change in the program.
    bool retryable() const noexcept
    {
        switch (about_->code) {
        case SSTORE_BUSY:
        case SSTORE_LOCKED:
        case SSTORE_TIMED_OUT:
        case SSTORE_STALLED:
        case SSTORE_NO_SPACE:
        case SSTORE_CANCELLED:
        case SSTORE_CONFLICT: return true;
        default: return false;
        }
    }

private:
    using Taken = std::unique_ptr<sstore_error, void (*)(sstore_error *)>;
    // Freed also if there is no memory for the description.
    Error(Code code, const Taken &taken) : about_(std::make_shared<About>())
    {
        const char *const path = sstore_error_path(taken.get());
        about_->code = code;
        about_->message = taken ? sstore_error_message(taken.get()) : sstore_code_name(code);
        about_->path = path == nullptr ? "" : path;
        about_->offset = sstore_error_offset(taken.get());
        about_->os_errno = sstore_error_errno(taken.get());
    }
    struct About {
        Code code = SSTORE_OK;
        std::string message;
        std::string path;
        std::uint64_t offset = UINT64_MAX;
        int os_errno = 0;
    };
    std::shared_ptr<About> about_;
};

namespace detail {

/// Throws it; compiled without exceptions, says it and ends the program.
[[noreturn]] inline void raise(const Error &error)
{
#if defined(__cpp_exceptions)
    throw error;
#else
    std::fprintf(stderr, "sstore: %s\n", error.what());
    std::abort();
#endif
}

} // namespace detail

/// What a `try_` function gives: a value, or the Error that the other form would have thrown.
template <class T> class [[nodiscard]] Result {
    struct Nothing {};
    using Stored = std::conditional_t<std::is_void_v<T>, Nothing, T>;

public:
    /// Success. Of a Result<void> there is nothing in it.
    Result(Stored value = Stored()) : value_(std::move(value)) {}
    /// Failure.
    Result(Error error) : error_(std::move(error)) {}

    /// Whether there is a value.
    bool ok() const noexcept { return !error_.has_value(); }
    /// The same as ok(). A Result<bool> does not have it: which of the two it asks for would be easily mistaken.
    template <class S = T, class = std::enable_if_t<!std::is_same_v<S, bool>>> explicit operator bool() const noexcept { return ok(); }
    /// The error. Precondition: there is no value.
    const Error &error() const SSTORE_LENT { return error_.value(); }
    /// SSTORE_OK, or the error's code.
    Code code() const noexcept { return ok() ? SSTORE_OK : error_->code(); }
    /// The value, moved out; throws the error if there is none.
    T value() &&
    {
        if (!ok()) detail::raise(error());
        if constexpr (!std::is_void_v<T>) return *std::move(value_);
    }
    /// The value where it is; throws the error if there is none.
    template <class S = T> std::enable_if_t<!std::is_void_v<S>, S> &value() & SSTORE_LENT
    {
        if (!ok()) detail::raise(error());
        return *value_;
    }
    template <class S = T> const std::enable_if_t<!std::is_void_v<S>, S> &value() const & SSTORE_LENT
    {
        if (!ok()) detail::raise(error());
        return *value_;
    }
    /// The same as value().
    T operator*() && { return std::move(*this).value(); }
    template <class S = T> std::enable_if_t<!std::is_void_v<S>, S> &operator*() & SSTORE_LENT { return value(); }
    template <class S = T> const std::enable_if_t<!std::is_void_v<S>, S> &operator*() const & SSTORE_LENT { return value(); }
    /// A member of the value; throws the error if there is none.
    template <class S = T> std::enable_if_t<!std::is_void_v<S>, S> *operator->() SSTORE_LENT { return &value(); }
    template <class S = T> const std::enable_if_t<!std::is_void_v<S>, S> *operator->() const SSTORE_LENT { return &value(); }

private:
    // One of the two. With a std::variant of them, whoever includes these headers waits a quarter longer for the compiler.
    std::optional<Stored> value_;
    std::optional<Error> error_;
};

/// The version of the library that is loaded. Lives for ever.
inline std::string_view version() noexcept { return sstore_version(); }
/// The same as a number, made like SSTORE_VERSION_NUMBER, which is the header's.
inline std::uint32_t version_number() noexcept { return sstore_version_number(); }
/// The name of a code without its prefix. Lives for ever.
inline std::string_view code_name(Code code) noexcept { return sstore_code_name(static_cast<std::int32_t>(code)); }

} // namespace sstore

#endif
