/* The lines of the benchmark's table: each number that a worker reports, what it is compared with,
 * and what goalloc set out to reach. A row (rows.h) is one program's work and yields one line or
 * more. */
#ifndef GA_TESTS_BENCH_LINES_H
#define GA_TESTS_BENCH_LINES_H

#include "rows.h"

enum ga_bench_row {
#define GA_BENCH_ROW(id, name, text) GA_BENCH_ROW_##id,
    GA_BENCH_ROWS(GA_BENCH_ROW)
#undef GA_BENCH_ROW
        GA_BENCH_ROW_COUNT
};

enum ga_bench_row_kind {
    GA_BENCH_TIMED,
    GA_BENCH_GROWTH,
    GA_BENCH_MARK,
    GA_BENCH_OWN,
    GA_BENCH_KINDS
};

struct ga_bench_row_about {
    const char *name;
    const char *text;
    enum ga_bench_row_kind kind; /* which families run it */
};

extern const struct ga_bench_row_about ga_bench_rows[GA_BENCH_ROW_COUNT];

/* What limit is a limit of. */
enum ga_bench_against {
    GA_BENCH_AGAINST_BEST,     /* the ratio to the best private peer; the peers have the line too */
    GA_BENCH_AGAINST_MIMALLOC, /* the ratio to mimalloc; the peers have the line too */
    GA_BENCH_AGAINST_LIBGC,    /* the ratio to libgc; it has the line too */
    GA_BENCH_AGAINST_BASE,     /* the ratio to the line base, also goalloc's */
    GA_BENCH_AGAINST_DIFFERENCE, /* what it is more than the line base, also goalloc's */
    GA_BENCH_AGAINST_NOTHING     /* the number itself */
};

struct ga_bench_line {
    const char *name; /* as the worker reports it */
    enum ga_bench_row row;
    const char *unit;
    enum ga_bench_against against;
    double limit;     /* 0: there is no target */
    const char *base; /* NULL: none */
};

#define GA_BENCH_LINES_MAX 96

extern const struct ga_bench_line ga_bench_lines[];
extern const int ga_bench_line_count;

/* The number of a line by its name; -1: there is none. */
int ga_bench_line_find(const char *name);

#endif
