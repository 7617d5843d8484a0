/* The numbers of a benchmark run: see results.h. */
#include "results.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts values. */
static struct ga_bench_summary summarize(double *values, size_t count)
{
    qsort(values, count, sizeof values[0], compare);
    return (struct ga_bench_summary){.median = (values[(count - 1) / 2] + values[count / 2]) / 2,
                                     .least = values[0],
                                     .greatest = values[count - 1]};
}

void ga_bench_results_init(struct ga_bench_results *results)
{
    results->unit = NULL;
    for (int line = 0; line < GA_BENCH_LINES_MAX; line++)
        for (int competitor = 0; competitor < GA_BENCH_COMPETITOR_COUNT; competitor++)
            for (int run = 0; run < GA_BENCH_RUNS_MAX; run++)
                results->values[line][competitor][run] = NAN;
}

const char *ga_bench_results_unit(const struct ga_bench_results *results, int line)
{
    return results->unit ? results->unit : ga_bench_lines[line].unit;
}

bool ga_bench_results_of(const struct ga_bench_results *results, int line, int competitor,
                         struct ga_bench_summary *ret_summary)
{
    double values[GA_BENCH_RUNS_MAX];
    size_t count = 0;
    for (int run = 0; run < GA_BENCH_RUNS_MAX; run++)
        if (!isnan(results->values[line][competitor][run]))
            values[count++] = results->values[line][competitor][run];
    if (count > 0)
        *ret_summary = summarize(values, count);
    return count > 0;
}

bool ga_bench_results_ratio(const struct ga_bench_results *results, int line, int peer,
                            struct ga_bench_summary *ret_ratio)
{
    struct ga_bench_summary own, other;
    double ratios[GA_BENCH_RUNS_MAX];
    size_t count = 0;
    if (!ga_bench_results_of(results, line, GA_BENCH_GOALLOC, &own) ||
        !ga_bench_results_of(results, line, peer, &other))
        return false;
    for (int run = 0; run < GA_BENCH_RUNS_MAX; run++) {
        double ratio =
            results->values[line][GA_BENCH_GOALLOC][run] / results->values[line][peer][run];
        if (!isnan(ratio))
            ratios[count++] = ratio;
    }
    *ret_ratio = summarize(ratios, count);
    ret_ratio->median = own.median / other.median;
    return true;
}

int ga_bench_results_best(const struct ga_bench_results *results, int line)
{
    struct ga_bench_summary summary;
    double least = INFINITY;
    int best = -1;
    for (int peer = 0; peer < GA_BENCH_COMPETITOR_COUNT; peer++) {
        if (!ga_bench_is_private(peer) || !ga_bench_results_of(results, line, peer, &summary) ||
            summary.median >= least)
            continue;
        least = summary.median;
        best = peer;
    }
    return best;
}

/* The line against another of goalloc's own. */
static bool judge_base(const struct ga_bench_results *results, int line,
                       struct ga_bench_verdict *verdict)
{
    const struct ga_bench_line *about = &ga_bench_lines[line];
    struct ga_bench_summary own, base;
    int base_line = ga_bench_line_find(about->base);
    if (!ga_bench_results_of(results, line, GA_BENCH_GOALLOC, &own) ||
        !ga_bench_results_of(results, base_line, GA_BENCH_GOALLOC, &base))
        return false;
    double values[GA_BENCH_RUNS_MAX];
    size_t count = 0;
    bool ratio = about->against == GA_BENCH_AGAINST_BASE;
    for (int run = 0; run < GA_BENCH_RUNS_MAX; run++) {
        double x = results->values[line][GA_BENCH_GOALLOC][run];
        double y = results->values[base_line][GA_BENCH_GOALLOC][run];
        if (!isnan(x) && !isnan(y))
            values[count++] = ratio ? x / y : x - y;
    }
    if (count == 0)
        return false;
    verdict->value = summarize(values, count);
    verdict->value.median = ratio ? own.median / base.median : own.median - base.median;
    return true;
}

bool ga_bench_results_judge(const struct ga_bench_results *results, int line,
                            struct ga_bench_verdict *ret_verdict)
{
    const struct ga_bench_line *about = &ga_bench_lines[line];
    struct ga_bench_verdict verdict = {.peer = -1};
    bool measured;
    switch (about->against) {
    case GA_BENCH_AGAINST_BEST:
    case GA_BENCH_AGAINST_MIMALLOC:
        verdict.peer = about->against == GA_BENCH_AGAINST_BEST
                           ? ga_bench_results_best(results, line)
                           : GA_BENCH_MIMALLOC;
        measured = verdict.peer >= 0 &&
                   ga_bench_results_ratio(results, line, verdict.peer, &verdict.value);
        break;
    case GA_BENCH_AGAINST_LIBGC:
        verdict.peer = GA_BENCH_LIBGC;
        measured = ga_bench_results_ratio(results, line, GA_BENCH_LIBGC, &verdict.value);
        break;
    case GA_BENCH_AGAINST_BASE:
    case GA_BENCH_AGAINST_DIFFERENCE:
        measured = judge_base(results, line, &verdict);
        break;
    default:
        measured = ga_bench_results_of(results, line, GA_BENCH_GOALLOC, &verdict.value);
    }
    if (!measured)
        return false;
    verdict.met = about->limit == 0 || verdict.value.median <= about->limit;
    *ret_verdict = verdict;
    return true;
}
