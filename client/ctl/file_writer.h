/* Writing a file from front to back while the caller makes what is to be written next: io_uring
 * from registered buffers where the system lets us, else pwrite. A bounded number of buffers is
 * under way at a time. One thread. */
#ifndef GA_CTL_FILE_WRITER_H
#define GA_CTL_FILE_WRITER_H

#include <stdint.h>

#define GA_FILE_WRITER_BYTES (UINT32_C(1) << 20) /* of a buffer */

struct ga_file_writer;

/* Write to fd from its beginning on. Returns 0, or -ENOMEM. */
int ga_file_writer_new(int fd, struct ga_file_writer **ret);

/* A buffer to be filled, of GA_FILE_WRITER_BYTES and aligned to an OS page; waits until one is
 * free. It is the caller's until the next ga_file_writer_put. */
void *ga_file_writer_buffer(struct ga_file_writer *writer);

/* Write the first bytes of the buffer behind what was written before. Returns 0; or the negative
 * errno of this write or an earlier one, and nothing is written any more. */
int ga_file_writer_put(struct ga_file_writer *writer, uint32_t bytes);

/* Wait until all of it is written. Returns 0 or the first write's negative errno that failed. */
int ga_file_writer_finish(struct ga_file_writer *writer);

/* How it writes, for people: "io_uring, ..." or "pwrite (why)". */
const char *ga_file_writer_engine(const struct ga_file_writer *writer);

/* Waits for what is under way. NULL is allowed. */
void ga_file_writer_free(struct ga_file_writer *writer);

#endif
