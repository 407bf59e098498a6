/* Who owns what: every struct is released once, on every path and by any thread; offsets, bitmaps and buffers as other
 * producers lay them out; streams that outlive everything, and streams that fail. */
#include "arrow.h"
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const KEY[1] = {"id"};

static void *release_stream(void *stream)
{
    struct ArrowArrayStream *own = stream;
    own->release(own);
    return NULL;
}

static void *release_array(void *array)
{
    struct ArrowArray *own = array;
    own->release(own);
    return NULL;
}

static void elsewhere(void *(*body)(void *), void *what)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, what) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void scan(sstore_db *db, sstore_table *table, size_t batch_rows, struct ArrowArrayStream *stream)
{
    sstore_scan *scan;
    GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
    GIVES(SSTORE_OK, sstore_scan_set_batch_rows(scan, batch_rows, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(scan, stream, &error));
    sstore_scan_free(scan);
}

/* A slice: rows 3 to 12 of 20, whose columns have offsets of their own, so that no bitmap begins at a byte. */
static void slices(sstore_db *db)
{
    int64_t ids[32], index;
    const char *names[32];
    static const char *const TEXTS[4] = {"a", NULL, "ccc", ""};
    unsigned char bits[4], flags[4];
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray rows;
    sstore_table *table;

    for (index = 0; index < 32; index++) {
        ids[index] = 100 + index;
        names[index] = TEXTS[index % 4];
    }
    make_schema(&schema, "+s", "", 0, 3);
    make_schema(schema.children[0], "l", "id", 0, 0);
    make_schema(schema.children[1], "u", "name", 1, 0);
    make_schema(schema.children[2], "b", "flag", 1, 0);
    GIVES(SSTORE_OK, sstore_table_create(db, "slices", &schema, KEY, 1, NULL, NULL, &table, &error));

    make_array(&rows, 10, 1, 3);
    rows.offset = 3;
    make_ids(rows.children[0], ids, 32);
    rows.children[0]->offset = 1;
    rows.children[0]->length = 20;
    make_texts(rows.children[1], names, 32);
    rows.children[1]->offset = 2;
    rows.children[1]->length = 20;
    rows.children[1]->null_count = -1;
    make_array(rows.children[2], 13, 2, 0);
    rows.children[2]->offset = 5;
    rows.children[2]->null_count = -1;
    /* Bits 8 to 17 are the ones seen: valid but every third, true but every fifth. */
    memset(bits, 0, sizeof bits);
    memset(flags, 0, sizeof flags);
    for (index = 0; index < 18; index++) {
        bits[index / 8] = (unsigned char)(bits[index / 8] | (index % 3 != 0) << index % 8);
        flags[index / 8] = (unsigned char)(flags[index / 8] | (index % 5 != 0) << index % 8);
    }
    set_buffer(rows.children[2], 0, bits, 3, 0);
    set_buffer(rows.children[2], 1, flags, 3, 0);
    GIVES(SSTORE_OK, sstore_table_append(db, table, NULL, &rows, NULL, NULL, &error));
    CHECK(rows.release == NULL && unreleased == 0);

    scan(db, table, 0, &stream);
    CHECK(stream.get_next(&stream, &rows) == 0 && rows.length == 10);
    for (index = 0; index < 10; index++) {
        const struct ArrowArray *flag = rows.children[2];
        int64_t bit = index + 8, place = index + flag->offset;
        CHECK(integer_at(rows.children[0], index) == 104 + index);
        CHECK(text_is(rows.children[1], index, TEXTS[(index + 5) % 4]));
        CHECK(is_valid(flag, index) == (bit % 3 != 0));
        if (bit % 3 != 0)
            CHECK((((const unsigned char *)flag->buffers[1])[place / 8] >> place % 8 & 1) == (bit % 5 != 0));
    }
    rows.release(&rows);
    stream.release(&stream);
    sstore_table_free(table);
}

/* Buffers at any address: decimals of 16 bytes, offsets, floats; lists and dictionaries, sliced; a struct within. */
static void layouts(sstore_db *db)
{
    int64_t ids[4] = {1, 2, 3, 4}, decimals[8] = {7, 0, -8, -1, 9, 0, 10, 0};
    int32_t offsets[5] = {0, 2, 2, 5, 6}, items[6] = {1, 2, 3, 4, 5, 6}, inner[4] = {11, 12, 13, 14};
    unsigned char codes[4] = {1, 0, 1, 1}, validity[1] = {0x0b};
    const char *const words[2] = {"red", "green"};
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray rows, *list;
    sstore_table *table;

    make_schema(&schema, "+s", "", 0, 5);
    make_schema(schema.children[0], "l", "id", 0, 0);
    make_schema(schema.children[1], "d:20,0", "decimal", 1, 0);
    make_schema(schema.children[2], "+l", "list", 1, 1);
    make_schema(schema.children[2]->children[0], "i", "item", 1, 0);
    make_schema(schema.children[3], "C", "word", 1, 0);
    schema.children[3]->dictionary = schema.children[3]->children[0];
    {
        /* The dictionary's values; freed by the small producer as a child that is not counted. */
        static struct ArrowSchema values;
        make_schema(&values, "u", "", 1, 0);
        schema.children[3]->dictionary = &values;
        make_schema(schema.children[4], "+s", "point", 1, 1);
        make_schema(schema.children[4]->children[0], "i", "x", 1, 0);
        GIVES(SSTORE_OK, sstore_table_create(db, "layouts", &schema, KEY, 1, NULL, NULL, &table, &error));
        values.release(&values);
    }

    GIVES(SSTORE_OK, sstore_table_schema(table, &schema, &error));
    CHECK(strcmp(schema.children[3]->format, "u") == 0 && schema.children[3]->dictionary == NULL);
    schema.release(&schema);

    make_schema(&schema, "+s", "", 0, 5);
    make_schema(schema.children[0], "l", "id", 0, 0);
    make_schema(schema.children[1], "d:20,0", "decimal", 1, 0);
    make_schema(schema.children[2], "+l", "list", 1, 1);
    make_schema(schema.children[2]->children[0], "i", "item", 1, 0);
    make_schema(schema.children[3], "C", "word", 1, 0);
    make_schema(schema.children[4], "+s", "point", 1, 1);
    make_schema(schema.children[4]->children[0], "i", "x", 1, 0);
    {
        static struct ArrowSchema values;
        static struct ArrowArray dictionary;
        make_schema(&values, "u", "", 1, 0);
        make_texts(&dictionary, words, 2);
        schema.children[3]->dictionary = &values;

        make_array(&rows, 3, 1, 5);
        rows.offset = 1;
        make_ids(rows.children[0], ids, 4);
        make_array(rows.children[1], 4, 2, 0);
        set_buffer(rows.children[1], 1, decimals, sizeof decimals, 4);
        list = rows.children[2];
        make_array(list, 4, 2, 1);
        set_buffer(list, 1, offsets, sizeof offsets, 3);
        make_array(list->children[0], 6, 2, 0);
        set_buffer(list->children[0], 1, items, sizeof items, 1);
        make_array(rows.children[3], 4, 2, 0);
        set_buffer(rows.children[3], 1, codes, sizeof codes, 0);
        rows.children[3]->dictionary = &dictionary;
        make_array(rows.children[4], 4, 1, 1);
        set_buffer(rows.children[4], 0, validity, 1, 0);
        rows.children[4]->null_count = 1;
        make_array(rows.children[4]->children[0], 4, 2, 0);
        set_buffer(rows.children[4]->children[0], 1, inner, sizeof inner, 2);
        GIVES(SSTORE_OK, sstore_table_append(db, table, NULL, &rows, &schema, NULL, &error));
        values.release(&values);
        dictionary.release(&dictionary);
    }
    CHECK(unreleased == 0);

    scan(db, table, 0, &stream);
    CHECK(stream.get_next(&stream, &rows) == 0 && rows.length == 3);
    CHECK(integer_at(rows.children[0], 0) == 2 && integer_at(rows.children[0], 2) == 4);
    CHECK(((const int64_t *)rows.children[1]->buffers[1])[2 * rows.children[1]->offset] == -8);
    CHECK(((const int64_t *)rows.children[1]->buffers[1])[2 * rows.children[1]->offset + 4] == 10);
    list = rows.children[2];
    {
        const int32_t *starts = (const int32_t *)list->buffers[1] + list->offset;
        const int32_t *values = (const int32_t *)list->children[0]->buffers[1] + list->children[0]->offset;
        CHECK(starts[0] == starts[1] && starts[2] - starts[1] == 3 && starts[3] - starts[2] == 1);
        CHECK(values[starts[1]] == 3 && values[starts[2]] == 6);
    }
    CHECK(text_is(rows.children[3], 0, "red") && text_is(rows.children[3], 1, "green"));
    CHECK(is_valid(rows.children[4], 0) && !is_valid(rows.children[4], 1) && is_valid(rows.children[4], 2));
    {
        const struct ArrowArray *point = rows.children[4]->children[0];
        CHECK(((const int32_t *)point->buffers[1])[point->offset + rows.children[4]->offset + 2] == 14);
    }
    rows.release(&rows);
    stream.release(&stream);
    sstore_table_free(table);
}

/* Whatever is wrong with a call, what was handed over is released once. */
static void failures(sstore_db *db, sstore_table *table)
{
    static const int64_t IDS[2] = {1, 2};
    static const char *const NAMES[2] = {"x", "y"};
    struct ArrowArray rows, released;
    struct ArrowSchema schema;
    sstore_table *none;
    sstore_filter *filter;
    sstore_batch *batch;

    make_rows(&rows, IDS, NAMES, 2);
    make_columns(&schema);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_append(NULL, table, NULL, &rows, &schema, NULL, &error));
    CHECK(rows.release == NULL && schema.release == NULL && unreleased == 0);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_append(db, table, NULL, &rows, NULL, NULL, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_append(db, table, NULL, NULL, NULL, NULL, &error));
    make_rows(&rows, IDS, NAMES, 2);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_append(db, table, NULL, &rows, &schema, NULL, &error));
    CHECK(unreleased == 0);
    make_columns(&schema);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_create(db, NULL, &schema, KEY, 1, NULL, NULL, &none, &error));
    CHECK(schema.release == NULL && none == NULL && unreleased == 0);
    make_columns(&schema);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_create(db, "t", &schema, KEY, 1, NULL, NULL, &none, &error));
    make_ids(&rows, IDS, 2);
    make_schema(&schema, "l", "", 0, 0);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_filter_compare("id", 1, &rows, &schema, &filter, &error));
    CHECK(rows.release == NULL && schema.release == NULL && filter == NULL && unreleased == 0);
    make_keys(&rows, IDS, 2);
    memset(&released, 0x55, sizeof released);
    GIVES(SSTORE_INVALID_ARGUMENT,
          sstore_table_get(db, table, NULL, NULL, 0, &rows, NULL, &released, NULL, &error));
    CHECK(released.release == NULL);
    GIVES(SSTORE_OK, sstore_batch_create(&batch, &error));
    make_rows(&rows, IDS, NAMES, 2);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_batch_delete_rows(batch, table, &rows, NULL, &error));
    CHECK(unreleased == 0 && sstore_batch_count(batch) == 0);
    sstore_batch_free(batch);
    make_rows(&rows, IDS, NAMES, 2);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_batch_put_rows((sstore_batch *)table, table, &rows, NULL, &error));
    CHECK(unreleased == 0);
    /* One struct with two roles: taken first, filled then. */
    make_keys(&rows, IDS, 1);
    GIVES(SSTORE_NOT_FOUND, sstore_table_get(db, table, NULL, NULL, 0, &rows, NULL, &rows, NULL, &error));
    CHECK(rows.release == NULL && unreleased == 0);
}

/* A stream of the caller's that gives `good` batches of one row and then fails or ends. */
struct source {
    int good, given, code, schemas, released;
    const char *text;
};

static int source_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct source *source = stream->private_data;
    if (source->schemas++ > 0 || source->good < 0)
        return EPERM;
    make_columns(out);
    return 0;
}

static int source_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    static const char *const NAMES[1] = {"streamed"};
    struct source *source = stream->private_data;
    int64_t id;

    if (source->given == source->good) {
        out->release = NULL;
        return source->code;
    }
    id = 1000 + source->given++;
    make_rows(out, &id, NAMES, 1);
    return 0;
}

static const char *source_error(struct ArrowArrayStream *stream)
{
    return ((struct source *)stream->private_data)->text;
}

static void source_release(struct ArrowArrayStream *stream)
{
    ((struct source *)stream->private_data)->released++;
    stream->release = NULL;
}

static void streams(sstore_db *db, sstore_table *table)
{
    struct source sources[4] = {{3, 0, 0, 0, 0, NULL}, {2, 0, EIO, 0, 0, "the wire broke"}, {-1, 0, 0, 0, 0, NULL},
                                {2, 0, EIO, 0, 0, NULL}};
    struct ArrowArrayStream stream;
    sstore_error *error;
    uint64_t rows, sequence;
    int index;

    for (index = 0; index < 4; index++) {
        sstore_code expected = index == 0 ? SSTORE_OK : SSTORE_IO;
        stream.get_schema = source_schema;
        stream.get_next = source_next;
        stream.get_last_error = source_error;
        stream.release = source_release;
        stream.private_data = &sources[index];
        CHECK(sstore_table_append_stream(db, table, NULL, &stream, &rows, &sequence, &error) == expected);
        CHECK(sources[index].released == 1 && stream.release == NULL && unreleased == 0);
        CHECK(rows == (index == 2 ? 0 : (uint64_t)sources[index].good) && (sequence > 0) == (rows > 0));
        if (index == 1)
            CHECK(strstr(sstore_error_message(error), "the wire broke") != NULL);
        sstore_error_free(error);
    }
    memset(&stream, 0, sizeof stream);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_append_stream(db, table, NULL, &stream, NULL, NULL, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_append_stream(db, table, NULL, NULL, NULL, NULL, &error));
    stream.release = source_release;
    stream.private_data = &sources[0];
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_append_stream(db, table, NULL, &stream, NULL, NULL, &error));
    CHECK(sources[0].released == 2);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "arrow_transfer.db";
    struct ArrowArrayStream stream, dropped, moved;
    int64_t ids[5] = {1, 2, 3, 4, 5};
    const char *const names[5] = {"one", "two", "three", "four", "five"};
    struct ArrowSchema schema;
    struct ArrowArray first, rows;
    sstore_table *table;
    sstore_db *db;
    const char *text;
    pid_t child;
    int status;

    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
    make_columns(&schema);
    GIVES(SSTORE_OK, sstore_table_create(db, "t", &schema, KEY, 1, NULL, NULL, &table, &error));
    failures(db, table);
    slices(db);
    layouts(db);
    streams(db, table);
    make_rows(&rows, ids, names, 5);
    GIVES(SSTORE_OK, sstore_table_append(db, table, NULL, &rows, NULL, NULL, &error));

    /* From another thread, moved to another place, and unread. */
    scan(db, table, 2, &stream);
    memcpy(&moved, &stream, sizeof moved);
    stream.release = NULL;
    CHECK(moved.get_next(&moved, &first) == 0 && first.length == 2);
    elsewhere(release_array, &first);
    elsewhere(release_stream, &moved);
    CHECK(first.release == NULL && moved.release == NULL);
    CHECK(moved.get_next == NULL);

    /* A dropped table's scan goes on; a column may be taken out of its array. */
    scan(db, table, 2, &dropped);
    scan(db, table, 2, &stream);
    GIVES(SSTORE_OK, sstore_table_drop(db, table, &error));
    sstore_table_free(table);
    CHECK(dropped.get_next(&dropped, &rows) == 0 && rows.length == 2);
    first = *rows.children[1];
    rows.children[1]->release = NULL;
    rows.release(&rows);
    CHECK(text_is(&first, 0, "one"));

    /* In a child of a fork it says so. */
    fflush(stdout);
    child = fork();
    if (child == 0) {
        CHECK(stream.get_next(&stream, &rows) == ECANCELED && rows.release == NULL);
        stream.release(&stream);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);

    /* After the close: a clean error with a text that stays until the next call, again and again. */
    CHECK(stream.get_next(&stream, &rows) == 0);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    CHECK(integer_at(rows.children[0], 1) == 2);
    rows.release(&rows);
    CHECK(stream.get_schema(&stream, &schema) == 0);
    schema.release(&schema);
    CHECK(stream.get_next(&stream, &rows) == ECANCELED && rows.release == NULL);
    text = stream.get_last_error(&stream);
    CHECK(text != NULL && strstr(text, "closed") != NULL);
    CHECK(stream.get_next(&stream, &rows) == ECANCELED);
    CHECK(stream.get_next(&stream, NULL) == EINVAL);
    stream.release(&stream);
    elsewhere(release_stream, &dropped);
    CHECK(text_is(&first, 1, "two"));
    first.release(&first);
    CHECK(unreleased == 0);

    /* A released database lives as long as a stream of it. */
    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
    GIVES(SSTORE_OK, sstore_table_open(db, "slices", &table, &error));
    scan(db, table, 3, &stream);
    sstore_table_free(table);
    sstore_release(db);
    GIVES(SSTORE_LOCKED, sstore_open(path, NULL, &db, &error));
    CHECK(drain(&stream) == 10);
    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    return 0;
}
