/*
 * Writes until it is killed; ffi/tests/kill.rs starts it, kills it and reads what is left.
 *
 *   kill_writer DATABASE MARKS BURSTS [option=value]...
 *
 * Batch number n = 1, 2, 3… is one atomic write over three families; what a database holds after batch n is therefore known
 * to the byte (`value_of` below and `expected` in kill.rs are the same function). MARKS is a file, mapped shared: what stands there
 * outlives the process, so that the killer knows what was acknowledged and what went on. After BURSTS bursts the database is
 * closed and opened again.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

/* As in kill.rs: how many keys the batches go round, and the group of keys that every WIDE-th batch writes. */
enum { SLOTS = 32768, WIDE = 61, GROUP = 48 };
/* From here on a life slows down, so that no life overwrites what it wrote itself. */
enum { HURRY = 12000, SYNC_EVERY = 997 };

enum phase { STARTING, OPENING, WRITING, CLOSING };

/* The marks, as eight-byte numbers. */
struct marks {
    volatile uint64_t acknowledged, phase, in_burst, flushes_begun, flushes_done, opening_micros;
};

static struct marks *marks;

static uint64_t mixed(uint64_t state)
{
    state += UINT64_C(0x9E3779B97F4A7C15);
    state = (state ^ (state >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    state = (state ^ (state >> 27)) * UINT64_C(0x94D049BB133111EB);
    return state ^ (state >> 31);
}

/* The value that batch n writes as its `place`-th: its length too depends on both. */
static size_t value_of(uint64_t n, uint64_t place, unsigned char *value)
{
    uint64_t state = mixed(n ^ place << 48);
    size_t len = 16 + state % 180;
    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0) state = mixed(state);
        value[i] = (unsigned char)(state >> i % 8 * 8);
    }
    return len;
}

static void stop(const char *what, enum sstore_code code, sstore_error *error)
{
    fprintf(stderr, "kill_writer: %s: %s: %s\n", what, sstore_code_name(code), sstore_error_message(error));
    exit(1);
}

#define MUST(call) \
    do { \
        sstore_error *error; \
        sstore_code code = (call); \
        if (code != SSTORE_OK) stop(#call, code, error); \
    } while (0)

/* Runs on a thread of the library. */
static void on_event(void *data, const sstore_event *event)
{
    (void)data;
    if (event->kind == SSTORE_EVENT_FLUSH_BEGIN) marks->flushes_begun++;
    if (event->kind == SSTORE_EVENT_FLUSH_DONE) marks->flushes_done++;
    if (event->kind == SSTORE_EVENT_BACKGROUND_ERROR) {
        fprintf(stderr, "kill_writer: %s\n", event->text);
        exit(1);
    }
}

static void put(sstore_batch *batch, sstore_column_family *family, const char *form, uint64_t number, uint64_t n, uint64_t place)
{
    unsigned char value[256];
    char key[32];
    size_t len = value_of(n, place, value);
    int key_len = snprintf(key, sizeof key, form, number);
    MUST(sstore_batch_put(batch, family, key, (size_t)key_len, value, len, &error));
}

static void fill(sstore_batch *batch, sstore_column_family **families, uint64_t n)
{
    char head[32];
    int len = snprintf(head, sizeof head, "head%020" PRIu64, n - 1);
    MUST(sstore_batch_clear(batch, &error));
    MUST(sstore_batch_delete(batch, NULL, head, (size_t)len, &error));
    put(batch, NULL, "head%020" PRIu64, n, n, 0);
    put(batch, families[0], "slot%010" PRIu64, n % SLOTS, n, 1);
    put(batch, families[1], "slot%010" PRIu64, n % SLOTS, n, 2);
    for (uint64_t i = 0; n % WIDE == 0 && i < GROUP; i++) put(batch, families[i % 2], "wide%010" PRIu64, i, n, 3 + i);
}

/* The number of the last batch in the database. */
static uint64_t last_batch(sstore_db *db)
{
    sstore_iterator *iterator;
    sstore_slice key;
    sstore_error *error;
    char number[21] = "";
    MUST(sstore_iterator_create(db, NULL, NULL, &iterator, &error));
    enum sstore_code code = sstore_iterator_seek_to_last(iterator, &error);
    if (code == SSTORE_OK) {
        MUST(sstore_iterator_entry(iterator, &key, NULL, NULL, &error));
        CHECK(key.len == 24 && memcmp(key.data, "head", 4) == 0);
        memcpy(number, (const char *)key.data + 4, 20);
    } else if (code != SSTORE_NOT_FOUND) {
        stop("seek_to_last", code, error);
    }
    sstore_iterator_free(iterator);
    return strtoull(number, NULL, 10);
}

static sstore_column_family *family(sstore_db *db, const char *name)
{
    sstore_column_family *family;
    sstore_error *error;
    enum sstore_code code = sstore_column_family_open(db, name, &family, &error);
    if (code == SSTORE_NOT_FOUND) {
        sstore_error_free(error);
        MUST(sstore_column_family_create(db, name, NULL, &family, &error));
    } else if (code != SSTORE_OK) {
        stop(name, code, error);
    }
    return family;
}

static uint64_t micros(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* One life of an open database: `bursts` bursts, then it is closed. */
static void live(const char *path, sstore_options *options, uint64_t bursts)
{
    sstore_write_options how = SSTORE_WRITE_OPTIONS_INIT;
    sstore_column_family *families[2];
    sstore_batch *batch;
    sstore_db *db;
    uint64_t start = micros();

    marks->flushes_begun = marks->flushes_done = 0;
    marks->phase = OPENING;
    MUST(sstore_open(path, options, &db, &error));
    marks->opening_micros = micros() - start;
    families[0] = family(db, "left");
    families[1] = family(db, "right");
    uint64_t n = last_batch(db), first = n;
    if (n < marks->acknowledged) {
        fprintf(stderr, "kill_writer: batch %" PRIu64 " was acknowledged, the last one is %" PRIu64 "\n", marks->acknowledged, n);
        exit(1);
    }
    MUST(sstore_batch_create(&batch, &error));
    marks->phase = WRITING;
    for (uint64_t burst = 0; burst < bursts; burst++) {
        uint64_t length = 100 + mixed(n) % 2000;
        marks->in_burst = 1;
        for (uint64_t i = 0; i < length; i++) {
            n++;
            fill(batch, families, n);
            how.durability = n % SYNC_EVERY == 0 ? SSTORE_DURABILITY_SYNC : SSTORE_DURABILITY_BUFFERED;
            MUST(sstore_write(db, &how, batch, NULL, &error));
            marks->acknowledged = n;
            if (n - first > HURRY) usleep(50);
        }
        marks->in_burst = 0;
        usleep(200);
    }
    sstore_batch_free(batch);
    sstore_column_family_free(families[0]);
    sstore_column_family_free(families[1]);
    marks->phase = CLOSING;
    MUST(sstore_close(db, NULL, &error));
}

int main(int argc, char **argv)
{
    sstore_options *options;
    CHECK(argc > 3);
    int file = open(argv[2], O_RDWR | O_CLOEXEC);
    CHECK(file >= 0);
    marks = mmap(NULL, sizeof *marks, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(marks != MAP_FAILED);
    MUST(sstore_options_create(&options, &error));
    for (int i = 4; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        CHECK(value != NULL);
        *value = 0;
        MUST(sstore_options_set(options, argv[i], value + 1, &error));
    }
    MUST(sstore_options_set_listener(options, on_event, NULL, NULL, &error));
    for (;;) live(argv[1], options, strtoull(argv[3], NULL, 10));
}
