/* Clients that are killed while they free in batches. */
#include <stddef.h>
#include <stdint.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

static bool in_one_word(const void *p, const void *q)
{
    return (uintptr_t)p / (64 * GA_DEED_SMALL) == (uintptr_t)q / (64 * GA_DEED_SMALL);
}

/* The last of many of whose word there are three at least. */
static const void *last_of_three(size_t n)
{
    for (size_t i = n; i-- > 0;) {
        size_t found = 0;
        for (size_t j = 0; j < n; j++)
            found += in_one_word(ga_deed_many[j], ga_deed_many[i]);
        if (found >= 3)
            return ga_deed_many[i];
    }
    return ga_deed_many[0];
}

/* Three of a word that the survivor looks at early when it needs slots, and two of another; it has
 * free slots besides, some of which it knows of. */
static void hand_over_words(void)
{
    size_t nhanded = 0;
    size_t nfreed = 0;
    ga_deed_get_many(192, GA_DEED_SMALL);
    const void *last = last_of_three(192);
    for (size_t i = 192; i-- > 0;) {
        bool same = in_one_word(ga_deed_many[i], last);
        if (same && nhanded < 3)
            ga_account->spare[nhanded++] = ga_deed_many[i];
        if (!same && nfreed++ < 128)
            ga_actor_put(ga_deed_many[i]);
    }
    for (size_t i = 3; i < 5; i++)
        ga_account->spare[i] = ga_actor_get(GA_DEED_FEW);
}

static void put_first_word(void)
{
    for (size_t i = 0; i < 3; i++)
        ga_actor_put(ga_account->spare[i]);
}

static void put_second_word(void)
{
    for (size_t i = 3; i < 5; i++)
        ga_actor_put(ga_account->spare[i]);
}

static void begin_batch(void)
{
    ga_deed_get_other_and_free();
    put_first_word();
}

/* Whether all slots of many[i]'s page are among the first n of many; if so, hand them over. */
static bool hand_over_page(size_t n, size_t i)
{
    size_t found = 0;
    for (size_t j = 0; j < n && found < 17; j++)
        if ((uintptr_t)ga_deed_many[j] / 8192 == (uintptr_t)ga_deed_many[i] / 8192)
            ga_account->spare[found++] = ga_deed_many[j];
    return found == 17;
}

/* All of a span, and one of another. */
static void hand_over_few(void)
{
    ga_account->spare[17] = ga_actor_get(GA_DEED_SMALL);
    for (size_t n = 0; n < sizeof(ga_deed_many) / sizeof(ga_deed_many[0]);) {
        ga_deed_many[n++] = ga_actor_get(GA_DEED_FEW);
        for (size_t i = 0; n % 17 == 0 && i < n; i++)
            if (hand_over_page(n, i))
                return;
    }
    ga_account_complain(ga_account, "no span of the survivor is full");
}

static void put_all_but_one(void)
{
    ga_deed_get_other_and_free();
    ga_actor_put(ga_account->spare[17]);
    for (size_t i = 0; i < 16; i++)
        ga_actor_put(ga_account->spare[i]);
}

static void put_last(void)
{
    ga_actor_put(ga_account->spare[16]);
}

/* More than it knows to be free; not so much that it would need the server. */
static void reuse_word(void)
{
    ga_deed_get_many(100, GA_DEED_SMALL);
}

static void reuse_few(void)
{
    ga_deed_get_many(34, GA_DEED_FEW);
}

const struct ga_client_scenario ga_client_batch_scenarios[] = {
    {.name = "free remote: a batch is begun | it reuses",
     .survivor = hand_over_words,
     .before = ga_deed_get_other_and_free,
     .operation = put_first_word,
     .reuse = reuse_word,
     .twice = true},
    {.name = "free remote: a batch is flushed, another begun | it reuses",
     .survivor = hand_over_words,
     .before = begin_batch,
     .operation = put_second_word,
     .function = "ga_batch_flush",
     .reuse = reuse_word,
     .twice = true},
    {.name = "free remote: a batch is full | it reuses",
     .survivor = hand_over_few,
     .before = put_all_but_one,
     .operation = put_last,
     .function = "ga_batch_flush",
     .reuse = reuse_few,
     .bytes = GA_DEED_FEW},
    {.name = "thread exit with a batch | it reuses",
     .survivor = hand_over_words,
     .before = begin_batch,
     .kind = GA_VICTIM_THREAD,
     .reuse = reuse_word},
    {.name = "detach with a batch | it reuses",
     .survivor = hand_over_words,
     .before = begin_batch,
     .operation = ga_deed_detach,
     .reuse = reuse_word},
    {.name = NULL},
};
