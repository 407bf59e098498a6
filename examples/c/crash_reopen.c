/* A process that dies without closing loses nothing that it was told is written. */
#define _POSIX_C_SOURCE 200809L
#include <sstore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(sstore_code code, sstore_error **error)
{
    if (code != SSTORE_OK) {
        fprintf(stderr, "%s: %s\n", sstore_code_name(code), sstore_error_message(*error));
        _exit(1);
    }
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "crash_reopen.db";
    sstore_error *error = NULL;
    sstore_db *db;
    char key[16];
    int number, found = 0, status = 0;
    pid_t child = fork();

    if (child == 0) {
        check(sstore_open(path, NULL, &db, &error), &error);
        for (number = 0; number < 1000; number++) {
            snprintf(key, sizeof key, "key%04d", number);
            check(sstore_put(db, NULL, NULL, key, strlen(key), "value", 5, NULL, &error), &error);
        }
        _exit(0); /* dies: no close, no flush */
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return 1;

    check(sstore_open(path, NULL, &db, &error), &error);
    for (number = 0; number < 1000; number++) {
        snprintf(key, sizeof key, "key%04d", number);
        found += sstore_contains(db, NULL, NULL, key, strlen(key), NULL) == SSTORE_OK;
    }
    printf("%d of 1000 writes are there\n", found);
    check(sstore_close(db, NULL, &error), &error);
    return 0;
}
