/* What goallocctl serve shows, kept up to date: one thread asks the server once an interval,
 * however many look, and keeps what was told as documents; others take those, and draw maps. */
#ifndef GA_CTL_FEED_H
#define GA_CTL_FEED_H

#include <pthread.h>

#include "client/ctl/command.h"
#include "client/ctl/document.h"
#include "client/ctl/heap_map.h"
#include "client/ctl/map_source.h"
#include "client/ctl/pprof.h"

#define GA_FEED_INTERVAL_MS 1000u
#define GA_FEED_SAMPLES     600u /* that are kept, ten minutes */
#define GA_FEED_MAPS        8u   /* that are kept until the next look */
#define GA_FEED_SITES_LOOKS 5u   /* that sites are kept for */

/* One look, for charts. Bytes, and counts since the heap was made. */
struct ga_feed_sample {
    uint64_t time_ms; /* wall clock, since 1970 */
    uint64_t alloc_bytes;
    uint64_t inuse_bytes;
    uint64_t committed_bytes; /* that have memory */
    uint64_t released_bytes;
    uint64_t objects;
    uint64_t mallocs;
    uint64_t frees;
    uint64_t total_alloc_bytes;
    uint64_t server_cpu_ms; /* that the server's process has used */
};

struct ga_feed_map {
    enum ga_map_by by;
    uint64_t arena;
    uint64_t narenas;
    uint64_t sequence; /* of the look it is drawn after, 0 = there is none */
    struct ga_document *document;
};

struct ga_feed {
    struct ga_ctl
        *ctl; /* the source is the feeding thread's, and the rest of the feed is under lock */
    pthread_mutex_t lock;
    uint64_t sequence; /* of the last look, from 1 */
    bool alive;        /* it was answered */
    uint64_t lost_ms;  /* wall clock, when the server was lost */
    struct ga_document *state;
    struct ga_document *metrics;
    struct ga_feed_sample samples[GA_FEED_SAMPLES]; /* a ring, the last at nsamples - 1 */
    uint64_t nsamples;
    struct ga_ctl_view clients;
    struct ga_map_source map_source;
    bool has_map_source;
    uint64_t ages_wanted; /* the look after which they were, 0 = never */
    struct ga_feed_map maps[GA_FEED_MAPS];
    struct ga_document *sites;
    uint64_t sites_sequence; /* of the look they were made after, 0 = there are none */
};

/* Take the first look. ctl, whose source is open, must outlive the feed. Returns 0; or a negative
 * errno after the reason has been told on stderr. */
int ga_feed_open(struct ga_ctl *ctl, struct ga_feed *ret);
void ga_feed_close(struct ga_feed *feed);

/* Look again, unless the source is a copy of shared memory, which stays as it is. Where the server
 * does not answer, that is told on stderr once, the feed says so, and each call tries anew to reach
 * it. On the feeding thread. */
void ga_feed_look(struct ga_feed *feed);

/* The documents; each may be NULL without memory. For ga_document_unref. Thread-safe. */
struct ga_document *ga_feed_state(struct ga_feed *feed);
struct ga_document *ga_feed_metrics(struct ga_feed *feed);
struct ga_document *ga_feed_history(struct ga_feed *feed);

/* A map of these arenas: 0; -EAGAIN where it can be had after the next look; -ERANGE past the heap;
 * -EOPNOTSUPP for ages where there is no server, who alone knows them; -ENOMEM; -EBADMSG.
 * Thread-safe. */
int ga_feed_map(struct ga_feed *feed, enum ga_map_by by, uint64_t arena, uint64_t narenas,
                struct ga_document **ret);

/* The profile of all processes, for pprof, as it is now: 0; -ENOTCONN while the server is away; or
 * another negative errno after the reason has been told on stderr. Thread-safe. */
int ga_feed_profile(struct ga_feed *feed, enum ga_pprof_default shown, struct ga_document **ret);

/* The places that hold most memory, reckoned when somebody asks, at most once in
 * GA_FEED_SITES_LOOKS looks; while the server is away, as they were. Returns as ga_feed_profile. */
int ga_feed_sites(struct ga_feed *feed, struct ga_document **ret);

#endif
