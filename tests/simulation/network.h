/* The network: one stream a process and direction. What is sent comes late, in the stream's order,
 * and in any order between streams; the server's end takes all of it along. */
#ifndef GA_TESTS_SIMULATION_NETWORK_H
#define GA_TESTS_SIMULATION_NETWORK_H

#include "simulation/world.h"

#define GA_SIM_PAGES 6u /* in a message */

enum ga_sim_kind {
    GA_SIM_ATTACH,
    GA_SIM_NEW_MCACHE,
    GA_SIM_LEASE,
    GA_SIM_LEASE_AHEAD,
    GA_SIM_LARGE_ALLOC,
    GA_SIM_LARGE_RESIZE,
    GA_SIM_LARGE_FREED,
    GA_SIM_RETURN,
    GA_SIM_HOLD, /* from here on to UNPUBLISH: changes, which the server notes */
    GA_SIM_RELEASE,
    GA_SIM_PUT_OFF_FREE,
    GA_SIM_PUBLISH,
    GA_SIM_REPLACE,
    GA_SIM_UNPUBLISH,
    GA_SIM_GONE, /* the process has ended */
};

struct ga_sim_message {
    enum ga_sim_kind kind;
    bool is_reply;
    uint64_t due_ms;
    uint64_t order;
    uint32_t process;
    uint32_t pid;
    uint32_t thread;
    uint64_t request; /* the thread awaits its reply; 0: a note */
    int result;
    ga_client_id client;
    ga_mcache_id mcache;
    ga_span_class span_class;
    uint32_t count; /* spans, or pages below, or a root's number */
    ga_page_id pages[GA_SIM_PAGES];
    uint64_t offset;
    uint64_t entry; /* of its span, when it was sent */
    uint64_t bytes;
    uint64_t alignment;
    bool zeroed;
    bool managed;
};

static inline bool ga_sim_is_change(const struct ga_sim_message *message)
{
    return message->kind >= GA_SIM_HOLD && message->kind <= GA_SIM_UNPUBLISH;
}

/* Send it. It is lost where the server is down. */
void ga_sim_post(const struct ga_sim_message *message);
/* Take what comes next, and let the time pass until then; only replies, if asked for. False if
 * nothing does. */
bool ga_sim_next_message(bool only_replies, struct ga_sim_message *ret);
/* All connections have gone. */
void ga_sim_drop_messages(void);

#endif
