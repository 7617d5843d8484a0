/* What a hostile client says it is or has: others' mcaches and spans, others' numbers, and what
 * takes a Hello or an attachment that it has not. Whose they are it reads in meta, as everybody
 * can; the lowest of others' is the judge's. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "integration/hostile.h"
#include "shm/holder.h"
#include "shm/page_entry.h"
#include "shm/size_class.h"
#include "shm/slot.h"

#define BODY(name) GOALLOC__V1__ENVELOPE__BODY_##name
#define CLASS      10

/* An mcache of another client. */
static uint32_t others_mcache(const struct ga_hostile *hostile, uint32_t own)
{
    struct ga_hostile_memory memory;
    if (!ga_hostile_map(hostile, &memory))
        return 0;
    uint32_t client = ga_load_relaxed(&memory.view.mcache_entries[own].client);
    for (uint32_t id = 1; id < ga_load_relaxed(&memory.meta->mcache_end); id++) {
        uint32_t of = ga_load_relaxed(&memory.view.mcache_entries[id].client);
        if (of != 0 && of != client)
            return id;
    }
    return 0;
}

/* The first page of a small span of an mcache other than own. */
static uint32_t others_page(const struct ga_hostile_memory *memory, uint32_t own)
{
    uint32_t page = 1;
    for (; page < ga_load_acquire(&memory->meta->committed_npages); page++) {
        uint64_t entry = ga_view_entry(&memory->view, page);
        ga_mcache_id owner = ga_entry_owner(entry);
        if (ga_entry_is_span(entry) && ga_entry_span_class(entry) == CLASS && owner != 0 &&
            owner != own)
            break;
    }
    return page;
}

/* ---- others' mcaches ---- */

void ga_deed_lease_for_others(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    uint32_t own = ga_hostile_begin(&wire, hostile);
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    if (own == 0)
        return;
    lease.mcache = others_mcache(hostile, own);
    lease.span_class = CLASS;
    lease.count = 1;
    hostile->served = ga_hostile_got(ga_wire_ask(&wire, BODY(LEASE), &lease), BODY(LEASES));
    ga_wire_is_ended(&wire);
}

void ga_deed_large_for_others(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    uint32_t own = ga_hostile_begin(&wire, hostile);
    Goalloc__V1__LargeAlloc large = GOALLOC__V1__LARGE_ALLOC__INIT;
    if (own == 0)
        return;
    large.mcache = others_mcache(hostile, own);
    large.size_bytes = 100000;
    hostile->served =
        ga_hostile_got(ga_wire_ask(&wire, BODY(LARGE_ALLOC), &large), BODY(LARGE_SPAN));
    ga_wire_is_ended(&wire);
}

void ga_deed_lease_ahead_for_others(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    uint32_t own = ga_hostile_begin(&wire, hostile);
    Goalloc__V1__LeaseAhead note = GOALLOC__V1__LEASE_AHEAD__INIT;
    if (own == 0)
        return;
    note.mcache = others_mcache(hostile, own);
    note.span_class = CLASS;
    note.count = 3;
    ga_hostile_send(&wire, 0, BODY(LEASE_AHEAD), &note);
    ga_wire_is_ended(&wire);
}

void ga_deed_return_for_others(struct ga_hostile *hostile)
{
    static uint32_t pages[64];
    struct ga_wire wire;
    uint32_t own = ga_hostile_begin(&wire, hostile);
    Goalloc__V1__Return body = GOALLOC__V1__RETURN__INIT;
    if (own == 0)
        return;
    body.mcache = others_mcache(hostile, own);
    body.pages = pages;
    body.n_pages = 64;
    for (uint32_t i = 0; i < 64; i++)
        pages[i] = i;
    ga_hostile_send(&wire, 0, BODY(RETURN_SPANS), &body);
    ga_wire_is_ended(&wire);
}

/* An id that no mcache can have. */
void ga_deed_lease_for_nobody(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    if (ga_hostile_begin(&wire, hostile) == 0)
        return;
    lease.mcache = UINT32_MAX;
    lease.span_class = CLASS;
    lease.count = 1;
    hostile->served = ga_hostile_got(ga_wire_ask(&wire, BODY(LEASE), &lease), BODY(LEASES));
    ga_wire_is_ended(&wire);
}

/* Nothing wrong with that; what the ring offers must be the judge's to see. */
void ga_deed_lease_ahead(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    Goalloc__V1__LeaseAhead note = GOALLOC__V1__LEASE_AHEAD__INIT;
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    note.mcache = ga_hostile_begin(&wire, hostile);
    note.span_class = CLASS;
    note.count = 3;
    if (note.mcache == 0)
        return;
    for (int i = 0; i < 3; i++)
        ga_hostile_send(&wire, 0, BODY(LEASE_AHEAD), &note);
    ga_wire_ask(&wire, BODY(SYNC), &sync);
}

/* More taken from its own ring than was put there. */
void ga_deed_take_too_much(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    struct ga_hostile_memory memory;
    Goalloc__V1__LeaseAhead note = GOALLOC__V1__LEASE_AHEAD__INIT;
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    note.mcache = ga_hostile_begin(&wire, hostile);
    note.span_class = CLASS;
    note.count = 3;
    if (note.mcache == 0 || !ga_hostile_map(hostile, &memory))
        return;
    ga_store_release(&memory.view.mcaches[note.mcache].ring_taken, UINT64_MAX / 2);
    ga_hostile_send(&wire, 0, BODY(LEASE_AHEAD), &note);
    ga_wire_ask(&wire, BODY(SYNC), &sync);
}

/* ---- others' spans ---- */

/* The words of the spans say that they were returned, by whom they are leased to and then by
 * itself; and the note names its own mcache. Pages that there are not are named too. */
void ga_deed_return_others_spans(struct ga_hostile *hostile)
{
    static uint32_t pages[256];
    struct ga_hostile_memory memory;
    struct ga_wire wire;
    uint32_t own = ga_hostile_begin(&wire, hostile);
    Goalloc__V1__Return body = GOALLOC__V1__RETURN__INIT;
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    if (own == 0 || !ga_hostile_map(hostile, &memory))
        return;
    body.mcache = own;
    body.pages = pages;
    for (int by_itself = 0; by_itself < 2; by_itself++) {
        body.n_pages = 0;
        for (uint32_t page = 1; page < 250; page++) {
            uint64_t entry = ga_view_entry(&memory.view, page);
            ga_mcache_id owner = ga_entry_owner(entry);
            if (!ga_entry_is_span(entry) || owner == 0 || owner == own)
                continue;
            _Atomic uint64_t *holder = (_Atomic uint64_t *)&memory.view.lines[page].holder;
            ga_store_release(holder, ga_holder_next(ga_load_relaxed(holder),
                                                    by_itself ? own : owner, GA_HOLDER_RETURNED));
            pages[body.n_pages++] = page;
        }
        pages[body.n_pages++] = UINT32_MAX;
        pages[body.n_pages++] = (uint32_t)(memory.heap_bytes / GA_PAGE_SIZE);
        pages[body.n_pages++] = 0;
        ga_hostile_send(&wire, 0, BODY(RETURN_SPANS), &body);
    }
    ga_wire_ask(&wire, BODY(SYNC), &sync);
}

static bool is_done(struct ga_wire *wire, Goalloc__V1__Envelope__BodyCase body_case, void *body)
{
    return ga_hostile_got(ga_wire_ask(wire, body_case, body), BODY(DONE));
}

/* Make roots and holds of what is no object, and a root of a name that is none. */
void ga_deed_wrong_places(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    struct ga_hostile_memory memory;
    char name[301];
    Goalloc__V1__Publish publish = GOALLOC__V1__PUBLISH__INIT;
    Goalloc__V1__Hold hold = GOALLOC__V1__HOLD__INIT;
    if (ga_hostile_begin(&wire, hostile) == 0 || !ga_hostile_map(hostile, &memory))
        return;
    uint64_t end = ga_load_acquire(&memory.meta->committed_npages);
    uint64_t unused = end - 1; /* the last page is the last to be given out */
    while (unused > 0 && ga_view_entry(&memory.view, unused) & GA_ENTRY_INUSE)
        unused--;
    const uint64_t offsets[] = {0, UINT64_MAX, GA_RESERVE_MAX, unused * GA_PAGE_SIZE};
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        publish.name = "nowhere";
        publish.offset = hold.offset = offsets[i];
        bool served = is_done(&wire, BODY(PUBLISH), &publish);
        served |= is_done(&wire, BODY(HOLD), &hold);
        /* Among others, the page may have been given out meanwhile. */
        bool given_out = i == 3 && ga_view_entry(&memory.view, unused) & GA_ENTRY_INUSE;
        hostile->served |= served && !given_out;
    }
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    publish.name = name;
    publish.offset = others_page(&memory, 0) * GA_PAGE_SIZE;
    hostile->served |= is_done(&wire, BODY(PUBLISH), &publish);
}

/* A small span of its own that is longer than a large object may be; 0 if there is none. */
static uint32_t lease_long(struct ga_wire *wire, uint32_t own)
{
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    lease.mcache = own;
    lease.count = 1;
    while (lease.span_class < GA_SPAN_CLASS_COUNT &&
           ga_size_classes[lease.span_class / 2].npages * GA_PAGE_SIZE < 2 * GA_SMALL_MAX)
        lease.span_class += 2;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(wire, BODY(LEASE), &lease);
    return ga_hostile_got(reply, BODY(LEASES)) ? reply->leases->pages[0] : 0;
}

/* Make spans longer and shorter: of what is not large, of what is not there, to what cannot be, and
 * its own; and then take what became free. */
void ga_deed_resize(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    struct ga_hostile_memory memory;
    Goalloc__V1__LargeAlloc large = GOALLOC__V1__LARGE_ALLOC__INIT;
    Goalloc__V1__LargeResize resize = GOALLOC__V1__LARGE_RESIZE__INIT;
    large.mcache = ga_hostile_begin(&wire, hostile);
    large.size_bytes = 3 << 20;
    if (large.mcache == 0 || !ga_hostile_map(hostile, &memory))
        return;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(&wire, BODY(LARGE_ALLOC), &large);
    if (!ga_hostile_got(reply, BODY(LARGE_SPAN)))
        return;
    uint32_t own = reply->large_span->page;
    uint32_t small = others_page(&memory, large.mcache);
    uint32_t its_small = lease_long(&wire, large.mcache);
    const struct {
        uint32_t page;
        uint64_t size_bytes;
    } wrong[] = {{own, UINT64_MAX},         {own, UINT64_MAX / 2}, {own, 1},
                 {own + 1, 2 << 20},        {small, 1 << 20},      {its_small, GA_SMALL_MAX + 1},
                 {UINT32_MAX - 1, 2 << 20}, {0, 2 << 20}};
    ga_slot_take_large(&memory.view, own);
    ga_slot_take_large(&memory.view, small); /* as if its first slot were one object in use */
    ga_slot_take_large(&memory.view, its_small);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        resize.page = wrong[i].page;
        resize.size_bytes = wrong[i].size_bytes;
        hostile->served |= is_done(&wire, BODY(LARGE_RESIZE), &resize);
    }
    resize.page = own;
    resize.size_bytes = 2 << 20;
    ga_wire_ask(&wire, BODY(LARGE_RESIZE), &resize);
    large.size_bytes = 5 * GA_PAGE_SIZE;
    for (int i = 0; i < 100; i++)
        ga_wire_ask(&wire, BODY(LARGE_ALLOC), &large);
}

/* ---- others' numbers ---- */

/* Say, each time on a new connection, that this server has made it each of its clients. */
static void claim(struct ga_hostile *hostile)
{
    struct ga_hostile_memory memory;
    Goalloc__V1__Reattach reattach = GOALLOC__V1__REATTACH__INIT;
    if (!ga_hostile_map(hostile, &memory))
        return;
    reattach.layout_version = GA_LAYOUT_VERSION;
    reattach.heap_id = memory.meta->heap_id;
    reattach.generation = memory.meta->generation;
    uint32_t me = (uint32_t)getpid();
    for (uint32_t i = 0; i < 70; i++) {
        struct ga_wire wire;
        const struct ga_client_entry *entry = &memory.view.clients[i];
        bool own = i < ga_load_relaxed(&memory.meta->client_end) && entry->pid == me;
        if (own || !ga_wire_open_greeted(&wire, hostile->socket))
            continue;
        reattach.client = i + 1;
        if (ga_hostile_got(ga_wire_ask(&wire, BODY(REATTACH), &reattach), BODY(ATTACHED))) {
            fprintf(stderr, "the hostile is client %u\n", reattach.client);
            hostile->served = true;
        }
        ga_wire_close(&wire);
    }
}

void ga_deed_claim_as_client(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    if (ga_hostile_begin(&wire, hostile) != 0)
        claim(hostile);
}

void ga_deed_claim_as_nobody(struct ga_hostile *hostile)
{
    claim(hostile);
}

/* ---- out of turn ---- */

static bool is_answered(struct ga_wire *wire, Goalloc__V1__Envelope__BodyCase body_case, void *body)
{
    const Goalloc__V1__Envelope *reply = ga_wire_ask(wire, body_case, body);
    if (!reply || reply->body_case == BODY(FAILURE))
        return false;
    fprintf(stderr, "the hostile is answered out of turn: %d\n", (int)body_case);
    return true;
}

void ga_deed_too_early(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    Goalloc__V1__GetStatus status = GOALLOC__V1__GET_STATUS__INIT;
    Goalloc__V1__Attach attach = GOALLOC__V1__ATTACH__INIT;
    Goalloc__V1__NewMcache mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    Goalloc__V1__Publish publish = GOALLOC__V1__PUBLISH__INIT;
    Goalloc__V1__Unpublish unpublish = GOALLOC__V1__UNPUBLISH__INIT;
    Goalloc__V1__Hold hold = GOALLOC__V1__HOLD__INIT;
    const struct {
        Goalloc__V1__Envelope__BodyCase body_case;
        void *body;
    } requests[] = {
        {BODY(NEW_MCACHE), &mcache},   {BODY(PUBLISH), &publish}, {BODY(HOLD), &hold},
        {BODY(UNPUBLISH), &unpublish}, {BODY(ATTACH), &attach},   {BODY(GET_STATUS), &status},
    };
    attach.layout_version = GA_LAYOUT_VERSION;
    publish.name = unpublish.name = "early";
    publish.offset = hold.offset = GA_PAGE_SIZE;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        if (ga_wire_open(&wire, hostile->socket))
            hostile->served |= is_answered(&wire, requests[i].body_case, requests[i].body);
        ga_wire_close(&wire);
    }
    /* The first four take an attachment. */
    if (ga_wire_open_greeted(&wire, hostile->socket))
        for (size_t i = 0; i < 4; i++)
            hostile->served |= is_answered(&wire, requests[i].body_case, requests[i].body);
    ga_wire_close(&wire);
}
