/* Accounts are found by uid when a client attaches, and by number from then on: a client and a span
 * remember theirs. An account whose last charge is gone is anybody's. Limits are only looked at
 * when something is asked for: what a client has already it keeps, also where the next server is
 * given lower ones. */
#include "server/quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "server/heap_internal.h"

const char *ga_quota_kind_name(enum ga_quota_kind kind)
{
    static const char *const names[GA_QUOTA_KINDS] = {
        [GA_QUOTA_BYTES] = "bytes",     [GA_QUOTA_SPANS] = "spans",
        [GA_QUOTA_MCACHES] = "mcaches", [GA_QUOTA_CONNECTIONS] = "connections",
        [GA_QUOTA_ROOTS] = "roots",     [GA_QUOTA_HOLDS] = "holds",
    };
    return names[kind];
}

int ga_quota_init(struct ga_quota *quota, const struct ga_amounts *user_limits,
                  const struct ga_amounts *client_limits, uint32_t nclients)
{
    *quota = (struct ga_quota){.user_limits = *user_limits,
                               .client_limits = *client_limits,
                               .account_count = 2 * nclients};
    quota->accounts = calloc(quota->account_count, sizeof(*quota->accounts));
    quota->client_used = calloc(nclients, sizeof(*quota->client_used));
    quota->client_accounts = calloc(nclients, sizeof(*quota->client_accounts));
    return quota->accounts && quota->client_used && quota->client_accounts ? 0 : -ENOMEM;
}

void ga_quota_fini(struct ga_quota *quota)
{
    free(quota->client_accounts);
    free(quota->client_used);
    free(quota->accounts);
}

/* ---- accounts ---- */

static bool is_in_use(const struct ga_account *account)
{
    for (int kind = 0; kind < GA_QUOTA_KINDS; kind++)
        if (account->used.of[kind] != 0)
            return true;
    return false;
}

/* The number of uid's account, a new one if need be; 0 where there are no more. */
static uint16_t find_account(struct ga_quota *quota, uint32_t uid)
{
    uint32_t unused = quota->account_end;
    for (uint32_t i = 0; i < quota->account_end; i++) {
        if (!is_in_use(&quota->accounts[i]))
            unused = i < unused ? i : unused;
        else if (quota->accounts[i].uid == uid)
            return (uint16_t)(i + 1);
    }
    if (unused == quota->account_count)
        return 0;
    if (unused == quota->account_end)
        quota->account_end++;
    quota->accounts[unused].uid = uid;
    return (uint16_t)(unused + 1);
}

static struct ga_amounts *account_of(struct ga_quota *quota, uint32_t client)
{
    assert(quota->client_accounts[client] != 0);
    return &quota->accounts[quota->client_accounts[client] - 1].used;
}

/* Whether more of kind fits: 0 or -EDQUOT, which is remembered. */
static int check(struct ga_quota *quota, bool of_client, const struct ga_amounts *used,
                 enum ga_quota_kind kind, uint64_t more)
{
    uint64_t limit = (of_client ? &quota->client_limits : &quota->user_limits)->of[kind];
    if (limit == 0 || (used->of[kind] <= limit && more <= limit - used->of[kind]))
        return 0;
    quota->refusal =
        (struct ga_quota_refusal){.kind = kind, .of_client = of_client, .allowed = limit};
    return -EDQUOT;
}

static void add(struct ga_amounts *used, enum ga_quota_kind kind, uint64_t more)
{
    used->of[kind] += more;
}

static void subtract(struct ga_amounts *used, enum ga_quota_kind kind, uint64_t less)
{
    assert(used->of[kind] >= less);
    used->of[kind] -= less;
}

/* ---- things that are counted one by one ---- */

int ga_quota_attach(struct ga_heap *heap, uint32_t client, uint32_t uid, bool checked)
{
    struct ga_quota *quota = &heap->quota;
    uint16_t number = find_account(quota, uid);
    if (number == 0)
        return -EAGAIN;
    struct ga_amounts *used = &quota->accounts[number - 1].used;
    int r = checked ? check(quota, false, used, GA_QUOTA_CONNECTIONS, 1) : 0;
    if (r < 0)
        return r;
    quota->client_accounts[client] = number;
    quota->client_used[client] = (struct ga_amounts){0};
    add(used, GA_QUOTA_CONNECTIONS, 1);
    add(&quota->client_used[client], GA_QUOTA_CONNECTIONS, 1);
    return 0;
}

void ga_quota_detach(struct ga_heap *heap, uint32_t client)
{
    ga_quota_give(heap, client, GA_QUOTA_CONNECTIONS);
    heap->quota.client_accounts[client] = 0;
}

int ga_quota_take(struct ga_heap *heap, uint32_t client, enum ga_quota_kind kind)
{
    struct ga_quota *quota = &heap->quota;
    int r = check(quota, false, account_of(quota, client), kind, 1);
    if (r == 0)
        r = check(quota, true, &quota->client_used[client], kind, 1);
    if (r == 0)
        ga_quota_enter(heap, client, kind);
    return r;
}

void ga_quota_enter(struct ga_heap *heap, uint32_t client, enum ga_quota_kind kind)
{
    add(account_of(&heap->quota, client), kind, 1);
    add(&heap->quota.client_used[client], kind, 1);
}

void ga_quota_give(struct ga_heap *heap, uint32_t client, enum ga_quota_kind kind)
{
    subtract(account_of(&heap->quota, client), kind, 1);
    subtract(&heap->quota.client_used[client], kind, 1);
}

void ga_quota_take_left(struct ga_heap *heap, uint32_t uid, enum ga_quota_kind kind)
{
    uint16_t number = find_account(&heap->quota, uid);
    if (number != 0)
        add(&heap->quota.accounts[number - 1].used, kind, 1);
}

void ga_quota_give_left(struct ga_heap *heap, uint32_t uid, enum ga_quota_kind kind)
{
    uint16_t number = find_account(&heap->quota, uid);
    /* There may have been no account left to charge. */
    if (number != 0 && heap->quota.accounts[number - 1].used.of[kind] > 0)
        subtract(&heap->quota.accounts[number - 1].used, kind, 1);
}

/* ---- spans ---- */

static uint64_t bytes_of(const struct ga_heap *heap, ga_page_id page)
{
    return heap->mspans[page].npages * GA_PAGE_SIZE;
}

ga_page_id ga_quota_take_partial(struct ga_heap *heap, uint32_t client, ga_span_class span_class)
{
    struct ga_quota *quota = &heap->quota;
    struct ga_mcentral *central = &heap->central[span_class];
    const struct ga_amounts *limits = &quota->user_limits;
    if (limits->of[GA_QUOTA_BYTES] == 0 && limits->of[GA_QUOTA_SPANS] == 0)
        return ga_mcentral_take(central, heap->mspans);
    return ga_mcentral_take_of(central, heap->mspans, quota->client_accounts[client]);
}

int ga_quota_check_span(struct ga_heap *heap, uint32_t client, ga_page_id page, uint64_t npages)
{
    struct ga_quota *quota = &heap->quota;
    const struct ga_amounts *of_client = &quota->client_used[client];
    uint64_t bytes = npages * GA_PAGE_SIZE;
    int r = check(quota, true, of_client, GA_QUOTA_SPANS, 1);
    if (r == 0)
        r = check(quota, true, of_client, GA_QUOTA_BYTES, bytes);
    if (r < 0 || (page != 0 && heap->mspans[page].account == quota->client_accounts[client]))
        return r; /* its user has the span already */
    const struct ga_amounts *of_user = account_of(quota, client);
    r = check(quota, false, of_user, GA_QUOTA_SPANS, 1);
    return r < 0 ? r : check(quota, false, of_user, GA_QUOTA_BYTES, bytes);
}

void ga_quota_charge_span(struct ga_heap *heap, uint32_t client, ga_page_id page)
{
    struct ga_quota *quota = &heap->quota;
    uint64_t bytes = bytes_of(heap, page);
    add(&quota->client_used[client], GA_QUOTA_SPANS, 1);
    add(&quota->client_used[client], GA_QUOTA_BYTES, bytes);
    if (heap->mspans[page].account == quota->client_accounts[client])
        return;
    ga_quota_free_span(heap, page);
    add(account_of(quota, client), GA_QUOTA_SPANS, 1);
    add(account_of(quota, client), GA_QUOTA_BYTES, bytes);
    heap->mspans[page].account = quota->client_accounts[client];
}

void ga_quota_leave_span(struct ga_heap *heap, uint32_t client, ga_page_id page)
{
    subtract(&heap->quota.client_used[client], GA_QUOTA_SPANS, 1);
    subtract(&heap->quota.client_used[client], GA_QUOTA_BYTES, bytes_of(heap, page));
}

void ga_quota_free_span(struct ga_heap *heap, ga_page_id page)
{
    uint16_t number = heap->mspans[page].account;
    if (number == 0)
        return;
    struct ga_amounts *used = &heap->quota.accounts[number - 1].used;
    subtract(used, GA_QUOTA_SPANS, 1);
    subtract(used, GA_QUOTA_BYTES, bytes_of(heap, page));
    heap->mspans[page].account = 0;
}

int ga_quota_check_growth(struct ga_heap *heap, ga_page_id page, uint64_t npages_more)
{
    struct ga_quota *quota = &heap->quota;
    uint64_t bytes = npages_more * GA_PAGE_SIZE;
    uint32_t client_plus_1 = ga_lease_client(heap, page);
    uint16_t number = heap->mspans[page].account;
    int r = 0;
    if (client_plus_1 != 0)
        r = check(quota, true, &quota->client_used[client_plus_1 - 1], GA_QUOTA_BYTES, bytes);
    if (r == 0 && number != 0)
        r = check(quota, false, &quota->accounts[number - 1].used, GA_QUOTA_BYTES, bytes);
    return r;
}

void ga_quota_resize_span(struct ga_heap *heap, ga_page_id page, uint64_t npages_before)
{
    struct ga_quota *quota = &heap->quota;
    uint64_t before = npages_before * GA_PAGE_SIZE;
    uint32_t client_plus_1 = ga_lease_client(heap, page);
    uint16_t number = heap->mspans[page].account;
    if (client_plus_1 != 0) {
        subtract(&quota->client_used[client_plus_1 - 1], GA_QUOTA_BYTES, before);
        add(&quota->client_used[client_plus_1 - 1], GA_QUOTA_BYTES, bytes_of(heap, page));
    }
    if (number != 0) {
        subtract(&quota->accounts[number - 1].used, GA_QUOTA_BYTES, before);
        add(&quota->accounts[number - 1].used, GA_QUOTA_BYTES, bytes_of(heap, page));
    }
}

/* ---- what is shown ---- */

struct ga_quota_refusal ga_heap_last_refusal(const struct ga_heap *heap)
{
    return heap->quota.refusal;
}

int ga_heap_next_user(struct ga_heap *heap, uint32_t index, struct ga_user_info *ret)
{
    const struct ga_quota *quota = &heap->quota;
    while (index < quota->account_end && !is_in_use(&quota->accounts[index]))
        index++;
    if (index >= quota->account_end)
        return -ENOENT;
    *ret = (struct ga_user_info){.index = index,
                                 .uid = quota->accounts[index].uid,
                                 .used = quota->accounts[index].used,
                                 .allowed = quota->user_limits};
    return 0;
}
