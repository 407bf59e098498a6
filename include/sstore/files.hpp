// The files of families and tables: as they are now, kept while others read them, exported.
// Part of sstore.hpp; SPDX-License-Identifier: Apache-2.0 OR MIT
#ifndef SSTORE_FILES_HPP
#define SSTORE_FILES_HPP

#include <sstore/progress.hpp>

namespace sstore {

/// A file of a family or table, at the moment of the question: copies, which nothing holds on to.
struct Segment {
    std::uint64_t number;
    /// How often its data was merged: 0 for a file that a flush wrote.
    std::uint32_t level;
    std::string path;
    std::uint64_t size_bytes;
    /// Entries, deletes included; and the deletes alone.
    std::uint64_t entries;
    std::uint64_t tombstones;
    std::string smallest_key;
    std::string largest_key;
    std::uint64_t smallest_sequence;
    std::uint64_t largest_sequence;
};

/// Files that stay as long as this object does (live ones), or that were exported. It does not keep its database open.
/// Nothing of it blocks but its end, which may delete files that waited for it. Thread safety: free. Move-only.
class Files {
public:
    /// The type of c_handle().
    using c_type = sstore_files;

    /// Takes over a handle of the C interface.
    explicit Files(sstore_files *taken) noexcept : handle_(taken) {}
    /// How many; 0 if it was moved from.
    std::size_t size() const noexcept { return sstore_files_count(c_handle()); }
    /// The file at `index`; SSTORE_NOT_FOUND from size() on. Path and keys in it live as long as this object, and the one that it is
    /// moved to.
    sstore_file operator[](std::size_t index) const { return try_at(index).value(); }
    Result<sstore_file> try_at(std::size_t index) const
    {
        return detail::filled<sstore_file>([&](sstore_file *out, sstore_error **error) {
            return sstore_files_get(c_handle(), index, out, error);
        });
    }
    /// What is told of all of them together.
    sstore_files_info info() const { return try_info().value(); }
    Result<sstore_files_info> try_info() const
    {
        return detail::filled<sstore_files_info>([&](sstore_files_info *out, sstore_error **error) {
            return sstore_files_describe(c_handle(), out, error);
        });
    }
    /// The handle, for functions of sstore.h. It stays this object's.
    sstore_files *c_handle() const noexcept { return handle_.get(); }

private:
    detail::Handle<sstore_files, sstore_files_free> handle_;
};

namespace detail {

/// What a function that exports gives: it is called with a callback and its data before its results.
template <class F> Result<Files> exported(const Progress &progress, const std::filesystem::path &directory, F &&function)
{
    return Told<std::uint64_t, std::uint64_t>(progress).during([&](sstore_progress_callback told, void *user_data) {
        return made<Files>([&](sstore_files **out, sstore_error **error) {
            return function(directory.c_str(), told, user_data, out, error);
        }, directory);
    });
}

/// What a function that gives segments gives.
template <class F> Result<std::vector<Segment>> segments(F &&function)
{
    Handle<sstore_segments, sstore_segments_free> list;
    const auto called = call([&](sstore_error **error) { return function(list.out(), error); });
    if (!called) return called.error();
    std::vector<Segment> all;
    for (std::size_t index = 0, count = sstore_segments_count(list.get()); index < count; index++) {
        const auto one = filled<sstore_segment>([&](sstore_segment *out, sstore_error **error) {
            return sstore_segments_get(list.get(), index, out, error);
        });
        if (!one) return one.error();
        all.push_back(Segment{one->number, one->level, one->path, one->size_bytes, one->entries, one->tombstones,
                              std::string(view(one->smallest_key)), std::string(view(one->largest_key)), one->smallest_sequence,
                              one->largest_sequence});
    }
    return Result<std::vector<Segment>>(std::move(all));
}

} // namespace detail

} // namespace sstore

#endif
