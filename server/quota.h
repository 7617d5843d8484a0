/* Quotas: how much of a heap one user may have, and how much one client. What is counted is charged
 * to a user's account and to the client that has it. One thread; private memory, which no client
 * can write.
 *
 * A span is charged to the client that leases it, or has asked for it if it is large, for as long
 * as that is so; and to that client's user until its pages are free again, or another user leases
 * it: objects that a client leaves behind still fill the heap, and a user who could leave them to
 * nobody would have no quota. Where users have quotas of memory, none is leased what another is
 * charged with, since whoever has a span is charged with all of it. A root is its publisher's in
 * the same way. */
#ifndef GA_SERVER_QUOTA_H
#define GA_SERVER_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/layout.h"

enum ga_quota_kind {
    GA_QUOTA_BYTES = 0,   /* of the pages of spans */
    GA_QUOTA_SPANS,       /* leased or large, and those left behind with objects in them */
    GA_QUOTA_MCACHES,     /* one a thread */
    GA_QUOTA_CONNECTIONS, /* clients that are attached */
    GA_QUOTA_ROOTS,
    GA_QUOTA_HOLDS, /* objects that a client holds, however often */
};
#define GA_QUOTA_KINDS 6

/* So much of each kind, by enum ga_quota_kind. As a limit, 0 is none. */
struct ga_amounts {
    uint64_t of[GA_QUOTA_KINDS];
};

/* The kind's name ("bytes", "spans", ...). */
const char *ga_quota_kind_name(enum ga_quota_kind kind);

/* What the last -EDQUOT was about. */
struct ga_quota_refusal {
    enum ga_quota_kind kind;
    bool of_client; /* the client's own quota, not its user's */
    uint64_t allowed;
};

struct ga_account {
    uint32_t uid;
    struct ga_amounts used; /* all 0 = the account is nobody's */
};

struct ga_quota {
    struct ga_amounts user_limits;
    struct ga_amounts client_limits;
    struct ga_account *accounts;
    uint32_t account_count; /* there can be: those of all who are attached, and as many again who
                               have only left something behind */
    uint32_t account_end;   /* no account from here on was ever used */
    struct ga_amounts *client_used;  /* by client */
    uint16_t *client_accounts;       /* by client: index + 1, 0 = not attached; a span's is in its
                                        struct ga_mspan */
    struct ga_quota_refusal refusal; /* the last */
};

struct ga_heap;

/* For a heap of so many clients. 0 or -ENOMEM. */
int ga_quota_init(struct ga_quota *quota, const struct ga_amounts *user_limits,
                  const struct ga_amounts *client_limits, uint32_t nclients);
void ga_quota_fini(struct ga_quota *quota);

/* Open client's account, uid's, and charge it with the connection. 0; -EDQUOT; -EAGAIN where there
 * are no more accounts. checked: false for a client of a heap that is taken over. */
int ga_quota_attach(struct ga_heap *heap, uint32_t client, uint32_t uid, bool checked);
/* The client has given up what it had: the connection. */
void ga_quota_detach(struct ga_heap *heap, uint32_t client);

/* Charge client with one more of kind: 0 or -EDQUOT. Without asking. And with one less. */
int ga_quota_take(struct ga_heap *heap, uint32_t client, enum ga_quota_kind kind);
void ga_quota_enter(struct ga_heap *heap, uint32_t client, enum ga_quota_kind kind);
void ga_quota_give(struct ga_heap *heap, uint32_t client, enum ga_quota_kind kind);
/* Charge uid itself with what no client has any more, and with less of it. */
void ga_quota_take_left(struct ga_heap *heap, uint32_t uid, enum ga_quota_kind kind);
void ga_quota_give_left(struct ga_heap *heap, uint32_t uid, enum ga_quota_kind kind);

/* Take a span of the class with free slots that nobody leases, and that client may have, off its
 * list; 0 when there is none. */
ga_page_id ga_quota_take_partial(struct ga_heap *heap, uint32_t client, ga_span_class span_class);

/* Whether client may have a span of npages more: the one at page, or, page being 0, a new one. 0 or
 * -EDQUOT. */
int ga_quota_check_span(struct ga_heap *heap, uint32_t client, ga_page_id page, uint64_t npages);
/* The span at page is client's from now on; is client's no more, but stays its user's; is free. */
void ga_quota_charge_span(struct ga_heap *heap, uint32_t client, ga_page_id page);
void ga_quota_leave_span(struct ga_heap *heap, uint32_t client, ga_page_id page);
void ga_quota_free_span(struct ga_heap *heap, ga_page_id page);
/* Whether the large span at page may have so many pages more: 0 or -EDQUOT. And: it had
 * npages_before until now. */
int ga_quota_check_growth(struct ga_heap *heap, ga_page_id page, uint64_t npages_more);
void ga_quota_resize_span(struct ga_heap *heap, ga_page_id page, uint64_t npages_before);

#endif
