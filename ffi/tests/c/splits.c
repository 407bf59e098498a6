/*
 * Splits: cut here, sent as bytes through files, executed by this program again in processes of their own.
 *
 *   splits [DATABASE]                 the test
 *   splits execute SPLIT [DATABASE]   a worker: executes the split in that file, in another place if one is told, and prints
 *                                     its rows and the sum of their ids
 */
#include "arrow.h"
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 5000, ROUNDS = 4 };

static const char *program;

/* Rows and the sum of their ids. */
struct told { int64_t rows, sum; };

static struct told drained(struct ArrowArrayStream *stream)
{
    struct told told = {0, 0};
    struct ArrowArray rows;
    int64_t row;

    for (;;) {
        CHECK(stream->get_next(stream, &rows) == 0);
        if (rows.release == NULL)
            break;
        told.rows += rows.length;
        for (row = 0; row < rows.length; row++)
            told.sum += integer_at(rows.children[0], row);
        rows.release(&rows);
    }
    stream->release(stream);
    return told;
}

static int execute(const char *path, const char *database)
{
    static char bytes[1 << 20];
    struct ArrowArrayStream stream;
    struct told told;
    FILE *file = fopen(path, "rb");
    size_t len;

    CHECK(file != NULL);
    len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    GIVES(SSTORE_OK, sstore_split_execute(bytes, len, database, &stream, &error));
    told = drained(&stream);
    printf("%lld %lld\n", (long long)told.rows, (long long)told.sum);
    return 0;
}

/* What a worker tells of a split. */
static struct told elsewhere(const sstore_split *split, const char *database)
{
    FILE *file = fopen("one.split", "wb");
    long long rows, sum;
    struct told told;
    int tube[2], status;
    pid_t worker;

    CHECK(file != NULL && fwrite(split->bytes.data, 1, split->bytes.len, file) == split->bytes.len);
    fclose(file);
    fflush(stdout);
    CHECK(pipe(tube) == 0);
    worker = fork();
    if (worker == 0) {
        dup2(tube[1], 1);
        execl(program, program, "execute", "one.split", database, (char *)NULL);
        _exit(127);
    }
    close(tube[1]);
    file = fdopen(tube[0], "r");
    CHECK(fscanf(file, "%lld %lld", &rows, &sum) == 2);
    fclose(file);
    CHECK(waitpid(worker, &status, 0) == worker && status == 0);
    told.rows = rows;
    told.sum = sum;
    return told;
}

static void append(sstore_db *db, sstore_table *table, int round)
{
    static int64_t ids[ROWS];
    static const char *names[ROWS];
    struct ArrowArray rows;
    int row;

    for (row = 0; row < ROWS; row++) {
        ids[row] = (int64_t)row * ROUNDS + round;
        names[row] = "name";
    }
    make_rows(&rows, ids, names, ROWS);
    GIVES(SSTORE_OK, sstore_table_append(db, table, NULL, &rows, NULL, NULL, &error));
}

static sstore_table *filled(sstore_db *db)
{
    const char *key[1] = {"id"};
    sstore_options *options;
    struct ArrowSchema schema;
    sstore_table *table;
    int round;

    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    GIVES(SSTORE_OK, sstore_options_set(options, "row_group_rows", "1024", &error));
    GIVES(SSTORE_OK, sstore_options_set(options, "page_rows", "1024", &error));
    GIVES(SSTORE_OK, sstore_options_set(options, "auto_compaction", "false", &error));
    make_columns(&schema);
    GIVES(SSTORE_OK, sstore_table_create(db, "t", &schema, key, 1, NULL, options, &table, &error));
    sstore_options_free(options);
    for (round = 0; round < ROUNDS; round++) {
        append(db, table, round);
        if (round % 2 == 0)
            GIVES(SSTORE_OK, sstore_table_flush(db, (const sstore_table *const *)&table, 1, NULL, &error));
    }
    return table;
}

static void cut_and_executed(sstore_db *db, sstore_table *table, const char *path)
{
    sstore_split split = SSTORE_SPLIT_INIT;
    struct told here, there, all = {0, 0};
    struct ArrowArrayStream stream;
    struct ArrowArray keys;
    sstore_splits *splits;
    sstore_filter *filter;
    sstore_scan *scan;
    uint64_t estimated = 0;
    int64_t first[1] = {0};
    char moved[1024];
    size_t index;

    GIVES(SSTORE_OK, sstore_filter_parse("id >= 1000", &filter, &error));
    GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
    GIVES(SSTORE_OK, sstore_scan_set_filter(scan, filter, &error));
    sstore_filter_free(filter);
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
    here = drained(&stream);
    CHECK(here.rows == ROWS * ROUNDS - 1000);
    GIVES(SSTORE_OK, sstore_scan_splits(scan, 40000, &splits, &error));
    CHECK(sstore_splits_count(splits) > 1 && sstore_splits_sequence(splits) > 0);

    /* What happens afterwards is not seen, also where it replaces every file. */
    make_keys(&keys, first, 1);
    GIVES(SSTORE_OK, sstore_table_delete(db, table, NULL, &keys, NULL, NULL, &error));
    append(db, table, 1001);
    GIVES(SSTORE_OK, sstore_table_compact(db, table, &error));
    for (index = 0; index < sstore_splits_count(splits); index++) {
        GIVES(SSTORE_OK, sstore_splits_get(splits, index, &split, &error));
        estimated += split.estimated_rows;
        CHECK(split.estimated_bytes > 0);
        there = elsewhere(&split, NULL);
        all.rows += there.rows;
        all.sum += there.sum;
    }
    CHECK(all.rows == here.rows && all.sum == here.sum && estimated >= (uint64_t)all.rows);
    GIVES(SSTORE_NOT_FOUND, sstore_splits_get(splits, index, &split, &error));
    CHECK(split.bytes.data == NULL);

    /* The database under another name; a worker that is a fork of this process. */
    GIVES(SSTORE_OK, sstore_splits_get(splits, 0, &split, &error));
    snprintf(moved, sizeof moved, "%s.moved", path);
    CHECK(symlink(path, moved) == 0);
    there = elsewhere(&split, moved);
    GIVES(SSTORE_OK, sstore_split_execute(split.bytes.data, split.bytes.len, NULL, &stream, &error));
    all = drained(&stream);
    CHECK(there.rows == all.rows && there.sum == all.sum);
    fflush(stdout);
    if (fork() == 0) {
        GIVES(SSTORE_OK, sstore_split_execute(split.bytes.data, split.bytes.len, NULL, &stream, &error));
        there = drained(&stream);
        CHECK(there.rows == all.rows);
        GIVES(SSTORE_FORKED, sstore_splits_get(splits, 0, &split, &error));
        _exit(0);
    }
    {
        int status;
        CHECK(wait(&status) > 0 && status == 0);
    }

    /* A stream that was begun goes on when the files lose their names; a new one cannot begin. */
    {
        static char copy[1 << 20];
        size_t len = split.bytes.len;
        CHECK(len < sizeof copy);
        memcpy(copy, split.bytes.data, len);
        GIVES(SSTORE_OK, sstore_split_execute(copy, len, NULL, &stream, &error));
        sstore_splits_free(splits);
        sstore_splits_free(splits);
        CHECK(sstore_splits_count(splits) == 0 && sstore_splits_sequence(splits) == 0);
        there = drained(&stream);
        CHECK(there.rows == all.rows);
        GIVES(SSTORE_CORRUPTION, sstore_split_execute(copy, len, NULL, &stream, &error));
        CHECK(stream.release == NULL);
        GIVES(SSTORE_INVALID_ARGUMENT, sstore_split_execute(copy, len, "", &stream, &error));
        copy[len / 2] ^= 1;
        GIVES(SSTORE_CORRUPTION, sstore_split_execute(copy, len, NULL, &stream, &error));
        GIVES(SSTORE_CORRUPTION, sstore_split_execute(NULL, 0, NULL, &stream, &error));
    }
    GIVES(SSTORE_OK, sstore_scan_set_limit(scan, 7, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_scan_splits(scan, 40000, &splits, &error));
    CHECK(splits == NULL);
    sstore_scan_free(scan);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "splits.db";
    sstore_table *table;
    sstore_db *db;

    if (argc > 2 && strcmp(path, "execute") == 0)
        return execute(argv[2], argc > 3 ? argv[3] : NULL);
    program = argv[0];
    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
    table = filled(db);
    cut_and_executed(db, table, path);
    sstore_table_free(table);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    CHECK(unreleased == 0);
    return 0;
}
