/* The account that a process gives of its heap when it ends (account_file.h), where its environment
 * asks for one. */
#ifndef GA_CLIENT_MALLOC_ACCOUNT_H
#define GA_CLIENT_MALLOC_ACCOUNT_H

#include <stdbool.h>

/* Say that there is one to come, if it is wanted: of this process, which has a heap from now on, or
 * is a copy of one. Returns whether it is wanted. */
bool ga_account_begin(void);

#endif
