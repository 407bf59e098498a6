// Databases and column families.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_DATABASE_HPP
#define SSTORE_DATABASE_HPP

#include <sstore/keys.hpp>

namespace sstore {

/// A column family. Its end neither drops nor changes the family. Thread safety: free. Move-only.
class ColumnFamily : public KeySpace {
public:
    ColumnFamily(sstore_db *db, sstore_column_family *taken) noexcept : KeySpace(db, taken), handle_(taken) {}

    /// Its name. The bytes live as long as this object.
    std::string_view name() const
    {
        sstore_slice name{};
        detail::call([&](sstore_error **error) { return sstore_column_family_name(c_handle(), &name, error); }).value();
        return detail::view(name);
    }
    /// Never given to another family of the database; that of the default family is 0.
    std::uint32_t id() const noexcept { return sstore_column_family_id(c_handle()); }
    /// The options that are in force for it.
    Options options() const
    {
        sstore_options *options = nullptr;
        detail::call([&](sstore_error **error) {
            return sstore_column_family_get_options(c_handle(), &options, error);
        }).value();
        return Options(options);
    }
    /// The handle, for functions of sstore.h. It stays this object's.
    const sstore_column_family *c_handle() const noexcept { return family_; }

private:
    friend class Db;
    detail::Handle<sstore_column_family, sstore_column_family_free> handle_;
};

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
/// What belongs to it (families, iterators, snapshots, pinned values, tables) may go before it or after it, in any order; it keeps the
/// database open until it goes. Thread safety: free. Move-only.
class Db : public KeySpace {
public:
    /// Opens the database in the directory `path`; makes it unless the options say otherwise. Blocks: reads files, replays the log.
    explicit Db(const std::filesystem::path &path, const Options &options = Options()) : Db(open(path, options)) {}
    static Db open(const std::filesystem::path &path, const Options &options = Options())
    {
        return try_open(path, options).value();
    }
    static Result<Db> try_open(const std::filesystem::path &path, const Options &options = Options())
    {
        sstore_db *db = nullptr;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_open(path.c_str(), options.c_handle(), &db, error);
        });
        return detail::with(called, Db(db));
    }
    /// Takes over a handle of the C interface.
    explicit Db(sstore_db *taken) noexcept : KeySpace(taken, nullptr), handle_(taken) {}
    Db(Db &&other) noexcept = default;
    Db &operator=(Db &&other) noexcept = default;
    /// Releases it: it is closed, at the latest when the last thing that belongs to it goes, and what fails then is lost. close() tells.
    ~Db() = default;

    /// Closes it: flushes, waits for background work, syncs. SSTORE_BUSY while iterators or snapshots are open: nothing was closed.
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
    sstore_open_objects open_objects() const
    {
        auto objects = detail::sized<sstore_open_objects>();
        detail::call([&](sstore_error **error) { return sstore_open_objects_count(c_handle(), &objects, error); }).value();
        return objects;
    }
    /// Deletes the database in `path`, which must not be open; nothing happens if there is none.
    static void destroy(const std::filesystem::path &path) { try_destroy(path).value(); }
    static Result<void> try_destroy(const std::filesystem::path &path)
    {
        return detail::call([&](sstore_error **error) { return sstore_destroy(path.c_str(), error); });
    }

    /// Makes a column family; SSTORE_INVALID_ARGUMENT if there is one of that name.
    ColumnFamily create_column_family(const std::string &name, const Options &options = Options())
    {
        return try_create_column_family(name, options).value();
    }
    Result<ColumnFamily> try_create_column_family(const std::string &name, const Options &options = Options())
    {
        sstore_column_family *family = nullptr;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_column_family_create(c_handle(), name.c_str(), options.c_handle(), &family, error);
        });
        return detail::with(called, ColumnFamily(c_handle(), family));
    }
    /// A family that is there; SSTORE_NOT_FOUND if it is not.
    ColumnFamily column_family(const std::string &name) const { return try_column_family(name).value(); }
    Result<ColumnFamily> try_column_family(const std::string &name) const
    {
        sstore_column_family *family = nullptr;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_column_family_open(c_handle(), name.c_str(), &family, error);
        });
        return detail::with(called, ColumnFamily(c_handle(), family));
    }
    /// The names of all families, sorted.
    std::vector<std::string> column_families() const
    {
        detail::Handle<sstore_list, sstore_list_free> names;
        detail::call([&](sstore_error **error) { return sstore_column_family_list(c_handle(), names.out(), error); }).value();
        return detail::strings(names);
    }
    /// Drops a family with all its data; every further use of it gives SSTORE_DROPPED.
    void drop(ColumnFamily &family) { try_drop(family).value(); }
    Result<void> try_drop(ColumnFamily &family)
    {
        return detail::call([&](sstore_error **error) {
            return sstore_column_family_drop(c_handle(), family.handle_.get(), error);
        });
    }

    /// Applies a batch, or the operations of a list: all of them or, on an error, none. Gives the place of the last one.
    std::uint64_t write(const Batch &batch, const WriteOptions &options = {}) { return try_write(batch, options).value(); }
    Result<std::uint64_t> try_write(const Batch &batch, const WriteOptions &options = {})
    {
        const auto given = detail::c(options);
        std::uint64_t sequence = 0;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_write(c_handle(), &given, batch.c_handle(), &sequence, error);
        });
        return detail::with(called, std::uint64_t(sequence));
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
        std::uint64_t sequence = 0;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_write_operations(c_handle(), &given, all.data(), all.size(), &sequence, error);
        });
        return detail::with(called, std::uint64_t(sequence));
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
        sstore_snapshot *snapshot = nullptr;
        const auto called = detail::call([&](sstore_error **error) {
            return sstore_snapshot_create(c_handle(), &snapshot, error);
        });
        return detail::with(called, Snapshot(snapshot));
    }
    /// The moment of another snapshot that is still open; SSTORE_GAP if none has this sequence.
    Snapshot snapshot_at(std::uint64_t sequence) const
    {
        sstore_snapshot *snapshot = nullptr;
        detail::call([&](sstore_error **error) {
            return sstore_snapshot_at(c_handle(), sequence, &snapshot, error);
        }).value();
        return Snapshot(snapshot);
    }

    /// Has the memory of all families and tables written to files; flush() does it for the default family alone.
    FlushToken flush_all()
    {
        sstore_flush_token *token = nullptr;
        detail::call([&](sstore_error **error) { return sstore_flush(c_handle(), nullptr, 0, &token, error); }).value();
        return FlushToken(token);
    }
    /// Flushes these families and tables (none of either: all of both) so that their files come to count all at once.
    inline FlushToken flush_atomic(const std::vector<const ColumnFamily *> &families = {},
                                   const std::vector<const Table *> &tables = {});
    /// Brings a database that was opened with read_only up to what its writer has done. Gives the newest sequence that reads see.
    std::uint64_t refresh() { return try_refresh().value(); }
    Result<std::uint64_t> try_refresh()
    {
        std::uint64_t sequence = 0;
        const auto called = detail::call([&](sstore_error **error) { return sstore_refresh(c_handle(), &sequence, error); });
        return detail::with(called, std::uint64_t(sequence));
    }
    /// The failure that stopped background work, or the damage of a file that did not open.
    std::optional<Error> background_error() const
    {
        const auto called = detail::call([&](sstore_error **error) { return sstore_background_error(c_handle(), error); });
        return called ? std::nullopt : std::optional<Error>(called.error());
    }
    /// Takes background work up again after its cause was removed.
    void resume() { try_resume().value(); }
    Result<void> try_resume()
    {
        return detail::call([&](sstore_error **error) { return sstore_resume(c_handle(), error); });
    }

    /// What it holds.
    sstore_stats stats() const
    {
        auto stats = detail::sized<sstore_stats>();
        detail::call([&](sstore_error **error) { return sstore_stats_get(c_handle(), &stats, error); }).value();
        return stats;
    }
    /// What holds memory.
    sstore_memory_use memory_use() const
    {
        auto memory = detail::sized<sstore_memory_use>();
        detail::call([&](sstore_error **error) { return sstore_memory_use_get(c_handle(), &memory, error); }).value();
        return memory;
    }
    /// The times of one operation, such as "write"; sstore_histogram_get lists them.
    sstore_histogram histogram(const std::string &name) const
    {
        auto histogram = detail::sized<sstore_histogram>();
        detail::call([&](sstore_error **error) {
            return sstore_histogram_get(c_handle(), name.c_str(), &histogram, error);
        }).value();
        return histogram;
    }
    /// Every counter, by name.
    std::vector<std::pair<std::string, std::uint64_t>> metrics() const
    {
        detail::Handle<sstore_metrics, sstore_metrics_free> metrics;
        detail::call([&](sstore_error **error) { return sstore_metrics_create(c_handle(), metrics.out(), error); }).value();
        std::vector<std::pair<std::string, std::uint64_t>> all(sstore_metrics_count(metrics.get()));
        for (std::size_t index = 0; index < all.size(); index++) {
            const char *name = nullptr;
            detail::call([&](sstore_error **error) {
                return sstore_metrics_get(metrics.get(), index, &name, &all[index].second, error);
            }).value();
            all[index].first = name;
        }
        return all;
    }
    /// The same in the text format of Prometheus.
    std::string metrics_text() const
    {
        char *text = nullptr;
        std::size_t length = 0;
        detail::call([&](sstore_error **error) { return sstore_metrics_text(c_handle(), &text, &length, error); }).value();
        const detail::Text freed(text);
        return std::string(text, length);
    }
    /// Who needs the oldest record of the log; nothing if all of it is in files.
    std::optional<LogPin> log_pin() const
    {
        char *family = nullptr;
        auto pin = detail::sized<sstore_log_pin>();
        sstore_error *error = nullptr;
        const Code code = sstore_log_pin_get(c_handle(), &family, &pin, &error);
        const detail::Text freed(family);
        if (code == SSTORE_NOT_FOUND) return sstore_error_free(error), std::nullopt;
        if (code != SSTORE_OK) throw Error(code, error);
        return LogPin{family, pin.sequence, pin.segment, pin.is_frozen != 0};
    }

    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_db *c_handle() const noexcept { return db_; }

private:
    detail::Handle<sstore_db, sstore_release> handle_;
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

/// What a repair found and did. Thread safety: free. Move-only.
class RepairReport {
public:
    explicit RepairReport(sstore_repair_report *taken) noexcept : handle_(taken) {}
    /// It in numbers. The text in it lives as long as this object.
    sstore_repair_summary summary() const
    {
        auto summary = detail::sized<sstore_repair_summary>();
        detail::call([&](sstore_error **error) { return sstore_repair_report_summary(handle_.get(), &summary, error); }).value();
        return summary;
    }
    /// What became of the file at `index`, below summary().files. The texts live as long as this object.
    sstore_repaired_file file(std::size_t index) const
    {
        auto file = detail::sized<sstore_repaired_file>();
        detail::call([&](sstore_error **error) {
            return sstore_repair_report_file(handle_.get(), index, &file, error);
        }).value();
        return file;
    }
    /// What became of the segment of the log at `index`, below summary().segments. The texts live as long as this object.
    sstore_salvaged_segment segment(std::size_t index) const
    {
        auto segment = detail::sized<sstore_salvaged_segment>();
        detail::call([&](sstore_error **error) {
            return sstore_repair_report_segment(handle_.get(), index, &segment, error);
        }).value();
        return segment;
    }
    /// The families and tables of the new database.
    std::vector<std::string> collections() const
    {
        detail::Handle<sstore_list, sstore_list_free> names;
        detail::call([&](sstore_error **error) {
            return sstore_repair_report_collections(handle_.get(), names.out(), error);
        }).value();
        return detail::strings(names);
    }

private:
    detail::Handle<sstore_repair_report, sstore_repair_report_free> handle_;
};

/// Makes a database in `new_path`, which must not exist or be empty, from what can be read in `path`, which is only read. With `link`
/// its files get a second name instead of being copied. Blocks.
inline RepairReport repair(const std::filesystem::path &path, const std::filesystem::path &new_path,
                           const Options &options = Options(), bool link = false,
                           const std::filesystem::path &wal_dir = {})
{
    auto given = detail::sized<sstore_repair_options>();
    given.link = link ? 1 : 0;
    given.wal_dir = wal_dir.empty() ? nullptr : wal_dir.c_str();
    sstore_repair_report *report = nullptr;
    detail::call([&](sstore_error **error) {
        return sstore_repair(path.c_str(), new_path.c_str(), &given, options.c_handle(), &report, error);
    }).value();
    return RepairReport(report);
}

} // namespace sstore

#endif
