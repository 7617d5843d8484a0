/* The benchmark's runner. For each row it lets the competitors take turns, run by run, so that a
 * machine that gets slower or busier meanwhile does so for all of them; each run is a fresh worker
 * process, and goalloc's also has a fresh goallocd. The order is rotated by one each round, so that
 * nobody always comes after the same. Then it prints the table (report.c). Whether it ends well,
 * badly or by a signal, it ends what it started and removes what it made. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "chart.h"
#include "measure.h"
#include "process.h"
#include "report.h"

/* Keep the competitors that are there. goalloc itself and at least one peer must be. */
static int find_competitors(struct ga_bench_runner *runner)
{
    int peers = 0;
    for (int i = 0; i < GA_BENCH_COMPETITOR_COUNT; i++) {
        runner->plan.competitors[i] =
            runner->plan.competitors[i] && ga_bench_measure_can(runner, i);
        peers += i != GA_BENCH_GOALLOC && runner->plan.competitors[i];
    }
    if (access(runner->plan.goallocd, X_OK) != 0) {
        fprintf(stderr, "bench_run: %s: %s\n", runner->plan.goallocd, strerror(errno));
        return -ENOENT;
    }
    if (runner->plan.instructions && access(GA_BENCH_VALGRIND, X_OK) != 0) {
        fprintf(stderr, "bench_run: --instructions needs " GA_BENCH_VALGRIND "\n");
        return -ENOENT;
    }
    if (!runner->plan.competitors[GA_BENCH_GOALLOC] || peers == 0) {
        fprintf(stderr, "bench_run: there is nothing to compare\n");
        return -ENOENT;
    }
    return 0;
}

/* All runs of one row, the competitors taking turns. */
static int measure_row(struct ga_bench_runner *runner, int row)
{
    enum ga_bench_row_kind kind = ga_bench_rows[row].kind;
    for (unsigned run = 0; run < runner->plan.runs[kind]; run++) {
        for (unsigned turn = 0; turn < GA_BENCH_COMPETITOR_COUNT; turn++) {
            int competitor = (int)((run + turn) % GA_BENCH_COMPETITOR_COUNT);
            if (!runner->plan.competitors[competitor] || !ga_bench_can_run(competitor, kind))
                continue;
            if (runner->plan.instructions && !ga_bench_can_count(competitor, row))
                continue;
            int err = ga_bench_measure_once(runner, row, competitor, run);
            if (err < 0)
                return err;
        }
    }
    return 0;
}

static int measure_all(struct ga_bench_runner *runner)
{
    for (int row = 0; row < GA_BENCH_ROW_COUNT; row++) {
        int err = runner->plan.rows[row] ? measure_row(runner, row) : 0;
        if (err < 0)
            return err;
    }
    return 0;
}

static int write_file(const char *path,
                      int (*writer)(const char *, const struct ga_bench_results *),
                      const struct ga_bench_runner *runner)
{
    int err = path ? writer(path, &runner->results) : 0;
    if (err < 0)
        fprintf(stderr, "bench_run: cannot write %s: %s\n", path, strerror(-err));
    return err;
}

static int report(const struct ga_bench_runner *runner)
{
    const struct ga_bench_plan *plan = &runner->plan;
    ga_bench_report_table(&runner->results, stdout);
    if (plan->instructions)
        puts("\nunit: instructions per operation, by callgrind");
    else if (plan->smoke)
        puts("\nsmoke: every row ran; the numbers mean nothing");
    else
        ga_bench_report_targets(&runner->results, stdout);
    int err = write_file(plan->json_path, ga_bench_report_json, runner);
    return err < 0 ? err : write_file(plan->svg_path, ga_bench_chart_write, runner);
}

static void print_conditions(const struct ga_bench_plan *plan)
{
    printf(
        "medians of %u runs (%u where memory grows, %u of markers, %u of goalloc alone), on cores "
        "%d and %d\n",
        plan->runs[GA_BENCH_TIMED], plan->runs[GA_BENCH_GROWTH], plan->runs[GA_BENCH_MARK],
        plan->runs[GA_BENCH_OWN], plan->cores[0], plan->cores[1]);
    if (plan->cpu_time)
        puts("ns on the core: waiting for goallocd or the machine is not in them");
}

static int run(struct ga_bench_runner *runner)
{
    int err = find_competitors(runner);
    if (err < 0)
        return err;
    ga_bench_results_init(&runner->results);
    if (runner->plan.instructions)
        runner->results.unit = "ins";
    else
        print_conditions(&runner->plan);
#ifndef __OPTIMIZE__
    puts("built without optimisation: the numbers mean nothing");
#endif
    fflush(stdout);
    err = measure_all(runner);
    return err < 0 ? err : report(runner);
}

int main(int argc, char **argv)
{
    static struct ga_bench_runner runner;
    int err = ga_bench_plan_parse(argc, argv, &runner.plan);
    if (err != 0)
        return err < 0 ? 2 : 0;
    err = ga_bench_process_init();
    if (err < 0) {
        fprintf(stderr, "bench_run: cannot take signals: %s\n", strerror(-err));
        return 1;
    }
    snprintf(runner.segment, sizeof runner.segment, "goalloc.test-%d-boost", (int)getpid());
    err = run(&runner);
    ga_bench_server_stop(&runner.server);
    /* Only a worker that failed has left it. */
    shm_unlink(runner.segment);
    if (err == -EINTR)
        fprintf(stderr, "bench_run: interrupted\n");
    return err < 0 ? 1 : 0;
}
