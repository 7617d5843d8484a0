/* The runner's tables and command line: see plan.h. */
#include "plan.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct ga_bench_competitor ga_bench_competitors[GA_BENCH_COMPETITOR_COUNT] = {
    [GA_BENCH_GOALLOC] = {"goalloc", "bench_goalloc", NULL, NULL},
    [GA_BENCH_GLIBC] = {"glibc", "bench_private", NULL, "libc.so"},
    [GA_BENCH_MIMALLOC] = {"mimalloc", "bench_private", "libmimalloc.so.2", "libmimalloc"},
    [GA_BENCH_JEMALLOC] = {"jemalloc", "bench_private", "libjemalloc.so.2", "libjemalloc"},
    [GA_BENCH_TCMALLOC] = {"tcmalloc", "bench_private", "libtcmalloc_minimal.so.4", "libtcmalloc"},
    [GA_BENCH_BOOST] = {"boost", "bench_boost", NULL, NULL},
    [GA_BENCH_LIBGC] = {"libgc", "bench_libgc", NULL, NULL},
};

bool ga_bench_can_run(int competitor, enum ga_bench_row_kind kind)
{
    switch (kind) {
    case GA_BENCH_TIMED:
        return competitor != GA_BENCH_LIBGC;
    case GA_BENCH_GROWTH:
        return competitor == GA_BENCH_GOALLOC || ga_bench_is_private(competitor);
    case GA_BENCH_MARK:
        return competitor == GA_BENCH_GOALLOC || competitor == GA_BENCH_LIBGC;
    default:
        return competitor == GA_BENCH_GOALLOC;
    }
}

const char *ga_bench_worker_of(int competitor, enum ga_bench_row_kind kind)
{
    if (competitor == GA_BENCH_GOALLOC && kind == GA_BENCH_MARK)
        return "bench_mark";
    return ga_bench_competitors[competitor].worker;
}

bool ga_bench_is_private(int competitor)
{
    return competitor != GA_BENCH_GOALLOC && competitor != GA_BENCH_BOOST &&
           competitor != GA_BENCH_LIBGC;
}

bool ga_bench_has_one_thread(int row)
{
    if (ga_bench_rows[row].kind == GA_BENCH_MARK)
        return true;
    return ga_bench_rows[row].kind == GA_BENCH_TIMED && row != GA_BENCH_ROW_larson &&
           row != GA_BENCH_ROW_handoff && row != GA_BENCH_ROW_storm;
}

bool ga_bench_can_count(int competitor, int row)
{
    return ga_bench_has_one_thread(row) && ga_bench_rows[row].kind == GA_BENCH_TIMED &&
           !(row == GA_BENCH_ROW_churn_1m && competitor == GA_BENCH_BOOST);
}

static void print_help(void)
{
    puts("usage: bench_run [OPTION]...\n"
         "Measure goalloc beside other allocators, in one run.\n\n"
         "  --quick          fewer and shorter runs, and of the rows that take long\n"
         "                   none that --row does not name in full\n"
         "  --smoke          one tiny run of each row, to see that all work\n"
         "  --row NAME       this row only, or those whose names begin with NAME-;\n"
         "                   may be repeated\n"
         "  --peer NAME      this peer only; may be repeated\n"
         "  --json FILE      write the results to FILE as well\n"
         "  --svg FILE       draw the ratios into FILE\n"
         "  --instructions   count instructions per operation instead, by callgrind, in\n"
         "                   the rows of one thread\n"
         "  --cpu-time       measure the time that the thread at work is on its core, in\n"
         "                   the rows of one thread: for a busy machine\n"
         "  --gib N          how big the row big lets its heap get, 2 or more; default: 2\n"
         "  --crowd N        how many processes the row crowd has at most; default: 1000,\n"
         "                   with --quick 64\n"
         "  --cores A,B      work on these cores; default: the last two of those allowed\n"
         "  --bin-dir DIR    where the workers and goallocd are; default: beside bench_run\n"
         "  --goallocd PATH  this goallocd\n"
         "  --help           this\n\n"
         "rows:");
    for (int row = 0; row < GA_BENCH_ROW_COUNT; row++)
        printf("  %-8s  %s\n", ga_bench_rows[row].name, ga_bench_rows[row].text);
    puts("peers:");
    for (int i = GA_BENCH_GOALLOC + 1; i < GA_BENCH_COMPETITOR_COUNT; i++)
        printf("  %s\n", ga_bench_competitors[i].name);
}

static int choose_row(const char *name, struct ga_bench_plan *plan)
{
    size_t length = strlen(name);
    bool found = false;
    for (int i = 0; i < GA_BENCH_ROW_COUNT; i++) {
        const char *row = ga_bench_rows[i].name;
        if (strncmp(row, name, length) != 0 || (row[length] != '\0' && row[length] != '-'))
            continue;
        plan->rows[i] = true;
        plan->named[i] = row[length] == '\0';
        found = true;
    }
    if (found)
        return 0;
    fprintf(stderr, "bench_run: there is no row %s; the rows are", name);
    for (int i = 0; i < GA_BENCH_ROW_COUNT; i++)
        fprintf(stderr, " %s", ga_bench_rows[i].name);
    fputc('\n', stderr);
    return -EINVAL;
}

static int choose_peer(const char *name, struct ga_bench_plan *plan)
{
    for (int i = GA_BENCH_GOALLOC + 1; i < GA_BENCH_COMPETITOR_COUNT; i++) {
        if (strcmp(ga_bench_competitors[i].name, name) == 0) {
            plan->competitors[i] = true;
            return 0;
        }
    }
    fprintf(stderr, "bench_run: there is no peer %s; the peers are", name);
    for (int i = GA_BENCH_GOALLOC + 1; i < GA_BENCH_COMPETITOR_COUNT; i++)
        fprintf(stderr, " %s", ga_bench_competitors[i].name);
    fputc('\n', stderr);
    return -EINVAL;
}

/* The last two cores allowed, since the first ones tend to serve the interrupts; where there is but
 * one, it twice. */
static int choose_cores(int ret_cores[2])
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return -errno;
    int cores[2] = {-1, -1};
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET((size_t)core, &set))
            continue;
        cores[0] = cores[1] < 0 ? core : cores[1];
        cores[1] = core;
    }
    memcpy(ret_cores, cores, sizeof cores);
    return 0;
}

static int parse_cores(const char *text, int ret_cores[2])
{
    int cores[2], length = 0;
    if (sscanf(text, "%d,%d%n", &cores[0], &cores[1], &length) != 2 || text[length] != '\0' ||
        cores[0] < 0 || cores[1] < 0 || cores[0] >= CPU_SETSIZE || cores[1] >= CPU_SETSIZE) {
        fprintf(stderr, "bench_run: --cores takes two numbers of cores, as in 0,1\n");
        return -EINVAL;
    }
    memcpy(ret_cores, cores, sizeof cores);
    return 0;
}

/* The folder of this very program. */
static int own_folder(size_t size, char *ret_folder)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0)
        return -errno;
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    if (strlen(path) >= size)
        return -ENAMETOOLONG;
    strcpy(ret_folder, path);
    return 0;
}

static int copy_path(const char *from, size_t size, char *ret_path)
{
    if (strlen(from) >= size) {
        fprintf(stderr, "bench_run: the path %s is too long\n", from);
        return -ENAMETOOLONG;
    }
    strcpy(ret_path, from);
    return 0;
}

static int parse_count(const char *text, unsigned least, unsigned greatest, unsigned *ret_count)
{
    char *end;
    errno = 0;
    unsigned long count = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || count < least || count > greatest) {
        fprintf(stderr, "bench_run: %s is no number of %u..%u\n", text, least, greatest);
        return -EINVAL;
    }
    *ret_count = (unsigned)count;
    return 0;
}

static void be_quick(struct ga_bench_plan *plan)
{
    plan->quick = true;
    plan->runs[GA_BENCH_TIMED] = 7;
    plan->runs[GA_BENCH_GROWTH] = 1;
    plan->runs[GA_BENCH_MARK] = 3;
    plan->runs[GA_BENCH_OWN] = 1;
    plan->warmup_ms = 20;
    plan->measure_ms = 60;
    plan->crowd = 64;
}

static void only_smoke(struct ga_bench_plan *plan)
{
    be_quick(plan);
    plan->smoke = true;
    plan->runs[GA_BENCH_TIMED] = 1;
    plan->runs[GA_BENCH_MARK] = 1;
    plan->warmup_ms = 0;
    plan->measure_ms = 1;
    plan->crowd = 2;
}

static int apply(int option, struct ga_bench_plan *plan)
{
    switch (option) {
    case 'q':
        be_quick(plan);
        return 0;
    case 's':
        only_smoke(plan);
        return 0;
    case 't':
        plan->cpu_time = true;
        return 0;
    case 'i':
        plan->instructions = true;
        return 0;
    case 'r':
        return choose_row(optarg, plan);
    case 'p':
        return choose_peer(optarg, plan);
    case 'j':
        plan->json_path = optarg;
        return 0;
    case 'v':
        plan->svg_path = optarg;
        return 0;
    case 'G':
        return parse_count(optarg, 2, 1024, &plan->gib);
    case 'n':
        return parse_count(optarg, 1, 1000, &plan->crowd);
    case 'c':
        return parse_cores(optarg, plan->cores);
    case 'b':
        return copy_path(optarg, sizeof plan->bin_dir, plan->bin_dir);
    case 'g':
        return copy_path(optarg, sizeof plan->goallocd, plan->goallocd);
    default:
        fprintf(stderr, "bench_run: see bench_run --help\n");
        return -EINVAL;
    }
}

/* Where nothing was chosen, everything is. */
static void complete(bool *chosen, int first, int count)
{
    for (int i = first; i < count; i++)
        if (chosen[i])
            return;
    for (int i = first; i < count; i++)
        chosen[i] = true;
}

/* In a hurry, what takes long is only measured where it was named. */
static bool takes_long(const char *row)
{
    return strstr(row, "-20M") || strcmp(row, "collect-pause") == 0 ||
           strncmp(row, "scavenge", strlen("scavenge")) == 0;
}

static void drop_long_rows(struct ga_bench_plan *plan)
{
    for (int row = 0; row < GA_BENCH_ROW_COUNT; row++)
        if (takes_long(ga_bench_rows[row].name) && !plan->named[row])
            plan->rows[row] = false;
}

int ga_bench_plan_parse(int argc, char **argv, struct ga_bench_plan *ret_plan)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'},
        {"smoke", no_argument, NULL, 's'},
        {"row", required_argument, NULL, 'r'},
        {"peer", required_argument, NULL, 'p'},
        {"json", required_argument, NULL, 'j'},
        {"cores", required_argument, NULL, 'c'},
        {"bin-dir", required_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},
        {"goallocd", required_argument, NULL, 'g'},
        {"svg", required_argument, NULL, 'v'},
        {"gib", required_argument, NULL, 'G'},
        {"crowd", required_argument, NULL, 'n'},
        {"instructions", no_argument, NULL, 'i'},
        {"cpu-time", no_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    struct ga_bench_plan plan = {
        .runs =
            {[GA_BENCH_TIMED] = 9, [GA_BENCH_GROWTH] = 7, [GA_BENCH_MARK] = 3, [GA_BENCH_OWN] = 3},
        .warmup_ms = 100,
        .measure_ms = 500,
        .gib = 2,
        .crowd = 1000};
    int err = choose_cores(plan.cores);
    if (err == 0)
        err = own_folder(sizeof plan.bin_dir, plan.bin_dir);
    if (err < 0) {
        fprintf(stderr, "bench_run: cannot find cores or programs: %s\n", strerror(-err));
        return err;
    }
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'h') {
            print_help();
            return 1;
        }
        err = apply(option, &plan);
        if (err < 0)
            return err;
    }
    if (optind != argc) {
        fprintf(stderr, "bench_run: %s is no option; see bench_run --help\n", argv[optind]);
        return -EINVAL;
    }
    plan.competitors[GA_BENCH_GOALLOC] = true;
    complete(plan.competitors, GA_BENCH_GOALLOC + 1, GA_BENCH_COMPETITOR_COUNT);
    complete(plan.rows, 0, GA_BENCH_ROW_COUNT);
    if (plan.quick && !plan.smoke)
        drop_long_rows(&plan);
    for (int row = 0; row < GA_BENCH_ROW_COUNT && plan.cpu_time; row++)
        plan.rows[row] = plan.rows[row] && ga_bench_has_one_thread(row);
    if (plan.instructions)
        plan.runs[GA_BENCH_TIMED] = 1; /* they are exact */
    if (plan.goallocd[0] == '\0')
        snprintf(plan.goallocd, sizeof plan.goallocd, "%s/goallocd", plan.bin_dir);
    *ret_plan = plan;
    return 0;
}
