/* Which OS pages of the heap this process writes to: each is write-protected for userfaultfd, and
 * the kernel takes the protection of a page away when it is first written to, whoever does that,
 * also the kernel in a system call. Not seen is what goes past the page tables of the process: to
 * memory that a device or the kernel has pinned before, such as io_uring's registered buffers, or a
 * read under way of a file opened with O_DIRECT.
 *
 * Needs Linux 6.7 and that userfaultfd is not refused. On the library's thread; no function calls
 * malloc, or takes a lock. */
#ifndef GA_CLIENT_WRITTEN_H
#define GA_CLIENT_WRITTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct goalloc_heap;
struct ga_written;

#define GA_WRITTEN_WHY_BYTES 160

/* From now on know what is written. 0; or a negative errno, and then ret_why is a clause. */
int ga_written_begin(struct goalloc_heap *heap, char ret_why[static GA_WRITTEN_WHY_BYTES]);

/* Take a part of what was written: bit i of bits, nbytes of them, is OS page first + i of the heap.
 * 0 or a negative errno, which ends it. */
typedef int ga_written_emit(uint64_t first, const uint8_t *bits, size_t nbytes, void *data);

/* Tell what was written since ga_written_begin, or since this was last called with again: then it
 * begins anew for these pages. What is written meanwhile is told now or the next time. As
 * ga_written_begin; -EINVAL if that was not called. */
int ga_written_tell(struct goalloc_heap *heap, bool again, ga_written_emit *emit, void *data,
                    char ret_why[static GA_WRITTEN_WHY_BYTES]);

/* How much memory that takes, at heap->written. */
size_t ga_written_bytes(const struct ga_written *written); /* NULL is allowed: 0 */

/* Pages are not protected any more. When the library's thread has ended, or in a child of fork,
 * which has begun nothing. */
void ga_written_end(struct goalloc_heap *heap);

#endif
