/* The signals that ask the server to end: SIGTERM, SIGINT and SIGHUP at once, SIGUSR1 when its last
 * client has gone. While there is something to
 * take back but no handler yet, or no longer, they wait. One thread. */
#ifndef GA_SERVER_SHELL_SIGNALS_H
#define GA_SERVER_SHELL_SIGNALS_H

#include <stdbool.h>

#include <uv.h>

#define GA_ENDING_SIGNALS 4

/* Let them wait from now on, until ga_signals_start. */
void ga_signals_block(void);

/* Have them call on_signal in the loop of the handles, which are initialised; those that have
 * waited do so at once. A SIGHUP that whoever started us has set aside, as nohup does, stays aside.
 * 0 or a negative errno. */
int ga_signals_start(uv_signal_t handles[static GA_ENDING_SIGNALS], uv_signal_cb on_signal);

/* "SIGTERM" for SIGTERM. */
const char *ga_signals_name(int number);

#endif
