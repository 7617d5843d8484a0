/* The picture of a benchmark run: see chart.h. Horizontal bars from the line of equal speed, to the
 * left where goalloc takes less time than the peer and to the right where it takes more; on a
 * logarithmic scale, on which half the time and twice the time are equally far away. There is no
 * background, and all ink is of middle brightness, so that it can be read on light and dark. */
#include "chart.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define WIDTH      860.0
#define LEFT       90.0  /* where the scale begins; before it the rows' names */
#define RIGHT      830.0 /* where it ends */
#define TOP        84.0
#define BAR_HEIGHT 9.0
#define ROW_GAP    12.0

static const char INK[] = "#6f7a86";
static const char TARGET_INK[] = "#d1453b";

/* By competitor; goalloc itself has no bar. */
static const char *const colours[GA_BENCH_COMPETITOR_COUNT] = {
    [GA_BENCH_GLIBC] = "#8e7cc3",    [GA_BENCH_MIMALLOC] = "#3d85c6",
    [GA_BENCH_JEMALLOC] = "#2f9e8f", [GA_BENCH_TCMALLOC] = "#d08a2e",
    [GA_BENCH_BOOST] = "#9aa0a6",    [GA_BENCH_LIBGC] = "#a64d79",
};

static bool is_drawn(int line)
{
    return ga_bench_rows[ga_bench_lines[line].row].kind == GA_BENCH_TIMED;
}

/* The powers of two between which the scale lies. */
struct scale {
    double least;
    double most;
};

/* Wide enough for all ratios, unless one is far out: its bar then ends with the scale. */
static struct scale scale_of(const struct ga_bench_results *results)
{
    struct scale scale = {-2, 1};
    for (int line = 0; line < ga_bench_line_count; line++) {
        for (int peer = GA_BENCH_GOALLOC + 1; peer < GA_BENCH_COMPETITOR_COUNT; peer++) {
            struct ga_bench_summary ratio;
            if (!is_drawn(line) || !ga_bench_results_ratio(results, line, peer, &ratio))
                continue;
            scale.least = fmin(scale.least, floor(log2(ratio.median)));
            scale.most = fmax(scale.most, ceil(log2(ratio.median)));
        }
    }
    return (struct scale){fmax(scale.least, -8), fmin(scale.most, 3)};
}

/* Where a ratio lies. */
static double across(const struct scale *scale, double ratio)
{
    double x = fmin(fmax(log2(ratio), scale->least), scale->most);
    return LEFT + (x - scale->least) / (scale->most - scale->least) * (RIGHT - LEFT);
}

static unsigned bars_of(const struct ga_bench_results *results, int line)
{
    struct ga_bench_summary ratio;
    unsigned bars = 0;
    for (int peer = GA_BENCH_GOALLOC + 1; peer < GA_BENCH_COMPETITOR_COUNT; peer++)
        bars += is_drawn(line) && ga_bench_results_ratio(results, line, peer, &ratio);
    return bars;
}

static double height_of(const struct ga_bench_results *results)
{
    double height = TOP;
    for (int line = 0; line < ga_bench_line_count; line++) {
        unsigned bars = bars_of(results, line);
        height += bars > 0 ? bars * BAR_HEIGHT + ROW_GAP : 0;
    }
    return height;
}

static void draw_legend(const struct ga_bench_results *results, FILE *out)
{
    double x = LEFT;
    fprintf(out,
            "<text x=\"%.0f\" y=\"20\" font-size=\"14\">Time of goalloc over time of each "
            "allocator: left of 1 goalloc is faster</text>\n",
            LEFT);
    for (int peer = GA_BENCH_GOALLOC + 1; peer < GA_BENCH_COMPETITOR_COUNT; peer++) {
        struct ga_bench_summary ratio;
        bool drawn = false;
        for (int line = 0; line < ga_bench_line_count; line++)
            drawn |= is_drawn(line) && ga_bench_results_ratio(results, line, peer, &ratio);
        if (!drawn)
            continue;
        fprintf(out,
                "<rect x=\"%.0f\" y=\"33\" width=\"12\" height=\"12\" fill=\"%s\"/>"
                "<text x=\"%.0f\" y=\"43\">%s</text>\n",
                x, colours[peer], x + 17, ga_bench_competitors[peer].name);
        x += 105;
    }
    fprintf(out,
            "<path d=\"M%.0f 33v12\" stroke=\"%s\" stroke-width=\"2\"/>"
            "<text x=\"%.0f\" y=\"43\">target, for the best private one</text>\n",
            x + 4, TARGET_INK, x + 12);
}

static void draw_scale(const struct scale *scale, double height, FILE *out)
{
    for (double power = scale->least; power <= scale->most; power++) {
        double ratio = exp2(power), x = across(scale, ratio);
        char text[32];
        if (ratio < 1)
            snprintf(text, sizeof text, "1/%.0f", 1 / ratio);
        else
            snprintf(text, sizeof text, "%.0f", ratio);
        fprintf(out,
                "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\" font-size=\"11\">%s</text>"
                "<path d=\"M%.1f %.0fV%.0f\" stroke=\"%s\" stroke-width=\"%s\" "
                "stroke-opacity=\"%s\"/>\n",
                x, TOP - 14, text, x, TOP - 8, height - 4, INK, ratio == 1 ? "1.5" : "1",
                ratio == 1 ? "1" : "0.3");
    }
}

static void draw_row(const struct ga_bench_results *results, const struct scale *scale, int line,
                     double y, FILE *out)
{
    const struct ga_bench_line *about = &ga_bench_lines[line];
    unsigned bars = bars_of(results, line);
    double at = y;
    fprintf(out, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", LEFT - 10,
            y + bars * BAR_HEIGHT / 2 + 4, about->name);
    for (int peer = GA_BENCH_GOALLOC + 1; peer < GA_BENCH_COMPETITOR_COUNT; peer++) {
        struct ga_bench_summary ratio;
        if (!ga_bench_results_ratio(results, line, peer, &ratio))
            continue;
        double from = fmin(across(scale, ratio.median), across(scale, 1));
        double to = fmax(across(scale, ratio.median), across(scale, 1));
        fprintf(out,
                "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\">"
                "<title>%s: %.2f of %s (%.2f..%.2f)</title></rect>\n",
                from, at + 0.5, fmax(to - from, 1), BAR_HEIGHT - 1, colours[peer], about->name,
                ratio.median, ga_bench_competitors[peer].name, ratio.least, ratio.greatest);
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"8\" text-anchor=\"%s\">%.2f</text>\n",
                ratio.median < 1 ? from - 3 : to + 3, at + BAR_HEIGHT - 1.5,
                ratio.median < 1 ? "end" : "start", ratio.median);
        at += BAR_HEIGHT;
    }
    fprintf(out, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"%s\" stroke-width=\"2\"/>\n",
            across(scale, about->limit), y - 2, at + 2, TARGET_INK);
}

int ga_bench_chart_write(const char *path, const struct ga_bench_results *results)
{
    FILE *out = fopen(path, "we");
    if (!out)
        return -errno;
    struct scale scale = scale_of(results);
    double height = height_of(results), y = TOP;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
            "height=\"%.0f\" font-family=\"sans-serif\" font-size=\"12\" fill=\"%s\">\n",
            WIDTH, height, WIDTH, height, INK);
    draw_legend(results, out);
    draw_scale(&scale, height, out);
    for (int line = 0; line < ga_bench_line_count; line++) {
        unsigned bars = bars_of(results, line);
        if (bars == 0)
            continue;
        draw_row(results, &scale, line, y, out);
        y += bars * BAR_HEIGHT + ROW_GAP;
    }
    fputs("</svg>\n", out);
    bool failed = ferror(out) != 0;
    return fclose(out) != 0 || failed ? -EIO : 0;
}
