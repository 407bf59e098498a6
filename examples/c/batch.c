/* A batch over two column families: all of it becomes visible, or none. */
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
    sstore_error *error = NULL;
    sstore_column_family *index;
    sstore_batch *batch;
    sstore_db *db;
    void *value;
    size_t value_len;
    uint64_t first = 0, later = 0;

    check(sstore_open(argc > 1 ? argv[1] : "batch.db", NULL, &db, &error), &error);
    check(sstore_column_family_create(db, "index", NULL, &index, &error), &error);
    check(sstore_batch_create(&batch, &error), &error);
    check(sstore_batch_put(batch, NULL, "user/1", 6, "ada", 3, &error), &error);
    check(sstore_batch_put(batch, index, "ada", 3, "user/1", 6, &error), &error);
    printf("%d operations\n", (int)sstore_batch_count(batch));

    /* Only if nobody took the name: sequence 0 stands for "absent". */
    check(sstore_write_if(db, index, NULL, "ada", 3, 0, batch, &first, &error), &error);
    printf("first: %s\n", first > 0 ? "written" : "not written");
    printf("again: %s\n", sstore_code_name(sstore_write_if(db, index, NULL, "ada", 3, 0, batch, &later, NULL)));

    check(sstore_get(db, index, NULL, "ada", 3, &value, &value_len, &error), &error);
    printf("ada is %s\n", (const char *)value);
    sstore_free(value);

    sstore_batch_free(batch);
    sstore_column_family_free(index);
    check(sstore_close(db, NULL, &error), &error);
    return 0;
}
