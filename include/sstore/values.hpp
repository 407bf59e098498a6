// What was read: values where they lie, and many with one owner.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_VALUES_HPP
#define SSTORE_VALUES_HPP

#include <sstore/call.hpp>

namespace sstore {

/// A value where it lies, in a memtable or a cached block, without a copy. It keeps that memory. Thread safety: free. Move-only.
class Pinned {
public:
    Pinned(sstore_pinned *taken, std::string_view value, std::uint64_t sequence) noexcept
        : handle_(taken), value_(value), sequence_(sequence)
    {
    }
    Pinned(Pinned &&other) noexcept
        : handle_(std::move(other.handle_)), value_(std::exchange(other.value_, {})), sequence_(std::exchange(other.sequence_, 0))
    {
    }
    Pinned &operator=(Pinned &&other) noexcept
    {
        if (this == &other) return *this;
        handle_ = std::move(other.handle_);
        value_ = std::exchange(other.value_, {});
        sequence_ = std::exchange(other.sequence_, 0);
        return *this;
    }
    ~Pinned() = default;

    /// The bytes. They live as long as this object, and the one that it is moved to; also after the database was closed. Empty if it
    /// was moved from.
    std::string_view value() const noexcept SSTORE_LENT { return value_; }
    /// The same as value().
    std::string_view operator*() const noexcept SSTORE_LENT { return value_; }
    /// The place of the write that set it; 0 if it came from an iterator.
    std::uint64_t sequence() const noexcept { return sequence_; }

private:
    detail::Handle<sstore_pinned, sstore_pinned_free> handle_;
    std::string_view value_;
    std::uint64_t sequence_;
};

/// Many values with one owner. Thread safety: free. Move-only.
class Values {
public:
    /// Takes over a handle of the C interface.
    explicit Values(sstore_values *taken) noexcept : handle_(taken), slices_(sstore_values_slices(handle_.get(), &size_)) {}
    Values(Values &&other) noexcept
        : handle_(std::move(other.handle_)), size_(std::exchange(other.size_, 0)), slices_(std::exchange(other.slices_, nullptr))
    {
    }
    Values &operator=(Values &&other) noexcept
    {
        if (this == &other) return *this;
        handle_ = std::move(other.handle_);
        size_ = std::exchange(other.size_, 0);
        slices_ = std::exchange(other.slices_, nullptr);
        return *this;
    }
    ~Values() = default;
    /// The type that is taken over.
    using c_type = sstore_values;

    /// As many as there were keys; 0 if it was moved from.
    std::size_t size() const noexcept { return size_; }
    /// The value of the key at `index`, which must be below size(); nothing if it has none. The bytes live as long as this object, and
    /// the one that it is moved to: in `db.multi_get(keys)[0]` until the end of that expression.
    std::optional<std::string_view> operator[](std::size_t index) const noexcept SSTORE_LENT
    {
        if (slices_[index].data == nullptr) return std::nullopt;
        return detail::view(slices_[index]);
    }

private:
    detail::Handle<sstore_values, sstore_values_free> handle_;
    std::size_t size_ = 0;
    const sstore_slice *slices_;
};

namespace detail {

/// Whether a view of what a walk over keys gives lives on when the walk does: not that of a string which is made on the way.
template <class Key>
inline constexpr bool is_lent = std::is_reference_v<Key> || std::is_same_v<Key, std::string_view> || std::is_pointer_v<Key>;

} // namespace detail

} // namespace sstore

#endif
