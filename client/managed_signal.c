/* The signal by which threads are stopped: which one, and whether the program has it. */
#include "client/managed_stop_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static pthread_mutex_t signal_lock = PTHREAD_MUTEX_INITIALIZER; /* over taking the signal */
static _Atomic int taken_signal;                                /* 0 = none as yet */

int ga_stop_signal(void)
{
    /* Pairs with the release in take_signal: what it takes besides is there. */
    return ga_load_acquire(&taken_signal);
}

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == ga_stop_on_signal;
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
    if (ga_stop_table)
        return 0;
    void *memory = mmap(NULL, sizeof(*ga_stop_table), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        snprintf(ret_why, GA_STOP_WHY_BYTES, "out of memory");
        return -ENOMEM;
    }
    ga_stop_table = memory;
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
    struct sigaction action = {.sa_sigaction = ga_stop_on_signal,
                               .sa_flags = SA_SIGINFO | SA_RESTART};
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

int ga_stop_check_signal(char *ret_why)
{
    struct sigaction action;
    int number = ga_stop_signal();
    if (number != 0 && sigaction(number, NULL, &action) == 0 && is_ours(&action))
        return 0;
    snprintf(ret_why, GA_STOP_WHY_BYTES,
             "the program has set another handler for signal %d, which stops its threads", number);
    return -EPERM;
}

void ga_stop_signal_in_child(void)
{
    pthread_mutex_init(&signal_lock, NULL);
}
