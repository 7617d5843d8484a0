/* What every worker has in common besides the measured loops: its arguments, clock, pinning, the
 * choices made before the clock starts, and the threads and processes that help. Nothing here runs
 * inside a measured loop except the clock, once per some thousand operations. Read by C and C++. */
#ifndef GA_TESTS_BENCH_WORKER_H
#define GA_TESTS_BENCH_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GA_BENCH_BATCH_OBJECTS 10000u

/* What the runner asks of one run. */
struct ga_bench_args {
    const char *program;     /* argv[0], to start helpers with */
    const char *row;         /* the row to measure, or to help with; NULL when probe is set */
    const char *heap;        /* the family's address: a socket, a segment's name; may be NULL */
    const char *objects;     /* the name of goalloc's heap; NULL in other families */
    const char *malloc_from; /* part of the name of the library malloc must come from, or NULL */
    uint64_t warmup_ms;      /* how long to work unmeasured before */
    uint64_t measure_ms;     /* how long to measure */
    uint64_t operations;     /* not 0: instead, how much to do, for who counts instructions */
    uint64_t gib;            /* how big a heap gets in the row big */
    uint64_t crowd;          /* of how many processes the row crowd has at most */
    int cores[2];            /* the producer's (and every single thread's), the consumer's */
    pid_t server;            /* goallocd; 0 in other families */
    unsigned index;          /* of a helper among its like */
    bool help;               /* be a helper of the row */
    bool start;              /* be what the row start starts: open the heap, allocate, exit */
    bool cpu_time;           /* ga_bench_work_ns is the thread's own time */
    bool smoke;              /* only show that the row runs */
    bool probe;              /* only say whether this worker could run */
};

/* What is done for a row. */
struct ga_bench_work {
    const char *name;
    void (*run)(const struct ga_bench_args *args);
};

/* A family of allocators: how a worker opens its heap and works in it. */
struct ga_bench_family {
    const struct ga_bench_work *works; /* measure, and ga_bench_result */
    size_t work_count;
    const struct ga_bench_work *helps; /* what helper processes do */
    size_t help_count;
    void (*open)(const struct ga_bench_args *args);  /* attach, or end the worker */
    void (*close)(const struct ga_bench_args *args); /* give back what open took */
    void (*once)(void);                              /* allocate one object; or NULL */
};

/* The choices of batch and tiny, the same in every family and run. */
struct ga_bench_batch {
    uint32_t sizes[GA_BENCH_BATCH_OBJECTS]; /* in the order of allocation */
    uint32_t order[GA_BENCH_BATCH_OBJECTS]; /* indices, in the order of freeing */
};

/* A thread that helps. */
struct ga_bench_member {
    const struct ga_bench_args *args;
    void *shared;   /* what it has in common with the others */
    unsigned index; /* of it among its like, in all processes */
    void (*work)(const struct ga_bench_member *member);
    pthread_t thread;
};

/* Parse the command line, open the heap, run the row. Returns main's exit code. */
int ga_bench_worker_main(int argc, char **argv, const struct ga_bench_family *family);

/* Tell the runner one number of the row: a line of the table, by its name. */
void ga_bench_result(const char *line, double value);

/* The monotonic clock in nanoseconds. */
uint64_t ga_bench_now_ns(void);

/* What rows of one thread are timed by: the same, or the time that the thread was on a core. */
uint64_t ga_bench_work_ns(const struct ga_bench_args *args);

/* Bind the calling thread to core. Only the thread that works is bound: a thread that an allocator
 * keeps for itself runs where the kernel puts it, as it does in ordinary use. */
void ga_bench_pin(int core);

/* splitmix64, for choices that are made before the clock starts. */
uint64_t ga_bench_random(uint64_t *state);

/* Choose sizes of least..greatest, and an order. */
void ga_bench_batch_choose(uint32_t least, uint32_t greatest, struct ga_bench_batch *batch);

/* Start count threads that work, numbered from first on; members has room for them. */
void ga_bench_members_start(const struct ga_bench_member *like, unsigned first, unsigned count,
                            struct ga_bench_member *members);
/* Wait for them to end. */
void ga_bench_members_join(struct ga_bench_member *members, unsigned count);

/* Start this program again, with the same heap and cores, and with options (a list that ends with
 * NULL). */
pid_t ga_bench_spawn(const struct ga_bench_args *args, const char *const *options);

/* Start this program again as helper number index of args->row. Should it fail before
 * ga_bench_helper_join, this process ends at once instead of waiting for it for ever. */
pid_t ga_bench_helper_start(const struct ga_bench_args *args, unsigned index);

/* Wait for a process that ga_bench_spawn or ga_bench_helper_start started to end well. */
void ga_bench_helper_join(pid_t helper);

/* End the worker with a message on stderr (a printf format without a newline). */
void ga_bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#ifdef __cplusplus
}
#endif

#endif
