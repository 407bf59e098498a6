// A new database from what can be read of a damaged one.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_REPAIR_HPP
#define SSTORE_REPAIR_HPP

#include <sstore/options.hpp>
#include <sstore/progress.hpp>

namespace sstore {

/// What a repair found and did. No function of it blocks. Thread safety: free. Move-only.
class RepairReport {
public:
    /// The type of c_handle().
    using c_type = sstore_repair_report;

    /// Takes over a handle of the C interface.
    explicit RepairReport(sstore_repair_report *taken) noexcept : handle_(taken) {}
    /// It in numbers. The text in it lives as long as this object, and the one that it is moved to.
    sstore_repair_summary summary() const { return try_summary().value(); }
    Result<sstore_repair_summary> try_summary() const
    {
        return detail::filled<sstore_repair_summary>([&](sstore_repair_summary *out, sstore_error **error) {
            return sstore_repair_report_summary(c_handle(), out, error);
        });
    }
    /// What became of the file at `index`, below summary().files, else SSTORE_NOT_FOUND. The texts live like that of summary().
    sstore_repaired_file file(std::size_t index) const { return try_file(index).value(); }
    Result<sstore_repaired_file> try_file(std::size_t index) const
    {
        return detail::filled<sstore_repaired_file>([&](sstore_repaired_file *out, sstore_error **error) {
            return sstore_repair_report_file(c_handle(), index, out, error);
        });
    }
    /// What became of the segment of the log at `index`, below summary().segments; otherwise like file().
    sstore_salvaged_segment segment(std::size_t index) const { return try_segment(index).value(); }
    Result<sstore_salvaged_segment> try_segment(std::size_t index) const
    {
        return detail::filled<sstore_salvaged_segment>([&](sstore_salvaged_segment *out, sstore_error **error) {
            return sstore_repair_report_segment(c_handle(), index, out, error);
        });
    }
    /// The families and tables of the new database.
    std::vector<std::string> collections() const { return try_collections().value(); }
    Result<std::vector<std::string>> try_collections() const
    {
        return detail::strings([&](sstore_list **out, sstore_error **error) {
            return sstore_repair_report_collections(c_handle(), out, error);
        });
    }
    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_repair_report *c_handle() const noexcept { return handle_.get(); }

private:
    detail::Handle<sstore_repair_report, sstore_repair_report_free> handle_;
};

/// How a repair is done.
struct RepairOptions {
    /// Files get a second name instead of being copied, where that can be: faster, and takes no space; but if their device goes, both
    /// databases are gone.
    bool link = false;
    /// Where the log of the damaged database lies; empty: in its directory.
    std::filesystem::path wal_dir = {};
    /// Told how far it is, in bytes of files and log that were read and written; may call it off.
    Progress progress = nullptr;
};

/// Makes a database in `new_path`, which must not exist or be empty, from what can be read in `path`, which is only read and must not be
/// open; SSTORE_NOT_FOUND if there is no such directory. `options` are those of the new one, and of families and tables whose own are
/// lost. After an error there is no new one. Any thread. Blocks.
inline Result<RepairReport> try_repair(const std::filesystem::path &path, const std::filesystem::path &new_path,
                                       const RepairOptions &how = {}, const Options &options = Options())
{
    auto given = detail::sized<sstore_repair_options>();
    given.link = how.link ? 1 : 0;
    given.wal_dir = how.wal_dir.empty() ? nullptr : how.wal_dir.c_str();
    return detail::Told<std::uint64_t, std::uint64_t>(how.progress).during([&](sstore_progress_callback told, void *user_data) {
        return detail::made<RepairReport>([&](sstore_repair_report **out, sstore_error **error) {
            return sstore_repair_with_progress(path.c_str(), new_path.c_str(), &given, options.c_handle(), told, user_data, out, error);
        }, path, new_path, how.wal_dir);
    });
}
inline RepairReport repair(const std::filesystem::path &path, const std::filesystem::path &new_path, const RepairOptions &how = {},
                           const Options &options = Options())
{
    return try_repair(path, new_path, how, options).value();
}

} // namespace sstore

#endif
