// Byte keys and values: batches, snapshots, iterators, and the reads and writes of one family.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_KEYS_HPP
#define SSTORE_KEYS_HPP

#include <sstore/options.hpp>

#include <filesystem>
#include <iterator>

namespace sstore {

class ColumnFamily;
class Table;

/// A moment of a database that reads can go back to. An old one keeps old versions on disk.
/// Thread safety: free. Move-only.
class Snapshot {
public:
    explicit Snapshot(sstore_snapshot *taken) noexcept : handle_(taken) {}
    /// The sequence of the last write that it sees.
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

/// How one write is done.
struct WriteOptions {
    /// What the call waits for.
    sstore_durability durability = SSTORE_DURABILITY_DEFAULT;
    /// SSTORE_STALLED instead of waiting for flushes or merges.
    bool no_stall = false;
};

/// What an iterator walks over. Bounds and prefix are copied when it is made.
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

namespace detail {

inline sstore_read_options c(const ReadOptions &options) noexcept
{
    auto given = sized<sstore_read_options>();
    given.snapshot = options.snapshot == nullptr ? nullptr : options.snapshot->c_handle();
    return given;
}

inline sstore_write_options c(const WriteOptions &options) noexcept
{
    auto given = sized<sstore_write_options>();
    given.durability = static_cast<std::uint32_t>(options.durability);
    given.no_stall = options.no_stall ? 1 : 0;
    return given;
}

} // namespace detail

/// A value where it lies, in a memtable or a cached block, without a copy. Thread safety: free. Move-only.
class Pinned {
public:
    Pinned(sstore_pinned *taken, std::string_view value, std::uint64_t sequence) noexcept
        : handle_(taken), value_(value), sequence_(sequence)
    {
    }
    /// The bytes. They live as long as this object, wherever it is moved, also after the database was closed.
    std::string_view value() const noexcept { return value_; }
    /// The same as value().
    std::string_view operator*() const noexcept { return value_; }
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
    explicit Values(sstore_values *taken) noexcept
        : handle_(taken), slices_(sstore_values_slices(handle_.get(), &size_))
    {
    }
    /// As many as there were keys.
    std::size_t size() const noexcept { return size_; }
    /// The value of the key at `index`, which must be below size(); nothing if it has none. The bytes live as long as this object.
    std::optional<std::string_view> operator[](std::size_t index) const noexcept
    {
        if (slices_[index].data == nullptr) return std::nullopt;
        return detail::view(slices_[index]);
    }

private:
    detail::Handle<sstore_values, sstore_values_free> handle_;
    std::size_t size_ = 0;
    const sstore_slice *slices_;
};

/// Operations to be applied together. It may be written any number of times, and filled further.
/// Thread safety: one thread at a time. Move-only.
class Batch {
public:
    /// An empty one. Throws Error if there is no memory.
    Batch()
    {
        detail::call([&](sstore_error **error) { return sstore_batch_create(handle_.out(), error); }).value();
    }

    /// Adds: set `key` to `value`, in the default family or in `family`. Both are copied. An error changes nothing.
    Batch &put(std::string_view key, std::string_view value) { return try_put(key, value).value(), *this; }
    Batch &put(const ColumnFamily &family, std::string_view key, std::string_view value)
    {
        return try_put(family, key, value).value(), *this;
    }
    Result<void> try_put(std::string_view key, std::string_view value) { return put_in(nullptr, key, value); }
    inline Result<void> try_put(const ColumnFamily &family, std::string_view key, std::string_view value);

    /// Adds: remove `key`, which need not be there.
    Batch &erase(std::string_view key) { return try_erase(key).value(), *this; }
    Batch &erase(const ColumnFamily &family, std::string_view key) { return try_erase(family, key).value(), *this; }
    Result<void> try_erase(std::string_view key) { return erase_in(nullptr, key); }
    inline Result<void> try_erase(const ColumnFamily &family, std::string_view key);

    /// Adds: put rows into a table. Rows and schema (null: the table's) are moved: released within the call, whatever comes of it.
    inline Batch &put_rows(const Table &table, ArrowArray &rows, ArrowSchema *schema = nullptr);
    /// Adds: remove the rows with these keys; otherwise like put_rows().
    inline Batch &erase_rows(const Table &table, ArrowArray &keys, ArrowSchema *schema = nullptr);

    /// Adds all operations of another batch, which is unchanged.
    Batch &append(const Batch &other)
    {
        detail::call([&](sstore_error **error) { return sstore_batch_append(c_handle(), other.c_handle(), error); }).value();
        return *this;
    }
    /// Forgets all operations and keeps the memory.
    void clear() { detail::call([&](sstore_error **error) { return sstore_batch_clear(c_handle(), error); }).value(); }
    /// How many operations it holds.
    std::size_t count() const noexcept { return sstore_batch_count(c_handle()); }
    /// Its encoded size in bytes.
    std::size_t size_bytes() const noexcept { return sstore_batch_size(c_handle()); }

    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_batch *c_handle() const noexcept { return handle_.get(); }

private:
    Result<void> put_in(const sstore_column_family *family, std::string_view key, std::string_view value)
    {
        return detail::call([&](sstore_error **error) {
            return sstore_batch_put(c_handle(), family, key.data(), key.size(), value.data(), value.size(), error);
        });
    }
    Result<void> erase_in(const sstore_column_family *family, std::string_view key)
    {
        return detail::call([&](sstore_error **error) {
            return sstore_batch_delete(c_handle(), family, key.data(), key.size(), error);
        });
    }

    detail::Handle<sstore_batch, sstore_batch_free> handle_;
};

/// A key and its value. The bytes belong to what gave the entry, which says how long they live.
struct Entry {
    std::string_view key;
    std::string_view value;
};

/// Entries that an iterator gave in one call, in its order. The bytes, and this view of them, live until the iterator gives the next
/// ones or goes.
class Entries {
public:
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Entry;
        using difference_type = std::ptrdiff_t;
        using pointer = const Entry *;
        using reference = Entry;

        Iterator(const Entries *entries, std::size_t at) noexcept : entries_(entries), at_(at) {}
        Entry operator*() const noexcept { return (*entries_)[at_]; }
        Iterator &operator++() noexcept { return at_++, *this; }
        Iterator operator++(int) noexcept { return Iterator(entries_, at_++); }
        bool operator==(const Iterator &other) const noexcept { return at_ == other.at_; }
        bool operator!=(const Iterator &other) const noexcept { return at_ != other.at_; }

    private:
        const Entries *entries_;
        std::size_t at_;
    };

    Entries(const sstore_slice *keys, const sstore_slice *values, std::size_t size) noexcept
        : keys_(keys), values_(values), size_(size)
    {
    }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    /// The entry at `index`, which must be below size().
    Entry operator[](std::size_t index) const noexcept
    {
        return Entry{detail::view(keys_[index]), detail::view(values_[index])};
    }
    Iterator begin() const noexcept { return Iterator(this, 0); }
    Iterator end() const noexcept { return Iterator(this, size_); }

private:
    const sstore_slice *keys_;
    const sstore_slice *values_;
    std::size_t size_;
};

/// A position in the entries of a family, as they were when it was made; at first it stands nowhere.
/// `for (auto [key, value] : db.iterate())` walks forward from where it stands, a batch of entries for each call of the library.
/// Thread safety: one thread at a time. Move-only; not to be moved while a loop goes over it.
class Iterator {
public:
    explicit Iterator(sstore_iterator *taken) noexcept : handle_(taken) {}

    /// Moves; whether it stands on an entry then. Each has a try_ form.
    bool seek_to_first() { return try_seek_to_first().value(); }
    bool seek_to_last() { return try_seek_to_last().value(); }
    /// To the first entry at or after `key`.
    bool seek(std::string_view key) { return try_seek(key).value(); }
    /// To the last entry at or before `key`.
    bool seek_for_prev(std::string_view key) { return try_seek_for_prev(key).value(); }
    /// Precondition of both: it stands on an entry.
    bool next() { return try_next().value(); }
    bool prev() { return try_prev().value(); }
    Result<bool> try_seek_to_first() { return moved<sstore_iterator_seek_to_first>(); }
    Result<bool> try_seek_to_last() { return moved<sstore_iterator_seek_to_last>(); }
    Result<bool> try_next() { return moved<sstore_iterator_next>(); }
    Result<bool> try_prev() { return moved<sstore_iterator_prev>(); }
    Result<bool> try_seek(std::string_view key)
    {
        return detail::found([&](sstore_error **error) {
            return sstore_iterator_seek(c_handle(), key.data(), key.size(), error);
        });
    }
    Result<bool> try_seek_for_prev(std::string_view key)
    {
        return detail::found([&](sstore_error **error) {
            return sstore_iterator_seek_for_prev(c_handle(), key.data(), key.size(), error);
        });
    }

    /// Whether it stands on an entry.
    bool valid() const noexcept { return sstore_iterator_is_valid(c_handle()) != 0; }
    /// The entry that it stands on; empty bytes if it stands on none. They live until it moves or goes.
    Entry entry() const { return try_entry().value(); }
    std::string_view key() const { return entry().key; }
    std::string_view value() const { return entry().value; }
    Result<Entry> try_entry() const
    {
        sstore_slice key{}, value{};
        const auto stands = detail::found([&](sstore_error **error) {
            return sstore_iterator_entry(c_handle(), &key, &value, nullptr, error);
        });
        if (!stands) return stands.error();
        return Entry{detail::view(key), detail::view(value)};
    }
    /// The place of the write that set the entry; 0 if it stands on none.
    std::uint64_t sequence() const
    {
        std::uint64_t sequence = 0;
        detail::found([&](sstore_error **error) {
            return sstore_iterator_entry(c_handle(), nullptr, nullptr, &sequence, error);
        }).value();
        return sequence;
    }
    /// The value that it stands on, to be kept however far it moves; nothing if it stands on none.
    std::optional<Pinned> pin_value() const
    {
        sstore_pinned *pinned = nullptr;
        sstore_slice value{};
        const bool stands = detail::found([&](sstore_error **error) {
            return sstore_iterator_pin_value(c_handle(), &pinned, &value, error);
        }).value();
        return stands ? std::optional<Pinned>(Pinned(pinned, detail::view(value), 0)) : std::nullopt;
    }
    /// Lets it see the present; it stands nowhere then.
    void refresh() { detail::call([&](sstore_error **error) { return sstore_iterator_refresh(c_handle(), error); }).value(); }

    /// Up to `capacity` entries in one call, fewer when they are `max_bytes` together (0: no limit); none at the end. One that stands
    /// nowhere begins at the first entry. The entries live until the next call of next_batch() or prev_batch(), or until it goes.
    Entries next_batch(std::size_t capacity = 256, std::size_t max_bytes = 1 << 20)
    {
        return try_next_batch(capacity, max_bytes).value();
    }
    Result<Entries> try_next_batch(std::size_t capacity = 256, std::size_t max_bytes = 1 << 20)
    {
        return batch<sstore_iterator_next_batch>(capacity, max_bytes);
    }
    /// The same backward, from the last entry.
    Entries prev_batch(std::size_t capacity = 256, std::size_t max_bytes = 1 << 20)
    {
        return try_prev_batch(capacity, max_bytes).value();
    }
    Result<Entries> try_prev_batch(std::size_t capacity = 256, std::size_t max_bytes = 1 << 20)
    {
        return batch<sstore_iterator_prev_batch>(capacity, max_bytes);
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

    /// `for (const Entries &entries : iterator.batches(1000))`, forward from where it stands.
    Batches batches(std::size_t capacity = 256) &noexcept { return Batches(this, capacity, false); }
    /// The same backward.
    Batches batches_backward(std::size_t capacity = 256) &noexcept { return Batches(this, capacity, true); }
    /// `for (auto [key, value] : iterator.backward())`, from the last entry, or from where it stands.
    Singly backward() &noexcept { return Singly(batches_backward()); }
    /// A loop over the iterator itself goes forward.
    Singly::Iterator begin() { return Singly(batches()).begin(); }
    End end() const noexcept { return End(); }

    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_iterator *c_handle() const noexcept { return handle_.get(); }

private:
    template <Code (*Move)(sstore_iterator *, sstore_error **)> Result<bool> moved()
    {
        return detail::found([&](sstore_error **error) { return Move(c_handle(), error); });
    }
    template <Code (*Fetch)(sstore_iterator *, sstore_slice *, sstore_slice *, std::size_t, std::size_t, std::size_t *,
                            sstore_error **)>
    Result<Entries> batch(std::size_t capacity, std::size_t max_bytes)
    {
        if (keys_.size() < capacity) keys_.resize(capacity), values_.resize(capacity);
        std::size_t count = 0;
        const auto any = detail::found([&](sstore_error **error) {
            return Fetch(c_handle(), keys_.data(), values_.data(), capacity, max_bytes, &count, error);
        });
        if (!any) return any.error();
        return Entries(keys_.data(), values_.data(), count);
    }

    detail::Handle<sstore_iterator, sstore_iterator_free> handle_;
    std::vector<sstore_slice> keys_;
    std::vector<sstore_slice> values_;
};

/// One operation of an array, for Db::write. Key and value are borrowed until that call returns.
class Operation {
public:
    /// Sets `key` to `value` in the default family, or in `family`.
    static Operation put(std::string_view key, std::string_view value) noexcept
    {
        return Operation(SSTORE_OPERATION_PUT, nullptr, key, value);
    }
    static inline Operation put(const ColumnFamily &family, std::string_view key, std::string_view value) noexcept;
    /// Removes `key`.
    static Operation erase(std::string_view key) noexcept { return Operation(SSTORE_OPERATION_DELETE, nullptr, key, {}); }
    static inline Operation erase(const ColumnFamily &family, std::string_view key) noexcept;

    const sstore_operation &c_struct() const noexcept { return operation_; }

private:
    Operation(sstore_operation_kind kind, const sstore_column_family *family, std::string_view key,
              std::string_view value) noexcept
        : operation_{static_cast<std::uint32_t>(kind), 0, family, detail::slice(key), detail::slice(value)}
    {
    }
    sstore_operation operation_;
};

/// A file of a family or table, at the moment of the question.
struct Segment {
    std::uint64_t number;
    /// How often its data was merged: 0 for a file that a flush wrote.
    std::uint32_t level;
    std::string path;
    std::uint64_t size_bytes;
    /// Entries, deletes included; and the deletes alone.
    std::uint64_t entries;
    std::uint64_t tombstones;
    std::string smallest_key;
    std::string largest_key;
    std::uint64_t smallest_sequence;
    std::uint64_t largest_sequence;
};

/// Files that stay as long as this object does (live ones), or that were exported. Thread safety: free. Move-only.
class Files {
public:
    explicit Files(sstore_files *taken) noexcept : handle_(taken) {}
    std::size_t size() const noexcept { return sstore_files_count(c_handle()); }
    /// The file at `index`. Path and keys in it live as long as this object.
    sstore_file operator[](std::size_t index) const
    {
        auto file = detail::sized<sstore_file>();
        detail::call([&](sstore_error **error) { return sstore_files_get(c_handle(), index, &file, error); }).value();
        return file;
    }
    /// What is told of all of them together.
    sstore_files_info info() const
    {
        auto info = detail::sized<sstore_files_info>();
        detail::call([&](sstore_error **error) { return sstore_files_describe(c_handle(), &info, error); }).value();
        return info;
    }
    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_files *c_handle() const noexcept { return handle_.get(); }

private:
    detail::Handle<sstore_files, sstore_files_free> handle_;
};

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
    explicit FlushToken(sstore_flush_token *taken) noexcept : handle_(taken) {}
    /// Whether it has ended. Throws its error if it failed.
    bool done() const { return try_done().value(); }
    Result<bool> try_done() const
    {
        std::int32_t done = 0;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_flush_token_poll(c_handle(), &done, error);
        });
        return detail::with(called, done != 0);
    }
    /// Blocks until it has ended: at most `timeout_millis`; 0: as long as it takes. SSTORE_TIMED_OUT: it goes on.
    void wait(std::uint64_t timeout_millis = 0) const { try_wait(timeout_millis).value(); }
    Result<void> try_wait(std::uint64_t timeout_millis = 0) const
    {
        return detail::call([&](sstore_error **error) {
            return sstore_flush_token_wait(c_handle(), timeout_millis, error);
        });
    }
    /// What it did. SSTORE_BUSY if it has not ended.
    FlushResult result() const { return try_result().value(); }
    Result<FlushResult> try_result() const
    {
        auto given = detail::sized<sstore_flush_result>();
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_flush_token_result(c_handle(), &given, error);
        });
        if (!called) return called.error();
        FlushResult result{sstore_flush_reason_name(given.reason), {}, given.entries, given.bytes, given.durable_sequence};
        if (given.file_count > 0) result.files.assign(given.files, given.files + given.file_count);
        return result;
    }
    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_flush_token *c_handle() const noexcept { return handle_.get(); }

private:
    detail::Handle<sstore_flush_token, sstore_flush_token_free> handle_;
};

namespace detail {

inline std::vector<Segment> segments(const Handle<sstore_segments, sstore_segments_free> &list)
{
    std::vector<Segment> all(sstore_segments_count(list.get()));
    for (std::size_t index = 0; index < all.size(); index++) {
        auto one = sized<sstore_segment>();
        call([&](sstore_error **error) { return sstore_segments_get(list.get(), index, &one, error); }).value();
        all[index] = Segment{one.number, one.level, one.path, one.size_bytes, one.entries, one.tombstones,
                             std::string(view(one.smallest_key)), std::string(view(one.largest_key)),
                             one.smallest_sequence, one.largest_sequence};
    }
    return all;
}

inline std::vector<std::string> strings(const Handle<sstore_list, sstore_list_free> &list)
{
    std::vector<std::string> all(sstore_list_count(list.get()));
    for (std::size_t index = 0; index < all.size(); index++) {
        sstore_slice item{};
        call([&](sstore_error **error) { return sstore_list_get(list.get(), index, &item, error); }).value();
        all[index] = std::string(view(item));
    }
    return all;
}

} // namespace detail

/// How a database of LevelDB is read.
struct LevelDbOptions {
    /// Leaves out what is damaged instead of failing.
    bool skip_damaged = false;
    /// Told of the progress, in bytes of the source and entries; false calls the import off. What it throws ends the import, and is
    /// thrown by it.
    std::function<bool(std::uint64_t bytes_read, std::uint64_t bytes_total, std::uint64_t entries)> progress = nullptr;
};

/// The reads and writes of one family: a ColumnFamily has them, and a Db for its default family.
/// Keys and values are bytes, borrowed until the call returns. Every function may be called by any thread at any time. Reads and
/// writes may block, for files and for room in memory.
class KeySpace {
public:
    /// Sets `key` to `value`. Gives the place of the write in the history of the database.
    std::uint64_t put(std::string_view key, std::string_view value, const WriteOptions &options = {})
    {
        return try_put(key, value, options).value();
    }
    Result<std::uint64_t> try_put(std::string_view key, std::string_view value, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        std::uint64_t sequence = 0;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_put(db_, family_, &given, key.data(), key.size(), value.data(), value.size(), &sequence, error);
        });
        return detail::with(called, std::uint64_t(sequence));
    }

    /// Removes `key`, which need not be there.
    std::uint64_t erase(std::string_view key, const WriteOptions &options = {}) { return try_erase(key, options).value(); }
    Result<std::uint64_t> try_erase(std::string_view key, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        std::uint64_t sequence = 0;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_delete(db_, family_, &given, key.data(), key.size(), &sequence, error);
        });
        return detail::with(called, std::uint64_t(sequence));
    }

    /// Applies `batch` only if `key` was last written at `expected_sequence`, or, for 0, is absent. SSTORE_CONFLICT if not.
    std::uint64_t write_if(std::string_view key, std::uint64_t expected_sequence, const Batch &batch,
                           const WriteOptions &options = {})
    {
        return try_write_if(key, expected_sequence, batch, options).value();
    }
    Result<std::uint64_t> try_write_if(std::string_view key, std::uint64_t expected_sequence, const Batch &batch,
                                       const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        std::uint64_t sequence = 0;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_write_if(db_, family_, &given, key.data(), key.size(), expected_sequence, batch.c_handle(), &sequence,
                                   error);
        });
        return detail::with(called, std::uint64_t(sequence));
    }

    /// A copy of the value of `key`; nothing if it has none.
    std::optional<std::string> get(std::string_view key, const ReadOptions &options = {}) const
    {
        return try_get(key, options).value();
    }
    Result<std::optional<std::string>> try_get(std::string_view key, const ReadOptions &options = {}) const
    {
        // One copy less than by sstore_get: from where the value lies right into the string.
        auto pinned = try_get_pinned(key, options);
        if (!pinned) return pinned.error();
        if (!pinned.value()) return std::optional<std::string>();
        return std::optional<std::string>(pinned.value()->value());
    }

    /// The value of `key` where it lies; nothing if it has none.
    std::optional<Pinned> get_pinned(std::string_view key, const ReadOptions &options = {}) const
    {
        return try_get_pinned(key, options).value();
    }
    Result<std::optional<Pinned>> try_get_pinned(std::string_view key, const ReadOptions &options = {}) const
    {
        const auto given = detail::c(options);
        sstore_pinned *pinned = nullptr;
        sstore_slice value{};
        std::uint64_t sequence = 0;
        const auto there = detail::found([&](sstore_error **error) {
            return sstore_get_pinned(db_, family_, &given, key.data(), key.size(), &pinned, &value, &sequence, error);
        });
        if (!there) return there.error();
        if (pinned == nullptr) return std::optional<Pinned>();
        return std::optional<Pinned>(Pinned(pinned, detail::view(value), sequence));
    }

    /// Copies the value of `key` into `buffer` and gives its length; nothing if it has none. If that is more than `capacity`, the
    /// buffer's content is undefined. Allocates nothing.
    std::optional<std::size_t> get_into(std::string_view key, void *buffer, std::size_t capacity,
                                        const ReadOptions &options = {}) const
    {
        return try_get_into(key, buffer, capacity, options).value();
    }
    Result<std::optional<std::size_t>> try_get_into(std::string_view key, void *buffer, std::size_t capacity,
                                                    const ReadOptions &options = {}) const
    {
        const auto given = detail::c(options);
        sstore_error *error = nullptr;
        std::size_t length = 0;
        const Code code =
            sstore_get_into(db_, family_, &given, key.data(), key.size(), buffer, capacity, &length, &error);
        if (code == SSTORE_OK || (code == SSTORE_TOO_SMALL && error == nullptr)) return std::optional<std::size_t>(length);
        if (code == SSTORE_NOT_FOUND && error == nullptr) return std::optional<std::size_t>();
        return Error(code, error);
    }

    /// Whether `key` has a value.
    bool contains(std::string_view key, const ReadOptions &options = {}) const { return try_contains(key, options).value(); }
    Result<bool> try_contains(std::string_view key, const ReadOptions &options = {}) const
    {
        const auto given = detail::c(options);
        return detail::found([&](sstore_error **error) {
            return sstore_contains(db_, family_, &given, key.data(), key.size(), error);
        });
    }

    /// The values of many keys at one moment. `keys` is anything with begin() and end() over what a string_view is made of.
    template <class Keys> Values multi_get(const Keys &keys, const ReadOptions &options = {}) const
    {
        return try_multi_get(keys, options).value();
    }
    Values multi_get(std::initializer_list<std::string_view> keys, const ReadOptions &options = {}) const
    {
        return try_multi_get(keys, options).value();
    }
    template <class Keys> Result<Values> try_multi_get(const Keys &keys, const ReadOptions &options = {}) const
    {
        const auto given = detail::c(options);
        std::vector<sstore_slice> slices;
        for (const auto &key : keys) slices.push_back(detail::slice(key));
        sstore_values *values = nullptr;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_multi_get(db_, family_, &given, slices.data(), slices.size(), &values, error);
        });
        return detail::with(called, Values(values));
    }

    /// An iterator over the entries as they are now, or at the snapshot.
    Iterator iterate(const IteratorOptions &options = {}) const { return try_iterate(options).value(); }
    Result<Iterator> try_iterate(const IteratorOptions &options = {}) const
    {
        auto given = detail::sized<sstore_iterator_options>();
        given.scan = options.scan ? 1 : 0;
        given.snapshot = options.snapshot == nullptr ? nullptr : options.snapshot->c_handle();
        if (options.lower) given.lower = detail::slice(*options.lower);
        if (options.upper) given.upper = detail::slice(*options.upper);
        if (options.prefix) given.prefix = detail::slice(*options.prefix);
        sstore_iterator *iterator = nullptr;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_iterator_create(db_, family_, &given, &iterator, error);
        });
        return detail::with(called, Iterator(iterator));
    }

    /// Has what is in memory written to files. Does not wait for it: the token does.
    FlushToken flush() { return try_flush().value(); }
    Result<FlushToken> try_flush()
    {
        sstore_flush_token *token = nullptr;
        const sstore_column_family *const families[1] = {family_};
        const auto called = detail::call([&](sstore_error **error) { return sstore_flush(db_, families, 1, &token, error); });
        return detail::with(called, FlushToken(token));
    }
    /// Merges all files into one, and waits for it.
    void compact() { try_compact().value(); }
    Result<void> try_compact()
    {
        return detail::call([&](sstore_error **error) { return sstore_compact(db_, family_, error); });
    }

    /// The files, newest last. They may be merged and deleted at any time.
    std::vector<Segment> segments() const
    {
        detail::Handle<sstore_segments, sstore_segments_free> list;
        detail::call([&](sstore_error **error) { return sstore_segments_list(db_, family_, list.out(), error); }).value();
        return detail::segments(list);
    }
    /// The files that it consists of, oldest first, which stay as long as the Files do.
    Files live_files(const ReadOptions &options = {}) const
    {
        const auto given = detail::c(options);
        sstore_files *files = nullptr;
        detail::call([&](sstore_error **error) { return sstore_live_files(db_, family_, &given, &files, error); }).value();
        return Files(files);
    }
    /// Flushes, and puts hard links to the files into `directory`, which must not exist yet. Blocks.
    Files export_to(const std::filesystem::path &directory)
    {
        sstore_files *files = nullptr;
        detail::call([&](sstore_error **error) {
            return sstore_export(db_, family_, directory.c_str(), &files, error);
        }).value();
        return Files(files);
    }
    /// Writes everything that LevelDB would show of its database in `path`, which is only read, and flushes it. Blocks.
    sstore_leveldb_result import_leveldb(const std::filesystem::path &path, const LevelDbOptions &options = {})
    {
        struct Progress {
            const LevelDbOptions *options;
            std::exception_ptr thrown;
        } progress{&options, nullptr};
        const sstore_import_callback told = [](void *user_data, std::uint64_t read, std::uint64_t total, std::uint64_t entries) {
            Progress &heard = *static_cast<Progress *>(user_data);
            try {
                return heard.options->progress(read, total, entries) ? 1 : 0;
            } catch (...) {
                heard.thrown = std::current_exception();
                return 0;
            }
        };
        auto given = detail::sized<sstore_leveldb_options>();
        given.skip_damaged = options.skip_damaged ? 1 : 0;
        auto result = detail::sized<sstore_leveldb_result>();
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_import_leveldb(db_, family_, path.c_str(), &given, options.progress ? told : nullptr, &progress, &result,
                                         error);
        });
        if (progress.thrown) std::rethrow_exception(progress.thrown);
        if (!called) throw called.error();
        return result;
    }

protected:
    KeySpace(sstore_db *db, const sstore_column_family *family) noexcept : db_(db), family_(family) {}
    // An object that was moved from names the same family until the new one ends: never another one.
    KeySpace(KeySpace &&other) noexcept = default;
    KeySpace &operator=(KeySpace &&other) noexcept = default;
    ~KeySpace() = default;

    sstore_db *db_;
    const sstore_column_family *family_;
};

} // namespace sstore

#endif
