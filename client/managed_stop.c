/* How threads are stopped. The library's thread keeps a table of them, by thread id, and asks each
 * one by queueing it the signal with the address of its entry. The handler says in the entry that
 * the thread stands still, and from which stack address on, and sleeps at a futex until the
 * release; or that it is busy, and returns, to be asked again. /proc/self/task is read until all
 * that are there stand still and two looks have found nobody new: only a running thread can start
 * another. What all this must not do meanwhile is in managed_stop_internal.h. */
#include "client/managed_stop_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "client/busy.h"
#include "client/deadline.h"
#include "client/uncancelled.h"

#define WAIT_NS     500000L
#define QUIET_LOOKS 2u

struct ga_stop_table *ga_stop_table;
_Atomic uint32_t ga_stop_releases;
_Atomic uint32_t ga_stop_answers;
static _Atomic bool active; /* some heap's thread uses all this */

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

/* The entry that the signal was sent with; NULL where it comes from somebody else. */
static struct ga_stop_thread *entry_of(const siginfo_t *info)
{
    if (info->si_code != SI_QUEUE || info->si_pid != getpid())
        return NULL;
    uintptr_t at = (uintptr_t)info->si_value.sival_ptr - (uintptr_t)ga_stop_table->thread;
    if (at % sizeof(struct ga_stop_thread) != 0 ||
        at / sizeof(struct ga_stop_thread) >= GA_STOP_THREADS_MAX)
        return NULL;
    struct ga_stop_thread *entry = info->si_value.sival_ptr;
    return entry->tid == gettid() ? entry : NULL;
}

/* Say from where on the stack is in use. An alternate stack may lie in the usual one, with what is
 * in use of that below it. */
static void say_where(struct ga_stop_thread *entry, const ucontext_t *interrupted)
{
    const stack_t *alternate = &interrupted->uc_stack;
    entry->sp = (uintptr_t)__builtin_frame_address(0);
    entry->is_on_signal_stack = entry->sp - (uintptr_t)alternate->ss_sp < alternate->ss_size;
    entry->stack = entry->is_on_signal_stack ? (struct ga_stop_range){0, 0} : own_stack;
}

/* Answer what is asked, and stand still if that is the answer. */
static void obey(struct ga_stop_thread *entry, const ucontext_t *interrupted)
{
    /* Pairs with the release when it was asked. */
    uint32_t asked = ga_load_acquire(&entry->answer);
    uint32_t stop = asked >> 3;
    if (asked != ga_stop_answer_of(stop, GA_STOP_ASKED))
        return;
    bool busy = is_busy();
    say_where(entry, interrupted);
    /* Of the one that is asked now; not if another stop has begun meanwhile. */
    if (!ga_cas_seq_cst(&entry->answer, &asked,
                        ga_stop_answer_of(stop, busy ? GA_STOP_BUSY : GA_STOP_STOPPED)))
        return;
    ga_fetch_add_relaxed(&ga_stop_answers, 1);
    futex_wake_all(&ga_stop_answers);
    uint32_t now;
    /* Pairs with the release in ga_stop_release. */
    while (!busy && ((now = ga_load_acquire(&ga_stop_releases)) & GA_STOP_MASK) == stop)
        futex_wait(&ga_stop_releases, now, NULL);
}

void ga_stop_on_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    int saved_errno = errno;
    struct ga_stop_thread *entry = entry_of(info);
    if (entry)
        obey(entry, context); /* which lies on the stack, above the handler's frame */
    errno = saved_errno;
}

void ga_stop_note_stack(void)
{
    static _Thread_local bool noted __attribute__((tls_model("initial-exec")));
    if (noted || gettid() == getpid())
        return; /* of the main thread's the kernel tells, and asking libc takes a file */
    noted = true;
    own_stack = ga_stop_stack_of(pthread_self());
}

/* ---- on the library's thread ---- */

static int fail_running(const struct ga_stop_thread *entry, char *ret_why)
{
    snprintf(ret_why, GA_STOP_WHY_BYTES,
             entry->was_busy
                 ? "its thread %d was in the middle of a call all the time"
                 : "its thread %d does not answer signal %d: it blocks it, or cannot run",
             entry->tid, ga_stop_signal());
    return -ETIMEDOUT;
}

static int stop_all(int dir, const struct timespec *deadline, char *ret_why)
{
    static const struct timespec moment = {.tv_nsec = WAIT_NS};
    for (unsigned quiet = 0; quiet < QUIET_LOOKS;) {
        bool found_new;
        uint32_t seen = ga_load_relaxed(&ga_stop_answers);
        int r = ga_stop_look(dir, &found_new);
        if (r < 0) {
            snprintf(ret_why, GA_STOP_WHY_BYTES, "its threads cannot be found: %s",
                     r == -E2BIG ? "there are too many" : "/proc/self/task cannot be read");
            return r;
        }
        const struct ga_stop_thread *running = ga_stop_first_running();
        quiet = running || found_new ? 0 : quiet + 1;
        if (running && ga_deadline_left_ms(deadline) == 0)
            return fail_running(running, ret_why);
        if (running)
            futex_wait(&ga_stop_answers, seen, &moment);
    }
    return 0;
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
    int r = ga_stop_check_signal(ret_why);
    if (r < 0)
        return r;
    if (!begin_alone(timeout_ms / 2)) {
        snprintf(ret_why, GA_STOP_WHY_BYTES, "its threads stand still for another heap already");
        return -EBUSY;
    }
    struct timespec deadline = ga_deadline_in(timeout_ms);
    ga_stop_table->count = ga_stop_table->look = 0;
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
    ga_fetch_add_seq_cst(&ga_stop_releases, 1);
    futex_wake_all(&ga_stop_releases);
    /* Pairs with the exchange in ga_stop_all. */
    ga_store_release(&active, false);
}

bool ga_stop_next(size_t *index, struct ga_stopped *ret)
{
    for (; *index < ga_stop_table->count; ++*index) {
        struct ga_stop_thread *entry = &ga_stop_table->thread[*index];
        if (ga_stop_state_of(entry) != GA_STOP_STOPPED)
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
    ga_stop_own_in_child();
    ga_stop_signal_in_child();
}
