/* Options of a table through C: set and read back, kept with the table, overridden at opening, and files of all of them readable. */
#include "arrow.h"

enum { ROWS = 2000, ROUNDS = 4 };

struct round {
    const char *const (*options)[2];
    size_t count;
    /* What the path of its file ends with. */
    const char *ending;
};

static const char *const CREATED[2][2] = {{"table_format", "arrow"}, {"compression", "none"}};
static const char *const COMPRESSED[1][2] = {{"compression", "zstd"}};
static const char *const PARQUET[2][2] = {{"table_format", "parquet"}, {"compression", "lz4"}};

static sstore_options *options_of(const char *const (*set)[2], size_t count)
{
    sstore_options *options;
    size_t index;
    char *value;

    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    for (index = 0; index < count; index++) {
        GIVES(SSTORE_OK, sstore_options_set(options, set[index][0], set[index][1], &error));
        GIVES(SSTORE_OK, sstore_options_get(options, set[index][0], &value, &error));
        CHECK(strcmp(value, set[index][1]) == 0);
        sstore_free(value);
    }
    return options;
}

static void append(sstore_db *db, sstore_table *table, int round)
{
    static int64_t ids[ROWS];
    static const char *names[ROWS];
    struct ArrowArray rows;
    uint64_t sequence;
    int index;

    for (index = 0; index < ROWS; index++) {
        ids[index] = round * ROWS + index;
        names[index] = "the same long name for each and every row";
    }
    make_rows(&rows, ids, names, ROWS);
    GIVES(SSTORE_OK, sstore_table_append(db, table, NULL, &rows, NULL, &sequence, &error));
}

/* Rows of a table, by a scan of all of them. */
static int64_t count(sstore_db *db, sstore_table *table)
{
    struct ArrowArrayStream stream;
    sstore_scan *scan;

    GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
    sstore_scan_free(scan);
    return drain(&stream);
}

/* The newest file: its size. */
static uint64_t flushed(sstore_db *db, sstore_table *table, int files, const char *ending)
{
    sstore_segment segment = SSTORE_SEGMENT_INIT;
    const sstore_table *tables[1];
    sstore_flush_token *token;
    sstore_segments *segments;
    uint64_t size;

    tables[0] = table;
    GIVES(SSTORE_OK, sstore_table_flush(db, tables, 1, &token, &error));
    GIVES(SSTORE_OK, sstore_flush_token_wait(token, 60000, &error));
    sstore_flush_token_free(token);
    GIVES(SSTORE_OK, sstore_table_segments(db, table, &segments, &error));
    CHECK(sstore_segments_count(segments) == (size_t)files);
    GIVES(SSTORE_OK, sstore_segments_get(segments, (size_t)files - 1, &segment, &error));
    CHECK(strcmp(segment.path + strlen(segment.path) - strlen(ending), ending) == 0);
    size = segment.size_bytes;
    sstore_segments_free(segments);
    return size;
}

/* A table of another schema: the error names the fingerprints of both. */
static void created_anew(sstore_db *db)
{
    sstore_error *error = NULL;
    struct ArrowSchema schema;
    const char *key[1] = {"id"};
    sstore_table *table;

    make_schema(&schema, "+s", "", 0, 1);
    make_schema(schema.children[0], "l", "id", 0, 0);
    CHECK(sstore_table_create(db, "t", &schema, key, 1, NULL, NULL, &table, &error) == SSTORE_INVALID_ARGUMENT);
    CHECK(table == NULL && schema.release == NULL && unreleased == 0);
    CHECK(strstr(sstore_error_message(error), "other columns or another key: fingerprint ") != NULL);
    CHECK(strstr(sstore_error_message(error), " as given; column 1 is \"name\" Utf8, not none") != NULL);
    sstore_error_free(error);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "table_options.db";
    static const struct round rounds[ROUNDS] = {
        {CREATED, 2, "/data.arrow"},
        {NULL, 0, "/data.arrow"},
        {COMPRESSED, 1, "/data.arrow"},
        {PARQUET, 2, ".parquet"},
    };
    uint64_t sizes[ROUNDS];
    const char *key[1] = {"id"};
    struct ArrowSchema schema;
    sstore_options *options;
    sstore_table *table;
    sstore_db *db;
    int round;

    for (round = 0; round < ROUNDS; round++) {
        options = options_of(rounds[round].options, rounds[round].count);
        GIVES(SSTORE_OK, sstore_options_set(options, "auto_compaction", "false", &error));
        GIVES(SSTORE_OK, sstore_open(path, round == 0 ? NULL : options, &db, &error));
        if (round == 0) {
            make_columns(&schema);
            GIVES(SSTORE_OK, sstore_table_create(db, "t", &schema, key, 1, NULL, options, &table, &error));
            created_anew(db);
        } else {
            GIVES(SSTORE_OK, sstore_table_open(db, "t", &table, &error));
        }
        sstore_options_free(options);
        append(db, table, round);
        CHECK(count(db, table) == (round + 1) * ROWS);
        sizes[round] = flushed(db, table, round + 1, rounds[round].ending);
        CHECK(count(db, table) == (round + 1) * ROWS);
        if (round == ROUNDS - 1) {
            GIVES(SSTORE_OK, sstore_table_compact(db, table, &error));
            CHECK(count(db, table) == ROUNDS * ROWS);
            flushed(db, table, 1, ".parquet");
        }
        sstore_table_free(table);
        GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    }
    /* Kept: as it was created. Overridden: compressed. */
    CHECK(sizes[1] >= sizes[0] && sizes[1] < sizes[0] + sizes[0] / 10);
    CHECK(sizes[2] * 3 < sizes[0]);
    CHECK(unreleased == 0);
    return 0;
}
