/* A hostile client, and what must hold of the server whatever it does. */
#ifndef GA_TESTS_HOSTILE_H
#define GA_TESTS_HOSTILE_H

#include <stdbool.h>
#include <stdint.h>

#include "integration/daemon.h"
#include "integration/wire.h"
#include "shm/view.h"

/* What a deed knows. It runs in a process of its own. */
struct ga_hostile {
    const char *heap;
    const char *socket;
    uint64_t random; /* the state of its generator */
    uint32_t steps;  /* how long it goes on */
    bool served;     /* it was given what nobody must be given: said by the deed */
};

struct ga_deed {
    const char *name;
    void (*run)(struct ga_hostile *hostile);
    const char *guilt; /* what the log says when it leads to quarantine; else NULL */
    const char *said;  /* what the log says where it does not; or NULL */
};

/* All of them; the last has no name. */
extern const struct ga_deed ga_deeds[];

/* ---- what deeds share (hostile_deeds.c) ---- */

/* Whether there is a reply, with this body. */
bool ga_hostile_got(const Goalloc__V1__Envelope *reply, Goalloc__V1__Envelope__BodyCase body_case);
/* Attach, and get an mcache; 0 if that is refused. */
uint32_t ga_hostile_begin(struct ga_wire *wire, const struct ga_hostile *hostile);
/* Send a note, or a request whose reply nobody reads. */
bool ga_hostile_send(struct ga_wire *wire, uint64_t id, Goalloc__V1__Envelope__BodyCase body_case,
                     void *body);

/* The heap's objects, as far as a client may write them. */
struct ga_hostile_memory {
    const struct ga_meta_header *meta;
    struct ga_view view;
    uint8_t *bits;
    uint8_t *heap;
    size_t bits_bytes;
    size_t heap_bytes;
};

bool ga_hostile_map(const struct ga_hostile *hostile, struct ga_hostile_memory *ret);

/* ---- deeds with others' ids (hostile_ids.c) ---- */

void ga_deed_lease_for_others(struct ga_hostile *hostile);
void ga_deed_large_for_others(struct ga_hostile *hostile);
void ga_deed_lease_ahead_for_others(struct ga_hostile *hostile);
void ga_deed_lease_for_nobody(struct ga_hostile *hostile);
void ga_deed_lease_ahead(struct ga_hostile *hostile);
void ga_deed_take_too_much(struct ga_hostile *hostile);
void ga_deed_wrong_places(struct ga_hostile *hostile);
void ga_deed_resize(struct ga_hostile *hostile);
void ga_deed_return_for_others(struct ga_hostile *hostile);
void ga_deed_return_others_spans(struct ga_hostile *hostile);
void ga_deed_claim_as_client(struct ga_hostile *hostile);
void ga_deed_claim_as_nobody(struct ga_hostile *hostile);
void ga_deed_too_early(struct ga_hostile *hostile);

/* ---- words that change while the server reads them (hostile_race.c) ---- */

void ga_deed_change_words(struct ga_hostile *hostile);

/* ---- the judge (hostile_judge.c) ---- */

/* A client that is attached and idle, by which the rest is judged. */
struct ga_judge {
    struct ga_wire wire;
    uint32_t mcache;
    uint32_t pages[64]; /* leased to it */
    uint32_t npages;
};

/* Attach and lease spans, of so many pages each. */
bool ga_judge_open(struct ga_judge *judge, const char *socket);
void ga_judge_close(struct ga_judge *judge);

/* Whether the server answers; has each span at most once, and only with clients that there are, as
 * many as it says of them; has left the judge its own; has let nobody have more than the quotas;
 * and has all tables right that only it can write. What is not so is said on stderr. */
bool ga_judge_finds_all_right(struct ga_judge *judge, const char *heap);
/* Whether the server says that process pid is in quarantine. */
bool ga_judge_sees_quarantine(struct ga_judge *judge, uint32_t pid);

#endif
