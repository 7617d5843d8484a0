/* The protocol of a slot (shm/slot.c, client/free_list.h, free.c, mcache.c, server/lease.c) on one span
 * of NW words of NS slots, and batches of frees by others (BATCH: shm/batch.c).
 *
 *   owner    mcache 1: leases the span, allocates, frees, hands objects over, gives the span back;
 *            may be killed (KILL_OWNER)
 *   freer    another process: frees what it was handed, tries double frees; may be killed
 *            (KILL_FREER). Its id is 3.
 *   server   takes back what is returned or left, and leases it again
 *   next     who leases it then: mcache 2, or mcache 1 anew where SAME_ID is set
 *
 * One step is one load or store of shared memory; what is private or a ghost goes with it for free.
 * A thread dies behind a store: to die behind a load leaves the same. The server dies nowhere but
 * where it recovers a batch, behind a store, up to SERVER_DEATHS times; the next one begins there.
 * Bounds: MALLOCS and FREES of the owner, DOUBLES double frees of the freer.
 *
 * Claims: no slot is handed out twice; a free of an object is never refused; a free of what is free
 * is refused; at rest no slot is lost. */
#ifndef NW
#define NW 2
#endif
#ifndef NS
#define NS 1
#endif
#ifndef MALLOCS
#define MALLOCS 2
#endif
#ifndef FREES
#define FREES 1
#endif
#ifndef DOUBLES
#define DOUBLES 0
#endif
#ifndef SERVER_DEATHS
#define SERVER_DEATHS 0
#endif
#ifdef SAME_ID
#define NEXT_ID 1
#define NEXT_MAY_COME owner_recovered
#else
#define NEXT_ID 2
#define NEXT_MAY_COME true
#endif
#define FREER 3
#define NSLOT (NW * NS)
#define VALID ((1 << NS) - 1)
#define WORD(i) ((i) / NS)
#define BIT(i) (1 << ((i) % NS))
#define FREE(w) (VALID & ~(A[w] ^ F[w]))
#define SAYS_USED(i) ((A[WORD(i)] ^ F[WORD(i)]) & BIT(i))

/* holder = {mcache, returned, sequence} */
#define NONE 3 /* no word */
#define HOLDER(id, returned, sequence) ((id) | (returned) << 2 | (sequence) << 3)
#define ID(h) ((h) & 3)
#define RETURNED(h) ((h) >> 2 & 1)
#define NEXT_SEQ(h) (((h) >> 3) + 1)

/* shared memory */
byte A[NW], F[NW], D, D_recovery;
short holder = HOLDER(1, 0, 1);
byte owner = 1;                /* in the page entry */
bit inbox[4], pending;
bit telling[4];                /* the mcache's telling word names the span */
byte line_word = NONE, line_mask; /* the freer's batch: slots of a word, named in its line */

/* the owner's private memory, global so that the end can look */
byte mine, known; /* objects; slots on the list of free ones */
bit listed = 1;   /* the span is one to look at: the current one, or on the list of spans */
bit gave_back;

/* the server's books */
byte lessee = 1; /* 1 owner, 2 next, 0 nobody */
bit partial;     /* it is in mcentral's set of those with free slots */

/* the kernel, sockets */
bit owner_dead, owner_recovered; /* dead: certainly, for the server too */
bit freer_dead, freer_recovered;
chan message = [1] of { bit };
chan handed = [NSLOT] of { byte };

/* ghosts */
byte held[NSLOT]; /* by the programs */
byte watched = NSLOT;
bit touched;
#ifdef BATCH
bit remade; /* the span went to mheap and came back as another */
#endif

#ifdef KILL_OWNER
#define OWNER_MORTAL 1
#else
#define OWNER_MORTAL 0
#endif
#ifdef KILL_FREER
#define FREER_MORTAL 1
#else
#define FREER_MORTAL 0
#endif
#define MAY_DIE(mortal) if :: true :: mortal -> goto died fi

inline got(i) {
    held[i]++;
    assert(held[i] == 1);
    if :: watched == i -> touched = 1 :: else fi
}

inline any_of(mask, i) {
    if
    :: (mask) & 1 -> i = 0
    :: (mask) & 2 -> i = 1
    :: (mask) & 4 -> i = 2
    :: (mask) & 8 -> i = 3
    fi
}

/* ga_slot_in_use. Leaves used, and A's word in a. */
inline look(i) {
    do
    :: h = holder;
       a = A[WORD(i)];
       f = F[WORD(i)];
       if
       :: (A[WORD(i)] ^ a) & BIT(i) -> skip
       :: else -> if :: holder == h -> break :: else fi
       fi
    od;
    atomic { used = ((a ^ f) & BIT(i)) != 0; h = 0; f = 0 }
}

/* ga_slot_tell */
inline tell(t) {
    t = owner;
    atomic { if :: t == 0 -> pending = 1 :: else -> inbox[t] = 1 fi; t = 0 }
}

/* free_in_f, of a slot whose A was a */
inline free_in_f(i) {
    assert((F[WORD(i)] ^ a) & BIT(i));
    F[WORD(i)] = (F[WORD(i)] & ~BIT(i)) | (a & BIT(i));
    held[i]--
}

/* ga_slot_find_free in word w. Leaves what it found in c. */
inline find_free(w) {
#ifdef MUTANT_D_BEFORE_F
    atomic { d = D };
    c = FREE(w);
    atomic { if :: d != 0 -> c = 0 :: else fi; d = 0 }
#else
    c = FREE(w); /* F is loaded here; A is the holder's own */
#if defined(BATCH) && !defined(MUTANT_D_IGNORED)
    atomic { if :: D != 0 -> c = 0 :: else fi };
    atomic { if :: D_recovery != 0 -> c = 0 :: else fi }
#endif
#endif
}

active proctype Owner() {
    byte n, k, i, w, a, f, c, t, d;
    short h;
    bit used;
    do
    /* ga_free_list_malloc: A ^ F says that the slot is still free; then A ^= bit, the commit */
    :: n < MALLOCS && known ->
       atomic { n++; any_of(known, i); known = known & ~(1 << i) };
       f = F[WORD(i)];
       if
       :: atomic { (A[WORD(i)] ^ f) & BIT(i) -> skip }
       :: else ->
          atomic { A[WORD(i)] = A[WORD(i)] ^ BIT(i); got(i); mine = mine | 1 << i; MAY_DIE(OWNER_MORTAL) }
       fi;
       atomic { i = 0; f = 0 }
    /* what is on the list may vanish at any time */
    :: known -> atomic { any_of(known, i); known = known & ~(1 << i); i = 0 }
    /* ga_mcache_refill: news, then the span; one without anything free is looked at no more */
    :: n < MALLOCS && !gave_back && !known && (listed || inbox[1]) ->
       if :: atomic { inbox[1] -> inbox[1] = 0; listed = 1 } :: else fi;
       do
       :: atomic { w < NW && FREE(w) == 0 -> w++ }
       :: w < NW && FREE(w) ->
          find_free(w);
          if :: atomic { c -> known = c << (w * NS); c = 0; break } :: atomic { else -> w++ } fi
       :: atomic { w >= NW -> listed = 0; break }
       od;
       w = 0
    /* goalloc_free */
    :: k < FREES && mine ->
       atomic { k++; any_of(mine, i); mine = mine & ~(1 << i) };
#ifdef MUTANT_OWNER_DECIDES
       if
       :: owner == 1 ->
#else
       if
       :: ID(holder) == 1 && !RETURNED(holder) -> /* leased by me: free_by_holder */
#endif
          assert(SAYS_USED(i));
          a = A[WORD(i)];
          atomic { held[i]--; A[WORD(i)] = a ^ BIT(i);
                   if :: known = known | 1 << i :: true fi; /* where there is room */
#ifndef MUTANT_NOT_LISTED
                   listed = 1;
#endif
                   MAY_DIE(OWNER_MORTAL) }
       :: else -> /* ga_slot_free_by_other */
          look(i);
          assert(used);
          atomic { telling[1] = 1; MAY_DIE(OWNER_MORTAL) };
          atomic { free_in_f(i); MAY_DIE(OWNER_MORTAL) };
          tell(t);
          atomic { telling[1] = 0; MAY_DIE(OWNER_MORTAL) }
       fi;
       atomic { i = 0; a = 0; used = 0 }
    :: mine -> /* another process gets the object */
       atomic { any_of(mine, i); mine = mine & ~(1 << i); handed ! i; i = 0 }
    /* return_empty: ga_slot_end_lease, the message. (Not of empty spans alone, here.) */
    :: !gave_back ->
#ifdef MUTANT_MESSAGE_FIRST
       atomic { gave_back = 1; message ! 1 };
#endif
#ifndef MUTANT_LIST_KEPT
       known = 0;
#endif
       atomic { gave_back = 1; holder = HOLDER(1, 1, NEXT_SEQ(holder)); MAY_DIE(OWNER_MORTAL) };
#ifndef MUTANT_MESSAGE_FIRST
       message ! 1
#endif
    :: true -> goto idle
    od;
died:
    atomic { owner_dead = 1; known = 0; mine = 0; n = 0; k = 0; i = 0; w = 0; a = 0; f = 0; c = 0; t = 0; d = 0; h = 0; used = 0 };
idle:
    skip
}

#ifdef BATCH
/* ga_batch_flush, from D = FREER on. */
inline finish_flush(mortal) {
    do
    :: a = A[line_word];
       f = F[line_word];
       atomic {
           if
           :: F[line_word] == f -> /* compare and swap */
              c = line_mask & (a ^ f);
              F[line_word] = (f & ~c) | (a & c);
              a = 0; f = 0; c = 0;
              MAY_DIE(mortal);
              break
           :: else -> skip
           fi
       }
    od;
#ifdef MUTANT_TELL_BEFORE_D
    tell(t);
#endif
#ifdef MUTANT_D_BEFORE_MASK
    atomic { D = 0; MAY_DIE(mortal) };
    atomic { line_mask = 0; MAY_DIE(mortal) };
#else
    atomic { line_mask = 0; MAY_DIE(mortal) };
    atomic { D = 0; MAY_DIE(mortal) };
#endif
#ifndef MUTANT_TELL_BEFORE_D
    tell(t);
#endif
    atomic { telling[FREER] = 0; MAY_DIE(mortal) }
}

/* Nobody else flushes: the compare and swap of D is won. */
inline flush(mortal) {
    atomic { telling[FREER] = 1; MAY_DIE(mortal) };
    atomic { assert(D == 0); D = FREER; MAY_DIE(mortal) };
    finish_flush(mortal)
}
#endif

active proctype Freer() {
    byte i, a, f, c, t, n;
    short h;
    bit used;
    do
    :: handed ? i ->
       look(i);
       assert(used);
#ifdef BATCH
       if
       :: line_mask && line_word != WORD(i) -> flush(FREER_MORTAL)
       :: else -> skip
       fi;
       if
       :: line_mask == 0 -> line_word = WORD(i)
       :: else -> skip
       fi;
       atomic { held[i]--; line_mask = line_mask | BIT(i); MAY_DIE(FREER_MORTAL) };
       if :: flush(FREER_MORTAL) :: true fi; /* now, or when there are more */
#else
#ifdef MUTANT_TELL_FIRST
       tell(t);
       atomic { free_in_f(i); MAY_DIE(FREER_MORTAL) };
#else
       atomic { telling[FREER] = 1; MAY_DIE(FREER_MORTAL) };
       atomic { free_in_f(i); MAY_DIE(FREER_MORTAL) };
       tell(t);
       atomic { telling[FREER] = 0; MAY_DIE(FREER_MORTAL) };
#endif
#endif
       atomic { i = 0; a = 0; used = 0 }
#if DOUBLES > 0
    :: n < DOUBLES -> /* of what is free, and in no batch */
       atomic { n++; if :: i = 0 :: i = NSLOT - 1 fi;
                if
                :: !held[i] && !(WORD(i) == line_word && line_mask & BIT(i)) -> watched = i; touched = 0
                :: else -> skip
                fi };
       if
       :: watched < NSLOT -> look(i); assert(!used || touched)
       :: else -> skip
       fi;
       atomic { watched = NSLOT; touched = 0; i = 0; a = 0; used = 0 }
#endif
    od;
died:
    atomic { freer_dead = 1; i = 0; a = 0; f = 0; c = 0; t = 0; n = 0; h = 0; used = 0 }
}

/* settle: what is free now decides where the span belongs */
inline settle() {
    some = 0;
    all = 1;
    do
    :: atomic { w < NW -> if :: FREE(w) -> some = 1 :: else fi;
                          if :: FREE(w) != VALID -> all = 0 :: else fi; w++ }
    :: atomic { w >= NW -> w = 0; break }
    od;
#ifdef BATCH
    /* All free: back to mheap, which makes another span here. Its bitmaps begin at 0. */
    if
#ifdef MUTANT_MHEAP_WITH_D
    :: atomic { all && !remade -> D = 0;
#else
    :: atomic { all && !remade && D == 0 ->
#endif
                A[0] = 0; F[0] = 0; A[NW - 1] = 0; F[NW - 1] = 0; remade = 1 }
    :: else -> skip
    fi;
#endif
    atomic { partial = some; some = 0; all = 0 }
}

/* ga_lease_end */
inline end_lease() {
#ifdef MUTANT_F_BEFORE_OWNER
    settle();
#endif
    atomic { lessee = 0; owner = 0 };
    holder = HOLDER(0, 0, NEXT_SEQ(holder));
#ifndef MUTANT_F_BEFORE_OWNER
    settle()
#endif
}

#define MAY_DIE_AGAIN if :: true :: server_deaths < SERVER_DEATHS -> server_deaths++; goto again fi

active proctype Server() {
    byte w, c, f, a, t;
    bit some, all;
    byte server_deaths;
    do
    :: message ? _ -> /* ga_heap_return: the message is a hint */
       if
#ifdef MUTANT_MESSAGE_BELIEVED
       :: lessee == 1 ->
#else
       :: lessee == 1 && ID(holder) == 1 && RETURNED(holder) ->
#endif
          end_lease()
       :: else -> skip
       fi
    :: owner_dead && !owner_recovered -> /* recover_mcache */
       if
       :: lessee == 1 -> end_lease()
       :: else -> skip
       fi;
       if :: telling[1] -> tell(t); telling[1] = 0 :: else -> skip fi;
       owner_recovered = 1
    :: freer_dead && !freer_recovered ->
#ifdef BATCH
#ifdef MUTANT_NOT_REDONE
       D = 0;
#else
again: /* ga_batch_recover */
       if
       :: line_mask ->
#ifndef MUTANT_RECOVERED_WITHOUT_D
          atomic { D_recovery = FREER; MAY_DIE_AGAIN };
#endif
          a = A[line_word];
          atomic { f = F[line_word]; c = line_mask & (a ^ f) };
#ifdef MUTANT_RECOVERED_MASK_FIRST
          atomic { line_mask = 0; MAY_DIE_AGAIN };
#endif
          atomic { F[line_word] = (F[line_word] & ~c) | (a & c); a = 0; f = 0; c = 0; MAY_DIE_AGAIN }
       :: else -> skip
       fi;
#ifdef MUTANT_RECOVERED_D_FIRST
       atomic { D_recovery = 0; MAY_DIE_AGAIN };
#endif
       atomic { line_mask = 0; MAY_DIE_AGAIN };
       if :: D == FREER -> atomic { D = 0; MAY_DIE_AGAIN } :: else -> skip fi;
       atomic { D_recovery = 0; MAY_DIE_AGAIN };
#ifndef MUTANT_RECOVERED_UNTOLD
       tell(t);
#endif
#endif
#endif
#ifndef MUTANT_TELLING_FORGOTTEN
       if :: telling[FREER] -> tell(t); telling[FREER] = 0 :: else -> skip fi;
#endif
       freer_recovered = 1
    :: pending -> pending = 0; /* ga_heap_sweep_pending, take_news */
       if :: lessee == 0 -> settle() :: else -> tell(t) fi
    /* ga_heap_lease */
    :: atomic { partial && lessee == 0 && NEXT_MAY_COME -> partial = 0; lessee = 2; owner = NEXT_ID }
    od;
died:
    skip /* the server does not die here: see grant.pml */
}

/* Leases the span, takes whatever is free, and waits for news. */
active proctype Next() {
    byte w, c, d, i;
    lessee == 2;
    /* ga_slot_begin_lease: it names itself, and then reads F */
    holder = HOLDER(NEXT_ID, 0, NEXT_SEQ(holder));
    do
    ::
#ifndef MUTANT_INBOX_AFTER_F
       inbox[NEXT_ID] = 0;
#endif
       do
       :: atomic { w < NW && FREE(w) == 0 -> w++ }
       :: w < NW && FREE(w) ->
          find_free(w);
          do
          :: atomic { c -> any_of(c, i); c = c & ~(1 << i); i = w * NS + i;
                      A[w] = A[w] ^ BIT(i); got(i); i = 0 }
          :: atomic { c == 0 -> break }
          od;
          atomic { c = 0; w++ }
       :: atomic { w >= NW -> w = 0; break }
       od;
       assert(ID(holder) == NEXT_ID && !RETURNED(holder));
#ifdef MUTANT_INBOX_AFTER_F
       inbox[NEXT_ID] = 0;
#endif
       inbox[NEXT_ID]
    od;
died:
    skip
}

#define IN_BATCH(i) (!freer_dead && line_word == WORD(i) && (line_mask & BIT(i)))
#define FOUND_BY_OWNER(i)                                                                          \
    (!owner_dead && !SAYS_USED(i) && ((known >> (i) & 1) || listed || inbox[1]))
#define NOT_LOST(i)                                                                                \
    (held[i] || IN_BATCH(i) || (lessee == 1 && FOUND_BY_OWNER(i)) ||                               \
     (lessee == 0 && !SAYS_USED(i) && partial))

init {
    byte i;
    timeout;
    atomic {
        assert(D == 0 && D_recovery == 0);
        for (i : 0 .. NSLOT - 1) { assert(NOT_LOST(i)) }
    }
}
