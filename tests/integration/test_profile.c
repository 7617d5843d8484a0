/* Heap profiles: what is sampled at known places, in processes that end, is told of by the real go
 * tool pprof, by the names of C functions and within 10 %; frees by whomever count; rates can be
 * set; and a killed server takes nothing of it along. */
#include <errno.h>

#include "integration/profile_fixture.h"

#define MIB (UINT64_C(1) << 20)

/* ---- pprof ---- */

/* What `go tool pprof -top` says of the function in the file, or -1. */
static double value_of(const char *file, const char *index, const char *function)
{
    char index_option[64];
    char home[160];
    snprintf(index_option, sizeof(index_option), "-sample_index=%s", index);
    snprintf(home, sizeof(home), "HOME=%s", ga_daemon_folder());
    CU_ASSERT_FATAL(
        ga_run(&run, "/usr/bin/env",
               (const char *const[]){home, "go", "tool", "pprof", "-top", "-nodefraction=0",
                                     "-nodecount=1000", "-unit=B", index_option, file, NULL}));
    if (run.code != 0)
        printf("pprof: %s\n", run.err);
    CU_ASSERT_EQUAL_FATAL(run.code, 0);
    for (char *line = strtok(run.out, "\n"); line; line = strtok(NULL, "\n")) {
        const char *last = strrchr(line, ' ');
        if (last && strcmp(last + 1, function) == 0)
            return strtod(line, NULL);
    }
    return -1;
}

#define NSMALL   (UINT64_C(40) * MIB / 64)
#define NMEDIUM  (UINT64_C(40) * MIB / 3072)
#define NLARGE   (UINT64_C(80) * MIB / 106496)
#define NTINY    (UINT64_C(24) * MIB / 8)
#define NIN_TURN (UINT64_C(40) * MIB / 208)
#define NGROWN   (UINT64_C(40) * MIB / 1536)

static void allocate_at_places(void)
{
    for (uint64_t i = 0; i < NSMALL; i++)
        (void)place_small();
    for (uint64_t i = 0; i < NMEDIUM; i++)
        goalloc_free(heap, i % 2 ? place_medium() : NULL);
    for (uint64_t i = 1; i < NMEDIUM; i += 2)
        (void)place_medium();
    for (uint64_t i = 0; i < NLARGE; i++)
        (void)place_large();
    for (uint64_t i = 0; i < NTINY; i++)
        (void)place_tiny();
    for (uint64_t i = 0; i < NIN_TURN; i++)
        goalloc_free(heap, place_in_turn());
    for (uint64_t i = 0; i < NGROWN; i++)
        goalloc_free(heap, place_grown());
}

static void pprof_knows_the_places(void)
{
    static const struct {
        const char *function;
        uint64_t size;
        double alloc, inuse;
    } places[] = {
        {"place_small", 64, NSMALL, NSMALL},
        {"place_medium", 3072, NMEDIUM / 2 * 2, NMEDIUM / 2},
        {"place_large", 106496, NLARGE, NLARGE},
        {"place_tiny", 8, NTINY, NTINY},
        {"place_in_turn", 208, NIN_TURN, 0},
    };
    if (access("/usr/bin/go", X_OK) != 0) {
        printf("skipped: there is no go\n");
        return;
    }
    start("8K");
    await(in_child(allocate_at_places));
    const char *file = ga_daemon_path("heap.pb.gz");
    CU_ASSERT_EQUAL_FATAL(CTL("profile", "-o", file), 0);
    CU_ASSERT_STRING_EQUAL(run.err, "");
    for (size_t i = 0; i < COUNT(places); i++) {
        double alloc = value_of(file, "alloc_objects", places[i].function);
        double space = value_of(file, "alloc_space", places[i].function);
        double inuse = value_of(file, "inuse_objects", places[i].function);
        double inuse_space = value_of(file, "inuse_space", places[i].function);
        printf("%-13s %9.0f objects, estimated %9.0f; in use %9.0f, estimated %9.0f\n",
               places[i].function, places[i].alloc, alloc, places[i].inuse, inuse);
        CU_ASSERT_DOUBLE_EQUAL(alloc / places[i].alloc, 1, 0.1);
        CU_ASSERT_DOUBLE_EQUAL(space / places[i].alloc / (double)places[i].size, 1, 0.1);
        if (places[i].inuse == 0) {
            CU_ASSERT(inuse <= 0 && inuse_space <= 0);
            continue;
        }
        CU_ASSERT_DOUBLE_EQUAL(inuse / places[i].inuse, 1, 0.1);
        CU_ASSERT_DOUBLE_EQUAL(inuse_space / places[i].inuse / (double)places[i].size, 1, 0.1);
    }
    /* Both sizes. */
    double grown = value_of(file, "alloc_space", "place_grown");
    CU_ASSERT_DOUBLE_EQUAL(grown / (double)(NGROWN * (1536 + 32)), 1, 0.1);
    /* What is shown if nothing is said. */
    CU_ASSERT_EQUAL(CTL("profile", "--allocs", "--output", file), 0);
    CU_ASSERT_FATAL(ga_run(&run, "/usr/bin/env",
                           (const char *const[]){"go", "tool", "pprof", "-raw", file, NULL}));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "alloc_space/bytes[dflt]"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "program:[integration_profile]"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "integration_profile "));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    CU_ASSERT_EQUAL(CTL_OF("destroy", name), 0);
}

/* ---- exactly ---- */

#define NSMALLEST 20000u

static void allocate_smallest(void)
{
    for (volatile unsigned i = 0; i < NSMALLEST; i++)
        (void)place_tiny();
}

#define NOBJECTS 40u
static void *objects[NOBJECTS];

/* What the process has, in one site. */
static void site_has(uint64_t alloc, uint64_t inuse)
{
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", getpid());
    CU_ASSERT_EQUAL(CTL_OF("--shm", name, "--json", "profile", "--pid", pid), 0);
    CU_ASSERT(ga_json_is_valid(run.out));
    CU_ASSERT_EQUAL(ga_json_count(run.out, "alloc_objects"), alloc != 0);
    if (alloc == 0)
        return;
    CU_ASSERT_EQUAL(number("alloc_objects"), alloc);
    CU_ASSERT_EQUAL(number("inuse_objects"), inuse);
    CU_ASSERT_EQUAL(number("inuse_bytes"), inuse * 3072);
    CU_ASSERT_EQUAL(number("dropped_samples"), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"function\": \"place_medium\""));
    /* The innermost call is the program's. */
    CU_ASSERT_PTR_NULL(strstr(run.out, "goalloc_calloc"));
}

static void free_ten(void)
{
    for (unsigned i = 0; i < 10; i++)
        goalloc_free(heap, objects[i]);
}

/* A heap that is made for it has room for all of the smallest. */
static void the_smallest_have_room(void)
{
    start("1");
    await(in_child(allocate_smallest));
    CU_ASSERT_EQUAL(CTL("--json", "profile"), 0);
    CU_ASSERT_EQUAL(number("inuse_objects"), NSMALLEST);
    CU_ASSERT_EQUAL(number("untracked_objects"), 0);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    CU_ASSERT_EQUAL(CTL_OF("destroy", name), 0);
}

/* At a rate of 1 each object is sampled. */
static void every_object(void)
{
    start("0");
    attach();
    (void)place_medium();
    site_has(0, 0);
    CU_ASSERT_EQUAL(goalloc_set_profile_rate(heap, 1), 0);
    for (unsigned i = 0; i < NOBJECTS; i++)
        objects[i] = place_medium();
    site_has(NOBJECTS, NOBJECTS);
    await(in_child(free_ten));
    site_has(NOBJECTS, NOBJECTS - 10);
    goalloc_free(heap, objects[10]);
    site_has(NOBJECTS, NOBJECTS - 11);
    CU_ASSERT_EQUAL(goalloc_set_profile_rate(heap, 0), 0);
    (void)place_medium();
    site_has(NOBJECTS, NOBJECTS - 11);
}

static void rates_are_set(void)
{
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", getpid());
    CU_ASSERT_EQUAL(CTL("profile", "--rate", "1", "--pid", pid), 0);
    /* What is left of the old distance: of this size 64 objects, at most. */
    for (unsigned i = 0; i < 64; i++)
        goalloc_free(heap, place_medium());
    CU_ASSERT_EQUAL(CTL("--json", "profile", "--pid", pid), 0);
    uint64_t before = sum_of("alloc_samples");
    for (unsigned i = 0; i < 100; i++)
        goalloc_free(heap, place_medium());
    CU_ASSERT_EQUAL(CTL("--json", "profile", "--pid", pid), 0);
    CU_ASSERT_EQUAL(sum_of("alloc_samples"), before + 100);
    CU_ASSERT_EQUAL(CTL("profile", "--rate", "0"), 0);
    CU_ASSERT_EQUAL(CTL("--json", "profile"), 0);
    CU_ASSERT_EQUAL(number("rate_bytes"), 0);
    CU_ASSERT_EQUAL(CTL("profile", "--rate", "7", "--pid", "1"), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "refuses: process 1 is not attached"));
    CU_ASSERT_EQUAL(CTL("profile", "--rate", "7x"), 2);
    CU_ASSERT_EQUAL(CTL("profile", "--rate", "20T"), 0);
}

static void begin_with_tiny(void)
{
    if (goalloc_set_profile_rate(heap, 1) < 0)
        abort();
    for (volatile unsigned i = 0; i < 5; i++)
        (void)place_tiny();
}

/* A thread's first objects are sampled as all others, also when they are tiny. */
static void first_is_tiny(void)
{
    char pid[16];
    pid_t child = in_child(begin_with_tiny);
    await(child);
    snprintf(pid, sizeof(pid), "%d", child);
    CU_ASSERT_EQUAL(CTL("--json", "profile", "--pid", pid), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"function\": \"place_tiny\""));
    CU_ASSERT_EQUAL(sum_of("alloc_samples"), 5);
    CU_ASSERT_EQUAL(sum_of("inuse_samples"), 5);
    CU_ASSERT_EQUAL(sum_of("inuse_bytes"), 5 * 8);
}

/* ---- no room for all ---- */

#define NMANY 3000u

static void allocate_many(void)
{
    if (goalloc_set_profile_rate(heap, 1) < 0)
        abort();
    for (volatile unsigned i = 0; i < NMANY; i++)
        (void)place_small();
}

/* More samples than the heap has room for, which was made for few: all are counted as allocated,
 * and of those that are not followed it is said. */
static void some_find_no_room(void)
{
    char pid[16];
    char expected[160];
    attach();
    pid_t child = in_child(allocate_many);
    await(child);
    goalloc_detach(heap);
    heap = NULL;
    snprintf(pid, sizeof(pid), "%d", child);
    CU_ASSERT_EQUAL(CTL("--json", "profile", "--pid", pid), 0);
    uint64_t untracked = number("untracked_objects");
    CU_ASSERT_EQUAL(number("alloc_objects"), NMANY);
    CU_ASSERT(untracked > 0 && untracked < NMANY);
    CU_ASSERT_EQUAL(number("inuse_objects") + untracked, NMANY);
    CU_ASSERT_EQUAL(number("untracked_bytes"), untracked * 64);
    CU_ASSERT_EQUAL(number("untracked_samples"), untracked);
    CU_ASSERT_EQUAL(number("dropped_samples"), untracked);
    CU_ASSERT_EQUAL(CTL("profile", "--pid", pid), 0);
    snprintf(expected, sizeof(expected), " more in %lu objects may be in use: there was no room",
             (unsigned long)untracked);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, expected));
    CU_ASSERT_EQUAL(CTL("sharing", "--pid", pid), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, expected));
    const char *file = ga_daemon_path("short.pb.gz");
    CU_ASSERT_EQUAL(CTL("profile", "--pid", pid, "-o", file), 0);
    if (access("/usr/bin/go", X_OK) != 0)
        return;
    CU_ASSERT_FATAL(ga_run(&run, "/usr/bin/env",
                           (const char *const[]){"go", "tool", "pprof", "-comments", file, NULL}));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, expected));
}

/* ---- names ---- */

/* What a file calls its functions need not be UTF-8. */
static void *place_strange(void) __asm__("place_strange\xff_");
__attribute__((noinline, used)) static void *place_strange(void)
{
    void *p = goalloc_malloc(heap, 300);
    CALLED(p);
    return p;
}

static void allocate_strangely(void)
{
    if (goalloc_set_profile_rate(heap, 1) < 0)
        abort();
    for (volatile unsigned i = 0; i < 3; i++)
        goalloc_free(heap, place_strange());
    (void)place_strange();
}

static void names_are_clean(void)
{
    char pid[16];
    pid_t child = in_child(allocate_strangely);
    await(child);
    snprintf(pid, sizeof(pid), "%d", child);
    const char *const commands[] = {"profile", "sharing"};
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(i < 2 ? CTL("--json", commands[i % 2], "--pid", pid)
                              : CTL(commands[i % 2], "--pid", pid),
                        0);
        CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "place_strange?_"));
        CU_ASSERT_PTR_NULL(strchr(run.out, '\xff'));
    }
    const char *file = ga_daemon_path("strange.pb.gz");
    CU_ASSERT_EQUAL(CTL("profile", "--pid", pid, "-o", file), 0);
    if (access("/usr/bin/go", X_OK) == 0)
        CU_ASSERT(value_of(file, "alloc_objects", "place_strange?_") == 4);
}

/* A table for people. */
static void a_table(void)
{
    CU_ASSERT_EQUAL(CTL("profile"), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "CALLED IN"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "place_medium < every_object"));
}

/* What was sampled is there without a server and with the next, and frees then count. */
static void the_server_is_killed(void)
{
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGKILL), 256 + SIGKILL);
    CU_ASSERT_EQUAL(CTL_OF("--shm", name, "--json", "profile"), 0);
    uint64_t inuse = number("inuse_objects");
    CU_ASSERT(inuse > 20 && inuse < UINT64_MAX);
    goalloc_free(heap, objects[11]);
    CU_ASSERT_EQUAL(CTL_OF("--shm", name, "--json", "profile"), 0);
    CU_ASSERT_EQUAL(number("inuse_objects"), inuse - 1);
    start("1M");
    goalloc_free(heap, objects[12]);
    CU_ASSERT_EQUAL(CTL("--json", "profile"), 0);
    CU_ASSERT_EQUAL(number("inuse_objects"), inuse - 2);
    CU_ASSERT_EQUAL(goalloc_set_profile_rate(heap, 0), 0); /* there is a connection again */
    goalloc_detach(heap);
    heap = NULL;
    /* The objects stay, and so does what is known of them. */
    CU_ASSERT_EQUAL(CTL("--json", "profile"), 0);
    CU_ASSERT_EQUAL(number("inuse_objects"), inuse - 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"gone\": true"));
}

/* What profile says of all sites. */
static char *sites_now(void)
{
    CU_ASSERT_EQUAL(CTL("--json", "profile"), 0);
    const char *sites = strstr(run.out, "\"sites\"");
    CU_ASSERT_PTR_NOT_NULL_FATAL(sites);
    return strdup(sites);
}

static void free_one(void)
{
    goalloc_free(heap, objects[13]);
}

/* The same sites with the same samples, which frees still find. */
static void is_as_before(const char *before)
{
    char *after = sites_now();
    uint64_t inuse = sum_of("inuse_objects");
    CU_ASSERT_STRING_EQUAL(before, after);
    CU_ASSERT(inuse > NOBJECTS);
    await(in_child(free_one));
    free(after);
    after = sites_now();
    CU_ASSERT_EQUAL(sum_of("inuse_objects"), inuse - 1);
    free(after);
    CU_ASSERT_EQUAL(CTL("check"), 0);
}

/* Killed while a process is at work, which then dies as well: the next server finds all of it. */
static void it_is_adopted(void)
{
    CU_ASSERT_EQUAL(CTL("profile", "--rate", "0"), 0);
    int go[2];
    CU_ASSERT_FATAL(pipe(go) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        attach();
        leave();
        (void)!write(go[1], "g", 1);
        pause();
    }
    char ready;
    CU_ASSERT_EQUAL(read(go[0], &ready, 1), 1);
    char *before = sites_now();
    CU_ASSERT_PTR_NOT_NULL(strstr(before, "place_left"));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGKILL), 256 + SIGKILL);
    kill(pid, SIGKILL);
    CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
    start("0");
    is_as_before(before);
    free(before);
    close(go[0]);
    close(go[1]);
}

/* Through a file, and back. */
static void it_is_restored(void)
{
    char *before = sites_now();
    const char *file = ga_daemon_path("profile.snap");
    CU_ASSERT_EQUAL_FATAL(CTL("snapshot", file), 0);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    CU_ASSERT_EQUAL(CTL_OF("destroy", name), 0);
    const char *arguments[] = {"--restore", file, "--socket", socket_path, NULL};
    const struct ga_daemon_setup setup = {.keep = true};
    CU_ASSERT_FATAL(ga_daemon_launch(&daemon_, &setup, arguments) && ga_daemon_wait(&daemon_));
    objects[13] = objects[14];
    is_as_before(before);
    free(before);
}

static void the_environment(void)
{
    const struct goalloc_options options = {.size = sizeof(options)};
    setenv("GOALLOC_PROFILE_RATE", "12 apples", 1);
    CU_ASSERT_EQUAL(goalloc_attach(socket_path, &options, &heap), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(goalloc_attach_error(), "GOALLOC_PROFILE_RATE"));
    setenv("GOALLOC_PROFILE_RATE", "1", 1);
    attach();
    void *p = place_small();
    CU_ASSERT_EQUAL(CTL("--json", "profile"), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"function\": \"place_small\""));
    goalloc_free(heap, p);
    goalloc_detach(heap);
    unsetenv("GOALLOC_PROFILE_RATE");
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"pprof knows the places", pprof_knows_the_places},
        {"the smallest have room", the_smallest_have_room},
        {"every object", every_object},
        {"rates are set", rates_are_set},
        {"the first is tiny", first_is_tiny},
        {"names are clean", names_are_clean},
        {"a table", a_table},
        {"the server is killed", the_server_is_killed},
        {"some find no room", some_find_no_room},
        {"it is adopted", it_is_adopted},
        {"it is restored", it_is_restored},
        {"the environment", the_environment},
    };
    return profile_main("integration.profile", tests, COUNT(tests));
}
