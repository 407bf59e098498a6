/* A scan as an Arrow stream: columns and rows of whatever table, printed by their types; a part of the keys; and a look at
 * what a scan reads. Any Arrow library takes the stream as it is. */
#include <inttypes.h>
#include <sstore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(sstore_code code, sstore_error **error)
{
    if (code != SSTORE_OK) {
        fprintf(stderr, "%s: %s\n", sstore_code_name(code), sstore_error_message(*error));
        exit(1);
    }
}

static void nothing_to_free(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static sstore_table *fill(sstore_db *db)
{
    static const char *const NAMES[3] = {"planet", "moons", "radius_km"}, *const FORMATS[3] = {"u", "i", "g"};
    static const struct {
        const char *name;
        int moons;
        double radius;
    } PLANETS[6] = {{"Earth", 1, 6371}, {"Jupiter", 95, 69911}, {"Mars", 2, 3389.5},
                    {"Mercury", 0, 2439.7}, {"Saturn", 146, 58232}, {"Venus", 0, 6051.8}};
    static struct ArrowSchema columns[3], *children[3], schema;
    const char *key[1] = {"planet"};
    sstore_row_builder *builder;
    sstore_error *error = NULL;
    sstore_table *table;
    int index;

    for (index = 0; index < 3; index++) {
        columns[index].name = NAMES[index];
        columns[index].format = FORMATS[index];
        columns[index].flags = index > 0 ? ARROW_FLAG_NULLABLE : 0;
        columns[index].release = nothing_to_free;
        children[index] = &columns[index];
    }
    schema.format = "+s";
    schema.n_children = 3;
    schema.children = children;
    schema.release = nothing_to_free;
    check(sstore_table_create(db, "planets", &schema, key, 1, NULL, NULL, &table, &error), &error);
    check(sstore_row_builder_create(db, table, SSTORE_ROW_FULL, &builder, &error), &error);
    for (index = 0; index < 6; index++) {
        check(sstore_row_builder_set_bytes(builder, 0, PLANETS[index].name, strlen(PLANETS[index].name), &error), &error);
        check(sstore_row_builder_set_i64(builder, 1, PLANETS[index].moons, &error), &error);
        check(sstore_row_builder_set_f64(builder, 2, PLANETS[index].radius, &error), &error);
        check(sstore_row_builder_append(builder, &error), &error);
    }
    check(sstore_row_builder_write(builder, NULL, NULL, &error), &error);
    sstore_row_builder_free(builder);
    return table;
}

static void print_value(const struct ArrowSchema *type, const struct ArrowArray *values, int64_t row)
{
    const unsigned char *valid = values->buffers[0];
    int64_t at = row + values->offset;

    if (valid != NULL && !(valid[at / 8] >> at % 8 & 1)) {
        printf(" null");
    } else if (strcmp(type->format, "u") == 0) {
        const int32_t *ends = values->buffers[1];
        printf(" %.*s", (int)(ends[at + 1] - ends[at]), (const char *)values->buffers[2] + ends[at]);
    } else if (strcmp(type->format, "i") == 0) {
        printf(" %" PRId32, ((const int32_t *)values->buffers[1])[at]);
    } else if (strcmp(type->format, "g") == 0) {
        printf(" %.1f", ((const double *)values->buffers[1])[at]);
    }
}

/* Prints and releases a stream. */
static void print(struct ArrowArrayStream *stream)
{
    struct ArrowSchema schema;
    struct ArrowArray rows;
    int64_t row, column;
    int code = stream->get_schema(stream, &schema);

    while (code == 0 && (code = stream->get_next(stream, &rows)) == 0 && rows.release != NULL) {
        printf("%" PRId64 " rows\n", rows.length);
        for (row = 0; row < rows.length; row++) {
            for (column = 0; column < rows.n_children; column++)
                print_value(schema.children[column], rows.children[column], row);
            printf("\n");
        }
        rows.release(&rows);
    }
    if (code != 0)
        fprintf(stderr, "%s\n", stream->get_last_error(stream));
    schema.release(&schema);
    stream->release(stream);
}

int main(int argc, char **argv)
{
    const char *columns[2] = {"radius_km", "planet"};
    struct ArrowArrayStream stream;
    struct ArrowArray key;
    sstore_row_builder *keys;
    sstore_error *error = NULL;
    sstore_filter *filter;
    sstore_table *table;
    sstore_scan *scan;
    sstore_db *db;
    char *text;

    check(sstore_open(argc > 1 ? argv[1] : "scan_stream.db", NULL, &db, &error), &error);
    table = fill(db);
    check(sstore_scan_create(db, table, &scan, &error), &error);
    check(sstore_scan_set_batch_rows(scan, 4, &error), &error);
    check(sstore_scan_execute(scan, &stream, &error), &error);
    printf("all, four at a time\n");
    print(&stream);

    /* From "M" on, two columns, only the small ones. Keys are one row of Arrow: a builder makes them. */
    check(sstore_row_builder_create(db, table, SSTORE_ROW_KEY, &keys, &error), &error);
    check(sstore_row_builder_set_bytes(keys, 0, "M", 1, &error), &error);
    check(sstore_row_builder_append(keys, &error), &error);
    check(sstore_row_builder_finish(keys, &key, NULL, &error), &error);
    sstore_row_builder_free(keys);
    check(sstore_scan_set_bound(scan, SSTORE_BOUND_START, &key, NULL, &error), &error);
    check(sstore_scan_set_columns(scan, columns, 2, &error), &error);
    check(sstore_filter_parse("radius_km BETWEEN 2000 AND 7000 AND NOT planet LIKE 'V%'", &filter, &error), &error);
    check(sstore_scan_set_filter(scan, filter, &error), &error);
    sstore_filter_free(filter);
    check(sstore_scan_execute(scan, &stream, &error), &error);
    check(sstore_scan_explain(scan, &text, &error), &error);
    sstore_scan_free(scan);
    sstore_table_free(table);
    printf("from M on, small\n");
    print(&stream);
    printf("%s", text);
    sstore_free(text);
    check(sstore_close(db, NULL, &error), &error);
    return 0;
}
