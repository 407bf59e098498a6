/* One write batch over a column family and a table: all of it is there, or nothing. */
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

static sstore_table *create(sstore_db *db)
{
    static struct ArrowSchema columns[2], *children[2], schema;
    const char *key[1] = {"order"};
    sstore_error *error = NULL;
    sstore_table *table;

    columns[0].name = "order";
    columns[0].format = "L";
    columns[1].name = "cents";
    columns[1].format = "l";
    columns[0].release = columns[1].release = nothing_to_free;
    children[0] = &columns[0];
    children[1] = &columns[1];
    schema.format = "+s";
    schema.n_children = 2;
    schema.children = children;
    schema.release = nothing_to_free;
    check(sstore_table_create(db, "orders", &schema, key, 1, NULL, NULL, &table, &error), &error);
    return table;
}

static void report(sstore_db *db, sstore_table *table, const char *when)
{
    struct ArrowArrayStream stream;
    struct ArrowArray rows;
    sstore_error *error = NULL;
    sstore_scan *scan;
    int64_t count = 0;
    size_t len;
    void *last;

    check(sstore_scan_create(db, table, &scan, &error), &error);
    check(sstore_scan_execute(scan, &stream, &error), &error);
    sstore_scan_free(scan);
    while (stream.get_next(&stream, &rows) == 0 && rows.release != NULL) {
        count += rows.length;
        rows.release(&rows);
    }
    stream.release(&stream);
    if (sstore_get(db, NULL, NULL, "last order", 10, &last, &len, &error) == SSTORE_NOT_FOUND)
        last = NULL;
    printf("%s: %d orders, the last is %s\n", when, (int)count, last ? (const char *)last : "none");
    sstore_free(last);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "table_batch.db";
    sstore_error *error = NULL;
    sstore_row_builder *builder;
    sstore_batch *batch;
    sstore_table *table;
    sstore_db *db;
    unsigned order;

    check(sstore_open(path, NULL, &db, &error), &error);
    table = create(db);
    check(sstore_row_builder_create(db, table, SSTORE_ROW_FULL, &builder, &error), &error);
    check(sstore_batch_create(&batch, &error), &error);
    for (order = 1; order <= 3; order++) {
        check(sstore_row_builder_set_u64(builder, 0, order, &error), &error);
        check(sstore_row_builder_set_i64(builder, 1, order * 995, &error), &error);
        check(sstore_row_builder_append(builder, &error), &error);
    }
    check(sstore_row_builder_add_to_batch(builder, batch, &error), &error);
    check(sstore_batch_put(batch, NULL, "last order", 10, "3", 1, &error), &error);
    printf("%d operations\n", (int)sstore_batch_count(batch));
    report(db, table, "before");
    check(sstore_write(db, NULL, batch, NULL, &error), &error);
    report(db, table, "after");
    sstore_batch_free(batch);
    sstore_row_builder_free(builder);
    sstore_table_free(table);
    check(sstore_close(db, NULL, &error), &error);

    check(sstore_open(path, NULL, &db, &error), &error);
    check(sstore_table_open(db, "orders", &table, &error), &error);
    report(db, table, "opened again");
    sstore_table_free(table);
    check(sstore_close(db, NULL, &error), &error);
    return 0;
}
