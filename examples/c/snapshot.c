/* A snapshot sees the past, whatever is written later. */
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

int main(int argc, char **argv)
{
    sstore_read_options past = SSTORE_READ_OPTIONS_INIT;
    sstore_error *error = NULL;
    sstore_snapshot *snapshot;
    sstore_pinned *pinned;
    sstore_slice value;
    sstore_db *db;

    check(sstore_open(argc > 1 ? argv[1] : "snapshot.db", NULL, &db, &error), &error);
    check(sstore_put(db, NULL, NULL, "price", 5, "10", 2, NULL, &error), &error);
    check(sstore_snapshot_create(db, &snapshot, &error), &error);
    check(sstore_put(db, NULL, NULL, "price", 5, "12", 2, NULL, &error), &error);
    past.snapshot = snapshot;

    check(sstore_get_pinned(db, NULL, &past, "price", 5, &pinned, &value, NULL, &error), &error);
    printf("then: %.*s\n", (int)value.len, (const char *)value.data);
    sstore_pinned_free(pinned);
    check(sstore_get_pinned(db, NULL, NULL, "price", 5, &pinned, &value, NULL, &error), &error);
    printf("now: %.*s\n", (int)value.len, (const char *)value.data);
    sstore_pinned_free(pinned);

    printf("close with an open snapshot: %s\n", sstore_code_name(sstore_close(db, NULL, NULL)));
    sstore_snapshot_free(snapshot);
    check(sstore_close(db, NULL, &error), &error);
    printf("closed\n");
    return 0;
}
