// Scans of tables.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_SCAN_HPP
#define SSTORE_SCAN_HPP

#include <sstore/filter.hpp>
#include <sstore/splits.hpp>
#include <sstore/table.hpp>

namespace sstore {

/// What a scan of a table is to give; it can be executed any number of times. What is set is copied; columns and conditions are checked when
/// it is executed. Thread safety: one thread at a time; another one at once gets SSTORE_BUSY. Move-only.
class Scan {
public:
    /// The type of c_handle().
    using c_type = sstore_scan;

    /// All rows and columns, to be narrowed down.
    explicit Scan(const Table &table) : Scan(try_create(table).value()) {}
    static Result<Scan> try_create(const Table &table)
    {
        return detail::made<Scan>([&](sstore_scan **out, sstore_error **error) {
            return sstore_scan_create(table.c_db(), table.c_handle(), out, error);
        });
    }
    /// Takes over a handle of the C interface.
    explicit Scan(sstore_scan *taken) noexcept : handle_(taken) {}

    /// Only these columns, in this order; none: all.
    Scan &columns(const std::vector<std::string> &names) { return try_columns(names).value(), *this; }
    Result<void> try_columns(const std::vector<std::string> &names)
    {
        const auto wanted = detail::texts(names);
        return detail::call([&](sstore_error **error) {
            return sstore_scan_set_columns(c_handle(), wanted.data(), wanted.size(), error);
        }, names);
    }
    /// Only rows that meet the condition.
    Scan &where(const Filter &filter) { return try_where(filter).value(), *this; }
    Scan &where(const std::string &text) { return try_where(text).value(), *this; }
    Result<void> try_where(const Filter &filter) { return set(sstore_scan_set_filter, filter.c_handle()); }
    Result<void> try_where(const std::string &text)
    {
        const auto filter = Filter::try_parse(text);
        if (!filter) return filter.error();
        return try_where(*filter);
    }
    /// Only a range of keys: one row of the key's leading columns, as RowBuilder gives it; both are moved. A null schema stands for the key's.
    Scan &bound(sstore_bound kind, ArrowArray &bound, ArrowSchema *schema = nullptr)
    {
        return try_bound(kind, bound, schema).value(), *this;
    }
    Result<void> try_bound(sstore_bound kind, ArrowArray &bound, ArrowSchema *schema = nullptr)
    {
        return set(sstore_scan_set_bound, static_cast<std::uint32_t>(kind), &bound, schema);
    }
    /// At most so many rows.
    Scan &limit(std::uint64_t rows) { return try_limit(rows).value(), *this; }
    Result<void> try_limit(std::uint64_t rows) { return set(sstore_scan_set_limit, rows); }
    /// From the end.
    Scan &reverse(bool reversed = true) { return try_reverse(reversed).value(), *this; }
    Result<void> try_reverse(bool reversed = true) { return set(sstore_scan_set_reverse, reversed ? 1u : 0u); }
    /// At most so many rows in one array; 0: 8192.
    Scan &batch_rows(std::size_t rows) { return try_batch_rows(rows).value(), *this; }
    Result<void> try_batch_rows(std::size_t rows) { return set(sstore_scan_set_batch_rows, rows); }
    /// Keeps what is read in the cache.
    Scan &cached(bool kept = true) { return try_cached(kept).value(), *this; }
    Result<void> try_cached(bool kept = true) { return set(sstore_scan_set_cached, kept ? 1u : 0u); }
    /// The table as it was at a snapshot, which the scan keeps open.
    Scan &at(const Snapshot &snapshot) { return try_at(snapshot).value(), *this; }
    Result<void> try_at(const Snapshot &snapshot) { return set(sstore_scan_set_snapshot, snapshot.c_handle()); }

    /// The rows, as they are at this call. The stream needs no other object any more. May block: reads files.
    RowStream execute() const { return try_execute().value(); }
    Result<RowStream> try_execute() const
    {
        return detail::streamed([&](ArrowArrayStream *out, sstore_error **error) { return sstore_scan_execute(c_handle(), out, error); });
    }
    /// For people: which files it would read, and which it would leave out and why. May block: reads files.
    std::string explain() const { return try_explain().value(); }
    Result<std::string> try_explain() const
    {
        return detail::text([&](char **out, sstore_error **error) { return sstore_scan_explain(c_handle(), out, error); });
    }
    /// Cuts it into pieces of about `target_bytes` of file each, which other processes may execute. Blocks: flushes the table first.
    /// SSTORE_INVALID_ARGUMENT if it has a limit.
    Splits splits(std::uint64_t target_bytes) const { return try_splits(target_bytes).value(); }
    Result<Splits> try_splits(std::uint64_t target_bytes) const
    {
        return detail::made<Splits>([&](sstore_splits **out, sstore_error **error) {
            return sstore_scan_splits(c_handle(), target_bytes, out, error);
        });
    }

    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_scan *c_handle() const noexcept { return handle_.get(); }

private:
    template <class Function, class... Value> Result<void> set(Function *function, Value... value)
    {
        return detail::call([&](sstore_error **error) { return function(c_handle(), value..., error); });
    }

    detail::Handle<sstore_scan, sstore_scan_free> handle_;
};

} // namespace sstore

#endif
