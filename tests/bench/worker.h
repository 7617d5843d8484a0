/* What every worker has in common besides the measured loops: its arguments, clock, pinning, the
 * precomputed choices of the batch row, and the consumer process of the hand-off. Nothing here runs
 * inside a measured loop except the clock, once per some thousand operations. Read by C and C++. */
#ifndef GA_TESTS_BENCH_WORKER_H
#define GA_TESTS_BENCH_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GA_BENCH_BATCH_OBJECTS 10000u
#define GA_BENCH_BATCH_MIN     8u
#define GA_BENCH_BATCH_MAX     1024u

/* What the runner asks of one run. */
struct ga_bench_args {
    const char *program;     /* argv[0], to start the consumer with */
    const char *row;         /* the row to measure; NULL when consume or probe is set */
    const char *heap;        /* the family's address: a socket, a segment's name; may be NULL */
    const char *malloc_from; /* part of the name of the library malloc must come from, or NULL */
    uint64_t warmup_ms;      /* how long to work unmeasured before */
    uint64_t measure_ms;     /* how long to measure */
    int cores[2];            /* the producer's (and every single thread's), the consumer's */
    bool consume;            /* be the consumer process of the hand-off */
    bool probe;              /* only say whether this worker could run */
};

/* One row's work. Returns nanoseconds per operation. */
struct ga_bench_work {
    const char *name;
    double (*run)(const struct ga_bench_args *args);
};

/* A family of allocators: how a worker opens its heap and works in it. */
struct ga_bench_family {
    const struct ga_bench_work *works;
    size_t work_count;
    void (*open)(const struct ga_bench_args *args);    /* attach, or end the worker */
    void (*close)(const struct ga_bench_args *args);   /* undo open */
    void (*consume)(const struct ga_bench_args *args); /* the consumer process; NULL: threads */
};

/* The batch row's choices, the same in every family and run. */
struct ga_bench_batch {
    uint32_t sizes[GA_BENCH_BATCH_OBJECTS]; /* in the order of allocation */
    uint32_t order[GA_BENCH_BATCH_OBJECTS]; /* indices, in the order of freeing */
};

/* Parse the command line, open the heap, run the row and print "row ns_per_op". Returns main's
 * exit code. */
int ga_bench_worker_main(int argc, char **argv, const struct ga_bench_family *family);

/* The monotonic clock in nanoseconds. */
uint64_t ga_bench_now_ns(void);

/* Bind the calling thread to core. Only the thread that works is bound: a thread that an allocator
 * keeps for itself runs where the kernel puts it, as it does in ordinary use. */
void ga_bench_pin(int core);

/* Choose sizes and order. */
void ga_bench_batch_choose(struct ga_bench_batch *batch);

/* Start this program again as the consumer of the hand-off. Should it fail before
 * ga_bench_consumer_join, this process ends at once instead of waiting for it for ever. */
pid_t ga_bench_consumer_start(const struct ga_bench_args *args);

/* Wait for the consumer to end. */
void ga_bench_consumer_join(pid_t consumer);

/* End the worker with a message on stderr (a printf format without a newline). */
void ga_bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#ifdef __cplusplus
}
#endif

#endif
