/* Other processes: when one began and whether it is alive. A pid alone names nobody, since
 * pids are used again; a pid and its start time do. */
#ifndef GA_SHM_PROCESS_H
#define GA_SHM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* When process pid began, in clock ticks after boot. 0; -ESRCH where there is no such process;
 * -EPROTO where /proc says nothing that can be read. */
int ga_process_start_time(uint32_t pid, uint64_t *ret_ticks);

/* Whether the process that had this pid and start time is there still, and not a zombie. */
bool ga_process_is_alive(uint32_t pid, uint64_t start_time);

/* Whether process pid is stopped just now, by a signal or a debugger, as /proc says; false where it
 * does not say. */
bool ga_process_is_stopped(uint32_t pid);

#endif
