/* Changes of roots and holds: carried out once, however often they are sent (client/change.c,
 * channel.c, pending_call.c, channel_loop.c; server/journal.c, roots.c, adopt.c, recover.c,
 * shell/dispatch.c, attachment.c). Each change is a replace of one root, so that its answer, what was
 * there before, is as important as itself: whoever gets it frees it.
 *
 *   threads  two, each with CHANGES changes in PLACES places; a call may be given up (TIMEOUTS)
 *   library  answers, the end of a connection (CUTS while the server lives), Reattach
 *   server   carries out, notes, answers; reads what is left of a connection until it knows better
 *   killer   kills the server SERVER_DEATHS times, the next one adopts; and the client (KILL_CLIENT),
 *            whose number and request ids then go to another process, with one thread
 *
 * One step is one store of shared memory, or what one process does with its own and with the sockets
 * under one lock.
 *
 * Claims: no value is replaced twice, so nobody is told of what another is told of; who is answered
 * was answered about a change that was made, and how it was made; nobody waits for ever. */
#ifndef CHANGES
#define CHANGES 1
#endif
#ifndef PLACES
#define PLACES 1
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 0
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef SERVER_DEATHS
#define SERVER_DEATHS 0
#endif
#define N 2
#define LINKS 2
#define NOBODY LINKS
#define FAILED 255
#define VALUES ((N + 1) * CHANGES + 1) /* 0 is none, 1 is there at first */
mtype = { CHANGE, REATTACH };
mtype = { ATTACHED, LEAVING, FREE };

/* meta: the root, the journal, and the outcomes of the client that has the number */
byte root = 1;                 /* a value; 1 is what is there at first */
byte j_value, j_old, j_place, j_request;
bit j_kind;
byte outcome_id[PLACES], outcome_old[PLACES];
mtype client = ATTACHED;

/* the client's memory: a call goes by its id */
bit up = 1, ended, taken[PLACES];
byte last_id, waits[N], done[N];
bit finished[N];
bit alive = 1, second;

/* sockets */
byte cur;
bit mine[LINKS], theirs[LINKS];
chan request[LINKS] = [5] of { mtype, byte, byte, byte, byte }; /* id, first_id, place, value */
chan answer[LINKS] = [4] of { mtype, byte, byte };
bit serving;
byte attachment;              /* the connection that the server serves the client by */

/* ghosts */
byte by[VALUES + 1];           /* which value has replaced it */
bit made[VALUES + 1];
byte next_value = 1;
byte timeouts = TIMEOUTS, cuts = CUTS;
bit kill_server;

/* point_to: the store that is seen */
inline point_to(value_) {
    atomic {
        if
        :: root != value_ ->
           assert(!by[root] && !made[value_]);
           by[root] = value_;
           made[value_] = 1;
           root = value_
        :: else -> skip
        fi
    }
}

/* ---- the client ---- */

/* ga_change_call, call_in_place, send_until_answered */
proctype Thread(byte me; bit life) {
    byte n, value, place, id, first, old;
    {
        do
        :: n < CHANGES ->
           atomic { n++; next_value++; value = next_value };
           /* ga_places_take */
#ifdef MUTANT_PLACE_SHARED
           place = 0;
#else
           if
           :: atomic { !taken[0] -> taken[0] = 1; place = 0 }
#if PLACES > 1
           :: atomic { taken[0] && !taken[1] -> taken[1] = 1; place = 1 }
#endif
           fi;
#endif
           do
           :: atomic { up && !ended -> /* ga_channel_await; ga_calls_begin */
                       last_id++; id = last_id; waits[me] = id };
              if /* send_message, or ga_calls_cancel */
              :: atomic { up && theirs[cur] -> request[cur] ! CHANGE, id, first, place, value }
              :: up && !theirs[cur] -> skip /* the server has closed it */
              :: atomic { !up -> waits[me] = 0; done[me] = FAILED }
              fi;
              if
              :: atomic { !waits[me] && done[me] != FAILED ->
                          old = done[me]; done[me] = 0;
                          /* it was made, and so */
                          assert(by[old] == value);
                          break }
              :: atomic { !waits[me] && done[me] == FAILED ->
                          done[me] = 0; if :: !first -> first = id :: else -> skip fi }
              /* give_up: nobody knows what has become of it */
              :: atomic { waits[me] && timeouts -> timeouts--; waits[me] = 0; break }
              fi
           :: atomic { !(up && !ended) && timeouts -> timeouts--; break } /* ga_link_wait */
           od;
           atomic { taken[place] = 0; first = 0; id = 0; value = 0; old = 0; place = 0 }
        :: n == CHANGES -> break
        od;
        finished[me] = 1
    } unless { !alive || second != life }
}

inline forget_answers(n_) {
    do :: answer[n_] ? _, _, _ :: empty(answer[n_]) -> break od
}

inline forget_requests(n_) {
    do :: request[n_] ? _, _, _, _, _ :: empty(request[n_]) -> break od
}

#define NEXT_LINK ((cur + 1) % LINKS)

proctype Library() {
    byte id, old, i;
    mtype kind;
    do
    /* ga_calls_complete */
    :: atomic { alive && up && nempty(answer[cur]) ->
                answer[cur] ? kind, id, old;
                for (i : 0 .. N - 1) {
                    if
#ifdef MUTANT_ID_UNCHECKED
                    :: waits[i] && i == 0 -> waits[i] = 0; done[i] = old
#else
                    :: waits[i] == id -> waits[i] = 0; done[i] = old
#endif
                    :: else -> skip
                    fi
                }
                kind = 0; id = 0; old = 0; i = 0 }
    /* lose */
    :: atomic { alive && up && (cuts || !theirs[cur]) ->
                if :: theirs[cur] -> cuts-- :: else -> skip fi;
                up = 0; mine[cur] = 0; forget_answers(cur) };
       atomic { if
                :: alive ->
                   ended = 1;
                   for (i : 0 .. N - 1) {
                       if :: waits[i] -> waits[i] = 0; done[i] = FAILED :: else -> skip fi
                   }
                   i = 0
                :: else -> skip
                fi }
    /* ga_channel_revive */
    :: atomic { alive && ended && serving && !mine[NEXT_LINK] && !theirs[NEXT_LINK] ->
                cur = NEXT_LINK; mine[cur] = 1; theirs[cur] = 1; request[cur] ! REATTACH, 0, 0, 0, 0 };
       if
       :: atomic { alive && nempty(answer[cur]) -> answer[cur] ? REATTACH, _, _; up = 1 };
          atomic { if :: alive -> ended = 0 :: else -> skip fi }
       :: atomic { alive && empty(answer[cur]) && !theirs[cur] -> mine[cur] = 0 }
       :: !alive -> skip
       fi
#ifdef KILL_CLIENT
    /* ga_heap_attach: find_entry, ga_journal_forget_outcomes. The next process begins anew. */
    :: atomic { !alive && !second && client == FREE && serving && !mine[NEXT_LINK] && !theirs[NEXT_LINK] ->
                second = 1; alive = 1; cur = NEXT_LINK; mine[cur] = 1; theirs[cur] = 1;
                attachment = cur; client = ATTACHED; up = 1; ended = 0; last_id = 0;
#ifndef MUTANT_OUTCOMES_KEPT
                for (i : 0 .. PLACES - 1) { outcome_id[i] = 0 }
#endif
                i = 0;
                finished[1] = 1;
                finished[0] = 0;
                run Thread(0, 1) }
#endif
    od
}

/* ---- the server ---- */

#define AT_END(n) (theirs[n] && empty(request[n]) && (!mine[n]))

/* ga_journal_begin, the change, ga_journal_end */
inline carry_out() {
    old = root;
#ifdef MUTANT_CHANGE_FIRST
    point_to(value);
#endif
#ifdef MUTANT_KIND_FIRST
    j_kind = 1;
#endif
    j_value = value;
    j_old = old;
    j_place = place;
    j_request = request_id;
#ifndef MUTANT_KIND_FIRST
    j_kind = 1;
#endif
#ifndef MUTANT_CHANGE_FIRST
    point_to(value);
#endif
    end_journal()
}

inline end_journal() {
#ifdef MUTANT_NOTED_AFTER
    j_kind = 0;
#endif
    outcome_old[j_place] = j_old;
    outcome_id[j_place] = j_request;
#ifndef MUTANT_NOTED_AFTER
    j_kind = 0
#else
    skip
#endif
}

#ifdef MUTANT_OLD_STAYS_OPEN
#define IS_SERVED (client == ATTACHED)
#else
#define IS_SERVED (client == ATTACHED && attachment == n)
#endif

proctype Server() {
    byte n, id, request_id, place, value, old;
    mtype kind;
    goto serve;
adopt:
    {
        /* ga_journal_adopt: ga_roots_repeat */
        if
        :: j_kind ->
#ifdef MUTANT_JOURNAL_FORGOTTEN
           j_kind = 0
#else
           point_to(j_value);
           end_journal()
#endif
        :: else -> skip
        fi;
        if :: client == LEAVING -> client = FREE :: else -> skip fi; /* ga_recover_adopt */
serve:
        serving = 1;
        do
        :: atomic { if :: theirs[0] && nempty(request[0]) -> n = 0
                       :: theirs[1] && nempty(request[1]) -> n = 1 fi;
                    request[n] ? kind, id, request_id, place, value };
           if
           /* ga_attachment_resume */
           :: atomic { kind == REATTACH && client == ATTACHED ->
#ifndef MUTANT_OLD_STAYS_OPEN
                       if
                       :: attachment != NOBODY && attachment != n ->
                          theirs[attachment] = 0; forget_requests(attachment)
                       :: else -> skip
                       fi;
#endif
                       attachment = n;
                       if :: mine[n] -> answer[n] ! REATTACH, 0, 0 :: else -> skip fi }
           /* change, ga_heap_begin_request */
           :: kind == CHANGE && IS_SERVED ->
              atomic {
#ifdef MUTANT_RETRY_IS_NEW
                  request_id = id
#else
                  if :: !request_id -> request_id = id :: else -> skip fi
#endif
              };
              if
              :: atomic { outcome_id[place] == request_id -> old = outcome_old[place] } /* answer_again */
              :: outcome_id[place] != request_id -> carry_out()
              fi;
              atomic { if :: mine[n] -> answer[n] ! CHANGE, id, old :: else -> skip fi }
           :: else -> skip
           fi;
           atomic { n = 0; kind = 0; id = 0; request_id = 0; place = 0; value = 0; old = 0 }
        :: atomic { if :: AT_END(0) -> n = 0 :: AT_END(1) -> n = 1 fi;
                    theirs[n] = 0;
                    if :: attachment == n -> attachment = NOBODY :: else -> skip fi;
                    n = 0 }
        /* ga_heap_client_leave, and at the end of ga_heap_recover */
        :: !alive && client == ATTACHED ->
           atomic { client = LEAVING; attachment = NOBODY };
           client = FREE
        od
    } unless {
        atomic {
            kill_server -> kill_server = 0; serving = 0;
            for (n : 0 .. LINKS - 1) {
                theirs[n] = 0;
                forget_requests(n)
            }
            n = 0; kind = 0; id = 0; request_id = 0; place = 0; value = 0; old = 0;
            attachment = NOBODY
        };
        goto adopt
    }
}

proctype Killer() {
    byte deaths = SERVER_DEATHS, i;
    bit killed;
    do
    :: deaths && !kill_server -> atomic { deaths--; kill_server = 1 }
#ifdef KILL_CLIENT
    :: atomic { !killed ->
                killed = 1; alive = 0; up = 0; ended = 1;
                for (i : 0 .. LINKS - 1) { forget_answers(i); mine[i] = 0 }
                for (i : 0 .. N - 1) { waits[i] = 0; done[i] = 0 }
                for (i : 0 .. PLACES - 1) { taken[i] = 0 }
                i = 0 }
#endif
    od
}

init {
    atomic {
        mine[0] = 1; theirs[0] = 1;
        run Thread(0, 0); run Thread(1, 0); run Library(); run Server(); run Killer()
    };
    timeout;
    assert(alive && finished[0] && finished[1] && !j_kind)
}
