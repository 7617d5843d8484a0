#include "simulation/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/collect.h"
#include "simulation/adoption.h"
#include "simulation/collections.h"
#include "simulation/frame.h"
#include "simulation/graph.h"
#include "simulation/model.h"
#include "simulation/process.h"
#include "simulation/quotas.h"
#include "support/cunit_main.h"

#define DEATHS         70u /* one operation in so many is cut off */
#define RARE_DEATHS    12u /* of those that are rare, and long */
#define REACH          9u
#define ADOPTION_DEATH 4u
#define ADOPTION_REACH 13u

/* ---- effects, each of which the server may be killed before or after ---- */

static struct ga_heap_effects real;

static int sim_resize(void *data, enum ga_object object, uint64_t bytes)
{
    GA_SIM_POINT();
    int r = real.resize(data, object, bytes);
    GA_SIM_POINT();
    return r;
}

static int sim_commit(void *data, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    GA_SIM_POINT();
    int r = real.commit(data, object, offset, bytes);
    GA_SIM_POINT();
    return r;
}

static int sim_punch(void *data, uint64_t offset, uint64_t bytes)
{
    GA_SIM_POINT();
    int r = real.punch(data, offset, bytes);
    ga_sim_model_punch(offset, bytes);
    ga_sim.seen.punches++;
    GA_SIM_POINT();
    return r;
}

static int sim_recommit(void *data, uint64_t offset, uint64_t bytes)
{
    GA_SIM_POINT();
    int r = real.recommit(data, offset, bytes);
    ga_sim.seen.recommits++;
    GA_SIM_POINT();
    return r;
}

void ga_sim_server_start(uint64_t seed, uint64_t limit_bytes)
{
    struct ga_core *core = &ga_sim.core;
    ga_core_init(core, GA_ARENA_SIZE, limit_bytes);
    ga_sim_quotas_choose(seed);
    real = core->effects;
    core->effects.resize = sim_resize;
    core->effects.commit = sim_commit;
    core->effects.punch = sim_punch;
    core->effects.recommit = sim_recommit;
    /* Near it nearly everything that is free is given back. */
    core->config.soft_limit_bytes = ga_sim_pick(2) * (GA_CORE_MIB / 4 + ga_sim_pick(GA_CORE_MIB));
    CU_ASSERT_EQUAL_FATAL(ga_core_make(core), 0);
    ga_heap_set_memory(core->heap, ga_sim_graph_memory());
    ga_sim.server_is_up = true;
}

/* ---- requests and notes ---- */

static int publish(const struct ga_sim_message *m)
{
    struct ga_heap *heap = ga_sim.core.heap;
    uint64_t *root = &ga_sim_model.roots[m->count];
    char name[16];
    uint64_t old = 0;
    snprintf(name, sizeof(name), "root %u", m->count);
    int r = m->kind == GA_SIM_PUBLISH   ? ga_heap_publish(heap, m->client, name, m->offset)
            : m->kind == GA_SIM_REPLACE ? ga_heap_replace(heap, m->client, name, m->offset, &old)
                                        : ga_heap_unpublish(heap, name);
    ga_sim_settled();
    ga_sim.seen.roots += r == 0;
    if (r == -ENOMEM || r == -EINVAL || r == -EDQUOT)
        return r;
    if (m->kind == GA_SIM_PUBLISH)
        GA_SIM_REQUIRE((r == -EEXIST) == (*root != 0), "a name is published once");
    if (m->kind == GA_SIM_REPLACE)
        GA_SIM_REQUIRE(r == 0 && old == *root, "what is replaced is what was published");
    if (m->kind == GA_SIM_UNPUBLISH)
        GA_SIM_REQUIRE((r == -ENOENT) == (*root == 0), "what was published can be taken back");
    if (r == 0)
        *root = m->kind == GA_SIM_UNPUBLISH ? 0 : m->offset;
    return r;
}

static int hold(const struct ga_sim_message *m)
{
    int r = ga_heap_hold(ga_sim.core.heap, m->client, m->offset);
    ga_sim_settled();
    ga_sim.seen.holds += r == 0;
    if (r == 0)
        ga_sim_model_hold_once_more(m->client, m->offset);
    /* Who has found it in time; what it points to may be gone. */
    for (uint32_t i = 0; r == 0 && i < GA_SIM_OBJECTS; i++)
        if (ga_sim_model.objects[i].state == GA_SIM_GARBAGE &&
            ga_sim_model.objects[i].offset == m->offset)
            ga_sim_model.objects[i].state = GA_SIM_IN_USE;
    return r;
}

static int release(const struct ga_sim_message *m)
{
    struct ga_sim_hold *held = ga_sim_model_hold(m->client, m->offset);
    int r = ga_heap_release(ga_sim.core.heap, m->client, m->offset);
    ga_sim_settled();
    GA_SIM_REQUIRE((r == 0) == (held != NULL), "who holds can release");
    if (r == 0 && held && held->count > 1)
        held->count--;
    else if (r == 0 && held)
        ga_sim_model_drop(held);
    return r;
}

static int put_off(const struct ga_sim_message *m)
{
    int r = ga_heap_put_off(ga_sim.core.heap, m->offset);
    ga_sim_settled();
    struct ga_sim_object *object = ga_sim_model_asked(m->offset);
    GA_SIM_REQUIRE(object, "what is to be put off is in use");
    GA_SIM_REQUIRE(r == 0 || r == -ENOENT, "a free is put off once");
    /* A hold that came after its object's free may be of a tiny object by now. */
    bool tiny = object && (ga_view_entry(&ga_sim.core.view, object->page) & GA_ENTRY_TINY);
    GA_SIM_REQUIRE((r == 0) == (ga_sim_model_is_held(m->offset) && !tiny),
                   "what is held can be put off");
    if (r == 0 && object)
        ga_sim_model_put_off(object);
    return r;
}

static void gone(ga_client_id client, uint32_t pid)
{
    ga_heap_client_gone(ga_sim.core.heap, client);
    ga_sim_settled();
    for (uint32_t i = 0; i < GA_SIM_HOLDS; i++)
        if (ga_sim_model.holds[i].count && ga_sim_model.holds[i].client == client)
            ga_sim_model_drop(&ga_sim_model.holds[i]);
    ga_sim_model_unasked(pid);
}

static int give_back(const struct ga_sim_message *m)
{
    int r = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        r = ga_heap_return(ga_sim.core.heap, m->client, m->mcache, m->pages[i]);
        ga_sim.seen.returns += r == 0;
        ga_sim.seen.refused_returns += r < 0;
    }
    return r;
}

/* Do what m asks for. What it results in goes into m, which becomes the reply. */
static int carry_out(struct ga_sim_message *m)
{
    struct ga_heap *heap = ga_sim.core.heap;
    ga_page_id pages[GA_LEASE_MAX];
    int r;
    switch (m->kind) {
    case GA_SIM_ATTACH:
        r = ga_heap_attach(heap, m->pid, ga_sim_uid_of(m->pid), 3, m->pid, "simulated", &m->client);
        if (r == 0 && m->managed)
            r = ga_heap_set_managed(heap, m->client);
        return r;
    case GA_SIM_NEW_MCACHE:
        return ga_heap_new_mcache(heap, m->client, &m->mcache);
    case GA_SIM_LEASE:
        r = ga_heap_lease(heap, m->client, m->mcache, m->span_class, m->count, pages, &m->count);
        if (r == 0)
            memcpy(m->pages, pages, m->count * sizeof(*pages));
        return r;
    case GA_SIM_LEASE_AHEAD:
        return ga_heap_lease_ahead(heap, m->client, m->mcache, m->span_class, m->count);
    case GA_SIM_LARGE_ALLOC:
        return ga_heap_large_alloc(heap, m->client, m->mcache, m->bytes, m->alignment,
                                   m->span_class, &m->pages[0], &m->zeroed);
    case GA_SIM_LARGE_RESIZE:
        r = ga_heap_large_resize(heap, m->client, m->pages[0], m->bytes);
        ga_sim_settled();
        ga_sim_model.missing_resizes += r == 0; /* until it is counted */
        GA_SIM_REQUIRE(r < 0 ||
                           m->bytes + GA_PAGE_SIZE > ga_entry_npages(m->entry) * GA_PAGE_SIZE ||
                           !ga_sim_model_is_held(m->offset),
                       "what is held becomes no shorter");
        return r;
    case GA_SIM_RETURN:
        return give_back(m);
    case GA_SIM_HOLD:
        return hold(m);
    case GA_SIM_RELEASE:
        return release(m);
    case GA_SIM_PUT_OFF_FREE:
        return put_off(m);
    case GA_SIM_GONE:
        gone(m->client, m->pid);
        return 0;
    case GA_SIM_LARGE_FREED:
        ga_heap_sweep_page(heap, m->pages[0]);
        return 0;
    default:
        return publish(m);
    }
}

static void serve(void *argument)
{
    struct ga_sim_message *m = argument;
    struct ga_heap *heap = ga_sim.core.heap;
    uint64_t old;
    if (ga_sim_is_change(m))
        GA_SIM_REQUIRE(ga_heap_begin_request(heap, m->client, m->thread, m->request, &old) !=
                           GA_REQUEST_DONE,
                       "what was never sent is not noted");
    m->result = carry_out(m);
    ga_heap_end_request(heap);
    ga_sim_settled();
    ga_sim.seen.no_memory += m->result == -ENOMEM;
    ga_sim.seen.no_quota += m->result == -EDQUOT;
    m->is_reply = true;
    if (m->request)
        ga_sim_post(m);
}

static bool serve_or_die(const struct ga_sim_message *message)
{
    struct ga_sim_message m = *message;
    ga_sim_model.releasing = m.kind == GA_SIM_RELEASE ? m.offset
                             : m.kind == GA_SIM_GONE  ? GA_SIM_ANY
                                                      : 0;
    bool rare = m.kind == GA_SIM_RELEASE || m.kind == GA_SIM_GONE;
    if (ga_sim_run(NULL, rare ? RARE_DEATHS : DEATHS, REACH, serve, &m))
        return true;
    ga_sim.seen.server_deaths_in_a_step++;
    ga_sim_model.missing_resizes += m.kind == GA_SIM_LARGE_RESIZE;
    ga_sim_adoption_cut_off(message);
    return false;
}

void ga_sim_server_serve(const struct ga_sim_message *message)
{
    (void)serve_or_die(message);
}

static void sweep(void *unused)
{
    (void)unused;
    ga_heap_begin_sweep(ga_sim.core.heap);
    while (ga_heap_sweep_some(ga_sim.core.heap))
        continue;
}

void ga_sim_server_sweep(void)
{
    ga_sim_model.releasing = 0;
    if (!ga_sim_run(NULL, RARE_DEATHS, REACH, sweep, NULL))
        ga_sim.seen.server_deaths_in_a_step++;
}

/* ---- giving memory back ---- */

/* Of the release under way: runs that are punched, though nobody has told of it. */
static bool punched[GA_RELEASE_RUNS];

static void begin_release(void)
{
    struct ga_page_run runs[GA_RELEASE_RUNS];
    ga_heap_next_period(ga_sim.core.heap);
    if (ga_heap_begin_release(ga_sim.core.heap, runs) > 0)
        ga_sim.seen.releases++;
    memset(punched, 0, sizeof(punched));
}

/* One run of the release is punched, or told of: any time after it has begun, in any order. */
static void go_on_with_release(struct ga_scavenge *scavenge)
{
    struct ga_core *core = &ga_sim.core;
    uint32_t i = ga_sim_pick(scavenge->nruns);
    struct ga_page_run run = scavenge->runs[i];
    if (run.npages == 0)
        return;
    if (punched[i]) {
        ga_heap_end_release(core->heap, i, true);
        return;
    }
    punched[i] = true;
    core->effects.punch(core, run.page * GA_PAGE_SIZE, run.npages * GA_PAGE_SIZE);
}

static void scavenge(void *unused)
{
    (void)unused;
    struct ga_heap *heap = ga_sim.core.heap;
    if (heap->scavenge.releasing_npages > 0)
        go_on_with_release(&heap->scavenge);
    else if (ga_sim_pick(4) == 0)
        ga_heap_release_now(heap, (1 + ga_sim_pick(40)) * GA_PAGE_SIZE);
    else
        begin_release();
    ga_sim_settled();
}

void ga_sim_server_scavenge(void)
{
    ga_sim_model.releasing = 0;
    if (!ga_sim_run(NULL, RARE_DEATHS, REACH, scavenge, NULL))
        ga_sim.seen.server_deaths_in_a_step++;
}

/* ---- its end, and the next one ---- */

void ga_sim_server_dies(void)
{
    ga_sim.server_is_up = false;
    ga_sim.seen.server_deaths++;
    ga_sim_drop_messages();
    ga_sim_collections_forget();
    ga_sim_processes_disconnected();
    ga_sim_model_unasked(0);
}

static void adopt(void *argument)
{
    int *ret = argument;
    char why[GA_ADOPT_WHY_BYTES] = "";
    struct ga_core *core = &ga_sim.core;
    /* What was committed behind this end is nobody's; the next server commits it again. */
    core->heap_backed = ga_load_relaxed(&core->view.meta->committed_npages) * GA_PAGE_SIZE;
    *ret = ga_core_adopt(core, why);
    ga_sim_settled();
    if (*ret == 0)
        ga_heap_set_memory(core->heap, ga_sim_graph_memory());
    if (*ret < 0 && *ret != -ENOMEM)
        printf("not adopted: %s\n", why);
    GA_SIM_REQUIRE(*ret == 0 || *ret == -ENOMEM, "what a server leaves can be adopted");
}

/* A client whose process has ended. */
static bool find_dead(struct ga_client_info *ret)
{
    ret->client = 0;
    while (ga_heap_next_client(ga_sim.core.heap, ret->client, ret) == 0) {
        if (!ga_sim_process_lives(ret->pid))
            return true;
        ret->client++;
    }
    return false;
}

/* Those that have ended are reaped before anybody is served. False if the server dies at it. */
static bool reap(void)
{
    struct ga_client_info info;
    while (find_dead(&info)) {
        struct ga_sim_message m = {.kind = GA_SIM_GONE, .pid = info.pid, .client = info.client};
        ga_sim.seen.reaped++;
        if (!serve_or_die(&m))
            return false;
    }
    return true;
}

void ga_sim_server_adopts(void)
{
    int r = 0;
    if (!ga_sim_run(NULL, ADOPTION_DEATH, ADOPTION_REACH, adopt, &r)) {
        ga_sim.seen.adoptions_cut_off++;
        return;
    }
    if (r < 0)
        return;
    ga_sim.seen.adoptions++;
    ga_sim_adoption_done();
    ga_sim.server_is_up = reap();
}
