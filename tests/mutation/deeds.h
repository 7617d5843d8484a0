/* What a thread does to the graph, one thing after the other, at random. */
#ifndef GA_TESTS_MUTATION_DEEDS_H
#define GA_TESTS_MUTATION_DEEDS_H

#include "goalloc/goalloc.h"
#include "hand.h"

/* What a thread is at; the names are for who asks why one hangs. */
#define DEEDS(X)                                                                                   \
    X(NONE, "begins or has ended")                                                                 \
    X(PARKED, "stands still")                                                                      \
    X(ATTACH, "attaches")                                                                          \
    X(DETACH, "detaches")                                                                          \
    X(MAKE, "makes an object")                                                                     \
    X(WALK, "walks")                                                                               \
    X(KEEP, "puts an object into a pocket")                                                        \
    X(LINK, "links two objects")                                                                   \
    X(UNLINK, "unlinks an object")                                                                 \
    X(MOVE, "moves an object")                                                                     \
    X(NAME, "publishes or replaces a root")                                                        \
    X(UNNAME, "takes a root back")                                                                 \
    X(FREE, "frees an object")                                                                     \
    X(CHAIN, "makes a list and lets it go")                                                        \
    X(REGISTER, "has an object in a register only")                                                \
    X(COLLECT, "waits for a collection")

enum deed {
#define DEEDS_ENUM(name, text) DEED_##name,
    DEEDS(DEEDS_ENUM)
#undef DEEDS_ENUM
        DEED_COUNT
};

const char *deed_text(uint32_t deed);

void deeds_note(struct worker *w, enum deed deed);
void deeds_some(struct worker *w, uint32_t count);

/* For the option report; data is the shadow. */
void deeds_report(enum goalloc_report_kind kind, const char *message, void *data);

#endif
