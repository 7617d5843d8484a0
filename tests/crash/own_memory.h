/* Memory that children do not have. A managed process is searched for pointers, word by word; what
 * it had of the explorer's (numbers of instructions, two of which look like an address) would keep
 * garbage alive. */
#ifndef GA_TESTS_CRASH_OWN_MEMORY_H
#define GA_TESTS_CRASH_OWN_MEMORY_H

#include <stddef.h>

/* Zeros; NULL if there is no memory. What is not written to takes none. */
void *ga_own_memory_new(size_t bytes);
/* memory may be NULL. */
void ga_own_memory_free(void *memory, size_t bytes);

#endif
