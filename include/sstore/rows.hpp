// Rows of a table that are put together value by value, without an Arrow library.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_ROWS_HPP
#define SSTORE_ROWS_HPP

#include <sstore/table.hpp>

namespace sstore {

/// Rows, or keys, that are put together value by value. What is given is copied. Only write() may block. It knows the columns that the table
/// had when it was made. Thread safety: one thread at a time; another one at once gets SSTORE_BUSY. Move-only.
class RowBuilder {
public:
    /// The type of c_handle().
    using c_type = sstore_row_builder;

    /// For whole rows, or with SSTORE_ROW_KEY for keys, to be looked up, erased or scanned from.
    explicit RowBuilder(const Table &table, sstore_row_kind kind = SSTORE_ROW_FULL) : RowBuilder(try_create(table, kind).value()) {}
    static Result<RowBuilder> try_create(const Table &table, sstore_row_kind kind = SSTORE_ROW_FULL)
    {
        return detail::made<RowBuilder>([&](sstore_row_builder **out, sstore_error **error) {
            return sstore_row_builder_create(table.c_db(), table.c_handle(), static_cast<std::uint32_t>(kind), out, error);
        });
    }
    /// Takes over a handle of the C interface.
    explicit RowBuilder(sstore_row_builder *taken) noexcept : handle_(taken) {}

    /// Sets the column at this place in the row that is being put together; what is not set is null. A value is null (nullptr, also as a const
    /// char *, or an empty std::optional), a bool, an integer, a float, or bytes. SSTORE_INVALID_ARGUMENT if the column cannot hold it; an error changes
    /// nothing.
    template <class Value> RowBuilder &set(std::size_t column, const Value &value) { return try_set(column, value).value(), *this; }
    Result<void> try_set(std::size_t column, std::nullptr_t) { return set_by(sstore_row_builder_set_null, column); }
    Result<void> try_set(std::size_t column, double value) { return set_by(sstore_row_builder_set_f64, column, value); }
    Result<void> try_set(std::size_t column, std::string_view value)
    {
        return set_by(sstore_row_builder_set_bytes, column, static_cast<const void *>(value.data()), value.size());
    }
    Result<void> try_set(std::size_t column, const char *value)
    {
        return value == nullptr ? try_set(column, nullptr) : try_set(column, std::string_view(value));
    }
    template <class N> std::enable_if_t<std::is_integral_v<N> && sizeof(N) <= 8, Result<void>> try_set(std::size_t column, N value)
    {
        if constexpr (std::is_same_v<N, bool>)
            return set_by(sstore_row_builder_set_bool, column, value ? 1 : 0);
        else if constexpr (std::is_signed_v<N>)
            return set_by(sstore_row_builder_set_i64, column, static_cast<std::int64_t>(value));
        else
            return set_by(sstore_row_builder_set_u64, column, static_cast<std::uint64_t>(value));
    }
    template <class Value> Result<void> try_set(std::size_t column, const std::optional<Value> &value)
    {
        return value ? try_set(column, *value) : try_set(column, nullptr);
    }
    /// Ends the row. On an error it stays as it was begun: set what is missing, or take back what is set by null.
    RowBuilder &append() { return try_append().value(), *this; }
    Result<void> try_append() { return call(sstore_row_builder_append); }
    /// A whole row: each value in the column at its place. On an error none of them stays behind for the next row.
    template <class... Value> RowBuilder &row(const Value &...values) { return try_row(values...).value(), *this; }
    template <class... Value> Result<void> try_row(const Value &...values)
    {
        std::size_t column = 0;
        Result<void> done;
        static_cast<void>(((done = try_set(column++, values)).ok() && ...));
        if (done) done = try_append();
        if (!done)
            for (column = 0; column < sizeof...(values); column++) static_cast<void>(try_set(column, nullptr));
        return done;
    }

    /// How many rows were appended and not yet written; 0 if it was moved from, and while another thread uses it.
    std::size_t count() const noexcept { return sstore_row_builder_count(c_handle()); }
    /// Forgets all rows, also the one that was begun.
    void clear() { try_clear().value(); }
    Result<void> try_clear() { return call(sstore_row_builder_clear); }
    /// Puts the rows into the table, together, and empties the builder. On an error the rows stay. May block, as Table::append.
    std::uint64_t write(const WriteOptions &options = {}) { return try_write(options).value(); }
    Result<std::uint64_t> try_write(const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        return detail::filled<std::uint64_t>([&](std::uint64_t *sequence, sstore_error **error) {
            return sstore_row_builder_write(c_handle(), &given, sequence, error);
        });
    }
    /// Adds the rows to a batch, and empties the builder. On an error neither changes.
    void add_to(Batch &batch) { try_add_to(batch).value(); }
    Result<void> try_add_to(Batch &batch)
    {
        return detail::call([&](sstore_error **error) {
            return sstore_row_builder_add_to_batch(c_handle(), batch.c_handle(), error);
        });
    }
    /// Gives the rows out, and empties the builder. `schema` gets their columns. On an error the rows stay.
    Arrow<ArrowArray> finish(Arrow<ArrowSchema> *schema = nullptr) { return try_finish(schema).value(); }
    Result<Arrow<ArrowArray>> try_finish(Arrow<ArrowSchema> *schema = nullptr)
    {
        return detail::rows(schema, [&](ArrowArray *rows, ArrowSchema *columns, sstore_error **error) {
            return sstore_row_builder_finish(c_handle(), rows, columns, error);
        });
    }

    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_row_builder *c_handle() const noexcept { return handle_.get(); }

private:
    template <class Function, class... Value> Result<void> set_by(Function *function, std::size_t column, Value... value)
    {
        return detail::call([&](sstore_error **error) { return function(c_handle(), column, value..., error); });
    }
    Result<void> call(Code (*function)(sstore_row_builder *, sstore_error **))
    {
        return detail::call([&](sstore_error **error) { return function(c_handle(), error); });
    }

    detail::Handle<sstore_row_builder, sstore_row_builder_free> handle_;
};

} // namespace sstore

#endif
