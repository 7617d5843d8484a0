#include "simulation/network.h"

#define MESSAGES 2048u /* while the server marks, others go on */
#define DELAY_MS 100u

static struct ga_sim_message messages[MESSAGES];
static uint32_t count;
static uint64_t last_order;

void ga_sim_post(const struct ga_sim_message *message)
{
    GA_SIM_REQUIRE(count < MESSAGES, "the network has room");
    if (!ga_sim.server_is_up || count == MESSAGES)
        return;
    uint64_t due_ms = ga_sim.core.now_ms + ga_sim_pick(DELAY_MS);
    for (uint32_t i = 0; i < count; i++)
        if (messages[i].pid == message->pid && messages[i].is_reply == message->is_reply &&
            messages[i].due_ms > due_ms)
            due_ms = messages[i].due_ms;
    messages[count] = *message;
    messages[count].due_ms = due_ms;
    messages[count++].order = ++last_order;
}

static bool is_before(const struct ga_sim_message *a, const struct ga_sim_message *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

bool ga_sim_next_message(bool only_replies, struct ga_sim_message *ret)
{
    const struct ga_sim_message *first = NULL;
    for (uint32_t i = 0; i < count; i++)
        if ((messages[i].is_reply || !only_replies) && (!first || is_before(&messages[i], first)))
            first = &messages[i];
    if (!first)
        return false;
    *ret = *first;
    messages[first - messages] = messages[--count];
    if (ret->due_ms > ga_sim.core.now_ms)
        ga_sim.core.now_ms = ret->due_ms;
    return true;
}

void ga_sim_drop_messages(void)
{
    count = 0;
}
