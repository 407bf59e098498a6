/*
 * Loads many records and says how it goes: load <directory> <records> <acknowledged file>
 *
 * Record n has the key "key%012llu" and a value that is made from n. After each write that was acknowledged, n + 1 is stored in the
 * shared mapping of the acknowledged file, which survives a SIGKILL: whoever kills this process can open the database and look
 * whether every acknowledged record is there. With 0 records it only verifies what the file says.
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <sstore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VALUE_BYTES 100

static void check(sstore_code code, sstore_error **error)
{
    if (code != SSTORE_OK) {
        fprintf(stderr, "%s: %s\n", sstore_code_name(code), sstore_error_message(*error));
        exit(1);
    }
}

static void make_record(unsigned long long number, char key[24], char value[VALUE_BYTES])
{
    unsigned long long state = number * 2862933555777941757ULL + 3037000493ULL;
    int at;

    snprintf(key, 24, "key%012llu", number);
    for (at = 0; at < VALUE_BYTES; at++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        value[at] = (char)('a' + (int)((state >> 33) % 26));
    }
}

/* Runs on a thread of the library. */
static void on_event(void *user_data, const sstore_event *event)
{
    double seconds = (double)event->micros / 1e6, megabytes = (double)event->bytes / 1e6;

    (void)user_data;
    if (event->kind != SSTORE_EVENT_FLUSH_DONE) return;
    printf("flushed %llu rows, %.1f MB, %.0f MB/s, file %06llu\n", (unsigned long long)event->entries, megabytes,
           seconds > 0 ? megabytes / seconds : 0.0, (unsigned long long)event->number);
    fflush(stdout);
}

static unsigned long long verify(sstore_db *db, unsigned long long count)
{
    char key[24], value[VALUE_BYTES], found[VALUE_BYTES];
    unsigned long long number, lost = 0;
    size_t len;

    for (number = 0; number < count; number++) {
        make_record(number, key, value);
        if (sstore_get_into(db, NULL, NULL, key, strlen(key), found, sizeof found, &len, NULL) != SSTORE_OK ||
            len != sizeof value || memcmp(found, value, sizeof value) != 0)
            lost++;
    }
    return lost;
}

int main(int argc, char **argv)
{
    volatile unsigned long long *acknowledged;
    unsigned long long records, number, lost;
    char key[24], value[VALUE_BYTES];
    sstore_error *error = NULL;
    sstore_options *options;
    sstore_db *db;
    void *page;
    int file;

    if (argc != 4) {
        fprintf(stderr, "usage: load <directory> <records> <acknowledged file>\n");
        return 2;
    }
    records = strtoull(argv[2], NULL, 10);
    file = open(argv[3], O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, sizeof *acknowledged) != 0) return 2;
    page = mmap(NULL, sizeof *acknowledged, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) return 2;
    acknowledged = page;

    check(sstore_options_create(&options, &error), &error);
    check(sstore_options_set_listener(options, on_event, NULL, NULL, &error), &error);
    check(sstore_open(argv[1], options, &db, &error), &error);
    sstore_options_free(options);

    lost = verify(db, *acknowledged);
    if (*acknowledged > 0) printf("%llu acknowledged records, %llu lost\n", *acknowledged, lost);
    for (number = *acknowledged; lost == 0 && number < records; number++) {
        make_record(number, key, value);
        check(sstore_put(db, NULL, NULL, key, strlen(key), value, sizeof value, NULL, &error), &error);
        *acknowledged = number + 1;
    }
    check(sstore_close(db, NULL, &error), &error);
    printf("%llu records loaded\n", *acknowledged);
    return lost == 0 ? 0 : 1;
}
