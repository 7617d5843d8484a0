/* The memory of another process, read from outside while it runs. */
#ifndef GA_CTL_PROCESS_MEMORY_H
#define GA_CTL_PROCESS_MEMORY_H

#include <stdint.h>

/* Read bytes at address of process pid into ret. 0; -EACCES or -EPERM (no right to it: who is not
 * its user or root, or where kernel.yama.ptrace_scope forbids it); -ESRCH; -EFAULT. */
int ga_process_memory_read(uint32_t pid, uint64_t address, uint64_t bytes, void *ret);

/* Read what has memory of [address, address + bytes), whole OS pages, into the same place of copy,
 * and leave the rest of it untouched. *ret_sys_bytes: how much that is. As above. */
int ga_process_memory_copy(uint32_t pid, uint64_t address, uint64_t bytes, char *copy,
                           uint64_t *ret_sys_bytes);

#endif
