/* The heap core in private memory. Meta and bits are reserved without access; the commit effect
 * opens what it is asked for, and nothing else ever becomes readable. */
#include "support/core_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/size_class.h"
#include "shm/tiny.h"
#include "support/cunit_main.h"

/* ---- effects ---- */

static int resize(void *data, enum ga_object object, uint64_t bytes)
{
    struct ga_core *core = data;
    core->nextends++;
    core->nbad += object != GA_OBJECT_HEAP || bytes > core->config.reserve_bytes ||
                  bytes % GA_ARENA_SIZE != 0;
    if (core->fail_extend || (core->fail_shrink && bytes < core->heap_end))
        return -ENOMEM;
    core->nbad += bytes < core->heap_backed;
    core->heap_end = bytes;
    return 0;
}

static int commit_heap(struct ga_core *core, uint64_t offset, uint64_t bytes)
{
    core->nbad += offset != core->heap_backed || offset + bytes > core->heap_end ||
                  offset + bytes > core->config.reserve_bytes;
    if (core->fail_above && bytes > core->fail_above)
        return -ENOMEM;
    core->heap_backed = offset + bytes;
    return 0;
}

static int commit(void *data, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    struct ga_core *core = data;
    core->ncommits++;
    core->nbad += bytes == 0 || offset % GA_OS_PAGE_SIZE != 0 || bytes % GA_OS_PAGE_SIZE != 0;
    if (core->fail_commit && --core->fail_commit == 0)
        return -ENOMEM;
    if (object == GA_OBJECT_HEAP)
        return commit_heap(core, offset, bytes);
    core->nbad += offset + bytes > core->object_bytes[object];
    core->backed_bytes += bytes;
    return mprotect(core->objects[object] + offset, bytes, PROT_READ | PROT_WRITE) < 0 ? -errno : 0;
}

static void decommit(void *data, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    struct ga_core *core = data;
    core->nbad += object != GA_OBJECT_HEAP || offset + bytes != core->heap_backed;
    core->heap_backed = offset;
}

/* The pages of [offset, offset + bytes) have memory, or not. Returns how many of them changed. */
static uint64_t set_punched(struct ga_core *core, uint64_t offset, uint64_t bytes, uint8_t punched)
{
    uint64_t changed = 0;
    core->nbad += bytes == 0 || offset % GA_PAGE_SIZE != 0 || bytes % GA_PAGE_SIZE != 0 ||
                  offset + bytes > core->heap_backed;
    for (uint64_t page = offset / GA_PAGE_SIZE; page < (offset + bytes) / GA_PAGE_SIZE; page++) {
        changed += core->punched[page] != punched;
        core->punched[page] = punched;
    }
    return changed;
}

/* Whoever is granted a page that is punched meets what is not there. */
static int punch(void *data, uint64_t offset, uint64_t bytes)
{
    struct ga_core *core = data;
    core->npunches++;
    if (core->fail_punch)
        return -EPERM;
    core->npunched += set_punched(core, offset, bytes, 1);
    return 0;
}

static int recommit(void *data, uint64_t offset, uint64_t bytes)
{
    struct ga_core *core = data;
    core->nrecommits++;
    if (core->fail_recommit || (core->fail_commit && --core->fail_commit == 0)) {
        set_punched(core, offset, GA_PAGE_SIZE, 0); /* it had come that far */
        return -ENOMEM;
    }
    core->nrecommitted_whole += bytes / GA_PAGE_SIZE - set_punched(core, offset, bytes, 0);
    return 0;
}

void ga_core_end_release(struct ga_core *core)
{
    const struct ga_scavenge *scavenge = &core->heap->scavenge;
    for (uint32_t i = 0; i < scavenge->nruns; i++) {
        struct ga_page_run run = scavenge->runs[i];
        if (run.npages > 0)
            ga_heap_end_release(
                core->heap, i,
                core->effects.punch(core, run.page * GA_PAGE_SIZE, run.npages * GA_PAGE_SIZE) == 0);
    }
}

static void wait_for_release(void *data)
{
    struct ga_core *core = data;
    core->nwaits++;
    ga_core_end_release(core);
}

uint64_t ga_core_release(struct ga_core *core)
{
    struct ga_page_run runs[GA_RELEASE_RUNS];
    uint64_t before = core->npunched;
    ga_heap_begin_release(core->heap, runs);
    ga_core_end_release(core);
    return core->npunched - before;
}

uint64_t ga_core_nholes(const struct ga_core *core)
{
    uint64_t n = 0;
    for (uint64_t page = 0; page < core->heap->npages_committed; page++)
        n += core->punched[page];
    return n;
}

static void reclaim(void *data)
{
    struct ga_core *core = data;
    core->nreclaims++;
}

static uint64_t now_ms(void *data)
{
    const struct ga_core *core = data;
    return core->now_ms;
}

static uint64_t wall_ms(void *data)
{
    const struct ga_core *core = data;
    return core->wall_ms;
}

/* ---- the heap ---- */

void ga_core_init(struct ga_core *core, uint64_t reserve_bytes, uint64_t limit_bytes)
{
    *core = (struct ga_core){
        .config = {.name = "core",
                   .base = GA_CORE_BASE,
                   .reserve_bytes = reserve_bytes,
                   .limit_bytes = limit_bytes,
                   .heap_id = 0x1234,
                   .server_pid = 77,
                   .server_start_time = 4711,
                   .server_version = "test"},
        .effects = {.resize = resize,
                    .commit = commit,
                    .decommit = decommit,
                    .punch = punch,
                    .recommit = recommit,
                    .wait_for_release = wait_for_release,
                    .reclaim = reclaim,
                    .now_ms = now_ms,
                    .wall_ms = wall_ms,
                    .data = core},
        .now_ms = 1000,
        .wall_ms = 5000000,
    };
    core->punched = calloc(reserve_bytes / GA_PAGE_SIZE, 1);
    if (!core->punched)
        abort();
    core->object_bytes[GA_OBJECT_META] = ga_heap_meta_bytes(reserve_bytes);
    core->object_bytes[GA_OBJECT_BITS] = ga_heap_bits_bytes(reserve_bytes);
    for (int object = GA_OBJECT_META; object <= GA_OBJECT_BITS; object++) {
        void *address = mmap(NULL, core->object_bytes[object], PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (address == MAP_FAILED) {
            perror("mmap");
            abort();
        }
        core->objects[object] = address;
    }
}

int ga_core_make(struct ga_core *core)
{
    int r = ga_heap_new(&core->config, core->objects[GA_OBJECT_META], core->objects[GA_OBJECT_BITS],
                        &core->effects, &core->heap);
    if (r == 0)
        core->view = core->heap->view;
    return r;
}

int ga_core_adopt(struct ga_core *core, char ret_why[static GA_ADOPT_WHY_BYTES])
{
    ga_heap_free(core->heap);
    core->heap = NULL;
    core->backed_bytes = 0;
    int r = ga_heap_adopt(&core->config, core->objects[GA_OBJECT_META],
                          core->objects[GA_OBJECT_BITS], &core->effects, ret_why, &core->heap);
    if (r == 0)
        core->view = core->heap->view;
    return r;
}

void ga_core_open(struct ga_core *core, uint64_t reserve_bytes, uint64_t limit_bytes)
{
    ga_core_init(core, reserve_bytes, limit_bytes);
    CU_ASSERT_EQUAL_FATAL(ga_core_make(core), 0);
}

void ga_core_close(struct ga_core *core)
{
    CU_ASSERT_EQUAL(core->nbad, 0);
    ga_heap_free(core->heap);
    core->heap = NULL;
    free(core->punched);
    core->punched = NULL;
    for (int object = GA_OBJECT_META; object <= GA_OBJECT_BITS; object++)
        munmap(core->objects[object], core->object_bytes[object]);
}

ga_client_id ga_core_attach(struct ga_core *core)
{
    ga_client_id client = UINT32_MAX;
    CU_ASSERT_EQUAL_FATAL(ga_heap_attach(core->heap, 100, 1, 2, 3, "client", &client), 0);
    return client;
}

ga_mcache_id ga_core_mcache(struct ga_core *core, ga_client_id client)
{
    ga_mcache_id mcache = 0;
    CU_ASSERT_EQUAL_FATAL(ga_heap_new_mcache(core->heap, client, &mcache), 0);
    return mcache;
}

/* ---- a client's steps ---- */

static struct ga_mcache_class *class_of(const struct ga_core *core, ga_mcache_id mcache,
                                        ga_span_class span_class)
{
    return &core->view.mcaches[mcache].classes[span_class];
}

static void count_one(_Atomic uint64_t *counter)
{
    ga_store_relaxed(counter, ga_load_relaxed(counter) + 1);
}

ga_page_id ga_core_lease(struct ga_core *core, ga_client_id client, ga_mcache_id mcache,
                         ga_span_class span_class)
{
    ga_page_id pages[GA_LEASE_MAX];
    uint32_t count = 0;
    if (ga_heap_lease(core->heap, client, mcache, span_class, 1, pages, &count) < 0)
        return 0;
    ga_slot_begin_lease(&core->view, mcache, pages[0]);
    return pages[0];
}

/* Where mcache's next slot of span_class comes from. Two may share a place; then who comes later
 * has it, and the other is to claim again. */
static struct ga_core_current *current_of(struct ga_core *core, ga_mcache_id mcache,
                                          ga_span_class span_class)
{
    uint32_t key = mcache * GA_SPAN_CLASS_COUNT + span_class;
    struct ga_core_current *current = &core->current[key % GA_CORE_CURRENT_COUNT];
    if (current->key != key)
        *current = (struct ga_core_current){.key = key};
    return current;
}

/* The lowest free slot of the span of span_class at page; -ENOENT if there is none, or mcache
 * leases no such span. */
static int find_free(const struct ga_core *core, ga_mcache_id mcache, ga_span_class span_class,
                     ga_page_id page, uint32_t *ret_index)
{
    uint64_t entry = ga_view_entry(&core->view, page);
    uint32_t nslots = ga_mheap_nslots(span_class);
    if (!ga_entry_is_span(entry) || ga_entry_span_class(entry) != span_class ||
        !ga_holder_is_leased_by(ga_load_relaxed(&core->view.lines[page].holder), mcache))
        return -ENOENT;
    for (uint32_t word = 0; word < ga_word_count(nslots); word++) {
        uint64_t slots = ga_slot_find_free(&core->view, page, word, nslots);
        *ret_index = word * 64 + (slots ? (uint32_t)__builtin_ctzll(slots) : 0);
        if (slots)
            return 0;
    }
    return -ENOENT;
}

bool ga_core_claim(struct ga_core *core, ga_mcache_id mcache, ga_page_id page)
{
    ga_span_class span_class = ga_entry_span_class(ga_view_entry(&core->view, page));
    uint32_t index;
    if (span_class == GA_SPAN_CLASS_TINY) {
        struct ga_tiny_carver carver;
        bool found = ga_tiny_find(&carver, &core->view, page, 0);
        ga_store_release(&core->view.mcaches[mcache].tiny, found ? ga_tiny_word(page, 0) : 0);
        return found;
    }
    current_of(core, mcache, span_class)->page = page;
    return find_free(core, mcache, span_class, page, &index) == 0;
}

/* A tiny object of the next of all sizes in turn, at the beginning of a run. */
static int carve_tiny(struct ga_core *core, ga_mcache_id mcache, struct ga_slot *ret)
{
    struct ga_mcache_class *class = class_of(core, mcache, GA_SPAN_CLASS_TINY);
    _Atomic uint64_t *tiny = &core->view.mcaches[mcache].tiny;
    size_t size = ga_load_relaxed(&class->nmalloc) % GA_TINY_SIZE_MAX + 1;
    ga_page_id page = ga_tiny_page(ga_load_relaxed(tiny));
    struct ga_tiny_carver carver;
    uint64_t unit;
    if (page == 0 || !ga_tiny_find(&carver, &core->view, page, 0) ||
        !ga_tiny_carve(&carver, tiny, &ga_tiny_shapes[size], &unit))
        return -ENOENT;
    count_one(&class->nmalloc);
    *ret = ga_core_slot(core, page, ga_tiny_word_of(&carver) * 64 + (uint32_t)unit);
    return 0;
}

int ga_core_malloc(struct ga_core *core, ga_mcache_id mcache, ga_span_class span_class,
                   struct ga_slot *ret)
{
    if (span_class == GA_SPAN_CLASS_TINY)
        return carve_tiny(core, mcache, ret);
    ga_page_id page = current_of(core, mcache, span_class)->page;
    uint32_t index;
    if (page == 0 || find_free(core, mcache, span_class, page, &index) < 0)
        return -ENOENT;
    ga_slot_flip(ga_view_a(&core->view, page, index / 64), UINT64_C(1) << index % 64);
    count_one(&class_of(core, mcache, span_class)->nmalloc);
    *ret = ga_core_slot(core, page, index);
    return 0;
}

/* Add the length of a large object's span. */
static void count_bytes(_Atomic uint64_t *counter, uint64_t entry)
{
    ga_store_relaxed(counter, ga_load_relaxed(counter) + ga_entry_npages(entry) * GA_PAGE_SIZE);
}

static void count_freed(struct ga_core *core, ga_mcache_id mcache, const struct ga_slot *slot)
{
    count_one(&class_of(core, mcache, ga_entry_span_class(slot->entry))->nfree);
    if (slot->entry & GA_ENTRY_LARGE)
        count_bytes(&core->view.mcaches[mcache].large_free_bytes, slot->entry);
}

bool ga_core_free_own(struct ga_core *core, ga_mcache_id mcache, const struct ga_slot *slot)
{
    ga_span_class span_class = ga_entry_span_class(slot->entry);
    struct ga_mcache_class *class = class_of(core, mcache, span_class);
    if (span_class == GA_SPAN_CLASS_TINY) {
        uint64_t used;
        bool freed = ga_tiny_free_own(&core->view.tiny[slot->page].pair[slot->index / 64],
                                      slot->index, &used);
        if (freed)
            count_one(&class->nfree);
        return freed;
    }
    _Atomic uint64_t *a_word = ga_view_a(&core->view, slot->page, slot->index / 64);
    uint64_t bit = UINT64_C(1) << slot->index % 64;
    if ((ga_slot_used(a_word) & bit) == 0)
        return false;
    ga_slot_flip(a_word, bit);
    count_freed(core, mcache, slot);
    return true;
}

bool ga_core_free_other(struct ga_core *core, ga_mcache_id mcache, const struct ga_slot *slot)
{
    if (!ga_slot_free_by_other(&core->view, mcache, slot))
        return false;
    count_freed(core, mcache, slot);
    return true;
}

int ga_core_large_alloc(struct ga_core *core, ga_client_id client, ga_mcache_id mcache,
                        uint64_t bytes, bool noscan, ga_page_id *ret_page, bool *ret_zeroed)
{
    int r = ga_heap_large_alloc(core->heap, client, mcache, bytes, 0, noscan, ret_page, ret_zeroed);
    if (r == 0)
        ga_core_take_large(core, mcache, *ret_page);
    return r;
}

void ga_core_take_large(struct ga_core *core, ga_mcache_id mcache, ga_page_id page)
{
    uint64_t entry = ga_view_entry(&core->view, page);
    if (ga_entry_owner(entry) == mcache) {
        ga_slot_begin_lease(&core->view, mcache, page);
        ga_slot_take_leased_large(&core->view, page);
    } else {
        ga_slot_take_large(&core->view, page);
    }
    struct ga_mcache *shared = &core->view.mcaches[mcache];
    count_one(&shared->classes[ga_entry_span_class(entry)].nmalloc);
    count_bytes(&shared->large_alloc_bytes, entry);
}

void ga_core_free_large(struct ga_core *core, ga_client_id client, ga_mcache_id mcache,
                        ga_page_id page)
{
    struct ga_slot slot = ga_core_slot(core, page, 0);
    if (ga_entry_owner(slot.entry) == mcache) {
        CU_ASSERT(ga_core_free_own(core, mcache, &slot));
        CU_ASSERT_EQUAL(ga_core_return(core, client, mcache, page), 0);
    } else {
        CU_ASSERT(ga_core_free_other(core, mcache, &slot));
    }
}

void ga_core_end_lease(struct ga_core *core, ga_mcache_id mcache, ga_page_id page)
{
    if (ga_tiny_page(ga_load_relaxed(&core->view.mcaches[mcache].tiny)) == page)
        ga_tiny_leave(&core->view, mcache);
    ga_slot_end_lease(&core->view, mcache, page);
}

int ga_core_return(struct ga_core *core, ga_client_id client, ga_mcache_id mcache, ga_page_id page)
{
    ga_core_end_lease(core, mcache, page);
    return ga_heap_return(core->heap, client, mcache, page);
}

struct ga_slot ga_core_slot(const struct ga_core *core, ga_page_id page, uint32_t index)
{
    return (struct ga_slot){
        .page = page, .index = index, .entry = ga_view_entry(&core->view, page)};
}

bool ga_core_in_use(const struct ga_core *core, const struct ga_slot *slot)
{
    uint64_t a;
    return ga_slot_in_use(&core->view, slot, &a);
}

bool ga_core_is_pending(const struct ga_core *core, ga_page_id page)
{
    return ga_load_relaxed(ga_view_pending(&core->view, page / 64)) >> page % 64 & 1;
}

bool ga_core_is_in_inbox(const struct ga_core *core, ga_mcache_id mcache, ga_span_class span_class,
                         ga_page_id page)
{
    const struct ga_mcache_inbox *inbox = &core->view.mcaches[mcache].inbox[span_class];
    return ga_load_relaxed(&inbox->word[page / 64 % GA_INBOX_WORDS]) >> page % 64 & 1;
}

void ga_core_check_sound(struct ga_core *core)
{
    const char *wrong = ga_core_audit(core);
    if (wrong)
        printf("not true: %s\n", wrong);
    CU_ASSERT_PTR_NULL(wrong);
}
