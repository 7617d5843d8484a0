/* The runner's tables and command line: see plan.h. */
#include "plan.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GA_BENCH_NAME(name, text) #name,
const char *const ga_bench_row_names[GA_BENCH_ROW_COUNT] = {GA_BENCH_ROWS(GA_BENCH_NAME)};
#undef GA_BENCH_NAME

const struct ga_bench_competitor ga_bench_competitors[GA_BENCH_COMPETITOR_COUNT] = {
    [GA_BENCH_GOALLOC] = {"goalloc", "bench_goalloc", NULL, NULL},
    [GA_BENCH_GLIBC] = {"glibc", "bench_private", NULL, "libc.so"},
    [GA_BENCH_MIMALLOC] = {"mimalloc", "bench_private", "libmimalloc.so.2", "libmimalloc"},
    [GA_BENCH_BOOST] = {"boost", "bench_boost", NULL, NULL},
};

static void print_help(void)
{
    puts("usage: bench_run [OPTION]...\n"
         "Measure goalloc beside other allocators, in one run.\n\n"
         "  --quick          fewer and shorter runs\n"
         "  --smoke          one tiny run of each row, to see that all work\n"
         "  --row NAME       this row only; may be repeated\n"
         "  --peer NAME      this peer only; may be repeated\n"
         "  --json FILE      write the results to FILE as well\n"
         "  --cores A,B      work on these cores; default: the last two of those allowed\n"
         "  --bin-dir DIR    where the workers and goallocd are; default: beside bench_run\n"
         "  --goallocd PATH  this goallocd\n"
         "  --help           this\n\n"
         "rows:");
#define GA_BENCH_HELP(name, text) printf("  %-10s %s\n", #name, text);
    GA_BENCH_ROWS(GA_BENCH_HELP)
#undef GA_BENCH_HELP
    puts("peers:");
    for (int i = GA_BENCH_GOALLOC + 1; i < GA_BENCH_COMPETITOR_COUNT; i++)
        printf("  %s\n", ga_bench_competitors[i].name);
}

static int choose_row(const char *name, struct ga_bench_plan *plan)
{
    for (int i = 0; i < GA_BENCH_ROW_COUNT; i++) {
        if (strcmp(ga_bench_row_names[i], name) == 0) {
            plan->rows[i] = true;
            return 0;
        }
    }
    fprintf(stderr, "bench_run: there is no row %s; the rows are", name);
    for (int i = 0; i < GA_BENCH_ROW_COUNT; i++)
        fprintf(stderr, " %s", ga_bench_row_names[i]);
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

static int apply(int option, struct ga_bench_plan *plan)
{
    switch (option) {
    case 'q':
        plan->runs = 5;
        plan->warmup_ms = 50;
        plan->measure_ms = 150;
        return 0;
    case 's':
        plan->smoke = true;
        plan->runs = 1;
        plan->warmup_ms = 0;
        plan->measure_ms = 1;
        return 0;
    case 'r':
        return choose_row(optarg, plan);
    case 'p':
        return choose_peer(optarg, plan);
    case 'j':
        plan->json_path = optarg;
        return 0;
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

int ga_bench_plan_parse(int argc, char **argv, struct ga_bench_plan *ret_plan)
{
    static const struct option options[] = {
        {"quick", no_argument, NULL, 'q'},          {"smoke", no_argument, NULL, 's'},
        {"row", required_argument, NULL, 'r'},      {"peer", required_argument, NULL, 'p'},
        {"json", required_argument, NULL, 'j'},     {"cores", required_argument, NULL, 'c'},
        {"bin-dir", required_argument, NULL, 'b'},  {"help", no_argument, NULL, 'h'},
        {"goallocd", required_argument, NULL, 'g'}, {NULL, 0, NULL, 0},
    };
    struct ga_bench_plan plan = {.runs = GA_BENCH_RUNS_MAX, .warmup_ms = 100, .measure_ms = 500};
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
    if (plan.goallocd[0] == '\0')
        snprintf(plan.goallocd, sizeof plan.goallocd, "%s/goallocd", plan.bin_dir);
    *ret_plan = plan;
    return 0;
}
