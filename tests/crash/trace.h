/* A process under ptrace: run to a place, one instruction at a time or with breakpoints, and killed
 * there. A trace is what one run of an operation did, instruction by instruction; the runs after it
 * are brought to one of its points. */
#ifndef GA_TESTS_CRASH_TRACE_H
#define GA_TESTS_CRASH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where the traced code marks the beginning and the end of an operation. */
#define GA_CRASH_MARK() __asm__ volatile("int3" ::: "memory")

/* A function that does much and changes nothing that others see, but for what it calls of another
 * one: it is carried out in one piece, and the other in steps. */
struct ga_trace_over {
    uint64_t function; /* 0 = none */
    uint64_t but;      /* the other */
    uint64_t end;      /* where function returns to; 0 = the tracee is not in it */
    uint64_t back;     /* where the other returns to; 0 = it is not in that */
};

struct ga_tracee {
    pid_t pid; /* of the process */
    pid_t tid; /* of its thread that is traced */
    struct ga_trace_over over;
};

enum ga_stop {
    GA_STOP_STEP,  /* an instruction was carried out */
    GA_STOP_BREAK, /* at a breakpoint, or a mark */
    GA_STOP_ENDED, /* the thread, or the process, is gone */
};

struct ga_trace {
    uint64_t *rip;   /* of the instruction that comes after k others */
    uint32_t *times; /* how often that address had come by then, this time included */
    uint8_t *event;  /* it is a system call, or changes shared memory */
    uint32_t count;  /* instructions; after so many the operation has ended */
    bool until_wait; /* it ends where the thread waits for events */
};

/* Whether tracing is allowed here. */
bool ga_trace_is_allowed(void);

/* In the child, before a mark: its parent traces this thread. */
void ga_trace_me(void);
/* Wait until the child, or a thread of it, is at its first mark. False if it ended before. */
bool ga_trace_await_mark(struct ga_tracee *tracee, pid_t pid);
/* Begin to trace thread tid of a running process; it is stopped afterwards. */
bool ga_trace_seize(struct ga_tracee *tracee, pid_t pid, pid_t tid);
/* Let it go, untraced. */
void ga_trace_let_go(const struct ga_tracee *tracee);
/* Wait until the stopped process, let run, comes to address; false if it ends, or is silent for
 * long. */
bool ga_trace_run_to(const struct ga_tracee *tracee, uint64_t address);
/* Let it run to its next mark, or its end. */
void ga_trace_run_out(const struct ga_tracee *tracee);
/* Kill the process and wait for its end. */
void ga_trace_kill(const struct ga_tracee *tracee);

/* Carry out one instruction. */
enum ga_stop ga_trace_step(struct ga_tracee *tracee);

/* Record the operation from where the tracee stands to its end: a mark, or (of a server) the next
 * wait for events. changed: whether shared memory is another than when it was last asked; it is
 * asked after each instruction. The tracee is at the operation's end afterwards. */
bool ga_trace_record(struct ga_tracee *tracee, bool until_wait, bool (*changed)(void *data),
                     void *data, struct ga_trace *ret);
void ga_trace_free(struct ga_trace *trace);

/* Bring a tracee that stands at the operation's beginning to after k instructions of the trace.
 * Returns false if it has ended on the way (a thread that is not traced met a breakpoint): then it
 * is to be tried again, with by_steps. *ret_drifted: it stands somewhere else, since this run took
 * another way; that is as good a place to be killed at. */
bool ga_trace_go_to(struct ga_tracee *tracee, const struct ga_trace *trace, uint32_t k,
                    bool by_steps, bool *ret_drifted);

/* Where the process's program has function name; 0 where it has none. */
uint64_t ga_trace_find_function(pid_t pid, const char *program, const char *name);
/* "function+offset" for an address in a program or library that the process has mapped. */
void ga_trace_describe(pid_t pid, uint64_t address, char *ret, size_t bytes);

#endif
