/* Scanning this process for what may be pointers into a heap, while its threads stand still
 * (managed_stop.h): every private writable mapping, of those that are a stack only what is in use.
 * Read are pages that are there, or swapped out; the huge mappings of which little is used cost
 * little. The library's own memory is left out, since it remembers slots that are free. */
#ifndef GA_CLIENT_MANAGED_SCAN_H
#define GA_CLIENT_MANAGED_SCAN_H

#include <stdint.h>

#include "client/managed_stop.h"

struct goalloc_heap;
struct ga_scan;

#define GA_SCAN_BATCH 4096u /* offsets handed on at once, at most */

/* Room to scan in. NULL if there is no memory. */
struct ga_scan *ga_scan_new(void);
void ga_scan_free(struct ga_scan *scan); /* NULL is allowed */

#define GA_SCAN_SHOW_MS 500u

/* Take n offsets, in bytes from the heap's base, of what seems to be pointed to; they may come
 * again. Called every GA_SCAN_SHOW_MS about, then with none perhaps. 0 or a negative errno, which
 * ends the scan. */
typedef int ga_scan_emit(const uint64_t *offsets, uint32_t n, void *data);

/* While threads stand still: look where their stacks begin, and what is left out. 0 or a negative
 * errno, and then ret_why is a clause. Calls no malloc and takes no lock. On the library's thread,
 * as the next. */
int ga_scan_look(struct ga_scan *scan, struct goalloc_heap *heap,
                 char ret_why[static GA_STOP_WHY_BYTES]);

/* The same for who is alone, as a child of fork is: there is no other thread, and what the caller
 * has on its stack lies from sp on. own is left out too: memory of the library's that is in one
 * piece. */
void ga_scan_look_alone(struct ga_scan *scan, struct goalloc_heap *heap, uintptr_t sp,
                        struct ga_stop_range own);

/* Scan what was looked for. While threads stand still from before the look until this has returned,
 * nothing is missed; while they run, what does not move meanwhile is found. 0 and how many bytes
 * were read; or a negative errno, and then something may have been left out, and ret_why is a
 * clause. Calls no malloc and takes no lock. */
int ga_scan_run(struct ga_scan *scan, ga_scan_emit *emit, void *data,
                char ret_why[static GA_STOP_WHY_BYTES], uint64_t *ret_bytes);

#endif
