/* Iterating: a prefix backwards one entry at a time, then everything in bulk. */
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
    static const char *const names[] = {"cat/1", "cat/2", "cat/3", "dog/1", "ant/9"};
    sstore_iterator_options options = SSTORE_ITERATOR_OPTIONS_INIT;
    sstore_slice keys[2], values[2], key, value;
    sstore_error *error = NULL;
    sstore_iterator *iterator;
    sstore_db *db;
    sstore_code code;
    size_t index, count;

    check(sstore_open(argc > 1 ? argv[1] : "iterate.db", NULL, &db, &error), &error);
    for (index = 0; index < sizeof names / sizeof names[0]; index++)
        check(sstore_put(db, NULL, NULL, names[index], 5, names[index] + 4, 1, NULL, &error), &error);

    options.prefix.data = "cat/";
    options.prefix.len = 4;
    check(sstore_iterator_create(db, NULL, &options, &iterator, &error), &error);
    for (code = sstore_iterator_seek_to_last(iterator, &error); code == SSTORE_OK;
         code = sstore_iterator_prev(iterator, &error)) {
        check(sstore_iterator_entry(iterator, &key, &value, NULL, &error), &error);
        printf("%.*s = %.*s\n", (int)key.len, (const char *)key.data, (int)value.len, (const char *)value.data);
    }
    if (code != SSTORE_NOT_FOUND) check(code, &error);
    sstore_iterator_free(iterator);

    check(sstore_iterator_create(db, NULL, NULL, &iterator, &error), &error);
    while ((code = sstore_iterator_next_batch(iterator, keys, values, 2, 0, &count, &error)) == SSTORE_OK) {
        printf("%d at once:", (int)count);
        for (index = 0; index < count; index++) printf(" %.*s", (int)keys[index].len, (const char *)keys[index].data);
        printf("\n");
    }
    if (code != SSTORE_NOT_FOUND) check(code, &error);
    sstore_iterator_free(iterator);

    check(sstore_close(db, NULL, &error), &error);
    return 0;
}
