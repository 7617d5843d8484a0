/* Words that change while the server reads them: one process stores what may be and what may not in
 * turn, in the words of mcaches that the server believes as far as its books agree; another comes
 * and goes meanwhile, so that they are read. A word that were read once to be checked and once more
 * to be used would sooner or later be another. On a machine with one processor that takes luck. */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/hostile.h"
#include "shm/holder.h"
#include "shm/tiny.h"

#define BODY(name) GOALLOC__V1__ENVELOPE__BODY_##name
#define MCACHES    4

/* What the words of one mcache may be. */
struct target {
    struct ga_mcache *words;
    uint64_t tiny;
};

static void change(const struct target *targets)
{
    uint64_t wild = UINT64_MAX;
    for (;;) {
        for (int i = 0; i < MCACHES; i++) {
            struct ga_mcache *words = targets[i].words;
            for (int n = 0; words && n < 36; n++) {
                ga_store_release(&words->telling, wild);
                ga_store_release(&words->tiny, wild);
                ga_store_release(&words->ring_taken, wild);
                ga_store_release(&words->telling, 1);
                ga_store_release(&words->tiny, targets[i].tiny);
                ga_store_release(&words->ring_taken, 0);
            }
        }
    }
}

static pid_t begin_to_change(const struct target *targets)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent) /* else it was killed before */
            change(targets);
        _exit(0);
    }
    return child;
}

static void end_changing(pid_t child)
{
    if (child <= 0)
        return;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* Get an mcache with a span of tiny objects, and learn which words of it may be. */
static bool get_mcache(struct ga_wire *wire, const struct ga_hostile_memory *memory,
                       struct target *ret)
{
    Goalloc__V1__NewMcache new_mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(wire, BODY(NEW_MCACHE), &new_mcache);
    if (!ga_hostile_got(reply, BODY(MCACHE)))
        return false;
    lease.mcache = reply->mcache->mcache;
    lease.count = 1;
    ret->words = &memory->view.mcaches[lease.mcache];
    lease.span_class = GA_SPAN_CLASS_TINY;
    reply = ga_wire_ask(wire, BODY(LEASE), &lease);
    if (!ga_hostile_got(reply, BODY(LEASES)))
        return false;
    ret->tiny = reply->leases->pages[0];
    return true;
}

/* Come, have the words change, ask for what makes the server read them, and go. */
static bool come_and_go(struct ga_hostile *hostile, const struct ga_hostile_memory *memory)
{
    struct ga_wire wire;
    struct target targets[MCACHES] = {0};
    Goalloc__V1__LeaseAhead ahead = GOALLOC__V1__LEASE_AHEAD__INIT;
    Goalloc__V1__Detach detach = GOALLOC__V1__DETACH__INIT;
    bool good = ga_wire_open_attached(&wire, hostile->socket);
    for (int i = 0; good && i < MCACHES; i++)
        good = get_mcache(&wire, memory, &targets[i]);
    pid_t child = good ? begin_to_change(targets) : -1;
    ahead.count = 1;
    ahead.span_class = 4;
    for (int i = 0; good && i < MCACHES; i++) {
        ahead.mcache = (uint32_t)(targets[i].words - memory->view.mcaches);
        ga_hostile_send(&wire, 0, BODY(LEASE_AHEAD), &ahead);
    }
    good = good && ga_hostile_got(ga_wire_ask(&wire, BODY(DETACH), &detach), BODY(DONE));
    end_changing(child);
    ga_wire_close(&wire);
    return good;
}

void ga_deed_change_words(struct ga_hostile *hostile)
{
    struct ga_hostile_memory memory;
    if (!ga_hostile_map(hostile, &memory))
        return;
    for (uint32_t i = 0; i < hostile->steps / 5 && come_and_go(hostile, &memory); i++)
        continue;
}
