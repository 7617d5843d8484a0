/* What a benchmark run is to do: the rows, the competitors and the command line that chooses among
 * them. */
#ifndef GA_TESTS_BENCH_PLAN_H
#define GA_TESTS_BENCH_PLAN_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "lines.h"

#define GA_BENCH_RUNS_MAX 9

/* goalloc comes first; the others are its peers. */
enum ga_bench_competitor_id {
    GA_BENCH_GOALLOC,
    GA_BENCH_GLIBC,
    GA_BENCH_MIMALLOC,
    GA_BENCH_JEMALLOC,
    GA_BENCH_TCMALLOC,
    GA_BENCH_BOOST,
    GA_BENCH_LIBGC,
    GA_BENCH_COMPETITOR_COUNT
};

struct ga_bench_competitor {
    const char *name;        /* as --peer takes it */
    const char *worker;      /* the worker's file name */
    const char *preload;     /* preloaded into the worker; NULL: nothing */
    const char *malloc_from; /* part of the name of the library that malloc must come from */
};

struct ga_bench_plan {
    bool quick;        /* few and short runs */
    bool smoke;        /* only see that everything runs */
    bool instructions; /* count instructions instead of measuring time */
    bool cpu_time;     /* measure the time that the working thread is on its core */
    bool rows[GA_BENCH_ROW_COUNT];
    bool named[GA_BENCH_ROW_COUNT]; /* of the rows, by its full name */
    bool competitors[GA_BENCH_COMPETITOR_COUNT];
    unsigned
        runs[GA_BENCH_KINDS]; /* of each competitor, by the kind of row; 1..GA_BENCH_RUNS_MAX */
    unsigned warmup_ms;
    unsigned measure_ms;
    unsigned gib;   /* how big the heap gets in the row big */
    unsigned crowd; /* how many processes the row crowd has at most */
    int cores[2];
    const char *json_path; /* NULL: none */
    const char *svg_path;  /* NULL: none */
    char bin_dir[PATH_MAX - 64];
    char goallocd[PATH_MAX];
};

extern const struct ga_bench_competitor ga_bench_competitors[GA_BENCH_COMPETITOR_COUNT];

/* Whether this competitor is one that can run rows of this kind. */
bool ga_bench_can_run(int competitor, enum ga_bench_row_kind kind);

/* The file name of the program that runs rows of this kind for the competitor. */
const char *ga_bench_worker_of(int competitor, enum ga_bench_row_kind kind);

/* Whether it is an allocator of one process's own memory. */
bool ga_bench_is_private(int competitor);

/* Whether a row's instructions can be counted: it has one thread and a time for each operation.
 * Boost.Interprocess would need minutes to fill a heap with a million objects under callgrind. */
bool ga_bench_can_count(int competitor, int row);

/* Whether a row has one thread, and a time for each operation or object. */
bool ga_bench_has_one_thread(int row);

/* Parse the command line. Returns 0 and fills *ret_plan; 1: help was printed, nothing is to be
 * done; or -EINVAL and the like, after a message on stderr. */
int ga_bench_plan_parse(int argc, char **argv, struct ga_bench_plan *ret_plan);

#endif
