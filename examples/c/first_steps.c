/* First steps: open a database, write, read, delete, close. Every call is checked in one place. */
#include <sstore.h>
#include <stdio.h>
#include <stdlib.h>

static void check(sstore_code code, sstore_error **error)
{
    if (code != SSTORE_OK) {
        fprintf(stderr, "%s: %s\n", sstore_code_name(code), sstore_error_message(*error));
        sstore_error_free(*error);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "first_steps.db";
    sstore_error *error = NULL;
    sstore_db *db;
    void *value;
    size_t value_len;
    char buffer[16];

    check(sstore_open(path, NULL, &db, &error), &error);
    check(sstore_put(db, NULL, NULL, "apple", 5, "red", 3, NULL, &error), &error);
    check(sstore_put(db, NULL, NULL, "pear", 4, "green", 5, NULL, &error), &error);

    /* A copy, which is ours to free. */
    check(sstore_get(db, NULL, NULL, "apple", 5, &value, &value_len, &error), &error);
    printf("apple is %s\n", (const char *)value);
    sstore_free(value);

    /* Into our own buffer, without an allocation. */
    check(sstore_get_into(db, NULL, NULL, "pear", 4, buffer, sizeof buffer, &value_len, &error), &error);
    printf("pear is %.*s\n", (int)value_len, buffer);

    check(sstore_delete(db, NULL, NULL, "apple", 5, NULL, &error), &error);
    printf("apple after its deletion: %s\n", sstore_code_name(sstore_contains(db, NULL, NULL, "apple", 5, NULL)));

    check(sstore_close(db, NULL, &error), &error);
    printf("closed\n");
    return 0;
}
