// Column families of byte keys and values, and the reads and writes of one.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_FAMILY_HPP
#define SSTORE_FAMILY_HPP

#include <sstore/batch.hpp>
#include <sstore/files.hpp>
#include <sstore/flush.hpp>
#include <sstore/iterator.hpp>
#include <sstore/leveldb.hpp>
#include <sstore/options.hpp>

namespace sstore {

/// The reads and writes of one family: a ColumnFamily has them, and a Db for its default family.
/// Keys and values are bytes, borrowed until the call returns. Every function may be called by any thread at any time. Reads and
/// writes may block, for files and for room in memory. Once the Db that it came from has closed or gone, each call of it gives
/// SSTORE_CLOSED.
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
        return detail::filled<std::uint64_t>([&](std::uint64_t *sequence, sstore_error **error) {
            return sstore_put(db_, family_, &given, key.data(), key.size(), value.data(), value.size(), sequence, error);
        });
    }

    /// Removes `key`, which need not be there.
    std::uint64_t erase(std::string_view key, const WriteOptions &options = {}) { return try_erase(key, options).value(); }
    Result<std::uint64_t> try_erase(std::string_view key, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        return detail::filled<std::uint64_t>([&](std::uint64_t *sequence, sstore_error **error) {
            return sstore_delete(db_, family_, &given, key.data(), key.size(), sequence, error);
        });
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
        return detail::filled<std::uint64_t>([&](std::uint64_t *sequence, sstore_error **error) {
            return sstore_write_if(db_, family_, &given, key.data(), key.size(), expected_sequence, batch.c_handle(), sequence, error);
        });
    }

    /// A copy of the value of `key`; nothing if it has none.
    std::optional<std::string> get(std::string_view key, const ReadOptions &options = {}) const
    {
        return try_get(key, options).value();
    }
    Result<std::optional<std::string>> try_get(std::string_view key, const ReadOptions &options = {}) const
    {
        // One copy less than by sstore_get: from where the value lies right into the string.
        const auto pinned = try_get_pinned(key, options);
        if (!pinned) return pinned.error();
        if (!*pinned) return std::optional<std::string>();
        return std::optional<std::string>((*pinned)->value());
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
        if (!there.ok()) return there.error();
        if (!*there) return std::optional<Pinned>();
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

    /// The values of many keys at one moment. `keys` is anything with begin() and end() over what a string_view is made of, that is
    /// there already: a view that makes strings on the way is refused by the compiler.
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
        using std::begin;
        static_assert(detail::is_lent<decltype(*begin(keys))>, "these keys go before they are read: collect them in a vector first");
        const auto given = detail::c(options);
        std::vector<sstore_slice> slices;
        for (const auto &key : keys) slices.push_back(detail::slice(key));
        return detail::made<Values>([&](sstore_values **out, sstore_error **error) {
            return sstore_multi_get(db_, family_, &given, slices.data(), slices.size(), out, error);
        });
    }
    Result<Values> try_multi_get(std::initializer_list<std::string_view> keys, const ReadOptions &options = {}) const
    {
        return try_multi_get<std::initializer_list<std::string_view>>(keys, options);
    }

    /// An iterator over the entries as they are now, or at the snapshot. It keeps what it shows until it goes.
    Iterator iterate(const IteratorOptions &options = {}) const { return try_iterate(options).value(); }
    Result<Iterator> try_iterate(const IteratorOptions &options = {}) const
    {
        auto given = detail::sized<sstore_iterator_options>();
        given.scan = options.scan ? 1 : 0;
        given.snapshot = detail::c(options.snapshot);
        if (options.lower) given.lower = detail::slice(*options.lower);
        if (options.upper) given.upper = detail::slice(*options.upper);
        if (options.prefix) given.prefix = detail::slice(*options.prefix);
        return detail::made<Iterator>([&](sstore_iterator **out, sstore_error **error) {
            return sstore_iterator_create(db_, family_, &given, out, error);
        });
    }

    /// Has what is in memory written to files. Does not wait for it: the token does.
    FlushToken flush() { return try_flush().value(); }
    Result<FlushToken> try_flush()
    {
        const sstore_column_family *const families[1] = {family_};
        return detail::made<FlushToken>([&](sstore_flush_token **out, sstore_error **error) {
            return sstore_flush(db_, families, 1, out, error);
        });
    }
    /// Merges all files into one, and waits for it. Not in a listener.
    void compact() { try_compact().value(); }
    Result<void> try_compact()
    {
        return detail::call([&](sstore_error **error) { return sstore_compact(db_, family_, error); });
    }

    /// The files, newest last. They may be merged and deleted at any time.
    std::vector<Segment> segments() const { return try_segments().value(); }
    Result<std::vector<Segment>> try_segments() const
    {
        return detail::segments([&](sstore_segments **out, sstore_error **error) {
            return sstore_segments_list(db_, family_, out, error);
        });
    }
    /// The files that it consists of, oldest first, which stay as long as the Files do.
    Files live_files(const ReadOptions &options = {}) const { return try_live_files(options).value(); }
    Result<Files> try_live_files(const ReadOptions &options = {}) const
    {
        const auto given = detail::c(options);
        return detail::made<Files>([&](sstore_files **out, sstore_error **error) {
            return sstore_live_files(db_, family_, &given, out, error);
        });
    }
    /// Flushes, and puts hard links to the files into `directory`, which must not exist yet. `progress` is told how far it is, and may call
    /// it off. Blocks. Not in a listener.
    Files export_to(const std::filesystem::path &directory, const Progress &progress = nullptr)
    {
        return try_export_to(directory, progress).value();
    }
    Result<Files> try_export_to(const std::filesystem::path &directory, const Progress &progress = nullptr)
    {
        return detail::exported(progress, directory, [&](const char *path, auto... given) {
            return sstore_export_with_progress(db_, family_, path, given...);
        });
    }
    /// Writes everything that LevelDB would show of its database in `path`, which is only read and must not be open, as one
    /// file: all of it comes to be seen at the end, and is durable then, or nothing of it. Keys that are written meanwhile keep what was written.
    /// SSTORE_NOT_FOUND if there is none, SSTORE_CORRUPTION with the file if it is damaged. Blocks. Not in a listener.
    LevelDbResult import_leveldb(const std::filesystem::path &path, const LevelDbOptions &options = {})
    {
        return try_import_leveldb(path, options).value();
    }
    Result<LevelDbResult> try_import_leveldb(const std::filesystem::path &path, const LevelDbOptions &options = {})
    {
        return detail::import_leveldb(db_, family_, path, options);
    }

protected:
    KeySpace(sstore_db *db, const sstore_column_family *family) noexcept : db_(db), family_(family) {}
    // Null is the default family: an object that was moved from names none.
    KeySpace(KeySpace &&other) noexcept : KeySpace(detail::gone<sstore_db>(), detail::gone<sstore_column_family>()) { swap(other); }
    KeySpace &operator=(KeySpace &&other) noexcept
    {
        KeySpace taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~KeySpace() = default;

    sstore_db *db_;
    const sstore_column_family *family_;

private:
    void swap(KeySpace &other) noexcept
    {
        std::swap(db_, other.db_);
        std::swap(family_, other.family_);
    }
};

/// A column family. Its end neither drops nor changes the family; like any part of a database it keeps that open after its Db has gone.
/// Thread safety: free. Move-only.
class ColumnFamily : public KeySpace {
public:
    /// Takes over a handle of the C interface, of a family of `db`.
    ColumnFamily(sstore_db *db, sstore_column_family *taken) noexcept : KeySpace(db, taken), handle_(taken) {}

    /// Its name. The bytes live as long as this object, and the one that it is moved to.
    std::string_view name() const SSTORE_LENT { return try_name().value(); }
    Result<std::string_view> try_name() const
    {
        return detail::then(detail::filled<sstore_slice>([&](sstore_slice *out, sstore_error **error) {
            return sstore_column_family_name(c_handle(), out, error);
        }), detail::view);
    }
    /// Never given to another family of the database; that of the default family is 0; UINT32_MAX if it was moved from.
    std::uint32_t id() const noexcept { return sstore_column_family_id(c_handle()); }
    /// The options that are in force for it. Does not block.
    Options options() const { return try_options().value(); }
    Result<Options> try_options() const
    {
        return detail::made<Options>([&](sstore_options **out, sstore_error **error) {
            return sstore_column_family_get_options(c_handle(), out, error);
        });
    }
    /// The handle, for functions of sstore.h. It stays this object's.
    const sstore_column_family *c_handle() const noexcept { return family_; }

private:
    friend class Db;
    detail::Handle<sstore_column_family, sstore_column_family_free> handle_;
};

inline Result<void> Batch::try_put(const ColumnFamily &family, std::string_view key, std::string_view value)
{
    return put_in(family.c_handle(), key, value);
}
inline Result<void> Batch::try_erase(const ColumnFamily &family, std::string_view key)
{
    return erase_in(family.c_handle(), key);
}
inline Operation Operation::put(const ColumnFamily &family, std::string_view key, std::string_view value) noexcept
{
    return Operation(SSTORE_OPERATION_PUT, family.c_handle(), key, value);
}
inline Operation Operation::erase(const ColumnFamily &family, std::string_view key) noexcept
{
    return Operation(SSTORE_OPERATION_DELETE, family.c_handle(), key, {});
}

} // namespace sstore

#endif
