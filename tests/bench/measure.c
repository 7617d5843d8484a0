/* One run of one competitor: see measure.h. */
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

/* Beyond its working time; a worker that takes longer hangs. */
#define WORKER_GRACE_MS 60000
/* What filling a GiB of heap may take. */
#define GIB_GRACE_MS 60000

/* callgrind makes a worker slower by a factor of 50 to 100. */
#define CALLGRIND_GRACE_MS 600000

/* More than any row needs but big and those of scavenging: a limit only keeps a runaway from
 * filling the memory. */
#define HEAP_LIMIT_GIB 4u

static void worker_path(const struct ga_bench_runner *runner, const char *worker, size_t size,
                        char *ret_path)
{
    snprintf(ret_path, size, "%s/%s", runner->plan.bin_dir, worker);
}

/* The marker is measured without one. */
static bool has_server(int row, int competitor)
{
    return competitor == GA_BENCH_GOALLOC && ga_bench_rows[row].kind != GA_BENCH_MARK;
}

/* Run a worker to its end and give back what it printed. Returns 0, -EINTR, -ETIMEDOUT or -EIO. */
static int run_worker(const char *const *argv, const char *preload, int err_fd, int timeout_ms,
                      size_t size, char *ret_text)
{
    int out[2];
    if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    struct ga_bench_command command = {
        .argv = argv, .preload = preload, .out_fd = out[1], .err_fd = err_fd, .kept_fd = -1};
    struct ga_bench_process process;
    int err = ga_bench_process_start(&command, &process);
    close(out[1]);
    if (err == 0) {
        err = ga_bench_process_wait(&process, -1, timeout_ms);
        int status = ga_bench_process_end(&process, 0);
        if (err == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
            err = -EIO;
    }
    /* Some short lines fit the pipe, so nothing had to be read before the end. */
    ssize_t length = err == 0 ? read(out[0], ret_text, size - 1) : 0;
    ret_text[length > 0 ? length : 0] = '\0';
    close(out[0]);
    return err;
}

static void say_failure(const struct ga_bench_runner *runner, int competitor, int row, int err)
{
    if (err == -EINTR)
        return;
    const char *why = err == -EIO      ? "the worker gave up"
                      : err == -EPROTO ? "the worker reported no number, or an unknown one"
                                       : strerror(-err);
    fprintf(stderr, "bench_run: %s failed in row %s: %s\n", ga_bench_competitors[competitor].name,
            ga_bench_rows[row].name, why);
    if (has_server(row, competitor))
        ga_bench_server_show_log(&runner->server);
}

/* Take the lines that a worker printed as the results of this run. Returns 0 or -EPROTO. */
static int take_results(struct ga_bench_runner *runner, int row, int competitor, unsigned run,
                        char *text)
{
    int count = 0;
    char *rest = text, *word;
    for (; (word = strtok_r(rest, "\n", &rest)); count++) {
        char name[32];
        double value;
        if (sscanf(word, "%31s %lf", name, &value) != 2 || !(value >= 0))
            return -EPROTO;
        int line = ga_bench_line_find(name);
        if (line < 0 || (int)ga_bench_lines[line].row != row)
            return -EPROTO;
        runner->results.values[line][competitor][run] = value;
    }
    return count > 0 ? 0 : -EPROTO;
}

/* The arguments of a worker, and room for those that are made. */
struct arguments {
    char path[PATH_MAX];
    char texts[7][32];
    const char *argv[32];
};

static int prepare_valgrind(uint64_t operations, struct arguments *ret)
{
    int n = 0;
    ret->argv[n++] = GA_BENCH_VALGRIND;
    ret->argv[n++] = "--tool=callgrind";
    ret->argv[n++] = "--callgrind-out-file=/dev/null";
    ret->argv[n++] = "--log-fd=1";
    ret->argv[n++] = ret->path;
    snprintf(ret->texts[6], sizeof ret->texts[6], "--operations=%lu", operations);
    ret->argv[n++] = ret->texts[6];
    return n;
}

/* operations: 0, or how many are to be done under callgrind. */
static void prepare(const struct ga_bench_runner *runner, int row, int competitor,
                    uint64_t operations, struct arguments *ret)
{
    const struct ga_bench_plan *plan = &runner->plan;
    const struct ga_bench_competitor *who = &ga_bench_competitors[competitor];
    bool own = has_server(row, competitor);
    int n = 0;
    worker_path(runner, ga_bench_worker_of(competitor, ga_bench_rows[row].kind), sizeof ret->path,
                ret->path);
    snprintf(ret->texts[0], sizeof ret->texts[0], "--warmup-ms=%u", plan->warmup_ms);
    snprintf(ret->texts[1], sizeof ret->texts[1], "--measure-ms=%u", plan->measure_ms);
    snprintf(ret->texts[2], sizeof ret->texts[2], "--cores=%d,%d", plan->cores[0], plan->cores[1]);
    snprintf(ret->texts[3], sizeof ret->texts[3], "--gib=%u", plan->gib);
    snprintf(ret->texts[4], sizeof ret->texts[4], "--crowd=%u", plan->crowd);
    snprintf(ret->texts[5], sizeof ret->texts[5], "--server=%d", (int)runner->server.process.pid);
    if (operations > 0)
        n = prepare_valgrind(operations, ret);
    else
        ret->argv[n++] = ret->path;
    ret->argv[n++] = "--row";
    ret->argv[n++] = ga_bench_rows[row].name;
    for (int i = 0; i < (own ? 6 : 5); i++)
        ret->argv[n++] = ret->texts[i];
    ret->argv[n++] = "--heap";
    ret->argv[n++] = own ? runner->server.socket : runner->segment;
    if (own) {
        ret->argv[n++] = "--objects";
        ret->argv[n++] = runner->server.heap;
    }
    if (who->malloc_from) {
        ret->argv[n++] = "--malloc-from";
        ret->argv[n++] = who->malloc_from;
    }
    if (plan->cpu_time)
        ret->argv[n++] = "--cpu-time";
    if (plan->smoke)
        ret->argv[n++] = "--smoke";
    ret->argv[n] = NULL;
}

/* Run the worker once, its server being there where it needs one. */
static int measure_time(struct ga_bench_runner *runner, int row, int competitor, unsigned run)
{
    struct arguments arguments;
    char text[4096];
    int timeout_ms = WORKER_GRACE_MS;
    if (ga_bench_rows[row].kind != GA_BENCH_TIMED)
        timeout_ms += (int)runner->plan.gib * GIB_GRACE_MS;
    prepare(runner, row, competitor, 0, &arguments);
    int err = run_worker(arguments.argv, ga_bench_competitors[competitor].preload, -1, timeout_ms,
                         sizeof text, text);
    return err < 0 ? err : take_results(runner, row, competitor, run, text);
}

/* All instructions of a worker that does about so many operations, and how many it did. */
static int count_worker(struct ga_bench_runner *runner, int row, int competitor, uint64_t about,
                        double *ret_instructions, double *ret_operations)
{
    struct arguments arguments;
    char text[4096];
    prepare(runner, row, competitor, about, &arguments);
    int err = run_worker(arguments.argv, ga_bench_competitors[competitor].preload, -1,
                         CALLGRIND_GRACE_MS, sizeof text, text);
    if (err < 0)
        return err;
    const char *collected = strstr(text, "Collected :"), *operations = strstr(text, "operations ");
    if (!collected || !operations || sscanf(collected, "Collected : %lf", ret_instructions) != 1 ||
        sscanf(operations, "operations %lf", ret_operations) != 1)
        return -EPROTO;
    return 0;
}

/* The same row in two lengths: what the longer one takes more, its start and end do not count. */
static int measure_instructions(struct ga_bench_runner *runner, int row, int competitor,
                                unsigned run)
{
    double instructions[2], operations[2];
    bool heavy = row == GA_BENCH_ROW_large || row == GA_BENCH_ROW_realloc;
    uint64_t about = heavy ? 2000 : 100000;
    for (unsigned i = 0; i < 2; i++) {
        int err = count_worker(runner, row, competitor, about * (i + 1), &instructions[i],
                               &operations[i]);
        if (err < 0)
            return err;
    }
    int line = ga_bench_line_find(ga_bench_rows[row].name);
    runner->results.values[line][competitor][run] =
        (instructions[1] - instructions[0]) / (operations[1] - operations[0]);
    return 0;
}

int ga_bench_measure_once(struct ga_bench_runner *runner, int row, int competitor, unsigned run)
{
    int err = 0;
    if (has_server(row, competitor)) {
        bool more = row == GA_BENCH_ROW_big || row == GA_BENCH_ROW_scavenge ||
                    row == GA_BENCH_ROW_scavenge_small || row == GA_BENCH_ROW_scavenge_left;
        unsigned limit = HEAP_LIMIT_GIB + (more ? 2 * runner->plan.gib : 0);
        err = ga_bench_server_start(runner->plan.goallocd, limit, &runner->server);
        if (err < 0)
            return err;
    }
    err = runner->plan.instructions ? measure_instructions(runner, row, competitor, run)
                                    : measure_time(runner, row, competitor, run);
    if (err < 0)
        say_failure(runner, competitor, row, err);
    if (has_server(row, competitor))
        ga_bench_server_stop(&runner->server);
    return err;
}

bool ga_bench_measure_can(const struct ga_bench_runner *runner, int competitor)
{
    const struct ga_bench_competitor *who = &ga_bench_competitors[competitor];
    char path[PATH_MAX], text[128];
    worker_path(runner, who->worker, sizeof path, path);
    if (access(path, X_OK) != 0) {
        fprintf(stderr, "bench_run: %s is skipped: %s was not built\n", who->name, path);
        return false;
    }
    const char *argv[] = {path, "--probe", who->malloc_from ? "--malloc-from" : NULL,
                          who->malloc_from, NULL};
    int silence = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int err = run_worker(argv, who->preload, silence, WORKER_GRACE_MS, sizeof text, text);
    if (silence >= 0)
        close(silence);
    if (err < 0 && err != -EINTR)
        fprintf(stderr, "bench_run: %s is skipped: %s\n", who->name,
                who->preload ? "its library is not installed" : "its worker does not run");
    return err == 0;
}
