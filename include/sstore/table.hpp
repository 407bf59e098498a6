// Tables of rows: made, opened, altered; rows as Arrow go in and are looked up.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_TABLE_HPP
#define SSTORE_TABLE_HPP

#include <sstore/arrow.hpp>
#include <sstore/database.hpp>

namespace sstore {

/// How a table is made.
struct TableOptions {
    /// Columns of the key that are declared nullable may be null.
    bool nullable_keys = false;
    /// Floats may be in the key.
    bool float_keys = false;
    /// What the files of a table without a key are sorted by.
    std::vector<std::string> order_by = {};
};

/// A table. Its end neither drops nor changes the table; like any part of a database it keeps that open after its Db has gone.
/// Every struct of Arrow that a function takes is released within the call, whatever comes of it; what a function gives is owned by what it
/// gives, and needs nothing else to stay. Thread safety: free. Move-only.
class Table {
public:
    /// Takes over a handle of the C interface, of a table of `db`.
    Table(sstore_db *db, sstore_table *taken) noexcept : db_(db), handle_(taken) {}

    /// Makes a table with these columns; those of `key` are its key, in that order; without one rows are only appended. Blocks: syncs.
    /// SSTORE_INVALID_ARGUMENT if the name is taken, or names the column that cannot be.
    static Table create(Db &db, const std::string &name, const std::vector<Column> &columns,
                        const std::vector<std::string> &key, const TableOptions &table_options = {},
                        const Options &options = Options())
    {
        return try_create(db, name, columns, key, table_options, options).value();
    }
    static Result<Table> try_create(Db &db, const std::string &name, const std::vector<Column> &columns,
                                    const std::vector<std::string> &key, const TableOptions &table_options = {},
                                    const Options &options = Options())
    {
        auto schema = detail::Columns::schema(columns);
        if (!schema) return schema.error();
        return try_create(db, name, **schema, key, table_options, options);
    }
    /// The same with the columns of a schema, a struct, which is moved.
    static Table create(Db &db, const std::string &name, ArrowSchema &schema, const std::vector<std::string> &key,
                        const TableOptions &table_options = {}, const Options &options = Options())
    {
        return try_create(db, name, schema, key, table_options, options).value();
    }
    static Result<Table> try_create(Db &db, const std::string &name, ArrowSchema &schema, const std::vector<std::string> &key,
                                    const TableOptions &table_options = {}, const Options &options = Options())
    {
        Arrow<ArrowSchema> taken(schema);
        const auto names = detail::texts(key), order_by = detail::texts(table_options.order_by);
        auto given = detail::sized<sstore_table_options>();
        given.nullable_keys = table_options.nullable_keys ? 1 : 0;
        given.float_keys = table_options.float_keys ? 1 : 0;
        given.order_by = order_by.data();
        given.order_by_count = order_by.size();
        return of(db, [&](sstore_table **out, sstore_error **error) {
            return sstore_table_create(db.c_handle(), name.c_str(), taken.get(), names.data(), names.size(), &given,
                                       options.c_handle(), out, error);
        }, name, key, table_options.order_by);
    }
    /// A table that is there; SSTORE_NOT_FOUND if it is not.
    static Table open(const Db &db, const std::string &name) { return try_open(db, name).value(); }
    static Result<Table> try_open(const Db &db, const std::string &name)
    {
        return of(db, [&](sstore_table **out, sstore_error **error) {
            return sstore_table_open(db.c_handle(), name.c_str(), out, error);
        }, name);
    }
    /// The names of all tables, sorted.
    static std::vector<std::string> list(const Db &db) { return try_list(db).value(); }
    static Result<std::vector<std::string>> try_list(const Db &db)
    {
        return detail::strings([&](sstore_list **out, sstore_error **error) { return sstore_table_list(db.c_handle(), out, error); });
    }
    /// Drops it with all its rows; every further use of it gives SSTORE_DROPPED. Blocks: syncs.
    void drop() { try_drop().value(); }
    Result<void> try_drop()
    {
        return detail::call([&](sstore_error **error) { return sstore_table_drop(db_, handle_.get(), error); });
    }

    /// Its name. The bytes live as long as this object, and the one that it is moved to.
    std::string_view name() const SSTORE_LENT { return try_name().value(); }
    Result<std::string_view> try_name() const
    {
        return detail::then(detail::filled<sstore_slice>([&](sstore_slice *out, sstore_error **error) {
            return sstore_table_name(c_handle(), out, error);
        }), detail::view);
    }
    /// Its columns, a struct.
    Arrow<ArrowSchema> schema() const { return try_schema().value(); }
    Result<Arrow<ArrowSchema>> try_schema() const
    {
        Arrow<ArrowSchema> schema;
        const auto called = detail::call([&](sstore_error **error) { return sstore_table_schema(c_handle(), schema.get(), error); });
        if (!called) return called.error();
        return Result<Arrow<ArrowSchema>>(std::move(schema));
    }
    /// The names of the key's columns, in key order.
    std::vector<std::string> key() const { return try_key().value(); }
    Result<std::vector<std::string>> try_key() const { return names(sstore_table_key); }
    /// The names of the columns that files of a table without a key are sorted by.
    std::vector<std::string> order_by() const { return try_order_by().value(); }
    Result<std::vector<std::string>> try_order_by() const { return names(sstore_table_order_by); }
    /// The options that are in force for it.
    Options options() const { return try_options().value(); }
    Result<Options> try_options() const
    {
        return detail::made<Options>([&](sstore_options **out, sstore_error **error) {
            return sstore_table_get_options(c_handle(), out, error);
        });
    }

    /// Adds a column behind the others; rows that are there have nulls in it. This and the next three block: they sync. Batches that were
    /// filled before are refused with SSTORE_CONFLICT.
    void add_column(const std::string &name, const std::string &format) { try_add_column(name, format).value(); }
    Result<void> try_add_column(const std::string &name, const std::string &format)
    {
        return with_field(name, format, [&](ArrowSchema *field, sstore_error **error) {
            return sstore_table_add_column(db_, c_handle(), field, error);
        });
    }
    /// Takes a column away, not one of the key.
    void drop_column(const std::string &name) { try_drop_column(name).value(); }
    Result<void> try_drop_column(const std::string &name)
    {
        return detail::call([&](sstore_error **error) {
            return sstore_table_drop_column(db_, c_handle(), name.c_str(), error);
        }, name);
    }
    void rename_column(const std::string &name, const std::string &new_name) { try_rename_column(name, new_name).value(); }
    Result<void> try_rename_column(const std::string &name, const std::string &new_name)
    {
        return detail::call([&](sstore_error **error) {
            return sstore_table_rename_column(db_, c_handle(), name.c_str(), new_name.c_str(), error);
        }, name, new_name);
    }
    /// Gives a column, not one of the key, a wider type: an integer of more bits, float64 for float32, and the like.
    void widen_column(const std::string &name, const std::string &format) { try_widen_column(name, format).value(); }
    Result<void> try_widen_column(const std::string &name, const std::string &format)
    {
        return with_field(name, format, [&](ArrowSchema *field, sstore_error **error) {
            return sstore_table_widen_column(db_, c_handle(), name.c_str(), field, error);
        });
    }

    /// Puts the rows of a struct array into the table, together. Both are moved; a null schema stands for the table's columns. This and
    /// the next two may block, as KeySpace::put.
    std::uint64_t append(ArrowArray &rows, ArrowSchema *schema = nullptr, const WriteOptions &options = {})
    {
        return try_append(rows, schema, options).value();
    }
    Result<std::uint64_t> try_append(ArrowArray &rows, ArrowSchema *schema = nullptr, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        return detail::filled<std::uint64_t>([&](std::uint64_t *sequence, sstore_error **error) {
            return sstore_table_append(db_, c_handle(), &given, &rows, schema, sequence, error);
        });
    }
    /// Puts every batch of a stream, which is moved, into the table, each as one write. Gives how many rows. After an error the batches
    /// before it stay written.
    std::uint64_t append(ArrowArrayStream &stream, const WriteOptions &options = {}) { return try_append(stream, options).value(); }
    Result<std::uint64_t> try_append(ArrowArrayStream &stream, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        return detail::filled<std::uint64_t>([&](std::uint64_t *rows, sstore_error **error) {
            return sstore_table_append_stream(db_, c_handle(), &given, &stream, rows, nullptr, error);
        });
    }
    /// Removes the rows with these keys, whether they exist or not. Both are moved.
    std::uint64_t erase(ArrowArray &keys, ArrowSchema *schema = nullptr, const WriteOptions &options = {})
    {
        return try_erase(keys, schema, options).value();
    }
    Result<std::uint64_t> try_erase(ArrowArray &keys, ArrowSchema *schema = nullptr, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        return detail::filled<std::uint64_t>([&](std::uint64_t *sequence, sstore_error **error) {
            return sstore_table_delete(db_, c_handle(), &given, &keys, schema, sequence, error);
        });
    }

    /// The row with one key, a struct array of one row, which is moved; without something to release if there is none. May block: reads.
    /// `columns`: only these; `row_schema`: gets the row's columns.
    Arrow<ArrowArray> get(ArrowArray &key, const std::vector<std::string> &columns = {},
                          Arrow<ArrowSchema> *row_schema = nullptr, const ReadOptions &options = {}) const
    {
        return try_get(key, columns, row_schema, options).value();
    }
    Result<Arrow<ArrowArray>> try_get(ArrowArray &key, const std::vector<std::string> &columns = {},
                                      Arrow<ArrowSchema> *row_schema = nullptr, const ReadOptions &options = {}) const
    {
        Arrow<ArrowArray> taken(key);
        const auto given = detail::c(options);
        const auto wanted = detail::texts(columns);
        return detail::rows(row_schema, [&](ArrowArray *row, ArrowSchema *schema, sstore_error **error) {
            return sstore_table_get(db_, c_handle(), &given, wanted.data(), wanted.size(), taken.get(), nullptr, row, schema, error);
        }, columns);
    }
    /// The rows with many keys at one moment; `found` gets a 1 or 0 for each key. Otherwise like get().
    Arrow<ArrowArray> get_many(ArrowArray &keys, std::vector<std::uint8_t> &found, const std::vector<std::string> &columns = {},
                               Arrow<ArrowSchema> *rows_schema = nullptr, const ReadOptions &options = {}) const
    {
        return try_get_many(keys, found, columns, rows_schema, options).value();
    }
    Result<Arrow<ArrowArray>> try_get_many(ArrowArray &keys, std::vector<std::uint8_t> &found,
                                           const std::vector<std::string> &columns = {},
                                           Arrow<ArrowSchema> *rows_schema = nullptr, const ReadOptions &options = {}) const
    {
        Arrow<ArrowArray> taken(keys);
        const auto given = detail::c(options);
        const auto wanted = detail::texts(columns);
        found.assign(taken && taken->length > 0 ? static_cast<std::size_t>(taken->length) : 0, 0);
        return detail::rows(rows_schema, [&](ArrowArray *rows, ArrowSchema *schema, sstore_error **error) {
            return sstore_table_get_many(db_, c_handle(), &given, wanted.data(), wanted.size(), taken.get(), nullptr, found.data(),
                                         found.size(), rows, schema, error);
        }, columns);
    }

    /// Has what is in memory written to files. Does not wait for it: the token does.
    FlushToken flush() { return try_flush().value(); }
    Result<FlushToken> try_flush()
    {
        const sstore_table *const tables[1] = {c_handle()};
        return detail::made<FlushToken>([&](sstore_flush_token **out, sstore_error **error) {
            return sstore_table_flush(db_, tables, 1, out, error);
        });
    }
    /// Merges all files into one, and waits for it. Not in a listener.
    void compact() { try_compact().value(); }
    Result<void> try_compact()
    {
        return detail::call([&](sstore_error **error) { return sstore_table_compact(db_, c_handle(), error); });
    }
    /// The files, newest last. Keys in them are encoded.
    std::vector<Segment> segments() const { return try_segments().value(); }
    Result<std::vector<Segment>> try_segments() const
    {
        return detail::segments([&](sstore_segments **out, sstore_error **error) {
            return sstore_table_segments(db_, c_handle(), out, error);
        });
    }
    /// The files that it consists of, which stay as long as the Files do.
    Files live_files(const ReadOptions &options = {}) const { return try_live_files(options).value(); }
    Result<Files> try_live_files(const ReadOptions &options = {}) const
    {
        const auto given = detail::c(options);
        return detail::made<Files>([&](sstore_files **out, sstore_error **error) {
            return sstore_table_live_files(db_, c_handle(), &given, out, error);
        });
    }
    /// Flushes, and puts hard links to its files into `directory`, which must not exist yet. `progress` is told how far it is, and may call
    /// it off. Blocks. Not in a listener.
    Files export_to(const std::filesystem::path &directory, const Progress &progress = nullptr)
    {
        return try_export_to(directory, progress).value();
    }
    Result<Files> try_export_to(const std::filesystem::path &directory, const Progress &progress = nullptr)
    {
        return detail::exported(progress, directory, [&](const char *path, auto... given) {
            return sstore_table_export_with_progress(db_, c_handle(), path, given...);
        });
    }

    /// The handle, for functions of sstore.h. It stays this object's; that of its database too.
    const sstore_table *c_handle() const noexcept { return handle_.get(); }
    sstore_db *c_db() const noexcept { return db_; }

private:
    template <class F, class... Text> static Result<Table> of(const Db &db, F &&function, const Text &...texts)
    {
        return detail::then(detail::filled<sstore_table *>(function, texts...), [&](sstore_table *taken) {
            return Table(db.c_handle(), taken);
        });
    }
    Result<std::vector<std::string>> names(Code (*ask)(const sstore_table *, sstore_list **, sstore_error **)) const
    {
        return detail::strings([&](sstore_list **out, sstore_error **error) { return ask(c_handle(), out, error); });
    }
    template <class F> static Result<void> with_field(const std::string &name, const std::string &format, F &&function)
    {
        auto columns = detail::Columns::schema({Column{name, format, true}});
        if (!columns) return columns.error();
        return detail::call([&](sstore_error **error) { return function((**columns).children[0], error); });
    }

    sstore_db *db_;
    detail::Handle<sstore_table, sstore_table_free> handle_;
};

inline Result<FlushToken> Db::try_flush_atomic(const std::vector<const ColumnFamily *> &families, const std::vector<const Table *> &tables)
{
    std::vector<const sstore_column_family *> family_handles;
    std::vector<const sstore_table *> table_handles;
    for (const ColumnFamily *family : families) family_handles.push_back(family == nullptr ? nullptr : family->c_handle());
    for (const Table *table : tables) table_handles.push_back(table == nullptr ? nullptr : table->c_handle());
    return detail::made<FlushToken>([&](sstore_flush_token **out, sstore_error **error) {
        return sstore_flush_atomic(c_handle(), family_handles.data(), family_handles.size(), table_handles.data(),
                                   table_handles.size(), out, error);
    });
}

inline Result<void> Batch::try_put_rows(const Table &table, ArrowArray &rows, ArrowSchema *schema)
{
    return detail::call([&](sstore_error **error) {
        return sstore_batch_put_rows(c_handle(), table.c_handle(), &rows, schema, error);
    });
}
inline Result<void> Batch::try_erase_rows(const Table &table, ArrowArray &keys, ArrowSchema *schema)
{
    return detail::call([&](sstore_error **error) {
        return sstore_batch_delete_rows(c_handle(), table.c_handle(), &keys, schema, error);
    });
}

} // namespace sstore

#endif
