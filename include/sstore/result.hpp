// What calls give in C++: sstore::Error, sstore::Result, and how a handle of the C interface is owned.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_RESULT_HPP
#define SSTORE_RESULT_HPP

#include <sstore.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace sstore {

/// The codes are those of C: SSTORE_NOT_FOUND and so on.
using Code = sstore_code;

/// Why a call failed. Thrown by every function but the `try_` ones, which return it in a Result. Copies share one description.
/// Thread safety: free.
class Error : public std::exception {
public:
    /// Takes over the error object of a call, which may be null.
    Error(Code code, sstore_error *taken) : about_(std::make_shared<About>())
    {
        const std::unique_ptr<sstore_error, void (*)(sstore_error *)> freed(taken, sstore_error_free);
        const char *const path = sstore_error_path(taken);
        about_->code = code;
        about_->message = taken == nullptr ? sstore_code_name(code) : sstore_error_message(taken);
        about_->path = path == nullptr ? "" : path;
        about_->offset = sstore_error_offset(taken);
        about_->os_errno = sstore_error_errno(taken);
    }

    /// What happened, for people; never parse it. Lives as long as a copy of this error.
    const char *what() const noexcept override { return about_->message.c_str(); }
    /// Which failure it is.
    Code code() const noexcept { return about_->code; }
    /// The file or directory that it concerns; empty if none. Lives as long as a copy of this error.
    std::string_view path() const noexcept { return about_->path; }
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
    struct About {
        Code code = SSTORE_OK;
        std::string message;
        std::string path;
        std::uint64_t offset = UINT64_MAX;
        int os_errno = 0;
    };
    std::shared_ptr<About> about_;
};

/// What a `try_` function gives: a value, or the Error that the other form would have thrown.
template <class T> class [[nodiscard]] Result {
    using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

public:
    /// Success. Of a Result<void> there is nothing in it.
    Result(Stored value = Stored()) : stored_(std::in_place_index<0>, std::move(value)) {}
    /// Failure.
    Result(Error error) : stored_(std::in_place_index<1>, std::move(error)) {}

    /// Whether there is a value.
    explicit operator bool() const noexcept { return stored_.index() == 0; }
    /// Whether there is a value.
    bool ok() const noexcept { return stored_.index() == 0; }
    /// The error. Precondition: there is no value.
    const Error &error() const { return std::get<1>(stored_); }
    /// SSTORE_OK, or the error's code.
    Code code() const noexcept { return ok() ? SSTORE_OK : std::get_if<1>(&stored_)->code(); }
    /// The value, moved out; throws the error if there is none.
    T value() &&
    {
        if (!ok()) throw error();
        if constexpr (!std::is_void_v<T>) return std::get<0>(std::move(stored_));
    }
    /// The value where it is; throws the error if there is none.
    template <class S = T> std::enable_if_t<!std::is_void_v<S>, S> &value() &
    {
        if (!ok()) throw error();
        return std::get<0>(stored_);
    }
    template <class S = T> const std::enable_if_t<!std::is_void_v<S>, S> &value() const &
    {
        if (!ok()) throw error();
        return std::get<0>(stored_);
    }
    /// The same as value().
    T operator*() && { return std::move(*this).value(); }
    template <class S = T> std::enable_if_t<!std::is_void_v<S>, S> &operator*() & { return value(); }
    /// A member of the value; throws the error if there is none.
    template <class S = T> std::enable_if_t<!std::is_void_v<S>, S> *operator->() { return &value(); }

private:
    std::variant<Stored, Error> stored_;
};

/// What the other headers share; not for users.
namespace detail {

/// Calls a C function with a place for its error.
template <class F> Result<void> call(F &&function)
{
    sstore_error *error = nullptr;
    const Code code = function(&error);
    if (code != SSTORE_OK) return Error(code, error);
    return Result<void>();
}

/// The same, where SSTORE_NOT_FOUND without an error object is an answer: false.
template <class F> Result<bool> found(F &&function)
{
    sstore_error *error = nullptr;
    const Code code = function(&error);
    if (code == SSTORE_NOT_FOUND && error == nullptr) return false;
    if (code != SSTORE_OK) return Error(code, error);
    return true;
}

/// Owns a handle. Frees it whenever it goes: any order of destruction is safe.
template <class T, void (*Free)(T *)> class Handle {
public:
    Handle() noexcept = default;
    explicit Handle(T *taken) noexcept : handle_(taken) {}
    Handle(Handle &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Handle &operator=(Handle &&other) noexcept
    {
        if (this != &other) reset(std::exchange(other.handle_, nullptr));
        return *this;
    }
    Handle(const Handle &) = delete;
    Handle &operator=(const Handle &) = delete;
    ~Handle() { Free(handle_); }

    T *get() const noexcept { return handle_; }
    T *release() noexcept { return std::exchange(handle_, nullptr); }
    void reset(T *taken = nullptr) noexcept { Free(std::exchange(handle_, taken)); }
    /// Where a C function puts a new handle.
    T **out() noexcept
    {
        reset();
        return &handle_;
    }

private:
    T *handle_ = nullptr;
};

/// Memory that sstore_free frees.
struct Freed {
    void operator()(void *memory) const noexcept { sstore_free(memory); }
};
using Text = std::unique_ptr<char, Freed>;

inline sstore_slice slice(std::string_view bytes) noexcept
{
    // No bytes are not the absence of bytes.
    return sstore_slice{bytes.data() == nullptr ? "" : bytes.data(), bytes.size()};
}

inline std::string_view view(sstore_slice bytes) noexcept
{
    return std::string_view(static_cast<const char *>(bytes.data), bytes.len);
}

/// A struct of the C interface at its defaults.
template <class T> T sized() noexcept
{
    T value{};
    value.struct_size = static_cast<std::uint32_t>(sizeof(T));
    return value;
}

/// Moves a value into a Result of it if the call went well.
template <class T> Result<T> with(const Result<void> &called, T &&value)
{
    if (!called) return called.error();
    return std::forward<T>(value);
}

} // namespace detail

/// The version of the library that is loaded.
inline std::string_view version() noexcept { return sstore_version(); }
/// The same as a number, made like SSTORE_VERSION_NUMBER, which is the header's.
inline std::uint32_t version_number() noexcept { return sstore_version_number(); }
/// The name of a code without its prefix. Lives for ever.
inline std::string_view code_name(Code code) noexcept { return sstore_code_name(static_cast<std::int32_t>(code)); }

} // namespace sstore

#endif
