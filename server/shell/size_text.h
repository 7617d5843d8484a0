/* Sizes as people write and read them: 64M, 1G, 512K, plain bytes. */
#ifndef GA_SERVER_SHELL_SIZE_TEXT_H
#define GA_SERVER_SHELL_SIZE_TEXT_H

#include <stdint.h>

/* Room for any size as text: 16 EiB in bytes, its unit and the zero. */
#define GA_SIZE_TEXT_BYTES 32

/* Read a size: digits, and at most one of K, M, G, T (either case) for 1024, its square and so on.
 * Returns 0; -EINVAL where text is no size; -ERANGE where it does not fit in 64 bits. */
int ga_size_parse(const char *text, uint64_t *ret_bytes);

/* Write bytes with the largest unit that divides it, as in "64 MiB" or "4097 bytes". Returns
 * ret_text. */
const char *ga_size_format(uint64_t bytes, char ret_text[static GA_SIZE_TEXT_BYTES]);

#endif
