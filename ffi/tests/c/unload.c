/*
 * The library can be unloaded once the last database is closed: no thread runs in it any more, and it can be loaded again.
 *
 * A copy of it is loaded, since this program is linked to the library itself and keeps it.
 */
#include "test.h"
#include <dirent.h>
#include <dlfcn.h>

static int threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    CHECK(tasks != NULL);
    for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

static void copy(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    char buffer[65536];
    size_t length;

    CHECK(in != NULL && out != NULL);
    while ((length = fread(buffer, 1, sizeof buffer, in)) > 0) CHECK(fwrite(buffer, 1, length, out) == length);
    fclose(in);
    CHECK(fclose(out) == 0);
}

/* A function of the copy, which ISO C has no cast for. */
static void find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);

    CHECK(found != NULL);
    memcpy(function, &found, sizeof found);
}

int main(int count, char **arguments)
{
    CHECK(count == 2);
    copy("lib/libsstore.so.0", "copy.so");
    for (int round = 0; round < 3; round++) {
        void *library = dlopen("./copy.so", RTLD_NOW | RTLD_LOCAL);
        sstore_db *dbs[2];
        sstore_code (*open_db)(const char *, const sstore_options *, sstore_db **, sstore_error **);
        sstore_code (*put)(sstore_db *, const sstore_column_family *, const sstore_write_options *, const void *, size_t,
                           const void *, size_t, uint64_t *, sstore_error **);
        sstore_code (*flush)(sstore_db *, const sstore_column_family *const *, size_t, sstore_flush_token **, sstore_error **);
        sstore_code (*close_db)(sstore_db *, const sstore_close_options *, sstore_error **);

        CHECK(library != NULL);
        find(library, "sstore_open", &open_db);
        find(library, "sstore_put", &put);
        find(library, "sstore_flush", &flush);
        find(library, "sstore_close", &close_db);
        for (int at = 0; at < 2; at++) {
            char path[4096];

            snprintf(path, sizeof path, "%s%d", arguments[1], at);
            CHECK(open_db(path, NULL, &dbs[at], NULL) == SSTORE_OK);
            CHECK(put(dbs[at], NULL, NULL, "k", 1, "v", 1, NULL, NULL) == SSTORE_OK);
            CHECK(flush(dbs[at], NULL, 0, NULL, NULL) == SSTORE_OK);
        }
        CHECK(threads() > 1);
        for (int at = 0; at < 2; at++) CHECK(close_db(dbs[at], NULL, NULL) == SSTORE_OK);
        CHECK(threads() == 1);
        CHECK(dlclose(library) == 0);
    }
    return 0;
}
