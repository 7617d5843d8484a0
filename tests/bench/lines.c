/* The tables of rows and lines: see lines.h. */
#include "lines.h"

#include <assert.h>
#include <string.h>

#define ABOUT_TIMED(id, name, text)  {name, text, GA_BENCH_TIMED},
#define ABOUT_GROWTH(id, name, text) {name, text, GA_BENCH_GROWTH},
#define ABOUT_MARK(id, name, text)   {name, text, GA_BENCH_MARK},
#define ABOUT_OWN(id, name, text)    {name, text, GA_BENCH_OWN},
const struct ga_bench_row_about ga_bench_rows[GA_BENCH_ROW_COUNT] = {
    GA_BENCH_TIMED_ROWS(ABOUT_TIMED) GA_BENCH_GROWTH_ROWS(ABOUT_GROWTH)
        GA_BENCH_MARK_ROWS(ABOUT_MARK) GA_BENCH_OWN_ROWS(ABOUT_OWN)};

#define TIMED(id, name, limit)                                                                     \
    {                                                                                              \
        name, GA_BENCH_ROW_##id, "ns", GA_BENCH_AGAINST_BEST, limit, 0                             \
    }
#define STALL(name, limit)                                                                         \
    {                                                                                              \
        name, GA_BENCH_ROW_stall, "ns", GA_BENCH_AGAINST_BEST, limit, 0                            \
    }
#define MEMORY(id, name)                                                                           \
    {                                                                                              \
        name, GA_BENCH_ROW_##id, "x", GA_BENCH_AGAINST_MIMALLOC, 1.1, 0                            \
    }
/* 1.5 times libgc's rate. */
#define MARK(id, name, text) {name, GA_BENCH_ROW_##id, "ns", GA_BENCH_AGAINST_LIBGC, 1 / 1.5, 0},
#define BIG(name)                                                                                  \
    {                                                                                              \
        name, GA_BENCH_ROW_big, "ns", GA_BENCH_AGAINST_BASE, 1.2, name "-1"                        \
    }
#define PLAIN(id, name, unit)                                                                      \
    {                                                                                              \
        name, GA_BENCH_ROW_##id, unit, GA_BENCH_AGAINST_NOTHING, 0, 0                              \
    }
/* With so much live: the median, the longest, and what an object of it takes. */
#define PAUSES(size)                                                                               \
    PLAIN(collect_pause, "collect-pause-" size, "ns"),                                             \
        PLAIN(collect_pause, "collect-pause-" size "-max", "ns"),                                  \
        PLAIN(collect_pause, "collect-pause-" size "-object", "ns")
/* MiB that there were; until most is gone; resident over live then, of the heap object, and of all
 * three; and a churn meanwhile, before, and the slowest then. */
#define SCAVENGED(id, name)                                                                        \
    PLAIN(id, name "-filled", "MiB"),                                                              \
        {name, GA_BENCH_ROW_##id, "ns", GA_BENCH_AGAINST_NOTHING, 10e9, 0},                        \
        {name "-resident", GA_BENCH_ROW_##id, "x", GA_BENCH_AGAINST_NOTHING, 1.15, 0},             \
        PLAIN(id, name "-resident-all", "x"), {name "-churn", GA_BENCH_ROW_##id,                   \
                                               "ns",          GA_BENCH_AGAINST_BASE,               \
                                               1.0,           name "-churn-slowest"},              \
        PLAIN(id, name "-churn-without", "ns"), PLAIN(id, name "-churn-slowest", "ns")
/* Of a crowd of n: time as with one process, the server's share of a core, KiB a process. */
#define CROWD(n)                                                                                   \
    {"crowd-" #n, GA_BENCH_ROW_crowd, "ns", GA_BENCH_AGAINST_BASE, 1.1, "crowd-1"},                \
        {"crowd-" #n "-server", GA_BENCH_ROW_crowd, "%", GA_BENCH_AGAINST_NOTHING, 1.0, 0},        \
    {                                                                                              \
        "crowd-" #n "-memory", GA_BENCH_ROW_crowd, "KiB", GA_BENCH_AGAINST_NOTHING, 0, 0           \
    }

const struct ga_bench_line ga_bench_lines[] = {
    TIMED(pair, "pair", 1.0),
    TIMED(lifo, "lifo", 1.0),
    TIMED(batch, "batch", 1.0),
    TIMED(churn_4k, "churn-4k", 1.1),
    TIMED(churn_1m, "churn-1M", 1.1),
    TIMED(larson, "larson", 1.0),
    TIMED(handoff, "handoff", 0.5),
    TIMED(storm, "storm", 1.0),
    TIMED(tiny, "tiny", 1.0),
    TIMED(large, "large", 1.0),
    TIMED(realloc, "realloc", 1.0),
    STALL("stall-p50", 0),
    STALL("stall-p99", 0),
    STALL("stall-p99.9", 1.0),
    STALL("stall-max", 0),
    MEMORY(memory_batch, "memory-batch-peak"),
    MEMORY(memory_batch, "memory-batch-after"),
    MEMORY(memory_churn, "memory-churn-1M-peak"),
    MEMORY(memory_churn, "memory-churn-1M-after"),
    MEMORY(memory_mix, "memory-mix-peak"),
    MEMORY(memory_mix, "memory-mix-after"),
    GA_BENCH_MARK_ROWS(MARK){"start", GA_BENCH_ROW_start, "ns", GA_BENCH_AGAINST_DIFFERENCE, 1e6,
                             "start-without"},
    PLAIN(start, "start-without", "ns"),
    PLAIN(crowd, "crowd-1", "ns"),
    {"crowd-1-server", GA_BENCH_ROW_crowd, "%", GA_BENCH_AGAINST_NOTHING, 1.0, 0},
    PLAIN(crowd, "crowd-1-memory", "KiB"),
    CROWD(2),
    CROWD(8),
    CROWD(64),
    CROWD(256),
    CROWD(1000),
    PLAIN(big, "big-growth-1", "ns"),
    PLAIN(big, "big-batch-1", "ns"),
    PLAIN(big, "big-stats-1", "ns"),
    PAUSES("64M"),
    PAUSES("256M"),
    PAUSES("1G"),
    SCAVENGED(scavenge, "scavenge"),
    SCAVENGED(scavenge_small, "scavenge-small"),
    SCAVENGED(scavenge_left, "scavenge-left"),
    BIG("big-growth"),
    BIG("big-batch"),
    BIG("big-stats"),
};

const int ga_bench_line_count = sizeof ga_bench_lines / sizeof ga_bench_lines[0];

static_assert(sizeof ga_bench_lines / sizeof ga_bench_lines[0] <= GA_BENCH_LINES_MAX,
              "results have no room for every line");

int ga_bench_line_find(const char *name)
{
    for (int line = 0; line < ga_bench_line_count; line++)
        if (strcmp(ga_bench_lines[line].name, name) == 0)
            return line;
    return -1;
}
