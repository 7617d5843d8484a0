/* Many clients against the pure core, with a clock and a network that are not real: requests come
 * late and in any order, requests and notes are lost or come twice, replies are lost or late, and
 * clients die at any step, between the stores of a claim, a return or a free as well. After each
 * step everything the core keeps is audited, and what is in use is what the model has.
 *
 * A reply never comes twice: the client matches replies by id. A client's requests that are under
 * way when it dies may still be carried out, but before its death is told, as on a socket. */
#include "support/core_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/size_class.h"
#include "support/cunit_main.h"

#define COUNT(a)   (sizeof(a) / sizeof(*(a)))
#define CLIENTS    12u
#define MCACHES    3u /* of a client */
#define MESSAGES   400u
#define OBJECTS    1500u
#define STEPS      3000u
#define DELAY_MS   200u
#define LEASE_MOST 4u
#define LOOK_EVERY 50u     /* steps between two looks at every object */
#ifdef __SANITIZE_THREAD__ /* slow, and there is one thread */
#define RUNS_SHORT 2u
#define RUNS_LONG  2u
#else
#define RUNS_SHORT 40u
#define RUNS_LONG  400u
#endif
#define LARGE_BYTES 40000u

enum kind { ASK_LEASE, ASK_LARGE, RETURN, LARGE_FREED, LEASES, LARGE_SPAN };

struct message {
    enum kind kind;
    uint64_t due_ms;
    uint32_t client; /* sender, or receiver of a reply */
    uint32_t life;   /* which of the client's lives it is of */
    ga_mcache_id mcache;
    ga_span_class span_class;
    uint32_t npages;
    ga_page_id pages[LEASE_MOST];
};

struct client {
    bool attached;
    uint32_t life;
    ga_client_id id;
    uint32_t nmcaches;
    ga_mcache_id mcaches[MCACHES];
};

static struct ga_core core;
static struct {
    uint64_t random;
    struct client clients[CLIENTS];
    struct message messages[MESSAGES];
    uint32_t nmessages;
    struct ga_slot objects[OBJECTS];
    uint32_t nobjects;
} sim;

/* How often each happened in all runs: a simulation in which nothing happens proves nothing. */
static struct {
    uint64_t lost, twice, deaths, leases, returns, refused_returns, refused_memory, large;
} seen;

static const ga_span_class some_classes[] = {2, 11, 20, 21, 60, 100, 135};

static uint32_t pick(uint32_t n)
{
    return (uint32_t)(ga_test_random(&sim.random) % n);
}

/* ---- the network ---- */

static void post(const struct message *message)
{
    if (sim.nmessages == MESSAGES)
        return; /* lost, too */
    sim.messages[sim.nmessages] = *message;
    sim.messages[sim.nmessages++].due_ms = core.now_ms + pick(DELAY_MS);
}

static void send(const struct message *message)
{
    bool is_reply = message->kind >= LEASES;
    uint32_t fate = pick(20);
    if (fate == 0) {
        seen.lost++;
        return;
    }
    post(message);
    if (fate == 1 && !is_reply) {
        seen.twice++;
        post(message);
    }
}

/* ---- the server ---- */

static void serve(const struct message *m)
{
    ga_client_id id = sim.clients[m->client].id;
    struct message reply = *m;
    bool zeroed;
    int r = 0;
    switch (m->kind) {
    case ASK_LEASE: {
        ga_page_id pages[GA_LEASE_MAX];
        r = ga_heap_lease(core.heap, id, m->mcache, m->span_class, 1 + pick(LEASE_MOST), pages,
                          &reply.npages);
        if (r == 0)
            memcpy(reply.pages, pages, reply.npages * sizeof(*pages));
        reply.kind = LEASES;
        break;
    }
    case ASK_LARGE:
        r = ga_heap_large_alloc(core.heap, id, m->mcache, LARGE_BYTES + pick(200000), 0,
                                m->span_class, &reply.pages[0], &zeroed);
        reply.kind = LARGE_SPAN;
        break;
    case RETURN:
        r = ga_heap_return(core.heap, id, m->mcache, m->pages[0]);
        CU_ASSERT(r == 0 || r == -EINVAL || r == -EAGAIN);
        seen.returns += r == 0;
        seen.refused_returns += r < 0;
        return;
    default:
        ga_heap_sweep_pending(core.heap);
        return;
    }
    CU_ASSERT(r == 0 || r == -ENOMEM);
    seen.refused_memory += r < 0;
    if (r == 0)
        send(&reply);
}

/* ---- the clients ---- */

static void take_reply(const struct message *m)
{
    if (m->kind == LARGE_SPAN) {
        if (sim.nobjects == OBJECTS)
            return; /* the caller has given up */
        ga_core_take_large(&core, m->mcache, m->pages[0]);
        sim.objects[sim.nobjects++] = ga_core_slot(&core, m->pages[0], 0);
        seen.large++;
        return;
    }
    for (uint32_t i = 0; i < m->npages; i++) {
        CU_ASSERT_EQUAL(ga_entry_owner(ga_view_entry(&core.view, m->pages[i])), m->mcache);
        ga_slot_begin_lease(&core.view, m->mcache, m->pages[i]);
        seen.leases++;
    }
}

static void deliver(uint32_t index)
{
    struct message m = sim.messages[index];
    sim.messages[index] = sim.messages[--sim.nmessages];
    if (!sim.clients[m.client].attached || sim.clients[m.client].life != m.life)
        return;
    if (m.kind >= LEASES)
        take_reply(&m);
    else
        serve(&m);
}

/* Let time pass until a message is due, and deliver that. */
static void deliver_next(void)
{
    if (sim.nmessages == 0)
        return;
    uint32_t first = 0;
    for (uint32_t i = 1; i < sim.nmessages; i++)
        if (sim.messages[i].due_ms < sim.messages[first].due_ms)
            first = i;
    if (sim.messages[first].due_ms > core.now_ms)
        core.now_ms = sim.messages[first].due_ms;
    deliver(first);
}

static bool is_held(ga_mcache_id mcache, ga_page_id page)
{
    return ga_holder_is_leased_by(ga_load_relaxed(&core.view.lines[page].holder), mcache);
}

/* A random span that mcache allocates from; 0 if there is none. */
static ga_page_id pick_held(ga_mcache_id mcache)
{
    ga_page_id found = 0;
    uint32_t n = 0;
    for (uint32_t page = core.heap->mcaches[mcache].leased.first; page;
         page = core.heap->mspans[page].next)
        if (is_held(mcache, page) && pick(++n) == 0)
            found = page;
    return found;
}

static ga_mcache_id pick_mcache(uint32_t *ret_client)
{
    struct client *client = &sim.clients[ *ret_client = pick(CLIENTS)];
    if (!client->attached) {
        if (ga_heap_attach(core.heap, 1, 2, 3, 4, "c", &client->id) < 0)
            return 0;
        client->attached = true;
        client->life++;
        client->nmcaches = 0;
    }
    if (client->nmcaches < MCACHES && (client->nmcaches == 0 || pick(30) == 0)) {
        if (ga_heap_new_mcache(core.heap, client->id, &client->mcaches[client->nmcaches]) < 0)
            return 0;
        client->nmcaches++;
    }
    return client->mcaches[pick(client->nmcaches)];
}

static void ask(uint32_t client, ga_mcache_id mcache, enum kind kind, ga_span_class span_class)
{
    send(&(struct message){.kind = kind,
                           .client = client,
                           .life = sim.clients[client].life,
                           .mcache = mcache,
                           .span_class = span_class});
}

static void allocate(uint32_t client, ga_mcache_id mcache)
{
    if (pick(30) == 0) {
        ask(client, mcache, ASK_LARGE, (ga_span_class)pick(2));
        return;
    }
    ga_span_class span_class = some_classes[pick(COUNT(some_classes))];
    for (uint32_t n = pick(20); n > 0 && sim.nobjects < OBJECTS; n--) {
        if (ga_core_malloc(&core, mcache, span_class, &sim.objects[sim.nobjects]) == 0) {
            sim.nobjects++;
            continue;
        }
        bool claimed = false;
        for (uint32_t page = core.heap->mcaches[mcache].leased.first; page && !claimed;
             page = core.heap->mspans[page].next)
            claimed = core.heap->mspans[page].span_class == span_class && is_held(mcache, page) &&
                      ga_core_claim(&core, mcache, page);
        if (!claimed) {
            ask(client, mcache, ASK_LEASE, span_class);
            return;
        }
    }
}

static struct ga_slot take_object(void)
{
    uint32_t i = pick(sim.nobjects);
    struct ga_slot slot = sim.objects[i];
    sim.objects[i] = sim.objects[--sim.nobjects];
    slot.entry = ga_view_entry(&core.view, slot.page); /* the owner may have changed */
    return slot;
}

static void free_some(uint32_t client, ga_mcache_id mcache)
{
    for (uint32_t n = pick(20); n > 0 && sim.nobjects > 0; n--) {
        struct ga_slot slot = take_object();
        bool mine = is_held(mcache, slot.page);
        CU_ASSERT(mine ? ga_core_free_own(&core, mcache, &slot)
                       : ga_core_free_other(&core, mcache, &slot));
        if (slot.entry & GA_ENTRY_LARGE)
            ask(client, mcache, LARGE_FREED, 0);
        if (pick(8) == 0) /* again */
            CU_ASSERT_FALSE(mine ? ga_core_free_own(&core, mcache, &slot)
                                 : ga_core_free_other(&core, mcache, &slot));
    }
}

static void return_one(uint32_t client, ga_mcache_id mcache)
{
    ga_page_id page = pick_held(mcache);
    if (page == 0)
        return;
    ga_core_end_lease(&core, mcache, page);
    send(&(struct message){.kind = RETURN,
                           .client = client,
                           .life = sim.clients[client].life,
                           .mcache = mcache,
                           .pages = {page}});
}

/* ---- death ---- */

/* Leave a claim after so many of its four stores. */
static void die_in_claim(ga_mcache_id mcache, uint32_t stores)
{
    ga_page_id page = pick_held(mcache);
    ga_span_class class = page ? core.heap->mspans[page].span_class : 0;
    struct ga_mcache *shared = &core.view.mcaches[mcache];
    if (class < 2 || ga_load_relaxed(&shared->classes[class].cache) != 0)
        return; /* none, or a large one, which nobody claims */
    uint64_t slots = ga_free_bits(&core.view, page, 0, ga_mheap_nslots(class));
    _Atomic uint64_t *where = &shared->where[class];
    _Atomic uint64_t *a = ga_view_a(&core.view, page, 0);
    if (stores >= 1)
        ga_store_release(where, ga_where_next(ga_load_relaxed(where), page, 0));
    if (stores >= 2)
        ga_store_release(&shared->classes[class].cache, slots);
    if (stores >= 3)
        ga_store_release(a, ga_load_relaxed(a) ^ slots);
}

/* Leave a free of somebody else's object after so many of its stores: telling, and F. */
static void die_in_free(ga_mcache_id mcache, uint32_t stores)
{
    if (sim.nobjects == 0 || stores == 0)
        return;
    uint32_t i = pick(sim.nobjects);
    const struct ga_slot slot = sim.objects[i];
    if (is_held(mcache, slot.page))
        return;
    ga_store_release(&core.view.mcaches[mcache].telling, slot.page);
    if (stores == 1)
        return;
    _Atomic uint64_t *f = ga_view_f(&core.view, slot.page, slot.index / 64);
    ga_store_release(f, ga_load_relaxed(f) ^ UINT64_C(1) << slot.index % 64);
    sim.objects[i] = sim.objects[--sim.nobjects];
}

static void die(uint32_t client, ga_mcache_id mcache)
{
    ga_page_id page = pick_held(mcache);
    switch (pick(4)) {
    case 0:
        die_in_claim(mcache, pick(4));
        break;
    case 1:
        die_in_free(mcache, pick(3));
        break;
    case 2:
        if (page)
            ga_core_end_lease(&core, mcache, page);
        break;
    default:
        break;
    }
    /* What it had sent arrives, or not. */
    for (uint32_t i = sim.nmessages; i-- > 0;)
        if (i < sim.nmessages && sim.messages[i].client == client &&
            sim.messages[i].kind < LEASES && pick(2))
            deliver(i);
    ga_heap_client_gone(core.heap, sim.clients[client].id);
    sim.clients[client].attached = false;
    seen.deaths++;
}

/* ---- a run ---- */

static void one_step(void)
{
    uint32_t client;
    if (pick(60) == 0)
        core.fail_commit = 1 + pick(6);
    ga_mcache_id mcache = pick_mcache(&client);
    if (mcache == 0)
        return;
    uint32_t dice = pick(100);
    if (dice < 40)
        deliver_next();
    else if (dice < 65)
        allocate(client, mcache);
    else if (dice < 85)
        free_some(client, mcache);
    else if (dice < 96)
        return_one(client, mcache);
    else if (dice < 98)
        ga_heap_sweep_pending(core.heap);
    else
        die(client, mcache);
}

static const char *check(bool look_at_objects)
{
    uint64_t nobjects;
    uint64_t bytes;
    const char *wrong = ga_core_audit(&core);
    ga_core_recount(&core, &nobjects, &bytes);
    if (!wrong && nobjects != sim.nobjects)
        wrong = "what is in use is what the model has";
    for (uint32_t i = 0; look_at_objects && i < sim.nobjects && !wrong; i++) {
        sim.objects[i].entry = ga_view_entry(&core.view, sim.objects[i].page);
        if (!ga_core_in_use(&core, &sim.objects[i]))
            wrong = "every object of the model is in use";
    }
    return wrong;
}

/* All die, and one that comes after them frees what they left: every page is free again. */
static void end_of_run(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (sim.clients[i].attached)
            ga_heap_client_gone(core.heap, sim.clients[i].id);
    core.fail_commit = 0;
    ga_mcache_id mcache = ga_core_mcache(&core, ga_core_attach(&core));
    while (sim.nobjects > 0) {
        struct ga_slot slot = take_object();
        CU_ASSERT(ga_core_free_other(&core, mcache, &slot));
    }
    ga_heap_sweep_pending(core.heap);
    CU_ASSERT_PTR_NULL(check(false));
    CU_ASSERT_EQUAL(core.heap->nspans, 0);
}

static bool run(uint64_t seed)
{
    memset(&sim, 0, sizeof(sim));
    sim.random = seed;
    ga_core_open(&core, GA_ARENA_SIZE, (2 + pick(5)) * GA_CORE_MIB);
    const char *wrong = NULL;
    uint32_t step = 0;
    for (; step < STEPS && !wrong; step++) {
        one_step();
        wrong = check(step % LOOK_EVERY == 0);
    }
    if (wrong)
        printf("step %u: not true: %s\n", step, wrong);
    CU_ASSERT_PTR_NULL(wrong);
    if (!wrong)
        end_of_run();
    ga_core_close(&core);
    return !wrong;
}

static void messages(void)
{
    uint64_t random = ga_test_seed();
    uint32_t nruns = getenv("GOALLOC_LONG") ? RUNS_LONG : RUNS_SHORT;
    for (uint32_t i = 0; i < nruns; i++)
        if (!run(ga_test_random(&random)))
            break;
    printf("%llu lost, %llu twice, %llu deaths, %llu leases, %llu returns and %llu refused, "
           "%llu large, %llu times no memory; ",
           (unsigned long long)seen.lost, (unsigned long long)seen.twice,
           (unsigned long long)seen.deaths, (unsigned long long)seen.leases,
           (unsigned long long)seen.returns, (unsigned long long)seen.refused_returns,
           (unsigned long long)seen.large, (unsigned long long)seen.refused_memory);
    CU_ASSERT(seen.lost && seen.twice && seen.deaths && seen.leases && seen.returns &&
              seen.refused_returns && seen.large && seen.refused_memory);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"messages late, lost and twice", messages},
    };
    return ga_test_main("simulation.messages", tests, 1);
}
