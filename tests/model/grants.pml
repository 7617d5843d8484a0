/* What is granted by reply, and connections that end (client/thread_cache.c, grants.c, channel.c,
 * channel_loop.c, revive.c, pending_call.c, large.c; server/clients.c, lease.c, large.c, recover.c,
 * adopt.c, shell/dispatch_heap.c, attachment.c). One client process, mcaches and spans.
 *
 *   threads  two; each leases a span, and may give it back and ask again (RETURNS); a call may be
 *            given up (TIMEOUTS), and is then made again
 *   library  the client's own thread: answers, the end of a connection (CUTS while the server lives),
 *            Reattach, which may take too long and is said again (ATTEMPTS)
 *   server   grants and takes back; reads what is left of a connection until it knows better
 *   former   with FORMER: the same process's attachment to a heap of that name that was before
 *   killer   kills the client (KILL_CLIENT), and the server SERVER_DEATHS times: the next one adopts
 *
 * With LARGE the spans are large ones that nobody leases: they are taken, and freed as by others. With
 * MCACHES each thread gets an mcache, under the heap's lock, and nothing else.
 * One step is one load or store of shared memory, or what one process does with its own and with the
 * sockets under one lock. There are as many mcaches and spans as threads, so what is lost is missed.
 *
 * Claims: no mcache is in two caches and no span is two threads'; what is granted is not taken back
 * from who has it; at rest both threads have a span, or the client is dead and nothing is its own. */
#ifndef TIMEOUTS
#define TIMEOUTS 0
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 0
#endif
#ifndef RETURNS
#define RETURNS 0
#endif
#ifndef SERVER_DEATHS
#define SERVER_DEATHS 0
#endif
#define N 2 /* threads, mcaches, spans; mcaches and spans are 1 and 2 */
#define LINKS 3
#define NOBODY LINKS
#define REFUSED 254
#define LOST 255
#define LATE 253
#define GIVEN_BACK(id) ((id) + 4) /* the holder word: returned by id */
#define IS_GRANT(x) ((x) && (x) < LATE)
mtype = { GRANT, RETURN, REATTACH, REATTACHED };

/* shared memory */
mtype = { ATTACHED, LEAVING, GONE };
mtype client = ATTACHED;       /* clients[0].state */
bit ours[N + 1];               /* mcache_entries[id].client */
byte owner[N + 1];             /* the page's entry: who leases it */
byte holder[N + 1];
bit in_use[N + 1], asked_by[N + 1], A[N + 1], F[N + 1]; /* LARGE: the entries, the bits */
byte pending;

/* the client's memory. A call goes by its thread and its turn. */
bit lock, known[N + 1];
byte listed[N + 1];            /* ghost: whose the span is, by mcache */
bit up = 1, ended;             /* the send queue, which the link goes with; ga_calls.ended */
bit locked;                    /* ga_calls.lock, held for longer than a step */
bit waits[N];
byte turn[N], done[N];
bit finished[N];
bit alive = 1;

/* sockets: both ends of the connection that is, of one before, of one more */
byte cur;
bit mine[LINKS], theirs[LINKS];
chan request[LINKS] = [6] of { mtype, byte, byte, byte };
chan answer[LINKS] = [5] of { mtype, byte, byte, byte };
#define BOTH_CLOSED(n) (!mine[n] && !theirs[n])
bit serving, strange;          /* strange: what the former attachment has said */

byte timeouts = TIMEOUTS, cuts = CUTS, attempts = ATTEMPTS, returns = RETURNS;
bit kill_server;

inline forget(ch) {
    do :: ch ? _, _, _, _ :: empty(ch) -> break od
}

/* ---- the client ---- */

/* ga_channel_note: lost where there is no connection, or the server has closed it */
inline send_note(kind_, who, what) {
    atomic { if :: up && theirs[cur] -> request[cur] ! kind_, who, 0, what :: else -> skip fi }
}

#define UNKNOWN(i) (ours[i] && !known[i])
#ifdef MUTANT_MCACHE_ASKED_ANEW
#define MCACHE_TO_BE_HAD (!ours[1] || !ours[2])
#else
#define MCACHE_TO_BE_HAD (!ours[1] || !ours[2] || UNKNOWN(1) || UNKNOWN(2))
#endif
#ifdef MUTANT_NO_LOCK
#define LOCKED false
#else
#define LOCKED lock
#endif
#define LINK_UP (up && !ended) /* ga_channel_await */
#define MAY_TRY(got, condition) (got != REFUSED || condition)
#ifdef LARGE
#define IS_FREE(s) (!in_use[s])
#else
#define IS_FREE(s) (!owner[s])
#endif

/* send_and_wait. Leaves in got what was granted, or why not. */
inline call(argument) {
    atomic { waits[me] = 1; turn[me] = (turn[me] + 1) % 4 }; /* ga_calls_begin */
    if
    :: atomic { up && theirs[cur] -> request[cur] ! GRANT, me, turn[me], argument } /* send_message */
    :: up && !theirs[cur] -> skip /* the server has closed it */
    :: atomic { !up -> waits[me] = 0; done[me] = LOST } /* ga_calls_cancel */
    fi;
    if
    :: atomic { !waits[me] -> got = done[me]; done[me] = 0 }
    /* ga_calls_wait, give_up */
    :: atomic { waits[me] && timeouts && !locked -> timeouts--; waits[me] = 0; got = LATE }
    fi
}

proctype Thread(byte me) {
    byte id, got, i;
    {
#ifdef MCACHES
        do
        /* try_find_cache, make_cache. Who was refused tries again when that may help. */
        :: atomic { !id && LINK_UP && !LOCKED &&
                    MAY_TRY(got, MCACHE_TO_BE_HAD) -> lock = 1; got = 0 };
#ifndef MUTANT_MCACHE_ASKED_ANEW
           /* find_granted */
           if
           :: atomic { UNKNOWN(1) -> got = 1 }
           :: !UNKNOWN(1) -> if :: atomic { UNKNOWN(2) -> got = 2 } :: !UNKNOWN(2) -> skip fi
           fi;
#endif
           if
           :: !ended && !got -> call(0)
           :: ended && !got -> got = LOST
           :: got -> skip
           fi;
           atomic {
               if
               :: IS_GRANT(got) ->
                  assert(ours[got] && !known[got]);
                  known[got] = 1; id = got; got = 0
               :: else -> skip
               fi;
               lock = 0
           }
        :: id -> break
        od;
#else
        id = me + 1;
        do
        /* request_lease, request_large: send_until_answered; after a time-out, the program again */
        :: !i && LINK_UP && MAY_TRY(got, IS_FREE(1) || IS_FREE(2)) ->
           call(id);
           atomic {
               if
               :: IS_GRANT(got) ->
#ifdef LARGE
                  assert(in_use[got] && A[got] && !F[got]);
#else
#ifdef MUTANT_PROGRAM_BEGINS
                  holder[got] = id;
#endif
                  /* ga_mcache_is_granted, is_mine: else -EPROTO */
                  assert(owner[got] == id && holder[got] == id);
#endif
                  assert(!listed[got]);
                  listed[got] = id; i = got; got = 0
               :: else -> skip
               fi
           }
#ifdef LARGE
        /* goalloc_free: free_in_f, ga_slot_tell */
        :: atomic { i && returns -> returns--; listed[i] = 0; F[i] = 1 };
           atomic { pending = pending | 1 << i; i = 0 }
#else
        /* return_empty: ga_slot_end_lease, ga_mcache_note_returned */
        :: atomic { i && returns -> returns--; listed[i] = 0; holder[i] = GIVEN_BACK(id) };
           send_note(RETURN, id, i);
           i = 0
#endif
        :: i -> break
        od;
#endif
        finished[me] = 1
    } unless { !alive }
}

/* ga_grants_on_reply, while ga_calls.lock is held. m is the mcache that leases the span. */
inline begin_grant() {
#ifdef MCACHES
    skip /* it is found by find_granted where nobody waits */
#else
#ifdef LARGE
    if
    :: in_use[got] -> /* is_large */
       A[got] = 1; /* ga_slot_take_large */
#ifndef MUTANT_TOO_LATE_IS_KEPT
       if
       :: !wanted -> /* free_large */
          F[got] = 1;
          pending = pending | 1 << got
       :: wanted -> skip
       fi
#endif
    :: !in_use[got] -> skip
    fi
#else
    atomic { if :: ours[owner[got]] -> m = owner[got] :: else -> skip fi }; /* leased_to */
    if
#ifdef MUTANT_PROGRAM_BEGINS
    :: m && wanted -> skip
#else
    :: m && wanted -> holder[got] = m /* begin_leases */
#endif
    :: m && !wanted ->
       holder[got] = m;
#ifndef MUTANT_TOO_LATE_IS_KEPT
       holder[got] = GIVEN_BACK(m); /* return_leases */
       send_note(RETURN, m, got)
#endif
    :: !m -> skip
    fi
#endif
#endif
}

#define NEXT_LINK ((cur + 1) % LINKS)

proctype Library() {
    byte to, which, got, m;
    mtype kind;
    bit wanted;
    {
        do
        /* deliver, ga_calls_complete: the answer is looked at, then its caller goes on */
        :: atomic { up && nempty(answer[cur]) ->
                    answer[cur] ? kind, to, which, got;
                    locked = 1; wanted = waits[to] && turn[to] == which };
           if :: kind == GRANT && IS_GRANT(got) -> begin_grant() :: else -> skip fi;
           atomic { if :: wanted -> waits[to] = 0; done[to] = got :: else -> skip fi;
                    locked = 0; kind = 0; to = 0; which = 0; got = 0; m = 0; wanted = 0 }
        /* lose: the server reads what was sent as long as it does not know */
        :: atomic { up && (cuts || !theirs[cur]) ->
                    if :: theirs[cur] -> cuts-- :: else -> skip fi;
                    up = 0; mine[cur] = 0; forget(answer[cur]) };
           atomic { ended = 1; /* ga_calls_end */
                    for (to : 0 .. N - 1) {
                        if :: waits[to] -> waits[to] = 0; done[to] = LOST :: else -> skip fi
                    }
                    to = 0 }
        /* ga_channel_revive, ga_reattach_revival */
        :: atomic { ended && serving && BOTH_CLOSED(NEXT_LINK) ->
                    cur = NEXT_LINK; mine[cur] = 1; theirs[cur] = 1; request[cur] ! REATTACH, 0, 0, 0 };
           if
           :: atomic { answer[cur] ? REATTACH, _, _, _ -> up = 1 }; /* ga_send_queue_resume */
              ended = 0; /* ga_calls_resume */
              send_note(REATTACHED, 0, 0) /* revived */
           :: atomic { attempts && theirs[cur] && empty(answer[cur]) ->
                       attempts--; mine[cur] = 0 }
           :: atomic { !theirs[cur] -> mine[cur] = 0; forget(answer[cur]) }
           fi
        od
    } unless { !alive }
}

/* ---- the server ---- */

/* ga_lease_end: the owner, the holder */
inline end_lease(s) {
    assert(!listed[s] || !alive);
    owner[s] = 0;
    holder[s] = 0
}

/* ga_mheap_free_span, ga_mheap_disown_large */
inline free_large(s) {
    assert(!listed[s] || !alive);
    in_use[s] = 0;
    asked_by[s] = 0
}

/* ga_large_settle: is_freed */
#define FREED(s) (in_use[s] && (asked_by[s] -> A[s] && F[s] : A[s] == F[s]))

#define LEASED(s) (owner[s])
#define UNBEGUN(s) (owner[s] && holder[s] == 0)
#define RETURNED(s) (owner[s] && holder[s] == GIVEN_BACK(owner[s]))
#define HALF_ENDED(s) (!owner[s] && holder[s])
#define UNTAKEN(s) (in_use[s] && asked_by[s] && !A[s] && !F[s])
#define UNUSED(s) (in_use[s] && asked_by[s] && A[s] == F[s])
#define NEWS(s) (news >> (s) & 1 && FREED(s))

/* Each span in a step or more of its own. */
#define FOR_EACH_SPAN(condition, what)                                                             \
    do                                                                                             \
    :: atomic { s < N && condition(s + 1) -> s++ }; what(s)                                        \
    :: atomic { s < N && !condition(s + 1) -> s++ }                                                \
    :: atomic { s == N -> s = 0; break }                                                           \
    od

/* ga_heap_client_back: ga_lease_end_unbegun, ga_lease_free_untaken */
inline client_back() {
#ifndef MUTANT_UNBEGUN_KEPT
#ifndef LARGE
    FOR_EACH_SPAN(UNBEGUN, end_lease)
#else
    FOR_EACH_SPAN(UNTAKEN, free_large)
#endif
#else
    skip
#endif
}

/* ga_heap_collect_returned */
inline collect_returned() {
#ifndef MUTANT_NOT_COLLECTED
    FOR_EACH_SPAN(RETURNED, end_lease)
#else
    skip
#endif
}

/* ga_heap_recover: spans, then mcaches, then the entry */
inline recover() {
#ifndef LARGE
    FOR_EACH_SPAN(LEASED, end_lease);
#else
    FOR_EACH_SPAN(UNUSED, free_large);
    asked_by[1] = 0;
    asked_by[2] = 0;
#endif
    ours[1] = 0;
    ours[2] = 0;
    client = GONE
}

/* ga_heap_sweep_pending */
inline sweep() {
    atomic { news = pending; pending = 0 };
    FOR_EACH_SPAN(NEWS, free_large);
    news = 0
}

#ifdef LARGE
#define SET_OWNER(s) A[s] = 0; F[s] = 0; asked_by[s] = 1
#else
#define SET_OWNER(s) assert(!listed[s]); owner[s] = argument
#endif

/* find_mcache and new_mcache: the entry is the commit; ga_lease_find_span and ga_lease_grant: the
 * owner is; ga_mheap_new_aligned_span, which names the client first. */
inline grant() {
    if
#ifdef MCACHES
    :: atomic { !ours[1] -> ours[1] = 1; got = 1 }
    :: atomic { ours[1] && !ours[2] -> ours[2] = 1; got = 2 }
    :: atomic { ours[1] && ours[2] -> got = REFUSED }
#else
    :: atomic { IS_FREE(1) -> got = 1; SET_OWNER(1) }
    :: atomic { !IS_FREE(1) && IS_FREE(2) -> got = 2; SET_OWNER(2) }
    :: atomic { !IS_FREE(1) && !IS_FREE(2) -> got = REFUSED }
#endif
    fi;
#ifdef LARGE
    if
    :: got != REFUSED -> in_use[got] = 1
    :: else -> skip
    fi;
#endif
    atomic { if :: mine[n] && alive -> answer[n] ! kind, to, which, got :: else -> skip fi; got = 0 }
}

/* ga_attachment_resume: the old connection is closed before anything is taken back */
inline resume(link) {
    atomic {
#ifndef MUTANT_OLD_STAYS_OPEN
        if
        :: attachment != NOBODY && attachment != link ->
           theirs[attachment] = 0; forget(request[attachment])
        :: else -> skip
        fi;
#endif
        attachment = link
    };
    client_back()
}

#define IS_ATTEMPT(n) (request[n] ? [REATTACH, _, _, _])
#ifdef MUTANT_ATTEMPTS_OVERTAKE
#define READABLE(n) (theirs[n] && nempty(request[n]))
#else
/* An attempt that was given up was sent before the next was connected, and is read before what that
 * one sends after its Hello. */
#define READABLE(n) (theirs[n] && nempty(request[n]) && !IS_ATTEMPT(((n) + LINKS - 1) % LINKS))
#endif
#define AT_END(n) (theirs[n] && empty(request[n]) && (!mine[n] || !alive))
#ifdef MUTANT_OLD_STAYS_OPEN
#define IS_SERVED(n) (client == ATTACHED)
#else
#define IS_SERVED(n) (client == ATTACHED && attachment == (n))
#endif

proctype Server() {
    byte n, to, which, argument, got, s, attachment, news;
    mtype kind;
    goto serve;
adopt:
    {
        /* ga_lease_take_over */
#ifndef LARGE
        FOR_EACH_SPAN(HALF_ENDED, end_lease);
#ifdef MUTANT_ADOPTION_ENDS_UNBEGUN
        FOR_EACH_SPAN(UNBEGUN, end_lease);
#endif
        FOR_EACH_SPAN(RETURNED, end_lease);
#else
        FOR_EACH_SPAN(FREED, free_large);
#endif
        if :: client == LEAVING -> recover() :: else -> skip fi; /* ga_recover_adopt */
        sweep();
        attachment = NOBODY;
serve:
        serving = 1;
        do
        :: atomic { if :: READABLE(0) -> n = 0 :: READABLE(1) -> n = 1 :: READABLE(2) -> n = 2 fi;
                    request[n] ? kind, to, which, argument };
           if
           :: kind == REATTACH && client == ATTACHED -> resume(n);
              atomic { if :: mine[n] && alive -> answer[n] ! REATTACH, 0, 0, 0 :: else -> skip fi }
           :: IS_SERVED(n) && kind == GRANT -> grant()
           :: IS_SERVED(n) && kind == RETURN -> /* ga_heap_return: the message is a hint */
              if
#ifdef MUTANT_MESSAGE_BELIEVED
              :: owner[argument] == to -> end_lease(argument)
#else
              :: owner[argument] == to && RETURNED(argument) -> end_lease(argument)
#endif
              :: else -> skip
              fi
           :: IS_SERVED(n) && kind == REATTACHED -> collect_returned()
           :: else -> skip
           fi;
           atomic { n = 0; kind = 0; to = 0; which = 0; argument = 0 }
        :: atomic { if :: AT_END(0) -> n = 0 :: AT_END(1) -> n = 1 :: AT_END(2) -> n = 2 fi;
                    theirs[n] = 0;
                    if :: attachment == n -> attachment = NOBODY :: else -> skip fi;
                    n = 0 }
        /* on_process_event, ga_attachment_end, ga_heap_client_leave */
        :: !alive && client == ATTACHED ->
           atomic { client = LEAVING; attachment = NOBODY };
           recover()
        :: pending -> sweep()
        /* ga_handle_reattach of who means another heap, heap_id and generation: refused */
        :: strange ->
           strange = 0;
#ifdef MUTANT_GENERATION_IGNORED
           if :: client == ATTACHED -> resume(NOBODY) :: else -> skip fi
#endif
        od
    } unless {
        atomic {
            kill_server -> kill_server = 0; serving = 0;
            for (n : 0 .. LINKS - 1) {
                theirs[n] = 0;
                forget(request[n])
            }
            n = 0; kind = 0; to = 0; which = 0; argument = 0; got = 0; s = 0; news = 0;
            attachment = NOBODY
        };
        goto adopt
    }
}

proctype Killer() {
    byte deaths = SERVER_DEATHS, i;
    do
    :: deaths && !kill_server -> atomic { deaths--; kill_server = 1 }
#ifdef FORMER
    :: strange = 1; break
#endif
#ifdef KILL_CLIENT
    :: atomic { alive ->
           alive = 0;
           for (i : 0 .. LINKS - 1) { forget(answer[i]); mine[i] = 0 }
           for (i : 0 .. N - 1) { waits[i] = 0; done[i] = 0; turn[i] = 0; listed[i + 1] = 0; known[i + 1] = 0 }
           i = 0; up = 0; ended = 1; lock = 0; locked = 0 }
#endif
    od
}

init {
    byte i;
    atomic {
        mine[0] = 1; theirs[0] = 1;
#ifndef MCACHES
        ours[1] = 1; ours[2] = 1;
#endif
        run Thread(0); run Thread(1); run Library(); run Server(); run Killer()
    };
    timeout;
    atomic {
        if
        :: alive ->
           assert(up && finished[0] && finished[1]);
           for (i : 1 .. N) {
#ifdef MCACHES
               assert(ours[i] && known[i])
#else
#ifdef LARGE
               assert(in_use[i] && A[i] && !F[i] && listed[i])
#else
               assert(owner[i] && listed[i] == owner[i] && holder[i] == owner[i])
#endif
#endif
           }
        :: else ->
           assert(client == GONE);
           for (i : 1 .. N) {
               assert(!ours[i] && !owner[i] && !holder[i] && !asked_by[i]);
               assert(!in_use[i] || A[i] && !F[i])
           }
        fi
    }
}
