/* Text of unknown origin on a terminal: how to show it without obeying it, and how wide it is. A
 * client chooses its own name and those of its roots, and what it writes there must not move the
 * cursor of whoever looks. Which characters are printable is up to the locale (LC_CTYPE). */
#ifndef GA_CTL_PRINTABLE_H
#define GA_CTL_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

/* A copy of text in which every byte that is not part of a printable character is written as
 * \xNN. The caller frees it; NULL when there is no memory. */
char *ga_printable_copy(const char *text);

/* How many columns of a terminal a printable text takes. */
size_t ga_printable_columns(const char *text);

/* The length in bytes of the longest beginning of a printable text that takes at most columns. */
size_t ga_printable_fit(const char *text, size_t columns);

/* A printable text in so many columns, in ret, which has bytes bytes: padded with blanks, behind it
 * if is_left, else before it; cut off where it is longer. */
void ga_printable_pad(char *ret, size_t bytes, const char *text, size_t columns, bool is_left);

#endif
