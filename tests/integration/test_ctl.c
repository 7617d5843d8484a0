/* goallocctl against a real server: every command in both forms, the filters of spans, and exit
 * codes. What it prints as JSON must be JSON, and must say what this process did to the heap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/json_check.h"
#include "integration/run.h"
#include "shm/size_class.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define OBJECTS  500
#define SIZE     1000u /* of each, class 1024 */
#define LARGE    100000u

static struct ga_test_server server;
static struct goalloc_heap *heap;
static void *objects[OBJECTS];
static void *large;
static struct ga_run run;

/* Run goallocctl with words (up to a NULL) after --socket. */
static int ctl(const char *const *words)
{
    const char *arguments[16] = {"--socket", server.socket};
    for (size_t i = 0; words[i]; i++)
        arguments[2 + i] = words[i];
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, arguments));
    return run.code;
}
#define CTL(...) ctl((const char *const[]){__VA_ARGS__, NULL})

/* The same with --json: done, silent on stderr, and a document. */
static void check_json(const char *const *words)
{
    const char *arguments[12] = {"--json"};
    for (size_t i = 0; words[i]; i++)
        arguments[1 + i] = words[i];
    CU_ASSERT_EQUAL(ctl(arguments), 0);
    CU_ASSERT_STRING_EQUAL(run.err, "");
    CU_ASSERT(ga_json_is_valid(run.out));
}
#define JSON(...) check_json((const char *const[]){__VA_ARGS__, NULL})

static uint64_t number(const char *key)
{
    return ga_json_number_of(run.out, key);
}

static uint64_t nspans(void)
{
    return ga_json_count(run.out, "owner_mcache");
}

static void every_command_prints(void)
{
    static const char *const commands[] = {"status", "stats",   "classes", "arenas",
                                           "spans",  "clients", "users",   "roots"};
    for (size_t i = 0; i < COUNT(commands); i++) {
        CU_ASSERT_EQUAL(CTL(commands[i]), 0);
        CU_ASSERT_STRING_EQUAL(run.err, "");
        CU_ASSERT(strlen(run.out) > 20);
        JSON(commands[i]);
    }
    JSON("roots");
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"name\": \"the root\""));
    JSON("clients");
    CU_ASSERT_EQUAL(number("pid"), (uint64_t)getpid());
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"name\": \"a name of twenty-six bytes\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"quarantined\": false"));
    CU_ASSERT_EQUAL(number("slots"), 0);
    *goalloc_slot(heap, 3) = objects[0];
    JSON("clients");
    CU_ASSERT_EQUAL(number("slots"), 1);
    *goalloc_slot(heap, 3) = NULL;
    JSON("status");
    CU_ASSERT(number("cpu_ns") > 0 && number("turns") > 0);
    CU_ASSERT(number("longest_turn_ns") > 0 && number("longest_turn_cpu_ns") > 0);
    JSON("users");
    CU_ASSERT_EQUAL(number("uid"), (uint64_t)getuid());
    CU_ASSERT_EQUAL(number("used_roots"), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"allowed_roots\": null"));
    CU_ASSERT_EQUAL(CTL("help"), 0);
    CU_ASSERT_EQUAL(CTL("--version"), 0);
}

static void stats_and_classes(void)
{
    uint32_t class = ga_size_class_for_malloc(SIZE);
    JSON("stats");
    CU_ASSERT_EQUAL(number("heap_objects"), OBJECTS + 1);
    CU_ASSERT_EQUAL(number("mallocs"), OBJECTS + 1);
    uint64_t bytes = OBJECTS * ga_size_classes[class].size + 13 * GA_PAGE_SIZE;
    CU_ASSERT_EQUAL(number("alloc_bytes"), bytes);
    CU_ASSERT_EQUAL(number("sys_bytes"), number("heap_sys_bytes") + number("mspan_sys_bytes") +
                                             number("mcache_sys_bytes") +
                                             number("other_sys_bytes"));
    CU_ASSERT_EQUAL(ga_json_count(run.out, "size_class"), 2);
    CU_ASSERT(number("requests") > 0 && number("served_p50_ns") >= 1024);
    CU_ASSERT(number("served_p99_ns") >= number("served_p50_ns"));
    CU_ASSERT(number("served_max_ns") >= number("served_p99_ns"));
    JSON("stats", "--all");
    CU_ASSERT_EQUAL(ga_json_count(run.out, "size_class"), GA_SIZE_CLASS_COUNT);

    JSON("classes");
    CU_ASSERT_EQUAL(ga_json_count(run.out, "size_class"), GA_SIZE_CLASS_COUNT);
    char line[64];
    snprintf(line, sizeof(line), "\"size_class\": %u,", class);
    const char *row = strstr(run.out, line);
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    CU_ASSERT_EQUAL(ga_json_number_of(row, "live_objects"), OBJECTS);
    CU_ASSERT_EQUAL(ga_json_number_of(row, "slots"), ga_size_classes[class].nslots);
    CU_ASSERT_EQUAL(ga_json_number_of(row, "free_slots"),
                    ga_json_number_of(row, "spans") * ga_size_classes[class].nslots - OBJECTS);
    /* Go's figures for its class 7, 80 bytes: one page, 102 slots, 32 bytes behind them, 19.07%. */
    row = strstr(run.out, "\"size_bytes\": 80,");
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    CU_ASSERT(ga_json_number_of(row, "slots") == 102 &&
              ga_json_number_of(row, "tail_waste_bytes") == 32 &&
              ga_json_number_of(row, "worst_waste_bytes") == 1562);
}

static void stats_of_one_client(void)
{
    uint32_t class = ga_size_class_for_malloc(SIZE);
    char line[64];
    JSON("clients");
    snprintf(line, sizeof(line), "%d", (int)number("client"));
    JSON("stats", "--client", line);
    CU_ASSERT_EQUAL(number("pid"), (uint64_t)getpid());
    CU_ASSERT(number("mallocs") == OBJECTS + 1 && number("frees") == 0);
    uint64_t bytes = OBJECTS * ga_size_classes[class].size + 13 * GA_PAGE_SIZE;
    CU_ASSERT(number("allocated_bytes") == bytes && number("freed_bytes") == 0);
    CU_ASSERT_EQUAL(ga_json_count(run.out, "size_class"), 2);
    uint64_t spans = number("leased_spans");
    uint64_t leased = number("leased_bytes");
    CU_ASSERT_EQUAL(CTL("stats", "--client", line), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, " in 501 mallocs\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\nlarge "));
    JSON("stats", "--all", "--client", line);
    CU_ASSERT_EQUAL(ga_json_count(run.out, "size_class"), GA_SIZE_CLASS_COUNT);
    snprintf(line, sizeof(line), "\"size_class\": %u,", class);
    const char *row = strstr(run.out, line);
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    CU_ASSERT(ga_json_number_of(row, "mallocs") == OBJECTS);
    CU_ASSERT_EQUAL(ga_json_number_of(row, "allocated_bytes"), bytes - 13 * GA_PAGE_SIZE);
    CU_ASSERT_EQUAL(ga_json_number_of(row, "leased_spans"), spans - 1);
    JSON("stats"); /* there is no other client */
    CU_ASSERT(number("spans_leased") == spans && number("leased_bytes") == leased);

    CU_ASSERT_EQUAL(CTL("stats", "--client", "4000"), 1);
    CU_ASSERT_STRING_EQUAL(run.out, "");
    CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "no client 4000 is attached"));
}

static void arenas_add_up(void)
{
    JSON("status");
    uint64_t committed = number("committed_bytes");
    uint64_t inuse = number("inuse_bytes");
    uint64_t reserve = number("reserve_bytes");
    JSON("arenas");
    CU_ASSERT_EQUAL(number("ready_npages") * GA_PAGE_SIZE, committed);
    CU_ASSERT_EQUAL(number("inuse_npages") * GA_PAGE_SIZE, inuse);
    CU_ASSERT_EQUAL(number("free_npages"), number("ready_npages") - number("inuse_npages"));
    CU_ASSERT_EQUAL(ga_json_count(run.out, "state"), 2); /* one Ready, the others in one line */
    const char *reserved = strstr(run.out, "\"index\": 1,");
    CU_ASSERT_PTR_NOT_NULL_FATAL(reserved);
    CU_ASSERT_EQUAL(ga_json_number_of(reserved, "count"), reserve / GA_ARENA_SIZE - 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(reserved, "\"state\": \"Reserved\""));
}

static void filters_of_spans(void)
{
    char class[16];
    char pid[16];
    snprintf(class, sizeof(class), "%u", ga_size_class_for_malloc(SIZE));
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    JSON("spans");
    uint64_t all = nspans();
    char owner[16];
    snprintf(owner, sizeof(owner), "%d", (int)number("owner_mcache"));
    JSON("spans", "--class", class);
    CU_ASSERT_EQUAL(nspans(), all - 1);
    JSON("spans", "--size=1000");
    CU_ASSERT_EQUAL(nspans(), all - 1);
    JSON("spans", "--size", "999999", "--class=0");
    CU_ASSERT(nspans() == 1 && number("used") == 1 && number("npages") == 13);
    JSON("spans", "--large");
    CU_ASSERT_EQUAL(nspans(), 1);
    JSON("spans", "--large", "--leased");
    CU_ASSERT_EQUAL(nspans(), 1);
    JSON("spans", "--leased");
    CU_ASSERT_EQUAL(nspans(), all);
    JSON("spans", "--owner", owner);
    CU_ASSERT_EQUAL(nspans(), all);
    JSON("spans", "--owner", "60000");
    CU_ASSERT_EQUAL(nspans(), 0);
    JSON("spans", "--pid", pid);
    CU_ASSERT_EQUAL(nspans(), all);
    JSON("spans", "--pid", "1", "--leased");
    CU_ASSERT_EQUAL(nspans(), 0);
    JSON("spans", "--limit", "3");
    CU_ASSERT_EQUAL(nspans(), 3);

    JSON("spans", "--full");
    uint64_t full = nspans();
    CU_ASSERT(full > OBJECTS / 8 / 2 && full <= all);
    CU_ASSERT_EQUAL(number("used"), number("slots"));
    goalloc_free(heap, objects[0]); /* its span has other objects, and is not allocated from */
    JSON("spans", "--full", "--class", class);
    CU_ASSERT_EQUAL(nspans(), full - 2); /* without that one, and the large one */
    JSON("spans", "--partial");
    uint64_t partial = nspans();
    CU_ASSERT(partial >= 1 && number("used") > 0 && number("used") < number("slots"));
    JSON("spans");
    uint64_t empty = 0;
    for (const char *p = run.out; (p = strstr(p, "\"used\": ")); p++)
        empty += ga_json_number_of(p, "used") == 0;
    CU_ASSERT_EQUAL(partial + full - 1 + empty, all); /* each span is one of the three */
    objects[0] = goalloc_malloc(heap, SIZE);
}

static void wrong_usage(void)
{
    static const char *const wrong[][6] = {
        {"stat"},
        {"stats", "spans"},
        {"--jsn", "stats"},
        {"--json=1", "stats"},
        {"--json"},
        {"--all", "spans"},
        {"--client", "1", "spans"},
        {"stats", "--client", "0"},
        {"stats", "--client", "1", "--recount"},
        {"--leased", "stats"},
        {"--leased", "--all", "spans"},
        {"spans", "--class"},
        {"spans", "--class="},
        {"spans", "--class", "68"},
        {"spans", "--class", "-1"},
        {"spans", "--class", "1x"},
        {"spans", "--class", "5", "--size", "8"},
        {"spans", "--owner", "0"},
        {"spans", "--owner", "99999999999999999999"},
        {"spans", "--limit", "0"},
        {"spans", "--partial", "--full"},
        {"spans", "--large", "--class", "5"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        CU_ASSERT_EQUAL(ctl(wrong[i]), 2);
        CU_ASSERT_STRING_EQUAL(run.out, "");
        CU_ASSERT_EQUAL(strncmp(run.err, "goallocctl: ", 12), 0);
    }
}

static void no_server(void)
{
    static const char *const arguments[] = {"status", "--socket", "/nonexistent/sock", NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, arguments));
    CU_ASSERT_EQUAL(run.code, 5);
    CU_ASSERT_STRING_EQUAL(run.out, "");
    CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "/nonexistent/sock"));
}

/* Each with what it stands for; 3, 4, 6 and 7 have tests of their own, where that can be. */
static void exit_codes(void)
{
    char taken[160];
    snprintf(taken, sizeof(taken), "unix:%s", server.socket);
    const struct {
        const char *words[6];
        int code;
        const char *says;
    } cases[] = {
        {{"status"}, 0, ""},
        {{"status", "--output", "x"}, 2, "'--output' goes with"},
        {{"check", "--shm", "nobody's"}, 2, "nobody's"},
        {{"check", "--shm", "nobodys"}, 5, "nobodys"},
        {{"top"}, 8, "needs a terminal"},
        {{"serve", "--listen", taken}, 9, server.socket},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *const *words = cases[i].words;
        bool shm = words[1] && strcmp(words[1], "--shm") == 0;
        if (shm)
            CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, words));
        CU_ASSERT_EQUAL(shm ? run.code : ctl(words), cases[i].code);
        CU_ASSERT_PTR_NOT_NULL(strstr(run.err, cases[i].says));
    }
}

/* Another user's socket, which that user alone may use. */
static void no_right(void)
{
    const char *const arguments[] = {"status", "--socket", server.socket, NULL};
    if (getuid() != 0 || access(GOALLOCCTL_PATH, X_OK) < 0)
        return; /* only root can be somebody else */
    pid_t pid = fork();
    if (pid == 0) {
        bool other = setgid(65534) == 0 && setuid(65534) == 0;
        if (other && access(GOALLOCCTL_PATH, X_OK) < 0)
            _exit(0); /* the build is for nobody else to run */
        bool good = other && ga_run(&run, GOALLOCCTL_PATH, arguments) && run.code == 6 &&
                    strstr(run.err, server.socket);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(status, 0);
}

/* What a complaint says: what is wrong, and what to do. */
static void complaints(void)
{
    static const struct {
        const char *words[6];
        const char *says;
    } cases[] = {
        {{"statsu"}, "unknown command 'statsu'; did you mean 'status'?"},
        {{"xyzzy"}, "unknown command 'xyzzy'; 'goallocctl --help' lists the commands"},
        {{"spans", "--partail"}, "unknown option '--partail'; did you mean '--partial'?"},
        {{"spans", "--jsno=1"}, "unknown option '--jsno'; did you mean '--json'?"},
        {{"gc", "--partail"}, "unknown option '--partail'; 'goallocctl gc --help' lists"},
        {{"--all", "spans"}, "'--all' goes with 'stats', not with 'spans'"},
        {{"gc", "--shm", "x"}, "only a server can do 'gc': ask it, without '--shm'"},
        {{"stats", "spans"}, "one command at a time: 'spans' after 'stats'"},
        {{"stats", "more"}, "'stats' takes no 'more'; see 'goallocctl stats --help'"},
        {{"stats", "--", "--json"}, "'stats' takes no '--json'"},
        {{"spans", "--class"}, "'--class' needs a value: give '--class N'"},
        {{"spans", "--class", "x"}, "give a number from 0 to 67"},
        {{"status", "--color", "red"}, "give one of: auto always never"},
        {{"help", "spnas"}, "there is no command 'spnas' to tell of; did you mean 'spans'?"},
        {{NULL}, "no command given; 'goallocctl --help' lists the commands"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, cases[i].words));
        CU_ASSERT_EQUAL(run.code, 2);
        CU_ASSERT_STRING_EQUAL(run.out, "");
        CU_ASSERT_PTR_NOT_NULL(strstr(run.err, cases[i].says));
        if (!strstr(run.err, cases[i].says))
            fprintf(stderr, "instead of \"%s\": %s", cases[i].says, run.err);
    }
}

/* Options may stand before or behind the command, and colours come when they are asked for. */
static void help_of_commands(void)
{
    const char *const before[] = {"--help", "spans", NULL};
    const char *const behind[] = {"spans", "-h", NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, before));
    CU_ASSERT_EQUAL(run.code, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "usage: goallocctl spans [OPTION...]\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "--owner MCACHE"));
    CU_ASSERT_PTR_NULL(strstr(run.out, "--wait"));
    CU_ASSERT_PTR_NULL(strstr(run.out, "\x1b"));
    char *text = strdup(run.out);
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, behind));
    CU_ASSERT_STRING_EQUAL(run.out, text);
    free(text);
    const char *const coloured[] = {"spans", "--help", "--color=always", NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, coloured));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\x1b[1moptions:\x1b[0m"));
}

static void json_checker(void)
{
    static const char *const good[] = {"{}", " [1, -2.5e+7, \"\\u00e4\\n\", null, {\"a\": true}] "};
    static const char *const bad[] = {"",       "{",  "[1,]",  "{\"a\"}",
                                      "{a: 1}", "01", "[1] 2", "\"\n\""};
    for (size_t i = 0; i < COUNT(good); i++)
        CU_ASSERT(ga_json_is_valid(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        CU_ASSERT_FALSE(ga_json_is_valid(bad[i]));
}

/* Its name has an o with two dots where the room for names ends, between the two bytes of it. */
static bool fill_heap(void)
{
    const struct goalloc_options options = {.size = sizeof(options),
                                            .client_name = "a name of twenty-six bytes\xc3\xb6"};
    if (goalloc_attach(server.socket, &options, &heap) < 0)
        return false;
    bool good = true;
    for (int i = 0; i < OBJECTS; i++)
        good = (objects[i] = goalloc_malloc(heap, SIZE)) && good;
    large = goalloc_malloc(heap, LARGE);
    return good && large && goalloc_publish(heap, "the root", large) == 0;
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"the checker of JSON", json_checker},
        {"every command prints", every_command_prints},
        {"stats and classes", stats_and_classes},
        {"stats of one client", stats_of_one_client},
        {"arenas add up", arenas_add_up},
        {"filters of spans", filters_of_spans},
        {"wrong usage", wrong_usage},
        {"no server", no_server},
        {"exit codes", exit_codes},
        {"no right", no_right},
        {"complaints", complaints},
        {"help of commands", help_of_commands},
    };
    if (!ga_test_server_start("1G", &server) || !fill_heap())
        return 1;
    int code = ga_test_main("integration.ctl", tests, COUNT(tests));
    goalloc_detach(heap);
    ga_run_fini(&run);
    return ga_test_server_stop(&server) ? code : 1;
}
