/* A database of LevelDB comes in; damage is refused or counted; a source that somebody has open is not touched. */
#include "leveldb_source.h"
#include "test.h"
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

struct told {
    int times;
    uint64_t read, total, entries;
};

static int on_progress(void *data, uint64_t read, uint64_t total, uint64_t entries)
{
    struct told *told = data;
    *told = (struct told){told->times + 1, read, total, entries};
    return entries < 2; /* When all are written it is too late to call it off. */
}

static void has(sstore_db *db, const sstore_column_family *family, const char *key, const char *expected)
{
    void *value;
    size_t len;
    sstore_code code = sstore_get(db, family, NULL, key, strlen(key), &value, &len, NULL);

    CHECK(code == (expected == NULL ? SSTORE_NOT_FOUND : SSTORE_OK));
    CHECK(expected == NULL || (len == strlen(expected) && memcmp(value, expected, len) == 0));
    sstore_free(value);
}

/* Another process has it open, as LevelDB does: a record lock on LOCK. */
static void refused_while_open(sstore_db *db, const char *source)
{
    int ready[2], done[2], status;
    char byte = 0, path[1024];
    pid_t child;

    snprintf(path, sizeof path, "%s/LOCK", source);
    CHECK(pipe(ready) == 0 && pipe(done) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int file = open(path, O_RDWR);
        close(done[1]);
        if (file < 0 || fcntl(file, F_SETLK, &lock) != 0 || write(ready[1], "r", 1) != 1)
            _exit(1);
        status = (int)read(done[0], &byte, 1);
        _exit(0);
    }
    close(done[0]);
    CHECK(read(ready[0], &byte, 1) == 1);
    GIVES(SSTORE_LOCKED, sstore_import_leveldb(db, NULL, source, NULL, NULL, NULL, NULL, &error));
    close(done[1]);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(ready[0]);
    close(ready[1]);
    GIVES(SSTORE_OK, sstore_import_leveldb(db, NULL, source, NULL, NULL, NULL, NULL, &error));
}

int main(int argc, char **argv)
{
    sstore_leveldb_options options = SSTORE_LEVELDB_OPTIONS_INIT;
    sstore_leveldb_result result = SSTORE_LEVELDB_RESULT_INIT;
    sstore_column_family *family;
    struct told told = {0, 0, 0, 0};
    sstore_error *why;
    sstore_db *db;
    unsigned char damaged[sizeof leveldb_log];
    char source[512];

    CHECK(argc == 2);
    snprintf(source, sizeof source, "%s.leveldb", argv[1]);
    GIVES(SSTORE_OK, sstore_open(argv[1], NULL, &db, &error));
    CHECK(sstore_import_leveldb(db, NULL, source, NULL, NULL, NULL, NULL, &why) == SSTORE_NOT_FOUND);
    CHECK(why != NULL && strstr(sstore_error_message(why), "no LevelDB database") != NULL);
    sstore_error_free(why);
    CHECK(make_leveldb(source));

    GIVES(SSTORE_OK, sstore_column_family_create(db, "from", NULL, &family, &error));
    GIVES(SSTORE_OK, sstore_put(db, family, NULL, "cat", 3, "old", 3, NULL, &error));
    GIVES(SSTORE_OK, sstore_import_leveldb(db, family, source, NULL, on_progress, &told, &result, &error));
    CHECK(result.entries == 2 && result.payload_bytes == 14 && result.skipped == 0 && result.torn_bytes == 0);
    CHECK(result.bytes_read == sizeof leveldb_log + sizeof leveldb_manifest);
    CHECK(told.times >= 2 && told.read == result.bytes_read && told.total == told.read && told.entries == 2);
    has(db, family, "cat", "meow");
    has(db, family, "cow", NULL);
    has(db, family, "dog", "woof");
    has(db, NULL, "cat", NULL);
    refused_while_open(db, source);
    has(db, NULL, "dog", "woof");

    memcpy(damaged, leveldb_log, sizeof damaged);
    damaged[20] ^= 1;
    CHECK(leveldb_file(source, "000003.log", damaged, sizeof damaged));
    CHECK(sstore_import_leveldb(db, family, source, &options, NULL, NULL, &result, &why) == SSTORE_CORRUPTION);
    CHECK(strstr(sstore_error_path(why), "000003.log") != NULL && result.entries == 0);
    sstore_error_free(why);
    options.skip_damaged = 1;
    GIVES(SSTORE_OK, sstore_import_leveldb(db, family, source, &options, NULL, NULL, &result, &error));
    CHECK(result.entries == 0 && result.skipped == 1 && result.skipped_bytes == sizeof leveldb_log);

    /* Its last byte is missing: what a killed writer leaves. */
    CHECK(leveldb_file(source, "000003.log", leveldb_log, sizeof leveldb_log - 1));
    GIVES(SSTORE_OK, sstore_import_leveldb(db, NULL, source, NULL, NULL, NULL, &result, &error));
    CHECK(result.entries == 2 && result.torn_bytes > 0);
    has(db, NULL, "cow", "moo");

    sstore_column_family_free(family);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    return 0;
}
