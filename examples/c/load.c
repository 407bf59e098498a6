/*
 * Loads lines of `key<tab>value` into a database, and goes on where it was killed. `make demo` runs it; so can you:
 *
 *   load DATABASE LINES ACKNOWLEDGEMENTS [option=value]...
 *
 * Batches of a thousand records are written BUFFERED: once sstore_write has returned, the kernel has them, and the death of
 * this process cannot lose them. ACKNOWLEDGEMENTS is a file of eight bytes, mapped shared: how many records are written, as a
 * little-endian number. It outlives the process in the same way.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "sstore.h"

enum { BATCH = 1000 };

static sstore_error *error;

static void must(enum sstore_code code, const char *what) {
    if (code != SSTORE_OK) {
        fprintf(stderr, "load: %s: %s\n", what, error ? sstore_error_message(error) : "not found");
        exit(1);
    }
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static volatile uint64_t *map_acknowledgements(const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *page = MAP_FAILED;
    if (file >= 0 && ftruncate(file, sizeof(uint64_t)) == 0)
        page = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) {
        perror(path);
        exit(1);
    }
    close(file);
    return page;
}

/* Runs on a thread of the library, one event at a time. */
static void show(void *user_data, const sstore_event *event) {
    (void)user_data;
    if (event->kind != SSTORE_EVENT_FLUSH_DONE) return;
    double megabytes = (double)event->bytes / 1e6, took = (double)(event->micros ? event->micros : 1) / 1e6;
    printf("flush: %" PRIu64 " rows, %.1f MB, %.0f MB/s, file %" PRIu64 "\n", event->entries, megabytes, megabytes / took, event->number);
    fflush(stdout);
}

static void set_options(sstore_options *options, char **arguments) {
    for (; *arguments; arguments++) {
        char *value = strchr(*arguments, '=');
        if (!value) {
            fprintf(stderr, "load: %s: option=value expected\n", *arguments);
            exit(1);
        }
        *value = 0;
        must(sstore_options_set(options, *arguments, value + 1, &error), *arguments);
    }
}

int main(int argc, char **argv) {
    sstore_options *options;
    sstore_db *db;
    sstore_batch *batch;
    char *line = NULL;
    size_t room = 0, pending = 0;
    ssize_t length;

    if (argc < 4) {
        fprintf(stderr, "usage: load DATABASE LINES ACKNOWLEDGEMENTS [option=value]...\n");
        return 1;
    }
    volatile uint64_t *acknowledged = map_acknowledgements(argv[3]);
    FILE *lines = fopen(argv[2], "r");
    if (!lines) {
        perror(argv[2]);
        return 1;
    }
    must(sstore_options_create(&options, &error), "options");
    set_options(options, argv + 4);
    must(sstore_options_set_listener(options, show, NULL, NULL, &error), "listener");
    must(sstore_open(argv[1], options, &db, &error), "open");
    sstore_options_free(options);
    must(sstore_batch_create(&batch, &error), "batch");

    uint64_t done = *acknowledged, first = done;
    for (uint64_t skipped = 0; skipped < done && getline(&line, &room, lines) >= 0; skipped++) {}
    double start = seconds(), shown = start;
    do {
        length = getline(&line, &room, lines);
        if (length > 0) {
            if (line[length - 1] == '\n') line[--length] = 0;
            char *tab = memchr(line, '\t', (size_t)length);
            size_t key_length = tab ? (size_t)(tab - line) : (size_t)length;
            const char *value = tab ? tab + 1 : "";
            size_t value_length = tab ? (size_t)length - key_length - 1 : 0;
            must(sstore_batch_put(batch, NULL, line, key_length, value, value_length, &error), "put");
            pending++;
        }
        if (pending == BATCH || (length < 0 && pending > 0)) {
            must(sstore_write(db, NULL, batch, NULL, &error), "write");
            must(sstore_batch_clear(batch, &error), "clear");
            done += pending;
            *acknowledged = done;
            pending = 0;
            if (seconds() - shown > 0.5) {
                shown = seconds();
                printf("%10" PRIu64 " records, %.0f a second\n", done, (double)(done - first) / (shown - start));
                fflush(stdout);
            }
        }
    } while (length >= 0);

    sstore_batch_free(batch);
    must(sstore_close(db, NULL, &error), "close");
    printf("%10" PRIu64 " records in all; %" PRIu64 " in %.1f s, flushed and closed\n", done, done - first, seconds() - start);
    free(line);
    fclose(lines);
    return 0;
}
