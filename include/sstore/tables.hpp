// Tables of rows, which speak the Arrow C data and stream interfaces.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_TABLES_HPP
#define SSTORE_TABLES_HPP

#include <sstore/database.hpp>

namespace sstore {

/// Owns a struct of the Arrow C interfaces: an ArrowSchema, an ArrowArray or an ArrowArrayStream, and releases it. Move-only.
/// Where a function of this library takes such a struct it is moved: released within the call, whatever comes of it.
template <class T> class Arrow {
public:
    Arrow() noexcept : held_{} {}
    Arrow(Arrow &&other) noexcept : held_(std::exchange(other.held_, T{})) {}
    Arrow &operator=(Arrow &&other) noexcept
    {
        if (this != &other) reset(), held_ = std::exchange(other.held_, T{});
        return *this;
    }
    ~Arrow() { reset(); }

    /// Whether there is something to release.
    explicit operator bool() const noexcept { return held_.release != nullptr; }
    T &operator*() noexcept { return held_; }
    const T &operator*() const noexcept { return held_; }
    T *operator->() noexcept { return &held_; }
    const T *operator->() const noexcept { return &held_; }
    T *get() noexcept { return &held_; }
    /// Releases it.
    void reset() noexcept
    {
        if (held_.release != nullptr) held_.release(&held_);
        held_ = T{};
    }

private:
    T held_;
};

/// Rows as an Arrow stream; any Arrow library takes `*stream` as it is. One thread at a time. Move-only.
class RowStream {
public:
    explicit RowStream(Arrow<ArrowArrayStream> stream) noexcept : stream_(std::move(stream)) {}
    /// The columns.
    Arrow<ArrowSchema> schema()
    {
        Arrow<ArrowSchema> schema;
        check(stream_->get_schema(stream_.get(), schema.get()));
        return schema;
    }
    /// The next rows, a struct array; without something to release at the end.
    Arrow<ArrowArray> next()
    {
        Arrow<ArrowArray> rows;
        check(stream_->get_next(stream_.get(), rows.get()));
        return rows;
    }
    /// The stream itself, to be handed over: it is moved from then.
    ArrowArrayStream &operator*() noexcept { return *stream_; }

private:
    void check(int code)
    {
        if (code == 0) return;
        const char *const text = stream_->get_last_error(stream_.get());
        throw StreamError(code, text == nullptr ? "" : text);
    }

public:
    /// What next() and schema() throw: the error number and the text that the stream gave.
    class StreamError : public std::exception {
    public:
        StreamError(int os_errno, std::string message) : os_errno_(os_errno), message_(std::move(message)) {}
        const char *what() const noexcept override { return message_.c_str(); }
        int os_errno() const noexcept { return os_errno_; }

    private:
        int os_errno_;
        std::string message_;
    };

private:
    Arrow<ArrowArrayStream> stream_;
};

/// A column of a new table: its name, its type as the Arrow C data interface writes it ("l" int64, "g" float64, "u" text, "z" bytes,
/// "tsm:UTC" a time in milliseconds), and whether it may be null.
struct Column {
    std::string name;
    std::string format;
    bool nullable = false;
};

namespace detail {

/// Columns as an ArrowSchema that frees itself: without an Arrow library.
class Columns {
public:
    static Arrow<ArrowSchema> schema(const std::vector<Column> &columns)
    {
        auto kept = std::make_unique<Columns>(columns);
        Arrow<ArrowSchema> schema;
        schema->format = "+s";
        schema->name = "";
        schema->n_children = static_cast<std::int64_t>(columns.size());
        schema->children = kept->pointers_.data();
        schema->private_data = kept.release();
        schema->release = [](ArrowSchema *released) {
            const std::unique_ptr<Columns> freed(static_cast<Columns *>(released->private_data));
            for (ArrowSchema *child : freed->pointers_)
                if (child->release != nullptr) child->release(child);
            released->release = nullptr;
        };
        return schema;
    }
    explicit Columns(const std::vector<Column> &columns) : columns_(columns), children_(columns.size())
    {
        for (std::size_t index = 0; index < columns_.size(); index++) {
            ArrowSchema &child = children_[index];
            child = ArrowSchema{};
            child.format = columns_[index].format.c_str();
            child.name = columns_[index].name.c_str();
            child.flags = columns_[index].nullable ? ARROW_FLAG_NULLABLE : 0;
            child.release = [](ArrowSchema *released) { released->release = nullptr; };
            pointers_.push_back(&child);
        }
    }

private:
    std::vector<Column> columns_;
    std::vector<ArrowSchema> children_;
    std::vector<ArrowSchema *> pointers_;
};

inline std::vector<const char *> texts(const std::vector<std::string> &strings)
{
    std::vector<const char *> all;
    for (const std::string &string : strings) all.push_back(string.c_str());
    return all;
}

} // namespace detail

/// How a table is made.
struct TableOptions {
    /// Columns of the key that are declared nullable may be null.
    bool nullable_keys = false;
    /// Floats may be in the key.
    bool float_keys = false;
    /// What the files of a table without a key are sorted by.
    std::vector<std::string> order_by = {};
};

/// A table. Its end neither drops nor changes the table. Thread safety: free. Move-only.
class Table {
public:
    Table(sstore_db *db, sstore_table *taken) noexcept : db_(db), handle_(taken) {}

    /// Makes a table with these columns; those of `key` are its key, in that order; without one rows are only appended.
    static Table create(Db &db, const std::string &name, const std::vector<Column> &columns,
                        const std::vector<std::string> &key, const TableOptions &table_options = {},
                        const Options &options = Options())
    {
        Arrow<ArrowSchema> schema = detail::Columns::schema(columns);
        return create(db, name, *schema, key, table_options, options);
    }
    /// The same with the columns of a schema, a struct, which is moved.
    static Table create(Db &db, const std::string &name, ArrowSchema &schema, const std::vector<std::string> &key,
                        const TableOptions &table_options = {}, const Options &options = Options())
    {
        const auto names = detail::texts(key), order_by = detail::texts(table_options.order_by);
        auto given = detail::sized<sstore_table_options>();
        given.nullable_keys = table_options.nullable_keys ? 1 : 0;
        given.float_keys = table_options.float_keys ? 1 : 0;
        given.order_by = order_by.data();
        given.order_by_count = order_by.size();
        sstore_table *table = nullptr;
        detail::call([&](sstore_error **error) {
            return sstore_table_create(db.c_handle(), name.c_str(), &schema, names.data(), names.size(), &given,
                                       options.c_handle(), &table, error);
        }).value();
        return Table(db.c_handle(), table);
    }
    /// A table that is there; SSTORE_NOT_FOUND if it is not.
    static Table open(const Db &db, const std::string &name) { return try_open(db, name).value(); }
    static Result<Table> try_open(const Db &db, const std::string &name)
    {
        sstore_table *table = nullptr;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_table_open(db.c_handle(), name.c_str(), &table, error);
        });
        return detail::with(called, Table(db.c_handle(), table));
    }
    /// The names of all tables, sorted.
    static std::vector<std::string> list(const Db &db)
    {
        detail::Handle<sstore_list, sstore_list_free> names;
        detail::call([&](sstore_error **error) { return sstore_table_list(db.c_handle(), names.out(), error); }).value();
        return detail::strings(names);
    }
    /// Drops it with all its rows; every further use of it gives SSTORE_DROPPED.
    void drop()
    {
        detail::call([&](sstore_error **error) { return sstore_table_drop(db_, handle_.get(), error); }).value();
    }

    /// Its name. The bytes live as long as this object.
    std::string_view name() const
    {
        sstore_slice name{};
        detail::call([&](sstore_error **error) { return sstore_table_name(c_handle(), &name, error); }).value();
        return detail::view(name);
    }
    /// Its columns, a struct.
    Arrow<ArrowSchema> schema() const
    {
        Arrow<ArrowSchema> schema;
        detail::call([&](sstore_error **error) { return sstore_table_schema(c_handle(), schema.get(), error); }).value();
        return schema;
    }
    /// The names of the key's columns, in key order.
    std::vector<std::string> key() const { return names(sstore_table_key); }
    /// The names of the columns that files of a table without a key are sorted by.
    std::vector<std::string> order_by() const { return names(sstore_table_order_by); }
    /// The options that are in force for it.
    Options options() const
    {
        sstore_options *options = nullptr;
        detail::call([&](sstore_error **error) { return sstore_table_get_options(c_handle(), &options, error); }).value();
        return Options(options);
    }

    /// Changes the columns. Rows that are there have nulls in a new one.
    void add_column(const std::string &name, const std::string &format)
    {
        Arrow<ArrowSchema> columns = detail::Columns::schema({Column{name, format, true}});
        detail::call([&](sstore_error **error) {
            return sstore_table_add_column(db_, c_handle(), columns->children[0], error);
        }).value();
    }
    void drop_column(const std::string &name)
    {
        detail::call([&](sstore_error **error) { return sstore_table_drop_column(db_, c_handle(), name.c_str(), error); }).value();
    }
    void rename_column(const std::string &name, const std::string &new_name)
    {
        detail::call([&](sstore_error **error) {
            return sstore_table_rename_column(db_, c_handle(), name.c_str(), new_name.c_str(), error);
        }).value();
    }
    void widen_column(const std::string &name, const std::string &format)
    {
        Arrow<ArrowSchema> columns = detail::Columns::schema({Column{name, format, true}});
        detail::call([&](sstore_error **error) {
            return sstore_table_widen_column(db_, c_handle(), name.c_str(), columns->children[0], error);
        }).value();
    }

    /// Puts the rows of a struct array into the table, together. Both are moved; a null schema stands for the table's columns.
    std::uint64_t append(ArrowArray &rows, ArrowSchema *schema = nullptr, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        std::uint64_t sequence = 0;
        detail::call([&](sstore_error **error) {
            return sstore_table_append(db_, c_handle(), &given, &rows, schema, &sequence, error);
        }).value();
        return sequence;
    }
    /// Puts every batch of a stream, which is moved, into the table, each as one write. Gives how many rows.
    std::uint64_t append(ArrowArrayStream &stream, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        std::uint64_t rows = 0;
        detail::call([&](sstore_error **error) {
            return sstore_table_append_stream(db_, c_handle(), &given, &stream, &rows, nullptr, error);
        }).value();
        return rows;
    }
    /// Removes the rows with these keys, whether they exist or not. Both are moved.
    std::uint64_t erase(ArrowArray &keys, ArrowSchema *schema = nullptr, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        std::uint64_t sequence = 0;
        detail::call([&](sstore_error **error) {
            return sstore_table_delete(db_, c_handle(), &given, &keys, schema, &sequence, error);
        }).value();
        return sequence;
    }

    /// The row with one key, a struct array of one row, which is moved; without something to release if there is none.
    /// `columns`: only these; `row_schema`: gets the row's columns.
    Arrow<ArrowArray> get(ArrowArray &key, const std::vector<std::string> &columns = {},
                          Arrow<ArrowSchema> *row_schema = nullptr, const ReadOptions &options = {}) const
    {
        const auto given = detail::c(options);
        const auto wanted = detail::texts(columns);
        Arrow<ArrowArray> row;
        if (row_schema != nullptr) row_schema->reset();
        detail::found([&](sstore_error **error) {
            return sstore_table_get(db_, c_handle(), &given, wanted.data(), wanted.size(), &key, nullptr, row.get(),
                                    row_schema == nullptr ? nullptr : row_schema->get(), error);
        }).value();
        return row;
    }
    /// The rows with many keys at one moment; `found` gets a 1 or 0 for each key.
    Arrow<ArrowArray> get_many(ArrowArray &keys, std::vector<std::uint8_t> &found, const std::vector<std::string> &columns = {},
                               Arrow<ArrowSchema> *rows_schema = nullptr, const ReadOptions &options = {}) const
    {
        const auto given = detail::c(options);
        const auto wanted = detail::texts(columns);
        found.assign(keys.length > 0 ? static_cast<std::size_t>(keys.length) : 0, 0);
        Arrow<ArrowArray> rows;
        if (rows_schema != nullptr) rows_schema->reset();
        detail::call([&](sstore_error **error) {
            return sstore_table_get_many(db_, c_handle(), &given, wanted.data(), wanted.size(), &keys, nullptr, found.data(),
                                         found.size(), rows.get(), rows_schema == nullptr ? nullptr : rows_schema->get(),
                                         error);
        }).value();
        return rows;
    }

    /// Has what is in memory written to files. Does not wait for it: the token does.
    FlushToken flush()
    {
        sstore_flush_token *token = nullptr;
        const sstore_table *const tables[1] = {c_handle()};
        detail::call([&](sstore_error **error) { return sstore_table_flush(db_, tables, 1, &token, error); }).value();
        return FlushToken(token);
    }
    /// Merges all files into one, and waits for it.
    void compact() { detail::call([&](sstore_error **error) { return sstore_table_compact(db_, c_handle(), error); }).value(); }
    /// The files, newest last. Keys in them are encoded.
    std::vector<Segment> segments() const
    {
        detail::Handle<sstore_segments, sstore_segments_free> list;
        detail::call([&](sstore_error **error) { return sstore_table_segments(db_, c_handle(), list.out(), error); }).value();
        return detail::segments(list);
    }
    /// The files that it consists of, which stay as long as the Files do.
    Files live_files(const ReadOptions &options = {}) const
    {
        const auto given = detail::c(options);
        sstore_files *files = nullptr;
        detail::call([&](sstore_error **error) {
            return sstore_table_live_files(db_, c_handle(), &given, &files, error);
        }).value();
        return Files(files);
    }
    /// Puts hard links to its files into `directory`, which must not exist yet. Blocks.
    Files export_to(const std::filesystem::path &directory)
    {
        sstore_files *files = nullptr;
        detail::call([&](sstore_error **error) {
            return sstore_table_export(db_, c_handle(), directory.c_str(), &files, error);
        }).value();
        return Files(files);
    }

    /// The handle, for functions of sstore.h. It stays this object's; that of its database too.
    const sstore_table *c_handle() const noexcept { return handle_.get(); }
    sstore_db *c_db() const noexcept { return db_; }

private:
    std::vector<std::string> names(Code (*ask)(const sstore_table *, sstore_list **, sstore_error **)) const
    {
        detail::Handle<sstore_list, sstore_list_free> list;
        detail::call([&](sstore_error **error) { return ask(c_handle(), list.out(), error); }).value();
        return detail::strings(list);
    }

    sstore_db *db_;
    detail::Handle<sstore_table, sstore_table_free> handle_;
};

inline FlushToken Db::flush_atomic(const std::vector<const ColumnFamily *> &families, const std::vector<const Table *> &tables)
{
    std::vector<const sstore_column_family *> family_handles;
    std::vector<const sstore_table *> table_handles;
    for (const ColumnFamily *family : families) family_handles.push_back(family == nullptr ? nullptr : family->c_handle());
    for (const Table *table : tables) table_handles.push_back(table == nullptr ? nullptr : table->c_handle());
    sstore_flush_token *token = nullptr;
    detail::call([&](sstore_error **error) {
        return sstore_flush_atomic(c_handle(), family_handles.data(), family_handles.size(), table_handles.data(),
                                   table_handles.size(), &token, error);
    }).value();
    return FlushToken(token);
}

inline Batch &Batch::put_rows(const Table &table, ArrowArray &rows, ArrowSchema *schema)
{
    detail::call([&](sstore_error **error) {
        return sstore_batch_put_rows(c_handle(), table.c_handle(), &rows, schema, error);
    }).value();
    return *this;
}
inline Batch &Batch::erase_rows(const Table &table, ArrowArray &keys, ArrowSchema *schema)
{
    detail::call([&](sstore_error **error) {
        return sstore_batch_delete_rows(c_handle(), table.c_handle(), &keys, schema, error);
    }).value();
    return *this;
}

/// Rows, or keys, that are put together value by value. Thread safety: one thread at a time. Move-only.
class RowBuilder {
public:
    /// For whole rows, or with SSTORE_ROW_KEY for keys, to be looked up, erased or scanned from.
    explicit RowBuilder(const Table &table, sstore_row_kind kind = SSTORE_ROW_FULL)
    {
        detail::call([&](sstore_error **error) {
            return sstore_row_builder_create(table.c_db(), table.c_handle(), static_cast<std::uint32_t>(kind), handle_.out(),
                                             error);
        }).value();
    }

    /// Sets the column at this place in the row that is being put together; what is not set is null.
    RowBuilder &set(std::size_t column, std::nullptr_t) { return set_by(sstore_row_builder_set_null, column); }
    RowBuilder &set(std::size_t column, double value) { return set_by(sstore_row_builder_set_f64, column, value); }
    RowBuilder &set(std::size_t column, std::string_view value)
    {
        return set_by(sstore_row_builder_set_bytes, column, static_cast<const void *>(value.data()), value.size());
    }
    RowBuilder &set(std::size_t column, const char *value) { return set(column, std::string_view(value)); }
    template <class N> std::enable_if_t<std::is_integral_v<N>, RowBuilder &> set(std::size_t column, N value)
    {
        if constexpr (std::is_same_v<N, bool>)
            return set_by(sstore_row_builder_set_bool, column, value ? 1 : 0);
        else if constexpr (std::is_signed_v<N>)
            return set_by(sstore_row_builder_set_i64, column, static_cast<std::int64_t>(value));
        else
            return set_by(sstore_row_builder_set_u64, column, static_cast<std::uint64_t>(value));
    }
    /// Ends the row.
    RowBuilder &append() { return call(sstore_row_builder_append); }
    /// A whole row: each value in the column at its place.
    template <class... Value> RowBuilder &row(const Value &...values)
    {
        std::size_t column = 0;
        (set(column++, values), ...);
        return append();
    }

    /// How many rows were appended and not yet written.
    std::size_t count() const noexcept { return sstore_row_builder_count(c_handle()); }
    /// Forgets all rows.
    void clear() { call(sstore_row_builder_clear); }
    /// Puts the rows into the table, together, and empties the builder.
    std::uint64_t write(const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        std::uint64_t sequence = 0;
        detail::call([&](sstore_error **error) {
            return sstore_row_builder_write(c_handle(), &given, &sequence, error);
        }).value();
        return sequence;
    }
    /// Adds the rows to a batch, and empties the builder.
    void add_to(Batch &batch)
    {
        detail::call([&](sstore_error **error) {
            return sstore_row_builder_add_to_batch(c_handle(), batch.c_handle(), error);
        }).value();
    }
    /// Gives the rows out, and empties the builder.
    Arrow<ArrowArray> finish(Arrow<ArrowSchema> *schema = nullptr)
    {
        Arrow<ArrowArray> rows;
        if (schema != nullptr) schema->reset();
        detail::call([&](sstore_error **error) {
            return sstore_row_builder_finish(c_handle(), rows.get(), schema == nullptr ? nullptr : schema->get(), error);
        }).value();
        return rows;
    }

    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_row_builder *c_handle() const noexcept { return handle_.get(); }

private:
    template <class Function, class... Value> RowBuilder &set_by(Function *function, std::size_t column, Value... value)
    {
        detail::call([&](sstore_error **error) { return function(c_handle(), column, value..., error); }).value();
        return *this;
    }
    RowBuilder &call(Code (*function)(sstore_row_builder *, sstore_error **))
    {
        detail::call([&](sstore_error **error) { return function(c_handle(), error); }).value();
        return *this;
    }

    detail::Handle<sstore_row_builder, sstore_row_builder_free> handle_;
};

/// A condition on rows, of no table in particular. It never changes. Thread safety: free. Move-only.
class Filter {
public:
    /// From text, as SQL writes conditions: "a > 3 AND b LIKE 'x%'". SSTORE_INVALID_ARGUMENT says where it cannot be understood.
    explicit Filter(const std::string &text)
        : Filter(made([&](sstore_filter **out, sstore_error **error) { return sstore_filter_parse(text.c_str(), out, error); }))
    {
    }
    /// `column` compared with a literal: an array of one row with its type, both moved.
    static Filter compare(const std::string &column, sstore_comparison comparison, ArrowArray &literal, ArrowSchema &schema)
    {
        return made([&](sstore_filter **out, sstore_error **error) {
            return sstore_filter_compare(column.c_str(), static_cast<std::uint32_t>(comparison), &literal, &schema, out, error);
        });
    }
    /// `column` is one of the literals: an array with its type, both moved.
    static Filter in(const std::string &column, ArrowArray &literals, ArrowSchema &schema)
    {
        return made([&](sstore_filter **out, sstore_error **error) {
            return sstore_filter_in(column.c_str(), &literals, &schema, out, error);
        });
    }
    static Filter is_null(const std::string &column)
    {
        return made([&](sstore_filter **out, sstore_error **error) {
            return sstore_filter_is_null(column.c_str(), out, error);
        });
    }
    /// The text or binary in `column` begins so.
    static Filter starts_with(const std::string &column, std::string_view prefix)
    {
        return made([&](sstore_filter **out, sstore_error **error) {
            return sstore_filter_starts_with(column.c_str(), prefix.data(), prefix.size(), out, error);
        });
    }
    friend Filter operator&&(const Filter &a, const Filter &b) { return combined(SSTORE_LOGIC_AND, {a.c_handle(), b.c_handle()}); }
    friend Filter operator||(const Filter &a, const Filter &b) { return combined(SSTORE_LOGIC_OR, {a.c_handle(), b.c_handle()}); }
    Filter operator!() const { return combined(SSTORE_LOGIC_NOT, {c_handle()}); }

    /// The handle, for functions of sstore.h. It stays this object's.
    const sstore_filter *c_handle() const noexcept { return handle_.get(); }

private:
    explicit Filter(sstore_filter *taken) noexcept : handle_(taken) {}
    template <class F> static Filter made(F &&function)
    {
        sstore_filter *filter = nullptr;
        detail::call([&](sstore_error **error) { return function(&filter, error); }).value();
        return Filter(filter);
    }
    static Filter combined(sstore_logic logic, std::initializer_list<const sstore_filter *> filters)
    {
        return made([&](sstore_filter **out, sstore_error **error) {
            return sstore_filter_combine(static_cast<std::uint32_t>(logic), filters.begin(), filters.size(), out, error);
        });
    }

    detail::Handle<sstore_filter, sstore_filter_free> handle_;
};

/// Executes a split, which may come from another process, without a database handle; see Scan::splits. `database`: where its files lie
/// now; empty: where they lay.
inline RowStream execute_split(std::string_view split, const std::filesystem::path &database = {})
{
    Arrow<ArrowArrayStream> stream;
    detail::call([&](sstore_error **error) {
        return sstore_split_execute(split.data(), split.size(), database.empty() ? nullptr : database.c_str(), stream.get(),
                                    error);
    }).value();
    return RowStream(std::move(stream));
}

/// A scan in pieces. No file that they read is deleted as long as it is there. Thread safety: free. Move-only.
class Splits {
public:
    explicit Splits(sstore_splits *taken) noexcept : handle_(taken) {}
    std::size_t size() const noexcept { return sstore_splits_count(handle_.get()); }
    /// The last write that they show.
    std::uint64_t sequence() const noexcept { return sstore_splits_sequence(handle_.get()); }
    /// The split at `index`. Its bytes live as long as this object.
    sstore_split operator[](std::size_t index) const
    {
        auto split = detail::sized<sstore_split>();
        detail::call([&](sstore_error **error) { return sstore_splits_get(handle_.get(), index, &split, error); }).value();
        return split;
    }
    /// Executes the split at `index` here.
    RowStream execute(std::size_t index) const { return execute_split(detail::view((*this)[index].bytes)); }

private:
    detail::Handle<sstore_splits, sstore_splits_free> handle_;
};

/// What a scan of a table is to give; it can be executed any number of times. Thread safety: one thread at a time. Move-only.
class Scan {
public:
    /// All rows and columns, to be narrowed down.
    explicit Scan(const Table &table)
    {
        detail::call([&](sstore_error **error) {
            return sstore_scan_create(table.c_db(), table.c_handle(), handle_.out(), error);
        }).value();
    }

    /// Only these columns, in this order; none: all.
    Scan &columns(const std::vector<std::string> &names)
    {
        const auto wanted = detail::texts(names);
        return set([&](sstore_error **error) {
            return sstore_scan_set_columns(c_handle(), wanted.data(), wanted.size(), error);
        });
    }
    /// Only rows that meet the condition.
    Scan &where(const Filter &filter)
    {
        return set([&](sstore_error **error) { return sstore_scan_set_filter(c_handle(), filter.c_handle(), error); });
    }
    Scan &where(const std::string &text) { return where(Filter(text)); }
    /// Only a range of keys: one row of the key's leading columns, as RowBuilder gives it; it is moved.
    Scan &bound(sstore_bound kind, ArrowArray &bound, ArrowSchema *schema = nullptr)
    {
        return set([&](sstore_error **error) {
            return sstore_scan_set_bound(c_handle(), static_cast<std::uint32_t>(kind), &bound, schema, error);
        });
    }
    /// At most so many rows.
    Scan &limit(std::uint64_t rows)
    {
        return set([&](sstore_error **error) { return sstore_scan_set_limit(c_handle(), rows, error); });
    }
    /// From the end.
    Scan &reverse(bool reversed = true)
    {
        return set([&](sstore_error **error) { return sstore_scan_set_reverse(c_handle(), reversed ? 1 : 0, error); });
    }
    /// At most so many rows in one array; 0: 8192.
    Scan &batch_rows(std::size_t rows)
    {
        return set([&](sstore_error **error) { return sstore_scan_set_batch_rows(c_handle(), rows, error); });
    }
    /// Keeps what is read in the cache.
    Scan &cached(bool kept = true)
    {
        return set([&](sstore_error **error) { return sstore_scan_set_cached(c_handle(), kept ? 1 : 0, error); });
    }
    /// The table as it was at a snapshot, which the scan keeps open.
    Scan &at(const Snapshot &snapshot)
    {
        return set([&](sstore_error **error) { return sstore_scan_set_snapshot(c_handle(), snapshot.c_handle(), error); });
    }

    /// The rows, as they are at this call. The stream needs no other object any more.
    RowStream execute() const
    {
        Arrow<ArrowArrayStream> stream;
        detail::call([&](sstore_error **error) { return sstore_scan_execute(c_handle(), stream.get(), error); }).value();
        return RowStream(std::move(stream));
    }
    /// For people: which files it would read, and which it would leave out and why.
    std::string explain() const
    {
        char *text = nullptr;
        detail::call([&](sstore_error **error) { return sstore_scan_explain(c_handle(), &text, error); }).value();
        const detail::Text freed(text);
        return text;
    }
    /// Cuts it into pieces of about `target_bytes` of file each, which other processes may execute.
    Splits splits(std::uint64_t target_bytes) const
    {
        sstore_splits *splits = nullptr;
        detail::call([&](sstore_error **error) {
            return sstore_scan_splits(c_handle(), target_bytes, &splits, error);
        }).value();
        return Splits(splits);
    }

    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_scan *c_handle() const noexcept { return handle_.get(); }

private:
    template <class F> Scan &set(F &&function)
    {
        detail::call(function).value();
        return *this;
    }

    detail::Handle<sstore_scan, sstore_scan_free> handle_;
};

} // namespace sstore

#endif
