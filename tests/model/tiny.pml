/* Tiny objects (shm/tiny.c, client/tiny.c, server/recover.c): one span of one word of four units. An
 * object has one or two units; a run begins at an even unit and has two at least. A unit is free if
 * no object in use starts there or at the unit before.
 *
 *   holders  mcache 1, which may be killed (KILL_HOLDER), and mcache 2: lease the span, carve from
 *            its runs, free, leave, give the span back
 *   freer    process 3: takes for each object what ga_tiny_bytes grants it, as a realloc in place
 *            does, frees what it was handed, tries double frees; may be killed (KILL_FREER)
 *   server   grants, takes back, takes back from the dead; this it may begin anew (REDO)
 *
 * One step is one load or store of shared memory. MALLOCS and GRANTS are for all together, TRIMS for
 * each holder.
 *
 * Claims: no unit is handed out twice; a free of an object is never refused; a free of what is free
 * is refused; what ga_tiny_bytes says of an object is at least what was asked for, and is and stays
 * nobody else's; at rest A and F differ for each object and nowhere else, and no run is lost. */
#ifndef MALLOCS
#define MALLOCS 3
#endif
#ifndef GRANTS
#define GRANTS 2
#endif
#ifndef TRIMS
#define TRIMS 1
#endif
#ifndef DOUBLES
#define DOUBLES 0
#endif
#define FREER 3
#define UNITS 4
/* objects go by their first unit */
#define BIT(i) (1 << (i))

/* Runs in a word where u is in use. */
#ifdef MUTANT_REACH_FORGOTTEN
#define RUN_AT_2(u) (((u) & 12) == 0)
#else
#define RUN_AT_2(u) (((u) & 14) == 0)
#endif
#define RUN_AT_0(u) (((u) & 3) == 0)
#define HAS_ROOM(u) (RUN_AT_0(u) || RUN_AT_2(u))
#define LIMIT_FROM_0(u) ((u) & 4 -> 1 : ((u) & 8 -> 2 : 3))

/* the tiny word: 0, or up to which unit is carved, + 1 */
#define HOLDER(id, returned, sequence) ((id) | (returned) << 2 | (sequence) << 3)
#define ID(h) ((h) & 3)
#define RETURNED(h) ((h) >> 2 & 1)
#define NEXT_SEQ(h) (((h) >> 3) + 1)
#define RETURNED_BY(h, id) (ID(h) == (id) && RETURNED(h))

/* shared memory */
byte A, F, tiny[3];
short holder;
bit in_use; /* in_use, owner: the page's entry */
byte owner;
bit inbox[3], pending, telling;

/* the holders' private memory, by mcache */
bit has[3], page[3], listed[3]; /* the span: leased; the class's; on the list */

/* kernel, sockets */
bit dead[4], recovered[4], asked[3];
chan reply[3] = [1] of { bit };
chan note[3] = [2] of { bit };
chan handed_on = [4] of { byte };

/* ghosts: the units that each object has (0: there is none) */
byte units[5], mallocs, grants;
byte watched = UNITS;
bit touched;

#ifdef KILL_HOLDER
#define HOLDER_MORTAL (id == 1)
#else
#define HOLDER_MORTAL 0
#endif
#ifdef KILL_FREER
#define FREER_MORTAL 1
#else
#define FREER_MORTAL 0
#endif
#ifdef REDO
#define REDONE if :: true :: !redone -> redone = 1; goto again fi
#else
#define REDONE skip
#endif
#define MAY_DIE(mortal) if :: true :: mortal -> goto died fi

#define BEFORE(i) ((i) -> units[(i) - 1] : 0)

inline got(i, n) {
    assert(!units[i] && BEFORE(i) < 2 && !(n == 2 && units[(i) + 1]));
    units[i] = n;
    if :: watched == i -> touched = 1 :: else fi
}

/* ga_slot_tell */
inline tell(t) {
    t = owner;
    atomic { if :: t == 0 -> pending = 1 :: else -> inbox[t] = 1 fi; t = 0 }
}

/* ---- holders ---- */

/* ga_tiny_let_go, and what is on the way back */
inline leave() {
    next = 0;
    limit = 0;
#ifndef MUTANT_NOT_LEFT
    atomic { tiny[id] = 0; MAY_DIE(HOLDER_MORTAL) }
#endif
}

/* ga_tiny_find; a run is used up when next is above limit */
inline claim() {
    l = F;
    atomic {
        l = l ^ A;
        if
        :: RUN_AT_0(l) -> next = 0; limit = LIMIT_FROM_0(l); page[id] = 1
        :: !RUN_AT_0(l) && RUN_AT_2(l) -> next = 2; limit = 3; page[id] = 1
        :: !HAS_ROOM(l) -> next = 0; limit = 0; page[id] = 0
        fi;
        l = 0
    }
}

/* the two stores of ga_tiny_carve, of an object of n units at i */
#define COMMIT                                                                                     \
    A = A ^ BIT(i);                                                                                \
    got(i, n)
#ifdef MUTANT_NOT_TOLD
#define TOLD skip
#else
#define TOLD tiny[id] = i + n + 1
#endif
#ifdef MUTANT_TOLD_FIRST
#define FIRST TOLD
#define SECOND COMMIT
#else
#define FIRST COMMIT
#define SECOND TOLD
#endif

proctype Holder(byte id) {
    byte i, l, n, next, limit, mine, trims;
    do
    :: atomic { mallocs < MALLOCS && page[id] && next <= limit ->
                mallocs++; i = next; n = 1;
                if :: true :: next < limit -> n = 2 fi;
                FIRST;
                MAY_DIE(HOLDER_MORTAL) };
       atomic { SECOND; next = i + n; n = 0; MAY_DIE(HOLDER_MORTAL) };
       /* then somebody has the object */
       atomic { if :: handed_on ! i :: mine = mine | 1 << i fi; i = 0; MAY_DIE(HOLDER_MORTAL) }
    /* The run is used up, or what is left of it too short: ga_tiny_alloc_slowly. */
    :: mallocs < MALLOCS && page[id] && next >= limit ->
       claim();
       if :: !page[id] -> leave() :: page[id] -> skip fi
    /* ga_mcache_refill: the list, news, the server */
    :: atomic { mallocs < MALLOCS && !page[id] && listed[id] -> listed[id] = 0 };
       leave();
       claim()
    :: mallocs < MALLOCS && !page[id] && !listed[id] && inbox[id] ->
#ifndef MUTANT_INBOX_CLEARED_LAST
       inbox[id] = 0;
#endif
       l = F;
       atomic { if :: has[id] && HAS_ROOM(l ^ A) -> listed[id] = 1 :: else -> skip fi; l = 0 };
#ifdef MUTANT_INBOX_CLEARED_LAST
       inbox[id] = 0
#endif
    :: atomic { mallocs < MALLOCS && !page[id] && !listed[id] && !inbox[id] && !has[id] &&
                !asked[id] && grants < GRANTS -> asked[id] = 1 }
    :: atomic { reply[id] ? _ -> assert(owner == id);
                holder = HOLDER(id, 0, NEXT_SEQ(holder));
                has[id] = 1; listed[id] = 1; MAY_DIE(HOLDER_MORTAL) }
    /* ga_tiny_free_own. Others may free beside it: it goes by what F was. */
    :: atomic { mine ->
                do :: mine >> i & 1 -> break :: !(mine >> i & 1) -> i++ od;
                mine = mine & ~(1 << i); assert(ID(holder) == id) };
       l = F;
       atomic { assert((A ^ l) & BIT(i)); A = A ^ BIT(i); units[i] = 0; l = A ^ l;
                if :: HAS_ROOM(l) && !page[id] -> listed[id] = 1 :: else -> skip fi;
                l = 0; i = 0; MAY_DIE(HOLDER_MORTAL) }
    /* let_go */
    :: atomic { page[id] && (trims < TRIMS || mallocs == MALLOCS) -> trims++ };
       leave();
       atomic { listed[id] = 1; page[id] = 0 }
    /* return_empty: the span's last holder-side store, and the note */
    :: !page[id] && listed[id] && A == F ->
       atomic { has[id] = 0; listed[id] = 0; holder = HOLDER(id, 1, NEXT_SEQ(holder));
                MAY_DIE(HOLDER_MORTAL) };
       note[id] ! 1
    :: atomic { HOLDER_MORTAL -> goto died }
    od;
died:
    atomic { dead[id] = 1; has[id] = 0; page[id] = 0; listed[id] = 0; asked[id] = 0;
             i = 0; l = 0; n = 0; next = 0; limit = 0; mine = 0; trims = 0 }
}

/* ---- who frees by ga_slot_free_by_other ---- */

/* ga_slot_in_use, which slot.pml is about: whether i is in u, its bit of A in a */
inline look() {
    do
    :: h = holder;
       a = A;
       u = a ^ F;
       if
       :: A != a -> skip
       :: A == a && !in_use -> u = 0; break
       :: A == a && in_use -> if :: holder == h -> break :: else -> skip fi
       fi
    od;
    h = 0
}

/* ga_tiny_bytes, of an object that is in use: e, the unit up to which it may go */
inline read_tiny() { e = ID(holder); e = tiny[e] }
inline read_bits() { u = F; u = u ^ A }
inline size() {
#ifdef MUTANT_TOLD_READ_LAST
    read_bits();
    read_tiny();
#else
    read_tiny();
    read_bits();
#endif
    atomic {
        if :: e > i + 1 -> e = e - 1 :: else -> e = UNITS fi;
        if :: e > i + 2 -> e = i + 2 :: else fi;
        if :: e == i + 2 && (u & BIT(i + 1)) -> e = i + 1 :: else fi;
        assert(e - i >= units[i] && !(e - i == 2 && units[i + 1]));
        units[i] = e - i;
        e = 0; u = 0
    }
}

active proctype Freer() {
    byte i, a, u, e, t, n;
    short h;
    do
    :: handed_on ? i ->
       if :: true -> size() :: true fi;
       look();
       assert(u & BIT(i));
       atomic { u = 0; telling = 1; MAY_DIE(FREER_MORTAL) };
#ifdef MUTANT_TELL_FIRST
       tell(t);
#endif
       atomic { assert((A ^ F) & BIT(i)); F = (F & ~BIT(i)) | (a & BIT(i)); units[i] = 0;
                MAY_DIE(FREER_MORTAL) };
#ifdef MUTANT_TOLD_IF_ROOM
       if :: HAS_ROOM(a ^ F) -> tell(t) :: else -> skip fi;
#else
#ifndef MUTANT_TELL_FIRST
       tell(t);
#endif
#endif
       atomic { telling = 0; a = 0; i = 0; MAY_DIE(FREER_MORTAL) }
    :: atomic { n < DOUBLES -> n++; if :: i = 0 :: i = 1 :: i = 2 fi;
                if :: !units[i] && in_use -> watched = i; touched = 0 :: else -> skip fi };
       if :: watched == i -> look(); assert(!(u & BIT(i)) || touched) :: else -> skip fi;
       atomic { watched = UNITS; touched = 0; i = 0; a = 0; u = 0 }
    od;
died:
    atomic { dead[FREER] = 1; i = 0; a = 0; u = 0; e = 0; t = 0; n = 0; h = 0 }
}

/* ---- the server ---- */

/* settle: back to mheap, or in mcentral's sets */
inline settle() {
    l = F;
    atomic {
        l = l ^ A;
        if
        :: !l -> in_use = 0
        :: l && HAS_ROOM(l) -> partial = 1
        :: !HAS_ROOM(l) -> skip
        fi;
        l = 0
    }
}

/* ga_lease_end */
inline end_lease() {
#ifdef MUTANT_SETTLED_FIRST
    settle();
    owner = 0;
    holder = HOLDER(0, 0, NEXT_SEQ(holder))
#else
    owner = 0;
    holder = HOLDER(0, 0, NEXT_SEQ(holder));
    settle()
#endif
}

active proctype Server() {
    byte c, l, t;
    bit partial, redone;
    do
    /* ga_lease_find_span, init_bits, ga_lease_grant, the answer */
    :: atomic { grants < GRANTS && (partial || !in_use) ->
                if :: asked[1] -> c = 1 :: asked[2] -> c = 2 fi; asked[c] = 0; grants++; partial = 0 };
       if
       :: !in_use ->
          A = F; /* no entry leads there as yet */
          holder = HOLDER(0, 0, NEXT_SEQ(holder));
          in_use = 1
       :: else -> skip
       fi;
       owner = c;
       atomic { if :: !dead[c] -> reply[c] ! 1 :: else -> skip fi; c = 0 }
    /* ga_heap_return: the message is a hint */
    :: atomic { if :: note[1] ? _ -> c = 1 :: note[2] ? _ -> c = 2 fi };
       if :: in_use && owner == c && RETURNED_BY(holder, c) -> end_lease() :: else -> skip fi;
       c = 0
    /* take_news */
    :: pending ->
       pending = 0;
       if
       :: in_use && owner == 0 -> partial = 0; settle()
       :: in_use && owner -> tell(t)
       :: !in_use -> skip
       fi
    /* recover_mcache */
    :: dead[1] && !recovered[1] ->
again:
       atomic { tiny[1] = 0; REDONE };
       if :: in_use && owner == 1 -> end_lease() :: else -> skip fi;
       atomic { do :: reply[1] ? _ :: note[1] ? _ :: empty(reply[1]) && empty(note[1]) -> break od;
                recovered[1] = 1 }
    :: dead[FREER] && !recovered[FREER] ->
#ifndef MUTANT_TELLING_FORGOTTEN
       if :: telling -> tell(t); telling = 0 :: else -> skip fi;
#endif
       recovered[FREER] = 1
    od
}

#define OBJECTS                                                                                    \
    ((units[0] != 0) | (units[1] != 0) << 1 | (units[2] != 0) << 2 | (units[3] != 0) << 3)
#define FINDS(id) (owner == (id) && has[id] && (page[id] || listed[id] || inbox[id]))

init {
    atomic { run Holder(1); run Holder(2) };
    timeout;
    atomic {
        assert(in_use || !OBJECTS);
        assert(!in_use || (A ^ F) == OBJECTS);
        assert(!in_use || !HAS_ROOM(A ^ F) || FINDS(1) || FINDS(2) || (owner == 0 && Server:partial))
    }
}
