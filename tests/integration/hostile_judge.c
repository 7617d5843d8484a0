/* What the server shows is asked for over the socket, part by part; and the tables that it alone
 * writes are audited in meta: what the audit says of the words of clients is left out. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "integration/hostile.h"
#include "shm/audit.h"

#define BODY(name)  GOALLOC__V1__ENVELOPE__BODY_##name
#define CLIENTS_MAX 256
#define CLASS       10
#define SPANS       40
#define LOOKS       500
#define LOOK_US     10000

static bool wrong(const char *what)
{
    fprintf(stderr, "judge: %s\n", what);
    return false;
}

bool ga_judge_open(struct ga_judge *judge, const char *socket)
{
    *judge = (struct ga_judge){.wire.fd = -1};
    if (!ga_wire_open_attached(&judge->wire, socket))
        return wrong("it cannot attach");
    Goalloc__V1__NewMcache new_mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(&judge->wire, BODY(NEW_MCACHE), &new_mcache);
    if (!reply || reply->body_case != BODY(MCACHE))
        return wrong("it gets no mcache");
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    lease.mcache = judge->mcache = reply->mcache->mcache;
    lease.span_class = CLASS;
    lease.count = SPANS;
    reply = ga_wire_ask(&judge->wire, BODY(LEASE), &lease);
    if (!reply || reply->body_case != BODY(LEASES))
        return wrong("it gets no spans");
    judge->npages = (uint32_t)reply->leases->n_pages;
    memcpy(judge->pages, reply->leases->pages, judge->npages * sizeof(uint32_t));
    return true;
}

void ga_judge_close(struct ga_judge *judge)
{
    ga_wire_close(&judge->wire);
}

/* ---- what the server says ---- */

struct client {
    uint32_t number;
    uint32_t pid;
    bool quarantined;
    uint64_t spans;   /* it says of the client, */
    uint64_t counted; /* and that are in its list */
};

struct picture {
    struct client clients[CLIENTS_MAX];
    uint32_t nclients;
};

static bool ask_clients(struct ga_judge *judge, struct picture *picture)
{
    Goalloc__V1__ListClients list = GOALLOC__V1__LIST_CLIENTS__INIT;
    picture->nclients = 0;
    do {
        const Goalloc__V1__Envelope *reply = ga_wire_ask(&judge->wire, BODY(LIST_CLIENTS), &list);
        if (!reply || reply->body_case != BODY(CLIENT_LIST))
            return wrong("the server does not list its clients");
        for (size_t i = 0; i < reply->client_list->n_clients; i++) {
            const Goalloc__V1__ClientInfo *info = reply->client_list->clients[i];
            if (picture->nclients == CLIENTS_MAX)
                return wrong("there are too many clients");
            picture->clients[picture->nclients++] =
                (struct client){info->client, info->pid, info->quarantined, info->spans, 0};
        }
        list.cursor = reply->client_list->next;
    } while (list.cursor != 0);
    return true;
}

static struct client *find_client(struct picture *picture, uint32_t number)
{
    for (uint32_t i = 0; i < picture->nclients; i++)
        if (picture->clients[i].number == number)
            return &picture->clients[i];
    return NULL;
}

static bool is_judges(const struct ga_judge *judge, uint32_t page)
{
    for (uint32_t i = 0; i < judge->npages; i++)
        if (judge->pages[i] == page)
            return true;
    return false;
}

/* Enter one span; *end is where the last one ended. */
static bool enter_span(const struct ga_judge *judge, struct picture *picture,
                       const Goalloc__V1__SpanInfo *info, uint64_t *end, uint32_t *judges)
{
    if (info->page < *end || info->npages == 0)
        return wrong("two spans have the same page");
    *end = (uint64_t)info->page + info->npages;
    bool theirs = is_judges(judge, info->page);
    if (theirs != (info->owner == judge->mcache))
        return wrong("a span of the judge's is another's, or the reverse");
    *judges += theirs;
    if (info->owner == 0)
        return true;
    struct client *client = find_client(picture, info->client);
    if (!client)
        return wrong("a span is leased to no client");
    client->counted++;
    return true;
}

static bool check_spans(struct ga_judge *judge)
{
    static struct picture picture;
    uint64_t end = 1;
    uint32_t judges = 0;
    Goalloc__V1__ListSpans list = GOALLOC__V1__LIST_SPANS__INIT;
    if (!ask_clients(judge, &picture))
        return false;
    do {
        const Goalloc__V1__Envelope *reply = ga_wire_ask(&judge->wire, BODY(LIST_SPANS), &list);
        if (!reply || reply->body_case != BODY(SPAN_LIST))
            return wrong("the server does not list its spans");
        for (size_t i = 0; i < reply->span_list->n_spans; i++)
            if (!enter_span(judge, &picture, reply->span_list->spans[i], &end, &judges))
                return false;
        list.cursor = reply->span_list->next;
    } while (list.cursor != 0);
    for (uint32_t i = 0; i < picture.nclients; i++)
        if (picture.clients[i].spans != picture.clients[i].counted)
            return wrong("a client has other spans than the server says");
    return judges == judge->npages || wrong("the judge has lost spans");
}

static bool check_quotas(struct ga_judge *judge)
{
    Goalloc__V1__ListUsers list = GOALLOC__V1__LIST_USERS__INIT;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(&judge->wire, BODY(LIST_USERS), &list);
    if (!reply || reply->body_case != BODY(USER_LIST) || reply->user_list->n_users == 0)
        return wrong("the server does not list its users");
    for (size_t i = 0; i < reply->user_list->n_users; i++) {
        const Goalloc__V1__UserInfo *user = reply->user_list->users[i];
        if (user->allowed_bytes == 0 || user->used_bytes > user->allowed_bytes ||
            user->used_spans > user->allowed_spans || user->used_mcaches > user->allowed_mcaches ||
            user->used_roots > user->allowed_roots || user->used_holds > user->allowed_holds)
            return wrong("a user has more than it may have");
    }
    return true;
}

bool ga_judge_sees_quarantine(struct ga_judge *judge, uint32_t pid)
{
    static struct picture picture;
    if (!ask_clients(judge, &picture))
        return false;
    for (uint32_t i = 0; i < picture.nclients; i++)
        if (picture.clients[i].pid == pid && picture.clients[i].quarantined)
            return true;
    return false;
}

/* ---- what is in meta ---- */

/* Count what only the server can have done; the last time, tell of it. */
struct findings {
    uint32_t count;
    bool tell;
};

static void report(void *data, const struct ga_audit_fault *fault)
{
    static const uint64_t of_server =
        1ull << GA_FAULT_HEADER | 1ull << GA_FAULT_ARENA | 1ull << GA_FAULT_PAGE_ZERO |
        1ull << GA_FAULT_ENTRY | 1ull << GA_FAULT_LENGTH | 1ull << GA_FAULT_INNER |
        1ull << GA_FAULT_OWNER | 1ull << GA_FAULT_LARGE_CLIENT | 1ull << GA_FAULT_CLIENT |
        1ull << GA_FAULT_MCACHE_CLIENT | 1ull << GA_FAULT_LEASES | 1ull << GA_FAULT_LEASED_BYTES |
        1ull << GA_FAULT_RING | 1ull << GA_FAULT_RING_TWICE | 1ull << GA_FAULT_ROOT |
        1ull << GA_FAULT_ROOT_TWICE | 1ull << GA_FAULT_HOLD;
    struct findings *findings = data;
    if (!(of_server >> fault->kind & 1))
        return;
    findings->count++;
    char text[GA_AUDIT_TEXT_BYTES];
    if (findings->tell)
        fprintf(stderr, "judge: %s\n", ga_audit_fault_text(fault, text));
}

/* Whether the server's tables are right, at the latest when it has done what it is at. An audit
 * that rests where something looks wrong would rest at each spoilt word. */
static bool tables_are_right(const struct ga_view *view)
{
    static struct ga_audit_scratch scratch;
    struct findings findings = {1, false};
    for (int i = 0; findings.count > 0 && i < LOOKS; i++) {
        usleep(i > 0 ? LOOK_US : 0);
        findings = (struct findings){0, i + 1 == LOOKS};
        struct ga_audit_options options = {.flags =
                                               GA_AUDIT_CLIENTS_MIDWAY | GA_AUDIT_SERVER_MIDWAY,
                                           .scratch = &scratch,
                                           .report = report,
                                           .data = &findings};
        struct ga_audit audit;
        ga_audit_run(view, &options, &audit); /* the header of bits may be spoilt */
    }
    return findings.count == 0;
}

static void *map(const char *heap, const char *suffix, size_t *ret_bytes)
{
    struct stat st;
    int fd = ga_daemon_open_object(heap, suffix, O_RDONLY);
    void *got = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &st) == 0) {
        *ret_bytes = (size_t)st.st_size;
        got = mmap(NULL, *ret_bytes, PROT_READ, MAP_SHARED, fd, 0);
    }
    if (fd >= 0)
        close(fd);
    return got == MAP_FAILED ? NULL : got;
}

static bool check_meta(const char *heap)
{
    size_t meta_bytes = 0;
    size_t bits_bytes = 0;
    void *meta = map(heap, "meta", &meta_bytes);
    void *bits = map(heap, "bits", &bits_bytes);
    bool good = meta && bits;
    if (good) {
        struct ga_view view = ga_view_of(meta, bits);
        good = tables_are_right(&view);
    }
    if (meta)
        munmap(meta, meta_bytes);
    if (bits)
        munmap(bits, bits_bytes);
    return good || wrong("what only the server writes is not right");
}

bool ga_judge_finds_all_right(struct ga_judge *judge, const char *heap)
{
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(&judge->wire, BODY(SYNC), &sync);
    if (!reply || reply->body_case != BODY(DONE))
        return wrong("the server does not answer");
    return check_spans(judge) && check_quotas(judge) && check_meta(heap);
}
