// How the functions of sstore.h are called, and how what they give is owned. Not for users: the other headers are made of it.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
//
// A function of these headers that can fail stands there twice. The `try_` form calls C by one of the functions below, which turn code
// and error object into a Result; the other form is `return try_..(..).value();`.
#ifndef SSTORE_CALL_HPP
#define SSTORE_CALL_HPP

#include <sstore/result.hpp>

#include <filesystem>
#include <functional>
#include <vector>

namespace sstore::detail {

// --- handles ---------------------------------------------------------------------------------------------------------------------

/// No handle, and not null either, which stands for a default in many places: the library checks handles and follows none, so this one
/// is SSTORE_INVALID_ARGUMENT wherever it is given.
template <class T> T *gone() noexcept { return reinterpret_cast<T *>(std::uintptr_t{1}); }

/// Owns a handle. Frees it whenever it goes: any order of destruction is safe. What was moved from has none.
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

    T *get() const noexcept { return handle_ == nullptr ? gone<T>() : handle_; }
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

// --- what is given to C ----------------------------------------------------------------------------------------------------------

inline sstore_slice slice(std::string_view bytes) noexcept
{
    // No bytes are not the absence of bytes.
    return sstore_slice{bytes.data() == nullptr ? "" : bytes.data(), bytes.size()};
}

inline std::string_view view(sstore_slice bytes) noexcept
{
    return std::string_view(static_cast<const char *>(bytes.data), bytes.len);
}

inline std::vector<const char *> texts(const std::vector<std::string> &strings)
{
    std::vector<const char *> all;
    for (const std::string &string : strings) all.push_back(string.c_str());
    return all;
}

/// Whether C would take a part of it for the whole: its texts end with the first NUL.
inline bool is_cut(const std::string &text) noexcept { return text.find('\0') != std::string::npos; }
inline bool is_cut(const std::filesystem::path &path) noexcept { return is_cut(path.native()); }
inline bool is_cut(const std::vector<std::string> &texts) noexcept
{
    for (const std::string &text : texts)
        if (is_cut(text)) return true;
    return false;
}

template <class T, class = void> inline constexpr bool is_sized = false;
template <class T> inline constexpr bool is_sized<T, std::void_t<decltype(T::struct_size)>> = true;

/// A value of the C interface at its defaults.
template <class T> T sized() noexcept
{
    T value{};
    if constexpr (is_sized<T>) value.struct_size = static_cast<std::uint32_t>(sizeof(T));
    return value;
}

// --- calls -----------------------------------------------------------------------------------------------------------------------

/// Calls a C function with a place for its error; or not at all if one of `texts`, which it is given, would be cut.
template <class F, class... Text> Result<void> call(F &&function, const Text &...texts)
{
    if ((is_cut(texts) || ...)) return Error(SSTORE_INVALID_ARGUMENT, "a name, path or text has a NUL in it");
    sstore_error *error = nullptr;
    const Code code = function(&error);
    if (code != SSTORE_OK) return Error(code, error);
    return Result<void>();
}

/// The same, where SSTORE_NOT_FOUND without an error object is an answer: false.
template <class F, class... Text> Result<bool> found(F &&function, const Text &...texts)
{
    bool there = true;
    const auto called = call(
        [&](sstore_error **error) {
            const Code code = function(error);
            there = code != SSTORE_NOT_FOUND || *error != nullptr;
            return there ? code : SSTORE_OK;
        },
        texts...);
    if (!called) return called.error();
    return there;
}

/// The same of a function that fills a T in.
template <class T, class F, class... Text> Result<T> filled(F &&function, const Text &...texts)
{
    T value = sized<T>();
    const auto called = call([&](sstore_error **error) { return function(&value, error); }, texts...);
    if (!called) return called.error();
    return value;
}

/// What `function` makes of a success.
template <class T, class F> auto then(Result<T> &&given, F &&function) -> Result<decltype(function(given.value()))>
{
    if (!given.ok()) return given.error();
    return function(given.value());
}

/// The same of a function that gives a handle, which a T takes over.
template <class T, class F, class... Text> Result<T> made(F &&function, const Text &...texts)
{
    return then(filled<typename T::c_type *>(function, texts...), [](typename T::c_type *taken) { return T(taken); });
}

/// The same of a function that gives a text.
template <class F, class... Text> Result<std::string> text(F &&function, const Text &...texts)
{
    return then(filled<char *>(function, texts...), [](char *given) {
        const std::unique_ptr<char, Freed> freed(given);
        return std::string(given);
    });
}

/// The same of a function that gives a list.
template <class F, class... Text> Result<std::vector<std::string>> strings(F &&function, const Text &...texts)
{
    Handle<sstore_list, sstore_list_free> list;
    const auto called = call([&](sstore_error **error) { return function(list.out(), error); }, texts...);
    if (!called) return called.error();
    std::vector<std::string> all;
    for (std::size_t index = 0, count = sstore_list_count(list.get()); index < count; index++) {
        const auto item = filled<sstore_slice>([&](sstore_slice *out, sstore_error **error) {
            return sstore_list_get(list.get(), index, out, error);
        });
        if (!item) return item.error();
        all.emplace_back(view(*item));
    }
    return Result<std::vector<std::string>>(std::move(all));
}

// --- calls back ------------------------------------------------------------------------------------------------------------------

/// Calls what belongs to the user: exceptions must not unwind into C. What is thrown becomes what `thrown` gives.
template <class F, class G> auto guarded(F &&function, G &&thrown) noexcept -> decltype(thrown())
{
#if defined(__cpp_exceptions)
    try {
        return function();
    } catch (...) {
        return thrown();
    }
#else
    static_cast<void>(thrown);
    return function();
#endif
}

} // namespace sstore::detail

#endif
