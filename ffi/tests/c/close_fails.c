/* A close whose last flush finds no space: the database is closed all the same, the handle stays to be released, and nothing is lost. */
#include "test.h"
#include <signal.h>
#include <sys/resource.h>

enum { KEYS = 500 };

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes == 0 ? limit.rlim_max : bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "close_fails.db";
    sstore_close_options flush = SSTORE_CLOSE_OPTIONS_INIT;
    sstore_snapshot *snapshot;
    char key[16], value[1000];
    sstore_db *db;
    size_t at;
    int number;

    signal(SIGXFSZ, SIG_IGN);
    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
    for (number = 0; number < KEYS; number++) {
        snprintf(key, sizeof key, "%d", number);
        for (at = 0; at < sizeof value; at++)
            value[at] = (char)rand();
        GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, key, strlen(key), value, sizeof value, NULL, &error));
    }
    /* Refused: it is as open as before. */
    GIVES(SSTORE_OK, sstore_snapshot_create(db, &snapshot, &error));
    GIVES(SSTORE_BUSY, sstore_close(db, NULL, &error));
    flush.flush = 3;
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_close(db, &flush, &error));
    GIVES(SSTORE_OK, sstore_contains(db, NULL, NULL, "1", 1, &error));
    sstore_snapshot_free(snapshot);

    flush.flush = 1;
    limit_files(100000);
    GIVES(SSTORE_NO_SPACE, sstore_close(db, &flush, &error));
    GIVES(SSTORE_CLOSED, sstore_contains(db, NULL, NULL, "1", 1, &error));
    GIVES(SSTORE_CLOSED, sstore_close(db, NULL, &error));
    sstore_release(db);
    limit_files(0);
    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
    for (number = 0; number < KEYS; number++) {
        snprintf(key, sizeof key, "%d", number);
        GIVES(SSTORE_OK, sstore_contains(db, NULL, NULL, key, strlen(key), &error));
    }
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    return 0;
}
