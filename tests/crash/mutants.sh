#!/usr/bin/env bash
# Does the explorer find what it is for? Each mutant is one change of the product in a scratch copy:
# an order of stores swapped, a step of a recovery left out. The explorer must find every one.
# usage: mutants.sh [PART-OF-A-NAME, or a pattern]
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
scratch=$root/build/mutants
part=${1:-}

# name ~ file ~ perl expression that changes its text ~ the scenario that must find it
mutants() {
    cat <<'EOF'
free remote: telling after F~shm/slot.c~s/(    if \(me\)\n        ga_store_release\(&view->mcaches\[me\]\.telling, slot->page\);\n)(.*?)(    if \(freed\))/$2$1$3/s~free remote: the last one, of nobody
free remote: telling cleared before the news~shm/slot.c~s/(    if \(freed\)\n        ga_slot_tell\(view, slot->page\);\n)(    if \(me\)\n        ga_store_release\(&view->mcaches\[me\]\.telling, 0\);\n)/$2$1/~free remote: the last one, of nobody
recovery: telling forgotten~server/recover.c~s/telling != 0 && telling < heap->npages_committed/telling > UINT32_MAX/~free remote: the last one, of nobody
tiny: two stores for the commit~shm/tiny.h~s/(    ga_store_release\(&pair->a, )(ga_load_relaxed\(&pair->a\) \^ [^;]*)\);/    uint64_t a = $2;\n    ga_store_release(&pair->a, ga_load_relaxed(&pair->f));\n    ga_store_release(&pair->a, a);/~malloc tiny: in the run
tiny: what a dead one carved from is left~server/recover.c~s/    ga_tiny_leave\(&heap->view, mcache\);\n//~malloc tiny: in the run || recovery
adoption: an owner gone, its holder left~server/lease.c~s/        if \(ga_holder_id\(holder\) != 0\)\n            clear_holder\(heap, page\);\n//~server: death of a client
client: its entry free before its mcaches~server/recover.c~s/(    while \(record->first_mcache\) \{\n)/    ga_store_release(&heap->clients[client].state, GA_CLIENT_FREE);\n$1/~server: death of a client
large: a grant nobody took stays~server/recover.c~s/        if \(ga_slot_count_used\(&heap->view, page, 1\) == 0\)/        if (ga_slot_large_is_freed(&heap->view, page))/~grant: a span larger than is kept
into: taken before it is chosen~client/into.c~s/(    ga_into_note\(cache->shared, \*ret_offset\);\n)(    \(void\)ga_free_list_take[^\n]*\n)/$2$1/~malloc into: small
into: ended before the slot names it~client/into.c~s/(    if \(r == 0\)\n        ga_store_release\(word, [^\n]*\n)(    if \(cache\) \{\n        ga_into_end\(cache->shared\);\n)/    if (cache)\n        ga_into_end(cache->shared);\n$1    if (cache) {\n/~malloc into: small
into: the library's thread takes first~client/grants.c~s/(        if \(is_ours\(heap, span->mcache\)\)\n[^\n]*\n)(        ga_slot_take_large\(&heap->view, page\);\n)/$2$1/~grant: a span larger than is kept, into a slot
into: a kept span taken first~client/large.c~s/(        ga_into_note\(cache->shared, [^\n]*\n)(        ga_slot_take_leased_large[^\n]*\n)/$2$1/~malloc into: a large span that was kept
into: a granted span taken first~client/large.c~s/(\n    ga_into_note\(cache->shared, [^\n]*)(\n    ga_slot_take_leased_large[^\n]*)/$2$1/~malloc into: large, leased
into: what was under way is forgotten~server/handles.c~s/        end_into\(heap, client, id\);/        (void)end_into;/~malloc into: small
into: slots are emptied, and then freed~server/handles.c~s/(        free_object\(heap, client, address - heap->meta->base\);\n)(        ga_store_release\(&handles->object\[i\], 0\);\n)/$2$1/~malloc into, beside others || recovery
into: what is published is freed~server/handles.c~s/ \|\| ga_roots_has\(heap, offset\)//~malloc into, publish and clear
private: shares spans with others~server/lease.c~s/ga_clients_is_private\(heap, client\) \? 0 : //~private: malloc small, where others have left spans
private: large objects stay~server/recover.c~s/            free_objects\(heap, page, record->first_mcache\);/            (void)page;/~private: malloc larger than is kept
private: what others hold is freed~server/recover.c~s/    if \(has_holds\(heap, page\)\)\n/    if (n != 0)\n/~private: malloc small, others hold
private: its roots stay~server/recover.c~s/    if \(ga_clients_is_private\(heap, client\)\)\n        ga_roots_unpublish_spans[^\n]*\n//~private: publish
private: the next server leaves its roots~server/recover.c~s/        begin\(heap, client\);\n        \(void\)ga_heap_recover/        (void)ga_heap_recover/~server: death of a private client, others hold
batch: the holder ignores D~shm/slot.h~s/return ga_slot_is_flushed\(view, page\) \? 0 : slots;/return slots;/~free remote: a batch is flushed
batch: D is cleared before the mask~shm/batch.c~s/(    ga_store_release\(&line->batch_mask, 0\);\n)(.*?)(    ga_xchg_seq_cst\(d, 0\);\n)/$2$3$1/s~free remote: a batch is flushed
batch: the mask is empty before F~shm/batch.c~s/(    \*ret_refused = slots->mask & .change_f)/    ga_store_release(&line->batch_mask, 0);\n$1/~free remote: a batch is flushed
batch: put before it is begun~client/batch.c~s/    ga_batch_begin\(cache->shared, slot->page, word\);\n//~free remote: a batch is begun
batch: forgotten by the recovery~server/recover.c~s/    ga_batch_recover\(&heap->view, mcache\);\n//~free remote: a batch is begun
batch: recovered without a D~shm/batch.c~s/        ga_store_release\(&line->d_recovery, id\);\n//~free remote: a batch is begun
batch: recovered, D cleared before the mask~shm/batch.c~s/(    ga_store_release\(&dead->batch_mask, 0\);\n)(.*?)(    ga_store_release\(&dead->batch_where, 0\);\n)/$2$1$3/s~free remote: a batch is begun
batch: recovered, the mask empty before F~shm/batch.c~s/(        uint64_t slots = slots_in_use)/        ga_store_release(&dead->batch_mask, 0);\n$1/~free remote: a batch is
journal: the answer is not noted~server/journal.c~s/        ga_store_release\(&outcome->id, journal->request\);/        (void)outcome;/~server: publish
journal: over before the answer is noted~server/journal.c~s/(    if \(journal->client\) \{\n)/    ga_xchg_seq_cst(&journal->kind, GA_JOURNAL_NOTHING);\n$1/~server: hold
journal: what is found is not made~server/journal.c~s/    if \(kind <= GA_JOURNAL_UNPUBLISH\)\n.*?ga_holds_repeat\(heap, journal\);\n//s~server: unpublish
journal: counted before it is written down~server/holds.c~s/(    ga_journal_begin\(heap, &\(struct ga_change\)\{\.kind = GA_JOURNAL_COUNT)/    hold->count = count;\n$1/~server: hold once more
journal: what was replaced is forgotten~server/journal.c~s/        \*ret_old_offset = outcome->old_offset;/        *ret_old_offset = 0;/~server: replace
journal: released before it is written down~server/holds.c~s/(    ga_journal_begin\(\n        heap, &\(struct ga_change\)\{\.kind = GA_JOURNAL_RELEASE[^\n]*\n)(    remove_hold[^\n]*\n)/$2$1/~server: release what was freed
scavenge: marked after the punch~server/scavenge.c~s/(        mark\(heap, page, n\);\n)(        bool punched = punch\(heap, page, n\);\n)/$2$1/~server: growth over the soft limit, the client dies too
scavenge: no memory before the mark goes~server/mheap.c~s/    int r = recommit\(heap, page, npages\);\n    if \(r < 0\)\n(.*?)    else\n        (ga_scavenge_unmark\(heap, page, npages\);\n)/    $2    int r = recommit(heap, page, npages);\n    if (r < 0)\n$1/s~server: a span of pages without memory
scavenge: a batch is not marked~server/scavenge.c~s/        mark\(heap, page, n\);\n(        add_run)/$1/~server: memory has gone back
scavenge: unmarked when it has gone~server/scavenge.c~s/    if \(!released\)\n(        ga_scavenge_unmark)/    if (released)\n$1/~server: memory has gone back
punch: a page too many~server/shell/punch.c~s/\(off_t\)bytes\)/(off_t)bytes + 8192)/~server: growth over the soft limit, the client dies too
punch: what has gone is thought to be there~server/shell/puncher.c~s/    tell\(puncher, i, result == 0\);/    tell(puncher, i, result != 0);/~server: memory has gone back
sweep: what the dead one took is forgotten~server/lease.c~s/        settle\(heap, page\);\n(    \} else if \(ga_holder_is_returned_by)/$1/~server: a slice of a sweep
idle: the cache is back before it is trimmed~client/reclaim.c~s/(    ga_reclaim_cache\(cache, what\);\n)(.*?)(    ga_store_release\(place, cache\);\n)/$2$3$1/s~idle thread's cache given back | it comes back, both go on
idle: who comes back does not wait~client/thread_cache.c~s/        pthread_mutex_lock\(&heap->lock\);\n        pthread_mutex_unlock\(&heap->lock\);\n(    \}\n    return cache;)/$1/~idle thread's cache given back | it comes back, both go on
managed: the last roots are not told~client/managed_scan.c~s/    return hand_on\(scan\);\n\}\n\n\/\* ---- all of it/    return 0;\n}\n\n\/* ---- all of it/~managed: it has told
managed: its threads are not let go~client/managed.c~s/    ga_stop_release\(\);\n    if \(r < 0\)/    if (r < 0)/~server: managed clients go on
sample: put before it is counted~shm/sample.c~s/    ga_fetch_add_seq_cst\(count, ONE_SAMPLE\);\n(.*?)ga_cas_seq_cst\(at, &expected, word \| place\)\)\n            return true;/$1ga_cas_seq_cst(at, &expected, word | place)) {\n            ga_fetch_add_seq_cst(count, ONE_SAMPLE);\n            return true;\n        }/s~sampled: malloc small
sample: its word goes when the object has~client/free.c~s/(    if \(ga_line_samples\(nholds\) != 0\)\n        ga_profile_freed\([^\n]*\n)(.*?)(        ga_report_bad\(heap, "goalloc_free", p, GA_LOOKUP_SLOT, &slot\);\n)(\})/$2$3$1$4/s~sampled: free local
sample: what a private client had keeps its word~server/recover.c~s/        ga_profiles_freed_slots\(heap, page, word, slots\[word\]\);\n//~sampled: private
sample: garbage is freed, and then its word goes~server/collect_sweep.c~s/    ga_profiles_freed_slots\(heap, span->page, word, slots\);\n    return ([^;]*);\n/    uint64_t n = $1;\n    ga_profiles_freed_slots(heap, span->page, word, slots);\n    return n;\n/~server: a collection frees, sampled
sample: of garbage the word stays~server/collect_sweep.c~s/    ga_profiles_freed_slots\(heap, span->page, word, slots\);\n//~server: a collection frees, sampled
collect: what was emptied is left lying~server/collect.c~s/        ga_lease_look_again\(heap, span->page\);/        (void)heap;/~server: a collection frees
EOF
}

copy() {
    rm -rf "$scratch/src"
    mkdir -p "$scratch/src"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard |
        tar --null --files-from=- -cf - | tar -xmf - -C "$scratch/src") # -m: nothing built of a run broken off is kept
}

copy
cmake -G Ninja -S "$scratch/src" -B "$scratch/build" -DCMAKE_C_FLAGS='-O2 -g' \
    -DGOALLOC_BENCH=OFF >/dev/null
cmake --build "$scratch/build" --target crash_explorer >/dev/null

missed=0
count=0
while IFS='~' read -r name file change scenario; do
    [[ $name =~ $part ]] || continue
    count=$((count + 1))
    cp "$scratch/src/$file" "$scratch/kept"
    perl -0pi -e "$change" "$scratch/src/$file"
    if cmp -s "$scratch/src/$file" "$scratch/kept"; then
        echo "$name: the change does not fit $file any more"
        missed=$((missed + 1))
        continue
    fi
    cmake --build "$scratch/build" --target crash_explorer >/dev/null
    code=0
    "$scratch/build/bin/crash_explorer" --first-fault "$scenario" >"$scratch/output" || code=$?
    if [ "$code" = 1 ]; then
        printf '%-46s found\n' "$name"
        grep -m1 '^    ' "$scratch/output"
    else
        printf '%-46s NOT FOUND (exit code %s)\n' "$name" "$code"
        missed=$((missed + 1))
    fi
    cp "$scratch/kept" "$scratch/src/$file"
done < <(mutants)
echo "$count mutants, $missed not found"
[ "$missed" = 0 ]
