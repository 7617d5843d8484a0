/* What a process that does not come to an end is at: told when it is met, for it may not be met
 * again. */
#ifndef GA_TESTS_CRASH_STUCK_H
#define GA_TESTS_CRASH_STUCK_H

#include <stdio.h>
#include <sys/types.h>

/* Write to file, of each thread of the process: its state, the kernel's function and the system
 * call that it waits in, and whatever on its stack leads into code: its callers, and what is left
 * of other calls; of one that has ended, with what status. who: what it is called. A thread is
 * stopped for a moment, and must be one that this process may trace; of one that is traced already,
 * has ended or cannot be stopped there is no stack. */
void ga_stuck_tell(FILE *file, const char *who, pid_t pid);

#endif
