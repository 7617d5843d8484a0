/* The benchmark's runner. It starts a goallocd of its own, then for each row lets the competitors
 * take turns, run by run, so that a machine that gets slower or busier meanwhile does so for all of
 * them; each run is a fresh worker process. The order is rotated by one each round, so that nobody
 * always comes after the same. Then it prints the table (report.c). Whether it ends well, badly or
 * by a signal, it ends what it started and removes what it made. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plan.h"
#include "process.h"
#include "report.h"
#include "server.h"

/* Beyond its working time; a worker that takes longer hangs. */
#define WORKER_GRACE_MS 30000

struct bench {
    struct ga_bench_plan plan;
    struct ga_bench_results results;
    struct ga_bench_server server;
    char segment[64]; /* Boost's shared memory */
};

static void worker_path(const struct bench *bench, int competitor, size_t size, char *ret_path)
{
    snprintf(ret_path, size, "%s/%s", bench->plan.bin_dir, ga_bench_competitors[competitor].worker);
}

/* Run a worker to its end and give back what it printed. Returns 0, -EINTR, -ETIMEDOUT or -EIO. */
static int run_worker(const char *const *argv, const char *preload, int err_fd, size_t size,
                      char *ret_text)
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
        err = ga_bench_process_wait(&process, -1, WORKER_GRACE_MS);
        int status = ga_bench_process_end(&process, 0);
        if (err == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
            err = -EIO;
    }
    /* One short line fits the pipe, so nothing had to be read before the end. */
    ssize_t length = err == 0 ? read(out[0], ret_text, size - 1) : 0;
    ret_text[length > 0 ? length : 0] = '\0';
    close(out[0]);
    return err;
}

static void say_failure(const struct bench *bench, int competitor, int row, int err)
{
    if (err == -EINTR)
        return;
    const char *why = err == -EIO      ? "the worker gave up"
                      : err == -EPROTO ? "the worker printed no positive number"
                                       : strerror(-err);
    fprintf(stderr, "bench_run: %s failed in row %s: %s\n", ga_bench_competitors[competitor].name,
            ga_bench_row_names[row], why);
    if (competitor == GA_BENCH_GOALLOC)
        ga_bench_server_show_log(&bench->server);
}

/* Measure row once. Returns 0 and sets *ret_ns, or a negative errno after a message. */
static int measure(const struct bench *bench, int row, int competitor, double *ret_ns)
{
    const struct ga_bench_plan *plan = &bench->plan;
    const struct ga_bench_competitor *who = &ga_bench_competitors[competitor];
    const char *name = ga_bench_row_names[row];
    char path[PATH_MAX], warmup[32], duration[32], cores[32], text[128];
    worker_path(bench, competitor, sizeof path, path);
    snprintf(warmup, sizeof warmup, "--warmup-ms=%u", plan->warmup_ms);
    snprintf(duration, sizeof duration, "--measure-ms=%u", plan->measure_ms);
    snprintf(cores, sizeof cores, "--cores=%d,%d", plan->cores[0], plan->cores[1]);
    const char *heap = competitor == GA_BENCH_BOOST ? bench->segment : bench->server.socket;
    const char *argv[] = {path,     "--row", name, warmup, duration, cores,
                          "--heap", heap,    NULL, NULL,   NULL};
    if (who->malloc_from) {
        argv[8] = "--malloc-from";
        argv[9] = who->malloc_from;
    }

    int err = run_worker(argv, who->preload, -1, sizeof text, text);
    char printed[32];
    double ns;
    if (err == 0 &&
        (sscanf(text, "%31s %lf", printed, &ns) != 2 || strcmp(printed, name) != 0 || !(ns > 0)))
        err = -EPROTO;
    if (err < 0) {
        say_failure(bench, competitor, row, err);
        return err;
    }
    *ret_ns = ns;
    return 0;
}

/* Whether competitor can run here; a peer that cannot is skipped by name. */
static bool is_present(const struct bench *bench, int competitor)
{
    const struct ga_bench_competitor *who = &ga_bench_competitors[competitor];
    char path[PATH_MAX], text[128];
    worker_path(bench, competitor, sizeof path, path);
    if (access(path, X_OK) != 0) {
        fprintf(stderr, "bench_run: %s is skipped: %s was not built\n", who->name, path);
        return false;
    }
    const char *argv[] = {path, "--probe", who->malloc_from ? "--malloc-from" : NULL,
                          who->malloc_from, NULL};
    int silence = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int err = run_worker(argv, who->preload, silence, sizeof text, text);
    if (silence >= 0)
        close(silence);
    if (err < 0 && err != -EINTR)
        fprintf(stderr, "bench_run: %s is skipped: %s\n", who->name,
                who->preload ? "its library is not installed" : "its worker does not run");
    return err == 0;
}

/* Keep the competitors that are there. goalloc itself and at least one peer must be. */
static int find_competitors(struct bench *bench)
{
    int peers = 0;
    for (int i = 0; i < GA_BENCH_COMPETITOR_COUNT; i++) {
        bench->plan.competitors[i] = bench->plan.competitors[i] && is_present(bench, i);
        peers += i != GA_BENCH_GOALLOC && bench->plan.competitors[i];
    }
    if (access(bench->plan.goallocd, X_OK) != 0) {
        fprintf(stderr, "bench_run: %s: %s\n", bench->plan.goallocd, strerror(errno));
        return -ENOENT;
    }
    if (!bench->plan.competitors[GA_BENCH_GOALLOC] || peers == 0) {
        fprintf(stderr, "bench_run: there is nothing to compare\n");
        return -ENOENT;
    }
    return 0;
}

/* All runs of one row, the competitors taking turns. */
static int measure_row(struct bench *bench, int row)
{
    for (unsigned run = 0; run < bench->plan.runs; run++) {
        for (unsigned turn = 0; turn < GA_BENCH_COMPETITOR_COUNT; turn++) {
            unsigned competitor = (run + turn) % GA_BENCH_COMPETITOR_COUNT;
            if (!bench->plan.competitors[competitor])
                continue;
            int err =
                measure(bench, row, (int)competitor, &bench->results.ns[row][competitor][run]);
            if (err < 0)
                return err;
        }
    }
    return 0;
}

static int measure_all(struct bench *bench)
{
    for (int row = 0; row < GA_BENCH_ROW_COUNT; row++) {
        int err = bench->plan.rows[row] ? measure_row(bench, row) : 0;
        if (err < 0)
            return err;
    }
    return 0;
}

static int report(const struct bench *bench)
{
    const struct ga_bench_plan *plan = &bench->plan;
    ga_bench_report_table(plan, &bench->results, stdout);
    if (plan->smoke)
        puts("\nsmoke: every row ran; the numbers mean nothing");
    else
        ga_bench_report_targets(plan, &bench->results, stdout);
    int err = plan->json_path ? ga_bench_report_json(plan, &bench->results) : 0;
    if (err < 0)
        fprintf(stderr, "bench_run: cannot write %s: %s\n", plan->json_path, strerror(-err));
    return err;
}

static int run(struct bench *bench)
{
    int err = find_competitors(bench);
    if (err < 0)
        return err;
    err = ga_bench_server_start(bench->plan.goallocd, &bench->server);
    if (err < 0)
        return err;
    printf("ns per operation, medians of %u runs, on cores %d and %d\n", bench->plan.runs,
           bench->plan.cores[0], bench->plan.cores[1]);
#ifndef __OPTIMIZE__
    puts("built without optimisation: the numbers mean nothing");
#endif
    fflush(stdout);
    err = measure_all(bench);
    return err < 0 ? err : report(bench);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    int err = ga_bench_plan_parse(argc, argv, &bench.plan);
    if (err != 0)
        return err < 0 ? 2 : 0;
    err = ga_bench_process_init();
    if (err < 0) {
        fprintf(stderr, "bench_run: cannot take signals: %s\n", strerror(-err));
        return 1;
    }
    snprintf(bench.segment, sizeof bench.segment, "goalloc-bench-%d", (int)getpid());
    err = run(&bench);
    ga_bench_server_stop(&bench.server);
    /* Only a worker that failed has left it. */
    shm_unlink(bench.segment);
    if (err == -EINTR)
        fprintf(stderr, "bench_run: interrupted\n");
    return err < 0 ? 1 : 0;
}
