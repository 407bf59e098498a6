/* Wrong on purpose: reads a pinned value after it was freed. `make sanitize` fails if its tools do not say so. */
#include "../test.h"

int main(int argc, char **argv)
{
    sstore_pinned *pinned;
    sstore_slice value;
    sstore_db *db;
    char large[4096];
    unsigned sum = 0;

    CHECK(argc > 1);
    memset(large, 'v', sizeof large);
    GIVES(SSTORE_OK, sstore_open(argv[1], NULL, &db, &error));
    GIVES(SSTORE_OK, sstore_put(db, NULL, NULL, "k", 1, large, sizeof large, NULL, &error));
    GIVES(SSTORE_OK, sstore_get_pinned(db, NULL, NULL, "k", 1, &pinned, &value, NULL, &error));
    sstore_pinned_free(pinned);
    GIVES(SSTORE_OK, sstore_close(db, NULL, &error));
    for (size_t i = 0; i < value.len; i++) sum += ((const unsigned char *)value.data)[i];
    printf("%u\n", sum);
    return 0;
}
