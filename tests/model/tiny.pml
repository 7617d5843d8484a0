/* Tiny objects (shm/tiny.c, client/tiny.c, server/recover.c): one span of two blocks of two units
 * each, so a block has one or two objects.
 *
 *   holders  mcache 1, which may be killed (KILL_HOLDER), and mcache 2: lease the span, adopt its
 *            blocks, carve, free, leave, give the span back
 *   freer    process 3: frees what it was handed, tries double frees; may be killed (KILL_FREER)
 *   server   grants, takes back, takes back from the dead; this it may begin anew (REDO)
 *
 * One step is one load or store of shared memory. MALLOCS and GRANTS are for all together, TRIMS for
 * each holder.
 *
 * Claims: no unit is handed out twice; a free of an object is never refused; a free of what is free
 * is refused; what ga_tiny_bytes says of an object is nobody else's; at rest live has a bit for each
 * object and no other, and no block is lost. */
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
/* objects go by their first unit, 0 to 3 */
#define BLOCK(i) ((i) >> 1)
#define BIT(i) (1 << ((i) & 1))
#define ALL 3

/* the tiny word: which block + 1, units handed out, room, sequence */
#define NAMED(x) ((x) & 3)
#define HANDED(x) ((x) >> 2 & 3)
#define ROOM(x) ((x) >> 4 & 3)
#define SEQ(x) ((x) >> 6)
#define NAMES(x, b) (NAMED(x) == (b) + 1)
#define SAME_ADOPTION(x, y) (NAMED(x) == NAMED(y) && SEQ(x) == SEQ(y))
#ifdef MUTANT_SEQUENCE_KEPT
#define ADOPTED(x, b) (SEQ(x) << 6 | 2 << 4 | ((b) + 1))
#else
#define ADOPTED(x, b) ((SEQ(x) + 1) << 6 | 2 << 4 | ((b) + 1))
#endif
#define LEFT(x) (SEQ(x) << 6)
#define HOLDER(id, returned, sequence) ((id) | (returned) << 2 | (sequence) << 3)
#define ID(h) ((h) & 3)
#define RETURNED(h) ((h) >> 2 & 1)
#define NEXT_SEQ(h) (((h) >> 3) + 1)
#define RETURNED_BY(h, id) (ID(h) == (id) && RETURNED(h))

/* shared memory */
byte live[2];
short tiny[3], holder;
bit in_use;                    /* in_use, owner: the page's entry */
byte owner;
bit inbox[3], pending, telling;

/* the holders' private memory, by mcache */
bit has[3], page[3], listed[3]; /* the span: leased; the class's; on the list */

/* kernel, sockets */
bit dead[4], recovered[4], asked[3];
chan reply[3] = [1] of { bit };
chan note[3] = [2] of { bit };
chan handed_on = [4] of { byte };

/* ghosts: the units of each object (0: there is none) */
byte units[4], mallocs, grants;
byte watched = 4;
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

inline got(i, n) {
    assert(!units[i] && !((i) & 1 && units[(i) - 1] == 2) && !(n == 2 && units[(i) + 1]));
    units[i] = n;
    if :: watched == i -> touched = 1 :: else fi
}

/* ga_slot_tell */
inline tell(t) {
    t = owner;
    atomic { if :: t == 0 -> pending = 1 :: else -> inbox[t] = 1 fi; t = 0 }
}

/* ---- holders ---- */

/* ga_tiny_leave, by the holder or by the server for a dead one; then is what may befall it. */
#define CLEAR_UNUSED(then)                                                                         \
    if                                                                                             \
    :: NAMED(x) -> atomic { live[NAMED(x) - 1] = live[NAMED(x) - 1] & HANDED(x); then }            \
    :: else -> skip                                                                                \
    fi
#ifdef MUTANT_LEAVE_NOT_ATOMIC
#undef CLEAR_UNUSED
#define CLEAR_UNUSED(then)                                                                         \
    if                                                                                             \
    :: NAMED(x) -> l = live[NAMED(x) - 1]; atomic { live[NAMED(x) - 1] = l & HANDED(x); l = 0; then } \
    :: else -> skip                                                                                \
    fi
#endif
#ifdef MUTANT_NAME_CLEARED_FIRST
#define LEAVE(id, then)                                                                            \
    x = tiny[id];                                                                                  \
    atomic { tiny[id] = LEFT(x); then };                                                           \
    CLEAR_UNUSED(then)
#else
#define LEAVE(id, then)                                                                            \
    x = tiny[id];                                                                                  \
    CLEAR_UNUSED(then);                                                                            \
    atomic { tiny[id] = LEFT(x); then }
#endif

/* ga_tiny_claim: leave, then ga_tiny_adopt */
inline claim() {
    LEAVE(id, MAY_DIE(HOLDER_MORTAL));
    if
    :: atomic { live[0] == 0 -> b = 1 }
    :: atomic { live[0] != 0 && live[1] == 0 -> b = 2 }
    :: atomic { live[0] != 0 && live[1] != 0 -> b = 0 }
    fi;
    if
    :: b ->
#ifdef MUTANT_LIVE_FIRST
       atomic { live[b - 1] = live[b - 1] | ALL; MAY_DIE(HOLDER_MORTAL) };
       atomic { tiny[id] = ADOPTED(x, b - 1); MAY_DIE(HOLDER_MORTAL) };
#else
       atomic { tiny[id] = ADOPTED(x, b - 1); MAY_DIE(HOLDER_MORTAL) };
       atomic { live[b - 1] = live[b - 1] | ALL; MAY_DIE(HOLDER_MORTAL) };
#endif
       page[id] = 1
    :: else -> page[id] = 0
    fi;
    atomic { b = 0; x = 0 }
}

/* The fetch_and of ga_tiny_free, by anyone. Leaves in b what is left of the block. */
#ifdef MUTANT_FREE_NOT_ATOMIC
#define FREE_LIVE(then)                                                                            \
    b = live[BLOCK(i)];                                                                            \
    atomic { b = b & ~BIT(i); live[BLOCK(i)] = b; units[i] = 0; then }
#else
#ifdef MUTANT_EMPTIED_LOOKED_FIRST
#define FREE_LIVE(then)                                                                            \
    b = live[BLOCK(i)] & ~BIT(i);                                                                  \
    atomic { assert(live[BLOCK(i)] & BIT(i)); live[BLOCK(i)] = live[BLOCK(i)] & ~BIT(i);           \
             units[i] = 0; then }
#else
#define FREE_LIVE(then)                                                                            \
    atomic { assert(live[BLOCK(i)] & BIT(i)); live[BLOCK(i)] = live[BLOCK(i)] & ~BIT(i);           \
             b = live[BLOCK(i)]; units[i] = 0; then }
#endif
#endif

proctype Holder(byte id) {
    byte i, b, l, mine, trims;
    short x;
    do
    /* ga_tiny_take: one store, the commit; then somebody has the object */
    :: atomic { mallocs < MALLOCS && page[id] && ROOM(tiny[id]) ->
                mallocs++; x = tiny[id];
                i = 2 * (NAMED(x) - 1) + 2 - ROOM(x);
                if :: b = 1 :: ROOM(x) == 2 -> b = 2 fi;
                tiny[id] = (x & ~(3 << 4)) | (ROOM(x) - b) << 4 | BIT(i) << 2;
                got(i, b); b = 0; x = 0;
                MAY_DIE(HOLDER_MORTAL) };
       atomic { if :: handed_on ! i :: mine = mine | 1 << i fi; i = 0; MAY_DIE(HOLDER_MORTAL) }
    /* ga_mcache_refill: the span it has, the list, news, the server */
    :: mallocs < MALLOCS && page[id] && !ROOM(tiny[id]) -> claim()
    :: atomic { mallocs < MALLOCS && !page[id] && listed[id] -> listed[id] = 0 }; claim()
    :: mallocs < MALLOCS && !page[id] && !listed[id] && inbox[id] ->
#ifndef MUTANT_INBOX_CLEARED_LAST
       inbox[id] = 0;
#endif
       if :: has[id] && live[0] == 0 -> listed[id] = 1
          :: has[id] && live[0] != 0 ->
             if :: live[1] == 0 -> listed[id] = 1 :: else -> skip fi
          :: !has[id] -> skip
       fi;
#ifdef MUTANT_INBOX_CLEARED_LAST
       inbox[id] = 0
#endif
    :: atomic { mallocs < MALLOCS && !page[id] && !listed[id] && !inbox[id] && !has[id] &&
                !asked[id] && grants < GRANTS -> asked[id] = 1 }
    :: atomic { reply[id] ? _ -> assert(owner == id);
                holder = HOLDER(id, 0, NEXT_SEQ(holder));
                has[id] = 1; listed[id] = 1; MAY_DIE(HOLDER_MORTAL) }
    /* ga_tiny_free_by_holder; an emptied block lists the span */
    :: atomic { mine ->
                do :: mine >> i & 1 -> break :: !(mine >> i & 1) -> i++ od;
                mine = mine & ~(1 << i); assert(ID(holder) == id) };
       FREE_LIVE(MAY_DIE(HOLDER_MORTAL));
       atomic { if :: !b && !page[id] -> listed[id] = 1 :: else -> skip fi; b = 0; i = 0 }
    /* let_go */
    :: atomic { page[id] && (trims < TRIMS || mallocs == MALLOCS) -> trims++ };
       LEAVE(id, MAY_DIE(HOLDER_MORTAL));
       atomic { x = 0; listed[id] = 1; page[id] = 0 }
    /* return_empty: the span's last holder-side store, and the note */
    :: !page[id] && listed[id] && live[0] == 0 && live[1] == 0 ->
       atomic { has[id] = 0; listed[id] = 0; holder = HOLDER(id, 1, NEXT_SEQ(holder));
                MAY_DIE(HOLDER_MORTAL) };
       note[id] ! 1
    :: atomic { HOLDER_MORTAL -> goto died }
    od;
died:
    atomic { dead[id] = 1; has[id] = 0; page[id] = 0; listed[id] = 0; asked[id] = 0;
             i = 0; b = 0; l = 0; mine = 0; trims = 0; x = 0 }
}

/* ---- who frees by ga_slot_free_by_other ---- */

/* read_block. Leaves the objects in l and the end of what is carved in e; l is 0 where the span is
 * gone. */
inline look() {
    do
    :: h = holder;
       x = tiny[ID(h)]; /* of mcache 0: names nothing */
       l = live[BLOCK(i)];
       if
#ifdef MUTANT_TINY_READ_ONCE
       :: true ->
#else
       :: SAME_ADOPTION(tiny[ID(h)], x) ->
#endif
          if
          :: !in_use -> l = 0; break
#ifdef MUTANT_HOLDER_READ_ONCE
          :: in_use -> break
#else
          :: in_use -> if :: holder == h -> break :: else -> skip fi
#endif
          fi
#ifndef MUTANT_TINY_READ_ONCE
       :: else -> skip
#endif
       fi
    od;
    atomic {
        e = 2;
        if :: NAMES(x, BLOCK(i)) -> l = l & HANDED(x); e = 2 - ROOM(x) :: else -> skip fi;
        h = 0; x = 0
    }
}

/* ga_tiny_bytes, of an object that is in use, in units */
#define BYTES ((!(i & 1) && l >> 1) -> 1 : e - (i & 1))

active proctype Freer() {
    byte i, b, l, e, t, n;
    short h, x;
    do
    :: handed_on ? i ->
       if :: in_use -> look() :: else -> skip fi;
       atomic { assert(l & BIT(i)); assert(BYTES >= units[i]);
                assert(!(BYTES == 2 && units[i + 1])); l = 0; e = 0 };
       atomic { telling = 1; MAY_DIE(FREER_MORTAL) };
#ifdef MUTANT_TELL_FIRST
       tell(t);
       FREE_LIVE(MAY_DIE(FREER_MORTAL));
#else
       FREE_LIVE(MAY_DIE(FREER_MORTAL));
       if :: !b -> tell(t) :: else -> skip fi;
#endif
       atomic { telling = 0; b = 0; i = 0; MAY_DIE(FREER_MORTAL) }
    :: atomic { n < DOUBLES -> n++; if :: i = 0 :: i = 1 :: i = 3 fi;
                if :: !units[i] && in_use -> watched = i; touched = 0 :: else -> skip fi };
       if :: watched == i -> look(); assert(!(l & BIT(i)) || touched) :: else -> skip fi;
       atomic { watched = 4; touched = 0; i = 0; l = 0; e = 0 }
    od;
died:
    atomic { dead[FREER] = 1; i = 0; b = 0; l = 0; e = 0; t = 0; n = 0; h = 0; x = 0 }
}

/* ---- the server ---- */

/* settle: back to mheap, or in mcentral's sets */
inline settle() {
    l = live[0];
    b = live[1];
    if
    :: !l && !b -> in_use = 0
    :: (l || b) && (!l || !b) -> partial = 1
    :: l && b -> skip
    fi;
    atomic { l = 0; b = 0 }
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
    byte b, c, l, t;
    short x;
    bit partial, redone;
    do
    /* ga_lease_find_span, init_bits, ga_lease_grant, the answer */
    :: atomic { grants < GRANTS && (partial || !in_use) ->
                if :: asked[1] -> c = 1 :: asked[2] -> c = 2 fi; asked[c] = 0; grants++; partial = 0 };
       if
       :: !in_use ->
          atomic { live[0] = 0; live[1] = 0 }; /* no entry leads there as yet */
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
    /* leave_tiny and the rest of recover_mcache */
    :: dead[1] && !recovered[1] ->
again:
#ifndef MUTANT_NOT_LEFT
       if :: owner == 1 -> LEAVE(1, REDONE) :: else -> tiny[1] = LEFT(tiny[1]) fi;
       x = 0;
#endif
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

#define OBJECTS(b) ((units[2 * (b)] != 0) | (units[2 * (b) + 1] != 0) << 1)
#define NAMED_BY(id, b) (NAMES(tiny[id], b) && owner == (id))
#define SAID(b)                                                                                    \
    (live[b] & (NAMED_BY(1, b) -> HANDED(tiny[1]) : (NAMED_BY(2, b) -> HANDED(tiny[2]) : ALL)))
#define FINDS(id, b)                                                                               \
    (owner == (id) && has[id] &&                                                                   \
     ((page[id] && NAMED_BY(id, b)) || (live[b] == 0 && (page[id] || listed[id] || inbox[id]))))

init {
    byte b;
    atomic { run Holder(1); run Holder(2) };
    timeout;
    atomic {
        for (b : 0 .. 1) {
            assert(in_use || !OBJECTS(b));
            assert(!in_use || SAID(b) == OBJECTS(b));
            assert(!in_use || OBJECTS(b) || FINDS(1, b) || FINDS(2, b) ||
                   (owner == 0 && live[b] == 0 && Server:partial))
        }
    }
}
