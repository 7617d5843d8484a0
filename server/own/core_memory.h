/* Memory for the books of the heap core in a process whose malloc it serves: it may not ask malloc
 * for any. The core is compiled with this file in front (CMakeLists.txt), so that what it calls
 * calloc is this. */
#ifndef GA_SERVER_OWN_CORE_MEMORY_H
#define GA_SERVER_OWN_CORE_MEMORY_H

#include <stddef.h>
#include <stdlib.h>

/* Where the books are to lie, all zero, with memory when they are touched: near_bytes from near on,
 * of which the end is touched anyhow, so they are given out from there downwards; when these are
 * used up, and for what is longer, bytes from address on. Once, before anything else. */
void ga_core_memory_init(void *near, size_t near_bytes, void *address, size_t bytes);

/* As the functions of the C library, but that nothing is given back: the books are as long-lived as
 * the process, and large tables of which little is touched. By one thread at a time. */
void *ga_core_calloc(size_t n, size_t size);
void *ga_core_malloc(size_t size);
/* alignment: 64 at most, which all that is given out has. */
void *ga_core_aligned_alloc(size_t alignment, size_t size);
void *ga_core_realloc(void *p, size_t size);
void ga_core_free(void *p);

#ifdef GA_CORE_MEMORY_INSTEAD
#define aligned_alloc(alignment, size) ga_core_aligned_alloc(alignment, size)
#define calloc(n, size)                ga_core_calloc(n, size)
#define malloc(size)                   ga_core_malloc(size)
#define realloc(p, size)               ga_core_realloc(p, size)
#define free(p)                        ga_core_free(p)
#endif

#endif
