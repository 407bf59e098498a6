// Iterators: entries in order of keys, one at a time or many in one call.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_ITERATOR_HPP
#define SSTORE_ITERATOR_HPP

#include <sstore/snapshot.hpp>
#include <sstore/values.hpp>

#include <iterator>

namespace sstore {

/// What an iterator walks over. Bounds and prefix are borrowed until it is made, which copies them.
struct IteratorOptions {
    const Snapshot *snapshot = nullptr;
    /// The least key that belongs to the range.
    std::optional<std::string_view> lower = std::nullopt;
    /// The least key beyond the range.
    std::optional<std::string_view> upper = std::nullopt;
    /// Only keys that start with this.
    std::optional<std::string_view> prefix = std::nullopt;
    /// A long scan: reads ahead and leaves the cache to others.
    bool scan = false;
};

/// A key and its value. The bytes belong to what gave the entry, which says how long they live.
struct Entry {
    std::string_view key;
    std::string_view value;
};

/// Entries that an iterator gave in one call, in its order. It is a view: the bytes live until the iterator gives the next ones or goes,
/// or the one that it is moved to does. Thread safety: free. Copies are as good.
class Entries {
public:
    /// A place in it. It lives as long as the bytes do, not as long as the Entries.
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Entry;
        using difference_type = std::ptrdiff_t;
        using pointer = const Entry *;
        using reference = Entry;

        Iterator(const sstore_slice *key, const sstore_slice *value) noexcept : key_(key), value_(value) {}
        Entry operator*() const noexcept { return Entry{detail::view(*key_), detail::view(*value_)}; }
        Iterator &operator++() noexcept { return key_++, value_++, *this; }
        Iterator operator++(int) noexcept { return Iterator(key_++, value_++); }
        bool operator==(const Iterator &other) const noexcept { return key_ == other.key_; }
        bool operator!=(const Iterator &other) const noexcept { return key_ != other.key_; }

    private:
        const sstore_slice *key_;
        const sstore_slice *value_;
    };

    Entries(const sstore_slice *keys, const sstore_slice *values, std::size_t size) noexcept
        : keys_(keys), values_(values), size_(size)
    {
    }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    /// The entry at `index`, which must be below size().
    Entry operator[](std::size_t index) const noexcept { return *Iterator(keys_ + index, values_ + index); }
    Iterator begin() const noexcept { return Iterator(keys_, values_); }
    Iterator end() const noexcept { return Iterator(keys_ + size_, values_ + size_); }

private:
    const sstore_slice *keys_;
    const sstore_slice *values_;
    std::size_t size_;
};

/// A position in the entries of a family, as they were when it was made; at first it stands nowhere.
/// `for (auto [key, value] : db.iterate())` walks forward from where it stands, a batch of entries for each call of the library. Such a
/// loop throws; without exceptions, ask try_next_batch() until it gives none.
/// What moves it may block, to read files. Once its database was closed by force it gives SSTORE_CLOSED.
/// Thread safety: one thread at a time; another one at once gets SSTORE_BUSY. Move-only; not to be moved while a loop goes over it.
class Iterator {
public:
    /// The type of c_handle().
    using c_type = sstore_iterator;

    /// Takes over a handle of the C interface.
    explicit Iterator(sstore_iterator *taken) noexcept : handle_(taken) {}

    /// Moves; whether it stands on an entry then.
    bool seek_to_first() { return try_seek_to_first().value(); }
    bool seek_to_last() { return try_seek_to_last().value(); }
    /// To the first entry at or after `key`.
    bool seek(std::string_view key) { return try_seek(key).value(); }
    /// To the last entry at or before `key`.
    bool seek_for_prev(std::string_view key) { return try_seek_for_prev(key).value(); }
    /// To the next one, or the one before. Precondition of both: it stands on an entry.
    bool next() { return try_next().value(); }
    bool prev() { return try_prev().value(); }
    Result<bool> try_seek_to_first() { return moved(sstore_iterator_seek_to_first); }
    Result<bool> try_seek_to_last() { return moved(sstore_iterator_seek_to_last); }
    Result<bool> try_seek(std::string_view key) { return moved(sstore_iterator_seek, key.data(), key.size()); }
    Result<bool> try_seek_for_prev(std::string_view key) { return moved(sstore_iterator_seek_for_prev, key.data(), key.size()); }
    Result<bool> try_next() { return moved(sstore_iterator_next); }
    Result<bool> try_prev() { return moved(sstore_iterator_prev); }

    /// Whether it stands on an entry.
    bool valid() const noexcept { return sstore_iterator_is_valid(c_handle()) != 0; }
    /// The entry that it stands on; empty bytes if it stands on none. They live until it moves to another one
    /// or goes; std::move of it ends nothing.
    Entry entry() const { return try_entry().value(); }
    std::string_view key() const SSTORE_LENT { return entry().key; }
    std::string_view value() const SSTORE_LENT { return entry().value; }
    Result<Entry> try_entry() const
    {
        sstore_slice key{}, value{};
        const auto stands = detail::found([&](sstore_error **error) {
            return sstore_iterator_entry(c_handle(), &key, &value, nullptr, error);
        });
        if (!stands.ok()) return stands.error();
        return Entry{detail::view(key), detail::view(value)};
    }
    /// The place of the write that set the entry; 0 if it stands on none.
    std::uint64_t sequence() const { return try_sequence().value(); }
    Result<std::uint64_t> try_sequence() const
    {
        std::uint64_t sequence = 0;
        const auto stands = detail::found([&](sstore_error **error) {
            return sstore_iterator_entry(c_handle(), nullptr, nullptr, &sequence, error);
        });
        if (!stands.ok()) return stands.error();
        return sequence;
    }
    /// The value that it stands on, to be kept however far it moves; nothing if it stands on none.
    std::optional<Pinned> pin_value() const { return try_pin_value().value(); }
    Result<std::optional<Pinned>> try_pin_value() const
    {
        sstore_pinned *pinned = nullptr;
        sstore_slice value{};
        const auto stands = detail::found([&](sstore_error **error) {
            return sstore_iterator_pin_value(c_handle(), &pinned, &value, error);
        });
        if (!stands.ok()) return stands.error();
        return *stands ? std::optional<Pinned>(Pinned(pinned, detail::view(value), 0)) : std::optional<Pinned>();
    }
    /// Lets it see the present; it stands nowhere then.
    void refresh() { try_refresh().value(); }
    Result<void> try_refresh()
    {
        return detail::call([&](sstore_error **error) { return sstore_iterator_refresh(c_handle(), error); });
    }

    /// Up to `capacity` entries in one call, fewer when they are `max_bytes` together (0: no limit); none at the end. One that stands
    /// nowhere begins at the first entry. Room for `capacity` entries is kept; SSTORE_INVALID_ARGUMENT from 2^32 on. The entries live until the next call of next_batch() or prev_batch(), or until it goes.
    Entries next_batch(std::size_t capacity = 256, std::size_t max_bytes = 1 << 20)
    {
        return try_next_batch(capacity, max_bytes).value();
    }
    Result<Entries> try_next_batch(std::size_t capacity = 256, std::size_t max_bytes = 1 << 20)
    {
        return batch(sstore_iterator_next_batch, capacity, max_bytes);
    }
    /// The same backward, from the last entry.
    Entries prev_batch(std::size_t capacity = 256, std::size_t max_bytes = 1 << 20)
    {
        return try_prev_batch(capacity, max_bytes).value();
    }
    Result<Entries> try_prev_batch(std::size_t capacity = 256, std::size_t max_bytes = 1 << 20)
    {
        return batch(sstore_iterator_prev_batch, capacity, max_bytes);
    }

    /// The end of every loop.
    struct End {};

    /// A loop over batches: each turn gives Entries, which live until the next turn.
    class Batches {
    public:
        class Iterator {
        public:
            Iterator(sstore::Iterator *over, std::size_t capacity, bool backward)
                : over_(over), capacity_(capacity), backward_(backward), entries_(fetch())
            {
            }
            Entries operator*() const noexcept { return entries_; }
            Iterator &operator++() { return entries_ = fetch(), *this; }
            bool operator!=(End) const noexcept { return !entries_.empty(); }

        private:
            Entries fetch() { return backward_ ? over_->prev_batch(capacity_) : over_->next_batch(capacity_); }
            sstore::Iterator *over_;
            std::size_t capacity_;
            bool backward_;
            Entries entries_;
        };
        Batches(sstore::Iterator *over, std::size_t capacity, bool backward) noexcept
            : over_(over), capacity_(capacity), backward_(backward)
        {
        }
        Iterator begin() const { return Iterator(over_, capacity_, backward_); }
        End end() const noexcept { return End(); }

    private:
        sstore::Iterator *over_;
        std::size_t capacity_;
        bool backward_;
    };

    /// A loop over single entries, which are fetched in batches; the bytes of each live until the next turn.
    class Singly {
    public:
        class Iterator {
        public:
            explicit Iterator(Batches::Iterator batches) : batches_(batches) {}
            Entry operator*() const noexcept { return (*batches_)[at_]; }
            Iterator &operator++()
            {
                if (++at_ == (*batches_).size()) ++batches_, at_ = 0;
                return *this;
            }
            bool operator!=(End end) const noexcept { return batches_ != end; }

        private:
            Batches::Iterator batches_;
            std::size_t at_ = 0;
        };
        explicit Singly(Batches batches) noexcept : batches_(batches) {}
        Iterator begin() const { return Iterator(batches_.begin()); }
        End end() const noexcept { return End(); }

    private:
        Batches batches_;
    };

    /// `for (const Entries &entries : iterator.batches(1000))`, forward from where it stands. After any of these loops it stands behind
    /// what was fetched, also where the loop was left before that: to go on from an entry, seek its key.
    Batches batches(std::size_t capacity = 256) &noexcept { return Batches(this, capacity, false); }
    /// The same backward.
    Batches batches_backward(std::size_t capacity = 256) &noexcept { return Batches(this, capacity, true); }
    /// `for (auto [key, value] : iterator.backward())`, from the last entry, or from where it stands.
    Singly backward() &noexcept { return Singly(batches_backward()); }
    /// A loop over the iterator itself goes forward.
    Singly::Iterator begin() & { return Singly(batches()).begin(); }
    End end() const noexcept { return End(); }

    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_iterator *c_handle() const noexcept { return handle_.get(); }

private:
    template <class Move, class... Key> Result<bool> moved(Move *move, Key... key)
    {
        return detail::found([&](sstore_error **error) { return move(c_handle(), key..., error); });
    }
    template <class Fetch> Result<Entries> batch(Fetch *fetch, std::size_t capacity, std::size_t max_bytes)
    {
        // More than C takes is refused by it, before there is room. The keys grow last: if the values cannot, neither has.
        if (capacity <= UINT32_MAX && keys_.size() < capacity) values_.resize(capacity), keys_.resize(capacity);
        std::size_t count = 0;
        const auto any = detail::found([&](sstore_error **error) {
            return fetch(c_handle(), keys_.data(), values_.data(), capacity, max_bytes, &count, error);
        });
        if (!any.ok()) return any.error();
        return Entries(keys_.data(), values_.data(), count);
    }

    detail::Handle<sstore_iterator, sstore_iterator_free> handle_;
    std::vector<sstore_slice> keys_;
    std::vector<sstore_slice> values_;
};

} // namespace sstore

#endif
