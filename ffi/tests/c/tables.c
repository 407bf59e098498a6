/* Calls every function of tables as the header says. */
#include "arrow.h"

static const int64_t IDS[5] = {3, 1, 4, 2, 5};
static const char *const NAMES[5] = {"cat", "ant", NULL, "bee", "cow"};

static int64_t count(sstore_db *db, sstore_table *table, const sstore_filter *filter)
{
    struct ArrowArrayStream stream;
    sstore_scan *scan;

    GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
    GIVES(SSTORE_OK, sstore_scan_set_filter(scan, filter, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
    sstore_scan_free(scan);
    return drain(&stream);
}

static int64_t count_text(sstore_db *db, sstore_table *table, const char *text)
{
    sstore_filter *filter;
    int64_t rows;

    GIVES(SSTORE_OK, sstore_filter_parse(text, &filter, &error));
    rows = count(db, table, filter);
    sstore_filter_free(filter);
    return rows;
}

static sstore_table *created(sstore_db *db, sstore_options *options)
{
    const char *key[1] = {"id"};
    sstore_table_options table_options = SSTORE_TABLE_OPTIONS_INIT;
    struct ArrowSchema schema, field;
    sstore_table *table, *same;
    sstore_slice name;
    sstore_list *list;

    make_columns(&schema);
    GIVES(SSTORE_OK, sstore_table_create(db, "t", &schema, key, 1, &table_options, options, &table, &error));
    CHECK(schema.release == NULL && unreleased == 0);
    GIVES(SSTORE_OK, sstore_table_open(db, "t", &same, &error));
    GIVES(SSTORE_OK, sstore_table_name(same, &name, &error));
    CHECK(name.len == 1 && *(const char *)name.data == 't');
    sstore_table_free(same);
    CHECK(sstore_table_open(db, "none", &same, NULL) == SSTORE_NOT_FOUND && same == NULL);
    GIVES(SSTORE_OK, sstore_table_list(db, &list, &error));
    CHECK(sstore_list_count(list) == 1);
    sstore_list_free(list);
    GIVES(SSTORE_OK, sstore_table_key(table, &list, &error));
    GIVES(SSTORE_OK, sstore_list_get(list, 0, &name, &error));
    CHECK(sstore_list_count(list) == 1 && strcmp(name.data, "id") == 0);
    sstore_list_free(list);
    GIVES(SSTORE_OK, sstore_table_schema(table, &schema, &error));
    CHECK(strcmp(schema.format, "+s") == 0 && schema.n_children == 3);
    CHECK(strcmp(schema.children[1]->name, "name") == 0 && strcmp(schema.children[1]->format, "u") == 0);
    CHECK(schema.children[0]->flags == 0 && schema.children[2]->flags == ARROW_FLAG_NULLABLE);
    schema.release(&schema);

    make_schema(&field, "i", "extra", 1, 0);
    GIVES(SSTORE_OK, sstore_table_add_column(db, table, &field, &error));
    make_schema(&field, "l", "", 1, 0);
    GIVES(SSTORE_OK, sstore_table_widen_column(db, table, "extra", &field, &error));
    GIVES(SSTORE_OK, sstore_table_rename_column(db, table, "extra", "more", &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_drop_column(db, table, "id", &error));
    GIVES(SSTORE_OK, sstore_table_drop_column(db, table, "more", &error));
    make_schema(&field, "i", "extra", 0, 0);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_table_add_column(db, table, &field, &error));
    CHECK(unreleased == 0);
    return table;
}

static void written_and_read(sstore_db *db, sstore_table *table)
{
    const char *columns[2] = {"value", "name"};
    sstore_read_options past = SSTORE_READ_OPTIONS_INIT;
    int64_t keys_wanted[3] = {4, 77, 1};
    struct ArrowArray rows, keys;
    struct ArrowSchema schema;
    sstore_snapshot *snapshot;
    uint64_t first, second;
    unsigned char found[3];

    make_rows(&rows, IDS, NAMES, 5);
    GIVES(SSTORE_OK, sstore_table_append(db, table, NULL, &rows, NULL, &first, &error));
    GIVES(SSTORE_OK, sstore_snapshot_create(db, &snapshot, &error));
    make_rows(&rows, IDS + 1, NAMES, 1);
    make_columns(&schema);
    GIVES(SSTORE_OK, sstore_table_append(db, table, NULL, &rows, &schema, &second, &error));
    CHECK(first > 0 && second > first);
    make_keys(&keys, IDS, 1);
    GIVES(SSTORE_OK, sstore_table_delete(db, table, NULL, &keys, NULL, &first, &error));
    CHECK(first > second);

    make_keys(&keys, IDS + 1, 1);
    GIVES(SSTORE_OK, sstore_table_get(db, table, NULL, NULL, 0, &keys, NULL, &rows, &schema, &error));
    CHECK(rows.length == 1 && rows.n_children == 3 && schema.n_children == 3);
    CHECK(integer_at(rows.children[0], 0) == 1 && text_is(rows.children[1], 0, "cat") && double_at(rows.children[2], 0) == 10);
    rows.release(&rows);
    schema.release(&schema);
    past.snapshot = snapshot;
    make_keys(&keys, IDS + 1, 1);
    GIVES(SSTORE_OK, sstore_table_get(db, table, &past, columns, 2, &keys, NULL, &rows, NULL, &error));
    CHECK(rows.n_children == 2 && text_is(rows.children[1], 0, "ant"));
    rows.release(&rows);
    make_keys(&keys, IDS, 1);
    GIVES(SSTORE_NOT_FOUND, sstore_table_get(db, table, NULL, NULL, 0, &keys, NULL, &rows, &schema, &error));
    CHECK(rows.release == NULL && schema.release == NULL);

    make_keys(&keys, keys_wanted, 3);
    GIVES(SSTORE_OK,
          sstore_table_get_many(db, table, NULL, columns, 2, &keys, NULL, found, 3, &rows, &schema, &error));
    CHECK(found[0] == 1 && found[1] == 0 && found[2] == 1 && rows.length == 2 && schema.n_children == 2);
    CHECK(double_at(rows.children[0], 0) == 40 && text_is(rows.children[1], 0, NULL) && text_is(rows.children[1], 1, "cat"));
    rows.release(&rows);
    schema.release(&schema);
    make_keys(&keys, keys_wanted + 1, 1);
    GIVES(SSTORE_OK, sstore_table_get_many(db, table, NULL, columns, 2, &keys, NULL, NULL, 0, &rows, NULL, &error));
    CHECK(rows.length == 0 && rows.n_children == 2);
    rows.release(&rows);
    make_keys(&keys, keys_wanted, 3);
    GIVES(SSTORE_INVALID_ARGUMENT,
          sstore_table_get_many(db, table, NULL, NULL, 0, &keys, NULL, found, 2, &rows, NULL, &error));
    sstore_snapshot_free(snapshot);
    CHECK(unreleased == 0);
}

static void batched(sstore_db *db, sstore_table *table)
{
    int64_t gone[1] = {9};
    const char *const ten[2] = {"ten", "nine"};
    int64_t ids[2] = {10, 9};
    struct ArrowArray rows, keys;
    sstore_batch *batch;
    size_t len;
    void *copy;

    GIVES(SSTORE_OK, sstore_batch_create(&batch, &error));
    GIVES(SSTORE_OK, sstore_batch_put(batch, NULL, "k", 1, "v", 1, &error));
    make_rows(&rows, ids, ten, 2);
    GIVES(SSTORE_OK, sstore_batch_put_rows(batch, table, &rows, NULL, &error));
    make_keys(&keys, gone, 1);
    GIVES(SSTORE_OK, sstore_batch_delete_rows(batch, table, &keys, NULL, &error));
    CHECK(sstore_batch_count(batch) == 3 && count_text(db, table, "id >= 9") == 0);
    GIVES(SSTORE_OK, sstore_write(db, NULL, batch, NULL, &error));
    CHECK(count_text(db, table, "id >= 9") == 1 && count_text(db, table, "name = 'ten'") == 1);
    GIVES(SSTORE_OK, sstore_get(db, NULL, NULL, "k", 1, &copy, &len, &error));
    sstore_free(copy);
    sstore_batch_free(batch);
    CHECK(unreleased == 0);
}

static void built(sstore_db *db)
{
    static const struct { const char *format, *name; } COLUMNS[9] = {
        {"l", "id"}, {"b", "flag"}, {"C", "byte"}, {"L", "big"}, {"f", "float"},
        {"vu", "text"}, {"w:3", "three"}, {"tsm:UTC", "when"}, {"d:10,2", "price"}};
    const char *key[1] = {"id"};
    struct ArrowSchema schema;
    struct ArrowArray rows;
    sstore_row_builder *builder, *keys;
    sstore_batch *batch;
    sstore_table *table;
    uint64_t sequence;
    size_t index;

    make_schema(&schema, "+s", "", 0, 9);
    for (index = 0; index < 9; index++)
        make_schema(schema.children[index], COLUMNS[index].format, COLUMNS[index].name, index > 0, 0);
    GIVES(SSTORE_OK, sstore_table_create(db, "built", &schema, key, 1, NULL, NULL, &table, &error));
    GIVES(SSTORE_OK, sstore_row_builder_create(db, table, SSTORE_ROW_FULL, &builder, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_row_builder_append(builder, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_i64(builder, 0, 7, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_i64(builder, 0, 8, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_bool(builder, 1, 5, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_i64(builder, 2, 255, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_row_builder_set_i64(builder, 2, 256, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_row_builder_set_i64(builder, 2, -1, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_u64(builder, 3, UINT64_MAX, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_row_builder_set_u64(builder, 0, UINT64_MAX, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_f64(builder, 4, 0.5, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_bytes(builder, 5, "replaced", 8, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_bytes(builder, 5, "text", 4, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_row_builder_set_bytes(builder, 5, "\xff", 1, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_row_builder_set_bytes(builder, 6, "four", 4, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_bytes(builder, 6, "abc", 3, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_i64(builder, 7, 1700000000000, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_i64(builder, 8, -1234, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_row_builder_set_bool(builder, 5, 1, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_row_builder_set_i64(builder, 9, 1, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_row_builder_write(builder, NULL, NULL, &error));
    GIVES(SSTORE_OK, sstore_row_builder_append(builder, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_i64(builder, 0, 9, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_f64(builder, 4, 1, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_null(builder, 4, &error));
    GIVES(SSTORE_OK, sstore_row_builder_append(builder, &error));
    CHECK(sstore_row_builder_count(builder) == 2);
    /* A row that is given up does not keep the others from being written. */
    GIVES(SSTORE_OK, sstore_row_builder_set_bytes(builder, 5, "given up", 8, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_row_builder_write(builder, NULL, NULL, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_null(builder, 5, &error));
    GIVES(SSTORE_OK, sstore_row_builder_write(builder, NULL, &sequence, &error));
    CHECK(sequence > 0 && sstore_row_builder_count(builder) == 0);

    GIVES(SSTORE_OK, sstore_row_builder_set_i64(builder, 0, 10, &error));
    GIVES(SSTORE_OK, sstore_row_builder_append(builder, &error));
    GIVES(SSTORE_OK, sstore_batch_create(&batch, &error));
    GIVES(SSTORE_OK, sstore_row_builder_add_to_batch(builder, batch, &error));
    GIVES(SSTORE_OK, sstore_write(db, NULL, batch, NULL, &error));
    sstore_batch_free(batch);
    CHECK(sstore_row_builder_count(builder) == 0 && count(db, table, NULL) == 3);
    CHECK(count_text(db, table, "flag = TRUE AND byte = 255 AND big = 18446744073709551615 AND float = 0.5") == 1);
    CHECK(count_text(db, table, "text = 'text' AND price < -12 AND price > -13") == 1);
    CHECK(count_text(db, table, "when = TIMESTAMP '2023-11-14 22:13:20Z' AND text LIKE 'te%'") == 1);
    CHECK(count_text(db, table, "float IS NULL AND text IS NULL") == 2);

    GIVES(SSTORE_OK, sstore_row_builder_create(db, table, SSTORE_ROW_KEY, &keys, &error));
    GIVES(SSTORE_OK, sstore_row_builder_set_i64(keys, 0, 8, &error));
    GIVES(SSTORE_OK, sstore_row_builder_append(keys, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_row_builder_write(keys, NULL, NULL, &error));
    GIVES(SSTORE_OK, sstore_row_builder_finish(keys, &rows, &schema, &error));
    CHECK(rows.length == 1 && rows.n_children == 1 && sstore_row_builder_count(keys) == 0);
    GIVES(SSTORE_OK, sstore_table_get(db, table, NULL, NULL, 0, &rows, &schema, &rows, &schema, &error));
    CHECK(rows.n_children == 9 && strcmp(schema.children[5]->format, "vu") == 0 && rows.children[5]->n_buffers >= 3);
    CHECK(memcmp(rows.children[6]->buffers[1], "abc", 3) == 0 && integer_at(rows.children[7], 0) == 1700000000000);
    rows.release(&rows);
    schema.release(&schema);
    GIVES(SSTORE_OK, sstore_row_builder_set_i64(keys, 0, 8, &error));
    GIVES(SSTORE_OK, sstore_row_builder_append(keys, &error));
    GIVES(SSTORE_OK, sstore_row_builder_clear(keys, &error));
    GIVES(SSTORE_OK, sstore_row_builder_finish(keys, &rows, NULL, &error));
    CHECK(rows.length == 0);
    GIVES(SSTORE_OK, sstore_table_delete(db, table, NULL, &rows, NULL, NULL, &error));
    sstore_row_builder_free(keys);
    sstore_row_builder_free(builder);
    sstore_row_builder_free(builder);
    GIVES(SSTORE_OK, sstore_table_drop(db, table, &error));
    GIVES(SSTORE_DROPPED, sstore_table_flush(db, (const sstore_table *const *)&table, 1, NULL, &error));
    sstore_table_free(table);
    CHECK(unreleased == 0);
}

static void filtered(sstore_db *db, sstore_table *table)
{
    const char *const wanted[2] = {"cat", "cow"};
    sstore_filter *less, *among, *begins, *null, *whole, *none;
    const sstore_filter *parts[3];
    struct ArrowSchema schema;
    struct ArrowArray literal;
    int64_t four[1] = {4};

    /* In the table: 1 cat, 2 bee, 4 null, 5 cow, 10 ten. */
    make_ids(&literal, four, 1);
    make_schema(&schema, "l", "", 0, 0);
    GIVES(SSTORE_OK, sstore_filter_compare("id", SSTORE_COMPARISON_LESS, &literal, &schema, &less, &error));
    make_texts(&literal, wanted, 2);
    make_schema(&schema, "u", "", 0, 0);
    GIVES(SSTORE_OK, sstore_filter_in("name", &literal, &schema, &among, &error));
    GIVES(SSTORE_OK, sstore_filter_starts_with("name", "c", 1, &begins, &error));
    GIVES(SSTORE_OK, sstore_filter_is_null("name", &null, &error));
    CHECK(unreleased == 0);
    CHECK(count(db, table, less) == 2 && count(db, table, among) == 2);
    CHECK(count(db, table, begins) == 2 && count(db, table, null) == 1 && count(db, table, NULL) == 5);
    parts[0] = less;
    parts[1] = among;
    parts[2] = null;
    GIVES(SSTORE_OK, sstore_filter_combine(SSTORE_LOGIC_AND, parts, 2, &whole, &error));
    CHECK(count(db, table, whole) == 1);
    sstore_filter_free(whole);
    GIVES(SSTORE_OK, sstore_filter_combine(SSTORE_LOGIC_OR, parts, 3, &whole, &error));
    CHECK(count(db, table, whole) == 4);
    sstore_filter_free(whole);
    GIVES(SSTORE_OK, sstore_filter_combine(SSTORE_LOGIC_NOT, parts, 1, &whole, &error));
    CHECK(count(db, table, whole) == 3);
    sstore_filter_free(whole);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_filter_combine(SSTORE_LOGIC_NOT, parts, 2, &none, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_filter_combine(7, parts, 2, &none, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_filter_parse("id >", &none, &error));
    CHECK(none == NULL);
    sstore_filter_free(less);
    sstore_filter_free(among);
    sstore_filter_free(begins);
    sstore_filter_free(null);
}

static void scanned(sstore_db *db, sstore_table *table)
{
    const char *columns[1] = {"name"};
    int64_t bounds[2] = {2, 5}, left;
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray rows;
    sstore_snapshot *snapshot;
    sstore_filter *filter;
    sstore_scan *scan;
    char *text;

    GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
    GIVES(SSTORE_OK, sstore_scan_set_columns(scan, columns, 1, &error));
    make_keys(&rows, bounds, 1);
    GIVES(SSTORE_OK, sstore_scan_set_bound(scan, SSTORE_BOUND_START, &rows, NULL, &error));
    make_keys(&rows, bounds + 1, 1);
    GIVES(SSTORE_OK, sstore_scan_set_bound(scan, SSTORE_BOUND_STOP, &rows, NULL, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
    CHECK(stream.get_schema(&stream, &schema) == 0 && schema.n_children == 1);
    CHECK(strcmp(schema.children[0]->name, "name") == 0);
    schema.release(&schema);
    CHECK(stream.get_next(&stream, &rows) == 0 && rows.length == 2 && rows.n_children == 1 && rows.null_count == 0);
    CHECK(text_is(rows.children[0], 0, "bee") && text_is(rows.children[0], 1, NULL));
    CHECK(stream.get_last_error(&stream) == NULL);
    rows.release(&rows);
    CHECK(stream.get_next(&stream, &rows) == 0 && rows.release == NULL);
    CHECK(stream.get_next(&stream, &rows) == 0 && rows.release == NULL);
    stream.release(&stream);
    make_keys(&rows, bounds, 1);
    GIVES(SSTORE_OK, sstore_scan_set_bound(scan, SSTORE_BOUND_PREFIX, &rows, NULL, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
    CHECK(drain(&stream) == 1);
    sstore_scan_free(scan);

    GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
    GIVES(SSTORE_OK, sstore_scan_set_limit(scan, 3, &error));
    GIVES(SSTORE_OK, sstore_scan_set_batch_rows(scan, 2, &error));
    GIVES(SSTORE_OK, sstore_scan_set_cached(scan, 1, &error));
    GIVES(SSTORE_OK, sstore_snapshot_create(db, &snapshot, &error));
    GIVES(SSTORE_OK, sstore_scan_set_snapshot(scan, snapshot, &error));
    sstore_snapshot_free(snapshot);
    make_keys(&rows, bounds, 1);
    GIVES(SSTORE_OK, sstore_table_delete(db, table, NULL, &rows, NULL, NULL, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
    CHECK(stream.get_next(&stream, &rows) == 0 && rows.length == 2 && integer_at(rows.children[0], 1) == 2);
    rows.release(&rows);
    CHECK(drain(&stream) == 1);
    GIVES(SSTORE_OK, sstore_scan_set_reverse(scan, 1, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
    CHECK(stream.get_next(&stream, &rows) == 0 && rows.length >= 1 && rows.length <= 2);
    CHECK(integer_at(rows.children[0], 0) > 2);
    left = 3 - rows.length;
    rows.release(&rows);
    CHECK(drain(&stream) == left);
    GIVES(SSTORE_OK, sstore_scan_explain(scan, &text, &error));
    CHECK(strstr(text, "scan in reverse") != NULL);
    sstore_free(text);
    GIVES(SSTORE_OK, sstore_scan_set_reverse(scan, 0, &error));
    GIVES(SSTORE_OK, sstore_filter_parse("value > 1000", &filter, &error));
    GIVES(SSTORE_OK, sstore_scan_set_filter(scan, filter, &error));
    sstore_filter_free(filter);
    GIVES(SSTORE_OK, sstore_scan_explain(scan, &text, &error));
    CHECK(strstr(text, "scan at sequence") != NULL);
    sstore_free(text);
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
    CHECK(drain(&stream) == 0);
    GIVES(SSTORE_OK, sstore_filter_parse("nothing = 1", &filter, &error));
    GIVES(SSTORE_OK, sstore_scan_set_filter(scan, filter, &error));
    sstore_filter_free(filter);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_scan_execute(scan, &stream, &error));
    CHECK(stream.release == NULL);
    sstore_scan_free(scan);
}

static void flushed(sstore_db *db, sstore_table *table)
{
    sstore_segment segment = SSTORE_SEGMENT_INIT;
    sstore_flush_result result = SSTORE_FLUSH_RESULT_INIT;
    const sstore_column_family *families[1] = {NULL};
    const sstore_table *tables[1];
    sstore_flush_token *token;
    sstore_segments *segments;

    tables[0] = table;
    GIVES(SSTORE_OK, sstore_table_flush(db, tables, 1, &token, &error));
    GIVES(SSTORE_OK, sstore_flush_token_wait(token, 60000, &error));
    sstore_flush_token_free(token);
    /* Nothing is left in the table; what a family holds goes to its file. */
    GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, "together", 8, "v", 1, NULL, &error));
    GIVES(SSTORE_OK, sstore_flush_atomic(db, families, 1, tables, 1, &token, &error));
    GIVES(SSTORE_OK, sstore_flush_token_wait(token, 60000, &error));
    GIVES(SSTORE_OK, sstore_flush_token_result(token, &result, &error));
    CHECK(result.file_count == 1 && result.entries >= 1 && result.reason == 2 && result.durable_sequence > 0);
    sstore_flush_token_free(token);
    GIVES(SSTORE_OK, sstore_flush_atomic(db, NULL, 0, NULL, 0, NULL, &error));
    tables[0] = NULL;
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_flush_atomic(db, NULL, 0, tables, 1, &token, &error));
    CHECK(token == NULL);
    GIVES(SSTORE_OK, sstore_table_segments(db, table, &segments, &error));
    CHECK(sstore_segments_count(segments) == 1);
    GIVES(SSTORE_OK, sstore_segments_get(segments, 0, &segment, &error));
    CHECK(segment.entries >= 4 && strstr(segment.path, "table/t/") != NULL);
    sstore_segments_free(segments);
    GIVES(SSTORE_OK, sstore_table_compact(db, table, &error));
    CHECK(count(db, table, NULL) == 4);
}

/* What a table was created with is what it tells; with that another one is made like it. */
static void asked_for_options(sstore_db *db, sstore_options *given, const char *format)
{
    static const char *const ORDER[2] = {"value", "name"};
    sstore_table_options table_options = SSTORE_TABLE_OPTIONS_INIT;
    static const char *const WHO[2] = {"first", "second"};
    struct ArrowSchema schema;
    sstore_options *told;
    sstore_slice column;
    sstore_list *names;
    sstore_table *table;
    char *text;
    int round;

    table_options.order_by = ORDER;
    table_options.order_by_count = 2;
    GIVES(SSTORE_OK, sstore_options_set(given, "page_rows", "2048", &error));
    for (round = 0; round < 2; round++) {
        make_columns(&schema);
        GIVES(SSTORE_OK,
              sstore_table_create(db, WHO[round], &schema, NULL, 0, &table_options, given, &table, &error));
        GIVES(SSTORE_OK, sstore_table_get_options(table, &told, &error));
        GIVES(SSTORE_OK, sstore_options_get(told, "page_rows", &text, &error));
        CHECK(strcmp(text, "2048") == 0);
        sstore_free(text);
        GIVES(SSTORE_OK, sstore_options_get(told, "table_format", &text, &error));
        CHECK(strcmp(text, format) == 0);
        sstore_free(text);
        GIVES(SSTORE_OK, sstore_table_order_by(table, &names, &error));
        CHECK(sstore_list_count(names) == 2);
        GIVES(SSTORE_OK, sstore_list_get(names, 0, &column, &error));
        CHECK(strcmp(column.data, "value") == 0);
        sstore_list_free(names);
        sstore_table_free(table);
        if (round > 0)
            sstore_options_free(given);
        given = told;
    }
    sstore_options_free(told);
}

/* A stream of this library is one that it takes. */
static void streamed(sstore_db *db, sstore_table *table)
{
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    uint64_t rows, sequence;
    sstore_table *copy;
    sstore_scan *scan;

    GIVES(SSTORE_OK, sstore_table_schema(table, &schema, &error));
    GIVES(SSTORE_OK, sstore_table_create(db, "copy", &schema, NULL, 0, NULL, NULL, &copy, &error));
    GIVES(SSTORE_OK, sstore_scan_create(db, table, &scan, &error));
    GIVES(SSTORE_OK, sstore_scan_set_batch_rows(scan, 1, &error));
    GIVES(SSTORE_OK, sstore_scan_execute(scan, &stream, &error));
    GIVES(SSTORE_OK, sstore_table_append_stream(db, copy, NULL, &stream, &rows, &sequence, &error));
    CHECK(stream.release == NULL && rows == 4 && sequence > 0 && count(db, copy, NULL) == 4);
    sstore_scan_free(scan);
    sstore_table_free(copy);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "tables.db";
    static const char *const FORMATS[2] = {"arrow", "parquet"};
    sstore_options *options;
    sstore_table *table;
    sstore_db *db;
    char place[1024];
    int format;

    for (format = 0; format < 2; format++) {
        snprintf(place, sizeof place, "%s.%s", path, FORMATS[format]);
        GIVES(SSTORE_OK, sstore_options_create(&options, &error));
        GIVES(SSTORE_OK, sstore_options_set(options, "table_format", FORMATS[format], &error));
        GIVES(SSTORE_OK, sstore_open(place, options, &db, &error));
        table = created(db, options);
        asked_for_options(db, options, FORMATS[format]);
        sstore_options_free(options);
        written_and_read(db, table);
        batched(db, table);
        built(db);
        filtered(db, table);
        scanned(db, table);
        flushed(db, table);
        streamed(db, table);
        sstore_table_free(table);
        GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    }
    CHECK(unreleased == 0);
    return 0;
}
