/* A look is four short messages. What fails is told by ga_source_ask; from then on nothing is
 * asked, and each look tries to connect, silently: the page says that the server is away. */
#include "client/ctl/feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/ctl/ask.h"
#include "client/ctl/feed_sites.h"
#include "client/ctl/feed_text.h"
#include "client/ctl/map_json.h"

#define MAP_RUNS_MAX  (GA_PAGES_PER_ARENA + 1) /* so that an arena is always told run by run */
#define MAP_CELLS_MAX 8192u
#define AGES_KEPT     5u /* looks that ages go on being fetched after somebody wanted them */

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct look {
    struct ga_answer status;
    struct ga_answer stats;
    struct ga_ctl_view clients;
    struct ga_feed_sample sample;
};

static int take_look(const struct ga_feed *feed, struct look *look)
{
    int r = ga_ask_status(feed->ctl, &look->status);
    if (r == 0)
        r = ga_ask_stats(feed->ctl, &look->stats);
    if (r == 0)
        r = ga_ctl_view_fetch(feed->ctl, NULL, &look->clients);
    if (r < 0)
        return r;
    const Goalloc__V1__Stats *stats = look->stats.message->stats;
    look->sample = (struct ga_feed_sample){
        .time_ms = now_ms(),
        .alloc_bytes = stats->alloc_bytes,
        .inuse_bytes = stats->heap_inuse_bytes,
        .committed_bytes = stats->heap_sys_bytes - stats->heap_released_bytes,
        .released_bytes = stats->heap_released_bytes,
        .objects = stats->heap_objects,
        .mallocs = stats->mallocs,
        .frees = stats->frees,
        .total_alloc_bytes = stats->total_alloc_bytes,
        .server_cpu_ms = look->status.message->status->cpu_ns / 1000000,
    };
    return 0;
}

static void end_look(struct look *look)
{
    ga_answer_fini(&look->status);
    ga_answer_fini(&look->stats);
    ga_ctl_view_fini(&look->clients);
}

static void replace(struct ga_document **where, struct ga_document *document)
{
    ga_document_unref(*where);
    *where = document;
}

/* Under lock. look NULL: the server was not reached. */
static void make_documents(struct ga_feed *feed, const struct look *look)
{
    struct ga_feed_look text = {.feed = feed, .clients = &feed->clients};
    if (look) {
        text.status = look->status.message->status;
        text.stats = look->stats.message->stats;
        text.sample = &look->sample;
    }
    feed->sequence++;
    replace(&feed->metrics, ga_document_write(ga_feed_write_metrics, &text));
    replace(&feed->state, ga_document_write(ga_feed_write_state, &text));
}

static void enter(struct ga_feed *feed, struct look *look)
{
    pthread_mutex_lock(&feed->lock);
    feed->alive = true;
    feed->samples[feed->nsamples++ % GA_FEED_SAMPLES] = look->sample;
    struct ga_ctl_view old = feed->clients;
    feed->clients = look->clients;
    look->clients = old;
    make_documents(feed, look);
    pthread_mutex_unlock(&feed->lock);
}

static void lose(struct ga_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    if (feed->alive)
        feed->lost_ms = now_ms();
    feed->alive = false;
    make_documents(feed, NULL);
    pthread_mutex_unlock(&feed->lock);
}

/* Ages are many messages, so they are asked for only while somebody looks at them. */
static int fetch_ages(struct ga_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    bool wanted = feed->has_map_source && feed->ages_wanted != 0 &&
                  feed->sequence <= feed->ages_wanted + AGES_KEPT;
    pthread_mutex_unlock(&feed->lock);
    if (!wanted)
        return 0;
    struct ga_map_source fetched = {.is_live = false};
    int r = ga_map_source_fetch_ages(feed->ctl, &fetched);
    pthread_mutex_lock(&feed->lock);
    free(feed->map_source.ages);
    feed->map_source.ages = fetched.ages;
    feed->map_source.npages_ages = fetched.npages_ages;
    pthread_mutex_unlock(&feed->lock);
    return r;
}

/* The heap of a server that has come may be another one. */
static int open_map(struct ga_feed *feed)
{
    struct ga_map_source source;
    int r = ga_map_source_open(feed->ctl, &source);
    pthread_mutex_lock(&feed->lock);
    if (feed->has_map_source)
        ga_map_source_close(&feed->map_source);
    feed->has_map_source = r == 0;
    if (r == 0)
        feed->map_source = source;
    for (size_t i = 0; i < GA_FEED_MAPS; i++)
        feed->maps[i].sequence = 0;
    feed->sites_sequence = 0;
    pthread_mutex_unlock(&feed->lock);
    return r;
}

static int look_once(struct ga_feed *feed)
{
    struct look look = {0};
    int r = take_look(feed, &look);
    if (r == 0)
        r = fetch_ages(feed);
    if (r == 0)
        enter(feed, &look);
    end_look(&look);
    return r;
}

static void try_again(struct ga_feed *feed)
{
    if (ga_source_reopen(&feed->ctl->source) < 0 || open_map(feed) < 0 || look_once(feed) < 0)
        lose(feed);
    else
        fputs("goallocctl: the server is back\n", stderr);
}

void ga_feed_look(struct ga_feed *feed)
{
    if (feed->ctl->source.heap)
        return; /* a copy, which does not change */
    if (!feed->alive) {
        try_again(feed);
    } else if (look_once(feed) < 0) {
        fputs("goallocctl: the server is away; waiting for it\n", stderr);
        lose(feed);
    }
}

int ga_feed_open(struct ga_ctl *ctl, struct ga_feed *ret)
{
    *ret = (struct ga_feed){.ctl = ctl};
    pthread_mutex_init(&ret->lock, NULL);
    int r = open_map(ret);
    if (r == 0)
        r = look_once(ret);
    if (r < 0)
        ga_feed_close(ret);
    return r;
}

void ga_feed_close(struct ga_feed *feed)
{
    for (size_t i = 0; i < GA_FEED_MAPS; i++)
        ga_document_unref(feed->maps[i].document);
    ga_document_unref(feed->sites);
    ga_document_unref(feed->state);
    ga_document_unref(feed->metrics);
    ga_ctl_view_fini(&feed->clients);
    if (feed->has_map_source)
        ga_map_source_close(&feed->map_source);
    pthread_mutex_destroy(&feed->lock);
}

static struct ga_document *take(struct ga_feed *feed, struct ga_document *const *where)
{
    pthread_mutex_lock(&feed->lock);
    struct ga_document *document = ga_document_ref(*where);
    pthread_mutex_unlock(&feed->lock);
    return document;
}

struct ga_document *ga_feed_state(struct ga_feed *feed)
{
    return take(feed, &feed->state);
}

struct ga_document *ga_feed_metrics(struct ga_feed *feed)
{
    return take(feed, &feed->metrics);
}

struct ga_document *ga_feed_history(struct ga_feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    struct ga_document *document = ga_document_write(ga_feed_write_history, feed);
    pthread_mutex_unlock(&feed->lock);
    return document;
}

struct drawn {
    const struct ga_feed *feed;
    const struct ga_map *map;
};

static void write_map(FILE *out, const void *data)
{
    const struct drawn *drawn = data;
    struct ga_json json;
    ga_json_init(&json, out);
    ga_json_begin_object(&json, NULL);
    ga_json_number(&json, "sequence", drawn->feed->sequence);
    ga_map_write_json(drawn->map, &json);
    ga_json_end(&json);
}

static int draw(struct ga_feed *feed, const struct ga_map_order *order, struct ga_document **ret)
{
    struct ga_map map;
    uint64_t bad_page;
    int r = ga_map_draw(order, &map, &bad_page);
    if (r < 0)
        return r;
    if (map.from_page >= map.end_page && order->arena > 0)
        r = -ERANGE;
    else if (!(*ret = ga_document_write(write_map, &(struct drawn){feed, &map})))
        r = -ENOMEM;
    ga_map_fini(&map);
    return r;
}

/* The place of this map among those that are kept, or of the oldest. */
static struct ga_feed_map *place_of(struct ga_feed *feed, enum ga_map_by by, uint64_t arena,
                                    uint64_t narenas)
{
    struct ga_feed_map *oldest = &feed->maps[0];
    for (struct ga_feed_map *map = feed->maps; map < feed->maps + GA_FEED_MAPS; map++) {
        if (map->sequence != 0 && map->by == by && map->arena == arena && map->narenas == narenas)
            return map;
        if (map->sequence < oldest->sequence)
            oldest = map;
    }
    return oldest;
}

static int map_locked(struct ga_feed *feed, enum ga_map_by by, uint64_t arena, uint64_t narenas,
                      struct ga_document **ret)
{
    if (by == GA_MAP_BY_AGE && feed->ctl->source.heap)
        return -EOPNOTSUPP;
    if (by == GA_MAP_BY_AGE)
        feed->ages_wanted = feed->sequence;
    if (!feed->has_map_source || (by == GA_MAP_BY_AGE && !feed->map_source.ages))
        return -EAGAIN;
    struct ga_feed_map *kept = place_of(feed, by, arena, narenas);
    if (kept->sequence != feed->sequence || kept->by != by || kept->arena != arena ||
        kept->narenas != narenas) {
        struct ga_map_order order = {.view = &feed->map_source.view,
                                     .clients = &feed->clients,
                                     .ages = feed->map_source.ages,
                                     .npages_ages = feed->map_source.npages_ages,
                                     .by = by,
                                     .arena = arena,
                                     .narenas = narenas,
                                     .runs_max = MAP_RUNS_MAX,
                                     .cells_max = MAP_CELLS_MAX};
        struct ga_document *document;
        int r = draw(feed, &order, &document);
        if (r < 0)
            return r;
        ga_document_unref(kept->document);
        *kept = (struct ga_feed_map){by, arena, narenas, feed->sequence, document};
    }
    *ret = ga_document_ref(kept->document);
    return 0;
}

int ga_feed_map(struct ga_feed *feed, enum ga_map_by by, uint64_t arena, uint64_t narenas,
                struct ga_document **ret)
{
    pthread_mutex_lock(&feed->lock);
    int r = map_locked(feed, by, arena, narenas, ret);
    pthread_mutex_unlock(&feed->lock);
    return r;
}

int ga_feed_profile(struct ga_feed *feed, enum ga_pprof_default shown, struct ga_document **ret)
{
    uint8_t *bytes = NULL;
    size_t nbytes = 0;
    /* Under lock, for it uses the channel, which the feeding thread closes once the server is lost.
     */
    pthread_mutex_lock(&feed->lock);
    int r = feed->alive ? ga_pprof_fetch(feed->ctl, 0, shown, &bytes, &nbytes) : -ENOTCONN;
    pthread_mutex_unlock(&feed->lock);
    if (r == 0)
        *ret = ga_document_of((char *)bytes, nbytes);
    return r;
}

/* Without a server they stay as it left them. */
static bool has_fresh_sites(const struct ga_feed *feed)
{
    return feed->sites_sequence != 0 &&
           (!feed->alive || feed->sequence < feed->sites_sequence + GA_FEED_SITES_LOOKS);
}

static void keep_sites(struct ga_feed *feed, struct ga_document *document, uint64_t sequence)
{
    pthread_mutex_lock(&feed->lock);
    replace(&feed->sites, ga_document_ref(document));
    feed->sites_sequence = document ? sequence : 0;
    pthread_mutex_unlock(&feed->lock);
}

int ga_feed_sites(struct ga_feed *feed, struct ga_document **ret)
{
    struct ga_profile_data data;
    struct ga_document *document = NULL;
    pthread_mutex_lock(&feed->lock);
    uint64_t sequence = feed->sequence;
    int r = 0;
    if (has_fresh_sites(feed))
        document = ga_document_ref(feed->sites);
    else
        r = feed->alive ? ga_profile_data_fetch(feed->ctl, 0, &data) : -ENOTCONN;
    pthread_mutex_unlock(&feed->lock);
    if (r < 0)
        return r;
    if (!document) {
        /* Not under lock: files are read for the names of functions. */
        document = ga_feed_sites_write(&data, sequence);
        ga_profile_data_fini(&data);
        keep_sites(feed, document, sequence);
    }
    *ret = document;
    return 0;
}
