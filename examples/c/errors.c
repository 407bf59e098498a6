/* The errors that a caller can cause, and how each is told from the others. None of them is undefined behaviour. */
#include <sstore.h>
#include <stdio.h>
#include <stdlib.h>

static void show(const char *what, sstore_code code, sstore_error **error)
{
    printf("%s: %s%s\n", what, sstore_code_name(code), *error != NULL ? "" : " (no error object)");
    sstore_error_free(*error);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "errors.db";
    sstore_error *error;
    sstore_options *options;
    sstore_column_family *family;
    sstore_iterator *iterator;
    sstore_db *db, *second;
    size_t len;
    void *value;
    char small[1];

    if (sstore_options_create(&options, NULL) != SSTORE_OK) return 1;
    show("unknown option", sstore_options_set(options, "write_bufer_bytes", "1MiB", &error), &error);
    if (sstore_options_set(options, "create_if_missing", "false", NULL) != SSTORE_OK) return 1;
    show("no database", sstore_open(path, options, &db, &error), &error);
    sstore_options_free(options);
    show("freed options", sstore_options_set(options, "read_only", "true", &error), &error);

    if (sstore_open(path, NULL, &db, NULL) != SSTORE_OK) return 1;
    show("second open", sstore_open(path, NULL, &second, &error), &error);
    show("missing key", sstore_get(db, NULL, NULL, "k", 1, &value, &len, &error), &error);
    show("NULL key", sstore_put(db, NULL, NULL, NULL, 3, "v", 1, NULL, &error), &error);
    show("huge key", sstore_put(db, NULL, NULL, "k", SIZE_MAX, "v", 1, NULL, &error), &error);
    if (sstore_put(db, NULL, NULL, "k", 1, "value", 5, NULL, NULL) != SSTORE_OK) return 1;
    show("small buffer", sstore_get_into(db, NULL, NULL, "k", 1, small, 1, &len, &error), &error);
    show("wrong handle", sstore_sync((sstore_db *)(void *)small, &error), &error);

    if (sstore_column_family_create(db, "f", NULL, &family, NULL) != SSTORE_OK) return 1;
    if (sstore_column_family_drop(db, family, NULL) != SSTORE_OK) return 1;
    show("dropped family", sstore_put(db, family, NULL, "k", 1, "v", 1, NULL, &error), &error);
    sstore_column_family_free(family);

    if (sstore_iterator_create(db, NULL, NULL, &iterator, NULL) != SSTORE_OK) return 1;
    show("next from nowhere", sstore_iterator_next(iterator, &error), &error);
    show("close too early", sstore_close(db, NULL, &error), &error);
    sstore_iterator_free(iterator);
    if (sstore_close(db, NULL, NULL) != SSTORE_OK) return 1;
    show("closed twice", sstore_close(db, NULL, &error), &error);
    return 0;
}
