/* Calls every function at least once as the header says. */
#include "test.h"

static int events, destroyed;

static void on_event(void *data, const sstore_event *event)
{
    CHECK(data == &events && event->struct_size == sizeof *event && strlen(event->text) > 0);
    events++;
}

static void on_destroy(void *data)
{
    CHECK(data == &events);
    destroyed++;
}

static void options_and_errors(void)
{
    sstore_option_info info = SSTORE_OPTION_INFO_INIT;
    sstore_options *options;
    sstore_error *failure;
    char *text;
    size_t index;

    CHECK(sstore_version_number() == SSTORE_VERSION_NUMBER && SSTORE_VERSION_AT_LEAST(0, 1, 0));
    CHECK(strcmp(sstore_version(), "0.1.0") == 0 && strcmp(sstore_code_name(9999), "UNKNOWN") == 0);
    CHECK(strcmp(sstore_flush_reason_name(2), "manual") == 0);
    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    for (index = 0; index < sstore_options_count(); index++) {
        GIVES(SSTORE_OK, sstore_options_describe(index, &info, &error));
        GIVES(SSTORE_OK, sstore_options_get(options, info.name, &text, &error));
        GIVES(SSTORE_OK, sstore_options_set(options, info.name, text, &error));
        CHECK(strlen(info.help) > 0 && strlen(info.type_name) > 0);
        sstore_free(text);
    }
    GIVES(SSTORE_NOT_FOUND, sstore_options_describe(index, &info, &error));
    GIVES(SSTORE_OK, sstore_options_set_number(options, "write_buffer_bytes", 1 << 20, &error));
    CHECK(sstore_options_set(options, "nonsense", "1", &failure) == SSTORE_INVALID_ARGUMENT);
    CHECK(strstr(sstore_error_message(failure), "nonsense") != NULL && sstore_error_path(failure) == NULL);
    CHECK(sstore_error_code(failure) == SSTORE_INVALID_ARGUMENT);
    CHECK(sstore_error_offset(failure) == UINT64_MAX && sstore_error_errno(failure) == 0);
    sstore_error_free(failure);
    sstore_options_free(options);
}

static void writes_and_reads(sstore_db *db, sstore_column_family *family)
{
    sstore_write_options sync = SSTORE_WRITE_OPTIONS_INIT;
    sstore_operation operations[2] = {{SSTORE_OPERATION_PUT, 0, NULL, {"o", 1}, {"1", 1}},
                                      {SSTORE_OPERATION_DELETE, 0, NULL, {"gone", 4}, SSTORE_SLICE_INIT}};
    sstore_slice keys[3] = {{"o", 1}, {"none", 4}, {"", 0}}, value;
    const sstore_slice *slices;
    sstore_values *values;
    sstore_pinned *pinned;
    sstore_batch *batch, *other;
    uint64_t first, second;
    size_t len, count;
    char buffer[8];
    void *copy;

    sync.durability = SSTORE_DURABILITY_SYNC;
    GIVES(SSTORE_OK, sstore_put(db, NULL, &sync, NULL, 0, NULL, 0, &first, &error));
    GIVES(SSTORE_OK, sstore_put(db, family, NULL, "gone", 4, "x", 1, &second, &error));
    CHECK(second > first && first > 0);
    GIVES(SSTORE_OK, sstore_delete(db, family, NULL, "gone", 4, NULL, &error));
    GIVES(SSTORE_OK, sstore_write_operations(db, NULL, operations, 2, &first, &error));
    GIVES(SSTORE_OK, sstore_get(db, NULL, NULL, "o", 1, &copy, &len, &error));
    CHECK(len == 1 && strcmp(copy, "1") == 0);
    sstore_free(copy);
    GIVES(SSTORE_OK, sstore_get_pinned(db, NULL, NULL, "o", 1, &pinned, &value, &second, &error));
    CHECK(value.len == 1 && second > 0);
    sstore_pinned_free(pinned);
    GIVES(SSTORE_OK, sstore_get_into(db, NULL, NULL, "o", 1, buffer, sizeof buffer, &len, &error));
    GIVES(SSTORE_TOO_SMALL, sstore_get_into(db, NULL, NULL, "o", 1, NULL, 0, &len, &error));
    CHECK(len == 1);
    GIVES(SSTORE_NOT_FOUND, sstore_contains(db, family, NULL, "gone", 4, &error));
    GIVES(SSTORE_OK, sstore_multi_get(db, NULL, NULL, keys, 3, &values, &error));
    slices = sstore_values_slices(values, &count);
    CHECK(count == 3 && slices[0].len == 1 && slices[1].data == NULL && slices[2].data != NULL && slices[2].len == 0);
    sstore_values_free(values);

    GIVES(SSTORE_OK, sstore_batch_create(&batch, &error));
    GIVES(SSTORE_OK, sstore_batch_create(&other, &error));
    GIVES(SSTORE_OK, sstore_batch_put(other, family, "b", 1, "2", 1, &error));
    GIVES(SSTORE_OK, sstore_batch_delete(batch, family, "a", 1, &error));
    GIVES(SSTORE_OK, sstore_batch_append(batch, other, &error));
    CHECK(sstore_batch_count(batch) == 2 && sstore_batch_size(batch) > 0);
    GIVES(SSTORE_OK, sstore_write(db, NULL, batch, NULL, &error));
    GIVES(SSTORE_OK, sstore_write_if(db, NULL, NULL, "o", 1, second, batch, NULL, &error));
    GIVES(SSTORE_CONFLICT, sstore_write_if(db, NULL, NULL, "o", 1, 0, batch, NULL, &error));
    GIVES(SSTORE_OK, sstore_batch_clear(batch, &error));
    CHECK(sstore_batch_count(batch) == 0);
    sstore_batch_free(batch);
    sstore_batch_free(other);
}

static void iterators(sstore_db *db, sstore_column_family *family)
{
    sstore_iterator *iterator;
    sstore_slice keys[8], values[8], key, value;
    sstore_snapshot *snapshot, *twin;
    sstore_pinned *pinned;
    uint64_t sequence;
    size_t count;

    GIVES(SSTORE_OK, sstore_put(db, family, NULL, "c", 1, "3", 1, NULL, &error));
    GIVES(SSTORE_OK, sstore_snapshot_create(db, &snapshot, &error));
    CHECK(sstore_snapshot_sequence(snapshot) > 0);
    GIVES(SSTORE_OK, sstore_snapshot_at(db, sstore_snapshot_sequence(snapshot), &twin, &error));
    CHECK(sstore_snapshot_sequence(twin) == sstore_snapshot_sequence(snapshot));
    sstore_snapshot_free(twin);
    GIVES(SSTORE_GAP, sstore_snapshot_at(db, sstore_snapshot_sequence(snapshot) - 1, &twin, &error));
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_snapshot_at(db, UINT64_MAX, &twin, &error));
    CHECK(twin == NULL);
    GIVES(SSTORE_OK, sstore_iterator_create(db, family, NULL, &iterator, &error));
    CHECK(!sstore_iterator_is_valid(iterator));
    GIVES(SSTORE_OK, sstore_iterator_seek_to_first(iterator, &error));
    GIVES(SSTORE_OK, sstore_iterator_entry(iterator, &key, &value, &sequence, &error));
    CHECK(key.len == 1 && *(const char *)key.data == 'b' && *(const char *)value.data == '2' && sequence > 0);
    GIVES(SSTORE_OK, sstore_iterator_pin_value(iterator, &pinned, &value, &error));
    GIVES(SSTORE_OK, sstore_iterator_next(iterator, &error));
    CHECK(sstore_iterator_is_valid(iterator) && *(const char *)value.data == '2');
    sstore_pinned_free(pinned);
    GIVES(SSTORE_OK, sstore_iterator_prev(iterator, &error));
    GIVES(SSTORE_OK, sstore_iterator_seek_to_last(iterator, &error));
    GIVES(SSTORE_NOT_FOUND, sstore_iterator_next(iterator, &error));
    GIVES(SSTORE_NOT_FOUND, sstore_iterator_entry(iterator, &key, NULL, NULL, &error));
    GIVES(SSTORE_OK, sstore_iterator_seek(iterator, "bb", 2, &error));
    GIVES(SSTORE_OK, sstore_iterator_seek_for_prev(iterator, "bb", 2, &error));
    GIVES(SSTORE_OK, sstore_iterator_refresh(iterator, &error));
    GIVES(SSTORE_OK, sstore_iterator_next_batch(iterator, keys, values, 8, 0, &count, &error));
    CHECK(count == 2 && *(const char *)keys[1].data == 'c' && *(const char *)values[1].data == '3');
    GIVES(SSTORE_NOT_FOUND, sstore_iterator_next_batch(iterator, keys, NULL, 8, 0, &count, &error));
    GIVES(SSTORE_OK, sstore_iterator_refresh(iterator, &error));
    GIVES(SSTORE_OK, sstore_iterator_prev_batch(iterator, keys, values, 8, 0, &count, &error));
    CHECK(count == 2 && *(const char *)keys[0].data == 'c');
    sstore_iterator_free(iterator);
    sstore_snapshot_free(snapshot);
}

/* A reader of the same database sees what is written once it is refreshed, and its iterator what was before. */
static void refreshes(sstore_db *db, const char *path)
{
    sstore_iterator *iterator;
    sstore_options *options;
    uint64_t written, seen;
    size_t length = 0;
    sstore_db *reader;
    char byte;

    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    GIVES(SSTORE_OK, sstore_options_set(options, "read_only", "true", &error));
    GIVES(SSTORE_OK, sstore_open(path, options, &reader, &error));
    sstore_options_free(options);
    GIVES(SSTORE_OK, sstore_refresh(reader, NULL, &error));
    GIVES(SSTORE_OK, sstore_iterator_create(reader, NULL, NULL, &iterator, &error));
    GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, "refreshed", 9, "1", 1, &written, &error));
    GIVES(SSTORE_NOT_FOUND, sstore_get_into(reader, NULL, NULL, "refreshed", 9, &byte, 1, &length, &error));
    GIVES(SSTORE_OK, sstore_refresh(reader, &seen, &error));
    CHECK(seen == written);
    GIVES(SSTORE_OK, sstore_get_into(reader, NULL, NULL, "refreshed", 9, &byte, 1, &length, &error));
    CHECK(length == 1 && byte == '1');
    GIVES(SSTORE_NOT_FOUND, sstore_iterator_seek(iterator, "refreshed", 9, &error));
    sstore_iterator_free(iterator);
    GIVES(SSTORE_INVALID_ARGUMENT, sstore_refresh(db, &seen, &error));
    CHECK(seen == 0);
    GIVES(SSTORE_OK, sstore_close(reader, NULL, &error));
}

/* Names the family that holds the oldest record of the log, or nobody once all is in files. */
static void log_pin(sstore_db *db, sstore_column_family *family)
{
    sstore_log_pin pin = SSTORE_LOG_PIN_INIT;
    sstore_flush_token *token;
    uint64_t sequence;
    char *name;

    GIVES(SSTORE_OK, sstore_flush(db, NULL, 0, &token, &error));
    GIVES(SSTORE_OK, sstore_flush_token_wait(token, 60000, &error));
    sstore_flush_token_free(token);
    GIVES(SSTORE_NOT_FOUND, sstore_log_pin_get(db, &name, &pin, &error));
    CHECK(name == NULL && pin.segment == 0);
    GIVES(SSTORE_OK, sstore_put(db, family, NULL, "p", 1, "v", 1, &sequence, &error));
    GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, "p", 1, "v", 1, NULL, &error));
    GIVES(SSTORE_OK, sstore_log_pin_get(db, &name, &pin, &error));
    CHECK(strcmp(name, "f") == 0 && pin.sequence == sequence && pin.segment > 0 && pin.is_frozen == 0);
    CHECK(pin.struct_size == sizeof pin);
    sstore_free(name);
}

static void flushes(sstore_db *db, sstore_column_family *family)
{
    sstore_flush_result result = SSTORE_FLUSH_RESULT_INIT;
    sstore_segment segment = SSTORE_SEGMENT_INIT;
    sstore_stats stats = SSTORE_STATS_INIT;
    sstore_histogram histogram = SSTORE_HISTOGRAM_INIT;
    sstore_memory_use memory = SSTORE_MEMORY_USE_INIT;
    const sstore_column_family *families[1];
    sstore_flush_token *token;
    sstore_segments *segments;
    sstore_metrics *metrics;
    const char *name;
    uint64_t value;
    char *text;
    size_t length;
    int32_t done;

    families[0] = family;
    GIVES(SSTORE_OK, sstore_flush(db, families, 1, &token, &error));
    GIVES(SSTORE_OK, sstore_flush_token_wait(token, 60000, &error));
    GIVES(SSTORE_OK, sstore_flush_token_poll(token, &done, &error));
    CHECK(done == 1);
    GIVES(SSTORE_OK, sstore_flush_token_result(token, &result, &error));
    CHECK(result.file_count == 1 && result.files[0] > 0 && result.reason == 2);
    sstore_flush_token_free(token);
    GIVES(SSTORE_OK, sstore_segments_list(db, family, &segments, &error));
    CHECK(sstore_segments_count(segments) >= 1);
    GIVES(SSTORE_OK, sstore_segments_get(segments, 0, &segment, &error));
    CHECK(segment.size_bytes > 0 && segment.path != NULL && segment.smallest_key.len == 1);
    sstore_segments_free(segments);
    GIVES(SSTORE_OK, sstore_sync(db, &error));
    GIVES(SSTORE_OK, sstore_compact(db, family, &error));
    GIVES(SSTORE_OK, sstore_background_error(db, &error));
    GIVES(SSTORE_OK, sstore_resume(db, &error));
    GIVES(SSTORE_OK, sstore_stats_get(db, &stats, &error));
    CHECK(stats.sequence > 0);
    CHECK(stats.families == 2);
    GIVES(SSTORE_OK, sstore_histogram_get(db, "flush", &histogram, &error));
    CHECK(histogram.one_in == 1 && histogram.count >= 1 && histogram.p50 <= histogram.max && histogram.max <= histogram.sum);
    GIVES(SSTORE_OK, sstore_histogram_get(db, "fsync", &histogram, &error));
    CHECK(histogram.one_in == 1 && histogram.count >= 3 && histogram.max > 0);
    GIVES(SSTORE_OK, sstore_histogram_get(db, "write", &histogram, &error));
    CHECK(histogram.one_in == 128 && histogram.count >= 1);
    CHECK(sstore_histogram_get(db, "flash", &histogram, NULL) == SSTORE_INVALID_ARGUMENT && histogram.count == 0);
    GIVES(SSTORE_OK, sstore_memory_use_get(db, &memory, &error));
    CHECK(memory.budget_bytes == (uint64_t)512 << 20 && memory.memtable_share_bytes == memory.budget_bytes / 2);
    CHECK(memory.total_bytes == memory.active_memtable_bytes + memory.frozen_memtable_bytes + memory.pinned_memtable_bytes +
                                    memory.spare_bytes + memory.cache_bytes + memory.file_bytes);
    CHECK(memory.file_bytes > 0 && memory.cache_limit_bytes > 0 && memory.active_memtable_bytes > 0);
    log_pin(db, family);
    GIVES(SSTORE_OK, sstore_metrics_create(db, &metrics, &error));
    CHECK(sstore_metrics_count(metrics) > 0);
    GIVES(SSTORE_OK, sstore_metrics_get(metrics, 0, &name, &value, &error));
    CHECK(strlen(name) > 0);
    sstore_metrics_free(metrics);
    GIVES(SSTORE_OK, sstore_metrics_text(db, &text, &length, &error));
    CHECK(length == strlen(text) && text[length - 1] == '\n');
    CHECK(strncmp(text, "# HELP sstore_", 14) == 0 && strstr(text, "\nsstore_files ") != NULL);
    sstore_free(text);
    GIVES(SSTORE_OK, sstore_metrics_text(db, &text, NULL, &error));
    sstore_free(text);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "every_function.db";
    sstore_open_objects objects = SSTORE_OPEN_OBJECTS_INIT;
    sstore_close_options closing = SSTORE_CLOSE_OPTIONS_INIT;
    sstore_column_family *family, *same;
    sstore_options *options;
    sstore_slice name;
    sstore_list *list;
    sstore_db *db;
    char *text;

    options_and_errors();
    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    GIVES(SSTORE_OK, sstore_options_set_listener(options, on_event, &events, on_destroy, &error));
    GIVES(SSTORE_OK, sstore_open(path, options, &db, &error));
    sstore_options_free(options);
    GIVES(SSTORE_OK, sstore_options_create(&options, &error));
    GIVES(SSTORE_OK, sstore_options_set(options, "compression", "zstd", &error));
    GIVES(SSTORE_OK, sstore_column_family_create(db, "f", options, &family, &error));
    sstore_options_free(options);
    GIVES(SSTORE_OK, sstore_column_family_get_options(family, &options, &error));
    GIVES(SSTORE_OK, sstore_options_get(options, "compression", &text, &error));
    CHECK(strcmp(text, "zstd") == 0);
    sstore_free(text);
    sstore_options_free(options);
    GIVES(SSTORE_OK, sstore_column_family_open(db, "f", &same, &error));
    GIVES(SSTORE_OK, sstore_column_family_name(same, &name, &error));
    CHECK(name.len == 1 && sstore_column_family_id(same) == sstore_column_family_id(family));
    sstore_column_family_free(same);
    GIVES(SSTORE_OK, sstore_column_family_list(db, &list, &error));
    CHECK(sstore_list_count(list) == 2);
    GIVES(SSTORE_OK, sstore_list_get(list, 1, &name, &error));
    CHECK(strcmp(name.data, "f") == 0);
    sstore_list_free(list);
    writes_and_reads(db, family);
    iterators(db, family);
    flushes(db, family);
    refreshes(db, path);
    GIVES(SSTORE_OK, sstore_column_family_drop(db, family, &error));
    sstore_column_family_free(family);
    GIVES(SSTORE_OK, sstore_open_objects_count(db, &objects, &error));
    CHECK(objects.iterators == 0 && objects.snapshots == 0);
    closing.timeout_millis = 60000;
    GIVES(SSTORE_OK, sstore_close(db, &closing, &error));
    CHECK(events > 0 && destroyed == 1);
    GIVES(SSTORE_OK, sstore_open(path, NULL, &db, &error));
    sstore_release(db);
    GIVES(SSTORE_OK, sstore_destroy(path, &error));
    return 0;
}
