/* The steps. A step costs two switches between processes; so a point far inside an operation is
 * reached by a breakpoint on an instruction shortly before it, and the rest in steps. */
#include "crash/trace.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INT3           UINT64_C(0xcc)
#define SYSCALL_OPCODE UINT64_C(0x050f)
#define RECORD_MAX     3000000u
#define COMING_MS      10000u /* until an operation begins */
#define SILENCE_MS     1000u  /* until the next instruction that is waited for */

bool ga_trace_is_allowed(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1);
    int status = 1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

void ga_trace_me(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(3);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_kernel_trap(pid_t tid)
{
    siginfo_t info;
    return ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) == 0 && info.si_code == SI_KERNEL;
}

static uint64_t get_rip(pid_t tid)
{
    return (uint64_t)ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user_regs_struct, rip), NULL);
}

static void set_rip(pid_t tid, uint64_t rip)
{
    ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rip), rip);
}

static uint64_t peek(pid_t tid, uint64_t address)
{
    return (uint64_t)ptrace(PTRACE_PEEKTEXT, tid, address, NULL);
}

bool ga_trace_await_mark(struct ga_tracee *tracee, pid_t pid)
{
    /* It may be a thread of pid that stops: one that was created, so __WALL. */
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR)
            continue;
        if (tid < 0 || (tid == pid && !WIFSTOPPED(status)))
            return false;
        if (!WIFSTOPPED(status))
            continue;
        if (WSTOPSIG(status) == SIGTRAP && is_kernel_trap(tid)) {
            *tracee = (struct ga_tracee){.pid = pid, .tid = tid};
            ptrace(PTRACE_SETOPTIONS, tid, NULL, PTRACE_O_EXITKILL);
            return true;
        }
        ptrace(PTRACE_CONT, tid, NULL, (long)WSTOPSIG(status));
    }
}

bool ga_trace_seize(struct ga_tracee *tracee, pid_t pid, pid_t tid)
{
    int status;
    *tracee = (struct ga_tracee){.pid = pid, .tid = tid};
    return ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_EXITKILL) == 0 &&
           ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0 && waitpid(tid, &status, __WALL) == tid &&
           WIFSTOPPED(status);
}

void ga_trace_let_go(const struct ga_tracee *tracee)
{
    ptrace(PTRACE_DETACH, tracee->tid, NULL, NULL);
}

void ga_trace_kill(const struct ga_tracee *tracee)
{
    int status;
    kill(tracee->pid, SIGKILL);
    if (tracee->tid != tracee->pid)
        while (waitpid(tracee->tid, &status, __WALL) > 0 && WIFSTOPPED(status))
            continue;
    while (waitpid(tracee->pid, &status, __WALL) > 0 && WIFSTOPPED(status))
        continue;
}

/* Let it go on, by request, until its next stop that is ours: a trap. limit_ms: how long; 0 = for
 * ever. */
static enum ga_stop go_on(const struct ga_tracee *tracee, enum __ptrace_request request,
                          uint64_t limit_ms)
{
    long signal_number = 0;
    uint64_t limit = now_ms() + limit_ms;
    for (;;) {
        int status = 0;
        if (ptrace(request, tracee->tid, NULL, signal_number) < 0)
            return GA_STOP_ENDED;
        pid_t r;
        while ((r = waitpid(tracee->tid, &status, limit_ms ? __WALL | WNOHANG : __WALL)) == 0) {
            if (now_ms() > limit)
                return GA_STOP_ENDED;
            usleep(20);
        }
        if (r < 0 || !WIFSTOPPED(status))
            return GA_STOP_ENDED;
        if (WSTOPSIG(status) == SIGTRAP && status >> 16 == 0)
            return is_kernel_trap(tracee->tid) ? GA_STOP_BREAK : GA_STOP_STEP;
        signal_number = status >> 16 ? 0 : WSTOPSIG(status);
    }
}

void ga_trace_run_out(const struct ga_tracee *tracee)
{
    (void)go_on(tracee, PTRACE_CONT, 0);
}

enum ga_stop ga_trace_step(const struct ga_tracee *tracee)
{
    return go_on(tracee, PTRACE_SINGLESTEP, 0);
}

/* Run to the next time that the tracee comes to address, or to a mark. */
static enum ga_stop run_to(const struct ga_tracee *tracee, uint64_t address, uint64_t limit_ms,
                           bool *ret_there)
{
    uint64_t text = peek(tracee->tid, address);
    ptrace(PTRACE_POKETEXT, tracee->tid, address, (text & ~UINT64_C(0xff)) | INT3);
    enum ga_stop stop = go_on(tracee, PTRACE_CONT, limit_ms);
    if (stop == GA_STOP_ENDED)
        return stop;
    ptrace(PTRACE_POKETEXT, tracee->tid, address, text);
    *ret_there = get_rip(tracee->tid) == address + 1;
    if (*ret_there)
        set_rip(tracee->tid, address);
    return stop;
}

bool ga_trace_run_to(const struct ga_tracee *tracee, uint64_t address)
{
    bool there = false;
    return run_to(tracee, address, COMING_MS, &there) == GA_STOP_BREAK && there;
}

/* ---- recording ---- */

static bool add(struct ga_trace *trace, uint64_t rip)
{
    if (trace->count == trace->capacity) {
        uint32_t capacity = trace->capacity ? trace->capacity * 2 : 4096;
        uint64_t *rips = realloc(trace->rip, capacity * sizeof(*rips));
        if (rips)
            trace->rip = rips;
        uint8_t *events = realloc(trace->event, capacity);
        if (events)
            trace->event = events;
        if (!rips || !events)
            return false;
        trace->capacity = capacity;
    }
    trace->rip[trace->count] = rip;
    trace->event[trace->count] = 0;
    trace->count++;
    return true;
}

/* Whether the next instruction is a system call. */
static bool is_call(pid_t tid, uint64_t rip)
{
    return (peek(tid, rip) & 0xffff) == SYSCALL_OPCODE;
}

/* Whether the next instruction, a system call, waits for events. */
static bool is_wait(pid_t tid)
{
    long number = ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user_regs_struct, rax), NULL);
    return number == SYS_epoll_wait || number == SYS_epoll_pwait;
}

/* ---- how often ---- */

static const struct ga_trace *sorting;

static int compare_rips(const void *a, const void *b)
{
    uint32_t i = *(const uint32_t *)a;
    uint32_t j = *(const uint32_t *)b;
    if (sorting->rip[i] != sorting->rip[j])
        return sorting->rip[i] < sorting->rip[j] ? -1 : 1;
    return i < j ? -1 : i > j;
}

/* Count how often each address has come. A string instruction that is under way does not come to
 * its address again. */
static bool count_times(struct ga_trace *trace)
{
    uint32_t *order = malloc((trace->count + 1) * sizeof(*order));
    trace->times = malloc((trace->count + 1) * sizeof(*trace->times));
    if (!order || !trace->times) {
        free(order);
        return false;
    }
    for (uint32_t i = 0; i < trace->count; i++)
        order[i] = i;
    sorting = trace;
    qsort(order, trace->count, sizeof(*order), compare_rips);
    uint32_t times = 0;
    for (uint32_t n = 0; n < trace->count; n++) {
        uint32_t i = order[n];
        if (n == 0 || trace->rip[order[n - 1]] != trace->rip[i])
            times = 0;
        times += i == 0 || trace->rip[i - 1] != trace->rip[i];
        trace->times[i] = times;
    }
    free(order);
    return true;
}

static bool record(const struct ga_tracee *tracee, bool (*changed)(void *data), void *data,
                   struct ga_trace *ret)
{
    (void)changed(data);
    while (ret->count < RECORD_MAX) {
        uint64_t rip = get_rip(tracee->tid);
        bool call = is_call(tracee->tid, rip);
        if (call && ret->until_wait && is_wait(tracee->tid))
            return true;
        enum ga_stop stop = ga_trace_step(tracee);
        if (stop == GA_STOP_BREAK)
            return true;
        if (!add(ret, rip))
            return false;
        ret->event[ret->count - 1] = changed(data) || call;
        if (stop == GA_STOP_ENDED)
            return true;
    }
    return false;
}

bool ga_trace_record(const struct ga_tracee *tracee, bool until_wait, bool (*changed)(void *data),
                     void *data, struct ga_trace *ret)
{
    *ret = (struct ga_trace){.until_wait = until_wait};
    return record(tracee, changed, data, ret) && count_times(ret);
}

void ga_trace_free(struct ga_trace *trace)
{
    free(trace->rip);
    free(trace->times);
    free(trace->event);
    *trace = (struct ga_trace){0};
}

/* ---- going to a point ---- */

/* The instruction from which k is reached at the least cost; a breakpoint costs two steps each time
 * it is met. */
static uint32_t best_start(const struct ga_trace *trace, uint32_t k, uint32_t *ret_times)
{
    uint32_t best = 0;
    uint32_t best_cost = k;
    *ret_times = 0;
    for (uint32_t back = 0; back < best_cost && back < k && back < 400; back++) {
        uint32_t j = k - back;
        if (trace->rip[j] == trace->rip[j - 1])
            continue;
        uint32_t times = trace->times[j];
        if (times * 2 + back < best_cost) {
            best_cost = times * 2 + back;
            best = j;
            *ret_times = times;
        }
    }
    return best;
}

bool ga_trace_go_to(const struct ga_tracee *tracee, const struct ga_trace *trace, uint32_t k,
                    bool by_steps, bool *ret_drifted)
{
    uint32_t at = 0;
    uint32_t times = 0;
    *ret_drifted = false;
    if (k > 0 && k < trace->count && !by_steps)
        at = best_start(trace, k, &times);
    for (uint32_t n = 0; n < times; n++) {
        if (get_rip(tracee->tid) == trace->rip[at]) {
            if (n == 0)
                continue; /* it begins there */
            if (ga_trace_step(tracee) == GA_STOP_ENDED)
                return false;
        }
        bool there = false;
        if (run_to(tracee, trace->rip[at], SILENCE_MS, &there) == GA_STOP_ENDED)
            return false;
        if (!there) {
            *ret_drifted = true; /* a mark: the operation has ended */
            return true;
        }
    }
    for (; at < k; at++) {
        uint64_t rip = trace->until_wait ? get_rip(tracee->tid) : 0;
        if (rip && is_call(tracee->tid, rip) && is_wait(tracee->tid))
            break; /* a shorter way: it would wait for good */
        enum ga_stop stop = ga_trace_step(tracee);
        if (stop != GA_STOP_STEP)
            return stop == GA_STOP_BREAK || at + 1 >= trace->count;
    }
    *ret_drifted = at < k || (k < trace->count && get_rip(tracee->tid) != trace->rip[k]);
    return true;
}
