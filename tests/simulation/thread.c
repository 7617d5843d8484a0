#include "simulation/thread.h"

#include <errno.h>

#include "shm/size_class.h"
#include "shm/tiny.h"
#include "simulation/frame.h"
#include "simulation/graph.h"
#include "simulation/model.h"

static struct ga_view *const view = &ga_sim.core.view;

static struct ga_mcache_class *class_of(const struct ga_sim_thread *thread, ga_span_class c)
{
    return &view->mcaches[thread->id].classes[c];
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    ga_store_relaxed(counter, ga_load_relaxed(counter) + n);
}

static void count_malloc(const struct ga_sim_thread *thread, ga_span_class span_class)
{
    add(&class_of(thread, span_class)->nmalloc, 1);
    ga_sim_model.missing_mallocs--;
    ga_sim.seen.mallocs++;
}

static void count_free(const struct ga_sim_thread *thread, uint64_t entry)
{
    if (entry & GA_ENTRY_LARGE)
        add(&view->mcaches[thread->id].large_free_bytes, ga_entry_npages(entry) * GA_PAGE_SIZE);
    add(&class_of(thread, ga_entry_span_class(entry))->nfree, 1);
    ga_sim_model.missing_frees--;
    ga_sim.seen.frees++;
}

/* ---- malloc ---- */

static bool take_tiny(const struct ga_sim_thread_at *at)
{
    struct ga_sim_thread *thread = at->thread;
    struct ga_tiny_carver *carver = &thread->carver;
    _Atomic uint64_t *word = &view->mcaches[thread->id].tiny;
    const struct ga_tiny_shape *shape = &ga_tiny_shapes[ga_sim_pick(GA_TINY_SIZE_MAX + 1)];
    uint64_t unit;
    if (!ga_tiny_place(carver, shape, &unit))
        return false;
    ga_tiny_commit(carver, unit);
    ga_sim_model_add(at->process, ga_tiny_page(carver->origin),
                     ga_tiny_word_of(carver) * 64 + (uint32_t)unit, (uint32_t)shape->more + 1);
    ga_sim_model.missing_mallocs++;
    ga_sim.seen.tiny++;
    ga_tiny_tell(carver, word, unit + shape->more);
    count_malloc(thread, GA_SPAN_CLASS_TINY);
    return true;
}

static bool take_slot(const struct ga_sim_thread_at *at, ga_span_class span_class)
{
    if (span_class == GA_SPAN_CLASS_TINY)
        return take_tiny(at);
    struct ga_sim_free_slot slot;
    while (ga_sim_spans_pop(at->thread, span_class, &slot)) {
        _Atomic uint64_t *a_word = ga_view_a(view, slot.page, slot.index / 64);
        uint64_t bit = UINT64_C(1) << slot.index % 64;
        if (ga_slot_used(a_word) & bit)
            continue;
        ga_slot_flip(a_word, bit);
        ga_sim_model_add(at->process, slot.page, slot.index, 0);
        ga_sim_model.missing_mallocs++;
        count_malloc(at->thread, span_class);
        return true;
    }
    return false;
}

static void ask_for_spans(const struct ga_sim_thread_at *at, ga_span_class span_class)
{
    struct ga_sim_message m = {.span_class = span_class};
    m.count = 1 + ga_sim_pick(GA_SIM_PAGES);
    m.kind = ga_sim_pick(2) ? GA_SIM_LEASE : GA_SIM_LEASE_AHEAD;
    if (at->thread->nspans + m.count > GA_SIM_SPANS || !ga_sim.server_is_up)
        return;
    if (m.kind == GA_SIM_LEASE)
        ga_sim_thread_asks(at, &m);
    else
        ga_sim_thread_notes(at, &m);
}

static void allocate(const struct ga_sim_thread_at *at)
{
    ga_span_class span_class = ga_sim.kind.classes[ga_sim_pick(ga_sim.kind.nclasses)];
    for (uint32_t n = ga_sim_pick(40); n > 0 && ga_sim_model_has_room(); n--) {
        if (take_slot(at, span_class) || ga_sim_spans_fill(at, span_class))
            continue;
        ga_sim_spans_take_ring(at);
        if (ga_sim_spans_fill(at, span_class))
            continue;
        ga_sim_spans_take_news(at, span_class);
        if (ga_sim_spans_fill(at, span_class))
            continue;
        ask_for_spans(at, span_class);
        return;
    }
}

/* ---- free ---- */

/* What a holder's free does in a span that is not tiny. */
static bool free_by_holder(struct ga_sim_thread *thread, const struct ga_slot *slot)
{
    _Atomic uint64_t *a_word = ga_view_a(view, slot->page, slot->index / 64);
    uint64_t bit = UINT64_C(1) << slot->index % 64;
    if ((ga_slot_used(a_word) & bit) == 0)
        return false;
    ga_slot_flip(a_word, bit);
    if ((slot->entry & GA_ENTRY_LARGE) == 0)
        ga_sim_spans_put(thread, ga_entry_span_class(slot->entry), slot->page, slot->index);
    return true;
}

static bool batch_has(const struct ga_batch_slots *batch, const struct ga_slot *slot)
{
    return batch->page == slot->page && batch->word == slot->index / 64 &&
           (batch->mask >> slot->index % 64 & 1) != 0;
}

static void flush(struct ga_sim_thread *thread)
{
    uint64_t refused;
    if (thread->batch.mask == 0)
        return;
    if (!ga_batch_flush(view, thread->id, &thread->batch, &refused))
        return;
    GA_SIM_REQUIRE(refused == 0, "what is in a batch is freed by that");
    ga_sim.seen.flushes++;
}

/* Put the slot into the thread's batch, or begin one with it, if that can be. */
static bool free_in_batch(struct ga_sim_thread *thread, const struct ga_slot *slot)
{
    struct ga_batch_slots *batch = &thread->batch;
    uint64_t bit = UINT64_C(1) << slot->index % 64;
    bool joins = batch->mask != 0 && batch->page == slot->page && batch->word == slot->index / 64;
    if (!joins && (ga_sim_pick(2) || !ga_batch_may_begin(view, slot->page, slot->entry)))
        return false;
    if (!joins) {
        flush(thread);
        if (batch->mask != 0)
            return false;
        *batch = (struct ga_batch_slots){
            .page = slot->page, .word = slot->index / 64, .entry = slot->entry};
        ga_batch_begin(&view->mcaches[thread->id], batch->page, batch->word);
    }
    uint64_t a = ga_load_acquire(ga_view_a(view, slot->page, batch->word));
    ga_batch_put(&view->mcaches[thread->id], batch, bit, a);
    ga_sim.seen.batched++;
    return true;
}

static bool free_by_other(struct ga_sim_thread *thread, const struct ga_slot *slot)
{
    uint64_t a;
    if (batch_has(&thread->batch, slot))
        return false;
    if (ga_slot_in_use(view, slot, &a) && free_in_batch(thread, slot))
        return true;
    return ga_slot_free_by_other(view, thread->id, slot);
}

static bool free_slot(const struct ga_sim_thread_at *at, const struct ga_slot *slot)
{
    uint64_t holder = ga_load_relaxed(&view->lines[slot->page].holder);
    uint64_t used;
    if (!ga_holder_is_leased_by(holder, at->thread->id))
        return free_by_other(at->thread, slot);
    struct ga_tiny_pair *pair = &view->tiny[slot->page].pair[slot->index / 64 % GA_TINY_WORDS];
    bool freed = slot->entry & GA_ENTRY_TINY ? ga_tiny_free_own(pair, slot->index, &used)
                                             : free_by_holder(at->thread, slot);
    if (freed)
        ga_sim_spans_freed(at, slot->page);
    return freed;
}

static void free_again(const struct ga_sim_thread_at *at, const struct ga_slot *slot)
{
    ga_sim_settled(); /* or somebody else might get the slot */
    if (ga_sim_model_find(slot->page, slot->index) ||
        !ga_entry_is_same_span(slot->entry, ga_view_entry(view, slot->page)))
        return;
    GA_SIM_REQUIRE(!free_slot(at, slot), "a slot is freed once");
    ga_sim.seen.refused_frees++;
}

/* Whether the free is the server's to put off; if so, it is asked. */
static bool is_put_off(const struct ga_sim_thread_at *at, struct ga_sim_object *object)
{
    const struct ga_meta_header *meta = view->meta;
    struct ga_sim_message m = {
        .kind = GA_SIM_PUT_OFF_FREE,
        .offset = object->offset,
        .entry = ga_view_entry(view, object->page),
    };
    bool held = false;
    if (ga_load_seq_cst(&view->lines[object->page].nholds) == 0)
        return false;
    uint32_t end = ga_load_acquire(&meta->hold_end);
    for (uint32_t i = 0; i < end && !held; i++)
        held = ga_hold_counts(ga_load_acquire(&view->holds[i].state)) &&
               ga_load_relaxed(&view->holds[i].offset) == object->offset;
    if (!held)
        return false;
    /* From here on nothing comes between: the state goes with the message. */
    ga_sim_settled();
    object->state = ga_sim.server_is_up ? GA_SIM_ASKING : GA_SIM_IN_USE;
    if (ga_sim.server_is_up)
        ga_sim_thread_asks(at, &m);
    return true;
}

static void free_object(const struct ga_sim_thread_at *at, struct ga_sim_object *object,
                        bool ask_first)
{
    struct ga_sim_object before = *object;
    uint32_t pid = at->process->pid;
    object->state = GA_SIM_FREEING;
    object->pid = pid;
    if (ask_first && is_put_off(at, object))
        return;
    struct ga_slot slot = ga_core_slot(&ga_sim.core, before.page, before.index);
    bool freed = free_slot(at, &slot);
    GA_SIM_REQUIRE(freed, "what is in use can be freed");
    /* Somebody may have got the slot already. */
    object = ga_sim_model_find(before.page, before.index);
    if (object && object->state == GA_SIM_FREEING && object->pid == pid)
        ga_sim_model_remove(object);
    count_free(at->thread, slot.entry);
    if ((slot.entry & GA_ENTRY_LARGE) && ga_entry_owner(slot.entry) == 0)
        ga_sim_thread_notes(
            at, &(struct ga_sim_message){.kind = GA_SIM_LARGE_FREED, .pages = {slot.page}});
    if (ga_sim_pick(8) == 0)
        free_again(at, &slot);
}

static void free_some(const struct ga_sim_thread_at *at)
{
    for (uint32_t n = ga_sim_pick(36); n > 0 && !at->thread->awaits; n--) {
        struct ga_sim_object *object =
            ga_sim_pick(8) ? ga_sim_graph_pick(at->process) : ga_sim_model_pick_held(at->process);
        if (!object)
            return;
        free_object(at, object, true);
    }
}

/* ---- requests about objects ---- */

/* Mostly of the size that is leased, and one in so many too long or too aligned for that. */
static uint64_t large_size(void)
{
    return GA_SMALL_MAX + 1 + ga_sim_pick(ga_sim_pick(6) ? 250000 : 1500000);
}

static void resize_large(const struct ga_sim_thread_at *at)
{
    struct ga_sim_object *object = ga_sim_model_pick_large(at->process);
    if (!object || !ga_sim.server_is_up)
        return;
    ga_sim_settled();
    struct ga_sim_message m = {.kind = GA_SIM_LARGE_RESIZE};
    m.pages[0] = object->page;
    m.entry = ga_view_entry(view, object->page);
    uint64_t bytes = ga_entry_npages(m.entry) * GA_PAGE_SIZE;
    m.bytes = ga_sim_pick(3) && bytes > GA_SMALL_MAX
                  ? GA_SMALL_MAX + 1 + ga_sim_pick((uint32_t)(bytes - GA_SMALL_MAX))
                  : bytes + ga_sim_pick(4 * GA_PAGE_SIZE);
    object->pid = at->process->pid;
    object->state = GA_SIM_ASKING;
    m.offset = object->offset;
    ga_sim_thread_asks(at, &m);
}

static void took_large(const struct ga_sim_thread_at *at, ga_page_id page)
{
    /* First: a point would come between it and the commit. */
    uint64_t entry = ga_sim_model_add(at->process, page, 0, 0);
    ga_sim_model.missing_mallocs++;
    ga_sim.seen.large++;
    add(&view->mcaches[at->thread->id].large_alloc_bytes, ga_entry_npages(entry) * GA_PAGE_SIZE);
    count_malloc(at->thread, ga_entry_span_class(entry));
}

static void allocate_large(const struct ga_sim_thread_at *at)
{
    struct ga_sim_message m = {.kind = GA_SIM_LARGE_ALLOC,
                               .bytes = large_size(),
                               .span_class = ga_sim_pick(2) ? 1 : 0,
                               .alignment = ga_sim_pick(8) ? 0 : GA_PAGE_SIZE << ga_sim_pick(4)};
    uint64_t npages = (m.bytes + GA_PAGE_SIZE - 1) / GA_PAGE_SIZE;
    if (!ga_sim_model_has_room())
        return;
    if (npages <= GA_LARGE_NPAGES_LEASED && m.alignment <= GA_PAGE_SIZE) {
        ga_page_id page = ga_sim_spans_take_large(at, m.span_class, npages);
        if (page) {
            took_large(at, page);
            ga_sim.seen.kept_large++;
            return;
        }
    }
    if (ga_sim.server_is_up)
        ga_sim_thread_asks(at, &m);
}

static void ask_about_object(const struct ga_sim_thread_at *at, enum ga_sim_kind kind)
{
    const struct ga_sim_object *object = ga_sim_pick(4) ? ga_sim_graph_pick_to_share(at->process)
                                                        : ga_sim_model_pick_large(at->process);
    if (object && ga_sim.server_is_up)
        ga_sim_thread_asks(at, &(struct ga_sim_message){.kind = kind,
                                                        .offset = object->offset,
                                                        .count = ga_sim_pick(GA_SIM_NAMES)});
}

static void ask_to_release(const struct ga_sim_thread_at *at)
{
    const struct ga_sim_hold *hold = &ga_sim_model.holds[ga_sim_pick(GA_SIM_HOLDS)];
    if (hold->count && hold->client == at->process->client && ga_sim.server_is_up)
        ga_sim_thread_asks(
            at, &(struct ga_sim_message){.kind = GA_SIM_RELEASE, .offset = hold->offset});
}

/* ---- what it does ---- */

void ga_sim_thread_step(const struct ga_sim_thread_at *at)
{
    bool returns = ga_sim.kind.is_small && ga_sim_pick(5) == 0;
    uint32_t dice = returns ? 64 : ga_sim_pick(100);
    if (ga_sim_pick(4) == 0)
        flush(at->thread);
    if (ga_sim_pick(4) == 0)
        ga_sim_graph_change(at->process);
    if (dice < 38)
        allocate(at);
    else if (dice < 64)
        free_some(at);
    else if (dice < 69)
        ga_sim_spans_return(at);
    else if (dice < 72)
        ga_sim_spans_take_ring(at);
    else if (dice < 81)
        allocate_large(at);
    else if (dice < 85)
        resize_large(at);
    else if (dice < 91 && ga_sim_model_has_room_for_a_hold())
        ask_about_object(at, GA_SIM_HOLD);
    else if (dice < 96)
        ask_to_release(at);
    else
        ask_about_object(at, GA_SIM_PUBLISH + ga_sim_pick(3));
}

static void hear_resized(const struct ga_sim_thread_at *at, const struct ga_sim_message *reply,
                         struct ga_sim_object *object)
{
    object->state = GA_SIM_IN_USE;
    if (reply->result < 0)
        return;
    ga_sim.seen.resizes++;
    uint64_t before = ga_entry_npages(reply->entry) * GA_PAGE_SIZE;
    uint64_t after = (reply->bytes + GA_PAGE_SIZE - 1) / GA_PAGE_SIZE * GA_PAGE_SIZE;
    struct ga_mcache *mcache = &view->mcaches[at->thread->id];
    ga_sim_model_write(reply->offset, after);
    if (after > before)
        add(&mcache->large_alloc_bytes, after - before);
    else
        add(&mcache->large_free_bytes, before - after);
    ga_sim_model.missing_resizes--;
}

static void hear_large(const struct ga_sim_thread_at *at, const struct ga_sim_message *reply)
{
    ga_page_id page = reply->pages[0];
    GA_SIM_REQUIRE(!reply->zeroed || !ga_sim_model_is_dirty(page),
                   "what is said to be zero was never handed out");
    if (!ga_sim_model_has_room() || at->thread->nspans == GA_SIM_SPANS)
        return;
    if (ga_entry_owner(ga_view_entry(view, page)) == at->thread->id)
        ga_sim_spans_begin_large(at, page);
    else
        ga_slot_take_large(view, page);
    took_large(at, page);
}

static void hear_put_off(const struct ga_sim_thread_at *at, const struct ga_sim_message *reply)
{
    struct ga_sim_object *object = ga_sim_model_asked(reply->offset);
    if (reply->result == -ENOENT && object)
        free_object(at, object, false); /* held no more: it is this thread's to free */
    else if (reply->result == 0)
        count_free(at->thread, reply->entry);
}

void ga_sim_thread_hears(const struct ga_sim_thread_at *at, const struct ga_sim_message *reply)
{
    struct ga_sim_object *object = ga_sim_model_asked(reply->offset);
    if (reply->kind == GA_SIM_PUT_OFF_FREE) {
        hear_put_off(at, reply);
    } else if (reply->kind == GA_SIM_LARGE_RESIZE) {
        if (object)
            hear_resized(at, reply, object);
    } else if (reply->result < 0) {
        at->thread->used = at->thread->id != 0;
    } else if (reply->kind == GA_SIM_NEW_MCACHE) {
        at->thread->id = reply->mcache;
        at->thread->ring_taken = ga_load_relaxed(&view->mcaches[reply->mcache].ring_taken);
    } else if (reply->kind == GA_SIM_LEASE) {
        for (uint32_t i = 0; i < reply->count && at->thread->nspans < GA_SIM_SPANS; i++)
            ga_sim_spans_begin(at, reply->pages[i]);
    } else if (reply->kind == GA_SIM_LARGE_ALLOC) {
        hear_large(at, reply);
    }
}

void ga_sim_thread_gives_up(const struct ga_sim_thread_at *at)
{
    int asked = at->thread->asked;
    if (asked != GA_SIM_LEASE && asked != GA_SIM_LARGE_ALLOC && asked != GA_SIM_HOLD)
        return;
    at->thread->awaits = 0;
    ga_sim.seen.given_up++;
}
