/* Loads the library at run time. With one path: a thousand times, with a database opened, written and closed each time; threads and
 * memory must not grow. With two: both copies at once in one process.
 * usage: loading <folder> <library> [another copy] */
#include <sstore.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

enum { TURNS = 1000, WARM = 200, GROWTH_KIB_MAX = 4096 };

/* The functions of one copy. */
typedef struct copy {
    void *library;
    sstore_code (*open)(const char *, const sstore_options *, sstore_db **, sstore_error **);
    sstore_code (*put)(sstore_db *, const sstore_column_family *, const sstore_write_options *, const void *, size_t, const void *,
                       size_t, uint64_t *, sstore_error **);
    sstore_code (*contains)(const sstore_db *, const sstore_column_family *, const sstore_read_options *, const void *, size_t,
                            sstore_error **);
    sstore_code (*close)(sstore_db *, const sstore_close_options *, sstore_error **);
} copy;

/* Function pointers come out of dlsym as POSIX has it. */
static void find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    CHECK(found != NULL);
    memcpy(function, &found, sizeof found);
}

static copy load(const char *path)
{
    copy one;
    one.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (one.library == NULL) printf("%s\n", dlerror());
    CHECK(one.library != NULL);
    find(one.library, "sstore_open", &one.open);
    find(one.library, "sstore_put", &one.put);
    find(one.library, "sstore_contains", &one.contains);
    find(one.library, "sstore_close", &one.close);
    return one;
}

/* A number of /proc/self/status, such as Threads. */
static long status(const char *name)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0) value = atol(line + strlen(name) + 1);
    fclose(file);
    return value;
}

/* Threads that are ending may be seen for a moment. */
static long threads(void)
{
    int tries;
    for (tries = 0; tries < 500 && status("Threads") > 1; tries++)
        usleep(10000);
    return status("Threads");
}

static void again_and_again(const char *folder, const char *path)
{
    char name[4096];
    long warm = 0, grown;
    int turn;

    snprintf(name, sizeof name, "%s/again", folder);
    for (turn = 0; turn < TURNS; turn++) {
        copy one = load(path);
        sstore_db *db;
        CHECK(one.open(name, NULL, &db, NULL) == SSTORE_OK);
        CHECK(one.put(db, NULL, NULL, &turn, sizeof turn, "value", 5, NULL, NULL) == SSTORE_OK);
        CHECK(one.close(db, NULL, NULL) == SSTORE_OK);
        CHECK(dlclose(one.library) == 0);
        if (turn == WARM) {
            CHECK(threads() == 1);
            warm = status("RssAnon");
        }
    }
    CHECK(threads() == 1);
    grown = status("RssAnon") - warm;
    if (grown > GROWTH_KIB_MAX) printf("%ld KiB more after %d turns than after %d\n", grown, TURNS, WARM);
    CHECK(grown <= GROWTH_KIB_MAX);
    /* It stays mapped, as the header says. */
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) != NULL);
}

static void two_copies(const char *folder, const char *path, const char *other_path)
{
    char mine[4096], theirs[4096];
    copy one = load(path), other = load(other_path);
    sstore_db *db, *other_db, *refused;

    CHECK(one.library != other.library && one.open != other.open);
    snprintf(mine, sizeof mine, "%s/mine", folder);
    snprintf(theirs, sizeof theirs, "%s/theirs", folder);
    CHECK(one.open(mine, NULL, &db, NULL) == SSTORE_OK);
    CHECK(other.open(theirs, NULL, &other_db, NULL) == SSTORE_OK);
    CHECK(one.put(db, NULL, NULL, "a", 1, "1", 1, NULL, NULL) == SSTORE_OK);
    CHECK(other.put(other_db, NULL, NULL, "b", 1, "2", 1, NULL, NULL) == SSTORE_OK);
    CHECK(one.contains(db, NULL, NULL, "a", 1, NULL) == SSTORE_OK);
    CHECK(one.contains(db, NULL, NULL, "b", 1, NULL) == SSTORE_NOT_FOUND);
    CHECK(other.contains(other_db, NULL, NULL, "b", 1, NULL) == SSTORE_OK);

    /* One database is one copy's at a time. */
    CHECK(other.open(mine, NULL, &refused, NULL) == SSTORE_LOCKED);
    CHECK(one.open(theirs, NULL, &refused, NULL) == SSTORE_LOCKED);
    CHECK(one.close(db, NULL, NULL) == SSTORE_OK);
    CHECK(other.open(mine, NULL, &db, NULL) == SSTORE_OK);
    CHECK(other.contains(db, NULL, NULL, "a", 1, NULL) == SSTORE_OK);
    /* A handle of one copy is none of the other: refused, not followed. */
    CHECK(one.contains(db, NULL, NULL, "a", 1, NULL) != SSTORE_OK);
    CHECK(other.close(db, NULL, NULL) == SSTORE_OK);
    CHECK(other.close(other_db, NULL, NULL) == SSTORE_OK);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3 || argc == 4);
    if (argc == 3) again_and_again(argv[1], argv[2]);
    else two_copies(argv[1], argv[2], argv[3]);
    return 0;
}
