// Databases: open, write, snapshots, families, what is told of them, close.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_DATABASE_HPP
#define SSTORE_DATABASE_HPP

#include <sstore/family.hpp>

namespace sstore {

/// How a database is closed.
struct CloseOptions {
    /// Whether to flush first; nothing: as the option flush_on_close says.
    std::optional<bool> flush = std::nullopt;
    /// Close even if iterators or snapshots are open.
    bool force = false;
    /// How long to wait for flushes and merges; 0: as long as they take.
    std::uint64_t timeout_millis = 0;
};

/// Who needs the oldest record of the log.
struct LogPin {
    /// The family or table.
    std::string family;
    std::uint64_t sequence;
    std::uint64_t segment;
    /// Whether the memtable that holds the record waits for its flush already.
    bool is_frozen;
};

/// An open database. As a KeySpace it is its default family.
/// What belongs to it (families, iterators, snapshots, pinned values, tables, tokens, scans) may go before it or after it, in any order; it
/// keeps the database open until it goes, and so locked. After its Db has gone, iterators, pinned values, scans and streams go on;
/// families and tables, whose calls go through the Db, give SSTORE_CLOSED. Thread safety: free. Move-only; assigning to it releases what it was.
class Db : public KeySpace {
public:
    /// Opens the database in the directory `path`; makes it unless the options say otherwise. Blocks: reads files, replays the log.
    /// SSTORE_LOCKED if it is open elsewhere.
    explicit Db(const std::filesystem::path &path, const Options &options = Options()) : Db(open(path, options)) {}
    static Db open(const std::filesystem::path &path, const Options &options = Options())
    {
        return try_open(path, options).value();
    }
    static Result<Db> try_open(const std::filesystem::path &path, const Options &options = Options())
    {
        return detail::made<Db>([&](sstore_db **out, sstore_error **error) {
            return sstore_open(path.c_str(), options.c_handle(), out, error);
        }, path);
    }
    /// The type of c_handle().
    using c_type = sstore_db;
    /// Takes over a handle of the C interface.
    explicit Db(sstore_db *taken) noexcept : KeySpace(taken, nullptr), handle_(taken) {}
    Db(Db &&other) noexcept = default;
    Db &operator=(Db &&other) noexcept = default;
    /// Releases it: it is closed, at the latest when the last thing that belongs to it goes, and what fails then is lost. close() tells.
    /// Blocks like close() if nothing else is open.
    ~Db() = default;

    /// Closes it: flushes, waits for background work, syncs. SSTORE_BUSY while iterators or snapshots are open, and SSTORE_TIMED_OUT:
    /// nothing was closed. After any other error of the flush or the disk it is closed all the same, and what was logged is safe.
    /// Blocks. Not in a listener.
    void close(const CloseOptions &options = {}) { try_close(options).value(); }
    Result<void> try_close(const CloseOptions &options = {})
    {
        auto given = detail::sized<sstore_close_options>();
        given.flush = options.flush ? (*options.flush ? 1 : 2) : 0;
        given.force = options.force ? 1 : 0;
        given.timeout_millis = options.timeout_millis;
        return detail::call([&](sstore_error **error) { return sstore_close(c_handle(), &given, error); });
    }
    /// What is open and would make close() say SSTORE_BUSY.
    sstore_open_objects open_objects() const { return try_open_objects().value(); }
    Result<sstore_open_objects> try_open_objects() const { return told<sstore_open_objects>(sstore_open_objects_count); }
    /// Deletes the database in `path`, which must not be open; nothing happens if there is none. Blocks.
    static void destroy(const std::filesystem::path &path) { try_destroy(path).value(); }
    static Result<void> try_destroy(const std::filesystem::path &path)
    {
        return detail::call([&](sstore_error **error) { return sstore_destroy(path.c_str(), error); }, path);
    }

    /// Makes a column family; SSTORE_INVALID_ARGUMENT if there is one of that name. Blocks: syncs.
    ColumnFamily create_column_family(const std::string &name, const Options &options = Options())
    {
        return try_create_column_family(name, options).value();
    }
    Result<ColumnFamily> try_create_column_family(const std::string &name, const Options &options = Options())
    {
        return family([&](sstore_column_family **out, sstore_error **error) {
            return sstore_column_family_create(c_handle(), name.c_str(), options.c_handle(), out, error);
        }, name);
    }
    /// A family that is there; SSTORE_NOT_FOUND if it is not.
    ColumnFamily column_family(const std::string &name) const { return try_column_family(name).value(); }
    Result<ColumnFamily> try_column_family(const std::string &name) const
    {
        return family([&](sstore_column_family **out, sstore_error **error) {
            return sstore_column_family_open(c_handle(), name.c_str(), out, error);
        }, name);
    }
    /// The names of all families, sorted.
    std::vector<std::string> column_families() const { return try_column_families().value(); }
    Result<std::vector<std::string>> try_column_families() const
    {
        return detail::strings([&](sstore_list **out, sstore_error **error) {
            return sstore_column_family_list(c_handle(), out, error);
        });
    }
    /// Drops a family with all its data; every further use of it gives SSTORE_DROPPED. Blocks: syncs.
    void drop(ColumnFamily &family) { try_drop(family).value(); }
    Result<void> try_drop(ColumnFamily &family)
    {
        return detail::call([&](sstore_error **error) {
            return sstore_column_family_drop(c_handle(), family.handle_.get(), error);
        });
    }

    /// Applies a batch, or the operations of a list: all of them or, on an error, none. Gives the place of the last one. May block.
    std::uint64_t write(const Batch &batch, const WriteOptions &options = {}) { return try_write(batch, options).value(); }
    Result<std::uint64_t> try_write(const Batch &batch, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        return detail::filled<std::uint64_t>([&](std::uint64_t *sequence, sstore_error **error) {
            return sstore_write(c_handle(), &given, batch.c_handle(), sequence, error);
        });
    }
    std::uint64_t write(std::initializer_list<Operation> operations, const WriteOptions &options = {})
    {
        return try_write(operations, options).value();
    }
    Result<std::uint64_t> try_write(std::initializer_list<Operation> operations, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        std::vector<sstore_operation> all;
        for (const Operation &operation : operations) all.push_back(operation.c_struct());
        return detail::filled<std::uint64_t>([&](std::uint64_t *sequence, sstore_error **error) {
            return sstore_write_operations(c_handle(), &given, all.data(), all.size(), sequence, error);
        });
    }
    /// Makes every write that was acknowledged before this call durable. Blocks.
    void sync() { try_sync().value(); }
    Result<void> try_sync()
    {
        return detail::call([&](sstore_error **error) { return sstore_sync(c_handle(), error); });
    }

    /// The present, for reads to go back to.
    Snapshot snapshot() const { return try_snapshot().value(); }
    Result<Snapshot> try_snapshot() const
    {
        return detail::made<Snapshot>([&](sstore_snapshot **out, sstore_error **error) {
            return sstore_snapshot_create(c_handle(), out, error);
        });
    }
    /// The moment of another snapshot that is still open; SSTORE_GAP if none has this sequence.
    Snapshot snapshot_at(std::uint64_t sequence) const { return try_snapshot_at(sequence).value(); }
    Result<Snapshot> try_snapshot_at(std::uint64_t sequence) const
    {
        return detail::made<Snapshot>([&](sstore_snapshot **out, sstore_error **error) {
            return sstore_snapshot_at(c_handle(), sequence, out, error);
        });
    }

    /// Has the memory of all families and tables written to files; flush() does it for the default family alone. Does not wait for it.
    FlushToken flush_all() { return try_flush_all().value(); }
    Result<FlushToken> try_flush_all()
    {
        return detail::made<FlushToken>([&](sstore_flush_token **out, sstore_error **error) {
            return sstore_flush(c_handle(), nullptr, 0, out, error);
        });
    }
    /// Flushes these families and tables (none of either: all of both) so that their files come to count all at once. A null family is the
    /// default one. Does not wait for it.
    FlushToken flush_atomic(const std::vector<const ColumnFamily *> &families = {}, const std::vector<const Table *> &tables = {})
    {
        return try_flush_atomic(families, tables).value();
    }
    Result<FlushToken> try_flush_atomic(const std::vector<const ColumnFamily *> &families = {}, const std::vector<const Table *> &tables = {});
    /// Brings a database that was opened with read_only up to what its writer has done. Gives the newest sequence that reads see. May
    /// block: reads files.
    std::uint64_t refresh() { return try_refresh().value(); }
    Result<std::uint64_t> try_refresh() { return told<std::uint64_t>(sstore_refresh); }
    /// The failure that stopped background work, or the damage of a file that did not open. Throws nothing but std::bad_alloc.
    std::optional<Error> background_error() const
    {
        const auto called = detail::call([&](sstore_error **error) { return sstore_background_error(c_handle(), error); });
        return called ? std::nullopt : std::optional<Error>(called.error());
    }
    /// Takes background work up again after its cause was removed. May block.
    void resume() { try_resume().value(); }
    Result<void> try_resume()
    {
        return detail::call([&](sstore_error **error) { return sstore_resume(c_handle(), error); });
    }

    /// What it holds. This and what follows does not block.
    sstore_stats stats() const { return try_stats().value(); }
    Result<sstore_stats> try_stats() const { return told<sstore_stats>(sstore_stats_get); }
    /// What holds memory.
    sstore_memory_use memory_use() const { return try_memory_use().value(); }
    Result<sstore_memory_use> try_memory_use() const { return told<sstore_memory_use>(sstore_memory_use_get); }
    /// The times of one operation, such as "write"; sstore_histogram_get lists them.
    sstore_histogram histogram(const std::string &name) const { return try_histogram(name).value(); }
    Result<sstore_histogram> try_histogram(const std::string &name) const
    {
        return detail::filled<sstore_histogram>([&](sstore_histogram *out, sstore_error **error) {
            return sstore_histogram_get(c_handle(), name.c_str(), out, error);
        }, name);
    }
    /// Every counter, by name.
    std::vector<std::pair<std::string, std::uint64_t>> metrics() const { return try_metrics().value(); }
    Result<std::vector<std::pair<std::string, std::uint64_t>>> try_metrics() const
    {
        detail::Handle<sstore_metrics, sstore_metrics_free> metrics;
        const auto called = detail::call([&](sstore_error **error) { return sstore_metrics_create(c_handle(), metrics.out(), error); });
        if (!called) return called.error();
        std::vector<std::pair<std::string, std::uint64_t>> all;
        for (std::size_t index = 0, count = sstore_metrics_count(metrics.get()); index < count; index++) {
            std::uint64_t value = 0;
            const auto name = detail::filled<const char *>([&](const char **out, sstore_error **error) {
                return sstore_metrics_get(metrics.get(), index, out, &value, error);
            });
            if (!name) return name.error();
            all.emplace_back(*name, value);
        }
        return Result<std::vector<std::pair<std::string, std::uint64_t>>>(std::move(all));
    }
    /// The same in the text format of Prometheus.
    std::string metrics_text() const { return try_metrics_text().value(); }
    Result<std::string> try_metrics_text() const
    {
        return detail::text([&](char **out, sstore_error **error) { return sstore_metrics_text(c_handle(), out, nullptr, error); });
    }
    /// Who needs the oldest record of the log; nothing if all of it is in files.
    std::optional<LogPin> log_pin() const { return try_log_pin().value(); }
    Result<std::optional<LogPin>> try_log_pin() const
    {
        auto pin = detail::sized<sstore_log_pin>();
        const auto family = detail::text([&](char **out, sstore_error **error) {
            return sstore_log_pin_get(c_handle(), out, &pin, error);
        });
        if (family) return std::optional<LogPin>(LogPin{*family, pin.sequence, pin.segment, pin.is_frozen != 0});
        if (family.code() != SSTORE_NOT_FOUND) return family.error();
        return std::optional<LogPin>();
    }

    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_db *c_handle() const noexcept { return db_; }

private:
    /// What a function that asks for nothing else fills in.
    template <class T, class Ask> Result<T> told(Ask *ask) const
    {
        return detail::filled<T>([&](T *out, sstore_error **error) { return ask(c_handle(), out, error); });
    }
    template <class F> Result<ColumnFamily> family(F &&function, const std::string &name) const
    {
        return detail::then(detail::filled<sstore_column_family *>(function, name), [&](sstore_column_family *taken) {
            return ColumnFamily(c_handle(), taken);
        });
    }

    detail::Handle<sstore_db, sstore_release> handle_;
};

} // namespace sstore

#endif
