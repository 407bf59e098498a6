/*
 * An iterator, a batch and an options object, each used by several threads at once, against their contract: every call does
 * its work or says BUSY. And objects that are freed while another thread uses them: the call ends well or says CLOSED.
 */
#include "test.h"
#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 3, ENTRIES = 1000, STEPS = 5000, LIVES = 100 };

static sstore_db *db;
static sstore_iterator *iterator;
static sstore_batch *batch;
static sstore_options *options;
static atomic_size_t added, busy, done;

/* Whether the call did its work; anything but OK, NOT_FOUND and `other` ends the test. */
static int worked(sstore_code code, sstore_code other, sstore_error *const *error)
{
    if (code != SSTORE_OK && code != SSTORE_NOT_FOUND && code != other) {
        printf("%s: %s\n", sstore_code_name(code), sstore_error_message(*error));
        exit(1);
    }
    CHECK((*error == NULL) == (code == SSTORE_OK || code == SSTORE_NOT_FOUND));
    sstore_error_free(*error);
    atomic_fetch_add(code == other ? &busy : &done, 1);
    return code != other;
}

static void *use(void *seed)
{
    size_t number = (size_t)seed;
    for (size_t step = 0; step < STEPS; step++) {
        sstore_slice keys[8], values[8], key;
        sstore_error *error;
        uint64_t sequence;
        size_t count;
        char *text;
        number = number * 6364136223846793005u + 1442695040888963407u;
        switch (number >> 60) {
        case 0:
            worked(sstore_iterator_seek_to_first(iterator, &error), SSTORE_BUSY, &error);
            break;
        case 1:
            worked(sstore_iterator_seek(iterator, "key05", 5, &error), SSTORE_BUSY, &error);
            break;
        case 2:
            /* It may stand on no entry, which is said, and by another thread's doing. */
            if (sstore_iterator_next(iterator, &error) == SSTORE_INVALID_ARGUMENT) {
                sstore_error_free(error);
            } else {
                sstore_error_free(error);
                CHECK(sstore_iterator_is_valid(iterator) <= 1);
            }
            break;
        case 3:
            /* The bytes may be gone as soon as another thread moves it: only their number can be looked at. */
            if (worked(sstore_iterator_entry(iterator, &key, NULL, &sequence, &error), SSTORE_BUSY, &error))
                CHECK(key.len == 7 || key.len == 1 || key.data == NULL);
            break;
        case 4:
            worked(sstore_iterator_refresh(iterator, &error), SSTORE_BUSY, &error);
            break;
        case 5:
        case 6:
            if (worked(sstore_batch_put(batch, NULL, "b", 1, "v", 1, &error), SSTORE_BUSY, &error)) atomic_fetch_add(&added, 1);
            break;
        case 7:
            if (step % 64 == 0) worked(sstore_write(db, NULL, batch, NULL, &error), SSTORE_BUSY, &error);
            CHECK(sstore_batch_count(batch) <= THREADS * STEPS);
            break;
        case 8:
            worked(sstore_options_set(options, "write_buffer_bytes", "1MiB", &error), SSTORE_BUSY, &error);
            break;
        case 9:
            if (worked(sstore_options_get(options, "write_buffer_bytes", &text, &error), SSTORE_BUSY, &error)) {
                CHECK(text != NULL);
                sstore_free(text);
            }
            break;
        case 10:
            if (worked(sstore_iterator_prev_batch(iterator, keys, values, 8, 0, &count, &error), SSTORE_BUSY, &error))
                CHECK(count <= 8);
            break;
        default:
            if (worked(sstore_iterator_next_batch(iterator, keys, values, 8, 0, &count, &error), SSTORE_BUSY, &error))
                CHECK(count <= 8);
        }
    }
    return NULL;
}

static _Atomic(sstore_iterator *) shared;
static atomic_int stop;

/* Uses whatever iterator there is, which the main thread frees meanwhile. */
static void *use_what_goes(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        sstore_slice keys[8];
        sstore_error *error;
        size_t count;
        sstore_code code = sstore_iterator_next_batch(atomic_load(&shared), keys, NULL, 8, 0, &count, &error);
        CHECK(code == SSTORE_OK || code == SSTORE_NOT_FOUND || code == SSTORE_BUSY || code == SSTORE_CLOSED);
        CHECK(code == SSTORE_OK || count == 0);
        sstore_error_free(error);
    }
    return NULL;
}

static void run(void *(*work)(void *), pthread_t *threads)
{
    for (size_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    size_t seen = 0;
    CHECK(argc > 1);
    GIVES(SSTORE_OK, sstore_open(argv[1], NULL, &db, &error));
    for (int i = 0; i < ENTRIES; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%04d", i);
        GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, key, 7, "value", 5, NULL, &error));
    }
    GIVES(SSTORE_OK, sstore_iterator_create(db, NULL, NULL, &iterator, &error));
    GIVES(SSTORE_OK, sstore_batch_create(&batch, &error));
    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    run(use, threads);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    CHECK(atomic_load(&done) > 0);
    CHECK(sstore_batch_count(batch) == atomic_load(&added));

    /* Whatever happened to it, it is still a whole iterator. */
    GIVES(SSTORE_OK, sstore_iterator_refresh(iterator, &error));
    for (;;) {
        sstore_slice keys[64], values[64];
        sstore_error *error;
        size_t count;
        sstore_code code = sstore_iterator_next_batch(iterator, keys, values, 64, 0, &count, &error);
        if (code == SSTORE_NOT_FOUND) break;
        CHECK(code == SSTORE_OK);
        for (size_t i = 0; i < count; i++) {
            char key[16];
            if (keys[i].len == 1) continue; /* the batch was written */
            snprintf(key, sizeof key, "key%04d", (int)seen++);
            CHECK(keys[i].len == 7 && memcmp(keys[i].data, key, 7) == 0);
            CHECK(values[i].len == 5 && memcmp(values[i].data, "value", 5) == 0);
        }
    }
    CHECK(seen == ENTRIES);
    sstore_iterator_free(iterator);

    GIVES(SSTORE_OK, sstore_iterator_create(db, NULL, NULL, &iterator, &error));
    atomic_store(&shared, iterator);
    run(use_what_goes, threads);
    for (int life = 0; life < LIVES; life++) {
        sstore_iterator *next;
        GIVES(SSTORE_OK, sstore_iterator_create(db, NULL, NULL, &next, &error));
        sstore_iterator_free(atomic_exchange(&shared, next));
    }
    atomic_store(&stop, 1);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    sstore_iterator_free(atomic_load(&shared));
    sstore_batch_free(batch);
    sstore_options_free(options);
    /* Nothing of them is left behind: an open iterator would be BUSY. */
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    return 0;
}
