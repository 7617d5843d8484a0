/* They wait by being blocked: a handler that only noted them would have to be asked in many places,
 * and ignoring them would lose the wish to end. */
#include "server/shell/signals.h"

#include <signal.h>
#include <stddef.h>

static const struct {
    int number;
    const char *name;
} ending[GA_ENDING_SIGNALS] = {
    {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGHUP, "SIGHUP"}, {SIGUSR1, "SIGUSR1"}};

static void set_mask(int how)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < GA_ENDING_SIGNALS; i++)
        sigaddset(&set, ending[i].number);
    sigprocmask(how, &set, NULL);
}

void ga_signals_block(void)
{
    set_mask(SIG_BLOCK);
}

static bool is_set_aside(int number)
{
    struct sigaction action;
    return number == SIGHUP && sigaction(number, NULL, &action) == 0 &&
           action.sa_handler == SIG_IGN;
}

int ga_signals_start(uv_signal_t handles[static GA_ENDING_SIGNALS], uv_signal_cb on_signal)
{
    for (int i = 0; i < GA_ENDING_SIGNALS; i++) {
        if (is_set_aside(ending[i].number))
            continue;
        int r = uv_signal_start(&handles[i], on_signal, ending[i].number);
        if (r < 0)
            return r;
    }
    set_mask(SIG_UNBLOCK);
    return 0;
}

const char *ga_signals_name(int number)
{
    for (int i = 0; i < GA_ENDING_SIGNALS; i++)
        if (ending[i].number == number)
            return ending[i].name;
    return "a signal";
}
