/* Sampled objects: which they are, and what is known of them.
 *
 * A word for each says where the object is, in the set of its 32 pages, and at which site of which
 * client it was allocated. It is there from the object's allocation until somebody frees it, who
 * takes it back before the slot is free: so a word never speaks of an object that came later. How
 * many there are in a span stands in the high half of the span line's nholds, counted up before a
 * word is put in and down after it is taken out: wherever somebody is killed the count is never too
 * low, and while it is 0 a free need not look. What a count is too high costs the frees in that
 * span a look, until the span goes.
 *
 * To find a word is to look at two cache lines. Where those are full the object is not sampled. */
#ifndef GA_SHM_SAMPLE_H
#define GA_SHM_SAMPLE_H

#include <stdbool.h>

#include "shm/view.h"

/* An object's place in its set, in steps of 8 bytes, and the rest: 15 + 12 + 11 + 26 bits. */
#define GA_SAMPLE_SITE_SHIFT     15
#define GA_SAMPLE_CLIENT_SHIFT   26
#define GA_SAMPLE_INSTANCE_SHIFT 38
#define GA_SAMPLE_INSTANCE_MASK  ((UINT32_C(1) << 26) - 1)
static_assert(GA_SAMPLE_SET_NPAGES * GA_PAGE_SIZE / 8 == UINT64_C(1) << GA_SAMPLE_SITE_SHIFT,
              "places of 8 bytes");
static_assert(GA_PROFILE_SITES <= 1u << (GA_SAMPLE_CLIENT_SHIFT - GA_SAMPLE_SITE_SHIFT), "sites");
static_assert(GA_CLIENT_COUNT <= 1u << (GA_SAMPLE_INSTANCE_SHIFT - GA_SAMPLE_CLIENT_SHIFT),
              "clients");

static inline uint32_t ga_sample_site(uint64_t word)
{
    return (uint32_t)(word >> GA_SAMPLE_SITE_SHIFT) &
           ((1u << (GA_SAMPLE_CLIENT_SHIFT - GA_SAMPLE_SITE_SHIFT)) - 1);
}

static inline uint32_t ga_sample_client(uint64_t word)
{
    return (uint32_t)(word >> GA_SAMPLE_CLIENT_SHIFT) & (GA_CLIENT_COUNT - 1);
}

static inline uint32_t ga_sample_instance(uint64_t word)
{
    return (uint32_t)(word >> GA_SAMPLE_INSTANCE_SHIFT);
}

/* A word without its place, which put adds. instance: of the client's number, not 0. */
static inline uint64_t ga_sample_make(uint32_t client, uint32_t instance, uint32_t site)
{
    return (uint64_t)(instance & GA_SAMPLE_INSTANCE_MASK) << GA_SAMPLE_INSTANCE_SHIFT |
           (uint64_t)client << GA_SAMPLE_CLIENT_SHIFT | (uint64_t)site << GA_SAMPLE_SITE_SHIFT;
}

/* A client, of which there was never another: not 0. */
static inline uint64_t ga_sample_who(uint32_t client, uint32_t instance)
{
    return ga_sample_make(client, instance, 0);
}

/* The same among those who free, with its pid, which says who it was when it is long gone. */
static inline uint64_t ga_sample_freer(uint64_t who, uint32_t pid)
{
    return who | (pid & ((UINT64_C(1) << GA_SAMPLE_CLIENT_SHIFT) - 1));
}

static inline uint32_t ga_sample_freer_pid(uint64_t freer)
{
    return (uint32_t)(freer & ((UINT64_C(1) << GA_SAMPLE_CLIENT_SHIFT) - 1));
}

/* The offset from the heap's base of the object that word, of this set, stands for. */
static inline uint64_t ga_sample_offset(uint64_t set, uint64_t word)
{
    return set * GA_SAMPLE_SET_NPAGES * GA_PAGE_SIZE +
           (word & ((UINT64_C(1) << GA_SAMPLE_SITE_SHIFT) - 1)) * 8;
}

/* What nholds says of holds, and of sampled objects. */
static inline uint32_t ga_line_holds(uint64_t nholds)
{
    return (uint32_t)nholds;
}

static inline uint32_t ga_line_samples(uint64_t nholds)
{
    return (uint32_t)(nholds >> 32);
}

/* Enter the object at offset, in the span at page, before anybody else can know of it. False if
 * there is no room. Any process; a kill in it leaves it done, or a count that is too high. */
bool ga_sample_put(const struct ga_view *view, ga_page_id page, uint64_t offset, uint64_t word);

/* Whether the object at offset is sampled, and *ret is its word. */
bool ga_sample_find(const struct ga_view *view, uint64_t offset, uint64_t *ret);

/* The same for who frees the object, if that is all that he wants to know. */
bool ga_sample_has(const struct ga_view *view, uint64_t offset);

/* Whether the index-th word of the set, not 0, is the one that is found for its object. */
bool ga_sample_is_in_place(const struct ga_view *view, uint64_t set, uint32_t index);

/* If the object at offset, in the span at page, is sampled: it is not any more, and *ret is what
 * its word was. Of several who do it at once one gets true. */
bool ga_sample_take(const struct ga_view *view, ga_page_id page, uint64_t offset, uint64_t *ret);

/* Forget what is sampled of a span in which nothing is in use, and set its count to 0. Returns how
 * many there were. By the server. */
uint32_t ga_sample_forget_span(const struct ga_view *view, ga_page_id page, uint64_t npages);

#endif
