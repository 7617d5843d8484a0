/* Leases of two spans of one class (shm/slot.c, server/lease.c, client/mcache.c, mcache_return.c,
 * grants.c): a list of free slots that is filled from one span and the other, an inbox bit that stands for both (their
 * pages are GA_INBOX_WORDS * 64 apart), an mcache id that is used again (SAME_ID), and a server that
 * is killed at any time, SERVER_DEATHS times. Each span has one word of NS slots.
 *
 *   holders  the first has mcache 1, and may be killed (KILL_HOLDER); the second has mcache 2, or
 *            mcache 1 once the first is taken back from (SAME_ID)
 *   freer    process 3: frees what it was handed, tries double frees; may be killed (KILL_FREER)
 *   server   leases spans by reply, takes back, recovers, adopts; clients come back by Reattach
 *
 * One step is one load or store of shared memory. MALLOCS and GRANTS are for all together, TRIMS for
 * each holder. ONE_HOLDER and NO_FREER leave out the second holder, or the freer: with a server that is
 * killed, all of them are too many states.
 *
 * Claims: no slot is handed out twice; a free of an object is never refused; a free of what is free
 * is refused; no span is granted to two; at rest no slot is lost and no lease. */
#ifndef NS
#define NS 1
#endif
#ifndef MALLOCS
#define MALLOCS 3
#endif
#ifndef GRANTS
#define GRANTS 3
#endif
#ifndef TRIMS
#define TRIMS 1
#endif
#ifndef DOUBLES
#define DOUBLES 0
#endif
#ifndef SERVER_DEATHS
#define SERVER_DEATHS 0
#endif
#ifdef SAME_ID
#define SECOND_ID 1
#define SECOND_MAY_COME recovered[1]
#else
#define SECOND_ID 2
#define SECOND_MAY_COME true
#endif
#define FREER 3
#define VALID ((1 << NS) - 1)
#define SPAN(i) ((i) / NS)
#define BIT(i) (1 << ((i) % NS))
#define FREE(s) (VALID & ~(A[s] ^ F[s]))
#define HOLDER(id, returned, sequence) ((id) | (returned) << 2 | (sequence) << 3)
#define ID(h) ((h) & 3)
#define RETURNED(h) ((h) >> 2 & 1)
#define NEXT_SEQ(h) (((h) >> 3) + 1)
#define LEASED_BY(h, id) (ID(h) == (id) && !RETURNED(h))
#define RETURNED_BY(h, id) (ID(h) == (id) && RETURNED(h))
#define NONE 3 /* no span */

/* shared memory */
byte A[2], F[2];
short holder[2];
bit in_use[2];                 /* in_use, owner: the first page's entry */
byte owner[2];
bit inbox[4];                  /* one bit for both spans */
byte pending;                  /* a bit each */
byte telling[4] = NONE;

/* holders' private memory, by mcache id; a new one begins with nothing */
byte has[3], listed[3];        /* masks of spans: leased; on the list */
byte page[3] = NONE;           /* the current span */
byte known[3];                 /* slots on the list of free ones */
bit waits[3], busy[3];         /* for a lease; the library's thread works on the answer */

/* kernel, sockets */
bit connected[3] = 1;
bit dead[4], recovered[4];
chan request[3] = [1] of { bit };
chan reply[3] = [1] of { byte };
chan note[3] = [2] of { byte };
chan handed = [4] of { byte };

/* ghosts */
byte held[2 * NS], mallocs, grants, deaths = SERVER_DEATHS;
byte watched = 2 * NS;
bit touched;

#ifdef KILL_HOLDER
#define HOLDER_MORTAL (me == 0)
#else
#define HOLDER_MORTAL 0
#endif
#ifdef KILL_FREER
#define FREER_MORTAL 1
#else
#define FREER_MORTAL 0
#endif
#define MAY_DIE(mortal) if :: true :: mortal -> goto died fi
#define SERVER_MAY_DIE if :: true :: deaths > 0 -> deaths--; goto killed fi

inline got(i) {
    held[i]++;
    assert(held[i] == 1);
    if :: watched == i -> touched = 1 :: else fi
}

/* ga_slot_tell */
inline tell(s, t) {
    t = owner[s];
    atomic { if :: t == 0 -> pending = pending | 1 << (s) :: else -> inbox[t] = 1 fi; t = 0 }
}

/* ---- holders ---- */

/* ga_slot_begin_lease */
inline begin(s) {
    atomic { holder[s] = HOLDER(id, 0, NEXT_SEQ(holder[s])); MAY_DIE(HOLDER_MORTAL) }
}

/* fill_from. F is read; A is the holder's own. */
inline fill() {
    atomic {
        c = FREE(s);
        if :: c -> page[id] = s; known[id] = c << (s * NS) :: else -> page[id] = NONE fi;
        c = 0; s = 0
    }
}

inline pick(mask, s) {
    if :: (mask) & 1 -> s = 0 :: (mask) & 2 -> s = 1 fi
}

proctype Holder(byte me) {
    byte id = 1, s, c, i, mine, trims;
    if :: me == 1 -> SECOND_MAY_COME; id = SECOND_ID :: else -> skip fi;
    do
    /* ga_free_list_malloc: what A and F say, and one store, the commit; then somebody has the object */
    :: atomic { mallocs < MALLOCS && known[id] ->
                do :: known[id] >> i & 1 -> break :: !(known[id] >> i & 1) -> i++ od;
                known[id] = known[id] & ~(1 << i); s = SPAN(i) };
       atomic { !((A[s] ^ F[s]) & BIT(i)) };
       atomic { mallocs++; A[s] = A[s] ^ BIT(i); got(i); s = 0; MAY_DIE(HOLDER_MORTAL) };
#ifdef NO_FREER
       atomic { mine = mine | 1 << i; i = 0 }
#else
       atomic { if :: handed ! i :: mine = mine | 1 << i fi; i = 0; MAY_DIE(HOLDER_MORTAL) }
#endif
    /* ga_mcache_refill: the span it has, the list, news, the server */
    :: atomic { mallocs < MALLOCS && !known[id] && page[id] != NONE -> s = page[id] };
       fill()
    :: atomic { mallocs < MALLOCS && !known[id] && page[id] == NONE && listed[id] ->
                pick(listed[id], s); listed[id] = listed[id] & ~(1 << s) };
       fill()
    :: mallocs < MALLOCS && !known[id] && page[id] == NONE && !listed[id] && inbox[id] ->
       inbox[id] = 0;
       do
#ifdef MUTANT_NEWS_OF_ONE
       :: atomic { s < 2 && (has[id] >> s & 1) && FREE(s) -> listed[id] = listed[id] | 1 << s; break }
#else
       :: atomic { s < 2 && (has[id] >> s & 1) && FREE(s) -> listed[id] = listed[id] | 1 << s; s++ }
#endif
       :: atomic { s < 2 && !((has[id] >> s & 1) && FREE(s)) -> s++ }
       :: s == 2 -> break
       od;
       s = 0;
    :: atomic { mallocs < MALLOCS && !known[id] && page[id] == NONE && !listed[id] && !inbox[id] && !waits[id] &&
                connected[id] && grants < GRANTS -> waits[id] = 1; request[id] ! 1 }
    /* begin_leases on the library's thread; then lease, add_span */
    :: atomic { reply[id] ? s -> busy[id] = 1; assert(owner[s] == id) };
       begin(s);
       atomic { waits[id] = 0; busy[id] = 0; has[id] = has[id] | 1 << s; listed[id] = listed[id] | 1 << s };
       s = 0
    /* free_by_holder */
    :: atomic { mine ->
                do :: mine >> i & 1 -> break :: !(mine >> i & 1) -> i++ od;
                mine = mine & ~(1 << i); s = SPAN(i) };
       assert(LEASED_BY(holder[s], id));
       assert((A[s] ^ F[s]) & BIT(i));
       atomic { held[i]--; A[s] = A[s] ^ BIT(i); known[id] = known[id] | 1 << i;
                if :: page[id] != s -> listed[id] = listed[id] | 1 << s :: else -> skip fi;
                MAY_DIE(HOLDER_MORTAL) };
       atomic { i = 0; s = 0 }
    /* let_go: so often in the middle, and at the end */
    :: atomic { page[id] != NONE && (trims < TRIMS || mallocs == MALLOCS) ->
                trims++; known[id] = 0; listed[id] = listed[id] | 1 << page[id]; page[id] = NONE }
    /* return_empty: ga_slot_end_lease, and the note */
    :: atomic { page[id] == NONE && listed[id] -> pick(listed[id], s) };
       if
       :: FREE(s) == VALID && LEASED_BY(holder[s], id) ->
#ifndef MUTANT_LIST_KEPT
          known[id] = 0;
#endif
          atomic { has[id] = has[id] & ~(1 << s); listed[id] = listed[id] & ~(1 << s);
                   holder[s] = HOLDER(id, 1, NEXT_SEQ(holder[s])); MAY_DIE(HOLDER_MORTAL) };
          atomic { if :: connected[id] -> note[id] ! s :: else -> skip fi }
       :: else -> skip
       fi;
       s = 0
    :: atomic { HOLDER_MORTAL -> goto died }
    od;
died:
    atomic { dead[1] = 1; has[1] = 0; listed[1] = 0; known[1] = 0; page[1] = NONE; waits[1] = 0; busy[1] = 0;
             id = 0; s = 0; c = 0; i = 0; mine = 0; trims = 0 }
}

/* ---- who frees by ga_slot_free_by_other ---- */

/* ga_slot_in_use. Leaves used, and A's word in a. */
inline look() {
    s = SPAN(i);
    used = 0;
    if
    :: in_use[s] ->
       do
       :: h = holder[s];
          a = A[s];
          f = F[s];
          if
          :: (A[s] ^ a) & BIT(i) -> skip
          :: else ->
             if
             :: !in_use[s] -> break
             :: else -> if :: holder[s] == h -> used = ((a ^ f) & BIT(i)) != 0; break
                           :: else -> skip fi
             fi
          fi
       od
    :: else -> skip
    fi;
    atomic { h = 0; f = 0 }
}

proctype Freer() {
    byte i, s, a, f, t, n;
    short h;
    bit used;
    do
    :: handed ? i ->
       look();
       assert(used);
       atomic { telling[FREER] = s; MAY_DIE(FREER_MORTAL) };
       atomic { assert((F[s] ^ a) & BIT(i)); F[s] = (F[s] & ~BIT(i)) | (a & BIT(i)); held[i]--;
                MAY_DIE(FREER_MORTAL) };
       tell(s, t);
       atomic { telling[FREER] = NONE; MAY_DIE(FREER_MORTAL) };
       atomic { i = 0; s = 0; a = 0; used = 0 }
    :: atomic { n < DOUBLES -> n++; if :: i = 0 :: i = 2 * NS - 1 fi;
                if :: !held[i] -> watched = i; touched = 0 :: else -> skip fi };
       if :: watched == i -> look(); assert(!used || touched) :: else -> skip fi;
       atomic { watched = 2 * NS; touched = 0; i = 0; s = 0; a = 0; used = 0 }
    od;
died:
    atomic { dead[FREER] = 1; i = 0; s = 0; a = 0; f = 0; t = 0; n = 0; h = 0; used = 0 }
}

/* ---- the server ---- */

/* settle; in mcentral's sets or back to mheap */
inline settle(s) {
    f = FREE(s);
    if
    :: f == VALID -> atomic { in_use[s] = 0; SERVER_MAY_DIE }
    :: else -> atomic { if :: f -> partial = partial | 1 << (s) :: else -> skip fi }
    fi;
    f = 0
}

/* clear_holder */
inline clear_holder(s) {
    atomic { holder[s] = HOLDER(0, 0, NEXT_SEQ(holder[s])); SERVER_MAY_DIE }
}

/* ga_lease_end */
inline end_lease(s) {
    atomic { owner[s] = 0; SERVER_MAY_DIE };
    clear_holder(s);
    settle(s)
}

/* ga_lease_take_over */
inline take_over(s) {
    if
    :: in_use[s] && owner[s] == 0 ->
       if :: ID(holder[s]) -> clear_holder(s) :: else -> skip fi;
       settle(s)
    :: in_use[s] && owner[s] && RETURNED_BY(holder[s], owner[s]) -> end_lease(s)
    :: in_use[s] && owner[s] && !RETURNED_BY(holder[s], owner[s]) ->
       tell(s, t)
    :: !in_use[s] -> skip
    fi
}

/* take_news of the spans whose pending bits were set */
inline sweep() {
    atomic { news = pending; pending = 0; SERVER_MAY_DIE };
    do
    :: news ->
       atomic { pick(news, s); news = news & ~(1 << s) };
       if
       :: in_use[s] && owner[s] == 0 -> partial = partial & ~(1 << s); settle(s)
       :: in_use[s] && owner[s] -> tell(s, t)
       :: !in_use[s] -> skip
       fi
    :: else -> break
    od;
    s = 0
}

/* ga_lease_find_span, ga_lease_grant, the answer */
inline grant() {
    grants++;
    if
    :: partial -> atomic { pick(partial, s); partial = partial & ~(1 << s) }
    :: else ->
       atomic { if :: !in_use[0] -> s = 0 :: !in_use[1] -> s = 1 fi };
       atomic { A[s] = F[s]; SERVER_MAY_DIE };
       atomic { holder[s] = HOLDER(0, 0, NEXT_SEQ(holder[s])); SERVER_MAY_DIE };
       atomic { in_use[s] = 1; SERVER_MAY_DIE }
    fi;
    assert(owner[s] == 0);
    atomic { owner[s] = c; SERVER_MAY_DIE };
    atomic { reply[c] ! s; s = 0; SERVER_MAY_DIE }
}

#define MAY_HAVE(id)                                                                               \
    (len(request[id]) && len(reply[id]) == 0 && (partial || !in_use[0] || !in_use[1]))
#define COMES_BACK(id) (!connected[id] && !busy[id] && !(id == 1 && dead[1] && !recovered[1]))

active proctype Server() {
    byte c, s, t, f, news, partial;
    goto serve;
killed:
    atomic {
        for (c : 1 .. 2) {
            connected[c] = 0;
            do :: request[c] ? _ :: len(request[c]) == 0 -> break od;
            do :: reply[c] ? _ :: len(reply[c]) == 0 -> break od;
            do :: note[c] ? _ :: len(note[c]) == 0 -> break od;
            if :: !busy[c] -> waits[c] = 0 :: else -> skip fi /* it is sent again */
        }
        c = 0; s = 0; t = 0; f = 0; news = 0; partial = 0
    };
    take_over(0);
    take_over(1);
    if :: pending -> sweep() :: else -> skip fi;
serve:
    do
    :: atomic { deaths > 0 -> deaths--; goto killed }
    :: atomic { if :: MAY_HAVE(1) -> c = 1 :: MAY_HAVE(2) -> c = 2 fi; request[c] ? _ };
       grant();
       c = 0
    /* ga_heap_return: the message is a hint */
    :: atomic { if :: note[1] ? s -> c = 1 :: note[2] ? s -> c = 2 fi };
       if
       :: in_use[s] && owner[s] == c && RETURNED_BY(holder[s], c) -> end_lease(s)
       :: else -> skip
       fi;
       atomic { c = 0; s = 0 }
    :: pending -> sweep()
    /* ga_heap_client_gone: ga_lease_recover; then the id may be given out again */
    :: dead[1] && !recovered[1] ->
       s = 0;
       do
       :: s < 2 && in_use[s] && owner[s] == 1 -> end_lease(s)
       :: s < 2 && !(in_use[s] && owner[s] == 1) -> s++
       :: s == 2 -> break
       od;
       atomic {
           s = 0;
           do :: request[1] ? _ :: len(request[1]) == 0 -> break od;
           do :: reply[1] ? _ :: len(reply[1]) == 0 -> break od;
           do :: note[1] ? _ :: len(note[1]) == 0 -> break od;
           recovered[1] = 1
       }
    :: dead[FREER] && !recovered[FREER] ->
#ifndef MUTANT_TELLING_FORGOTTEN
       if
       :: telling[FREER] != NONE -> tell(telling[FREER], t); atomic { telling[FREER] = NONE; SERVER_MAY_DIE }
       :: else -> skip
       fi;
#endif
       recovered[FREER] = 1
    /* Reattach: ga_heap_client_back; Reattached: ga_heap_collect_returned */
    :: atomic { if :: COMES_BACK(1) -> c = 1 :: COMES_BACK(2) -> c = 2 fi };
       do
#ifndef MUTANT_UNBEGUN_KEPT
       :: s < 2 && in_use[s] && owner[s] == c && ID(holder[s]) == 0 -> end_lease(s); s++
       :: s < 2 && !(in_use[s] && owner[s] == c && ID(holder[s]) == 0) -> s++
#else
       :: s < 2 -> s++
#endif
       :: s == 2 -> break
       od;
       atomic { connected[c] = 1; s = 0 };
#ifndef MUTANT_NOT_COLLECTED
       do
       :: s < 2 && in_use[s] && owner[s] == c && RETURNED_BY(holder[s], c) -> end_lease(s); s++
       :: s < 2 && !(in_use[s] && owner[s] == c && RETURNED_BY(holder[s], c)) -> s++
       :: s == 2 -> break
       od;
#endif
       atomic { c = 0; s = 0 }
    od
}

#define SAYS_FREE(i) (!((A[SPAN(i)] ^ F[SPAN(i)]) & BIT(i)))
#define HAS(id, s) (owner[s] == (id) && (has[id] >> (s) & 1))
#define FINDS(id, i)                                                                               \
    (HAS(id, SPAN(i)) && SAYS_FREE(i) &&                                                           \
     ((known[id] >> (i) & 1) || page[id] == SPAN(i) || (listed[id] >> SPAN(i) & 1) || inbox[id]))

init {
    byte i;
    atomic {
        run Holder(0);
#ifndef ONE_HOLDER
        run Holder(1);
#endif
#ifndef NO_FREER
        run Freer()
#endif
    };
    timeout;
    atomic {
        for (i : 0 .. 2 * NS - 1) {
            assert(!in_use[SPAN(i)] || held[i] || FINDS(1, i) || FINDS(2, i) ||
                   (owner[SPAN(i)] == 0 && SAYS_FREE(i) && Server:partial >> SPAN(i) & 1))
        }
    }
}
