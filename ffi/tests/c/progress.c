/* Exports and repairs tell how far they are, and are called off by whom they tell; who is told may take his time and call back. */
#include "arrow.h"
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const int64_t IDS[5] = {3, 1, 4, 2, 5};
static const char *const NAMES[5] = {"cat", "ant", NULL, "bee", "cow"};

struct told {
    int times, stops_at; /* 0: never */
    uint64_t done, total;
    sstore_db *db;
    sstore_column_family *family;
    const char *path;
    sstore_code came_of;
};

static int on_progress(void *data, uint64_t done, uint64_t total)
{
    struct told *told = data;
    CHECK(done >= told->done && total >= told->total && done <= total);
    told->times++;
    told->done = done;
    told->total = total;
    return told->times != told->stops_at;
}

/* As long as it waits nothing else is told; at the second time, within the export, it ends it. */
static int on_progress_slowly(void *data, uint64_t done, uint64_t total)
{
    const struct timespec pause = {0, 150000000};
    nanosleep(&pause, NULL);
    return on_progress(data, done, total);
}

/* Writes, reads, flushes, exports again, and frees the family that is exported. */
static int on_progress_call_back(void *data, uint64_t done, uint64_t total)
{
    struct told *told = data, within = {0};
    sstore_flush_token *token;
    char directory[1024];

    if (told->times == 0) {
        snprintf(directory, sizeof directory, "%s.within", told->path);
        GIVES(SSTORE_OK, sstore_put(told->db, told->family, NULL, "within", 6, "1", 1, NULL, &error));
        GIVES(SSTORE_OK, sstore_contains(told->db, told->family, NULL, "within", 6, &error));
        GIVES(SSTORE_OK, sstore_flush(told->db, NULL, 0, &token, &error));
        GIVES(SSTORE_OK, sstore_flush_token_wait(token, 60000, &error));
        sstore_flush_token_free(token);
        GIVES(SSTORE_OK, sstore_export_with_progress(told->db, told->family, directory, on_progress, &within, NULL, &error));
        CHECK(within.times >= 2 && within.done == within.total && within.total > 0);
        sstore_column_family_free(told->family);
    }
    return on_progress(data, done, total);
}

/* What it must not do. */
static int on_progress_close(void *data, uint64_t done, uint64_t total)
{
    struct told *told = data;
    if (told->times == 0)
        told->came_of = sstore_close(told->db, NULL, NULL);
    return on_progress(data, done, total);
}

static int exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

static void exports(sstore_db *db, sstore_column_family *family, const char *path)
{
    struct told told = {0}, off = {.stops_at = 1}, slow = {.stops_at = 2}, back = {.db = db, .path = path};
    sstore_file file = SSTORE_FILE_INIT;
    sstore_files *files;
    char directory[1024], unfinished[1100];

    snprintf(directory, sizeof directory, "%s.exported", path);
    snprintf(unfinished, sizeof unfinished, "%s.unfinished", directory);
    /* Called off at once, or later: nothing is there, and another one can begin. */
    GIVES(SSTORE_CANCELLED, sstore_export_with_progress(db, family, directory, on_progress, &off, &files, &error));
    CHECK(files == NULL && off.times == 1 && off.total == 0 && !exists(directory) && !exists(unfinished));
    GIVES(SSTORE_CANCELLED, sstore_export_with_progress(db, family, directory, on_progress_slowly, &slow, NULL, &error));
    CHECK(slow.times == 2 && !exists(directory) && !exists(unfinished));

    GIVES(SSTORE_OK, sstore_export_with_progress(db, family, directory, on_progress, &told, &files, &error));
    CHECK(sstore_files_count(files) == 1 && exists(directory));
    GIVES(SSTORE_OK, sstore_files_get(files, 0, &file, &error));
    CHECK(told.times >= 2 && told.done == file.size_bytes && told.total == file.size_bytes);
    sstore_files_free(files);

    snprintf(directory, sizeof directory, "%s.back", path);
    GIVES(SSTORE_OK, sstore_column_family_open(db, "family", &back.family, &error));
    GIVES(SSTORE_OK, sstore_export_with_progress(db, back.family, directory, on_progress_call_back, &back, NULL, &error));
    CHECK(back.times >= 2 && back.done == back.total && exists(directory));
    snprintf(directory, sizeof directory, "%s.nobody", path);
    GIVES(SSTORE_OK, sstore_export_with_progress(db, family, directory, NULL, NULL, NULL, &error));
}

static void exports_of_a_table(sstore_db *db, const char *path)
{
    struct told told = {0}, off = {.stops_at = 1};
    const char *key[1] = {"id"};
    struct ArrowSchema schema;
    struct ArrowArray rows;
    sstore_files *files;
    sstore_table *table;
    char directory[1024];

    make_columns(&schema);
    GIVES(SSTORE_OK, sstore_table_create(db, "table", &schema, key, 1, NULL, NULL, &table, &error));
    make_rows(&rows, IDS, NAMES, 5);
    GIVES(SSTORE_OK, sstore_table_append(db, table, NULL, &rows, NULL, NULL, &error));
    snprintf(directory, sizeof directory, "%s.rows", path);
    GIVES(SSTORE_CANCELLED, sstore_table_export_with_progress(db, table, directory, on_progress, &off, &files, &error));
    CHECK(files == NULL && off.times == 1 && !exists(directory));
    GIVES(SSTORE_OK, sstore_table_export_with_progress(db, table, directory, on_progress, &told, &files, &error));
    CHECK(told.times >= 2 && told.done == told.total && told.total > 0 && sstore_files_count(files) == 1);
    sstore_files_free(files);
    sstore_table_free(table);
}

static void repairs(const char *path)
{
    struct told told = {0}, off = {.stops_at = 1}, slow = {.stops_at = 2};
    sstore_repair_options how = SSTORE_REPAIR_OPTIONS_INIT;
    sstore_repair_report *report;
    char place[1024];
    sstore_db *db;

    snprintf(place, sizeof place, "%s.repaired", path);
    GIVES(SSTORE_CANCELLED, sstore_repair_with_progress(path, place, NULL, NULL, on_progress, &off, &report, &error));
    CHECK(report == NULL && off.times == 1 && off.done == 0 && off.total > 0 && !exists(place));
    GIVES(SSTORE_CANCELLED, sstore_repair_with_progress(path, place, NULL, NULL, on_progress_slowly, &slow, NULL, &error));
    CHECK(slow.times == 2 && slow.done > 0 && !exists(place));
    how.link = 1;
    GIVES(SSTORE_OK, sstore_repair_with_progress(path, place, &how, NULL, on_progress, &told, &report, &error));
    CHECK(told.times >= 2 && told.done == told.total && told.total == off.total);
    sstore_repair_report_free(report);
    GIVES(SSTORE_OK, sstore_open(place, NULL, &db, &error));
    GIVES(SSTORE_OK, sstore_contains(db, NULL, NULL, "k", 1, &error));
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
}

/* A database that is closed under its own export: that ends, and says so, or had ended. */
static void closed_from_within(const char *path)
{
    struct told told = {0};
    char directory[1024];
    sstore_code code;

    GIVES(SSTORE_OK, sstore_open(path, NULL, &told.db, &error));
    GIVES(SSTORE_OK, sstore_put(told.db, NULL, NULL, "closed", 6, "1", 1, NULL, &error));
    snprintf(directory, sizeof directory, "%s.closed", path);
    code = sstore_export_with_progress(told.db, NULL, directory, on_progress_close, &told, NULL, NULL);
    CHECK(told.came_of == SSTORE_OK && code == SSTORE_CLOSED && !exists(directory));
    GIVES(SSTORE_CLOSED, sstore_sync(told.db, &error));
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "progress.db";
    sstore_column_family *family;
    sstore_db *db;

    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
    GIVES(SSTORE_OK, sstore_column_family_create(db, "family", NULL, &family, &error));
    GIVES(SSTORE_OK, sstore_put(db, family, NULL, "k", 1, "v", 1, NULL, &error));
    GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, "k", 1, "v", 1, NULL, &error));
    exports(db, family, path);
    exports_of_a_table(db, path);
    sstore_column_family_free(family);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    repairs(path);
    closed_from_within(path);
    CHECK(unreleased == 0);
    return 0;
}
