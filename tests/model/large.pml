/* A large span of one slot (shm/slot.c, server/large.c, lease.c, mheap.c, client/large.c, grants.c):
 * one that is leased and kept, or, with UNLEASED, one that is nobody's lease.
 *
 *   clients  mcaches 1 and 2: ask, take, free, keep and take again, hand over, give back; with LATE
 *            a call's time may be over before its answer comes; mcache 1 may be killed (KILL_CLIENT)
 *   freer    process 3: frees what it was handed, tries double frees; may be killed (KILL_FREER)
 *   server   grants, takes back, recovers; killed at any time SERVER_DEATHS times: the next adopts,
 *            and the clients come back (ga_attachment_resume)
 *
 * One step is one load or store of shared memory. There are pages for one span, so each span is made
 * where the last one was. GRANTS bounds the spans, TAKES the objects that a client takes, DOUBLES the
 * double frees.
 *
 * Claims: the object is nobody else's when it is handed out; a free of it is never refused, a free of
 * what is free is; at rest the span is an object, or kept, or told of, or its pages are free. */
#ifndef GRANTS
#define GRANTS 2
#endif
#ifndef TAKES
#define TAKES 2
#endif
#ifndef DOUBLES
#define DOUBLES 0
#endif
#ifndef SERVER_DEATHS
#define SERVER_DEATHS 0
#endif
#define FREER 3

#define HOLDER(id, returned, sequence) ((id) | (returned) << 2 | (sequence) << 3)
#define ID(h) ((h) & 3)
#define RETURNED(h) ((h) >> 2 & 1)
#define NEXT_SEQ(h) (((h) >> 3) + 1)
#define LEASED_BY(h, id) (ID(h) == (id) && !RETURNED(h))

/* shared memory */
bit A, F, in_use;              /* in_use, owner: the first page's entry */
byte owner, asked_by;          /* asked_by: client_plus_1, in the second page's entry */
short holder;
bit inbox[4], pending, telling[4];

/* clients' private memory, for the end to look at */
bit lists[4], kept[4];         /* it is in the vector of spans; among those kept */
byte call[4];                  /* the call that waits, 1 or 2 in turn */
bit busy[4];                   /* an answer is being worked on */

/* kernel, sockets */
bit connected[4] = 1;
bit dead[4], recovered[4];
chan request[4] = [1] of { byte };
chan reply[4] = [1] of { byte };
chan note[4] = [1] of { bit };
chan handed = [4] of { bit };

/* ghosts */
byte held, grants, deaths = SERVER_DEATHS;
bit touched;

#ifdef KILL_CLIENT
#define CLIENT_MORTAL (me == 1)
#else
#define CLIENT_MORTAL 0
#endif
#ifdef KILL_FREER
#define FREER_MORTAL 1
#else
#define FREER_MORTAL 0
#endif
#define MAY_DIE(mortal) if :: true :: mortal -> goto died fi
#define SERVER_MAY_DIE if :: true :: deaths > 0 -> deaths--; goto killed fi

inline got() {
    assert(!held);
    held = 1;
    touched = 1
}

/* ga_slot_tell */
inline tell(t) {
    t = owner;
    atomic { if :: t == 0 -> pending = 1 :: else -> inbox[t] = 1 fi; t = 0 }
}

/* ga_slot_in_use; where never names a large span */
inline look() {
    used = 0;
    if
    :: in_use ->
       do
       :: h = holder;
          a = A;
          f = F;
          if
          :: A == a ->
             if
             :: !in_use -> break
             :: else -> if :: holder == h -> used = a ^ f; break :: else -> skip fi
             fi
          :: else -> skip
          fi
       od
    :: else -> skip
    fi;
    atomic { h = 0; f = 0 }
}

/* free_in_f, of a slot whose A was a */
inline free_in_f() {
    assert(F != a);
    F = a;
    held = 0
}

/* ---- clients ---- */

/* ga_channel_note: lost where there is no connection */
inline send_note() {
    atomic { if :: connected[me] && len(note[me]) == 0 -> note[me] ! 1 :: else -> skip fi }
}

/* ga_slot_begin_lease */
inline begin() {
    atomic { holder = HOLDER(me, 0, NEXT_SEQ(holder)); MAY_DIE(CLIENT_MORTAL) }
}

/* ga_slot_end_lease, and the message */
inline give_back() {
#ifdef MUTANT_MESSAGE_BELIEVED
    send_note();
#endif
    atomic { holder = HOLDER(me, 1, NEXT_SEQ(holder)); MAY_DIE(CLIENT_MORTAL) };
#ifndef MUTANT_MESSAGE_BELIEVED
    send_note()
#endif
}

proctype Client(byte me) {
    byte n, id, t;
    bit a, f, used;
    short h;
    do
    /* send_and_wait: at first, and again when the connection has ended meanwhile */
    :: atomic { grants < GRANTS && n < TAKES && !call[me] && !busy[me] && !lists[me] &&
                connected[me] && len(request[me]) == 0 ->
                id = 1 + (id == 1); call[me] = id; request[me] ! id }
#ifdef LATE
    :: atomic { call[me] && !busy[me] -> call[me] = 0 } /* ga_calls_wait: its time is over */
#endif
    /* ga_grants_on_reply, on the library's thread */
    :: atomic { reply[me] ? eval(call[me]) -> busy[me] = 1 };
       if
       :: owner == me -> /* take_large; leased_to */
#ifndef MUTANT_PROGRAM_BEGINS
          begin()
#else
          skip
#endif
       :: else ->
#ifndef MUTANT_PROGRAM_TAKES
          atomic { A = 1; got(); MAY_DIE(CLIENT_MORTAL) }
#else
          skip
#endif
       fi;
       atomic { call[me] = 0; busy[me] = 0; n++ };
       /* client/alloc.c: take_large */
       if
       :: owner == me -> /* ga_large_begin_lease */
          begin();
          lists[me] = 1;
          f = A;
          atomic { A = !f; f = 0; got(); MAY_DIE(CLIENT_MORTAL) };
          if
          :: atomic { handed ! 1; MAY_DIE(CLIENT_MORTAL) }
          /* free_by_holder, ga_large_freed */
          :: atomic { LEASED_BY(holder, me) -> assert(A != F) };
             atomic { held = 0; A = !A; kept[me] = 1; MAY_DIE(CLIENT_MORTAL) }
          fi
       :: else ->
#ifdef MUTANT_PROGRAM_TAKES
          atomic { A = 1; got(); MAY_DIE(CLIENT_MORTAL) };
#endif
          atomic { handed ! 1; MAY_DIE(CLIENT_MORTAL) }
       fi
    /* free_large: nobody waits for it any more */
    :: atomic { len(reply[me]) && !(reply[me] ? [eval(call[me])]) -> reply[me] ? _; busy[me] = 1 };
       if
       :: owner == me -> begin(); give_back()
       :: else ->
          atomic { A = 1; got(); MAY_DIE(CLIENT_MORTAL) };
          look();
          assert(used);
          atomic { free_in_f(); MAY_DIE(CLIENT_MORTAL) };
          tell(t);
          atomic { a = 0; used = 0 }
       fi;
       busy[me] = 0
    /* ga_large_take_kept: the words decide */
    :: kept[me] && n < TAKES ->
       kept[me] = 0;
       if
       :: LEASED_BY(holder, me) ->
          f = F;
          if
          :: A == f ->
             atomic { A = !A; got(); n++; MAY_DIE(CLIENT_MORTAL) };
             atomic { handed ! 1; MAY_DIE(CLIENT_MORTAL) }
          :: else -> skip
          fi;
          f = 0
       :: else -> skip
       fi
    /* take_news */
    :: inbox[me] ->
#ifdef MUTANT_INBOX_AFTER_F
       f = F;
       if :: atomic { lists[me] && !kept[me] && A == f -> kept[me] = 1 } :: else -> skip fi;
       inbox[me] = 0;
#else
       inbox[me] = 0;
       f = F;
       if :: atomic { lists[me] && !kept[me] && A == f -> kept[me] = 1 } :: else -> skip fi;
#endif
       f = 0
    /* give_back */
    :: kept[me] ->
       kept[me] = 0;
       lists[me] = 0;
       if :: LEASED_BY(holder, me) -> give_back() :: else -> skip fi
    :: atomic { CLIENT_MORTAL -> goto died }
    od;
died:
    atomic { dead[me] = 1; lists[me] = 0; kept[me] = 0; call[me] = 0; busy[me] = 0;
             n = 0; id = 0; t = 0; a = 0; f = 0; used = 0; h = 0 }
}

/* Frees by ga_slot_free_by_other. */
active proctype Freer() {
    byte t, n;
    bit a, f, used;
    short h;
    do
    :: handed ? _ ->
       look();
       assert(used);
#ifdef MUTANT_TELL_FIRST
       tell(t);
       atomic { free_in_f(); MAY_DIE(FREER_MORTAL) };
#else
       atomic { telling[FREER] = 1; MAY_DIE(FREER_MORTAL) };
       atomic { free_in_f(); MAY_DIE(FREER_MORTAL) };
       tell(t);
       atomic { telling[FREER] = 0; MAY_DIE(FREER_MORTAL) };
#endif
       atomic { a = 0; used = 0 }
    :: atomic { n < DOUBLES && !held -> n++; touched = 0 };
       look();
       assert(!used || touched);
       atomic { a = 0; used = 0 }
    od;
died:
    atomic { dead[FREER] = 1; t = 0; n = 0; a = 0; f = 0; used = 0; h = 0 }
}

/* ---- the server ---- */

/* ga_mheap_free_span, ga_mheap_disown_large */
inline free_span() {
    atomic { in_use = 0; owner = 0; SERVER_MAY_DIE };
    atomic { asked_by = 0; SERVER_MAY_DIE }
}

/* ga_large_settle: is_freed */
inline settle() {
    if
#ifndef MUTANT_UNTAKEN_IS_FREED
    :: asked_by ->
       if
       :: A -> if :: F -> free_span() :: else -> skip fi
       :: else -> skip
       fi
    :: else ->
#else
    :: true ->
#endif
       f = F;
       if :: A == f -> free_span() :: else -> skip fi;
       f = 0
    fi
}

/* clear_holder */
inline clear_holder() {
    atomic { holder = HOLDER(0, 0, NEXT_SEQ(holder)); SERVER_MAY_DIE }
}

/* ga_lease_end */
inline end_lease() {
#ifdef MUTANT_F_BEFORE_OWNER
    f = F;
    atomic { owner = 0; SERVER_MAY_DIE };
    clear_holder();
    if :: A == f -> free_span() :: else -> skip fi;
    f = 0
#else
    atomic { owner = 0; SERVER_MAY_DIE };
    clear_holder();
    settle()
#endif
}

/* ga_lease_take_over */
inline take_over() {
    if
    :: in_use && owner == 0 ->
       if :: ID(holder) -> clear_holder() :: else -> skip fi;
       settle()
    :: in_use && owner && ID(holder) == owner && RETURNED(holder) -> end_lease()
    :: in_use && owner && !(ID(holder) == owner && RETURNED(holder)) -> tell(t)
    :: !in_use -> skip
    fi
}

/* ga_mheap_new_aligned_span, and the grant. F and A first, so that no entry leads here as yet. */
inline grant() {
    grants++;
    atomic { F = 0; SERVER_MAY_DIE };
    atomic { A = 0; SERVER_MAY_DIE };
#ifdef MUTANT_NEW_KEEPS_SEQUENCE
    atomic { holder = HOLDER(0, 0, holder >> 3); SERVER_MAY_DIE };
#else
    atomic { holder = HOLDER(0, 0, NEXT_SEQ(holder)); SERVER_MAY_DIE };
#endif
#ifdef UNLEASED
#ifndef MUTANT_CLIENT_AFTER_ENTRY
    atomic { asked_by = c; SERVER_MAY_DIE };
#endif
    atomic { in_use = 1; SERVER_MAY_DIE };
    atomic { reply[c] ! r; r = 0; SERVER_MAY_DIE };
#ifdef MUTANT_CLIENT_AFTER_ENTRY
    atomic { asked_by = c; SERVER_MAY_DIE }
#endif
#else
    atomic { in_use = 1; SERVER_MAY_DIE };
#ifdef MUTANT_REPLY_BEFORE_OWNER
    atomic { reply[c] ! r; r = 0; SERVER_MAY_DIE };
#endif
    atomic { owner = c; SERVER_MAY_DIE }; /* ga_lease_grant */
#ifndef MUTANT_REPLY_BEFORE_OWNER
    atomic { reply[c] ! r; r = 0; SERVER_MAY_DIE }
#endif
#endif
}

/* Who is gone has no mcache (ga_clients_mcache). */
#define MAY_HAVE(id)                                                                               \
    (len(request[id]) && !recovered[id] && len(reply[id]) == 0 && !in_use && grants < GRANTS)

active proctype Server() {
    byte c, t, r;
    bit f;
    goto serve;
killed:
    atomic {
        for (c : 1 .. 2) {
            connected[c] = 0;
            do :: request[c] ? _ :: len(request[c]) == 0 -> break od;
            do :: reply[c] ? _ :: len(reply[c]) == 0 -> break od;
            do :: note[c] ? _ :: len(note[c]) == 0 -> break od;
            if :: !busy[c] -> call[c] = 0 :: else -> skip fi /* it is sent again */
        }
        c = 0; r = 0; f = 0; t = 0
    };
    take_over();
    if
    :: pending -> atomic { pending = 0; SERVER_MAY_DIE }; goto news
    :: else -> skip
    fi;
serve:
    do
    :: atomic { deaths > 0 -> deaths--; goto killed }
    :: atomic { if :: MAY_HAVE(1) -> c = 1 :: MAY_HAVE(2) -> c = 2 fi; request[c] ? r };
       grant();
       c = 0
    /* ga_heap_return: the message is a hint */
    :: atomic { if :: note[1] ? _ -> c = 1 :: note[2] ? _ -> c = 2 fi };
       if
#ifdef MUTANT_MESSAGE_BELIEVED
       :: in_use && owner == c -> end_lease()
#else
       :: in_use && owner == c && ID(holder) == c && RETURNED(holder) -> end_lease()
#endif
       :: else -> skip
       fi;
       c = 0
    /* ga_heap_sweep_pending, take_news */
    :: pending ->
#ifndef MUTANT_PENDING_AFTER_F
       atomic { pending = 0; SERVER_MAY_DIE };
#endif
news:
       if
       :: in_use && owner == 0 -> settle()
       :: in_use && owner -> tell(t)
       :: !in_use -> skip
       fi;
#ifdef MUTANT_PENDING_AFTER_F
       atomic { pending = 0; SERVER_MAY_DIE }
#endif
    /* ga_heap_client_gone: recover_mcache, recover_large */
    :: dead[1] && !recovered[1] ->
       if :: in_use && owner == 1 -> end_lease() :: else -> skip fi;
       if
       :: in_use && owner == 0 && asked_by == 1 ->
          f = F;
          if
#ifdef MUTANT_RECOVER_UNTAKEN
          :: A && f -> f = 0; free_span()
#else
          :: A == f -> f = 0; free_span()
#endif
          :: else -> f = 0; atomic { asked_by = 0; SERVER_MAY_DIE }
          fi
       :: else -> skip
       fi;
       recovered[1] = 1
    :: dead[FREER] && !recovered[FREER] ->
#ifndef MUTANT_TELLING_FORGOTTEN
       if :: telling[FREER] -> tell(t); atomic { telling[FREER] = 0; SERVER_MAY_DIE } :: else -> skip fi;
#endif
       recovered[FREER] = 1
    /* The library's thread says Reattach: not while it works on an answer. ga_heap_client_back,
     * then Reattached: ga_heap_collect_returned. */
    :: atomic { if :: !connected[1] && !busy[1] && !dead[1] -> c = 1
                   :: !connected[2] && !busy[2] && !dead[2] -> c = 2 fi };
       if
#ifndef MUTANT_UNBEGUN_KEPT
       :: in_use && owner == c && ID(holder) == 0 -> end_lease()
       :: in_use && owner == 0 && asked_by == c && A == 0 && F == 0 -> free_span()
#endif
       :: else -> skip
       fi;
       connected[c] = 1;
#ifndef MUTANT_NOT_COLLECTED
       if
       :: in_use && owner == c && ID(holder) == c && RETURNED(holder) -> end_lease()
       :: else -> skip
       fi;
#endif
       c = 0
    od
}

#define KNOWN_BY(id) (!dead[id] && owner == (id) && ((lists[id] && (kept[id] || inbox[id])) || busy[id]))

init {
    atomic { run Client(1); run Client(2) };
    timeout;
    atomic {
        assert(!in_use || A != F || KNOWN_BY(1) || KNOWN_BY(2));
        /* nothing in use that no program has */
        assert(!in_use || A == F || held)
    }
}
