/* Which files a family and a table consist of, under which names they are exported, and what a repair makes of them. */
#include "arrow.h"
#include <dirent.h>
#include <unistd.h>

static const int64_t IDS[5] = {3, 1, 4, 2, 5};
static const char *const NAMES[5] = {"cat", "ant", NULL, "bee", "cow"};

static size_t entries_of(const char *directory)
{
    DIR *open = opendir(directory);
    size_t count = 0;

    CHECK(open != NULL);
    while (readdir(open) != NULL)
        count++;
    closedir(open);
    return count - 2;
}

static sstore_files_info described(const sstore_files *files)
{
    sstore_files_info info = SSTORE_FILES_INFO_INIT;

    GIVES(SSTORE_OK, sstore_files_describe(files, &info, &error));
    return info;
}

static void of_a_family(sstore_db *db, const char *path)
{
    sstore_file file = SSTORE_FILE_INIT, moved = SSTORE_FILE_INIT;
    sstore_read_options past = SSTORE_READ_OPTIONS_INIT;
    sstore_files *files, *exported;
    sstore_snapshot *snapshot;
    uint64_t first, second;
    char directory[1024];

    GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, "a", 1, "1", 1, &first, &error));
    GIVES(SSTORE_OK, sstore_live_files(db, NULL, NULL, &files, &error));
    CHECK(sstore_files_count(files) == 0 && described(files).sequence == first && described(files).complete_through < first);
    sstore_files_free(files);
    GIVES(SSTORE_OK, sstore_snapshot_create(db, &snapshot, &error));
    past.snapshot = snapshot;
    snprintf(directory, sizeof directory, "%s.family", path);
    GIVES(SSTORE_OK, sstore_export(db, NULL, directory, &exported, &error));
    CHECK(sstore_files_count(exported) == 1 && entries_of(directory) == 1);
    CHECK(described(exported).sequence == first && described(exported).complete_through == first);
    GIVES(SSTORE_OK, sstore_files_get(exported, 0, &moved, &error));
    CHECK(strncmp(moved.path, directory, strlen(directory)) == 0 && access(moved.path, R_OK) == 0);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_export(db, NULL, directory, NULL, &error));
    snprintf(directory, sizeof directory, "%s.none/family", path);
    CHECK(sstore_export(db, NULL, directory, NULL, NULL) == SSTORE_NOT_FOUND);

    GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, "b", 1, "2", 1, &second, &error));
    GIVES(SSTORE_OK, sstore_delete(db, NULL, NULL, "a", 1, &second, &error));
    snprintf(directory, sizeof directory, "%s.family.again", path);
    GIVES(SSTORE_OK, sstore_export(db, NULL, directory, NULL, &error));
    CHECK(entries_of(directory) == 2);
    GIVES(SSTORE_OK, sstore_live_files(db, NULL, &past, &files, &error));
    CHECK(sstore_files_count(files) == 1 && described(files).sequence == first);
    sstore_files_free(files);
    GIVES(SSTORE_OK, sstore_live_files(db, NULL, NULL, &files, &error));
    CHECK(sstore_files_count(files) == 2 && described(files).complete_through == second && described(files).copied == 0);
    GIVES(SSTORE_OK, sstore_files_get(files, 0, &file, &error));
    CHECK(file.number == moved.number && file.checksum == moved.checksum && file.rows == 1 && file.level == 0);
    CHECK(file.format == SSTORE_FILE_FORMAT_BLOCKS && file.schema_id == 0 && file.tombstones == 0 && file.size_bytes > 0);
    GIVES(SSTORE_OK, sstore_files_get(files, 1, &file, &error));
    CHECK(file.rows == 2 && file.tombstones == 1 && file.smallest_sequence == second - 1 && file.largest_sequence == second);
    CHECK(*(const char *)file.smallest_key.data == 'a' && *(const char *)file.largest_key.data == 'b');
    GIVES(SSTORE_NOT_FOUND, sstore_files_get(files, 2, &file, &error));
    CHECK(file.path == NULL);

    /* A merge replaces both; their names go with what holds them. */
    sstore_snapshot_free(snapshot);
    GIVES(SSTORE_OK, sstore_compact(db, NULL, &error));
    GIVES(SSTORE_OK, sstore_files_get(files, 0, &file, &error));
    CHECK(access(file.path, R_OK) == 0);
    snprintf(directory, sizeof directory, "%s", file.path);
    sstore_files_free(files);
    sstore_files_free(files);
    CHECK(sstore_files_count(files) == 0 && access(directory, R_OK) != 0);
    CHECK(access(moved.path, R_OK) == 0);
    sstore_files_free(exported);
}

static void of_a_table(sstore_db *db, sstore_table *table, uint32_t format, const char *path)
{
    sstore_file file = SSTORE_FILE_INIT;
    sstore_read_options past = SSTORE_READ_OPTIONS_INIT;
    sstore_snapshot *snapshot;
    struct ArrowArray rows;
    sstore_files *files;
    char directory[1024];
    uint64_t written;

    GIVES(SSTORE_OK, sstore_snapshot_create(db, &snapshot, &error));
    make_rows(&rows, IDS, NAMES, 5);
    GIVES(SSTORE_OK, sstore_table_append(db, table, NULL, &rows, NULL, &written, &error));
    snprintf(directory, sizeof directory, "%s.table.%u", path, (unsigned)format);
    GIVES(SSTORE_OK, sstore_table_export(db, table, directory, &files, &error));
    CHECK(sstore_files_count(files) == 1 && entries_of(directory) == 1 && described(files).sequence == written);
    GIVES(SSTORE_OK, sstore_files_get(files, 0, &file, &error));
    CHECK(file.format == format && strstr(file.path, format == SSTORE_FILE_FORMAT_ARROW ? ".arrow" : ".parquet") != NULL);
    CHECK(access(file.path, R_OK) == 0);
    sstore_files_free(files);
    GIVES(SSTORE_OK, sstore_table_live_files(db, table, NULL, &files, &error));
    GIVES(SSTORE_OK, sstore_files_get(files, 0, &file, &error));
    CHECK(file.format == format && file.schema_id == 1 && file.rows == 5 && file.largest_sequence == written);
    CHECK(file.smallest_key.len == 8 && file.multi_version == 0 && access(file.path, R_OK) == 0);
    sstore_files_free(files);
    past.snapshot = snapshot;
    GIVES(SSTORE_OK, sstore_table_live_files(db, table, &past, &files, &error));
    CHECK(sstore_files_count(files) == 0);
    sstore_files_free(files);
    sstore_snapshot_free(snapshot);
}

/* Damages the first file of the default family. */
static void damage(const char *path)
{
    static const char bytes[16] = "damaged here";
    sstore_file file = SSTORE_FILE_INIT;
    sstore_options *options;
    sstore_files *files;
    char place[1024];
    sstore_db *db;
    FILE *open;

    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    GIVES(SSTORE_OK, sstore_options_set(options, "read_only", "true", &error));
    GIVES(SSTORE_OK, sstore_open(path, options, &db, &error));
    sstore_options_free(options);
    GIVES(SSTORE_OK, sstore_live_files(db, NULL, NULL, &files, &error));
    GIVES(SSTORE_OK, sstore_files_get(files, 0, &file, &error));
    snprintf(place, sizeof place, "%s", file.path);
    sstore_files_free(files);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    open = fopen(place, "r+b");
    CHECK(open != NULL && fwrite(bytes, 1, sizeof bytes, open) == sizeof bytes);
    fclose(open);
}

static void repaired(const char *path)
{
    sstore_repair_options how = SSTORE_REPAIR_OPTIONS_INIT;
    sstore_repair_summary summary = SSTORE_REPAIR_SUMMARY_INIT;
    sstore_repaired_file file = SSTORE_REPAIRED_FILE_INIT;
    sstore_salvaged_segment segment = SSTORE_SALVAGED_SEGMENT_INIT;
    struct ArrowArrayStream stream;
    sstore_repair_report *report;
    sstore_options *options;
    sstore_table *table;
    sstore_scan *scan;
    sstore_list *names;
    char place[1024];
    sstore_db *db;
    size_t index, skipped = 0;

    damage(path);
    snprintf(place, sizeof place, "%s.repaired", path);
    how.link = 1;
    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    GIVES(SSTORE_OK, sstore_repair(path, place, &how, options, &report, &error));
    sstore_options_free(options);
    GIVES(SSTORE_OK, sstore_repair_report_summary(report, &summary, &error));
    CHECK(summary.manifest_error == NULL && summary.files == summary.adopted + 1 && summary.adopted >= 2);
    for (index = 0; index < summary.files; index++) {
        GIVES(SSTORE_OK, sstore_repair_report_file(report, index, &file, &error));
        CHECK(strncmp(file.path, path, strlen(path)) == 0);
        if (file.skipped != NULL) {
            CHECK(strcmp(file.collection, "default") == 0 && strlen(file.skipped) > 0);
            skipped++;
        } else {
            CHECK(file.number > 0 && file.rows > 0);
        }
    }
    CHECK(skipped == 1);
    GIVES(SSTORE_NOT_FOUND, sstore_repair_report_file(report, index, &file, &error));
    for (index = 0; index < summary.segments; index++) {
        GIVES(SSTORE_OK, sstore_repair_report_segment(report, index, &segment, &error));
        CHECK(segment.number > 0 && segment.path != NULL && segment.stopped == NULL);
    }
    CHECK(summary.segments > 0 && summary.log_operations_lost == 0);
    GIVES(SSTORE_NOT_FOUND, sstore_repair_report_segment(report, index, &segment, &error));
    GIVES(SSTORE_OK, sstore_repair_report_collections(report, &names, &error));
    CHECK(sstore_list_count(names) == 3);
    sstore_list_free(names);
    sstore_repair_report_free(report);
    sstore_repair_report_free(report);

    GIVES(SSTORE_INVALID_ARGUMENT, sstore_repair(path, place, NULL, NULL, NULL, &error));
    GIVES(SSTORE_OK, sstore_open(place, NULL, &db, &error));
    CHECK(sstore_repair(place, "locked.repaired", NULL, NULL, NULL, NULL) == SSTORE_LOCKED);
    CHECK(access("locked.repaired", R_OK) != 0);
    GIVES(SSTORE_OK, sstore_table_open(db, "t2", &table, &error));
    GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
    CHECK(drain(&stream) == 5);
    sstore_scan_free(scan);
    sstore_table_free(table);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "files.db";
    static const char *const FORMATS[2] = {"parquet", "arrow"};
    const char *key[1] = {"id"};
    struct ArrowSchema schema;
    sstore_options *options;
    sstore_table *table;
    char name[3] = "t?";
    sstore_db *db;
    uint32_t format;

    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
    of_a_family(db, path);
    for (format = SSTORE_FILE_FORMAT_PARQUET; format <= SSTORE_FILE_FORMAT_ARROW; format++) {
        GIVES(SSTORE_OK, sstore_options_create(&options, &error));
        GIVES(SSTORE_OK, sstore_options_set(options, "table_format", FORMATS[format - 2], &error));
        make_columns(&schema);
        name[1] = (char)('0' + format);
        GIVES(SSTORE_OK, sstore_table_create(db, name, &schema, key, 1, NULL, options, &table, &error));
        sstore_options_free(options);
        of_a_table(db, table, format, path);
        sstore_table_free(table);
    }
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    repaired(path);
    CHECK(unreleased == 0);
    return 0;
}
