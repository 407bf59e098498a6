// Databases of LevelDB come in: how, and how what is told of the progress becomes a call of C++. Used by KeySpace::import_leveldb.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_LEVELDB_HPP
#define SSTORE_LEVELDB_HPP

#include <sstore/progress.hpp>

namespace sstore {

/// How a database of LevelDB is read.
struct LevelDbOptions {
    /// Leaves out what is damaged, and counts it, instead of failing.
    bool skip_damaged = false;
    /// Told of the progress, in bytes of the source and entries, on the calling thread, at the beginning, at most ten times a second, and
    /// at the end; false calls the import off: SSTORE_CANCELLED. What it throws ends the import as well, and is thrown by it, also by
    /// try_import_leveldb; at the end, when all is written, it is only thrown. It must not close the database, nor merge it.
    std::function<bool(std::uint64_t bytes_read, std::uint64_t bytes_total, std::uint64_t entries)> progress = nullptr;
};

/// What an import did: entries and bytes, what was skipped, and what the writer of the source had not finished.
using LevelDbResult = sstore_leveldb_result;

namespace detail {

inline Result<LevelDbResult> import_leveldb(sstore_db *db, const sstore_column_family *family, const std::filesystem::path &path,
                                            const LevelDbOptions &options)
{
    auto given = sized<sstore_leveldb_options>();
    given.skip_damaged = options.skip_damaged ? 1 : 0;
    return Told<std::uint64_t, std::uint64_t, std::uint64_t>(options.progress).during([&](sstore_import_callback told, void *user_data) {
        return filled<LevelDbResult>([&](LevelDbResult *out, sstore_error **error) {
            return sstore_import_leveldb(db, family, path.c_str(), &given, told, user_data, out, error);
        }, path);
    });
}

} // namespace detail

} // namespace sstore

#endif
