/* Calls every function of the header wrongly, in every way that the tables in calls.inc know of. `main.rs` makes that file, compiles
 * this one and runs it. A child process for each function: what crashes or hangs is named by its parent, which never calls the
 * library. Complaints go to stdout, and so do the lines that `main.rs` compares with what is expected. */
#include "calls.inc"
#include "attempts.h"
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

static int open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void begin(const struct function *f, const char *kind)
{
    snprintf(shared->function, sizeof shared->function, "%s", f == NULL ? kind : f->name);
    describe("%s", kind);
    snprintf(world_name, sizeof world_name, "%s/%s", base, f == NULL ? kind : f->name);
}

static void wrong_arguments(const struct function *f)
{
    static struct session s;
    struct outcome first, last;
    int at, patience, descriptors = open_files();
    s.f = f;
    s.needs = needs_of(f);
    begin(f, "good arguments");
    make_world(&s.w, world_name, s.needs);
    make_world(&s.foreign, world_name, s.needs);
    make_world(&s.ended, world_name, s.needs);
    end_world(&s.ended);
    make_world(&s.orphans, world_name, s.needs);
    {
        sstore_close_options force = SSTORE_CLOSE_OPTIONS_INIT;
        force.force = 1;
        MADE(sstore_close(s.orphans.handle[TYPE_db], &force, &error));
    }
    if (strcmp(f->name, "sstore_row_builder_append") == 0) {
        sstore_row_builder *whole = s.orphans.handle[TYPE_row_builder];
        s.orphans.handle[TYPE_row_builder] = s.orphans.begun;
        s.orphans.begun = whole;
    }
    if (repairs(f))
        make_damaged(&s.w, world_name);
    first = run(&s.w, f, &untwisted, WRONG_NULL);
    shared->cases[WRONG_NULL]--;
    if (first.code != SSTORE_OK)
        complain("good arguments give %s", sstore_code_name(first.code));
    renew(&s);
    for (at = 0; at < f->count; at++) {
        const struct parameter *p = &f->parameters[at];
        if (p->kind != PARAMETER_NUMBER)
            try_null(&s, at);
        if (p->kind == PARAMETER_HANDLE)
            try_handle(&s, at, p->type, attempt_handle);
        if (p->kind == PARAMETER_STRUCT || p->kind == PARAMETER_FILLED)
            try_struct_size(&s, at);
        if (p->kind == PARAMETER_STRUCT || p->kind == PARAMETER_ARRAY)
            try_members(&s, at);
        if (p->kind == PARAMETER_TEXT || p->kind == PARAMETER_PATH)
            try_texts(&s, at);
        if (p->kind == PARAMETER_NUMBER)
            try_numbers(&s, at);
    }
    describe("good arguments after all the others");
    check_alive(&s.w);
    last = run(&s.w, f, &untwisted, WRONG_NULL);
    shared->cases[WRONG_NULL]--;
    EXPECT(last.code == first.code && last.value == first.value);
    end_world(&s.w);
    end_world(&s.foreign);
    end_world(&s.orphans);
    for (patience = 0; open_files() > descriptors && patience < 200; patience++)
        pause_millis(10);
    if (open_files() > descriptors)
        complain("leaves %d files open", open_files() - descriptors);
}

/* Threads that call while the database is closed under them and every handle is freed. */

struct caller {
    const struct function *f;
    struct world *w;
    atomic_int calls, *stop;
};

static void *call_again_and_again(void *data)
{
    struct caller *caller = data;
    while (!atomic_load(caller->stop)) {
        run(caller->w, caller->f, &untwisted, CLOSES);
        atomic_fetch_add(&caller->calls, 1);
    }
    return NULL;
}

static void concurrent_close(const struct function *f)
{
    static struct world w;
    struct outcome last;
    struct caller callers[2];
    pthread_t threads[2];
    atomic_int stop = 0;
    int number, type, at, handles = handle_count(f);
    sstore_close_options force = SSTORE_CLOSE_OPTIONS_INIT;
    begin(f, "closed while threads call it");
    make_world(&w, world_name, needs_of(f));
    if (repairs(f))
        make_damaged(&w, world_name);
    is_threaded = 1;
    for (number = 0; number < 2; number++) {
        callers[number] = (struct caller){f, &w, 0, &stop};
        if (pthread_create(&threads[number], NULL, call_again_and_again, &callers[number]) != 0)
            complain("no thread");
    }
    for (number = 0; number < 2; number++)
        while (atomic_load(&callers[number].calls) < 2)
            pause_millis(0);
    pause_millis(1);
    force.force = 1;
    force.flush = 2;
    sstore_close(w.handle[TYPE_db], &force, NULL);
    pause_millis(1);
    /* What lies in an object lives as long as it. */
    for (type = TYPES - 1; type > 0; type--)
        if (type != TYPE_splits && type != TYPE_values)
            free_handle(type, w.handle[type]);
    free_others(&w);
    pause_millis(1);
    atomic_store(&stop, 1);
    for (number = 0; number < 2; number++)
        pthread_join(threads[number], NULL);
    is_threaded = 0;
    EXPECT(unreleased == 0);
    for (at = 0; at < f->count; at++)
        if (f->parameters[at].type == TYPE_splits || f->parameters[at].type == TYPE_values)
            handles = 0;
    describe("called when everything was freed");
    last = run(&w, f, &untwisted, CLOSES);
    if (handles > 0 && f->has_code && last.code != SSTORE_CLOSED)
        complain("gives %s", sstore_code_name(last.code));
    free_handle(TYPE_splits, w.handle[TYPE_splits]);
    free_handle(TYPE_values, w.handle[TYPE_values]);
    MADE(sstore_destroy(w.path, &error));
}

/* Everything is freed in an order drawn from a seed, and between two frees some functions are called with what there is. */

static uint64_t random_state;

static uint32_t below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

static void any_order(int seed)
{
    enum { FUNCTIONS = sizeof functions / sizeof *functions };
    static struct world w;
    int order[TYPES], left, calls;
    begin(NULL, "orders");
    snprintf(world_name, sizeof world_name, "%s/orders%d", base, seed);
    random_state = (uint64_t)seed * 0x9e3779b97f4a7c15u;
    make_world(&w, world_name, NEEDS_SPLITS | NEEDS_FILES | NEEDS_REPORT);
    for (left = 0; left < TYPES - 1; left++)
        order[left] = left + 1;
    for (; left > 0; left--) {
        int at = (int)below((uint32_t)left), type = order[at];
        order[at] = order[left - 1];
        if (type == TYPE_splits)
            w.split = (sstore_slice){NULL, 0};
        if (type == TYPE_values || type == TYPE_pinned)
            memset(w.slices, 0, sizeof w.slices);
        if (type == TYPE_db && seed % 3 == 0) {
            sstore_close_options close = SSTORE_CLOSE_OPTIONS_INIT;
            close.force = seed % 2;
            sstore_close(w.handle[type], &close, NULL);
        }
        snprintf(shared->function, sizeof shared->function, "orders");
        describe("seed %d: %s is freed, %d are left", seed, type_names[type], left - 1);
        free_handle(type, w.handle[type]);
        for (calls = 0; calls < 6; calls++) {
            const struct function *f = &functions[below(FUNCTIONS)];
            if (f->ends_handle || strncmp(f->name, "sstore_repair", 13) == 0)
                continue;
            snprintf(shared->function, sizeof shared->function, "%s", f->name);
            run(&w, f, &untwisted, ORDERS);
        }
    }
    free_others(&w);
    snprintf(shared->function, sizeof shared->function, "orders");
    MADE(sstore_destroy(w.path, &error));
    sstore_destroy(w.fresh, NULL);
}

/* Every handle is of the parent. */
static void forked_child(void)
{
    enum { FUNCTIONS = sizeof functions / sizeof *functions };
    static struct world w;
    int number, at, status;
    pid_t child;
    begin(NULL, "forked");
    make_world(&w, world_name, NEEDS_SPLITS | NEEDS_FILES | NEEDS_REPORT);
    make_damaged(&w, world_name);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        alarm(60);
        for (number = 0; number < FUNCTIONS; number++) {
            const struct function *f = &functions[number];
            struct outcome o;
            for (at = 0; at < f->count && f->parameters[at].kind != PARAMETER_HANDLE; at++)
                ;
            if (at == f->count)
                continue;
            snprintf(shared->function, sizeof shared->function, "%s", f->name);
            describe("in a forked child");
            o = run(&w, f, &untwisted, FORKED_CALL);
            expect_code(f, &o, BIT(FORKED));
        }
        fflush(stdout);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        complain("the forked child ends with status %d", status);
    begin(NULL, "forked");
    describe("the parent of a forked child");
    check_alive(&w);
    end_world(&w);
}

static int in_child(const struct function *f, void (*group)(const struct function *), void (*seeded)(int), int seed)
{
    int status = 0;
    pid_t child;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        alarm(120);
        if (group != NULL)
            group(f);
        else if (seeded != NULL)
            seeded(seed);
        else
            forked_child();
        fflush(stdout);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        printf("%s: %s: the process ends with %s %d\n", shared->function, shared->what, WIFSIGNALED(status) ? "signal" : "code",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    enum { FUNCTIONS = sizeof functions / sizeof *functions, SEEDS = 48 };
    int number, part, parts, failed = 0;
    const char *only = argc > 4 ? argv[4] : "";
    if (argc < 4 || argc > 5)
        return 2;
    base = argv[1];
    part = atoi(argv[2]);
    parts = atoi(argv[3]);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    for (number = part; number < FUNCTIONS; number += parts) {
        if (strstr(functions[number].name, only) == NULL)
            continue;
        failed += in_child(&functions[number], wrong_arguments, NULL, 0);
        failed += in_child(&functions[number], concurrent_close, NULL, 0);
    }
    for (number = part; number < SEEDS && only[0] == 0; number += parts)
        failed += in_child(NULL, NULL, any_order, number);
    if (part == 0 && only[0] == 0)
        failed += in_child(NULL, NULL, NULL, 0);
    for (number = 0; number < KINDS; number++)
        printf("# %s: %d\n", kind_names[number], shared->cases[number]);
    return failed + shared->failures != 0;
}
