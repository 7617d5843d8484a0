/* The results of a benchmark run: see report.h. Every number shown is a median, since a run that
 * the machine disturbed should not count; the spread tells how far to trust it. */
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct summary {
    double median;
    double least;
    double greatest;
};

/* What goalloc set out to reach. */
struct target {
    const char *text;
    int row; /* -1: every row */
    int peer;
    double limit; /* of the ratio goalloc / peer */
};

static const struct target targets[] = {
    {"pair at most 3.0 times mimalloc", GA_BENCH_ROW_pair, GA_BENCH_MIMALLOC, 3.0},
    {"every row faster than Boost.Interprocess", -1, GA_BENCH_BOOST, 1.0},
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct summary summarize(const struct ga_bench_plan *plan,
                                const struct ga_bench_results *results, int row, int competitor)
{
    double sorted[GA_BENCH_RUNS_MAX];
    unsigned runs = plan->runs;
    memcpy(sorted, results->ns[row][competitor], sizeof sorted[0] * runs);
    qsort(sorted, runs, sizeof sorted[0], compare);
    double median = (sorted[(runs - 1) / 2] + sorted[runs / 2]) / 2;
    return (struct summary){.median = median, .least = sorted[0], .greatest = sorted[runs - 1]};
}

static double ratio_of(const struct ga_bench_plan *plan, const struct ga_bench_results *results,
                       int row, int peer)
{
    return summarize(plan, results, row, GA_BENCH_GOALLOC).median /
           summarize(plan, results, row, peer).median;
}

void ga_bench_report_table(const struct ga_bench_plan *plan, const struct ga_bench_results *results,
                           FILE *out)
{
    fprintf(out, "%-8s %-8s %10s %8s %6s  %-16s %s\n", "row", "peer", "goalloc ns", "peer ns",
            "ratio", "goalloc min..max", "peer min..max");
    for (int row = 0; row < GA_BENCH_ROW_COUNT; row++) {
        for (int peer = GA_BENCH_GOALLOC + 1; peer < GA_BENCH_COMPETITOR_COUNT; peer++) {
            if (!plan->rows[row] || !plan->competitors[peer])
                continue;
            struct summary own = summarize(plan, results, row, GA_BENCH_GOALLOC);
            struct summary other = summarize(plan, results, row, peer);
            char own_spread[32], other_spread[32];
            snprintf(own_spread, sizeof own_spread, "%.1f..%.1f", own.least, own.greatest);
            snprintf(other_spread, sizeof other_spread, "%.1f..%.1f", other.least, other.greatest);
            fprintf(out, "%-8s %-8s %10.1f %8.1f %6.2f  %-16s %s\n", ga_bench_row_names[row],
                    ga_bench_competitors[peer].name, own.median, other.median,
                    own.median / other.median, own_spread, other_spread);
        }
    }
}

static void report_target(const struct ga_bench_plan *plan, const struct ga_bench_results *results,
                          const struct target *target, FILE *out)
{
    int measured = 0, worst_row = 0;
    double worst = 0;
    for (int row = 0; row < GA_BENCH_ROW_COUNT; row++) {
        if (!plan->rows[row] || (target->row >= 0 && target->row != row) ||
            !plan->competitors[target->peer])
            continue;
        double ratio = ratio_of(plan, results, row, target->peer);
        if (measured++ == 0 || ratio > worst) {
            worst = ratio;
            worst_row = row;
        }
    }
    if (measured == 0)
        fprintf(out, "target: %s: not measured\n", target->text);
    else
        fprintf(out, "target: %s: %s (%s %.2f)\n", target->text,
                worst <= target->limit ? "met" : "missed", ga_bench_row_names[worst_row], worst);
}

void ga_bench_report_targets(const struct ga_bench_plan *plan,
                             const struct ga_bench_results *results, FILE *out)
{
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        report_target(plan, results, &targets[i], out);
}

int ga_bench_report_json(const struct ga_bench_plan *plan, const struct ga_bench_results *results)
{
    FILE *out = fopen(plan->json_path, "we");
    if (!out)
        return -errno;
    const char *separator = "[\n";
    for (int row = 0; row < GA_BENCH_ROW_COUNT; row++) {
        for (int peer = GA_BENCH_GOALLOC + 1; peer < GA_BENCH_COMPETITOR_COUNT; peer++) {
            if (!plan->rows[row] || !plan->competitors[peer])
                continue;
            fprintf(out,
                    "%s  {\"row\": \"%s\", \"peer\": \"%s\", \"goalloc_ns\": %.3f, "
                    "\"peer_ns\": %.3f, \"ratio\": %.4f}",
                    separator, ga_bench_row_names[row], ga_bench_competitors[peer].name,
                    summarize(plan, results, row, GA_BENCH_GOALLOC).median,
                    summarize(plan, results, row, peer).median, ratio_of(plan, results, row, peer));
            separator = ",\n";
        }
    }
    fputs("\n]\n", out);
    bool failed = ferror(out) != 0;
    return fclose(out) != 0 || failed ? -EIO : 0;
}
