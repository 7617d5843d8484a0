/* goallocctl map against a real server: every page is told of once, by any colour, run by run and
 * in cells, and the picture is well-formed, bounded, and obeys nothing that a client has written.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/json_check.h"
#include "integration/run.h"
#include "shm/layout.h"
#include "support/cunit_main.h"

#define COUNT(a)  (sizeof(a) / sizeof(*(a)))
#define OBJECTS   600u
#define SIZE      1000u   /* of each, class 1024, 8 slots in a span of one page */
#define LARGE     100000u /* 13 pages */
#define MANY      9500u   /* more than a picture has runs */
#define MANY_SIZE 8192u
#define LOOKS     20 /* at two things that may change in between: free spans go back by themselves */
#define SVG_MAX   (4u << 20)

static struct ga_daemon daemon_;
static char name[64];
static char socket_path[128];
static struct goalloc_heap *heap;
static void *objects[OBJECTS];
static void *large;
static void *many[MANY];
static struct ga_run run;
static const char *const colours[] = {"state", "class", "owner", "occupancy", "age"};

static int ctl(const char *const *words)
{
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, words));
    return run.code;
}
#define CTL(...)     ctl((const char *const[]){__VA_ARGS__, NULL})
#define MAP(...)     CTL("--socket", socket_path, "map", __VA_ARGS__)
#define SAYS(needle) CU_ASSERT_PTR_NOT_NULL(strstr(run.out, needle))
#define ERR(needle)  CU_ASSERT_PTR_NOT_NULL(strstr(run.err, needle))

static uint64_t number(const char *key)
{
    return ga_json_number_of(run.out, key);
}

/* The lists of numbers in the list called key: each is handed to see. Returns how many. */
static size_t each_row(const char *key, void (*see)(const uint64_t *row, void *data), void *data)
{
    size_t count = 0;
    char *next = strstr(run.out, key);
    CU_ASSERT_PTR_NOT_NULL_FATAL(next);
    while ((next = strchr(next + 1, '\n')) && strncmp(next, "\n    [", 6) == 0) {
        uint64_t row[16] = {0};
        char *p = next + 6;
        for (size_t i = 0; i < COUNT(row) && *p != ']'; i++) {
            row[i] = strtoull(p, &p, 10);
            p += strspn(p, ", nul");
        }
        see(row, data);
        count++;
    }
    return count;
}

struct seen {
    uint64_t next; /* page */
    uint64_t npages[6];
    uint64_t used; /* slots of SIZE */
    uint64_t nlarge;
};

static void see_run(const uint64_t *row, void *data)
{
    struct seen *seen = data;
    CU_ASSERT_EQUAL(row[0], seen->next);
    seen->next = row[0] + row[1];
    CU_ASSERT_FATAL(row[3] < 6);
    seen->npages[row[3]] += row[1];
    if (row[5] == 1024)
        seen->used += row[7];
    seen->nlarge += row[1] == 13 && row[4] / 2 == 0 && row[7] == 1;
}

static uint64_t sum_of_categories(void)
{
    uint64_t sum = 0;
    const char *p = run.out;
    while ((p = strstr(p, "\"npages\": "))) {
        p += strlen("\"npages\": ");
        sum += strtoull(p, NULL, 10);
    }
    return sum;
}

static void every_page_once(void)
{
    for (size_t i = 0; i < COUNT(colours); i++) {
        CU_ASSERT_EQUAL(MAP("--json", "--by", colours[i]), 0);
        CU_ASSERT_STRING_EQUAL(run.err, "");
        CU_ASSERT(ga_json_is_valid(run.out));
        struct seen seen = {.next = 1};
        each_row("\"runs\"", see_run, &seen);
        CU_ASSERT_EQUAL(seen.next, number("end_page"));
        CU_ASSERT_EQUAL(seen.next, number("heap_npages"));
        CU_ASSERT_EQUAL(sum_of_categories(), seen.next - 1); /* page 0 is never used */
        CU_ASSERT_EQUAL(seen.used, OBJECTS / 2);
        CU_ASSERT_EQUAL(seen.nlarge, 1);
        CU_ASSERT_EQUAL(seen.npages[2], 13);
    }
    char label[64];
    CU_ASSERT_EQUAL(MAP("--json", "--by", "owner"), 0);
    snprintf(label, sizeof(label), "\"label\": \"%d a<b&c\"", (int)getpid());
    SAYS(label);
}

/* What the arenas say is in use is what the map shows in spans. */
static void as_the_arenas_say(void)
{
    bool same = false;
    for (int i = 0; i < LOOKS && !same; i++) {
        CU_ASSERT_EQUAL(MAP("--json"), 0);
        struct seen seen = {.next = 1};
        each_row("\"runs\"", see_run, &seen);
        CU_ASSERT_EQUAL(CTL("--socket", socket_path, "arenas", "--json"), 0);
        same = number("inuse_npages") ==
               seen.npages[0] + seen.npages[1] + seen.npages[2] + seen.npages[3];
    }
    CU_ASSERT(same);
}

static size_t count(const char *needle)
{
    size_t n = 0;
    for (const char *p = run.out; (p = strstr(p, needle)); p++)
        n++;
    return n;
}

/* Every tag that is opened is closed, and the names that clients chose are no tags. */
static void check_picture(void)
{
    CU_ASSERT_STRING_EQUAL(run.err, "");
    size_t length = strlen(run.out);
    CU_ASSERT(length < SVG_MAX);
    CU_ASSERT_EQUAL(strncmp(run.out, "<svg ", 5), 0);
    CU_ASSERT_STRING_EQUAL(run.out + length - 7, "</svg>\n");
    CU_ASSERT_EQUAL(count("<g"), count("</g>"));
    CU_ASSERT_EQUAL(count("<title>"), count("</title>"));
    CU_ASSERT_EQUAL(count("<path") + count("<rect"),
                    count("</path>") + count("</rect>") + count("/>"));
    CU_ASSERT_PTR_NULL(strstr(run.out, "<b"));
    CU_ASSERT_PTR_NULL(strstr(run.out, "&c"));
}

static void pictures(void)
{
    for (size_t i = 0; i < COUNT(colours); i++) {
        CU_ASSERT_EQUAL(MAP("--by", colours[i]), 0);
        check_picture();
        SAYS("a&#60;b&#38;c"); /* in the titles at least */
    }
    CU_ASSERT_EQUAL(MAP("--by", "occupancy"), 0);
    SAYS("slots of 1 KiB used");
    bool same = false;
    for (int i = 0; i < LOOKS && !same; i++) {
        CU_ASSERT_EQUAL(MAP("--json"), 0);
        struct seen seen = {.next = 1};
        size_t nruns = each_row("\"runs\"", see_run, &seen);
        CU_ASSERT_EQUAL(MAP("--by", "class"), 0);
        same = count("<path class=\"p ") == nruns;
    }
    CU_ASSERT(same);
    CU_ASSERT_EQUAL(count("<path class=\"p k6\""), 1); /* the large one */
}

static void into_a_file(void)
{
    const char *path = ga_daemon_path("map.svg");
    CU_ASSERT_EQUAL(MAP("-o", path), 0);
    CU_ASSERT_STRING_EQUAL(run.out, "");
    struct stat st = {0};
    CU_ASSERT_EQUAL(stat(path, &st), 0);
    CU_ASSERT(st.st_size > 1000);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(MAP("--output", ga_daemon_path("none/map.svg")), 1);
    ERR("none/map.svg");
}

/* From shared memory alone it is the same. */
static void the_same_without_the_server(void)
{
    bool same = false;
    for (int i = 0; i < LOOKS && !same; i++) {
        CU_ASSERT_EQUAL(MAP("--json", "--by", "occupancy"), 0);
        const char *from = strstr(run.out, "\"heap_name\"");
        CU_ASSERT_PTR_NOT_NULL_FATAL(from);
        char *by_server = strdup(from);
        CU_ASSERT_EQUAL(CTL("--shm", name, "map", "--json", "--by", "occupancy"), 0);
        same = strstr(run.out, by_server) != NULL;
        free(by_server);
    }
    CU_ASSERT(same);
    CU_ASSERT_EQUAL(CTL("--shm", name, "map"), 0);
    CU_ASSERT_EQUAL(CTL("--shm", name, "map", "--by", "age"), 1);
    ERR("only the server knows");
}

static void wrong_words(void)
{
    CU_ASSERT_EQUAL(MAP("--by", "colour"), 2);
    ERR("give one of: state class owner occupancy age");
    CU_ASSERT_EQUAL(MAP("--arena", "-1"), 2);
    CU_ASSERT_EQUAL(MAP("--arena", "900"), 1);
    ERR("arenas are 0 to 0");
    CU_ASSERT_EQUAL(CTL("--socket", socket_path, "stats", "--by", "class"), 2);
    CU_ASSERT_EQUAL(CTL("--socket", ga_daemon_path("nobody"), "map"), 5);
    ERR("nobody");
}

/* More runs than a picture has: told in cells, in which no page is lost; as JSON, all of them. */
static void many_runs(void)
{
    for (size_t i = 0; i < MANY; i++)
        CU_ASSERT_PTR_NOT_NULL_FATAL(many[i] = goalloc_malloc(heap, MANY_SIZE));
    for (size_t i = 0; i < COUNT(colours); i++) {
        CU_ASSERT_EQUAL(MAP("--by", colours[i]), 0);
        check_picture();
        SAYS("in cells of 16 KiB");
    }
    CU_ASSERT_EQUAL(MAP("--json"), 0);
    struct seen seen = {.next = 1};
    CU_ASSERT(each_row("\"runs\"", see_run, &seen) > MANY);
    CU_ASSERT_EQUAL(seen.next, number("heap_npages"));
    uint64_t end = seen.next;

    /* An arena alone is again told run by run. */
    CU_ASSERT_EQUAL(MAP("--arena", "1"), 0);
    check_picture();
    SAYS("arena 1, ");
    CU_ASSERT_PTR_NULL(strstr(run.out, "in cells of"));
    CU_ASSERT_EQUAL(MAP("--json", "--arena", "1"), 0);
    CU_ASSERT_EQUAL(number("from_page"), GA_PAGES_PER_ARENA);
    CU_ASSERT_EQUAL(number("end_page"), end);
    CU_ASSERT_EQUAL(sum_of_categories(), end - GA_PAGES_PER_ARENA);
    for (size_t i = 0; i < MANY; i++)
        goalloc_free(heap, many[i]);
}

static bool fill_heap(void)
{
    struct goalloc_options options = {.size = sizeof(options), .client_name = "a<b&c"};
    if (goalloc_attach(socket_path, &options, &heap) < 0)
        return false;
    bool good = true;
    for (size_t i = 0; i < OBJECTS; i++)
        good = (objects[i] = goalloc_malloc(heap, SIZE)) && good;
    for (size_t i = 0; i < OBJECTS; i += 2)
        goalloc_free(heap, objects[i]);
    return good && (large = goalloc_malloc(heap, LARGE));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"every page once", every_page_once},
        {"as the arenas say", as_the_arenas_say},
        {"pictures", pictures},
        {"into a file", into_a_file},
        {"the same without the server", the_same_without_the_server},
        {"wrong words", wrong_words},
        {"many runs", many_runs},
    };
    snprintf(name, sizeof(name), "%s", ga_daemon_heap("map"));
    snprintf(socket_path, sizeof(socket_path), "%s", ga_daemon_path("sock"));
    const char *const arguments[] = {"--name",  name,   "--socket", socket_path,
                                     "--limit", "512M", NULL};
    int code = 1;
    if (ga_daemon_start(&daemon_, 0, arguments) && fill_heap())
        code = ga_test_main("integration.ctl_map", tests, COUNT(tests));
    goalloc_detach(heap);
    if (ga_daemon_end(&daemon_, SIGTERM) != 0)
        code = 1;
    ga_run_fini(&run);
    return ga_daemon_clean_up() == 0 ? code : 1;
}
