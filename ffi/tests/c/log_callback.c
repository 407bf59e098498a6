/*
 * Lines for a log: which levels arrive, in what form, on which thread; and what a callback may do and what it may not.
 */
#include "test.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static _Atomic(sstore_db *) open_db;
static atomic_int lines, errors, warnings, flushed, put, refused, destroyed;
static pthread_t application;

static void on_line(void *data, const sstore_log_line *line)
{
    CHECK(data == &lines && line->struct_size == sizeof *line && line->unix_nanos > 0);
    CHECK(!pthread_equal(pthread_self(), application));
    CHECK(line->level >= SSTORE_LOG_INFO && line->level <= SSTORE_LOG_ERROR);
    CHECK(strlen(line->text) > 0 && strchr(line->text, '\n') == NULL);
    CHECK((line->level == SSTORE_LOG_INFO) == (strcmp(line->level_name, "info") == 0));
    lines++;
    errors += line->level == SSTORE_LOG_ERROR;
    if (line->level == SSTORE_LOG_WARN) {
        /* At most one a minute. */
        CHECK(strcmp(line->level_name, "warn") == 0 && strncmp(line->text, "low_disk ", 9) == 0);
        warnings++;
    }
    if (strncmp(line->text, "flush_done", 10) == 0) {
        sstore_db *db = open_db;
        flushed++;
        if (db == NULL || put) return;
        GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, "from", 4, "within", 6, NULL, &error));
        put = 1;
        GIVES(SSTORE_INVALID_ARGUMENT, sstore_close(db, NULL, &error));
        refused = 1;
    }
}

static void on_destroy(void *data)
{
    CHECK(data == &lines);
    destroyed++;
}

static void flush(sstore_db *db)
{
    sstore_flush_token *token;
    GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, "k", 1, "v", 1, NULL, &error));
    GIVES(SSTORE_OK, sstore_flush(db, NULL, 0, &token, &error));
    GIVES(SSTORE_OK, sstore_flush_token_wait(token, 60000, &error));
    sstore_flush_token_free(token);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "log_callback.db";
    sstore_options *options;
    sstore_db *db;
    void *value;
    size_t length;
    int seen;

    application = pthread_self();
    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    /* On an error the data stays the caller's. */
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_options_set_logger(options, 0, on_line, &lines, on_destroy, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_options_set_logger(options, 5, on_line, &lines, on_destroy, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_options_set_logger(options, 2, NULL, &lines, on_destroy, &error));
    CHECK(destroyed == 0);
    /* Another one takes its place. */
    GIVES(SSTORE_OK, sstore_options_set_logger(options, SSTORE_LOG_INFO, on_line, &lines, on_destroy, &error));
    GIVES(SSTORE_OK, sstore_options_set_logger(options, SSTORE_LOG_INFO, on_line, &lines, on_destroy, &error));
    CHECK(destroyed == 1);
    GIVES(SSTORE_OK, sstore_options_set(options, "low_disk_bytes", "1000TiB", &error));
    GIVES(SSTORE_OK, sstore_options_set(options, "slow_disk_millis", "0", &error));
    GIVES(SSTORE_OK, sstore_open(path, options, &db, &error));
    sstore_options_free(options);
    CHECK(destroyed == 1);
    open_db = db;
    flush(db);
    /* The lines come in time of their own. */
    for (time_t began = time(NULL); !refused && time(NULL) < began + 60;) flush(db);
    open_db = NULL;
    GIVES(SSTORE_OK, sstore_get(db, NULL, NULL, "from", 4, &value, &length, &error));
    CHECK(length == 6);
    sstore_free(value);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    /* All of them were told before the close was over, and none can come any more. */
    CHECK(refused && flushed >= 1 && errors == 0 && warnings >= 1 && destroyed == 2);
    seen = lines;
    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    CHECK(seen == lines);
    return 0;
}
