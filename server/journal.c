/* The journal: a change of roots or holds is all done or not at all, and a client can learn which.
 *
 * A change is several stores, and its answer may reach nobody: the server can be killed between any
 * two, or before it has answered. So it is first written down in meta how to carry it out, and the
 * store of its kind decides that it will be; then it is carried out; then the client's answer is
 * noted; then the kind is taken back. Who takes the heap over and finds a kind carries the change
 * out once more, which changes nothing where it was done, and notes the answer.
 *
 * The client sends its request again, with the id that it had at first. If that is noted, the
 * change was made and is not made again; if not, nothing of it was. A refusal is not noted: it
 * changed nothing, and may be another now. */
#include <errno.h>
#include <stdio.h>

#include "server/heap_internal.h"

int ga_heap_begin_request(struct ga_heap *heap, ga_client_id client, uint32_t place, uint64_t id,
                          uint64_t *ret_old_offset)
{
    heap->request = (struct ga_request){0};
    if (!ga_clients_is_attached(heap, client))
        return -EPERM;
    if (place >= GA_OUTCOME_COUNT || id == 0)
        return -EINVAL;
    const struct ga_outcome *outcome = &heap->clients[client].outcomes[place];
    if (ga_load_relaxed(&outcome->id) == id) {
        *ret_old_offset = outcome->old_offset;
        return GA_REQUEST_DONE;
    }
    heap->request = (struct ga_request){.id = id, .client_plus_1 = client + 1, .place = place};
    return 0;
}

void ga_heap_end_request(struct ga_heap *heap)
{
    heap->request = (struct ga_request){0};
}

void ga_journal_forget_outcomes(struct ga_client_entry *entry)
{
    for (uint32_t i = 0; i < GA_OUTCOME_COUNT; i++)
        ga_store_relaxed(&entry->outcomes[i].id, 0);
}

void ga_journal_begin(struct ga_heap *heap, const struct ga_change *change)
{
    struct ga_journal *journal = &heap->meta->journal;
    journal->index = change->index;
    journal->count = change->count;
    journal->publisher = change->publisher;
    journal->offset = change->offset;
    journal->old_offset = change->old_offset;
    journal->client = heap->request.client_plus_1;
    journal->place = heap->request.place;
    journal->request = heap->request.id;
    /* seq_cst: neither of these stores comes later, nor any of the change earlier. */
    ga_xchg_seq_cst(&journal->kind, change->kind);
}

void ga_journal_end(struct ga_heap *heap)
{
    struct ga_journal *journal = &heap->meta->journal;
    if (journal->client) {
        struct ga_outcome *outcome = &heap->clients[journal->client - 1].outcomes[journal->place];
        outcome->old_offset = journal->old_offset;
        ga_store_release(&outcome->id, journal->request);
    }
    /* seq_cst: the next change is not written down before this one is done. */
    ga_xchg_seq_cst(&journal->kind, GA_JOURNAL_NOTHING);
}

void ga_journal_adopt(struct ga_heap *heap)
{
    const struct ga_journal *journal = &heap->meta->journal;
    uint32_t kind = ga_load_relaxed(&journal->kind);
    if (kind == GA_JOURNAL_NOTHING)
        return;
    if (kind <= GA_JOURNAL_UNPUBLISH)
        ga_roots_repeat(heap, journal);
    else
        ga_holds_repeat(heap, journal);
    ga_journal_end(heap);
}
