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

#include "crash/own_memory.h"

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

/* ---- breakpoints ---- */

/* Make the instruction at address a breakpoint. Returns what was there. */
static uint64_t set_breakpoint(pid_t tid, uint64_t address)
{
    uint64_t text = peek(tid, address);
    ptrace(PTRACE_POKETEXT, tid, address, (text & ~UINT64_C(0xff)) | INT3);
    return text;
}

/* Whether the tracee has come to it; the instruction is what it was. */
static bool clear_breakpoint(pid_t tid, uint64_t address, uint64_t text)
{
    ptrace(PTRACE_POKETEXT, tid, address, text);
    bool there = get_rip(tid) == address + 1;
    if (there)
        set_rip(tid, address);
    return there;
}

/* Run to the next time that the tracee comes to address, or to a mark. */
static enum ga_stop run_to(const struct ga_tracee *tracee, uint64_t address, uint64_t limit_ms,
                           bool *ret_there)
{
    uint64_t text = set_breakpoint(tracee->tid, address);
    enum ga_stop stop = go_on(tracee, PTRACE_CONT, limit_ms);
    if (stop != GA_STOP_ENDED)
        *ret_there = clear_breakpoint(tracee->tid, address, text);
    return stop;
}

/* ---- one step ---- */

/* Where the function returns to, at whose first instruction the tracee is. */
static uint64_t return_address(pid_t tid)
{
    return peek(
        tid, (uint64_t)ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user_regs_struct, rsp), NULL));
}

/* On in what is done in one piece, to its end or to where it is in steps again. */
static enum ga_stop run_over(struct ga_trace_over *over, const struct ga_tracee *tracee)
{
    uint64_t end_text = set_breakpoint(tracee->tid, over->end);
    uint64_t but_text = set_breakpoint(tracee->tid, over->but);
    enum ga_stop stop = go_on(tracee, PTRACE_CONT, 0);
    if (stop != GA_STOP_BREAK)
        return stop;
    over->back =
        clear_breakpoint(tracee->tid, over->but, but_text) ? return_address(tracee->tid) : 0;
    if (clear_breakpoint(tracee->tid, over->end, end_text))
        over->end = 0;
    return over->back || !over->end ? GA_STOP_STEP : GA_STOP_BREAK;
}

enum ga_stop ga_trace_step(struct ga_tracee *tracee)
{
    struct ga_trace_over *over = &tracee->over;
    if (over->function && get_rip(tracee->tid) == over->function) {
        over->end = return_address(tracee->tid);
        return run_over(over, tracee);
    }
    enum ga_stop stop = go_on(tracee, PTRACE_SINGLESTEP, 0);
    bool is_back = stop == GA_STOP_STEP && over->back && get_rip(tracee->tid) == over->back;
    return is_back ? run_over(over, tracee) : stop;
}

bool ga_trace_run_to(const struct ga_tracee *tracee, uint64_t address)
{
    bool there = false;
    return run_to(tracee, address, COMING_MS, &there) == GA_STOP_BREAK && there;
}

/* ---- recording ---- */

static bool add(struct ga_trace *trace, uint64_t rip)
{
    if (trace->count == RECORD_MAX)
        return false;
    trace->rip[trace->count++] = rip;
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

struct visits {
    uint64_t rip;
    uint32_t times;
};

/* Where the table of room entries, a power of two, has rip or has room for it. */
static struct visits *find_visits(struct visits *table, size_t room, uint64_t rip)
{
    size_t i = (rip * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (room - 1);
    while (table[i].rip != 0 && table[i].rip != rip)
        i = (i + 1) & (room - 1);
    return &table[i];
}

/* Count how often each address has come. A string instruction that is under way does not come to
 * its address again. */
static bool count_times(struct ga_trace *trace)
{
    size_t room = 2;
    while (room < trace->count * UINT64_C(2))
        room *= 2;
    struct visits *table = ga_own_memory_new(room * sizeof(*table));
    if (!table)
        return false;
    for (uint32_t i = 0; i < trace->count; i++) {
        struct visits *visits = find_visits(table, room, trace->rip[i]);
        visits->rip = trace->rip[i];
        visits->times += i == 0 || trace->rip[i - 1] != trace->rip[i];
        trace->times[i] = visits->times;
    }
    ga_own_memory_free(table, room * sizeof(*table));
    return true;
}

static bool record(struct ga_tracee *tracee, bool (*changed)(void *data), void *data,
                   struct ga_trace *ret)
{
    (void)changed(data);
    for (;;) {
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
}

bool ga_trace_record(struct ga_tracee *tracee, bool until_wait, bool (*changed)(void *data),
                     void *data, struct ga_trace *ret)
{
    *ret = (struct ga_trace){.rip = ga_own_memory_new(RECORD_MAX * sizeof(*ret->rip)),
                             .times = ga_own_memory_new(RECORD_MAX * sizeof(*ret->times)),
                             .event = ga_own_memory_new(RECORD_MAX * sizeof(*ret->event)),
                             .until_wait = until_wait};
    return ret->rip && ret->times && ret->event && record(tracee, changed, data, ret) &&
           count_times(ret);
}

void ga_trace_free(struct ga_trace *trace)
{
    ga_own_memory_free(trace->rip, RECORD_MAX * sizeof(*trace->rip));
    ga_own_memory_free(trace->times, RECORD_MAX * sizeof(*trace->times));
    ga_own_memory_free(trace->event, RECORD_MAX * sizeof(*trace->event));
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

bool ga_trace_go_to(struct ga_tracee *tracee, const struct ga_trace *trace, uint32_t k,
                    bool by_steps, bool *ret_drifted)
{
    uint32_t at = 0;
    uint32_t times = 0;
    *ret_drifted = false;
    /* What is done in one piece may come by any address. */
    if (k > 0 && k < trace->count && !by_steps && !tracee->over.function)
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
