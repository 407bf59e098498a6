/* What a case is made of. Before it: `enum handle_type`, `TYPES` and `type_names`, made from the header. */
#ifndef SSTORE_HOSTILE_CASES_H
#define SSTORE_HOSTILE_CASES_H
#include "arrow.h"
#include "leveldb_source.h"
#include <stdarg.h>
#include <stddef.h>

enum member_kind { MEMBER_NUMBER, MEMBER_SLICE, MEMBER_POINTER, MEMBER_TEXT, MEMBER_HANDLE };

/* A member of a struct, or the first element of an array. */
struct member {
    const char *name;
    enum member_kind kind;
    size_t offset, size;
    int type;
};

enum parameter_kind {
    PARAMETER_HANDLE,
    PARAMETER_STRUCT, /* led by its size, and read */
    PARAMETER_FILLED, /* led by its size, and filled */
    PARAMETER_ARRAY,
    PARAMETER_NUMBER,
    PARAMETER_TEXT,
    PARAMETER_PATH,
    PARAMETER_BYTES,
    PARAMETER_NULLABLE, /* nothing but NULL may stand in its place */
    PARAMETER_CALLBACK,
    PARAMETER_OUT,
    PARAMETER_TAKEN, /* Arrow, handed over */
    PARAMETER_ERROR
};

struct parameter {
    const char *name;
    enum parameter_kind kind;
    int type;
    const struct member *members;
    size_t member_count, size;
};

enum twist_kind { TWIST_NONE, TWIST_POINTER, TWIST_NUMBER, TWIST_MEMBERS };

/* The one thing about a call that is not as it should be. */
struct twist {
    enum twist_kind kind;
    int parameter;
    const void *pointer;
    uint64_t number;
    /* Bytes that are put into a struct or an array. */
    struct {
        size_t offset, size;
        unsigned char bytes[16];
    } patches[2];
};

#define IS(at, how) (t->parameter == (at) && t->kind == (how))

struct world;

/* What came of a call. */
struct outcome {
    sstore_code code;
    sstore_error *error;
    /* What a function without a code gives; pointers as whether there is one, texts as their length and 1. */
    uint64_t value;
    /* No failure. */
    int ok;
    int error_is_null;
};

struct function {
    const char *name;
    void (*call)(struct world *, const struct twist *, struct outcome *);
    const struct parameter *parameters;
    int count;
    /* The codes that its comment names, as bits. */
    uint32_t documented;
    int has_code, ends_handle;
};

/* What is being tried: seen by the parent also after a crash. */
struct shared {
    char function[64], what[160];
    int failures;
    int cases[16];
};
static struct shared *shared;

/* Whether several threads call at once. */
static int is_threaded;

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
    va_list list;
    char text[400];
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (shared->failures++ < 200)
        printf("%s %s: %s\n", shared->function, shared->what, text);
    fflush(stdout);
}

#define EXPECT(condition) \
    do { \
        if (!(condition)) \
            complain("not so: %s", #condition); \
    } while (0)

/* Preparations, which are not on trial: in a function of the driver. */
#define MADE(call) \
    do { \
        sstore_error *error = NULL; \
        sstore_code made = (call); \
        if (made != SSTORE_OK) { \
            printf("%s %s: %s:%d: %s gives %s: %s\n", shared->function, shared->what, __FILE__, __LINE__, #call, sstore_code_name(made), \
                   sstore_error_message(error)); \
            fflush(stdout); \
            _exit(1); \
        } \
    } while (0)

/* What is in a variable for a number before the call: no result. */
#define UNWRITTEN 0x55555555

static void free_handle(int type, void *handle);

/* Results: on a failure they are written as well, with nothing. */

static inline void after_handle(struct outcome *o, int type, void *handle)
{
    if (!o->ok)
        EXPECT(handle == NULL);
    else
        free_handle(type, handle);
}

static inline void after_memory(struct outcome *o, void *memory)
{
    EXPECT(o->ok == (memory != NULL));
    sstore_free(memory);
}

static inline void after_text(struct outcome *o, const char *text)
{
    EXPECT(o->ok == (text != NULL));
}

static inline void after_slice(struct outcome *o, sstore_slice slice)
{
    EXPECT(o->ok || (slice.data == NULL && slice.len == 0));
}

static inline void after_number(struct outcome *o, uint64_t number)
{
    EXPECT(number != UNWRITTEN && (o->ok || o->code == SSTORE_TOO_SMALL || number <= 1));
}

/* Of a struct that is filled nothing is written beyond what the caller said that it has, and on a failure nothing but zeros. */
static inline void after_filled(struct outcome *o, const unsigned char *room, size_t struct_size, size_t size)
{
    uint32_t said;
    size_t at;
    memcpy(&said, room, sizeof said);
    for (at = sizeof said; at < size; at++) {
        int is_within = at < said && at < struct_size && said <= 4096;
        if (room[at] != 0x55 && !(is_within && (o->ok || room[at] == 0))) {
            complain("byte %zu of a struct was written, which is %u long and was%s filled", at, said, o->ok ? "" : " not");
            return;
        }
    }
}

static inline void twist_members(const struct twist *t, int parameter, unsigned char *room)
{
    int number;
    for (number = 0; number < 2 && IS(parameter, TWIST_MEMBERS); number++)
        memcpy(room + t->patches[number].offset, t->patches[number].bytes, t->patches[number].size);
}
#endif
