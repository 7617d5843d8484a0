/* A collection cycle with managed processes (client/managed*.c; server/shell/cycle.c, server/collect.c).
 *
 *   client   two processes; each has a thread that runs (mutates) when it is not parked, and the
 *            library's own, which parks it, scans, answers, and lets it run again; it gives up
 *            (TIMEOUTS), its connection may end while the server lives (CUTS), it may be killed
 *            (KILL_CLIENT)
 *   server   CYCLES cycles: asks all to stop, marks when all have answered, takes every word from
 *            STOPPED to SWEEPING, frees, gives the words back; may be killed (SERVER_DEATHS)
 *
 * A word of shared memory a client: RUNNING, or STOPPED or SWEEPING with the cycle's number. One step
 * is one access to it, or what one process does with its own memory and with its socket.
 *
 * What is claimed: when all words are taken, nobody who lives has run since he was scanned for this
 * cycle; and at rest everybody who lives runs. What was garbage at that moment stays so, since nobody
 * can find it; so the frees themselves need not be here. */
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
#define STOPPED(n) (2 * (n) + 2)
#define SWEEPING(n) (2 * (n) + 3)
#define IS_STOPPED(w) ((w) && !((w) & 1))
#define IS_SWEEPING(w) ((w) & 1)

mtype = { STOP, RESUME, ANSWER };

byte word[N];
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

/* Threads of the program. */
proctype Program(byte me) {
    do
    :: atomic { alive[me] && !parked[me] && scanned[me] -> scanned[me] = 0 }
    :: !alive[me] -> break
    od
}

/* The library's own thread. */
proctype Library(byte me) {
    byte n, w, served_by;
    {
    do
    /* a note */
    :: to_client[me] ? STOP, n;
       if
       :: parked[me] -> skip /* it has not let go of the last: answers nothing, and the server gives up */
       :: else ->
#ifdef MUTANT_SCAN_FIRST
          scanned[me] = n;
          atomic { parked[me] = 1; served_by = generation };
#else
          atomic { parked[me] = 1; served_by = generation };
          scanned[me] = n;
#endif
          word[me] = STOPPED(n);
          atomic { if :: connected[me] -> to_server[me] ! ANSWER, n :: else -> skip fi }
       fi
    :: to_client[me] ? RESUME, n;
       atomic { w = word[me]; if :: w == STOPPED(n) -> word[me] = RUNNING :: else -> skip fi };
       if :: parked[me] && w == STOPPED(n) -> parked[me] = 0 :: else -> skip fi
    /* looked at in turn: the server has given the word back */
    :: parked[me] && word[me] == RUNNING -> parked[me] = 0
    /* too long */
    :: atomic { parked[me] && timeouts -> timeouts-- };
#ifdef MUTANT_TIMEOUT_STORES
       word[me] = RUNNING; parked[me] = 0
#else
       atomic { w = word[me]; if :: IS_STOPPED(w) -> word[me] = RUNNING :: else -> skip fi };
       if :: IS_STOPPED(w) -> parked[me] = 0 :: else -> skip fi
#endif
    /* the connection has ended */
    :: !connected[me] ->
#ifdef MUTANT_CUT_IS_DEATH
       word[me] = RUNNING; parked[me] = 0;
#else
       atomic { w = word[me]; if :: IS_STOPPED(w) -> word[me] = RUNNING :: else -> skip fi };
       if
       :: IS_STOPPED(w) -> parked[me] = 0
       :: IS_SWEEPING(w) ->
          if
          :: word[me] == RUNNING -> parked[me] = 0
#ifndef MUTANT_DEATH_UNSEEN
          :: !server || generation != served_by -> /* certain: its process has ended */
             word[me] = RUNNING; parked[me] = 0
#endif
          fi
       :: else -> parked[me] = 0
       fi;
#endif
       /* connects again */
       atomic {
           server && !connected[me] -> forget(to_client[me]); forget(to_server[me]);
           connected[me] = 1; heard_cut[me] = 1
       }
    od
    } unless { !alive[me] }
}

inline each(i, what) { i = 0; do :: i < N -> what; i++ :: else -> break od }

proctype Server() {
    byte n, c, i, got, cycles = CYCLES;
    bit abandoned, answered[N], swept[N];
again:
    {
    do
    :: cycles ->
       atomic { cycles--; number++; n = number; abandoned = 0; heard_cut[0] = 0; heard_cut[1] = 0; answered[0] = 0;
                answered[1] = 0; swept[0] = 0; swept[1] = 0 };
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
       :: atomic { to_server[0] ? ANSWER, got -> if :: got == n -> answered[0] = 1 :: else -> skip fi }
       :: atomic { to_server[1] ? ANSWER, got -> if :: got == n -> answered[1] = 1 :: else -> skip fi }
       :: !alive[0] || !alive[1] || heard_cut[0] || heard_cut[1] || !connected[0] || !connected[1]
          -> abandoned = 1; break
       :: abandoned -> break
       :: abandoned = 1; break /* too long */
       od;
       /* every word, or nothing is freed */
       c = 0;
       do
       :: c < N && !abandoned ->
#ifdef MUTANT_WORDS_UNCHECKED
          swept[c] = 1;
#else
          atomic { if :: word[c] == STOPPED(n) -> word[c] = SWEEPING(n); swept[c] = 1
                      :: else -> abandoned = 1 fi };
#endif
          c++
       :: else -> break
       od;
       /* Now the marking counts: what is garbage stays garbage, whoever runs. */
       assert(abandoned || ((!alive[0] || scanned[0] == n) && (!alive[1] || scanned[1] == n)));
       c = 0;
       do
       :: c < N ->
#ifndef MUTANT_NOT_GIVEN_BACK
          atomic { if :: swept[c] && word[c] == SWEEPING(n) -> word[c] = RUNNING :: else -> skip fi };
#endif
          atomic { if :: alive[c] && connected[c] -> to_client[c] ! RESUME, n :: else -> skip fi };
          c++
       :: else -> break
       od
    :: !cycles -> goto finished
    od
    } unless { !server };
    /* the next one: nobody is connected, nothing is remembered */
    atomic { connected[0] = 0; connected[1] = 0; server = 1; generation++ };
    goto again;
finished:
    skip
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
