/* Arrow that is not what it says: each gets a code and a text, nothing of it is kept, and it is released once. */
#include "arrow.h"

static const int64_t IDS[3] = {1, 2, 3};
static const char *const NAMES[3] = {"one", NULL, "three"};
static const char *const KEY[1] = {"id"};

/* From here on any field may be changed: the release uses a copy. */
static void unhide_array(struct ArrowArray *array)
{
    struct ArrowArray *kept = array->private_data;
    kept->release(kept);
    free(kept);
    array->release = NULL;
}

static void hide_array(struct ArrowArray *array)
{
    struct ArrowArray *kept = malloc(sizeof *kept);
    *kept = *array;
    array->private_data = kept;
    array->release = unhide_array;
}

static void unhide_schema(struct ArrowSchema *schema)
{
    struct ArrowSchema *kept = schema->private_data;
    kept->release(kept);
    free(kept);
    schema->release = NULL;
}

static void hide_schema(struct ArrowSchema *schema)
{
    struct ArrowSchema *kept = malloc(sizeof *kept);
    *kept = *schema;
    schema->private_data = kept;
    schema->release = unhide_schema;
}

/* Makes the change number `number`; 0 when there is no such change. */
static int spoil_rows(struct ArrowArray *rows, int number)
{
    static const unsigned char no_row[1] = {0x05};
    struct ArrowArray *ids = rows->children[0], *names = rows->children[1], *values = rows->children[2];
    int32_t *offsets = (int32_t *)(uintptr_t)names->buffers[1];

    hide_array(rows);
    hide_array(ids);
    hide_array(names);
    hide_array(values);
    switch (number) {
    case 0: rows->length = -1; return 1;
    case 1: rows->length = INT64_MAX; return 1;
    case 2: rows->length = 4; return 1;
    case 3: rows->offset = -1; return 1;
    case 4: rows->offset = INT64_MAX; return 1;
    case 5: rows->offset = 1; return 1;
    case 6: rows->n_buffers = 0; return 1;
    case 7: rows->n_buffers = -1; return 1;
    case 8: rows->n_buffers = INT64_MAX; return 1;
    case 9: rows->n_children = 2; return 1;
    case 10: rows->n_children = -1; return 1;
    case 11: rows->n_children = INT64_MAX; return 1;
    case 12: rows->children = NULL; return 1;
    case 13: rows->buffers = NULL; return 1;
    case 14: rows->null_count = 1; return 1;
    case 15: ids->length = 2; return 1;
    case 16: ids->length = INT64_MIN; return 1;
    case 17: ids->offset = INT64_MAX; return 1;
    case 18: ids->offset = INT64_MAX / 2; return 1;
    case 19: ids->n_buffers = 1; return 1;
    case 20: ids->n_buffers = 3; return 1;
    case 21: ids->buffers = NULL; return 1;
    case 22: ids->n_children = 1; return 1;
    case 23: names->n_buffers = 2; return 1;
    case 24: offsets[1] = -1; return 1;
    case 25: offsets[2] = 1; return 1;
    case 26: offsets[0] = 7; return 1;
    case 27: ((char *)(uintptr_t)names->buffers[2])[0] = (char)0xff; return 1;
    case 28: values->null_count = 2; return 1;
    case 29: values->length = 0; return 1;
    case 30: ids->children[0] = rows; ids->dictionary = rows; ids->n_children = 1; return 1;
    case 31: set_buffer(rows, 0, no_row, 1, 0); return 1;
    default: return 0;
    }
}

static void rows(sstore_db *db, sstore_table *table)
{
    struct ArrowArray rows;
    sstore_batch *batch;
    int number, more;

    GIVES(SSTORE_OK, sstore_batch_create(&batch, &error));
    for (number = 0, more = 1; more; number++) {
        make_rows(&rows, IDS, NAMES, 3);
        more = spoil_rows(&rows, number);
        if (more) {
            GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_append(db, table, NULL, &rows, NULL, NULL, &error));
        } else {
            rows.release(&rows);
        }
        CHECK(rows.release == NULL);
        make_rows(&rows, IDS, NAMES, 3);
        if (spoil_rows(&rows, number)) {
            GIVES(SSTORE_INVALID_ARGUMENT, sstore_batch_put_rows(batch, table, &rows, NULL, &error));
        } else {
            rows.release(&rows);
        }
        CHECK(unreleased == 0 && sstore_batch_count(batch) == 0);
    }
    CHECK(number > 30);
    sstore_batch_free(batch);

    /* A child that somebody took, one that is not there, and a null where there may be none. */
    make_rows(&rows, IDS, NAMES, 3);
    rows.children[1]->release(rows.children[1]);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_append(db, table, NULL, &rows, NULL, NULL, &error));
    make_rows(&rows, IDS, NAMES, 3);
    {
        static unsigned char second[1] = {0x05};
        set_buffer(rows.children[0], 0, second, 1, 0);
        rows.children[0]->null_count = 1;
    }
    {
        sstore_error *error;
        CHECK(sstore_table_append(db, table, NULL, &rows, NULL, NULL, &error) == SSTORE_INVALID_ARGUMENT);
        CHECK(strstr(sstore_error_message(error), "\"id\" is null in row 1") != NULL);
        sstore_error_free(error);
    }
    CHECK(unreleased == 0);
}

static int spoil_schema(struct ArrowSchema *schema, int number)
{
    static const char NEGATIVE[8] = {(char)0xff, (char)0xff, (char)0xff, (char)0xff, 0, 0, 0, 0};
    struct ArrowSchema *name = schema->children[1], *value = schema->children[2];

    hide_schema(schema);
    hide_schema(name);
    hide_schema(value);
    switch (number) {
    case 0: schema->format = NULL; return 1;
    case 1: schema->format = "l"; return 1;
    case 2: schema->format = ""; return 1;
    case 3: schema->format = "+l"; return 1;
    case 4: schema->n_children = -1; return 1;
    case 5: schema->n_children = 0; return 1;
    case 6: schema->n_children = 1000000; return 1;
    case 7: schema->n_children = INT64_MAX; return 1;
    case 8: schema->children = NULL; return 1;
    case 9: schema->metadata = NEGATIVE; return 1;
    case 10: name->format = NULL; return 1;
    case 11: name->format = "?"; return 1;
    case 12: name->format = "\xff"; return 1;
    case 13: name->format = "+l"; return 1;
    case 14: name->format = "+m"; return 1;
    case 15: name->format = "+r"; return 1;
    case 16: name->format = "+w:3"; return 1;
    case 17: name->format = "w:-1"; return 1;
    case 18: name->format = "w:99999999999"; return 1;
    case 19: name->format = "d:90,0"; return 1;
    case 20: name->format = "d:10,0,16"; return 1;
    case 21: name->format = "+ud:0,1"; return 1;
    case 22: name->format = "+us:-1"; return 1;
    case 23: name->format = "+vl"; return 1;
    case 24: name->format = "u"; name->n_children = 1; return 1;
    case 25: name->name = "\xff\xfe"; return 1;
    case 26: name->name = "id"; return 1;
    case 27: name->name = "_seq"; return 1;
    case 28: name->name = "_op"; return 1;
    case 29: name->name = ""; return 1;
    case 30: name->name = NULL; return 1;
    case 31: name->dictionary = value; return 1;
    case 32: value->dictionary = value; return 1; /* a schema within itself */
    case 33: schema->format = "+us:0,0,0"; return 1;
    default: return 0;
    }
}

static void schemas(sstore_db *db)
{
    struct ArrowSchema schema, *inner;
    sstore_table *table;
    int number, more, depth;

    for (number = 0, more = 1; more; number++) {
        make_columns(&schema);
        more = spoil_schema(&schema, number);
        if (more) {
            GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_create(db, "bad", &schema, KEY, 1, NULL, NULL, &table, &error));
            CHECK(schema.release == NULL);
        } else {
            schema.release(&schema);
        }
        CHECK(unreleased == 0);
    }

    /* A list of lists, a thousand deep. */
    make_schema(&schema, "+s", "", 0, 2);
    make_schema(schema.children[0], "l", "id", 0, 0);
    inner = schema.children[1];
    for (depth = 0; depth < 1000; depth++) {
        make_schema(inner, "+l", depth ? "item" : "deep", 1, 1);
        inner = inner->children[0];
    }
    make_schema(inner, "l", "item", 1, 0);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_create(db, "bad", &schema, KEY, 1, NULL, NULL, &table, &error));
    CHECK(table == NULL && unreleased == 0);
}

/* Dictionaries, views, unions and fixed lists whose insides do not fit, as literals and as rows. */
static void insides(sstore_db *db, sstore_table *table)
{
    static const int64_t LENGTHS[1] = {-5};
    static const unsigned char CODE[1] = {9};
    static const int32_t VIEW[4] = {20, 0, 7, 0};
    struct ArrowArray array, values;
    struct ArrowSchema schema, type;
    sstore_filter *filter;
    sstore_scan *scan;
    int number;

    for (number = 0; number < 6; number++) {
        filter = (sstore_filter *)(void *)&filter;
        make_schema(&schema, number < 2 ? "C" : "vu", "", 1, 0);
        if (number < 2) {
            /* A code beyond the dictionary, and no dictionary at all. */
            make_schema(&type, "u", "", 1, 0);
            schema.dictionary = &type;
            make_array(&array, 1, 2, 0);
            set_buffer(&array, 1, CODE, 1, 0);
            make_texts(&values, NAMES, 3);
            array.dictionary = number == 0 ? &values : NULL;
        } else {
            /* Lengths below 0, too few buffers, a view into nothing, a NULL buffer of lengths. */
            int64_t one = 1;
            make_array(&array, 1, number == 3 ? 2 : 4, 0);
            set_buffer(&array, 1, VIEW, sizeof VIEW, 0);
            if (number != 3) {
                set_buffer(&array, 2, "x", 1, 0);
                if (number != 5)
                    set_buffer(&array, 3, number == 2 ? LENGTHS : &one, 8, 0);
            }
        }
        GIVES(SSTORE_INVALID_ARGUMENT, sstore_filter_in("name", &array, &schema, &filter, &error));
        CHECK(array.release == NULL && schema.release == NULL && filter == NULL);
        if (number < 2) {
            values.release(&values);
            type.release(&type);
        }
        CHECK(unreleased == 0);
    }

    /* Bounds of other types, of no rows, of too many columns, and of two rows. */
    GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
    for (number = 0; number < 5; number++) {
        make_schema(&schema, "+s", "", 0, number == 1 ? 0 : number == 2 ? 2 : 1);
        make_array(&array, number == 3 ? 0 : number == 4 ? 2 : 1, 1, (int)schema.n_children);
        if (number != 1) {
            make_schema(schema.children[0], number == 0 ? "g" : "l", "id", 0, 0);
            make_ids(array.children[0], IDS, array.length);
        }
        if (number == 2) {
            make_schema(schema.children[1], "l", "more", 0, 0);
            make_ids(array.children[1], IDS, array.length);
        }
        if (number == 0 || number == 2) {
            struct ArrowArrayStream stream;
            GIVES(SSTORE_OK, sstore_scan_set_bound(scan, SSTORE_BOUND_START, &array, &schema, &error));
            GIVES(SSTORE_INVALID_ARGUMENT, sstore_scan_execute(scan, &stream, &error));
            CHECK(stream.release == NULL);
        } else {
            GIVES(SSTORE_INVALID_ARGUMENT, sstore_scan_set_bound(scan, SSTORE_BOUND_START, &array, &schema, &error));
        }
        CHECK(unreleased == 0);
    }
    make_keys(&array, IDS, 1);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_scan_set_bound(scan, 9, &array, NULL, &error));
    CHECK(unreleased == 0);
    sstore_scan_free(scan);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "arrow_hostile.db";
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    sstore_table *table;
    sstore_scan *scan;
    sstore_db *db;

    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
    make_columns(&schema);
    GIVES(SSTORE_OK, sstore_table_create(db, "t", &schema, KEY, 1, NULL, NULL, &table, &error));
    rows(db, table);
    schemas(db);
    insides(db, table);
    /* Nothing of all that was kept. */
    GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
    CHECK(drain(&stream) == 0);
    sstore_scan_free(scan);
    sstore_table_free(table);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    return 0;
}
