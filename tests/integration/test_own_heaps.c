/* goallocctl --process at processes that lie about their heap: addresses where nothing is, memory
 * that is no heap, and tables torn at random. It may say what is wrong or show nonsense, but ends
 * by itself; and it refuses whom it may not read, or the server does not know. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/daemon.h"
#include "integration/json_check.h"
#include "integration/run.h"
#include "integration/wire.h"
#include "support/core_fixture.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define RESERVE  GA_ARENA_SIZE
#define CLASS    20 /* 176 bytes */
#define TORN     25
#define PATCHES  30
#define CRASHED  128

static struct ga_daemon daemon_;
static char socket_path[128];
static struct ga_run run;

static int look(uint32_t pid, const char *command, bool json)
{
    char number[16];
    snprintf(number, sizeof(number), "%" PRIu32, pid);
    const char *words[] = {
        "--socket", socket_path, "--process", number, command, json ? "--json" : NULL, NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, words));
    return run.code;
}

static const char *const commands[] = {"status", "stats", "classes", "arenas",  "spans",
                                       "roots",  "map",   "clients", "sharing", "profile"};

/* Every command ends by itself, and says so where it has failed. */
static void look_at_all(uint32_t pid)
{
    for (size_t i = 0; i < COUNT(commands); i++) {
        int code = look(pid, commands[i], i % 2 == 0);
        if (code >= CRASHED || (code != 0 && run.err[0] == '\0'))
            printf("%s ended with %d: %s\n", commands[i], code, run.err);
        CU_ASSERT(code < CRASHED && (code == 0 || run.err[0] != '\0'));
    }
}

/* ---- the liars ---- */

/* Tell the server, as the library does, and wait to be killed. */
static _Noreturn void lie(const void *meta, const void *bits, int ready)
{
    struct ga_wire wire;
    Goalloc__V1__Program program = GOALLOC__V1__PROGRAM__INIT;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    program.layout_version = GA_LAYOUT_VERSION;
    program.meta_address = (uintptr_t)meta;
    program.bits_address = (uintptr_t)bits;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_PROGRAM;
    message.program = &program;
    Goalloc__V1__GetStatus status = GOALLOC__V1__GET_STATUS__INIT;
    if (!ga_wire_open_greeted(&wire, socket_path) || !ga_wire_send(&wire, &message) ||
        !ga_wire_ask(&wire, GOALLOC__V1__ENVELOPE__BODY_GET_STATUS, &status))
        _exit(1);
    ssize_t n = write(ready, "r", 1);
    alarm(100);
    for (;;)
        pause();
    _exit(n == 1);
}

static struct ga_core core;

static void make_heap(void)
{
    ga_core_init(&core, RESERVE, 0);
    core.config.is_own = true;
    CU_ASSERT_EQUAL_FATAL(ga_core_make(&core), 0);
    ga_client_id client = ga_core_attach(&core);
    ga_mcache_id mcache = ga_core_mcache(&core, client);
    for (ga_span_class class = CLASS; class <= CLASS + 4; class = (ga_span_class)(class + 2)) {
        struct ga_slot slot;
        ga_page_id page = ga_core_lease(&core, client, mcache, class);
        CU_ASSERT_FATAL(page != 0 && ga_core_claim(&core, mcache, page));
        for (uint32_t i = 0; i < 20; i++)
            CU_ASSERT_FATAL(ga_core_malloc(&core, mcache, class, &slot) == 0);
    }
    /* Where nothing was committed a process with a heap of its own has zeros. */
    for (int object = GA_OBJECT_META; object <= GA_OBJECT_BITS; object++)
        CU_ASSERT_FATAL(
            mprotect(core.objects[object], core.object_bytes[object], PROT_READ | PROT_WRITE) == 0);
}

/* Write over words near the beginnings of tables, where there is something. */
static void tear(uint64_t *random)
{
    struct ga_meta_header header = {0};
    const struct ga_table_counts counts = ga_table_counts_of_process(RESERVE);
    ga_geometry_init(&header, RESERVE, &counts);
    const struct {
        enum ga_object object;
        uint64_t offset;
    } tables[] = {
        {GA_OBJECT_META, 0},
        {GA_OBJECT_META, header.arenas_offset},
        {GA_OBJECT_META, header.clients_offset},
        {GA_OBJECT_META, header.mcaches_offset},
        {GA_OBJECT_META, offsetof(struct ga_meta_header, counts)},
        {GA_OBJECT_META, header.profiles_offset},
        {GA_OBJECT_META, header.page_table_offset},
        {GA_OBJECT_BITS, header.bits_mcaches_offset},
        {GA_OBJECT_BITS, ga_geometry_pending(&header, 4096)},
        {GA_OBJECT_BITS, header.bits_profiles_offset},
        {GA_OBJECT_BITS, header.bits_lines_offset},
        {GA_OBJECT_BITS, header.bits_samples_offset},
    };
    for (int i = 0; i < PATCHES; i++) {
        /* Of the header only now and then, since most of it is checked. */
        uint64_t which = ga_test_random(random) % COUNT(tables);
        if (which == 0 && ga_test_random(random) % 4 != 0)
            which = 6;
        uint64_t word = ga_test_random(random) % 64;
        uint64_t value = ga_test_random(random) >> ga_test_random(random) % 64;
        memcpy(core.objects[tables[which].object] + tables[which].offset + word * 8, &value, 8);
    }
}

/* A process of each kind: with no random number it tells the truth. */
static uint32_t start_liar(const void *meta, const void *bits, uint64_t random)
{
    int ready[2];
    char byte;
    CU_ASSERT_FATAL(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (random)
            tear(&random);
        lie(meta, bits, ready[1]);
    }
    CU_ASSERT_FATAL(pid > 0);
    close(ready[1]);
    CU_ASSERT_EQUAL_FATAL(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return (uint32_t)pid;
}

static void end_liar(uint32_t pid)
{
    kill((pid_t)pid, SIGKILL);
    waitpid((pid_t)pid, NULL, 0);
}

/* ---- the tests ---- */

static void the_truth(void)
{
    uint32_t pid = start_liar(core.objects[GA_OBJECT_META], core.objects[GA_OBJECT_BITS], 0);
    CU_ASSERT_EQUAL(look(pid, "stats", true), 0);
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "heap_objects"), 60);
    look_at_all(pid);
    end_liar(pid);
}

static void nothing_there(void)
{
    static char garbage[1 << 20];
    memset(garbage, 0x5a, sizeof(garbage));
    const void *const places[] = {NULL,           (void *)8, (void *)UINTPTR_MAX,
                                  (void *)-4096L, garbage,   garbage + 1};
    for (size_t i = 0; i < COUNT(places); i++) {
        uint32_t pid = start_liar(places[i], places[i], 0);
        CU_ASSERT_NOT_EQUAL(look(pid, "stats", false), 0);
        look_at_all(pid);
        end_liar(pid);
        /* A good meta with bits elsewhere. */
        pid = start_liar(core.objects[GA_OBJECT_META], places[i], 0);
        look_at_all(pid);
        end_liar(pid);
    }
}

static void torn(void)
{
    uint64_t seed = ga_test_seed();
    for (uint64_t i = 1; i <= TORN; i++) {
        uint32_t pid = start_liar(core.objects[GA_OBJECT_META], core.objects[GA_OBJECT_BITS],
                                  (seed + i) * UINT64_C(0x9e3779b97f4a7c15) | 1);
        look_at_all(pid);
        CU_ASSERT(ga_run(&run, GOALLOCCTL_PATH,
                         (const char *const[]){"--socket", socket_path, "clients", NULL}) &&
                  run.code == 0);
        end_liar(pid);
    }
}

static void nobody(void)
{
    CU_ASSERT_NOT_EQUAL(look((uint32_t)getpid(), "stats", false), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "that has a heap of its own"));
    /* One that has ended the server forgets. */
    uint32_t pid = start_liar(core.objects[GA_OBJECT_META], core.objects[GA_OBJECT_BITS], 0);
    end_liar(pid);
    for (int i = 0; i < 1000 && look(pid, "stats", false) == 0; i++)
        usleep(1000);
    CU_ASSERT_NOT_EQUAL(run.code, 0);
}

static void begin(void)
{
    snprintf(socket_path, sizeof(socket_path), "%s", ga_daemon_path("socket"));
    make_heap();
    CU_ASSERT_FATAL(ga_daemon_start(&daemon_, 0,
                                    (const char *const[]){"--name", ga_daemon_heap("own"),
                                                          "--socket", socket_path, "--reserve",
                                                          "64M", "--ephemeral", NULL}));
}

static void end(void)
{
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    ga_core_close(&core);
    ga_run_fini(&run);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"begin", begin}, {"the truth", the_truth}, {"nothing there", nothing_there},
        {"torn", torn},   {"nobody", nobody},       {"end", end},
    };
    int code = ga_test_main("integration.own_heaps", tests, COUNT(tests));
    return ga_daemon_clean_up() == 0 ? code : 1;
}
