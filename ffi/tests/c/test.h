/* What the C tests share: a check that names its line. */
#ifndef SSTORE_TEST_H
#define SSTORE_TEST_H
#include <sstore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

/* The code that a call gives, with an error object exactly where there should be one. */
#define GIVES(expected, call) \
    do { \
        sstore_error *error = (sstore_error *)(void *)&error; \
        sstore_code code = (call); \
        if (code != (expected)) { \
            printf("%s:%d: %s gives %s: %s\n", __FILE__, __LINE__, #call, sstore_code_name(code), sstore_error_message(error)); \
            exit(1); \
        } \
        CHECK(error == NULL || sstore_error_code(error) == code); \
        CHECK((error == NULL) == (code == SSTORE_OK || code == SSTORE_NOT_FOUND || code == SSTORE_TOO_SMALL)); \
        sstore_error_free(error); \
    } while (0)

#endif
