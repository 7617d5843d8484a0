/* The manual page goallocctl(1), which is compiled in: so what it says of a command can be read
 * without man. */
#ifndef GA_CTL_MANUAL_H
#define GA_CTL_MANUAL_H

#include <stdbool.h>
#include <stdio.h>

/* Its source, in mdoc. */
extern const char ga_manual_page[];

/* Print to out what page says of the command: the text behind ".It Cm COMMAND", in lines of at most
 * 80 columns. False where it says nothing. */
bool ga_manual_print(const char *page, const char *command, FILE *out);

#endif
