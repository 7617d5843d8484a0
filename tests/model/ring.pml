/* The lease-ahead ring (server/ring.c, client/mcache.c: take_entry) of 2 entries, and a grant whose
 * server is killed behind any of its stores. The next server has nothing but the page table and the
 * ring (ga_ring_adopt, ga_lease_take_over), while the client goes on. The client may be killed, and
 * its id is given out again (ga_ring_prepare).
 *
 * Claims: a span is taken by the client only when it owns it, and once in a lease; at rest every
 * span that it owns was taken or lies READY in its ring; those of a dead client come back. */
#ifndef SERVER_DEATHS
#define SERVER_DEATHS 2
#endif
#define ENTRIES 2
#define SPANS 3
#define GRANTS 4
#define EMPTY 0
#define RESERVED 1
#define READY 2
#define AT(sequence) (((sequence) - 1) % ENTRIES)

typedef entry {
    byte sequence, state, span
};

/* shared memory: meta, and the client's count in bits */
entry ring[ENTRIES];
bit owned[SPANS]; /* the page entry's owner: the mcache, or nobody */
byte ring_taken;
bit attached = 1;

bit client_dead;
byte life;        /* how many clients have had the id */
byte deaths = SERVER_DEATHS;
byte taken[SPANS]; /* ghost: how often in this lease */

#define MAY_DIE if :: true :: deaths > 0 -> deaths--; goto killed fi

inline put(s, seq, what) {
    ring[AT(seq)].sequence = seq;
    ring[AT(seq)].state = what;
    ring[AT(seq)].span = s
}

/* ga_ring_adopt */
inline adopt() {
    i = 0;
    head = 0;
    last = 0;
    do
    :: atomic { i < ENTRIES -> if :: ring[i].sequence > head -> head = ring[i].sequence; last = i :: else fi; i++ }
    :: atomic { i >= ENTRIES -> i = 0; break }
    od;
    if
    :: head == 0 -> head = ring_taken
    :: head && ring[last].state == RESERVED ->
       if
#ifdef MUTANT_ADOPT_DROPS
       :: true ->
#else
       :: !owned[ring[last].span] ->
#endif
          atomic { head--; ring[last].sequence = 0; ring[last].state = EMPTY }
#ifndef MUTANT_ADOPT_DROPS
       :: owned[ring[last].span] -> ring[last].state = READY
#endif
       fi
    :: else -> skip
    fi
}

active proctype Server() {
    byte head, i, last, s, rounds;
    goto serve;
killed:
    adopt();
serve:
    do
    /* ga_heap_lease_ahead, put */
    :: rounds < GRANTS && attached && !client_dead ->
       rounds++;
       s = 0;
       do
       :: atomic { s < SPANS && owned[s] -> s++ }
       :: atomic { s >= SPANS || !owned[s] -> break }
       od;
       if
#ifdef MUTANT_ROOM_UNCHECKED
       :: s < SPANS ->
#else
       :: s < SPANS && ring_taken <= head && head - ring_taken < ENTRIES ->
#endif
#ifdef MUTANT_OWNER_FIRST
          atomic { owned[s] = 1; taken[s] = 0; MAY_DIE };
          atomic { put(s, head + 1, READY); MAY_DIE };
#else
#ifdef MUTANT_READY_FIRST
          atomic { put(s, head + 1, READY); MAY_DIE };
          atomic { owned[s] = 1; taken[s] = 0; MAY_DIE };
#else
          atomic { put(s, head + 1, RESERVED); MAY_DIE };
          atomic { owned[s] = 1; taken[s] = 0; MAY_DIE };
          atomic { ring[AT(head + 1)].state = READY; MAY_DIE };
#endif
#endif
          head++
       :: else -> skip
       fi;
       s = 0
    /* ga_heap_client_gone: leases end, then the id is nobody's */
    :: client_dead && attached ->
       i = 0;
       do
       :: i < SPANS && owned[i] -> atomic { owned[i] = 0; MAY_DIE }; i++
       :: atomic { i < SPANS && !owned[i] -> i++ }
       :: atomic { i >= SPANS -> i = 0; break }
       od;
       atomic { attached = 0; MAY_DIE }
    /* ga_heap_new_mcache, ga_ring_prepare: for one client more */
    :: !attached && life == 0 ->
#ifdef MUTANT_SEQUENCES_AGAIN
       head = 0;
#else
       do
       :: i < ENTRIES -> atomic { ring[i].sequence = 0; ring[i].state = EMPTY; MAY_DIE }; i++
       :: atomic { i >= ENTRIES -> i = 0; break }
       od;
#endif
       atomic { i = 0; ring_taken = head; MAY_DIE };
       atomic { attached = 1; life = 1; client_dead = 0; MAY_DIE }
    od
}

/* take_entry, by whoever has the id */
proctype Client(byte me) {
    byte next;
    life == me && attached;
    next = ring_taken + 1;
    do
    :: atomic { ring[AT(next)].sequence == next && ring[AT(next)].state == READY };
       atomic { assert(owned[ring[AT(next)].span]);
                taken[ring[AT(next)].span]++;
                assert(taken[ring[AT(next)].span] == 1) };
       ring_taken = next;
       next++
    :: me == 0 -> client_dead = 1; break
    od
}

init {
    byte i, j;
    bit found;
    atomic { run Client(0); run Client(1) };
    timeout;
    atomic {
        for (i : 0 .. SPANS - 1) {
            found = 0;
            for (j : 0 .. ENTRIES - 1) {
                if
                :: ring[j].state == READY && ring[j].span == i && ring[j].sequence > ring_taken -> found = 1
                :: else -> skip
                fi
            }
            assert(!owned[i] || taken[i] || found)
        }
    }
}
