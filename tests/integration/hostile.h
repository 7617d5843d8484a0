/* A hostile client, and what must hold of the server whatever it does. */
#ifndef GA_TESTS_HOSTILE_H
#define GA_TESTS_HOSTILE_H

#include <stdbool.h>
#include <stdint.h>

#include "integration/daemon.h"
#include "integration/wire.h"

/* What a deed knows. It runs in a process of its own. */
struct ga_hostile {
    const char *heap;
    const char *socket;
    uint64_t random; /* the state of its generator */
    uint32_t steps;  /* how long it goes on */
};

struct ga_deed {
    const char *name;
    void (*run)(struct ga_hostile *hostile);
    const char *guilt; /* what the log says when it leads to quarantine; else NULL */
    const char *said;  /* what the log says where it does not; or NULL */
};

/* All of them; the last has no name. */
extern const struct ga_deed ga_deeds[];

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
