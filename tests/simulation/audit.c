#include "simulation/audit.h"

#include "shm/recount.h"
#include "shm/slot.h"
#include "simulation/model.h"
#include "simulation/quotas.h"
#include "support/stats_check.h"

#define REQUIRE(true_, clause)                                                                     \
    do {                                                                                           \
        if (!(true_))                                                                              \
            return clause;                                                                         \
    } while (0)

static const struct ga_view *const view = &ga_sim.core.view;

/* Every slot exactly once: the model has none twice, each of them is in use, and there are no
 * others. While no server is there, what was put off may be freed or not. */
static const char *audit_objects(bool every_object)
{
    struct ga_recount recount;
    uint64_t bad_page;
    uint64_t nobjects = 0;
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        const struct ga_sim_object *object = &ga_sim_model.objects[i];
        if (object->state == GA_SIM_NO_OBJECT)
            continue;
        REQUIRE(object->state != GA_SIM_FREEING, "nobody is at a free");
        if (object->state == GA_SIM_PUT_OFF && !ga_sim.server_is_up) {
            nobjects += ga_sim_model_in_use(object);
            continue;
        }
        nobjects++;
        REQUIRE(!every_object || ga_sim_model_in_use(object), "what the model has is in use");
    }
    REQUIRE(ga_recount(view, &recount, &bad_page) == 0, "the page table is sound");
    REQUIRE(recount.objects >= nobjects, "what the model has is in use");
    REQUIRE(recount.objects <= nobjects, "nothing else is in use");
    return NULL;
}

/* ---- news ---- */

/* Whether somebody who died was at telling of a free in the span: recovery will tell. */
static bool is_being_told(ga_page_id page)
{
    uint32_t end = ga_load_relaxed(&view->meta->mcache_end);
    bool told = false;
    for (ga_mcache_id id = 1; id < end && !told; id++)
        told = ga_load_relaxed(&view->mcaches[id].telling) == page;
    return told;
}

static bool is_told(ga_page_id page, const struct ga_sim_thread *owner, ga_span_class span_class)
{
    return ga_core_is_pending(&ga_sim.core, page) ||
           (owner && ga_core_is_in_inbox(&ga_sim.core, owner->id, span_class, page)) ||
           is_being_told(page);
}

/* What a thread leases is leased to it alone, and where it believes a span to be full, either it is
 * or there is news. */
static const char *audit_thread(const struct ga_sim_thread *thread)
{
    for (uint32_t i = 0; i < thread->nspans; i++) {
        const struct ga_sim_span *span = &thread->spans[i];
        uint32_t nslots = ga_mheap_nslots(span->span_class);
        uint64_t entry = ga_view_entry(view, span->page);
        REQUIRE(ga_entry_is_span(entry) && ga_entry_owner(entry) == thread->id,
                "what a thread leases has it as its owner");
        REQUIRE(
            ga_holder_is_leased_by(ga_load_relaxed(&view->lines[span->page].holder), thread->id),
            "what a thread leases has it as its holder");
        REQUIRE(!span->full || ga_slot_count_used(view, span->page, nslots) == nslots ||
                    is_told(span->page, thread, span->span_class),
                "an owner is told of a free");
    }
    return NULL;
}

static const char *audit_threads(void)
{
    const char *wrong = NULL;
    for (uint32_t i = 0; i < GA_SIM_PROCESSES * GA_SIM_THREADS && !wrong; i++) {
        const struct ga_sim_process *process = &ga_sim.processes[i / GA_SIM_THREADS];
        const struct ga_sim_thread *thread = &process->threads[i % GA_SIM_THREADS];
        if (process->pid && thread->used && thread->id)
            wrong = audit_thread(thread);
    }
    return wrong;
}

/* What nobody leases is where it belongs, by how much of it is in use, or there is news. */
static const char *audit_unleased(void)
{
    const struct ga_heap *heap = ga_sim.core.heap;
    for (uint64_t page = 1; page < heap->npages_committed; page++) {
        const struct ga_mspan *span = &heap->mspans[page];
        if (span->npages == 0 || span->place == GA_SPAN_LEASED)
            continue;
        uint32_t nslots = ga_mheap_nslots(span->span_class);
        uint32_t used = ga_slot_count_used(view, (ga_page_id)page, nslots);
        bool changed = span->client_plus_1
                           ? ga_slot_large_is_freed(view, (ga_page_id)page)
                           : used == 0 || (span->place == GA_SPAN_FULL && used < nslots);
        REQUIRE(!changed || is_told((ga_page_id)page, NULL, 0), "the server is told of a free");
    }
    return NULL;
}

/* ---- what the heap shows ---- */

/* Whether nobody has died, or is still to hear, between doing and counting. */
static bool is_counted(void)
{
    const struct ga_sim_model *model = &ga_sim_model;
    return !model->is_unsure && model->missing_mallocs == 0 && model->missing_frees == 0 &&
           model->missing_resizes == 0;
}

static uint64_t large_bytes(void)
{
    uint64_t npages = 0;
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++) {
        const struct ga_sim_object *object = &ga_sim_model.objects[i];
        uint64_t entry = object->state ? ga_view_entry(view, object->page) : 0;
        if (object->state != GA_SIM_PUT_OFF && (entry & GA_ENTRY_LARGE))
            npages += ga_entry_npages(entry);
    }
    return npages * GA_PAGE_SIZE;
}

/* Looking at the statistics sweeps, so that news can be lost only before: not in every run. */
static const char *audit_stats(void)
{
    struct ga_heap_stats stats;
    bool exact = is_counted();
    const char *wrong = ga_check_stats_identities(&ga_sim.core, exact);
    uint64_t nobjects = ga_sim_model.nobjects;
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++)
        nobjects -= ga_sim_model.objects[i].state == GA_SIM_PUT_OFF;
    ga_heap_get_stats(ga_sim.core.heap, &stats);
    if (ga_sim_model.is_unsure)
        ga_sim_model.missing_frees =
            stats.mallocs + ga_sim_model.missing_mallocs - stats.frees - nobjects;
    ga_sim_model.is_unsure = false;
    if (!wrong && stats.mallocs + ga_sim_model.missing_mallocs !=
                      stats.frees + ga_sim_model.missing_frees + nobjects)
        wrong = "the counters say what the model has";
    if (!wrong && exact && stats.by_class[0].alloc_bytes != large_bytes())
        wrong = "large objects have the bytes that were counted";
    return wrong;
}

const char *ga_sim_audit(bool every_object)
{
    const char *wrong;
    struct ga_audit shared;
    uint32_t flags = GA_AUDIT_CLIENTS_MIDWAY; /* the dead, until their death is heard of */
    bool put_off = false;                     /* counted as freed, and in use */
    for (uint32_t i = 0; i < GA_SIM_OBJECTS; i++)
        put_off = put_off || ga_sim_model.objects[i].state == GA_SIM_PUT_OFF;
    flags |= is_counted() && !put_off ? GA_AUDIT_COUNTED : 0;
    ga_sim.core.audit_flags = flags;
    if (ga_sim.server_is_up)
        wrong = ga_core_audit(&ga_sim.core);
    else
        wrong = ga_core_audit_shared(&ga_sim.core, flags | GA_AUDIT_SERVER_MIDWAY, &shared);
    if (!wrong)
        wrong = audit_objects(every_object);
    if (!wrong && ga_sim.server_is_up)
        wrong = audit_threads();
    if (!wrong && ga_sim.server_is_up)
        wrong = audit_unleased();
    if (!wrong && ga_sim.server_is_up)
        wrong = ga_sim_quotas_audit();
    if (!wrong && ga_sim.server_is_up && ga_sim.stats_each_step)
        wrong = audit_stats();
    return wrong;
}
