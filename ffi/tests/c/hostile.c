/* Hostile arguments: every one gets a code, none is undefined behaviour. */
#include "test.h"
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "hostile.db";
    sstore_write_options options = SSTORE_WRITE_OPTIONS_INIT;
    unsigned char wide[sizeof options + 8];
    sstore_iterator *iterator;
    sstore_stats stats;
    sstore_batch *batch;
    sstore_slice slice;
    sstore_column_family *family, *foreign;
    static char long_key[65537];
    char other_path[512];
    sstore_db *db, *other;
    void *value;
    size_t len;
    pid_t child;
    int status;

    GIVES(SSTORE_INVALID_ARGUMENT, sstore_open(NULL, NULL, &db, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_open("", NULL, &db, &error));
    CHECK(db == NULL);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_open(path, NULL, NULL, &error));
    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));

    /* NULL and lengths. */
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_put(NULL, NULL, NULL, "k", 1, "v", 1, NULL, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_put(db, NULL, NULL, NULL, 1, "v", 1, NULL, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_put(db, NULL, NULL, "k", SIZE_MAX, "v", 1, NULL, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_put(db, NULL, NULL, "k", 1, "v", SIZE_MAX / 2, NULL, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_get(db, NULL, NULL, "k", 1, NULL, &len, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_get(db, NULL, NULL, "k", 1, &value, NULL, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_multi_get(db, NULL, NULL, &slice, SIZE_MAX, (sstore_values **)&value, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_write_operations(db, NULL, NULL, 3, NULL, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_flush(db, NULL, 3, NULL, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_iterator_create(db, NULL, NULL, NULL, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_options_describe(0, NULL, &error));

    /* Structs of other sizes. */
    options.struct_size = 0;
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_put(db, NULL, &options, "k", 1, "v", 1, NULL, &error));
    options.struct_size = sizeof options;
    options.durability = 9;
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_put(db, NULL, &options, "k", 1, "v", 1, NULL, &error));
    options.durability = 0;
    options.struct_size = sizeof wide;
    memset(wide, 0, sizeof wide);
    memcpy(wide, &options, sizeof options);
    GIVES(SSTORE_OK, sstore_put(db, NULL, (const sstore_write_options *)(void *)wide, "k", 1, "v", 1, NULL, &error));
    wide[sizeof wide - 1] = 1;
    GIVES(SSTORE_NOT_SUPPORTED,
          sstore_put(db, NULL, (const sstore_write_options *)(void *)wide, "k", 1, "v", 1, NULL, &error));
    memset(&stats, 0x55, sizeof stats);
    stats.struct_size = 16;
    GIVES(SSTORE_OK, sstore_stats_get(db, &stats, &error));
    CHECK(stats.struct_size == 16 && stats.durable_sequence == 0x5555555555555555u);

    /* Handles of other types, of nobody, freed ones. */
    GIVES(SSTORE_OK, sstore_batch_create(&batch, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_sync((sstore_db *)(void *)batch, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_sync((sstore_db *)(void *)path, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_batch_append(batch, batch, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_put(db, (sstore_column_family *)(void *)batch, NULL, "k", 1, "v", 1, NULL, &error));
    /* An operation that was refused does not bind the batch to its database. */
    snprintf(other_path, sizeof other_path, "%s.other", path);
    GIVES(SSTORE_OK, sstore_open(other_path, NULL, &other, &error));
    GIVES(SSTORE_OK, sstore_column_family_create(other, "family", NULL, &foreign, &error));
    GIVES(SSTORE_OK, sstore_column_family_create(db, "family", NULL, &family, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_batch_put(batch, foreign, long_key, sizeof long_key, "v", 1, &error));
    GIVES(SSTORE_OK, sstore_batch_put(batch, family, "k", 1, "v", 1, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_batch_put(batch, foreign, "k", 1, "v", 1, &error));
    sstore_column_family_free(foreign);
    sstore_column_family_free(family);
    GIVES(SSTORE_OK, sstore_close(other, NULL, &error));
    sstore_batch_free(batch);
    sstore_batch_free(batch);
    GIVES(SSTORE_CLOSED, sstore_batch_clear(batch, &error));
    CHECK(sstore_batch_count(batch) == 0 && sstore_list_count((sstore_list *)(void *)batch) == 0);
    sstore_error_free(NULL);
    sstore_free(NULL);
    sstore_release(NULL);
    sstore_iterator_free((sstore_iterator *)(void *)path);

    /* A forked child may not use the parent's handles, and may have its own. */
    GIVES(SSTORE_OK, sstore_iterator_create(db, NULL, NULL, &iterator, &error));
    child = fork();
    if (child == 0) {
        char own[512];
        sstore_db *mine;
        GIVES(SSTORE_FORKED, sstore_put(db, NULL, NULL, "k", 1, "v", 1, NULL, &error));
        GIVES(SSTORE_FORKED, sstore_iterator_seek_to_first(iterator, &error));
        GIVES(SSTORE_FORKED, sstore_close(db, NULL, &error));
        sstore_iterator_free(iterator);
        snprintf(own, sizeof own, "%s.child", path);
        GIVES(SSTORE_OK, sstore_open(own, NULL, &mine, &error));
        GIVES(SSTORE_OK, sstore_put(mine, NULL, NULL, "k", 1, "v", 1, NULL, &error));
        GIVES(SSTORE_OK, sstore_close(mine, NULL, &error));
        fflush(stdout);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);

    /* Close: busy, forced, twice; a child of a closed database. */
    GIVES(SSTORE_BUSY, sstore_close(db, NULL, &error));
    {
        sstore_close_options force = SSTORE_CLOSE_OPTIONS_INIT;
        force.force = 1;
        GIVES(SSTORE_OK, sstore_close(db, &force, &error));
    }
    GIVES(SSTORE_CLOSED, sstore_close(db, NULL, &error));
    GIVES(SSTORE_CLOSED, sstore_iterator_seek_to_first(iterator, &error));
    GIVES(SSTORE_CLOSED, sstore_get(db, NULL, NULL, "k", 1, &value, &len, &error));
    CHECK(value == NULL && len == 0);
    sstore_iterator_free(iterator);
    sstore_release(db);
    return 0;
}
