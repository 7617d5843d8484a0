#include "shm/batch.h"

#include "shm/slot_word.h"

bool ga_batch_may_begin(const struct ga_view *view, ga_page_id page, uint64_t entry)
{
    ga_mcache_id owner = ga_entry_owner(entry);
    if (!ga_entry_is_small_span(entry) || owner == 0 ||
        ga_size_classes[ga_entry_span_class(entry) / 2].size > GA_BATCH_SLOT_BYTES_MAX)
        return false;
    uint32_t client_plus_1 = ga_load_acquire(&view->mcache_entries[owner].client);
    return client_plus_1 != 0 && client_plus_1 <= view->counts.clients &&
           view->clients[client_plus_1 - 1].policy == GA_POLICY_KEEP &&
           ga_view_entry(view, page) == entry; /* it was that client's all the while */
}

/* Make F's bits those of A in the slots of the mask that are in use as the same objects as when
 * they were put there. Returns those. */
static uint64_t change_f(const struct ga_view *view, const struct ga_batch_slots *slots)
{
    _Atomic uint64_t *a_word = ga_view_a(view, slots->page, slots->word);
    _Atomic uint64_t *f_word = ga_view_f_of(a_word);
    uint64_t f = ga_load_acquire(f_word);
    uint64_t a, freed;
    do {
        /* Of an object in use A's bit does not change, and not the entry. */
        a = ga_load_acquire(a_word);
        freed = slots->mask & (a ^ f) & ~(a ^ slots->a);
        if (!ga_entry_is_same_span(slots->entry, ga_view_entry(view, slots->page)))
            freed = 0;
        /* seq_cst: as ga_slot_word_free. */
    } while (!ga_cas_seq_cst(f_word, &f, (f & ~freed) | (a & freed)));
    return freed;
}

bool ga_batch_flush(const struct ga_view *view, ga_mcache_id me, struct ga_batch_slots *slots,
                    uint64_t *ret_refused)
{
    struct ga_mcache *line = &view->mcaches[me];
    _Atomic uint32_t *d = &view->lines[slots->page].d;
    uint32_t nobody = 0;
    ga_store_release(&line->telling, slots->page);
    if (!ga_cas_seq_cst(d, &nobody, me)) {
        ga_store_release(&line->telling, 0);
        return false;
    }
    *ret_refused = slots->mask & ~change_f(view, slots);
    slots->mask = 0;
    ga_store_release(&line->batch_mask, 0);
    /* Told only now: who looked before would have found D, and take nothing. seq_cst, not a release
     * store: that could still be on its way when the inbox is read, whose bit somebody has set
     * before; its owner clears that, finds D, and would never hear of these slots again. */
    ga_xchg_seq_cst(d, 0);
    ga_slot_word_tell(view, slots->page);
    ga_store_release(&line->telling, 0);
    return true;
}

/* How many slots the named span has, if it is one of small slots that has the named word. */
static uint32_t named_nslots(const struct ga_view *view, uint64_t where, ga_span_class *ret_class)
{
    ga_page_id page = ga_batch_page(where);
    /* Acquire: pairs with the server's release; what lies below is backed. */
    if (page == 0 || page >= ga_load_acquire(&view->meta->committed_npages))
        return 0;
    uint64_t entry = ga_view_entry(view, page);
    ga_span_class span_class = ga_entry_span_class(entry);
    if (!ga_entry_is_small_span(entry) || span_class >= GA_SPAN_CLASS_COUNT)
        return 0;
    uint32_t nslots = ga_size_classes[span_class / 2].nslots;
    *ret_class = span_class;
    return ga_batch_word(where) < ga_word_count(nslots) ? nslots : 0;
}

bool ga_batch_can_be(const struct ga_view *view, uint64_t where)
{
    ga_span_class span_class;
    return named_nslots(view, where, &span_class) != 0;
}

/* The slots of the mask that are in use, in a word that can be. */
static uint64_t slots_in_use(const struct ga_view *view, uint64_t where, uint64_t mask,
                             ga_span_class *ret_class)
{
    uint32_t nslots = named_nslots(view, where, ret_class);
    uint32_t word = ga_batch_word(where);
    if (nslots == 0)
        return 0;
    return mask & ga_valid_mask(nslots, word) &
           ~ga_free_bits(view, ga_batch_page(where), word, nslots);
}

bool ga_batch_names(const struct ga_view *view, ga_mcache_id id, ga_page_id page, uint32_t index)
{
    const struct ga_mcache *line = &view->mcaches[id];
    uint64_t where = ga_batch_where(page, index / 64);
    /* The mask is that word's if it is named before and after. */
    if (ga_load_acquire(&line->batch_where) != where)
        return false;
    uint64_t mask = ga_load_acquire(&line->batch_mask);
    return (mask >> index % 64 & 1) != 0 && ga_load_acquire(&line->batch_where) == where;
}

uint32_t ga_batch_count(const struct ga_view *view, ga_mcache_id id, ga_span_class *ret_span_class)
{
    uint64_t mask = ga_load_acquire(&view->mcaches[id].batch_mask);
    uint64_t where = ga_load_acquire(&view->mcaches[id].batch_where);
    return mask == 0
               ? 0
               : (uint32_t)__builtin_popcountll(slots_in_use(view, where, mask, ret_span_class));
}

/* The line of the page that is named, or NULL. */
static struct ga_span_line *named_line(const struct ga_view *view, uint64_t where)
{
    ga_page_id page = ga_batch_page(where);
    bool can_be = page != 0 && page < ga_load_acquire(&view->meta->committed_npages);
    return can_be ? &view->lines[page] : NULL;
}

bool ga_batch_is_recovering(const struct ga_view *view, ga_mcache_id id)
{
    const struct ga_span_line *line =
        named_line(view, ga_load_acquire(&view->mcaches[id].batch_where));
    return line && ga_load_acquire(&line->d_recovery) == id;
}

void ga_batch_recover(const struct ga_view *view, ga_mcache_id id)
{
    struct ga_mcache *dead = &view->mcaches[id];
    uint64_t where = ga_load_acquire(&dead->batch_where);
    uint64_t mask = ga_load_acquire(&dead->batch_mask);
    struct ga_span_line *line = named_line(view, where);
    if (line && mask != 0) {
        /* Where the dead one's flush had not begun, d may be a living one's, who may be stopped
         * there for ever; so the server has a word of its own. */
        ga_span_class span_class;
        ga_store_release(&line->d_recovery, id);
        uint64_t slots = slots_in_use(view, where, mask, &span_class);
        if (slots)
            ga_slot_free_word(view, ga_batch_page(where), ga_batch_word(where), slots);
    }
    ga_store_release(&dead->batch_mask, 0);
    if (line) {
        if (ga_load_relaxed(&line->d) == id)
            ga_xchg_seq_cst(&line->d, 0);
        ga_xchg_seq_cst(&line->d_recovery, 0);
        ga_slot_tell(view, ga_batch_page(where)); /* seq_cst, and only now: as above */
    }
    ga_store_release(&dead->batch_where, 0);
}
