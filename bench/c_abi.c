/*
 * What a put and a get cost through the C interface: the same work as the groups `put` and `read` of sstore-bench, so that the
 * difference is the price of the boundary. Prints nanoseconds a call, the median of five rounds.
 *
 * usage: c_abi DIRECTORY      a directory that does not exist; each round makes a database there and destroys it
 */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sstore.h"

enum { KEYS = 480000, ROUNDS = 5, VALUE_BYTES = 100 };

static sstore_error *error;

static void must(enum sstore_code code, const char *what) {
    if (code != SSTORE_OK) {
        fprintf(stderr, "%s: %s\n", what, error ? sstore_error_message(error) : "not found");
        exit(1);
    }
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The same generator as in data.rs: key i is two numbers of it. */
static uint64_t mixed(uint64_t state) {
    state = (state ^ (state >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    state = (state ^ (state >> 27)) * UINT64_C(0x94D049BB133111EB);
    return state ^ (state >> 31);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static uint64_t keys[KEYS][2];
    double put[ROUNDS], get[ROUNDS];
    char value[VALUE_BYTES];
    sstore_options *options;

    if (argc != 2) {
        fprintf(stderr, "usage: c_abi DIRECTORY\n");
        return 1;
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        keys[i][0] = mixed((2 * i + 1) * UINT64_C(0x9E3779B97F4A7C15));
        keys[i][1] = mixed((2 * i + 2) * UINT64_C(0x9E3779B97F4A7C15));
    }
    memset(value, 'v', sizeof value);
    must(sstore_options_create(&options, &error), "options");
    must(sstore_options_set(options, "write_buffer_bytes", "1GiB", &error), "write_buffer_bytes");
    must(sstore_options_set(options, "memory_budget_bytes", "4GiB", &error), "memory_budget_bytes");

    for (int round = 0; round < ROUNDS; round++) {
        sstore_db *db;
        sstore_flush_token *token;
        uint64_t random = (uint64_t)round;
        size_t length;
        must(sstore_open(argv[1], options, &db, &error), "open");
        double start = seconds();
        for (size_t i = 0; i < KEYS; i++)
            must(sstore_put(db, NULL, NULL, keys[i], 16, value, sizeof value, NULL, &error), "put");
        put[round] = (seconds() - start) / KEYS * 1e9;
        must(sstore_flush(db, NULL, 0, &token, &error), "flush");
        must(sstore_flush_token_wait(token, 600000, &error), "wait");
        sstore_flush_token_free(token);
        /* The first pass loads the blocks into the cache, the second is timed. */
        for (int pass = 0; pass < 2; pass++) {
            start = seconds();
            for (size_t i = 0; i < KEYS; i++) {
                random += UINT64_C(0x9E3779B97F4A7C15);
                const uint64_t *key = keys[mixed(random) % KEYS];
                must(sstore_get_into(db, NULL, NULL, key, 16, value, sizeof value, &length, &error), "get");
            }
        }
        get[round] = (seconds() - start) / KEYS * 1e9;
        must(sstore_close(db, NULL, &error), "close");
        must(sstore_destroy(argv[1], &error), "destroy");
    }
    sstore_options_free(options);
    qsort(put, ROUNDS, sizeof *put, by_size);
    qsort(get, ROUNDS, sizeof *get, by_size);
    printf("put through C, BUFFERED                      %6.0f ns  (%.0f to %.0f)\n", put[ROUNDS / 2], put[0], put[ROUNDS - 1]);
    printf("get into a buffer through C, flushed, cached  %6.0f ns  (%.0f to %.0f), at most 600\n", get[ROUNDS / 2], get[0], get[ROUNDS - 1]);
    return 0;
}
