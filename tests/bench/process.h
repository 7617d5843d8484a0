/* Starting, awaiting and ending the runner's child processes. Each is the leader of a process group
 * of its own, so that ending it ends what it started, and none outlives the runner. The signals
 * that interrupt the runner are taken here, at the only place where it waits. Not thread-safe: the
 * runner has one thread. */
#ifndef GA_TESTS_BENCH_PROCESS_H
#define GA_TESTS_BENCH_PROCESS_H

#include <sys/types.h>

struct ga_bench_process {
    pid_t pid; /* 0: none */
    int pidfd;
};

struct ga_bench_command {
    const char *const *argv; /* argv[0] is the program's path; ends with NULL */
    const char *preload;     /* LD_PRELOAD; NULL: unset */
    int out_fd;              /* becomes its stdout; -1: the runner's */
    int err_fd;              /* becomes its stderr; -1: the runner's */
    int kept_fd;             /* stays open under its number; -1: none */
};

/* From now on SIGINT, SIGTERM and SIGHUP end waiting instead of the runner. Returns 0 or a negative
 * errno. */
int ga_bench_process_init(void);

/* Start command. Returns 0 and sets *ret_process, or a negative errno. */
int ga_bench_process_start(const struct ga_bench_command *command,
                           struct ga_bench_process *ret_process);

/* Wait until process has ended or fd (-1: none) can be read, at most timeout_ms.
 * Returns 0, -ETIMEDOUT, or -EINTR: the runner was told to end. */
int ga_bench_process_wait(const struct ga_bench_process *process, int fd, int timeout_ms);

/* End process and its group: SIGTERM, grace_ms later SIGKILL (0: at once). What has ended already
 * is only collected. Returns its wait status; does nothing when there is none. */
int ga_bench_process_end(struct ga_bench_process *process, int grace_ms);

#endif
