/* The command line of goallocd, and the file of options that it may name. */
#ifndef GA_SERVER_SHELL_OPTIONS_H
#define GA_SERVER_SHELL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "server/quota.h"
#include "server/shell/access.h"
#include "server/shell/log.h"
#include "shm/layout.h"

#define GA_SOCKET_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)

/* The least a heap may be limited to: what it grows by at a time. */
#define GA_LIMIT_MIN (UINT64_C(1) << 20)

#define GA_GC_PERCENT_DEFAULT 100u
#define GA_GC_PERCENT_MAX     100000u

#define GA_PROFILE_RATE_DEFAULT (UINT64_C(512) << 10)

struct ga_options {
    char name[GA_HEAP_NAME_MAX + 1]; /* empty = that of the snapshot */
    char socket_path[GA_SOCKET_PATH_BYTES];
    uint64_t limit_bytes;      /* 0 = as much as the reserve */
    uint64_t soft_limit_bytes; /* 0 = none */
    uint64_t reserve_bytes;
    uint64_t base; /* 0 = the first window that is free */
    bool reserve_given;
    const char *restore_path; /* the snapshot to begin with; NULL = none */
    bool replace;             /* remove the heap of this name that a dead server left */
    bool ephemeral;           /* remove the heap at the end */
    bool huge_pages;          /* for the heap, where there are any */
    bool io_uring;            /* may be used, where the system allows it */
    bool is_private;          /* end when the last client has gone */
    struct ga_access access;
    struct ga_amounts user_quota;
    struct ga_amounts client_quota;
    bool gc_stops;       /* managed clients stand still while all is marked, though they need not */
    uint32_t gc_percent; /* how much managed clients may grow before they are collected; 0 = off */
    uint64_t profile_rate_bytes; /* of clients, 0 = they sample nothing */
    int ready_fd;                /* told when the socket accepts; -1 = nobody */
    enum ga_log_level log_level;
    const char *config_path; /* the file they were read from; NULL = none */
    bool again;              /* they are read while we serve: nothing is done as they are read */
};

/* What the command line asks for, if not to serve a heap. */
enum ga_options_outcome {
    GA_OPTIONS_SERVE = 0,
    GA_OPTIONS_DONE = 1, /* --help or --version: answered on stdout */
};

/* Read the command line; sets the log's level too. The result points into argv. Returns an outcome,
 * or -EINVAL when it is wrong, which has been logged. */
int ga_options_parse(int argc, char *argv[], struct ga_options *ret);

/* Read all once more, the file as it is now, and do nothing about the log. */
int ga_options_parse_again(int argc, char *argv[], struct ga_options *ret);

/* Where they name no socket: take the one where clients look when they are told nothing. 0; or
 * -EINVAL or -EACCES, which has been logged. */
int ga_options_default_socket(struct ga_options *options);

#endif
