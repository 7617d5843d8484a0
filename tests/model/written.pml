/* A collection while processes run (server/collect_again.c, server/shell/track.c): what they write
 * meanwhile is told by pages.
 *
 *   heap     an object, and two cells on a page each, which are roots and may point to it
 *   Managed  its register may point to it, too; it loads, stores, frees, and allocates it again; it
 *            stands still when the server says so, and is scanned then
 *   Other    is not collected: it copies a pointer from one cell to the other, or holds the object, and
 *            then moves it; it attaches at any time, and may end (ENDS)
 *   Server   has all who are attached protect the cells, marks, asks what was written in a round or
 *            two, stops Managed, asks it and then the other, marks once more, lets Managed go on, and
 *            sweeps; or marks all anew, if somebody has come or gone
 *
 * One step is one access to a cell, or what the server and one process do in one message. Page tables
 * are each process's own: what it stores lifts its own protection and nobody else's.
 *
 * What is claimed: when Managed goes on, what can be reached is not taken for garbage; and what is
 * freed in the sweep nobody reaches, though the object may have been freed and allocated again. */
#ifndef ENDS
#define ENDS 0
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif

bit cell[2];             /* points to the object */
bit used = 1;            /* the object is allocated */
bit reg = 1;             /* Managed's register points to it */
bit runs = 1;            /* Managed does */
bit taken, held, let_go; /* Other's; and that it has released it since the marking began */
bit attached, gone, spoilt;
bit tracked;             /* Other was asked to note what it writes, and can tell */
bit stored[2], other_stored[2]; /* cells whose page is not protected for Managed, for Other */
bit marking;
byte ends = ENDS;

#define reachable (reg || cell[0] || cell[1] || taken || held)

inline store(c, value) { cell[c] = value; stored[c] = 1 }
inline other_store(c, value) { cell[c] = value; other_stored[c] = 1 }

active proctype Managed() {
    do
    :: atomic { runs && !reg && (cell[0] || cell[1]) -> reg = 1 }
    :: atomic { runs && reg -> store(0, 1) }
    :: atomic { runs && reg -> store(1, 1) }
    :: atomic { runs && cell[0] -> store(0, 0) }
    :: atomic { runs && cell[1] -> store(1, 0) }
    :: atomic { runs && reg -> reg = 0 }
    :: atomic { runs && reg && used && !cell[0] && !cell[1] && !taken && !held -> used = 0; reg = 0 }
    :: atomic { runs && !used -> used = 1; reg = 1 }
    od
}

active proctype Other() {
    do
    :: atomic { !attached && !gone -> attached = 1; other_stored[0] = 1; other_stored[1] = 1;
#ifndef MUTANT_JOIN_UNSEEN
       spoilt = 1
#endif
       }
    :: atomic { attached && cell[0] -> other_store(1, 1) }
    :: atomic { attached && cell[1] -> other_store(0, 1) }
    :: atomic { attached && !held && used && (cell[0] || cell[1]) -> held = 1; taken = 1 }
    :: atomic { taken -> other_store(0, 1) }
    :: atomic { taken -> other_store(1, 1) }
    :: atomic { taken && cell[0] -> other_store(0, 0) }
    :: atomic { taken && cell[1] -> other_store(1, 0) }
    :: atomic { taken && (cell[0] || cell[1]) -> taken = 0; held = 0; let_go = marking }
    :: atomic { attached && ends -> ends--; attached = 0; gone = 1;
       if :: held -> let_go = marking :: else -> skip fi;
       taken = 0; held = 0; other_stored[0] = 0; other_stored[1] = 0;
#ifndef MUTANT_END_UNSEEN
       spoilt = 1
#endif
       }
    od
}

bit marked, candidate, again[2];
byte rounds = ROUNDS;

inline read(c) { if :: cell[c] -> marked = 1 :: else -> skip fi }

inline read_both() {
    if
    :: true -> read(0); read(1)
    :: true -> read(1); read(0)
    fi
}

inline protect() {
    atomic { stored[0] = 0; stored[1] = 0 };
    atomic { other_stored[0] = 0; other_stored[1] = 0; tracked = attached }
}

inline begin() { atomic { candidate = used; marked = 0; let_go = 0; marking = 1; marked = held } }

active proctype Server() {
    atomic { spoilt = 0 };
#ifdef MUTANT_PROTECT_LATE
    begin(); read_both(); protect();
#else
    protect(); begin(); read_both();
#endif
    do
    :: rounds ->
       rounds--;
       atomic { again[0] = stored[0]; again[1] = stored[1]; stored[0] = 0; stored[1] = 0 };
       atomic { again[0] = again[0] || (tracked && other_stored[0]);
                again[1] = again[1] || (tracked && other_stored[1]);
                if :: tracked -> other_stored[0] = 0; other_stored[1] = 0 :: else -> skip fi };
#ifndef MUTANT_ROUND_IGNORED
       if :: again[0] -> read(0) :: else -> skip fi;
       if :: again[1] -> read(1) :: else -> skip fi
#endif
    :: break
    od;
#ifdef MUTANT_OTHER_FIRST
    atomic { again[0] = tracked && other_stored[0]; again[1] = tracked && other_stored[1] };
    runs = 0;
#else
    runs = 0;
#ifdef MUTANT_OTHER_UNASKED
    atomic { again[0] = 0; again[1] = 0 };
#else
    atomic { again[0] = tracked && other_stored[0]; again[1] = tracked && other_stored[1] };
#endif
#endif
#ifndef MUTANT_REGISTER_UNSCANNED
    atomic { if :: reg -> marked = 1 :: else -> skip fi };
#endif
    if
    :: atomic { spoilt -> skip }; begin(); read_both();
       atomic { if :: reg -> marked = 1 :: else -> skip fi }
    :: atomic { !spoilt -> again[0] = again[0] || stored[0]; again[1] = again[1] || stored[1] };
#ifndef MUTANT_WRITTEN_IGNORED
       if :: again[0] -> read(0) :: else -> skip fi;
       if :: again[1] -> read(1) :: else -> skip fi
#endif
    fi;
    /* Roots once more, and what was let go; and what is free by now is no garbage. */
    atomic {
#ifndef MUTANT_HOLDS_ONCE
        if :: held || let_go -> marked = 1 :: else -> skip fi;
#endif
        marking = 0;
#ifdef MUTANT_FREED_IS_GARBAGE
        candidate = candidate && !marked;
#else
        candidate = candidate && !marked && used;
#endif
        assert(!(candidate && used && reachable));
        runs = 1
    };
    atomic { candidate && used -> assert(!reachable) }
}
