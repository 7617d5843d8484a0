/* The rows of the benchmark: what is measured. The workers build their table of work from this list
 * and the runner its lines, so a row that one of them lacks does not compile. Read by C and C++. */
#ifndef GA_TESTS_BENCH_ROWS_H
#define GA_TESTS_BENCH_ROWS_H

/* X(name, what one operation of the row is). A worker measures it in row_NAME. */
#define GA_BENCH_ROWS(X)                                                                           \
    X(pair, "malloc 64 B, write its first word, free")                                             \
    X(batch, "malloc and free of 10,000 sizes of 8..1024 B, freed in random order")                \
    X(handoff, "malloc 64 B here, read and free on another core, through a ring")

#endif
