/* A small producer of Arrow for the tests: every struct that it makes counts in `unreleased` until its release was called, and
 * a second release of the same one fails the test. */
#ifndef SSTORE_TEST_ARROW_H
#define SSTORE_TEST_ARROW_H
#include "test.h"

static _Atomic int unreleased;

static inline void forget_schema(struct ArrowSchema *schema)
{
    int64_t index;
    CHECK(schema->private_data == (void *)schema->children && schema->release != NULL);
    for (index = 0; index < schema->n_children; index++) {
        if (schema->children[index]->release != NULL)
            schema->children[index]->release(schema->children[index]);
        free(schema->children[index]);
    }
    free(schema->children);
    schema->children = NULL;
    schema->private_data = (void *)&unreleased;
    schema->release = NULL;
    unreleased--;
}

/* Children are there and empty: the caller makes them. */
static inline void make_schema(struct ArrowSchema *schema, const char *format, const char *name, int nullable, int children)
{
    int index;
    memset(schema, 0, sizeof *schema);
    schema->format = format;
    schema->name = name;
    schema->flags = nullable ? ARROW_FLAG_NULLABLE : 0;
    schema->n_children = children;
    schema->children = calloc((size_t)children + 1, sizeof *schema->children);
    for (index = 0; index < children; index++)
        schema->children[index] = calloc(1, sizeof(struct ArrowSchema));
    schema->private_data = schema->children;
    schema->release = forget_schema;
    unreleased++;
}

static inline void forget_array(struct ArrowArray *array)
{
    int64_t index;
    CHECK(array->private_data == (void *)array->buffers && array->release != NULL);
    for (index = 0; index < array->n_children; index++) {
        if (array->children[index]->release != NULL)
            array->children[index]->release(array->children[index]);
        free(array->children[index]);
    }
    for (index = 0; index < array->n_buffers; index++) {
        if (array->buffers[index] != NULL)
            free((char *)(uintptr_t)array->buffers[index] - ((uintptr_t)array->buffers[index] & 7));
    }
    free(array->buffers);
    free(array->children);
    array->private_data = (void *)&unreleased;
    array->release = NULL;
    unreleased--;
}

static inline void make_array(struct ArrowArray *array, int64_t length, int buffers, int children)
{
    int index;
    memset(array, 0, sizeof *array);
    array->length = length;
    array->n_buffers = buffers;
    array->n_children = children;
    array->buffers = calloc((size_t)buffers + 1, sizeof *array->buffers);
    array->children = calloc((size_t)children + 1, sizeof *array->children);
    for (index = 0; index < children; index++)
        array->children[index] = calloc(1, sizeof(struct ArrowArray));
    array->private_data = (void *)array->buffers;
    array->release = forget_array;
    unreleased++;
}

/* A copy of `size` bytes as a buffer, `shift` bytes (below 8) off its alignment. */
static inline void set_buffer(struct ArrowArray *array, int index, const void *data, size_t size, size_t shift)
{
    char *copy = malloc(size + shift + 1);
    CHECK(((uintptr_t)copy & 7) == 0);
    memcpy(copy + shift, data, size);
    array->buffers[index] = copy + shift;
}

/* Columns id (int64, not null), name (utf8) and value (float64). */
static inline void make_columns(struct ArrowSchema *schema)
{
    make_schema(schema, "+s", "", 0, 3);
    make_schema(schema->children[0], "l", "id", 0, 0);
    make_schema(schema->children[1], "u", "name", 1, 0);
    make_schema(schema->children[2], "g", "value", 1, 0);
}

static inline void make_ids(struct ArrowArray *array, const int64_t *ids, int64_t count)
{
    make_array(array, count, 2, 0);
    set_buffer(array, 1, ids, (size_t)count * 8, 0);
}

/* Texts; NULL is null. */
static inline void make_texts(struct ArrowArray *array, const char *const *texts, int64_t count)
{
    int32_t *offsets = calloc((size_t)count + 1, 4);
    unsigned char *valid = calloc((size_t)count / 8 + 1, 1);
    char *bytes;
    int64_t index;

    make_array(array, count, 3, 0);
    for (index = 0; index < count; index++)
        offsets[index + 1] = offsets[index] + (texts[index] ? (int32_t)strlen(texts[index]) : 0);
    bytes = calloc((size_t)offsets[count] + 1, 1);
    for (index = 0; index < count; index++) {
        if (texts[index] == NULL) {
            array->null_count++;
            continue;
        }
        valid[index / 8] = (unsigned char)(valid[index / 8] | 1 << index % 8);
        memcpy(bytes + offsets[index], texts[index], strlen(texts[index]));
    }
    set_buffer(array, 0, valid, (size_t)count / 8 + 1, 0);
    set_buffer(array, 1, offsets, ((size_t)count + 1) * 4, 0);
    set_buffer(array, 2, bytes, (size_t)offsets[count] + 1, 0);
    free(offsets);
    free(valid);
    free(bytes);
}

/* Rows of `make_columns`, every value 10 times the id. */
static inline void make_rows(struct ArrowArray *rows, const int64_t *ids, const char *const *names, int64_t count)
{
    double *values = calloc((size_t)count + 1, 8);
    int64_t index;

    for (index = 0; index < count; index++)
        values[index] = 10 * (double)ids[index];
    make_array(rows, count, 1, 3);
    make_ids(rows->children[0], ids, count);
    make_texts(rows->children[1], names, count);
    make_array(rows->children[2], count, 2, 0);
    set_buffer(rows->children[2], 1, values, (size_t)count * 8, 0);
    free(values);
}

/* Keys: id alone. */
static inline void make_keys(struct ArrowArray *keys, const int64_t *ids, int64_t count)
{
    make_array(keys, count, 1, 1);
    make_ids(keys->children[0], ids, count);
}

static inline int is_valid(const struct ArrowArray *array, int64_t row)
{
    const unsigned char *bits = array->buffers[0];
    return bits == NULL || (bits[(row + array->offset) / 8] >> (row + array->offset) % 8 & 1);
}

static inline int64_t integer_at(const struct ArrowArray *array, int64_t row)
{
    return ((const int64_t *)array->buffers[1])[row + array->offset];
}

static inline double double_at(const struct ArrowArray *array, int64_t row)
{
    return ((const double *)array->buffers[1])[row + array->offset];
}

static inline int text_is(const struct ArrowArray *array, int64_t row, const char *expected)
{
    const int32_t *offsets = (const int32_t *)array->buffers[1] + array->offset + row;
    if (expected == NULL)
        return !is_valid(array, row);
    return is_valid(array, row) && (size_t)(offsets[1] - offsets[0]) == strlen(expected) &&
           memcmp((const char *)array->buffers[2] + offsets[0], expected, strlen(expected)) == 0;
}

/* How many rows a stream gives; releases it. */
static inline int64_t drain(struct ArrowArrayStream *stream)
{
    struct ArrowArray rows;
    int64_t count = 0;

    for (;;) {
        CHECK(stream->get_next(stream, &rows) == 0);
        if (rows.release == NULL)
            break;
        count += rows.length;
        rows.release(&rows);
    }
    stream->release(stream);
    CHECK(stream->release == NULL);
    return count;
}

#endif
