/* How the results of a benchmark run are shown: see report.h. */
#include "report.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* The floor below which no row of time is to fall, over all of them. */
#define MEAN_LIMIT  1.0  /* of the geometric mean of the ratios to mimalloc */
#define WORST_LIMIT 1.25 /* of the ratio to the best private peer */
#define BOOST_LIMIT 0.05 /* of the ratio to Boost.Interprocess */

static bool is_timed(int line)
{
    return ga_bench_rows[ga_bench_lines[line].row].kind == GA_BENCH_TIMED;
}

static bool has_peers(int line)
{
    return ga_bench_rows[ga_bench_lines[line].row].kind != GA_BENCH_OWN;
}

/* Times of milliseconds would crowd the columns. */
static const char *number(double value, size_t size, char *ret_text)
{
    snprintf(ret_text, size, value < 100 ? "%.2f" : value < 10000 ? "%.1f" : "%.0f", value);
    return ret_text;
}

static void print_peers(const struct ga_bench_results *results, FILE *out)
{
    bool titled = false;
    for (int line = 0; line < ga_bench_line_count; line++) {
        for (int peer = GA_BENCH_GOALLOC + 1; peer < GA_BENCH_COMPETITOR_COUNT; peer++) {
            struct ga_bench_summary own, other, ratio;
            char texts[2][32];
            if (!has_peers(line) || !ga_bench_results_ratio(results, line, peer, &ratio))
                continue;
            if (!titled)
                fprintf(out, "\n%-28s %-9s %4s %10s %10s %8s  %s\n", "row", "peer", "unit",
                        "goalloc", "peer", "ratio", "least..greatest");
            titled = true;
            ga_bench_results_of(results, line, GA_BENCH_GOALLOC, &own);
            ga_bench_results_of(results, line, peer, &other);
            fprintf(out, "%-28s %-9s %4s %10s %10s %8.3f  %.3f..%.3f%s\n",
                    ga_bench_lines[line].name, ga_bench_competitors[peer].name,
                    ga_bench_results_unit(results, line),
                    number(own.median, sizeof texts[0], texts[0]),
                    number(other.median, sizeof texts[1], texts[1]), ratio.median, ratio.least,
                    ratio.greatest,
                    peer == ga_bench_results_best(results, line) ? "  best private" : "");
        }
    }
}

static void print_own(const struct ga_bench_results *results, FILE *out)
{
    bool titled = false;
    for (int line = 0; line < ga_bench_line_count; line++) {
        struct ga_bench_summary own;
        char text[32];
        if (has_peers(line) || !ga_bench_results_of(results, line, GA_BENCH_GOALLOC, &own))
            continue;
        if (!titled)
            fprintf(out, "\n%-28s %4s %12s  %s\n", "goalloc alone", "unit", "median",
                    "least..greatest");
        titled = true;
        fprintf(out, "%-28s %4s %12s  %.2f..%.2f\n", ga_bench_lines[line].name,
                ga_bench_results_unit(results, line), number(own.median, sizeof text, text),
                own.least, own.greatest);
    }
}

void ga_bench_report_table(const struct ga_bench_results *results, FILE *out)
{
    print_peers(results, out);
    print_own(results, out);
}

/* What a line's limit is a limit of, for people. */
static const char *against(int line, int peer)
{
    const struct ga_bench_line *about = &ga_bench_lines[line];
    if (peer >= 0)
        return ga_bench_competitors[peer].name;
    if (about->against == GA_BENCH_AGAINST_NOTHING)
        return about->unit;
    return about->base;
}

/* The targets over all rows. */
struct overall {
    double log_sum; /* of the ratios to mimalloc */
    unsigned count; /* of them */
    double worst;   /* ratio to the best private peer */
    int worst_line;
    double boost; /* greatest ratio to Boost.Interprocess */
    int boost_line;
};

static struct overall look_over(const struct ga_bench_results *results)
{
    struct overall overall = {.worst_line = -1, .boost_line = -1};
    for (int line = 0; line < ga_bench_line_count; line++) {
        struct ga_bench_summary ratio;
        if (!is_timed(line))
            continue;
        if (ga_bench_results_ratio(results, line, GA_BENCH_MIMALLOC, &ratio)) {
            overall.log_sum += log(ratio.median);
            overall.count++;
        }
        int best = ga_bench_results_best(results, line);
        if (best >= 0 && ga_bench_results_ratio(results, line, best, &ratio) &&
            ratio.median > overall.worst) {
            overall.worst = ratio.median;
            overall.worst_line = line;
        }
        if (ga_bench_results_ratio(results, line, GA_BENCH_BOOST, &ratio) &&
            ratio.median > overall.boost) {
            overall.boost = ratio.median;
            overall.boost_line = line;
        }
    }
    return overall;
}

/* How many targets there were, and which were missed. */
struct tally {
    unsigned met;
    unsigned missed;
    char names[1024]; /* of the missed */
};

static const char *count_target(struct tally *tally, const char *name, bool met)
{
    if (met) {
        tally->met++;
        return "met";
    }
    tally->missed++;
    size_t used = strlen(tally->names);
    snprintf(tally->names + used, sizeof tally->names - used, "%s%s", used > 0 ? ", " : "", name);
    return "missed";
}

static void print_overall(const struct ga_bench_results *results, struct tally *tally, FILE *out)
{
    struct overall overall = look_over(results);
    if (overall.count > 0) {
        double mean = exp(overall.log_sum / overall.count);
        fprintf(out, "geometric mean of %u ratios to mimalloc: %.3f, at most %.2f: %s\n",
                overall.count, mean, MEAN_LIMIT, count_target(tally, "mean", mean <= MEAN_LIMIT));
    }
    if (overall.worst_line >= 0)
        fprintf(out, "greatest ratio to the best private peer: %.3f (%s), at most %.2f: %s\n",
                overall.worst, ga_bench_lines[overall.worst_line].name, WORST_LIMIT,
                count_target(tally, "worst", overall.worst <= WORST_LIMIT));
    if (overall.boost_line >= 0)
        fprintf(out, "greatest ratio to Boost.Interprocess: %.3f (%s), at most %.2f: %s\n",
                overall.boost, ga_bench_lines[overall.boost_line].name, BOOST_LIMIT,
                count_target(tally, "boost", overall.boost <= BOOST_LIMIT));
}

void ga_bench_report_targets(const struct ga_bench_results *results, FILE *out)
{
    struct tally tally = {0};
    fprintf(out, "\n%-28s %-15s %10s  %-20s %9s\n", "target", "against", "is", "least..greatest",
            "at most");
    for (int line = 0; line < ga_bench_line_count; line++) {
        struct ga_bench_verdict verdict;
        char spread[64], is[32], limit[32];
        double scale = ga_bench_lines[line].against == GA_BENCH_AGAINST_DIFFERENCE ? 1e6 : 1;
        if (ga_bench_lines[line].limit == 0 || !ga_bench_results_judge(results, line, &verdict))
            continue;
        const char *suffix = scale == 1 ? "" : " ms";
        snprintf(is, sizeof is, "%.3f%s", verdict.value.median / scale, suffix);
        snprintf(limit, sizeof limit, "%.2f%s", ga_bench_lines[line].limit / scale, suffix);
        snprintf(spread, sizeof spread, "%.3f..%.3f", verdict.value.least / scale,
                 verdict.value.greatest / scale);
        fprintf(out, "%-28s %-15s %10s  %-20s %9s  %s\n", ga_bench_lines[line].name,
                against(line, verdict.peer), is, spread, limit,
                count_target(&tally, ga_bench_lines[line].name, verdict.met));
    }
    fputc('\n', out);
    print_overall(results, &tally, out);
    fprintf(out, "targets met: %u of %u%s%s\n", tally.met, tally.met + tally.missed,
            tally.missed > 0 ? "; missed: " : "", tally.names);
}

/* What an object of the array is about. */
struct named {
    const char *row;
    const char *peer;
    const char *unit;
};

/* JSON has no infinity, which a peer that keeps no memory at all leads to. */
static void print_field(FILE *out, const char *name, double value)
{
    if (isfinite(value))
        fprintf(out, ", \"%s\": %.4f", name, value);
    else
        fprintf(out, ", \"%s\": null", name);
}

/* One object of the array; what is no time has no nanoseconds. */
static void print_object(FILE *out, const char **separator, const struct named *named, double own,
                         double other, const struct ga_bench_summary *ratio)
{
    bool time = strcmp(named->unit, "ns") == 0;
    fprintf(out, "%s  {\"row\": \"%s\", \"peer\": \"%s\", \"unit\": \"%s\"", *separator, named->row,
            named->peer, named->unit);
    print_field(out, "goalloc_ns", time ? own : NAN);
    print_field(out, "peer_ns", time ? other : NAN);
    if (!time) {
        print_field(out, "goalloc", own);
        print_field(out, "peer", other);
    }
    print_field(out, "ratio", ratio->median);
    print_field(out, "ratio_least", ratio->least);
    print_field(out, "ratio_greatest", ratio->greatest);
    fputc('}', out);
    *separator = ",\n";
}

static void print_line_objects(FILE *out, const char **separator,
                               const struct ga_bench_results *results, int line)
{
    struct ga_bench_summary own, other, ratio;
    for (int peer = GA_BENCH_GOALLOC + 1; peer < GA_BENCH_COMPETITOR_COUNT; peer++) {
        if (!ga_bench_results_ratio(results, line, peer, &ratio))
            continue;
        ga_bench_results_of(results, line, GA_BENCH_GOALLOC, &own);
        ga_bench_results_of(results, line, peer, &other);
        struct named named = {ga_bench_lines[line].name, ga_bench_competitors[peer].name,
                              ga_bench_results_unit(results, line)};
        print_object(out, separator, &named, own.median, other.median, &ratio);
    }
}

/* What goalloc ran alone: its peer is the line it is compared with. */
static void print_own_object(FILE *out, const char **separator,
                             const struct ga_bench_results *results, int line)
{
    const struct ga_bench_line *about = &ga_bench_lines[line];
    struct ga_bench_summary own, base;
    if (!about->base || !ga_bench_results_of(results, line, GA_BENCH_GOALLOC, &own) ||
        !ga_bench_results_of(results, ga_bench_line_find(about->base), GA_BENCH_GOALLOC, &base))
        return;
    struct ga_bench_summary ratio = {own.median / base.median, own.least / base.greatest,
                                     own.greatest / base.least};
    struct named named = {about->name, about->base, about->unit};
    print_object(out, separator, &named, own.median, base.median, &ratio);
}

int ga_bench_report_json(const char *path, const struct ga_bench_results *results)
{
    FILE *out = fopen(path, "we");
    if (!out)
        return -errno;
    const char *separator = "\n";
    fputc('[', out);
    for (int line = 0; line < ga_bench_line_count; line++) {
        if (has_peers(line))
            print_line_objects(out, &separator, results, line);
        else
            print_own_object(out, &separator, results, line);
    }
    fputs("\n]\n", out);
    bool failed = ferror(out) != 0;
    return fclose(out) != 0 || failed ? -EIO : 0;
}
