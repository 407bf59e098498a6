/* Callbacks that call back into the library, block, or end what called them: nothing hangs, and nothing is released twice. */
#include "arrow.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static void pause_millis(long millis)
{
    struct timespec time = {millis / 1000, millis % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* What an event callback does, and how often. */
struct listener {
    _Atomic(sstore_db *) db;
    _Atomic(sstore_column_family *) family;
    atomic_int events, destroyed, is_inside, wait_millis, may_go_on;
    enum { READS_AND_WRITES, WAITS, BLOCKS, CLOSES, RELEASES } does;
    atomic_int code;
};

static void reads_and_writes(struct listener *listener, sstore_db *db, const sstore_event *event)
{
    const sstore_column_family *family = atomic_load(&listener->family);
    sstore_snapshot *snapshot;
    sstore_iterator *iterator;
    sstore_stats stats = SSTORE_STATS_INIT;
    void *value;
    size_t length;

    GIVES(SSTORE_OK, sstore_put(db, family, NULL, "event", 5, event->text, strlen(event->text), NULL, &error));
    GIVES(SSTORE_OK, sstore_get(db, family, NULL, "event", 5, &value, &length, &error));
    sstore_free(value);
    GIVES(SSTORE_OK, sstore_snapshot_create(db, &snapshot, &error));
    GIVES(SSTORE_OK, sstore_iterator_create(db, family, NULL, &iterator, &error));
    GIVES(SSTORE_OK, sstore_iterator_seek_to_last(iterator, &error));
    sstore_iterator_free(iterator);
    sstore_snapshot_free(snapshot);
    GIVES(SSTORE_OK, sstore_stats_get(db, &stats, &error));
    if (event->kind == SSTORE_EVENT_MEMTABLE_SEALED)
        GIVES(SSTORE_OK, sstore_sync(db, &error));
}

/* What the header says that a callback should not do: it may take long, and must not hang. */
static void waits(struct listener *listener, sstore_db *db)
{
    const sstore_column_family *family = atomic_load(&listener->family);
    sstore_flush_token *token;
    if (atomic_fetch_add(&listener->code, 1) > 0)
        return;
    GIVES(SSTORE_OK, sstore_put(db, family, NULL, "w", 1, "v", 1, NULL, &error));
    GIVES(SSTORE_OK, sstore_flush(db, &family, 1, &token, &error));
    GIVES(SSTORE_OK, sstore_flush_token_wait(token, 0, &error));
    sstore_flush_token_free(token);
    GIVES(SSTORE_OK, sstore_compact(db, family, &error));
}

static void on_event(void *data, const sstore_event *event)
{
    struct listener *listener = data;
    sstore_db *db = atomic_load(&listener->db);
    sstore_close_options force = SSTORE_CLOSE_OPTIONS_INIT;

    CHECK(event->struct_size >= sizeof *event && atomic_load(&listener->destroyed) == 0);
    CHECK(atomic_fetch_add(&listener->is_inside, 1) == 0);
    atomic_fetch_add(&listener->events, 1);
    /* Events of the opening come before there is a handle. */
    if (db != NULL) {
        switch (listener->does) {
        case READS_AND_WRITES: reads_and_writes(listener, db, event); break;
        case WAITS: waits(listener, db); break;
        case BLOCKS:
            while (!atomic_load(&listener->may_go_on))
                pause_millis(1);
            break;
        case CLOSES:
            force.force = 1;
            atomic_store(&listener->code, sstore_close(db, &force, NULL));
            atomic_store(&listener->may_go_on, 1);
            break;
        case RELEASES:
            sstore_release(db);
            atomic_store(&listener->may_go_on, 1);
            break;
        }
    }
    atomic_fetch_sub(&listener->is_inside, 1);
}

static void on_destroy(void *data)
{
    struct listener *listener = data;
    sstore_options *options;
    /* Nothing is locked here either. */
    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    sstore_options_free(options);
    CHECK(atomic_load(&listener->is_inside) == 0 || listener->does >= CLOSES);
    CHECK(atomic_fetch_add(&listener->destroyed, 1) == 0);
}

static void open_with(const char *path, struct listener *listener, const char *threads)
{
    sstore_options *options;
    sstore_db *db;
    sstore_column_family *family;
    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    GIVES(SSTORE_OK, sstore_options_set(options, "background_threads", threads, &error));
    GIVES(SSTORE_OK, sstore_options_set_listener(options, on_event, listener, on_destroy, &error));
    GIVES(SSTORE_OK, sstore_open(path, options, &db, &error));
    sstore_options_free(options);
    CHECK(atomic_load(&listener->destroyed) == 0);
    GIVES(SSTORE_OK, sstore_column_family_create(db, "events", NULL, &family, &error));
    atomic_store(&listener->family, family);
    atomic_store(&listener->db, db);
}

static void flush_some(sstore_db *db, int count)
{
    int number;
    for (number = 0; number < count; number++) {
        sstore_flush_token *token;
        GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, &number, sizeof number, "v", 1, NULL, &error));
        GIVES(SSTORE_OK, sstore_flush(db, NULL, 0, &token, &error));
        GIVES(SSTORE_OK, sstore_flush_token_wait(token, 60000, &error));
        sstore_flush_token_free(token);
    }
}

static void wait_for(atomic_int *number, int expected)
{
    while (atomic_load(number) < expected)
        pause_millis(1);
}

static void events_call_back(const char *base)
{
    static struct listener readers, waiters;
    struct listener *listeners[2] = {&readers, &waiters};
    int number;
    waiters.does = WAITS;
    for (number = 0; number < 2; number++) {
        char path[600];
        sstore_db *db;
        snprintf(path, sizeof path, "%s.calls.%d", base, number);
        open_with(path, listeners[number], "1");
        db = atomic_load(&listeners[number]->db);
        flush_some(db, 6);
        wait_for(&listeners[number]->events, 7);
        /* From here on it has no handle to call with: closing waits for the one that is under way. */
        atomic_store(&listeners[number]->db, NULL);
        while (atomic_load(&listeners[number]->is_inside) != 0)
            pause_millis(1);
        GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
        CHECK(atomic_load(&listeners[number]->destroyed) == 1);
        sstore_column_family_free(atomic_load(&listeners[number]->family));
    }
}

static void *go_on_soon(void *data)
{
    struct listener *listener = data;
    pause_millis(50);
    atomic_store(&listener->may_go_on, 1);
    return NULL;
}

/* Nobody but the close waits for a callback that blocks; what does not fit in the queue is counted. */
static void an_event_blocks(const char *base)
{
    static struct listener listener;
    sstore_stats stats = SSTORE_STATS_INIT;
    pthread_t thread;
    sstore_db *db;
    char path[600];
    snprintf(path, sizeof path, "%s.blocks", base);
    listener.does = BLOCKS;
    open_with(path, &listener, "2");
    db = atomic_load(&listener.db);
    do {
        flush_some(db, 20);
        GIVES(SSTORE_OK, sstore_stats_get(db, &stats, &error));
    } while (stats.events_dropped == 0);
    CHECK(atomic_load(&listener.is_inside) == 1);
    CHECK(pthread_create(&thread, NULL, go_on_soon, &listener) == 0);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    CHECK(atomic_load(&listener.may_go_on) == 1 && atomic_load(&listener.destroyed) == 1);
    pthread_join(thread, NULL);
    sstore_column_family_free(atomic_load(&listener.family));
}

/* A callback must not close its database, and gives it up at its own risk: neither hangs, and the next opening succeeds. */
static void an_event_ends_its_database(const char *base)
{
    static struct listener listeners[2];
    int number;
    for (number = 0; number < 2; number++) {
        struct listener *listener = &listeners[number];
        sstore_flush_token *token;
        sstore_db *db;
        char path[600];
        snprintf(path, sizeof path, "%s.ends.%d", base, number);
        listener->does = number == 0 ? CLOSES : RELEASES;
        open_with(path, listener, "2");
        db = atomic_load(&listener->db);
        sstore_column_family_free(atomic_load(&listener->family));
        /* It may be closed before any of these. */
        sstore_put(db, NULL, NULL, "k", 1, "v", 1, NULL, NULL);
        if (sstore_flush(db, NULL, 0, &token, NULL) == SSTORE_OK) {
            sstore_flush_token_wait(token, 0, NULL);
            sstore_flush_token_free(token);
        }
        wait_for(&listener->may_go_on, 1);
        if (number == 0) {
            CHECK(atomic_load(&listener->code) == SSTORE_INVALID_ARGUMENT);
            listener->does = BLOCKS;
            GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
        }
        wait_for(&listener->destroyed, 1);
        GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
        GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    }
}

/* A stream that uses the database that reads it, and the releases of what it gives. */
struct producer {
    sstore_db *db;
    sstore_table *table;
    sstore_batch *batch;
    int batches, ends_database;
    int calls, releases;
};

static struct producer *producing;

static void use_database(struct producer *producer)
{
    static const int64_t id[1] = {1000};
    static const char *const text[1] = {"inner"};
    struct ArrowArrayStream rows;
    struct ArrowArray row;
    sstore_scan *scan;
    producer->calls++;
    if (producer->ends_database) {
        sstore_close_options force = SSTORE_CLOSE_OPTIONS_INIT;
        force.force = 1;
        sstore_table_free(producer->table);
        sstore_close(producer->db, &force, NULL);
        return;
    }
    make_rows(&row, id, text, 1);
    GIVES(SSTORE_OK, sstore_table_append(producer->db, producer->table, NULL, &row, NULL, NULL, &error));
    GIVES(SSTORE_OK, sstore_scan_create(producer->db, producer->table, &scan, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &rows, &error));
    CHECK(drain(&rows) > 0);
    sstore_scan_free(scan);
    GIVES(SSTORE_OK, sstore_put(producer->db, NULL, NULL, "k", 1, "v", 1, NULL, &error));
    pause_millis(2);
}

static int gives_schema(struct ArrowArrayStream *stream, struct ArrowSchema *schema)
{
    use_database(stream->private_data);
    make_columns(schema);
    return 0;
}

static void (*forget_rows)(struct ArrowArray *);

static void release_and_use(struct ArrowArray *rows)
{
    forget_rows(rows);
    producing->releases++;
    use_database(producing);
    /* The batch that takes these rows may be in use by this very call: that is told, not waited for. */
    if (producing->batch != NULL)
        CHECK(sstore_batch_count(producing->batch) <= 1);
}

static void make_row_that_calls(struct ArrowArray *rows, int64_t id)
{
    static const char *const text[1] = {"outer"};
    make_rows(rows, &id, text, 1);
    forget_rows = rows->release;
    rows->release = release_and_use;
}

static int gives_rows(struct ArrowArrayStream *stream, struct ArrowArray *rows)
{
    struct producer *producer = stream->private_data;
    use_database(producer);
    memset(rows, 0, sizeof *rows);
    if (producer->batches-- > 0)
        make_row_that_calls(rows, producer->batches);
    return 0;
}

static const char *gives_error(struct ArrowArrayStream *stream)
{
    use_database(stream->private_data);
    return "no error";
}

static void release_stream(struct ArrowArrayStream *stream)
{
    use_database(stream->private_data);
    CHECK(stream->release != NULL);
    stream->release = NULL;
    unreleased--;
}

static void make_stream(struct ArrowArrayStream *stream, struct producer *producer)
{
    producing = producer;
    *stream = (struct ArrowArrayStream){gives_schema, gives_rows, gives_error, release_stream, producer};
    unreleased++;
}

static void a_stream_calls_back(const char *base)
{
    static const char *const key[1] = {"id"};
    struct producer producer = {.batches = 5};
    struct ArrowArrayStream stream;
    struct ArrowSchema columns;
    struct ArrowArray row;
    uint64_t rows;
    char path[600];
    sstore_code code;

    snprintf(path, sizeof path, "%s.streams", base);
    GIVES(SSTORE_OK, sstore_open(path, NULL, &producer.db, &error));
    make_columns(&columns);
    GIVES(SSTORE_OK, sstore_table_create(producer.db, "t", &columns, key, 1, NULL, NULL, &producer.table, &error));
    make_stream(&stream, &producer);
    GIVES(SSTORE_OK, sstore_table_append_stream(producer.db, producer.table, NULL, &stream, &rows, NULL, &error));
    CHECK(rows == 5 && producer.releases == 5 && unreleased == 0);

    /* The release of rows that go into a batch, which nobody else may use meanwhile. */
    GIVES(SSTORE_OK, sstore_batch_create(&producer.batch, &error));
    make_row_that_calls(&row, 7);
    GIVES(SSTORE_OK, sstore_batch_put_rows(producer.batch, producer.table, &row, NULL, &error));
    CHECK(producer.releases == 6 && unreleased == 0 && sstore_batch_count(producer.batch) == 1);
    GIVES(SSTORE_OK, sstore_write(producer.db, NULL, producer.batch, NULL, &error));
    sstore_batch_free(producer.batch);
    producer.batch = NULL;

    /* The stream frees the table, and closes the database that is reading it. */
    producer.batches = 5;
    producer.ends_database = 1;
    make_stream(&stream, &producer);
    code = sstore_table_append_stream(producer.db, producer.table, NULL, &stream, &rows, NULL, NULL);
    CHECK(code == SSTORE_CLOSED && rows == 0 && unreleased == 0);
    sstore_table_free(producer.table);
    GIVES(SSTORE_OK, sstore_open(path, NULL, &producer.db, &error));
    GIVES(SSTORE_OK, sstore_close(producer.db, NULL, &error));
}

int main(int argc, char **argv)
{
    const char *base = argc > 1 ? argv[1] : "callbacks.db";
    /* A hang ends by a signal. */
    alarm(300);
    events_call_back(base);
    an_event_blocks(base);
    an_event_ends_its_database(base);
    a_stream_calls_back(base);
    return 0;
}
