// Writes of several operations: batches that are kept, and operations that are written from where they lie.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_BATCH_HPP
#define SSTORE_BATCH_HPP

#include <sstore/call.hpp>

namespace sstore {

class ColumnFamily;
class Table;

/// How one write is done.
struct WriteOptions {
    /// What the call waits for.
    sstore_durability durability = SSTORE_DURABILITY_DEFAULT;
    /// SSTORE_STALLED instead of waiting for flushes or merges.
    bool no_stall = false;
};

/// Operations to be applied together. It may be written any number of times, and filled further; nothing of it blocks. It belongs to the
/// database of the first family or table that it names. Thread safety: one thread at a time; another one at once gets SSTORE_BUSY.
/// Move-only.
class Batch {
public:
    /// The type of c_handle().
    using c_type = sstore_batch;

    /// An empty one. Throws Error if there is no handle left for it.
    Batch() : Batch(try_create().value()) {}
    static Result<Batch> try_create() { return detail::made<Batch>(sstore_batch_create); }
    /// Takes over a handle of the C interface.
    explicit Batch(sstore_batch *taken) noexcept : handle_(taken) {}

    /// Adds: set `key` to `value`, in the default family or in `family`. Both are copied. An error changes nothing.
    Batch &put(std::string_view key, std::string_view value) { return try_put(key, value).value(), *this; }
    Batch &put(const ColumnFamily &family, std::string_view key, std::string_view value)
    {
        return try_put(family, key, value).value(), *this;
    }
    Result<void> try_put(std::string_view key, std::string_view value) { return put_in(nullptr, key, value); }
    Result<void> try_put(const ColumnFamily &family, std::string_view key, std::string_view value);

    /// Adds: remove `key`, which need not be there; otherwise like put().
    Batch &erase(std::string_view key) { return try_erase(key).value(), *this; }
    Batch &erase(const ColumnFamily &family, std::string_view key) { return try_erase(family, key).value(), *this; }
    Result<void> try_erase(std::string_view key) { return erase_in(nullptr, key); }
    Result<void> try_erase(const ColumnFamily &family, std::string_view key);

    /// Adds: put rows into a table. Rows and schema (null: the table's) are moved: released within the call, whatever comes of it.
    Batch &put_rows(const Table &table, ArrowArray &rows, ArrowSchema *schema = nullptr)
    {
        return try_put_rows(table, rows, schema).value(), *this;
    }
    Result<void> try_put_rows(const Table &table, ArrowArray &rows, ArrowSchema *schema = nullptr);
    /// Adds: remove the rows with these keys; otherwise like put_rows().
    Batch &erase_rows(const Table &table, ArrowArray &keys, ArrowSchema *schema = nullptr)
    {
        return try_erase_rows(table, keys, schema).value(), *this;
    }
    Result<void> try_erase_rows(const Table &table, ArrowArray &keys, ArrowSchema *schema = nullptr);

    /// Adds all operations of another batch, which is unchanged. SSTORE_INVALID_ARGUMENT if it is this one.
    Batch &append(const Batch &other) { return try_append(other).value(), *this; }
    Result<void> try_append(const Batch &other)
    {
        return detail::call([&](sstore_error **error) { return sstore_batch_append(c_handle(), other.c_handle(), error); });
    }
    /// Forgets all operations and keeps the memory.
    void clear() { try_clear().value(); }
    Result<void> try_clear()
    {
        return detail::call([&](sstore_error **error) { return sstore_batch_clear(c_handle(), error); });
    }
    /// How many operations it holds; 0 if it was moved from, and while another thread uses it.
    std::size_t count() const noexcept { return sstore_batch_count(c_handle()); }
    /// Its encoded size in bytes; 0 as for count().
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

/// One operation of an array, for Db::write. Family, key and value are borrowed until that call returns: it does not keep them, so
/// `Operation::put(key, std::to_string(n))` is for use within that call, not to be stored.
class Operation {
public:
    /// Sets `key` to `value` in the default family, or in `family`.
    static Operation put(std::string_view key, std::string_view value) noexcept
    {
        return Operation(SSTORE_OPERATION_PUT, nullptr, key, value);
    }
    static Operation put(const ColumnFamily &family, std::string_view key, std::string_view value) noexcept;
    /// Removes `key`.
    static Operation erase(std::string_view key) noexcept { return Operation(SSTORE_OPERATION_DELETE, nullptr, key, {}); }
    static Operation erase(const ColumnFamily &family, std::string_view key) noexcept;

    const sstore_operation &c_struct() const noexcept SSTORE_LENT { return operation_; }

private:
    Operation(sstore_operation_kind kind, const sstore_column_family *family, std::string_view key,
              std::string_view value) noexcept
        : operation_{static_cast<std::uint32_t>(kind), 0, family, detail::slice(key), detail::slice(value)}
    {
    }
    sstore_operation operation_;
};

namespace detail {

inline sstore_write_options c(const WriteOptions &options) noexcept
{
    auto given = sized<sstore_write_options>();
    given.durability = static_cast<std::uint32_t>(options.durability);
    given.no_stall = options.no_stall ? 1 : 0;
    return given;
}

} // namespace detail

} // namespace sstore

#endif
