/* How threads are stopped. The library's thread keeps a table of them, by thread id, and asks each
 * one by queueing it the signal with the address of its entry. The handler says in the entry that
 * the thread stands still, and from which stack address on, and sleeps at a futex until the
 * release; or that it is busy, and returns, to be asked again. /proc/self/task is read until all
 * that are there stand still and two looks have found nobody new: only a running thread can start
 * another.
 *
 * Stopped threads may hold any lock of the program and of libc. So from the first signal to the
 * release nothing here, nor what is called in between, takes a lock that other threads take; it
 * makes system calls, and writes to memory that was mapped before. */
#include "client/managed_stop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "client/busy.h"
#include "client/deadline.h"
#include "client/uncancelled.h"
#include "shm/atomic.h"

#define THREADS_MAX 16384u /* that can be stopped; the memory is touched as they come */
#define PLACES      64     /* of the library's own threads: one for each connection */
#define DIR_BYTES   32768u
#define WAIT_NS     500000L
#define LOOK_CLOSER 8u   /* looks, after which one that has not answered is looked at, */
#define ASK_AGAIN   200u /* and after which it is asked again */
#define QUIET_LOOKS 2u
#define STOP_MASK   (UINT32_MAX >> 3) /* of the count of releases, that an answer names */

enum thread_state {
    THREAD_ASKED = 1,   /* and has not answered */
    THREAD_BUSY = 2,    /* it was in an operation, and goes on */
    THREAD_STOPPED = 3, /* it stands still */
    THREAD_GONE = 4,    /* it has ended, or is no thread of the program's */
};

/* A thread of the program. answer is the stop, by the count of releases, and a thread_state: so an
 * answer to a signal that comes late stands for a stop that is over. Written by the library's
 * thread, but for answer when it is asked, and what the handler says before it. */
struct thread {
    _Atomic uint32_t answer;
    pid_t tid;
    uint32_t look;   /* the last in which it was there */
    uint32_t waited; /* looks since it was asked */
    bool was_busy;   /* when it was asked last */
    uintptr_t sp;
    struct ga_stop_range stack;
    bool is_on_signal_stack;
};

struct table {
    uint32_t count;
    uint32_t look;
    struct thread thread[THREADS_MAX];
    char dir[DIR_BYTES];
};

/* A thread of the library's own. */
struct place {
    _Atomic bool taken;
    _Atomic pid_t tid; /* 0 = not known as yet */
    _Atomic uintptr_t stack_start;
    _Atomic uintptr_t stack_end; /* 0 = likewise */
};

static pthread_mutex_t signal_lock = PTHREAD_MUTEX_INITIALIZER; /* over taking the signal */
static _Atomic int taken_signal;                                /* 0 = none as yet */
static struct table *table;
static struct place places[PLACES];
static _Atomic bool active;       /* some heap's thread uses all this */
static _Atomic uint32_t releases; /* a futex: stopped threads wait while it is as they found it */
static _Atomic uint32_t answers;  /* a futex: how many answers were given */

_Thread_local _Atomic uint32_t ga_uncancelled_depth __attribute__((tls_model("initial-exec")));
static _Thread_local struct ga_stop_range own_stack __attribute__((tls_model("initial-exec")));

static void futex_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *timeout)
{
    syscall(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0);
}

/* ---- on the threads of the program ---- */

/* Whether the thread must not stand still here: it is in an operation, or has a lock of the
 * library's. */
static bool is_busy(void)
{
    return ga_busy_is_in_operation() || (ga_load_relaxed(&ga_tls.busy) == GA_BUSY_NOT &&
                                         ga_load_relaxed(&ga_uncancelled_depth) > 0);
}

static uint32_t answer_of(uint32_t stop, enum thread_state state)
{
    return stop << 3 | state;
}

/* The entry that the signal was sent with; NULL where it comes from somebody else. */
static struct thread *entry_of(const siginfo_t *info)
{
    if (info->si_code != SI_QUEUE || info->si_pid != getpid())
        return NULL;
    uintptr_t at = (uintptr_t)info->si_value.sival_ptr - (uintptr_t)table->thread;
    if (at % sizeof(struct thread) != 0 || at / sizeof(struct thread) >= THREADS_MAX)
        return NULL;
    struct thread *entry = info->si_value.sival_ptr;
    return entry->tid == gettid() ? entry : NULL;
}

/* Say from where on the stack is in use. An alternate stack may lie in the usual one, with what is
 * in use of that below it. */
static void say_where(struct thread *entry, const ucontext_t *interrupted)
{
    const stack_t *alternate = &interrupted->uc_stack;
    entry->sp = (uintptr_t)__builtin_frame_address(0);
    entry->is_on_signal_stack = entry->sp - (uintptr_t)alternate->ss_sp < alternate->ss_size;
    entry->stack = entry->is_on_signal_stack ? (struct ga_stop_range){0, 0} : own_stack;
}

/* Answer what is asked, and stand still if that is the answer. */
static void obey(struct thread *entry, const ucontext_t *interrupted)
{
    /* Pairs with the release when it was asked. */
    uint32_t asked = ga_load_acquire(&entry->answer);
    uint32_t stop = asked >> 3;
    if (asked != answer_of(stop, THREAD_ASKED))
        return;
    bool busy = is_busy();
    say_where(entry, interrupted);
    /* Of the one that is asked now; not if another stop has begun meanwhile. */
    if (!ga_cas_seq_cst(&entry->answer, &asked,
                        answer_of(stop, busy ? THREAD_BUSY : THREAD_STOPPED)))
        return;
    ga_fetch_add_relaxed(&answers, 1);
    futex_wake_all(&answers);
    uint32_t now;
    /* Pairs with the release in ga_stop_release. */
    while (!busy && ((now = ga_load_acquire(&releases)) & STOP_MASK) == stop)
        futex_wait(&releases, now, NULL);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    int saved_errno = errno;
    struct thread *entry = entry_of(info);
    if (entry)
        obey(entry, context); /* which lies on the stack, above the handler's frame */
    errno = saved_errno;
}

/* Where the stack of thread lies, which has not ended; {0, 0} where that is not known. */
static struct ga_stop_range stack_of(pthread_t thread)
{
    struct ga_stop_range range = {0, 0};
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    if (pthread_getattr_np(thread, &attributes) != 0)
        return range;
    if (pthread_attr_getstack(&attributes, &low, &bytes) == 0)
        range = (struct ga_stop_range){(uintptr_t)low, (uintptr_t)low + bytes};
    pthread_attr_destroy(&attributes);
    return range;
}

void ga_stop_note_stack(void)
{
    static _Thread_local bool noted;
    if (noted || gettid() == getpid())
        return; /* of the main thread's the kernel tells, and asking libc takes a file */
    noted = true;
    own_stack = stack_of(pthread_self());
}

/* ---- the signal ---- */

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_signal;
}

static bool is_free(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
           action.sa_handler == SIG_DFL;
}

/* Whether nothing else in the system gives the signal a meaning that a program cannot do without.
 */
static bool can_be(long number)
{
    return number > 0 && number <= SIGRTMAX && number != SIGKILL && number != SIGSTOP &&
           number != SIGSEGV && number != SIGBUS && number != SIGILL && number != SIGFPE &&
           number != SIGTRAP && (number < 32 || number >= SIGRTMIN);
}

/* The signal that is asked for by name; 0 = none is; -EINVAL. */
static int named_signal(uint32_t number, char *ret_why)
{
    const char *text = number ? NULL : getenv("GOALLOC_STOP_SIGNAL");
    if (number == 0 && (!text || !*text))
        return 0;
    char *end = NULL;
    long named = number <= INT_MAX ? (long)number : 0;
    if (text)
        named = strtol(text, &end, 10);
    if ((end && *end) || !can_be(named)) {
        snprintf(ret_why, GA_STOP_WHY_BYTES,
                 "%s%s is no signal that threads can be stopped with (%d..%d are)",
                 text ? "$GOALLOC_STOP_SIGNAL, " : "options.stop_signal", text ? text : "",
                 SIGRTMIN, SIGRTMAX);
        return -EINVAL;
    }
    return (int)named;
}

static int choose_signal(uint32_t number, char *ret_why)
{
    int chosen = named_signal(number, ret_why);
    if (chosen < 0)
        return chosen;
    if (chosen > 0 && is_free(chosen))
        return chosen;
    if (chosen > 0) {
        snprintf(ret_why, GA_STOP_WHY_BYTES,
                 "signal %d, which was to stop threads, has a handler already, or is ignored",
                 chosen);
        return -EBUSY;
    }
    for (chosen = SIGRTMAX - 1; chosen >= SIGRTMIN; chosen--)
        if (is_free(chosen))
            return chosen;
    snprintf(ret_why, GA_STOP_WHY_BYTES, "no real-time signal is left to stop threads with");
    return -EBUSY;
}

static int make_table(char *ret_why)
{
    if (table)
        return 0;
    void *memory = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        snprintf(ret_why, GA_STOP_WHY_BYTES, "out of memory");
        return -ENOMEM;
    }
    table = memory;
    return 0;
}

static int take_signal(uint32_t number, char *ret_why)
{
    int before = ga_load_relaxed(&taken_signal);
    if (before && (number == 0 || number == (uint32_t)before))
        return 0;
    int r = before ? -EBUSY : make_table(ret_why);
    if (before)
        snprintf(ret_why, GA_STOP_WHY_BYTES, "signal %d stops the threads of this process already",
                 before);
    int chosen = r < 0 ? r : choose_signal(number, ret_why);
    if (chosen < 0)
        return chosen;
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&action.sa_mask); /* a thread that stands still handles nothing else */
    if (sigaction(chosen, &action, NULL) < 0) {
        snprintf(ret_why, GA_STOP_WHY_BYTES, "signal %d cannot be handled: %s", chosen,
                 strerror(errno));
        return -EINVAL;
    }
    ga_store_release(&taken_signal, chosen);
    return 0;
}

int ga_stop_take_signal(uint32_t number, char ret_why[static GA_STOP_WHY_BYTES])
{
    pthread_mutex_lock(&signal_lock);
    int r = take_signal(number, ret_why);
    pthread_mutex_unlock(&signal_lock);
    return r;
}

/* ---- the library's own threads ---- */

int ga_stop_reserve_place(void)
{
    for (int i = 0; i < PLACES; i++)
        if (!atomic_exchange(&places[i].taken, true))
            return i;
    return -1;
}

void ga_stop_set_thread(int place, pid_t tid)
{
    if (place >= 0)
        ga_store_release(&places[place].tid, tid);
}

void ga_stop_set_stack(int place, pthread_t thread)
{
    if (place < 0)
        return;
    struct ga_stop_range range = stack_of(thread);
    ga_store_relaxed(&places[place].stack_start, range.start);
    ga_store_release(&places[place].stack_end, range.end);
}

void ga_stop_free_place(int place)
{
    if (place < 0)
        return;
    ga_store_relaxed(&places[place].tid, 0);
    ga_store_relaxed(&places[place].stack_end, 0);
    ga_store_release(&places[place].taken, false);
}

static bool is_excepted(pid_t tid)
{
    for (unsigned i = 0; i < PLACES; i++)
        if (ga_load_acquire(&places[i].tid) == tid)
            return true;
    return false;
}

bool ga_stop_next_except(size_t *index, struct ga_stop_range *ret)
{
    for (; *index < PLACES; ++*index) {
        const struct place *place = &places[*index];
        uintptr_t end = ga_load_acquire(&place->stack_end);
        if (end == 0)
            continue;
        *ret = (struct ga_stop_range){ga_load_relaxed(&place->stack_start), end};
        ++*index;
        return true;
    }
    if (*index > PLACES)
        return false;
    ++*index;
    *ret = (struct ga_stop_range){(uintptr_t)table, (uintptr_t)table + sizeof(*table)};
    return true;
}

/* ---- looking for threads ---- */

/* What getdents64 gives. */
struct dir_entry {
    uint64_t inode;
    int64_t next;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

static pid_t number_of(const char *name)
{
    pid_t tid = 0;
    for (; *name >= '0' && *name <= '9'; name++)
        tid = tid * 10 + (*name - '0');
    return *name ? 0 : tid; /* "." and ".." are none */
}

static struct thread *find(pid_t tid)
{
    for (uint32_t i = 0; i < table->count; i++)
        if (table->thread[i].tid == tid)
            return &table->thread[i];
    return NULL;
}

static enum thread_state state_of(const struct thread *entry)
{
    /* Pairs with the handler's compare and swap: what it said before is there. */
    return ga_load_acquire(&entry->answer) & 7;
}

static void set_state(struct thread *entry, enum thread_state state)
{
    /* Pairs with the acquire in obey. */
    ga_store_release(&entry->answer, answer_of(ga_load_relaxed(&releases) & STOP_MASK, state));
}

/* A thread that has ended, or has too many signals waiting, is no error: it is looked for again. */
static int ask(struct thread *entry)
{
    siginfo_t info = {0};
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = entry;
    entry->waited = 0;
    set_state(entry, THREAD_ASKED);
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), entry->tid, ga_load_relaxed(&taken_signal),
                &info) == 0 ||
        errno == ESRCH || errno == EAGAIN)
        return 0;
    return -errno;
}

/* Of <linux/sched.h>, which is the kernel's own: of a thread that runs nothing of the program, but
 * does its reads and writes (io_uring's), or such for a virtual machine. It handles no signals. */
#define IS_WORKER (0x10u | 0x4000u) /* PF_IO_WORKER, PF_USER_WORKER */

/* The flags in what /proc tells after a thread's name: " S ppid pgrp session tty tpgid flags". */
static unsigned long flags_in(const char *text)
{
    for (int field = 0; text && field < 6; field++)
        text = strchr(text + 1, ' ');
    return text ? strtoul(text, NULL, 10) : 0;
}

/* Whether tid is one that runs nothing of the program's: it is the kernel's, or has ended and is
 * only still listed, as the first thread of a process whose others go on. */
static bool runs_nothing(pid_t tid)
{
    char path[64];
    char text[256];
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *state = strrchr(text, ')');
    return n <= 0 || (state && (state[2] == 'Z' || state[2] == 'X' ||
                                (flags_in(state + 1) & IS_WORKER) != 0));
}

/* What to do about a thread that has not answered: it may have ended, or its number may be that of
 * another by now. */
static int wait_for(struct thread *entry)
{
    entry->waited++;
    if (entry->waited % LOOK_CLOSER == 0 && runs_nothing(entry->tid))
        set_state(entry, THREAD_GONE);
    else if (entry->waited >= ASK_AGAIN)
        return ask(entry);
    return 0;
}

/* A thread that is there: ask it, unless that was done. */
static int meet(pid_t tid, bool *found_new)
{
    struct thread *entry = find(tid);
    if (!entry && table->count == THREADS_MAX)
        return -E2BIG;
    bool is_new = !entry;
    if (is_new) {
        entry = &table->thread[table->count++];
        entry->tid = tid;
        *found_new = true;
    }
    entry->look = table->look;
    if (is_new || state_of(entry) == THREAD_BUSY) {
        entry->was_busy = !is_new;
        return ask(entry);
    }
    return state_of(entry) == THREAD_ASKED ? wait_for(entry) : 0;
}

static int meet_listed(ssize_t nbytes, bool *found_new)
{
    for (ssize_t at = 0; at < nbytes;) {
        const struct dir_entry *entry = (const void *)(table->dir + at);
        pid_t tid = number_of(entry->name);
        int r = tid == 0 || is_excepted(tid) ? 0 : meet(tid, found_new);
        if (r < 0)
            return r;
        at += entry->bytes;
    }
    return 0;
}

/* Ask all threads that are there; whether there is one that was not there before. */
static int look(int dir, bool *ret_found_new)
{
    *ret_found_new = false;
    table->look++;
    if (lseek(dir, 0, SEEK_SET) < 0)
        return -errno;
    for (;;) {
        long n = syscall(SYS_getdents64, dir, table->dir, DIR_BYTES);
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        int r = meet_listed(n, ret_found_new);
        if (r < 0)
            return r;
    }
}

/* The first thread that was there and does not stand still; NULL: all do. */
static const struct thread *first_running(void)
{
    for (uint32_t i = 0; i < table->count; i++) {
        struct thread *entry = &table->thread[i];
        enum thread_state state = state_of(entry);
        if (state != THREAD_STOPPED && state != THREAD_GONE && entry->look == table->look)
            return entry;
    }
    return NULL;
}

/* ---- on the library's thread ---- */

static int fail_running(const struct thread *entry, char *ret_why)
{
    snprintf(ret_why, GA_STOP_WHY_BYTES,
             entry->was_busy
                 ? "its thread %d was in the middle of a call all the time"
                 : "its thread %d does not answer signal %d: it blocks it, or cannot run",
             entry->tid, ga_load_relaxed(&taken_signal));
    return -ETIMEDOUT;
}

static int stop_all(int dir, const struct timespec *deadline, char *ret_why)
{
    static const struct timespec moment = {.tv_nsec = WAIT_NS};
    for (unsigned quiet = 0; quiet < QUIET_LOOKS;) {
        bool found_new;
        uint32_t seen = ga_load_relaxed(&answers);
        int r = look(dir, &found_new);
        if (r < 0) {
            snprintf(ret_why, GA_STOP_WHY_BYTES, "its threads cannot be found: %s",
                     r == -E2BIG ? "there are too many" : "/proc/self/task cannot be read");
            return r;
        }
        const struct thread *running = first_running();
        quiet = running || found_new ? 0 : quiet + 1;
        if (running && ga_deadline_left_ms(deadline) == 0)
            return fail_running(running, ret_why);
        if (running)
            futex_wait(&answers, seen, &moment);
    }
    return 0;
}

/* Whether the signal is still ours. */
static int check_signal(char *ret_why)
{
    struct sigaction action;
    int number = ga_load_acquire(&taken_signal);
    if (number != 0 && sigaction(number, NULL, &action) == 0 && is_ours(&action))
        return 0;
    snprintf(ret_why, GA_STOP_WHY_BYTES,
             "the program has set another handler for signal %d, which stops its threads", number);
    return -EPERM;
}

/* Be the only one that stops threads: for another heap that may be over soon. */
static bool begin_alone(uint32_t timeout_ms)
{
    static const struct timespec moment = {.tv_nsec = WAIT_NS};
    struct timespec deadline = ga_deadline_in(timeout_ms);
    /* Pairs with the release in ga_stop_release. */
    while (atomic_exchange(&active, true)) {
        if (ga_deadline_left_ms(&deadline) == 0)
            return false;
        nanosleep(&moment, NULL);
    }
    return true;
}

int ga_stop_all(uint32_t timeout_ms, char ret_why[static GA_STOP_WHY_BYTES])
{
    int r = check_signal(ret_why);
    if (r < 0)
        return r;
    if (!begin_alone(timeout_ms / 2)) {
        snprintf(ret_why, GA_STOP_WHY_BYTES, "its threads stand still for another heap already");
        return -EBUSY;
    }
    struct timespec deadline = ga_deadline_in(timeout_ms);
    table->count = table->look = 0;
    int dir = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        r = -errno;
        snprintf(ret_why, GA_STOP_WHY_BYTES, "/proc/self/task cannot be opened: error %d", -r);
    } else {
        r = stop_all(dir, &deadline, ret_why);
        close(dir);
    }
    if (r < 0)
        ga_stop_release();
    return r;
}

void ga_stop_release(void)
{
    /* Pairs with the acquire in obey. */
    ga_fetch_add_seq_cst(&releases, 1);
    futex_wake_all(&releases);
    /* Pairs with the exchange in ga_stop_all. */
    ga_store_release(&active, false);
}

bool ga_stop_next(size_t *index, struct ga_stopped *ret)
{
    for (; *index < table->count; ++*index) {
        struct thread *entry = &table->thread[*index];
        if (state_of(entry) != THREAD_STOPPED)
            continue;
        *ret = (struct ga_stopped){entry->tid, entry->sp, entry->stack, entry->is_on_signal_stack};
        ++*index;
        return true;
    }
    return false;
}

void ga_stop_in_child(void)
{
    ga_store_relaxed(&active, false);
    for (int i = 0; i < PLACES; i++)
        ga_stop_free_place(i);
    pthread_mutex_init(&signal_lock, NULL);
}
