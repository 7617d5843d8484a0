/* The accounts that processes with heaps of their own have given when they ended, of a family that
 * goallocctl run --preload has started. */
#ifndef GA_CTL_RUN_ACCOUNT_H
#define GA_CTL_RUN_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client/ctl/json.h"
#include "client/malloc/account_file.h"

struct ga_run_process {
    struct ga_exit_account account; /* pid and name alone where none was given */
    bool given;                     /* else it was killed, or did not end by exit(3) */
};

struct ga_run_accounts {
    const char *folder;               /* outlives this; "" = nobody was asked for one */
    struct ga_run_process *processes; /* most is lost first, then most left */
    size_t count;
    uint64_t nseen; /* processes that have had a heap of their own */
    struct ga_exit_count left;
    struct ga_exit_count lost;
};

/* Read what is in folder; nseen is the caller's to fill in. 0; or -ENOMEM, told on stderr. */
int ga_run_accounts_read(const char *folder, struct ga_run_accounts *ret);
void ga_run_accounts_fini(struct ga_run_accounts *accounts);

/* For people; quiet: only if something is lost. */
void ga_run_accounts_print(const struct ga_run_accounts *accounts, bool quiet, FILE *out);
/* As a list called "processes", and their number. */
void ga_run_accounts_json(const struct ga_run_accounts *accounts, struct ga_json *json);

#endif
