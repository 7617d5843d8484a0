/* Handles: what a client that is gone was allocating into one, and had allocated into one, is
 * freed, once; unless it is published, or held. What they name of others, or of nothing, is left
 * alone. */
#include "support/core_fixture.h"

#include <errno.h>

#include "shm/batch.h"
#include "shm/size_class.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define CLASS    20 /* 176 bytes, scan */
#define LEASED   (100 * UINT64_C(1000))
#define UNLEASED (2 * GA_CORE_MIB)
#define HANDLE   7u

static struct ga_core core;
static ga_client_id one, two;
static ga_mcache_id mcache, second; /* one's */
static ga_mcache_id theirs;         /* two's */
static ga_page_id page;             /* of one's span, which keeps an object besides */
static struct ga_slot neighbour;

static void open_core(void)
{
    ga_core_open(&core, GA_ARENA_SIZE, 0);
    one = ga_core_attach(&core);
    two = ga_core_attach(&core);
    second = ga_core_mcache(&core, one);
    mcache = ga_core_mcache(&core, one);
    theirs = ga_core_mcache(&core, two);
    page = ga_core_lease(&core, one, mcache, CLASS);
    CU_ASSERT_FATAL(ga_core_claim(&core, mcache, page));
    CU_ASSERT_EQUAL_FATAL(ga_core_malloc(&core, mcache, CLASS, &neighbour), 0);
}

static void close_core(void)
{
    ga_core_check_sound(&core);
    ga_core_close(&core);
}

static void adopt(void)
{
    char why[GA_ADOPT_WHY_BYTES];
    CU_ASSERT_EQUAL_FATAL(ga_core_adopt(&core, why), 0);
}

static uint64_t offset_of(const struct ga_slot *slot)
{
    uint32_t size_class = ga_entry_span_class(slot->entry) / 2u;
    return slot->page * GA_PAGE_SIZE + (uint64_t)slot->index * ga_size_classes[size_class].size;
}

static bool in_use(const struct ga_slot *slot)
{
    struct ga_slot now = ga_core_slot(&core, slot->page, slot->index);
    return ga_entry_is_span(now.entry) && ga_core_in_use(&core, &now);
}

static _Atomic uint64_t *handle_of(ga_client_id client, uint32_t handle)
{
    return &core.view.handles[client].object[handle];
}

static void name(ga_client_id client, uint32_t handle, uint64_t offset)
{
    ga_store_relaxed(handle_of(client, handle), GA_CORE_BASE + offset);
}

static struct ga_slot small_of(ga_mcache_id of)
{
    struct ga_slot slot;
    CU_ASSERT_EQUAL_FATAL(ga_core_malloc(&core, of, CLASS, &slot), 0);
    return slot;
}

static struct ga_slot large_of(ga_client_id client, ga_mcache_id of, uint64_t bytes)
{
    ga_page_id first = 0;
    bool zeroed;
    CU_ASSERT_EQUAL_FATAL(ga_core_large_alloc(&core, client, of, bytes, false, &first, &zeroed), 0);
    return ga_core_slot(&core, first, 0);
}

/* mallocs less frees, of all size classes */
static int64_t counted(void)
{
    struct ga_heap_stats stats;
    ga_heap_get_stats(core.heap, &stats);
    return (int64_t)(stats.mallocs - stats.frees);
}

/* ---- what was under way ---- */

/* The stores of goalloc_malloc_into, in their order. */
enum { BEGUN = 1, CHOSEN, TAKEN, COUNTED, NAMED, ENDED };

static void begin_into(uint32_t at)
{
    struct ga_mcache *shared = &core.view.mcaches[mcache];
    ga_store_release(&shared->into_object, 0);
    if (at >= BEGUN)
        ga_store_release(&shared->into_handle, HANDLE + 1);
}

static void end_into(uint32_t at, const struct ga_slot *slot)
{
    if (at >= NAMED)
        name(one, HANDLE, offset_of(slot));
    if (at >= ENDED)
        ga_store_release(&core.view.mcaches[mcache].into_handle, 0);
}

static struct ga_slot small_into(uint32_t at)
{
    struct ga_mcache *shared = &core.view.mcaches[mcache];
    struct ga_mcache_class *class = &shared->classes[CLASS];
    uint64_t slots = ga_slot_find_free(&core.view, page, 0, ga_mheap_nslots(CLASS));
    struct ga_slot slot = ga_core_slot(&core, page, (uint32_t)__builtin_ctzll(slots));
    begin_into(at);
    if (at >= CHOSEN)
        ga_store_release(&shared->into_object, offset_of(&slot));
    if (at >= TAKEN)
        ga_slot_flip(ga_view_a(&core.view, page, 0), slots & -slots);
    if (at >= COUNTED)
        ga_store_relaxed(&class->nmalloc, ga_load_relaxed(&class->nmalloc) + 1);
    end_into(at, &slot);
    return slot;
}

static struct ga_slot large_into(uint32_t at, uint64_t bytes)
{
    struct ga_mcache *shared = &core.view.mcaches[mcache];
    ga_page_id first = 0;
    bool zeroed;
    begin_into(at);
    CU_ASSERT_EQUAL_FATAL(
        ga_heap_large_alloc(core.heap, one, mcache, bytes, 0, false, &first, &zeroed), 0);
    struct ga_slot slot = ga_core_slot(&core, first, 0);
    bool leased = ga_entry_owner(slot.entry) == mcache;
    CU_ASSERT_EQUAL(leased, bytes == LEASED);
    if (leased)
        ga_slot_begin_lease(&core.view, mcache, first);
    if (at >= CHOSEN)
        ga_store_release(&shared->into_object, offset_of(&slot));
    if (at >= TAKEN && leased)
        ga_slot_take_leased_large(&core.view, first);
    else if (at >= TAKEN)
        ga_slot_take_large(&core.view, first);
    if (at >= COUNTED)
        ga_store_relaxed(&shared->classes[0].nmalloc,
                         ga_load_relaxed(&shared->classes[0].nmalloc) + 1);
    end_into(at, &slot);
    return slot;
}

static struct ga_slot into(uint32_t at, uint64_t bytes)
{
    return bytes ? large_into(at, bytes) : small_into(at);
}

/* Killed after so many of the steps; the server too, or not, before it has heard of that. */
static void cut_off(uint32_t at, uint64_t bytes, bool adopted)
{
    open_core();
    struct ga_slot slot = into(at, bytes);
    core.audit_flags = GA_AUDIT_CLIENTS_MIDWAY;
    ga_core_check_sound(&core);
    core.audit_flags = 0;
    if (adopted)
        adopt();
    ga_heap_client_gone(core.heap, one);
    CU_ASSERT_FALSE(in_use(&slot));
    CU_ASSERT(in_use(&neighbour));
    CU_ASSERT_EQUAL(ga_load_relaxed(handle_of(one, HANDLE)), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcaches[mcache].into_handle), 0);
    CU_ASSERT_EQUAL(counted(), at == TAKEN ? 0 : 1); /* killed before it was counted */
    CU_ASSERT_EQUAL(core.heap->nspans, 1);
    close_core();
}

static void under_way(void)
{
    for (uint32_t at = 0; at <= ENDED; at++)
        for (int adopted = 0; adopted < 2; adopted++) {
            cut_off(at, 0, adopted);
            cut_off(at, LEASED, adopted);
            cut_off(at, UNLEASED, adopted);
        }
}

/* The handle names what was allocated: that it is published by now keeps it, though its name in the
 * mcache has not been cleared. */
static void named_and_published(void)
{
    open_core();
    struct ga_slot slot = small_into(NAMED);
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, one, "root", offset_of(&slot)), 0);
    ga_heap_client_gone(core.heap, one);
    CU_ASSERT(in_use(&slot));
    close_core();
}

/* ---- what handles name ---- */

static void freed(void)
{
    open_core();
    struct ga_slot slots[4] = {small_of(mcache), large_of(one, mcache, LEASED),
                               large_of(one, second, UNLEASED), small_of(mcache)};
    for (uint32_t i = 0; i < 4; i++)
        name(one, i * 170, offset_of(&slots[i]));
    CU_ASSERT_EQUAL(ga_view_count_handles(&core.view, one), 4);
    ga_core_check_sound(&core);
    ga_heap_client_gone(core.heap, one);
    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT_FALSE(in_use(&slots[i]));
        CU_ASSERT_EQUAL(ga_load_relaxed(handle_of(one, i * 170)), 0);
    }
    CU_ASSERT(in_use(&neighbour));
    CU_ASSERT_EQUAL(counted(), 1);
    CU_ASSERT_EQUAL(core.heap->nspans, 1);
    close_core();
}

static void published(void)
{
    open_core();
    struct ga_slot slot = small_of(mcache);
    struct ga_slot large = large_of(one, mcache, UNLEASED);
    name(one, 0, offset_of(&slot));
    name(one, 1, offset_of(&large));
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, one, "small", offset_of(&slot)), 0);
    CU_ASSERT_EQUAL(ga_heap_publish(core.heap, two, "large", offset_of(&large)), 0);
    ga_heap_client_gone(core.heap, one);
    CU_ASSERT(in_use(&slot));
    CU_ASSERT(in_use(&large));
    CU_ASSERT_EQUAL(ga_view_count_handles(&core.view, one), 0);
    CU_ASSERT_EQUAL(counted(), 3);
    close_core();
}

/* By itself, by another, or by another who waits for the last release already. */
static void held(void)
{
    open_core();
    struct ga_slot slots[3] = {small_of(mcache), small_of(mcache), small_of(mcache)};
    for (uint32_t i = 0; i < 3; i++) {
        name(one, i, offset_of(&slots[i]));
        CU_ASSERT_EQUAL(ga_heap_hold(core.heap, i == 0 ? one : two, offset_of(&slots[i])), 0);
    }
    CU_ASSERT_EQUAL(ga_heap_put_off(core.heap, offset_of(&slots[2])), 0);
    ga_heap_client_gone(core.heap, one);
    CU_ASSERT_FALSE(in_use(&slots[0]));
    for (uint32_t i = 1; i < 3; i++) {
        CU_ASSERT(in_use(&slots[i]));
        CU_ASSERT_EQUAL(ga_heap_release(core.heap, two, offset_of(&slots[i])), 0);
        CU_ASSERT_FALSE(in_use(&slots[i]));
    }
    CU_ASSERT_EQUAL(counted(), 2); /* the one that was put off by hand is counted by nobody */
    close_core();
}

/* Freed, and the handle not emptied: that is what a server leaves that is killed in between. */
static void freed_before(void)
{
    open_core();
    struct ga_slot slot = small_of(mcache);
    struct ga_slot local = small_of(mcache);
    name(one, 0, offset_of(&slot));
    name(one, 1, offset_of(&local));
    ga_slot_free_word(&core.view, page, slot.index / 64, UINT64_C(1) << slot.index % 64);
    CU_ASSERT(ga_core_free_own(&core, mcache, &local));
    int64_t before = counted();
    adopt();
    ga_heap_client_gone(core.heap, one);
    CU_ASSERT_FALSE(in_use(&slot));
    CU_ASSERT_FALSE(in_use(&local));
    CU_ASSERT(in_use(&neighbour));
    CU_ASSERT_EQUAL(counted(), before);
    close_core();
}

/* What another client, whom it was handed to, has freed into a batch is its own to free. */
static void freed_into_a_batch(void)
{
    open_core();
    struct ga_slot slot = small_of(mcache);
    name(one, HANDLE, offset_of(&slot));
    ga_batch_begin(&core.view.mcaches[theirs], page, slot.index / 64);
    ga_store_relaxed(&core.view.mcaches[theirs].batch_mask, UINT64_C(1) << slot.index % 64);
    ga_heap_client_gone(core.heap, one);
    CU_ASSERT(in_use(&slot));
    CU_ASSERT_EQUAL(ga_load_relaxed(handle_of(one, HANDLE)), 0);
    ga_heap_client_gone(core.heap, two);
    CU_ASSERT_FALSE(in_use(&slot));
    CU_ASSERT(in_use(&neighbour));
    close_core();
}

/* The server died with all of it before it: the next one does it before it serves anybody. */
static void leaving(void)
{
    open_core();
    struct ga_slot slot = small_of(mcache);
    struct ga_audit audit;
    name(one, 0, offset_of(&slot));
    ga_store_release(&core.heap->clients[one].state, GA_CLIENT_LEAVING);
    CU_ASSERT_PTR_NOT_NULL(ga_core_audit_shared(&core, 0, &audit));
    CU_ASSERT_PTR_NULL(ga_core_audit_shared(&core, GA_AUDIT_SERVER_MIDWAY, &audit));
    adopt();
    CU_ASSERT_EQUAL(ga_load_relaxed(&core.heap->clients[one].state), GA_CLIENT_FREE);
    CU_ASSERT_EQUAL(ga_view_count_handles(&core.view, one), 0);
    CU_ASSERT_FALSE(in_use(&slot));
    CU_ASSERT(in_use(&neighbour));
    close_core();
}

/* A large object was freed, and its pages are another's by the time the server looks again. */
static void freed_and_anothers(void)
{
    open_core();
    struct ga_slot slot = large_of(one, mcache, UNLEASED);
    name(one, 0, offset_of(&slot));
    ga_slot_free_word(&core.view, slot.page, 0, 1);
    adopt();
    struct ga_slot now = large_of(two, theirs, UNLEASED);
    CU_ASSERT_EQUAL_FATAL(now.page, slot.page);
    ga_heap_client_gone(core.heap, one);
    CU_ASSERT(in_use(&now));
    close_core();
}

/* ---- what nobody can have put there ---- */

static void others(void)
{
    open_core();
    ga_page_id their_page = ga_core_lease(&core, two, theirs, CLASS);
    CU_ASSERT_FATAL(ga_core_claim(&core, theirs, their_page));
    ga_page_id of_nobody = ga_core_lease(&core, two, theirs, CLASS + 1);
    CU_ASSERT_FATAL(ga_core_claim(&core, theirs, of_nobody));
    struct ga_slot slots[4] = {small_of(theirs), large_of(two, theirs, LEASED),
                               large_of(two, theirs, UNLEASED)};
    CU_ASSERT_EQUAL(ga_core_malloc(&core, theirs, CLASS + 1, &slots[3]), 0);
    CU_ASSERT_EQUAL(ga_core_return(&core, two, theirs, of_nobody), 0);
    for (uint32_t i = 0; i < 4; i++) {
        name(one, i, offset_of(&slots[i]));
        ga_store_relaxed(&core.view.mcaches[i % 2 ? mcache : second].into_handle, 100);
        ga_store_relaxed(&core.view.mcaches[i % 2 ? mcache : second].into_object,
                         offset_of(&slots[i]));
    }
    ga_heap_client_gone(core.heap, one);
    for (uint32_t i = 0; i < 4; i++)
        CU_ASSERT(in_use(&slots[i]));
    CU_ASSERT_EQUAL(ga_view_count_handles(&core.view, one), 0);
    close_core();
}

static void no_objects(void)
{
    open_core();
    struct ga_slot slot;
    ga_page_id tiny = ga_core_lease(&core, one, mcache, GA_SPAN_CLASS_TINY);
    CU_ASSERT_FATAL(ga_core_claim(&core, mcache, tiny));
    CU_ASSERT_EQUAL(ga_core_malloc(&core, mcache, GA_SPAN_CLASS_TINY, &slot), 0);
    struct ga_slot large = large_of(one, mcache, UNLEASED);
    uint64_t end = core.heap->npages_committed * GA_PAGE_SIZE;
    int64_t before = counted();
    ga_store_relaxed(&core.view.lines[tiny].f[0], 1); /* means nothing there */
    const uint64_t offsets[] = {
        tiny * GA_PAGE_SIZE,
        offset_of(&neighbour) + 1,
        offset_of(&neighbour) + 8,
        offset_of(&neighbour) + ga_size_classes[CLASS / 2].size, /* free */
        (page + 1) * GA_PAGE_SIZE - 1,
        offset_of(&large) + GA_PAGE_SIZE,
        offset_of(&large) + 8,
        0,
        1,
        end - GA_PAGE_SIZE,
        end,
        GA_ARENA_SIZE,
        UINT64_MAX,
        UINT64_MAX - GA_CORE_BASE + 1 + 1, /* the address 1 */
        UINT64_C(1) << 63,
    };
    for (uint32_t i = 0; i < COUNT(offsets); i++) {
        name(one, i, offsets[i]);
        ga_store_relaxed(&core.view.mcaches[mcache].into_handle, i == 0 ? UINT64_MAX : 100 + i);
        ga_store_relaxed(&core.view.mcaches[mcache].into_object, offsets[i]);
        core.audit_flags = GA_AUDIT_CLIENTS_MIDWAY;
        CU_ASSERT(ga_core_audit(&core) != NULL);
        core.audit_flags = 0;
        ga_handles_client_gone(core.heap, one);
        CU_ASSERT_EQUAL(ga_view_count_handles(&core.view, one), 0);
        CU_ASSERT_EQUAL(ga_load_relaxed(&core.view.mcaches[mcache].into_handle), 0);
        CU_ASSERT(in_use(&neighbour));
        CU_ASSERT(in_use(&large));
        CU_ASSERT(in_use(&slot));
        CU_ASSERT_EQUAL(counted(), before);
    }
    ga_store_relaxed(&core.view.lines[tiny].f[0], 0);
    ga_core_check_sound(&core);
    ga_heap_client_gone(core.heap, one);
    close_core();
}

/* ---- tables ---- */

static void backed_and_empty(void)
{
    ga_core_open(&core, GA_ARENA_SIZE, 0);
    ga_client_id client;
    core.fail_commit = 2; /* the first is the table of clients */
    CU_ASSERT_EQUAL(ga_heap_attach(core.heap, 1, 2, 3, 4, "c", &client), -ENOMEM);
    CU_ASSERT_EQUAL(core.heap->client_end, 0);
    for (int round = 0; round < 2; round++) {
        one = ga_core_attach(&core);
        CU_ASSERT_EQUAL(one, 0);
        CU_ASSERT_EQUAL(ga_view_count_handles(&core.view, one), 0);
        for (uint32_t i = 0; i < GA_HANDLE_COUNT; i++)
            name(one, i, 8);
        CU_ASSERT_EQUAL(ga_view_count_handles(&core.view, one), GA_HANDLE_COUNT);
        ga_heap_client_gone(core.heap, one);
        CU_ASSERT_EQUAL(ga_view_count_handles(&core.view, one), 0);
        ga_core_check_sound(&core);
        name(one, 3, 8); /* by a stray store */
        CU_ASSERT_PTR_NOT_NULL(ga_core_audit(&core));
    }
    one = ga_core_attach(&core);
    ga_core_check_sound(&core);
    adopt();
    CU_ASSERT_EQUAL(ga_view_count_handles(&core.view, one), 0);
    CU_ASSERT_EQUAL(ga_backing_bytes_in(&core.heap->bits_backing,
                                        core.heap->meta->bits_handles_offset, GA_OS_PAGE_SIZE),
                    GA_OS_PAGE_SIZE);
    close_core();
}

static void suspect(void)
{
    open_core();
    struct ga_suspicion suspicion;
    ga_store_relaxed(&core.view.mcaches[mcache].into_handle, GA_HANDLE_COUNT);
    CU_ASSERT_FALSE(ga_heap_suspect_client(core.heap, one, 64, &suspicion));
    ga_store_relaxed(&core.view.mcaches[mcache].into_handle, GA_HANDLE_COUNT + 1);
    CU_ASSERT(ga_heap_suspect_client(core.heap, one, 64, &suspicion));
    CU_ASSERT_EQUAL(suspicion.mcache, mcache);
    CU_ASSERT_STRING_EQUAL(suspicion.what, "allocates into a slot that there is not");
    ga_store_relaxed(&core.view.mcaches[mcache].into_handle, 0);
    close_core();
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"under way", under_way},
        {"named and published", named_and_published},
        {"freed", freed},
        {"published", published},
        {"held", held},
        {"freed before", freed_before},
        {"freed into a batch", freed_into_a_batch},
        {"leaving", leaving},
        {"freed and another's", freed_and_anothers},
        {"others' objects", others},
        {"no objects", no_objects},
        {"backed and empty", backed_and_empty},
        {"suspect", suspect},
    };
    return ga_test_main("server.handles", tests, COUNT(tests));
}
