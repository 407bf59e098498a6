/* What good calls need: a database with a family and a table, a handle of every type, and small things made of Arrow. */
#ifndef SSTORE_HOSTILE_WORLD_H
#define SSTORE_HOSTILE_WORLD_H
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct world {
    void *handle[TYPES];
    sstore_batch *other_batch;
    /* A row was begun in it, and not appended. */
    sstore_row_builder *begun;
    /* The same database, open for reading. */
    sstore_db *reader;
    sstore_slice slices[4], split;
    /* Of the snapshot, and of the key "k" in the family. */
    uint64_t sequence, key_sequence;
    unsigned char bytes[64];
    char path[300], fresh[300], damaged[300], leveldb[300], room[64];
};

static void on_event(void *data, const sstore_event *event)
{
    (void)data;
    (void)event;
}

static void on_line(void *data, const sstore_log_line *line)
{
    (void)data;
    (void)line;
}

/* Who is told of progress calls back, with whatever is there, and takes his time. */
static void call_back(struct world *w);

static int on_import(void *data, uint64_t read, uint64_t total, uint64_t entries)
{
    (void)entries;
    call_back(data);
    return read <= total;
}

static int on_progress(void *data, uint64_t done, uint64_t total)
{
    call_back(data);
    return done <= total;
}

static void on_destroy(void *data)
{
    (void)data;
}

static const int64_t ids[1] = {1};

/* Columns id (int64, the key), name (utf8), value (float32), flag (bool). */
static inline void all_columns(struct ArrowSchema *schema)
{
    make_schema(schema, "+s", "", 0, 4);
    make_schema(schema->children[0], "l", "id", 0, 0);
    make_schema(schema->children[1], "u", "name", 1, 0);
    make_schema(schema->children[2], "f", "value", 1, 0);
    make_schema(schema->children[3], "b", "flag", 1, 0);
}

static inline void key_columns(struct ArrowSchema *schema)
{
    make_schema(schema, "+s", "", 0, 1);
    make_schema(schema->children[0], "l", "id", 0, 0);
}

static inline void extra_column(struct ArrowSchema *schema)
{
    make_schema(schema, "l", "extra", 1, 0);
}

static inline void wider_column(struct ArrowSchema *schema)
{
    make_schema(schema, "g", "value", 1, 0);
}

static inline void id_type(struct ArrowSchema *schema)
{
    make_schema(schema, "l", "", 0, 0);
}

static inline void one_id(struct ArrowArray *array)
{
    make_ids(array, ids, 1);
}

static inline void one_key(struct ArrowArray *keys)
{
    make_keys(keys, ids, 1);
}

static inline void one_row(struct ArrowArray *rows)
{
    static const char *const names[1] = {"text"};
    static const float value[1] = {1};
    static const unsigned char flag[1] = {1};
    make_array(rows, 1, 1, 4);
    make_ids(rows->children[0], ids, 1);
    make_texts(rows->children[1], names, 1);
    make_array(rows->children[2], 1, 2, 0);
    set_buffer(rows->children[2], 1, value, sizeof value, 0);
    make_array(rows->children[3], 1, 2, 0);
    set_buffer(rows->children[3], 1, flag, sizeof flag, 0);
}

static inline int batch_schema(struct ArrowArrayStream *stream, struct ArrowSchema *schema)
{
    (void)stream;
    all_columns(schema);
    return 0;
}

static inline int batch_next(struct ArrowArrayStream *stream, struct ArrowArray *rows)
{
    memset(rows, 0, sizeof *rows);
    if (stream->private_data != NULL)
        one_row(rows);
    stream->private_data = NULL;
    return 0;
}

static inline const char *batch_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return NULL;
}

static inline void batch_release(struct ArrowArrayStream *stream)
{
    stream->release = NULL;
    unreleased--;
}

/* A stream of one batch. */
static inline void one_batch(struct ArrowArrayStream *stream)
{
    stream->get_schema = batch_schema;
    stream->get_next = batch_next;
    stream->get_last_error = batch_error;
    stream->release = batch_release;
    stream->private_data = stream;
    unreleased++;
}

/* What sstore_free takes. */
static inline void *memory_of(struct world *w)
{
    char *text = NULL;
    if (sstore_options_get(w->handle[TYPE_options], "write_buffer_bytes", &text, NULL) != SSTORE_OK)
        return NULL;
    return text;
}

/* The types that are made only where they are needed. */
#define NEEDS_SPLITS 1
#define NEEDS_FILES 2
#define NEEDS_REPORT 4

#define H(type) (w->handle[TYPE_##type])
#define TO(type) ((sstore_##type **)&w->handle[TYPE_##type])

static void call_back(struct world *w)
{
    const struct timespec pause = {0, 100000};
    sstore_open_objects objects = SSTORE_OPEN_OBJECTS_INIT;
    sstore_code code;
    void *value;
    size_t len;
    if (w == NULL)
        return;
    code = sstore_get(H(db), NULL, NULL, "k", 1, &value, &len, NULL);
    EXPECT(code == SSTORE_OK || code == SSTORE_CLOSED || code == SSTORE_INVALID_ARGUMENT);
    EXPECT((value != NULL) == (code == SSTORE_OK));
    sstore_free(value);
    code = sstore_open_objects_count(H(db), &objects, NULL);
    EXPECT(code == SSTORE_OK || code == SSTORE_CLOSED || code == SSTORE_INVALID_ARGUMENT);
    nanosleep(&pause, NULL);
}

static void make_damaged(struct world *w, const char *name)
{
    sstore_db *db;
    snprintf(w->damaged, sizeof w->damaged, "%s.damaged", name);
    if (access(w->damaged, F_OK) == 0)
        return;
    MADE(sstore_open(w->damaged, NULL, &db, &error));
    MADE(sstore_put(db, NULL, NULL, "k", 1, "v", 1, NULL, &error));
    MADE(sstore_close(db, NULL, &error));
}

/* A database of the name, new, with everything in it. */
static void make_world(struct world *w, const char *name, int needs)
{
    static int number;
    sstore_slice key = {"k", 1};
    struct ArrowSchema columns;
    struct ArrowArray row;
    const char *const names[1] = {"id"};

    memset(w, 0, sizeof *w);
    snprintf(w->path, sizeof w->path, "%s.%d", name, ++number);
    snprintf(w->leveldb, sizeof w->leveldb, "%s.leveldb", name);
    if (access(w->leveldb, F_OK) != 0 && !make_leveldb(w->leveldb))
        complain("no database of LevelDB");
    snprintf(w->fresh, sizeof w->fresh, "%s.%d.fresh", name, number);
    MADE(sstore_options_create(TO(options), &error));
    MADE(sstore_options_set(H(options), "flush_on_close", "false", &error));
    MADE(sstore_options_set(H(options), "wal_segment_bytes", "256KiB", &error));
    MADE(sstore_options_set(H(options), "memory_budget_bytes", "16MiB", &error));
    MADE(sstore_open(w->path, H(options), TO(db), &error));
    MADE(sstore_column_family_create(H(db), "family", NULL, TO(column_family), &error));
    MADE(sstore_put(H(db), H(column_family), NULL, "k", 1, "v", 1, &w->key_sequence, &error));
    all_columns(&columns);
    MADE(sstore_table_create(H(db), "table", &columns, names, 1, NULL, NULL, TO(table), &error));
    one_row(&row);
    MADE(sstore_table_append(H(db), H(table), NULL, &row, NULL, NULL, &error));
    MADE(sstore_batch_create(TO(batch), &error));
    MADE(sstore_batch_put(H(batch), H(column_family), "b", 1, "v", 1, &error));
    MADE(sstore_batch_create(&w->other_batch, &error));
    MADE(sstore_flush(H(db), NULL, 0, TO(flush_token), &error));
    MADE(sstore_flush_token_wait(H(flush_token), 60000, &error));
    MADE(sstore_put(H(db), NULL, NULL, "j", 1, "v", 1, NULL, &error));
    MADE(sstore_put(H(db), NULL, NULL, "k", 1, "v", 1, NULL, &error));
    MADE(sstore_put(H(db), NULL, NULL, "l", 1, "v", 1, NULL, &error));
    MADE(sstore_snapshot_create(H(db), TO(snapshot), &error));
    {
        sstore_options *reading;
        MADE(sstore_options_create(&reading, &error));
        MADE(sstore_options_set(reading, "read_only", "true", &error));
        MADE(sstore_open(w->path, reading, &w->reader, &error));
        sstore_options_free(reading);
    }
    w->sequence = sstore_snapshot_sequence(H(snapshot));
    MADE(sstore_iterator_create(H(db), NULL, NULL, TO(iterator), &error));
    MADE(sstore_iterator_seek(H(iterator), "k", 1, &error));
    MADE(sstore_column_family_list(H(db), TO(list), &error));
    MADE(sstore_metrics_create(H(db), TO(metrics), &error));
    MADE(sstore_get_pinned(H(db), NULL, NULL, "k", 1, TO(pinned), w->slices, NULL, &error));
    MADE(sstore_multi_get(H(db), NULL, NULL, &key, 1, TO(values), &error));
    MADE(sstore_segments_list(H(db), H(column_family), TO(segments), &error));
    MADE(sstore_filter_parse("id > 0", TO(filter), &error));
    MADE(sstore_scan_create(H(db), H(table), TO(scan), &error));
    MADE(sstore_row_builder_create(H(db), H(table), SSTORE_ROW_FULL, TO(row_builder), &error));
    MADE(sstore_row_builder_set_i64(H(row_builder), 0, 1, &error));
    MADE(sstore_row_builder_append(H(row_builder), &error));
    MADE(sstore_row_builder_create(H(db), H(table), SSTORE_ROW_FULL, &w->begun, &error));
    MADE(sstore_row_builder_set_i64(w->begun, 0, 2, &error));
    if (sstore_column_family_drop(H(db), NULL, TO(error)) != SSTORE_INVALID_ARGUMENT)
        complain("the default family was dropped");
    if (needs & NEEDS_SPLITS) {
        sstore_split split = SSTORE_SPLIT_INIT;
        MADE(sstore_scan_splits(H(scan), 1, TO(splits), &error));
        MADE(sstore_splits_get(H(splits), 0, &split, &error));
        w->split = split.bytes;
    }
    if (needs & NEEDS_FILES)
        MADE(sstore_live_files(H(db), H(column_family), NULL, TO(files), &error));
    if (needs & NEEDS_REPORT) {
        make_damaged(w, name);
        MADE(sstore_repair(w->damaged, w->fresh, NULL, NULL, TO(repair_report), &error));
        MADE(sstore_destroy(w->fresh, &error));
    }
}

/* What is not in the table. */
static void free_others(struct world *w)
{
    sstore_batch_free(w->other_batch);
    sstore_row_builder_free(w->begun);
    sstore_release(w->reader);
}

/* Frees everything and removes the database: it must not be open any more. */
static void end_world(struct world *w)
{
    int type;
    for (type = TYPES - 1; type > 0; type--)
        free_handle(type, w->handle[type]);
    free_others(w);
    MADE(sstore_destroy(w->path, &error));
}

/* Every handle still leads to what it led to. */
static void check_alive(struct world *w)
{
    sstore_open_objects objects = SSTORE_OPEN_OBJECTS_INIT;
    sstore_repair_summary summary = SSTORE_REPAIR_SUMMARY_INIT;
    sstore_filter *filter = NULL;
    sstore_slice name;
    char *text = NULL;
    EXPECT(sstore_open_objects_count(H(db), &objects, NULL) == SSTORE_OK);
    EXPECT(objects.iterators >= 1 && objects.snapshots >= 1);
    EXPECT(sstore_batch_count(H(batch)) > 0);
    EXPECT(sstore_column_family_name(H(column_family), &name, NULL) == SSTORE_OK);
    EXPECT(sstore_error_code(H(error)) == SSTORE_INVALID_ARGUMENT && sstore_error_message(H(error))[0] != 0);
    EXPECT(sstore_filter_combine(SSTORE_LOGIC_NOT, (const sstore_filter *const *)&H(filter), 1, &filter, NULL) == SSTORE_OK);
    sstore_filter_free(filter);
    EXPECT(sstore_flush_token_wait(H(flush_token), 1000, NULL) == SSTORE_OK);
    EXPECT(sstore_iterator_seek(H(iterator), "k", 1, NULL) == SSTORE_OK);
    EXPECT(sstore_list_count(H(list)) == 2);
    EXPECT(sstore_metrics_count(H(metrics)) > 0);
    EXPECT(sstore_options_get(H(options), "write_buffer_bytes", &text, NULL) == SSTORE_OK);
    sstore_free(text);
    EXPECT(w->slices[0].data != NULL);
    EXPECT(sstore_row_builder_append(H(row_builder), NULL) != SSTORE_CLOSED);
    EXPECT(sstore_scan_explain(H(scan), &text, NULL) == SSTORE_OK);
    sstore_free(text);
    EXPECT(sstore_segments_count(H(segments)) == 1);
    EXPECT(sstore_snapshot_sequence(H(snapshot)) == w->sequence);
    EXPECT(sstore_table_name(H(table), &name, NULL) == SSTORE_OK);
    EXPECT(sstore_values_slices(H(values), NULL) != NULL);
    EXPECT(H(splits) == NULL || sstore_splits_count(H(splits)) == 1);
    EXPECT(H(files) == NULL || sstore_files_count(H(files)) == 1);
    EXPECT(H(repair_report) == NULL || sstore_repair_report_summary(H(repair_report), &summary, NULL) == SSTORE_OK);
}
#endif
