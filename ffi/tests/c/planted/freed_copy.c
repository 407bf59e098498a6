/* Wrong on purpose: reads a copied value after sstore_free. `make sanitize` fails if its tools do not say so. */
#include "../test.h"

int main(int argc, char **argv)
{
    sstore_db *db;
    void *value;
    size_t len;
    unsigned sum = 0;

    CHECK(argc > 1);
    GIVES(SSTORE_OK, sstore_open(argv[1], NULL, &db, &error));
    GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, "k", 1, "value", 5, NULL, &error));
    GIVES(SSTORE_OK, sstore_get(db, NULL, NULL, "k", 1, &value, &len, &error));
    sstore_free(value);
    for (size_t i = 0; i < len; i++) sum += ((const unsigned char *)value)[i];
    printf("%u\n", sum);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    return 0;
}
