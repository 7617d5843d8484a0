/* A collection cycle with managed processes (client/managed*.c; server/shell/cycle.c, server/collect.c).
 *
 *   client   two processes; each has a thread that runs (mutates) when it is not parked, and the
 *            library's own, which parks it, scans, answers, and lets it run again when its word says
 *            so, or its patience is at its end (TIMEOUTS), or the server's; its connection may end
 *            while the server lives (CUTS), it may be killed (KILL_CLIENT)
 *   server   CYCLES cycles: asks all to stop, marks when all have answered, takes every word from
 *            STOPPED back to RUNNING, and then frees; may be killed (SERVER_DEATHS)
 *
 * A word of shared memory a client: RUNNING, or STOPPED with the cycle's number. One step is one
 * access to it, or what one process does with its own memory and with its socket.
 *
 * What is claimed: when all words were taken, everybody who lives stood still from before he was
 * scanned until all was marked; and at rest everybody who lives runs. What was garbage at that moment
 * stays so, since nobody can find it; so the frees themselves need not be here. */
#ifndef TIMEOUTS
#define TIMEOUTS 0
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef SERVER_DEATHS
#define SERVER_DEATHS 0
#endif
#ifndef CYCLES
#define CYCLES 2
#endif
#define N 2
#define RUNNING 0

mtype = { STOP, ANSWER };

byte word[N];                 /* RUNNING, or the cycle that it is STOPPED for */
bit parked[N];
byte scanned[N];              /* ghost: for which cycle, since it last ran; 0 = it has run */
bit alive[N] = 1;
bit server = 1;
byte generation = 1;          /* of the server: meta's header */
byte number, timeouts = TIMEOUTS, cuts = CUTS, deaths = SERVER_DEATHS;

/* the socket: what each side has been told, and whether it is the connection that is */
bit connected[N] = 1, heard_cut[N];
chan to_client[N] = [5] of { mtype, byte };
chan to_server[N] = [3] of { mtype, byte };

inline forget(ch) { do :: ch ? _, _ :: empty(ch) -> break od }

/* A compare and swap of somebody's word, from STOPPED for this cycle; whether it was that. */
inline take(who, cycle, was) {
    atomic { was = (word[who] == cycle); if :: was -> word[who] = RUNNING :: else -> skip fi }
}

/* Threads of the program. */
proctype Program(byte me) {
    do
    :: atomic { alive[me] && !parked[me] && scanned[me] -> scanned[me] = 0 }
    :: !alive[me] -> break
    od
}

/* The library's own thread. While its threads stand still it does not serve the socket. */
proctype Library(byte me) {
    byte n, served_by;
    bit was;
    {
    do
    :: !parked[me] && to_client[me] ? [STOP, _] ->
       to_client[me] ? STOP, n;
#ifdef MUTANT_SCAN_FIRST
       scanned[me] = n;
       atomic { parked[me] = 1; served_by = generation };
#else
       atomic { parked[me] = 1; served_by = generation };
       scanned[me] = n;
#endif
       word[me] = n;
       if
       :: atomic { connected[me] -> to_server[me] ! ANSWER, n }
       :: !connected[me] -> take(me, n, was); parked[me] = 0
       fi
    /* looked at in turn: the server has given the word back */
    :: parked[me] && word[me] == RUNNING -> parked[me] = 0
    /* no beat for too long */
    :: atomic { parked[me] && timeouts -> timeouts-- };
#ifdef MUTANT_RUNS_FIRST
       parked[me] = 0; take(me, n, was)
#else
       take(me, n, was); parked[me] = 0
#endif
#ifndef MUTANT_DEATH_UNSEEN
    /* the server has ended */
    :: parked[me] && (!server || generation != served_by) -> take(me, n, was); parked[me] = 0
#endif
    /* connects again */
    :: atomic {
           !parked[me] && server && !connected[me] -> forget(to_client[me]); forget(to_server[me]);
           connected[me] = 1; heard_cut[me] = 1
       }
    od
    } unless { !alive[me] }
}

/* The server hears an answer: to its question, or too late, and then he is let go. */
inline hear(who) {
    to_server[who] ? ANSWER, got;
    if
    :: got == n && !abandoned && asking -> answered[who] = 1
#ifdef MUTANT_LATE_IS_LEFT
    :: else -> skip
#else
    :: else -> take(who, got, was)
#endif
    fi
}

inline all_is_marked() {
    atomic { still[0] = (!alive[0] || scanned[0] == n); still[1] = (!alive[1] || scanned[1] == n) }
}

proctype Server() {
    byte n, c, got, cycles = CYCLES;
    bit abandoned, asking, was, answered[N], still[N];
again:
    {
    do
    :: hear(0)
    :: hear(1)
    :: cycles ->
       atomic { cycles--; number++; n = number; abandoned = 0; asking = 1; heard_cut[0] = 0; heard_cut[1] = 0;
                answered[0] = 0; answered[1] = 0 };
       c = 0;
       do
       :: c < N -> atomic { if :: alive[c] && connected[c] -> to_client[c] ! STOP, n
                              :: alive[c] && !connected[c] -> abandoned = 1 :: else -> answered[c] = 1 fi };
          c++
       :: else -> break
       od;
       /* the answers */
       do
       :: !abandoned && answered[0] && answered[1] -> break
       :: hear(0)
       :: hear(1)
       :: !alive[0] || !alive[1] || heard_cut[0] || heard_cut[1] || !connected[0] || !connected[1]
          -> abandoned = 1; break
       :: abandoned -> break
       :: abandoned = 1; break /* too long */
       od;
       asking = 0;
#ifndef MUTANT_TAKEN_UNMARKED
       all_is_marked();
#endif
       /* every word, or nothing is freed */
       c = 0;
       do
       :: c < N && !abandoned ->
          take(c, n, was);
#ifndef MUTANT_WORDS_UNCHECKED
          if :: !was -> abandoned = 1 :: else -> skip fi;
#endif
          c++
       :: else -> break
       od;
#ifdef MUTANT_TAKEN_UNMARKED
       all_is_marked();
#endif
       /* Now the marking counts. */
       assert(abandoned || (still[0] && still[1]));
#ifndef MUTANT_NOT_GIVEN_BACK
       take(0, n, was);
       take(1, n, was)
#endif
    od
    } unless { !server };
    /* the next one: nobody is connected, nothing is remembered */
    atomic { connected[0] = 0; connected[1] = 0; server = 1; generation++; asking = 0 };
    goto again
}

proctype Killer() {
    do
    :: atomic { deaths && server -> deaths--; server = 0; connected[0] = 0; connected[1] = 0 }
    :: atomic { cuts && connected[0] -> cuts--; connected[0] = 0 }
#ifdef KILL_CLIENT
    :: atomic { alive[1] -> alive[1] = 0; connected[1] = 0 }
#endif
    :: break
    od
}

init {
    atomic { run Program(0); run Program(1); run Library(0); run Library(1); run Server(); run Killer() };
    timeout;
    assert(!alive[0] || !parked[0]);
    assert(!alive[1] || !parked[1])
}
