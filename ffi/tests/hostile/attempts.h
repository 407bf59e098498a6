/* One wrong thing at a time: what is put in the place of a good argument, and what may come of it. For `program.c`. */
#ifndef SSTORE_HOSTILE_ATTEMPTS_H
#define SSTORE_HOSTILE_ATTEMPTS_H
#include <malloc.h>
#include <time.h>

enum case_kind { WRONG_NULL, WRONG_NUMBER, WRONG_TEXT, WRONG_HANDLE, ENDED_HANDLE, FOREIGN_HANDLE, WRONG_STRUCT, FORKED_CALL, ORDERS, CLOSES, KINDS };
static const char *const kind_names[KINDS] = {
    "NULL for a pointer", "numbers and lengths", "texts, paths and options", "handles of another type", "handles freed or closed",
    "handles of another database", "sizes and members of structs", "calls in a forked child", "calls among frees in any order",
    "calls beside a close"};

#define BIT(code) (1u << SSTORE_##code)
#define HAS(mask, code) ((mask) >> (code) & 1)

static const char *base;
static const struct twist untwisted;

static void pause_millis(int millis)
{
    struct timespec time = {millis / 1000, millis % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

__attribute__((format(printf, 1, 2))) static void describe(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(shared->what, sizeof shared->what, format, list);
    va_end(list);
}

/* One call, and what holds of every call. */
static struct outcome run(struct world *w, const struct function *f, const struct twist *t, enum case_kind kind)
{
    struct outcome o;
    uint32_t allowed = f->documented | BIT(OK) | BIT(INVALID_ARGUMENT) | BIT(CLOSED) | BIT(FORKED) | BIT(NO_MEMORY);
    memset(&o, 0, sizeof o);
    o.error = (void *)w->room;
    o.error_is_null = t->kind == TWIST_POINTER && f->parameters[t->parameter].kind == PARAMETER_ERROR;
    f->call(w, t, &o);
    __atomic_fetch_add(&shared->cases[kind], 1, __ATOMIC_RELAXED);
    if (!is_threaded)
        EXPECT(unreleased == 0);
    if (!f->has_code)
        return o;
    if (kind == WRONG_STRUCT)
        allowed |= BIT(NOT_SUPPORTED);
    /* What is for one thread at a time says so at its type. */
    if (is_threaded)
        allowed |= BIT(BUSY);
    EXPECT(o.code != SSTORE_PANIC);
    if (!HAS(allowed, o.code))
        complain("gives %s, which the header does not name", sstore_code_name(o.code));
    if (o.error_is_null)
        return o;
    EXPECT(o.error != NULL || o.ok || o.code == SSTORE_NOT_FOUND || o.code == SSTORE_TOO_SMALL);
    EXPECT(o.error == NULL || (sstore_error_code(o.error) == o.code && !o.ok && sstore_error_message(o.error)[0] != 0));
    sstore_error_free(o.error);
    return o;
}

static void expect_code(const struct function *f, const struct outcome *o, uint32_t allowed)
{
    if (f->has_code && !HAS(allowed, o->code))
        complain("gives %s", sstore_code_name(o->code));
}

static size_t heap(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* A call that fails keeps no memory. */
static void check_leak(struct world *w, const struct function *f, const struct twist *t, enum case_kind kind)
{
    enum { ROUNDS = 16, PATIENCE = 5 };
    int round, attempt;
    size_t before, after = 0;
    for (attempt = 0; attempt < PATIENCE; attempt++) {
        before = heap();
        for (round = 0; round < ROUNDS; round++) {
            run(w, f, t, kind);
            shared->cases[kind]--;
        }
        after = heap();
        /* Other threads of the library allocate too, but not each time. */
        if (after < before + ROUNDS * 16)
            return;
    }
    complain("keeps %zu bytes", (after - before) / ROUNDS);
}

/* Whether it is a repair, which needs something damaged. */
static int repairs(const struct function *f)
{
    int at;
    for (at = 0; at < f->count; at++)
        if (strcmp(f->parameters[at].name, "new_path") == 0)
            return 1;
    return 0;
}

static int needs_of(const struct function *f)
{
    int needs = 0, at;
    for (at = 0; at < f->count; at++) {
        int type = f->parameters[at].type;
        if (type == TYPE_splits || strcmp(f->parameters[at].name, "split") == 0)
            needs |= NEEDS_SPLITS;
        if (type == TYPE_files)
            needs |= NEEDS_FILES;
        if (type == TYPE_repair_report)
            needs |= NEEDS_REPORT;
    }
    return needs;
}

/* All that the cases of one function need. */
struct session {
    const struct function *f;
    struct world w, foreign, ended, orphans;
    int needs;
    /* What a function without a code gives for NULL. */
    uint64_t nothing;
};

static char world_name[256];

static void renew(struct session *s)
{
    end_world(&s->w);
    sstore_destroy(s->w.fresh, NULL);
    make_world(&s->w, world_name, s->needs);
    if (repairs(s->f))
        make_damaged(&s->w, world_name);
}

/* A case that fails must change nothing and keep nothing; one that succeeds may change everything. */
static void attempt(struct session *s, const struct twist *t, enum case_kind kind, uint32_t allowed)
{
    struct outcome o = run(&s->w, s->f, t, kind);
    expect_code(s->f, &o, allowed);
    if (!o.ok && s->f->has_code)
        check_leak(&s->w, s->f, t, kind);
    if (o.ok && s->f->has_code)
        renew(s);
}

/* A handle that is none, not of this type, or not alive: nothing may come of it. */
static void attempt_handle(struct session *s, int parameter, const void *handle, enum case_kind kind, uint32_t allowed)
{
    struct twist t = {.kind = TWIST_POINTER, .parameter = parameter, .pointer = handle};
    struct outcome o = run(&s->w, s->f, &t, kind);
    /* NULL is no error, and anything else that is none is wrong. */
    if (!s->f->has_code)
        EXPECT(o.value == (strcmp(s->f->name, "sstore_error_code") == 0 ? SSTORE_INVALID_ARGUMENT : s->nothing));
    expect_code(s->f, &o, allowed);
    if (!o.ok)
        check_leak(&s->w, s->f, &t, kind);
    if (o.ok && s->f->has_code)
        renew(s);
}

#define ANY_CODE 0xffffffffu
/* What stays whole without its database. */
#define ALONE(type) \
    (type == TYPE_options || type == TYPE_batch || type == TYPE_list || type == TYPE_error || type == TYPE_filter || type == TYPE_values || \
     type == TYPE_pinned || type == TYPE_metrics || type == TYPE_segments || type == TYPE_files || type == TYPE_repair_report || \
     type == TYPE_splits || type == TYPE_flush_token)

/* How many parameters are handles of a database or of what belongs to one. */
static int handle_count(const struct function *f)
{
    int at, count = 0;
    for (at = 0; at < f->count; at++)
        count += f->parameters[at].kind == PARAMETER_HANDLE && !ALONE(f->parameters[at].type);
    return count;
}

static int all_handles(const struct function *f)
{
    int at, count = 0;
    for (at = 0; at < f->count; at++)
        count += f->parameters[at].kind == PARAMETER_HANDLE;
    return count;
}

static void try_handle(struct session *s, int at, int type, void (*attempt_with)(struct session *, int, const void *, enum case_kind, uint32_t))
{
    static int here;
    const void *junk[] = {(void *)1, (void *)8, (void *)~(uintptr_t)0, &here, (void *)(uintptr_t)0x5555555555555555u};
    /* Next to what is of an open database it is of another one as well. */
    const uint32_t closed = BIT(CLOSED) | BIT(OK) | (all_handles(s->f) > 1 || attempt_with != attempt_handle ? BIT(INVALID_ARGUMENT) : 0);
    int other;
    for (other = 1; other < TYPES; other++) {
        if (other == type || s->w.handle[other] == NULL)
            continue;
        describe("%s: a handle of type %s", s->f->parameters[at].name, type_names[other]);
        attempt_with(s, at, s->w.handle[other], WRONG_HANDLE, BIT(INVALID_ARGUMENT));
    }
    for (other = 0; other < (int)(sizeof junk / sizeof *junk); other++) {
        describe("%s: %p as a handle", s->f->parameters[at].name, junk[other]);
        attempt_with(s, at, junk[other], WRONG_HANDLE, BIT(INVALID_ARGUMENT) | BIT(CLOSED));
    }
    describe("%s: a freed handle", s->f->parameters[at].name);
    attempt_with(s, at, s->ended.handle[type], ENDED_HANDLE, BIT(CLOSED));
    attempt_with(s, at, s->ended.handle[type], ENDED_HANDLE, BIT(CLOSED));
    describe("%s: of a closed database", s->f->parameters[at].name);
    if (s->f->has_code && !s->f->ends_handle)
        attempt_with(s, at, s->orphans.handle[type], ENDED_HANDLE, ALONE(type) ? ANY_CODE : closed);
    describe("%s: of another database", s->f->parameters[at].name);
    /* Not where both are good together. */
    if (!ALONE(type) && (handle_count(s->f) > 1 || attempt_with != attempt_handle))
        attempt_with(s, at, s->foreign.handle[type], FOREIGN_HANDLE, BIT(INVALID_ARGUMENT));
}

static const struct member *twisted_member;

/* As attempt_handle, for a handle that lies in a struct or an array. */
static void attempt_member(struct session *s, int parameter, const void *handle, enum case_kind kind, uint32_t allowed)
{
    struct twist t = {.kind = TWIST_MEMBERS, .parameter = parameter};
    t.patches[0].offset = twisted_member->offset;
    t.patches[0].size = sizeof handle;
    memcpy(t.patches[0].bytes, &handle, sizeof handle);
    attempt(s, &t, kind, allowed);
}

static void try_bytes(struct session *s, int at, const struct member *member, const void *bytes, size_t size, uint32_t allowed)
{
    struct twist t = {.kind = TWIST_MEMBERS, .parameter = at};
    t.patches[0].offset = member->offset;
    t.patches[0].size = size;
    memcpy(t.patches[0].bytes, bytes, size);
    attempt(s, &t, WRONG_STRUCT, allowed);
}

static void try_members(struct session *s, int at)
{
    const struct parameter *p = &s->f->parameters[at];
    static const uint64_t numbers[] = {1, 3, 255, UINT32_MAX, UINT64_MAX / 2, UINT64_MAX};
    static const char *const none = NULL;
    const sstore_slice slices[] = {{NULL, 0}, {NULL, 1}, {NULL, SIZE_MAX}, {"k", 0}, {"k", (1u << 30) + 1}, {"k", SIZE_MAX / 2}, {"k", SIZE_MAX}};
    size_t number, index;
    for (number = 0; number < p->member_count; number++) {
        const struct member *member = &p->members[number];
        if (strcmp(member->name, "struct_size") == 0)
            continue;
        switch (member->kind) {
        case MEMBER_HANDLE:
            twisted_member = member;
            try_handle(s, at, member->type, attempt_member);
            describe("%s.%s: NULL", p->name, member->name);
            attempt_member(s, at, NULL, WRONG_NULL, ANY_CODE);
            break;
        case MEMBER_SLICE:
            for (index = 0; index < sizeof slices / sizeof *slices; index++) {
                describe("%s.%s: %zu bytes at %p", p->name, member->name, slices[index].len, slices[index].data);
                try_bytes(s, at, member, &slices[index], sizeof *slices, slices[index].len > 1u << 30 ? BIT(INVALID_ARGUMENT) : ANY_CODE);
            }
            break;
        case MEMBER_NUMBER:
            for (index = 0; index < sizeof numbers / sizeof *numbers; index++) {
                describe("%s.%s: %llu", p->name, member->name, (unsigned long long)numbers[index]);
                try_bytes(s, at, member, &numbers[index], member->size, ANY_CODE);
            }
            break;
        case MEMBER_TEXT:
        case MEMBER_POINTER:
            describe("%s.%s: NULL", p->name, member->name);
            try_bytes(s, at, member, &none, sizeof none, ANY_CODE);
            break;
        }
    }
}

static void try_struct_size(struct session *s, int at)
{
    const struct parameter *p = &s->f->parameters[at];
    const uint32_t size = (uint32_t)p->size;
    const uint32_t sizes[] = {0, 1, 4, 7, 8, size, size + 8, 4097, INT32_MAX, UINT32_MAX};
    struct twist t = {.kind = TWIST_MEMBERS, .parameter = at};
    size_t number;
    t.patches[0].size = sizeof *sizes;
    for (number = 0; number < sizeof sizes / sizeof *sizes; number++) {
        int is_size = sizes[number] >= 8 && sizes[number] <= 4096;
        describe("%s.struct_size: %u", p->name, sizes[number]);
        memcpy(t.patches[0].bytes, &sizes[number], sizeof *sizes);
        attempt(s, &t, WRONG_STRUCT, is_size ? ANY_CODE & ~BIT(NOT_SUPPORTED) : BIT(INVALID_ARGUMENT));
    }
    if (p->kind == PARAMETER_STRUCT) {
        const uint32_t larger = size + 8;
        describe("%s: a member that is not known yet is set", p->name);
        memcpy(t.patches[0].bytes, &larger, sizeof larger);
        t.patches[1].offset = size + 7;
        t.patches[1].size = 1;
        t.patches[1].bytes[0] = 1;
        attempt(s, &t, WRONG_STRUCT, BIT(NOT_SUPPORTED));
    }
}

static void try_texts(struct session *s, int at)
{
    static char endless[1 << 20];
    const char *const texts[] = {"", "nonsense", "\xff\xfe\x80", "a/b", "/dev/null", "/dev/null/x", "\"", "9999999999999999999999", endless};
    struct twist t = {.kind = TWIST_POINTER, .parameter = at};
    size_t number;
    memset(endless, 'x', sizeof endless - 1);
    for (number = 0; number < sizeof texts / sizeof *texts; number++) {
        describe("%s: %.40s", s->f->parameters[at].name, texts[number]);
        t.pointer = texts[number];
        attempt(s, &t, WRONG_TEXT, ANY_CODE);
    }
}

static int ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), end_length = strlen(end);
    return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

/* What a number may be at most that says how long something of ours is: convention 4 of the header. 0 for other numbers. */
static uint64_t longest(const struct function *f, const char *name)
{
    if (strcmp(name, "key_len") == 0 && strstr(f->name, "seek") == NULL)
        return 64 << 10;
    if (ends_with(name, "_len"))
        return 1 << 30;
    /* An array of marks is room. */
    if (strcmp(name, "capacity") == 0 || strcmp(name, "found_count") == 0)
        return (uint64_t)1 << 47;
    return ends_with(name, "count") ? UINT32_MAX : 0;
}

static void try_numbers(struct session *s, int at)
{
    static const uint64_t numbers[] = {0,          1,          2,
                                       (64 << 10) + 1, (1 << 30) + 1, INT32_MAX,
                                       1u << 31,   UINT32_MAX, (uint64_t)UINT32_MAX + 1,
                                       ((uint64_t)1 << 47) + 1, SIZE_MAX / 16 + 2, SIZE_MAX / 8 + 2,
                                       SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX};
    const uint64_t most = longest(s->f, s->f->parameters[at].name);
    struct twist t = {.kind = TWIST_NUMBER, .parameter = at};
    size_t number;
    for (number = 0; number < sizeof numbers / sizeof *numbers; number++) {
        /* More than there is, of what can be, is read. */
        if (numbers[number] > 1 && numbers[number] <= most)
            continue;
        describe("%s: %llu", s->f->parameters[at].name, (unsigned long long)numbers[number]);
        t.number = numbers[number];
        attempt(s, &t, WRONG_NUMBER, most > 0 && numbers[number] > most ? BIT(INVALID_ARGUMENT) : ANY_CODE);
    }
}

static void try_null(struct session *s, int at)
{
    struct twist t = {.kind = TWIST_POINTER, .parameter = at};
    struct outcome o;
    describe("%s: NULL", s->f->parameters[at].name);
    o = run(&s->w, s->f, &t, WRONG_NULL);
    if (s->f->has_code && o.code != SSTORE_INVALID_ARGUMENT)
        printf("= %s %s %s\n", s->f->name, s->f->parameters[at].name, sstore_code_name(o.code));
    if (!s->f->has_code && s->f->parameters[at].kind == PARAMETER_HANDLE)
        s->nothing = o.value;
    if (!o.ok)
        check_leak(&s->w, s->f, &t, WRONG_NULL);
    else if (s->f->has_code)
        renew(s);
}
#endif
