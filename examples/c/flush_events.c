/* Flushing by hand: a token to wait with, and the events that tell of it. */
#include <sstore.h>
#include <stdio.h>
#include <stdlib.h>

static void check(sstore_code code, sstore_error **error)
{
    if (code != SSTORE_OK) {
        fprintf(stderr, "%s: %s\n", sstore_code_name(code), sstore_error_message(*error));
        exit(1);
    }
}

/* Runs on a thread of the library; `destroy` runs after the last event, before the close has ended. */
static void on_event(void *user_data, const sstore_event *event)
{
    if (event->kind == SSTORE_EVENT_FLUSH_DONE) *(int *)user_data += 1;
}

int main(int argc, char **argv)
{
    sstore_flush_result result = SSTORE_FLUSH_RESULT_INIT;
    sstore_error *error = NULL;
    sstore_flush_token *token;
    sstore_options *options;
    sstore_db *db;
    int flushes = 0;

    check(sstore_options_create(&options, &error), &error);
    check(sstore_options_set(options, "write_buffer_bytes", "8MiB", &error), &error);
    check(sstore_options_set_listener(options, on_event, &flushes, NULL, &error), &error);
    check(sstore_open(argc > 1 ? argv[1] : "flush_events.db", options, &db, &error), &error);
    sstore_options_free(options);

    check(sstore_put(db, NULL, NULL, "a", 1, "1", 1, NULL, &error), &error);
    check(sstore_put(db, NULL, NULL, "b", 1, "2", 1, NULL, &error), &error);
    check(sstore_flush(db, NULL, 0, &token, &error), &error);
    check(sstore_flush_token_wait(token, 60000, &error), &error);
    check(sstore_flush_token_result(token, &result, &error), &error);
    printf("flushed: %d file, %d entries, reason %s\n", (int)result.file_count, (int)result.entries,
           sstore_flush_reason_name(result.reason));
    sstore_flush_token_free(token);

    check(sstore_close(db, NULL, &error), &error);
    printf("events of flushes: %d\n", flushes);
    return 0;
}
