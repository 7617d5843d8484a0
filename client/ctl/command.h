/* A command of goallocctl that looks into a heap: what it is told, and the functions that run each
 * of them. A command fetches all it needs first and prints then, so that a failure leaves no half
 * of an answer. commands.c has the table of all commands. */
#ifndef GA_CTL_COMMAND_H
#define GA_CTL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "client/ctl/map_by.h"
#include "client/ctl/source.h"

/* Which spans are shown: those that all conditions hold for. */
struct ga_span_filter {
    int64_t size_class; /* -1 = any */
    uint64_t owner;     /* mcache, 0 = any */
    uint64_t pid;       /* 0 = any */
    uint64_t limit;     /* how many at most, 0 = all */
    bool partial;       /* some slots used, some not */
    bool full;
    bool large;
    bool leased;
};

struct ga_ctl {
    struct ga_source source;
    bool json;
    bool all;        /* show also what there is none of */
    bool recount;    /* count the objects themselves too */
    uint32_t client; /* of one client alone, 0 = of the heap */
    struct ga_span_filter filter;
    const char *file;   /* to write to */
    uint32_t wait_ms;   /* for clients to pause */
    bool quiet;         /* no progress, no summary */
    bool report;        /* count what would be freed, and free nothing */
    bool verbose;       /* say how it is done */
    enum ga_map_by by;  /* how a map is coloured */
    int64_t arena;      /* to draw alone, -1 = all */
    const char *output; /* to write to; NULL = stdout, or with run stderr */
    bool allocs;        /* what was ever allocated, rather than what is in use */
    bool rate_given;
    uint64_t rate_bytes; /* of samples, to be set */
};

/* What a command may return beside 0 and a negative errno; each has an exit status of its own. */
enum ga_ctl_outcome {
    GA_CTL_FAULTS = 1,              /* the heap has faults */
    GA_CTL_TERMINAL = 2,            /* the terminal is none, or too small */
    GA_CTL_TAKEN = 3,               /* somebody else listens at the port or path */
    GA_CTL_EXIT = 0x10000,          /* + n: the exit status is n */
    GA_CTL_USAGE = GA_CTL_EXIT + 2, /* wrong usage, which only the command could see */
};

/* Fetch the answer and print it to stdout. Return 0, an outcome, or a negative errno after the
 * reason has been told on stderr. */
int ga_ctl_status(const struct ga_ctl *ctl);
int ga_ctl_stats(const struct ga_ctl *ctl);
int ga_ctl_client_stats(const struct ga_ctl *ctl);
int ga_ctl_classes(const struct ga_ctl *ctl);
int ga_ctl_arenas(const struct ga_ctl *ctl);
int ga_ctl_spans(const struct ga_ctl *ctl);
int ga_ctl_clients(const struct ga_ctl *ctl);
int ga_ctl_users(const struct ga_ctl *ctl);
int ga_ctl_roots(const struct ga_ctl *ctl);
int ga_ctl_map(const struct ga_ctl *ctl);
int ga_ctl_gc(const struct ga_ctl *ctl);
int ga_ctl_profile(const struct ga_ctl *ctl);
int ga_ctl_sharing(const struct ga_ctl *ctl);
int ga_ctl_scavenge(const struct ga_ctl *ctl);
/* Returns -EBUSY where clients, or a server, hold it up. */
int ga_ctl_snapshot(const struct ga_ctl *ctl);
/* Returns GA_CTL_FAULTS where the heap has faults. */
int ga_ctl_check(const struct ga_ctl *ctl);

#endif
