/* What a process with a heap of its own says of it at its end, where goallocctl run has asked for
 * an account: files in a folder, named after its pid.
 *
 *   PID.began    its name; there is an account to come
 *   PID.meta     its meta and bits as they were, holes where there was no memory; only where
 *   PID.bits     anything was left
 *   PID.account  this struct; written last, so that where it is, all is there
 *
 * Who has begun and given no account was killed, or ended without exit(3). */
#ifndef GA_CLIENT_MALLOC_ACCOUNT_FILE_H
#define GA_CLIENT_MALLOC_ACCOUNT_FILE_H

#include <stdint.h>

#include "shm/size_class.h"

/* The variable that names the folder. */
#define GA_ACCOUNT_VARIABLE "GOALLOC_MALLOC_ACCOUNT"

#define GA_ACCOUNT_MAGIC UINT64_C(0x31746e756f636361) /* "account1" */

struct ga_exit_count {
    uint64_t objects;
    uint64_t bytes;
};

struct ga_exit_account {
    uint64_t magic;
    uint32_t pid;
    uint32_t collection; /* as its profile calls the one that found what is lost */
    struct ga_exit_count left;
    struct ga_exit_count lost;                          /* of it: nothing reaches it */
    struct ga_exit_count by_class[GA_SIZE_CLASS_COUNT]; /* of what is lost, 0 = large */
    char name[32];                                      /* of the program */
};

#endif
