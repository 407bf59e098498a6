/* Sensor readings, put into a table value by value with a row builder: no Arrow library is needed. */
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

/* These schemas lie in static memory: there is nothing to free. */
static void nothing_to_free(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static struct ArrowSchema column(const char *name, const char *format, int64_t flags)
{
    struct ArrowSchema schema;
    memset(&schema, 0, sizeof schema);
    schema.name = name;
    schema.format = format;
    schema.flags = flags;
    schema.release = nothing_to_free;
    return schema;
}

enum { SENSOR, TIME, CELSIUS, COLUMNS };

static sstore_table *create(sstore_db *db)
{
    static struct ArrowSchema columns[COLUMNS], *children[COLUMNS], schema;
    const char *key[2] = {"sensor", "time"};
    sstore_error *error = NULL;
    sstore_table *table;
    int index;

    columns[SENSOR] = column("sensor", "u", 0);
    columns[TIME] = column("time", "tsm:UTC", 0);
    columns[CELSIUS] = column("celsius", "g", ARROW_FLAG_NULLABLE);
    for (index = 0; index < COLUMNS; index++)
        children[index] = &columns[index];
    schema = column("", "+s", 0);
    schema.n_children = COLUMNS;
    schema.children = children;
    check(sstore_table_create(db, "readings", &schema, key, 2, NULL, NULL, &table, &error), &error);
    return table;
}

static void read_sensor(sstore_row_builder *builder, const char *sensor, int64_t time, double celsius)
{
    sstore_error *error = NULL;
    check(sstore_row_builder_set_bytes(builder, SENSOR, sensor, strlen(sensor), &error), &error);
    check(sstore_row_builder_set_i64(builder, TIME, time, &error), &error);
    if (celsius > -273.15)
        check(sstore_row_builder_set_f64(builder, CELSIUS, celsius, &error), &error);
    /* What was not set is null. */
    check(sstore_row_builder_append(builder, &error), &error);
}

static void print(sstore_db *db, sstore_table *table, const char *where)
{
    struct ArrowArrayStream stream;
    struct ArrowArray rows;
    sstore_error *error = NULL;
    sstore_filter *filter;
    sstore_scan *scan;

    check(sstore_scan_create(db, table, &scan, &error), &error);
    check(sstore_filter_parse(where, &filter, &error), &error);
    check(sstore_scan_set_filter(scan, filter, &error), &error);
    sstore_filter_free(filter);
    check(sstore_scan_execute(scan, &stream, &error), &error);
    sstore_scan_free(scan);
    printf("%s:\n", where);
    while (stream.get_next(&stream, &rows) == 0 && rows.release != NULL) {
        const struct ArrowArray *sensors = rows.children[SENSOR], *celsius = rows.children[CELSIUS];
        const int32_t *ends = (const int32_t *)sensors->buffers[1] + sensors->offset;
        const int64_t *times = (const int64_t *)rows.children[TIME]->buffers[1] + rows.children[TIME]->offset;
        const double *degrees = (const double *)celsius->buffers[1] + celsius->offset;
        int64_t row;
        for (row = 0; row < rows.length; row++)
            printf("  %.*s at %" PRId64 ": %.1f\n", (int)(ends[row + 1] - ends[row]),
                   (const char *)sensors->buffers[2] + ends[row], times[row], degrees[row]);
        rows.release(&rows);
    }
    stream.release(&stream);
}

int main(int argc, char **argv)
{
    sstore_error *error = NULL;
    sstore_row_builder *builder;
    sstore_table *table;
    sstore_db *db;
    int minute;

    check(sstore_open(argc > 1 ? argv[1] : "sensors.db", NULL, &db, &error), &error);
    table = create(db);
    check(sstore_row_builder_create(db, table, SSTORE_ROW_FULL, &builder, &error), &error);
    for (minute = 0; minute < 4; minute++) {
        read_sensor(builder, "roof", 1700000000000 + minute * 60000, 18.0 + minute);
        read_sensor(builder, "cellar", 1700000000000 + minute * 60000, minute == 2 ? -300 : 9.5);
    }
    printf("%d readings\n", (int)sstore_row_builder_count(builder));
    check(sstore_row_builder_write(builder, NULL, NULL, &error), &error);

    /* A reading with the key of an earlier one takes its place. */
    read_sensor(builder, "roof", 1700000000000, 17.5);
    check(sstore_row_builder_write(builder, NULL, NULL, &error), &error);
    sstore_row_builder_free(builder);

    print(db, table, "sensor = 'roof' AND celsius < 20.5");
    print(db, table, "sensor = 'cellar' AND celsius IS NOT NULL");
    sstore_table_free(table);
    check(sstore_close(db, NULL, &error), &error);
    return 0;
}
