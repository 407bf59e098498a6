/*
 * One table, written, scanned and looked up by several threads at once; a row builder and a scan that several threads use
 * against their contract: every call does its work or says BUSY.
 */
#include "arrow.h"
#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 3, ROUNDS = 16, ROWS = 25, STEPS = 600 };

static sstore_db *db;
static sstore_table *table;
static sstore_row_builder *shared_builder;
static sstore_scan *shared_scan;
static atomic_int writing, appended;

/* Writes rows of its own, by builder and by array in turn. */
static void *write_rows(void *number)
{
    sstore_row_builder *builder;
    int64_t id = (int64_t)(size_t)number * 1000000;

    GIVES(SSTORE_OK, sstore_row_builder_create(db, table, SSTORE_ROW_FULL, &builder, &error));
    for (int round = 0; round < ROUNDS; round++) {
        for (int row = 0; row < ROWS; row++) {
            GIVES(SSTORE_OK, sstore_row_builder_set_i64(builder, 0, id++, &error));
            GIVES(SSTORE_OK, sstore_row_builder_set_bytes(builder, 1, "name", 4, &error));
            GIVES(SSTORE_OK, sstore_row_builder_append(builder, &error));
        }
        GIVES(SSTORE_OK, sstore_row_builder_write(builder, NULL, NULL, &error));
    }
    sstore_row_builder_free(builder);
    atomic_fetch_sub(&writing, 1);
    return NULL;
}

/* Batches are whole: what a scan counts is a multiple of their rows, and never less than before. */
static void *scan_rows(void *unused)
{
    int64_t before = 0;
    (void)unused;
    do {
        struct ArrowArrayStream stream;
        sstore_scan *scan;
        int64_t rows;
        GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
        GIVES(SSTORE_OK, sstore_scan_set_batch_rows(scan, 7, &error));
        GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
        sstore_scan_free(scan);
        rows = drain(&stream);
        CHECK(rows % ROWS == 0 && rows >= before);
        before = rows;
    } while (atomic_load(&writing) > 0);
    return NULL;
}

static int worked(sstore_code code, sstore_error *const *error)
{
    CHECK(code == SSTORE_OK || code == SSTORE_BUSY);
    CHECK((*error == NULL) == (code == SSTORE_OK));
    sstore_error_free(*error);
    return code == SSTORE_OK;
}

static void *use_together(void *seed)
{
    size_t number = (size_t)seed;
    for (int step = 0; step < STEPS; step++) {
        struct ArrowArrayStream stream;
        sstore_error *error;
        number = number * 6364136223846793005u + 1442695040888963407u;
        switch (number >> 61) {
        case 0:
        case 1:
            worked(sstore_row_builder_set_i64(shared_builder, 0, (int64_t)(number >> 40), &error), &error);
            break;
        case 2:
            worked(sstore_row_builder_set_bytes(shared_builder, 1, "together", 8, &error), &error);
            break;
        case 3: {
            /* The key may not be set, and that by another thread's doing. */
            sstore_code code = sstore_row_builder_append(shared_builder, &error);
            if (code == SSTORE_INVALID_ARGUMENT)
                sstore_error_free(error);
            else if (worked(code, &error))
                atomic_fetch_add(&appended, 1);
            break;
        }
        case 4:
            worked(sstore_row_builder_set_null(shared_builder, 1, &error), &error);
            break;
        case 5:
            worked(sstore_scan_set_limit(shared_scan, number >> 32, &error), &error);
            break;
        default:
            if (worked(sstore_scan_execute(shared_scan, &stream, &error), &error))
                stream.release(&stream);
            CHECK(stream.release == NULL);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "tables_threads.db", *key[1] = {"id"};
    pthread_t writers[THREADS], scanners[2];
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray rows;
    sstore_options *options;
    sstore_table *other;

    /* Small memtables: flushes and merges go on meanwhile. */
    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    GIVES(SSTORE_OK, sstore_options_set(options, "write_buffer_bytes", "64KiB", &error));
    GIVES(SSTORE_OK, sstore_open(path, options, &db, &error));
    make_columns(&schema);
    GIVES(SSTORE_OK, sstore_table_create(db, "t", &schema, key, 1, NULL, options, &table, &error));
    sstore_options_free(options);
    atomic_store(&writing, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&writers[i], NULL, write_rows, (void *)(i + 1)) == 0);
    for (size_t i = 0; i < 2; i++)
        CHECK(pthread_create(&scanners[i], NULL, scan_rows, NULL) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(writers[i], NULL);
    for (size_t i = 0; i < 2; i++)
        pthread_join(scanners[i], NULL);

    GIVES(SSTORE_OK, sstore_row_builder_create(db, table, SSTORE_ROW_FULL, &shared_builder, &error));
    GIVES(SSTORE_OK, sstore_scan_create(db, table, &shared_scan, &error));
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&writers[i], NULL, use_together, (void *)(i + 1)) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(writers[i], NULL);
    CHECK(sstore_row_builder_count(shared_builder) == (size_t)atomic_load(&appended) && appended > 0);
    {
        /* Whatever was set in the last row, the rows before it are whole. */
        sstore_error *error;
        if (sstore_row_builder_finish(shared_builder, &rows, NULL, &error) != SSTORE_OK) {
            sstore_error_free(error);
            GIVES(SSTORE_OK, sstore_row_builder_set_i64(shared_builder, 0, 1, &error));
            GIVES(SSTORE_OK, sstore_row_builder_append(shared_builder, &error));
            GIVES(SSTORE_OK, sstore_row_builder_finish(shared_builder, &rows, NULL, &error));
        }
        for (int64_t row = 0; row < rows.length; row++)
            CHECK(text_is(rows.children[1], row, "together") || text_is(rows.children[1], row, NULL));
    }
    make_columns(&schema);
    GIVES(SSTORE_OK, sstore_table_create(db, "other", &schema, NULL, 0, NULL, NULL, &other, &error));
    GIVES(SSTORE_OK, sstore_table_append(db, other, NULL, &rows, NULL, NULL, &error));
    sstore_table_free(other);
    sstore_row_builder_free(shared_builder);
    sstore_scan_free(shared_scan);

    GIVES(SSTORE_OK, sstore_scan_create(db, table, &shared_scan, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(shared_scan, &stream, &error));
    sstore_scan_free(shared_scan);
    CHECK(drain(&stream) == THREADS * ROUNDS * ROWS);
    sstore_table_free(table);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    return 0;
}
