#include "server/shell/cycle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/shell/connection.h"
#include "server/shell/dispatch.h"
#include "server/shell/guard.h"
#include "server/shell/kept_request.h"
#include "server/shell/log.h"
#include "server/shell/reply.h"
#include "server/shell/server.h"

/* Those that have gone by then are looked for together; and no more than a tenth of a core goes
 * into looking for orphans, however many go. */
#define DELAY_MS    200u
#define DELAY_SHARE 9u
#define FAILURE_MS  10000u /* after a cycle that was abandoned */

#define GROWTH_MIN_BYTES                                                                           \
    (UINT64_C(4) << 20) /* what managed clients have before the first cycle                        \
                         */

#define GROWTH_RETRY_MS 1000u /* after a cycle that was abandoned */

#define TRIES_MAX    20u /* of who waits, while processes come and go */
#define TRY_AGAIN_MS 20u
/* While all run, what they have written is marked in so many rounds at most; the next one only
 * where it was more than so many OS pages in the last, and a quarter less than in that before. */
#define ROUNDS_MAX  8u
#define ROUND_PAGES 512u

/* And on a quarter of the cores, as in Go, unless somebody waits for the end. */
#define RUNNING_SHARE 4u

#define ENTER_NSPANS 2048u /* entered, or counted, in a turn of the loop */
#define SLICE_NSPANS 256u  /* swept */
#define OWNERS_MAX   64u   /* that are told, those with the most garbage */

struct ga_cycle_waiter {
    struct ga_cycle_waiter *next;
    struct ga_connection *connection;
    uint64_t id;
    enum ga_collect_mode mode;
    uint32_t cycle; /* whose end it waits for; 0 = of one that has not begun */
    /* A request that is handled again then; its id is id. */
    bool is_request;
    unsigned ntries;  /* cycles that were abandoned for now */
    bool for_current; /* it came when cycle was under way, and may wait for one more */
    struct ga_kept_request request;
};

static void begin_next(struct ga_server *server);

/* ---- the answer ---- */

struct answer {
    Goalloc__V1__GcResult body;
    Goalloc__V1__GcCount classes[GA_SIZE_CLASS_COUNT];
    Goalloc__V1__GcCount *class_list[GA_SIZE_CLASS_COUNT];
    Goalloc__V1__GcCount owners[OWNERS_MAX];
    Goalloc__V1__GcCount *owner_list[OWNERS_MAX];
    struct ga_client_info infos[OWNERS_MAX];
};

static void fill_classes(const struct ga_collect_result *result, struct answer *answer)
{
    for (uint32_t c = 0; c < GA_SIZE_CLASS_COUNT; c++) {
        if (result->by_class[c].objects == 0)
            continue;
        Goalloc__V1__GcCount *count = &answer->classes[answer->body.n_by_class];
        goalloc__v1__gc_count__init(count);
        count->size_class = c;
        count->objects = result->by_class[c].objects;
        count->bytes = result->by_class[c].bytes;
        answer->class_list[answer->body.n_by_class++] = count;
    }
    answer->body.by_class = answer->class_list;
}

static int by_bytes(const void *a, const void *b)
{
    uint64_t one = ((const struct ga_collect_owner *)a)->garbage.bytes;
    uint64_t other = ((const struct ga_collect_owner *)b)->garbage.bytes;
    return (one < other) - (one > other);
}

static void fill_owner(struct ga_server *server, const struct ga_collect_owner *owner,
                       struct answer *answer)
{
    size_t i = answer->body.n_by_owner++;
    Goalloc__V1__GcCount *count = &answer->owners[i];
    struct ga_client_info *info = &answer->infos[i];
    goalloc__v1__gc_count__init(count);
    count->objects = owner->garbage.objects;
    count->bytes = owner->garbage.bytes;
    if (owner->client_plus_1 != 0 &&
        ga_heap_next_client(server->heap, owner->client_plus_1 - 1, info) == 0 &&
        info->client == owner->client_plus_1 - 1) {
        count->client = info->client + 1;
        count->pid = info->pid;
        count->name = info->name;
    }
    answer->owner_list[i] = count;
}

static void fill_owners(struct ga_server *server, struct answer *answer)
{
    struct ga_collect_owner *owners = calloc(GA_CLIENT_COUNT + 1, sizeof(*owners));
    size_t n = 0;
    struct ga_collect_owner owner;
    if (!owners)
        return; /* the sums are told nevertheless */
    for (uint32_t i = 0; ga_collect_next_owner(server->heap, i, &owner) == 0;
         i = owner.client_plus_1 + 1)
        owners[n++] = owner;
    qsort(owners, n, sizeof(*owners), by_bytes);
    for (size_t i = 0; i < n && i < OWNERS_MAX; i++)
        fill_owner(server, &owners[i], answer);
    free(owners);
    answer->body.nowners = (uint32_t)n;
    answer->body.by_owner = answer->owner_list;
}

static void fill(struct ga_server *server, struct answer *answer)
{
    const struct ga_cycle *cycle = &server->cycle;
    const struct ga_collect_result *result = ga_collect_get_result(server->heap);
    Goalloc__V1__GcResult *body = &answer->body;
    goalloc__v1__gc_result__init(body);
    body->cycle = cycle->number;
    body->mode = cycle->mode;
    body->failure = (char *)(uintptr_t)(cycle->failure ? cycle->failure : ""); /* only read */
    body->nworkers = cycle->nworkers;
    body->mark_ns = cycle->mark_ns;
    body->sweep_ns = cycle->sweep_ns;
    body->found_objects = result->found.objects;
    body->found_bytes = result->found.bytes;
    body->garbage_objects = result->garbage.objects;
    body->garbage_bytes = result->garbage.bytes;
    body->freed_objects = result->freed.objects;
    body->freed_bytes = result->freed.bytes;
    body->roots = result->roots;
    body->collection = result->collection;
    body->roots_outside = result->roots_outside;
    fill_classes(result, answer);
    fill_owners(server, answer);
}

/* The first who waited for this cycle, off the list; NULL: none. */
static struct ga_cycle_waiter *take_waiter(struct ga_cycle *cycle)
{
    struct ga_cycle_waiter **link = &cycle->waiters;
    while (*link && (*link)->cycle != cycle->number)
        link = &(*link)->next;
    struct ga_cycle_waiter *waiter = *link;
    if (waiter)
        *link = waiter->next;
    return waiter;
}

/* Handle a request again, which does not wait a second time for the same. */
static void retry(const struct ga_cycle_waiter *waiter)
{
    struct ga_connection *connection = waiter->connection;
    connection->after_current = waiter->for_current;
    connection->after_collection = !waiter->for_current;
    ga_dispatch(connection, &waiter->request.message);
    connection->after_current = connection->after_collection = false;
}

/* Answer those who waited for this cycle. A request that is handled again may wait for the next. */
static void tell(struct ga_server *server)
{
    struct answer *answer = NULL;
    struct ga_cycle_waiter *waiter;
    server->cycle.telling = true;
    while ((waiter = take_waiter(&server->cycle)) != NULL) {
        if (waiter->is_request) {
            retry(waiter);
            free(waiter);
            continue;
        }
        if (!answer && (answer = calloc(1, sizeof(*answer))) != NULL)
            fill(server, answer);
        Goalloc__V1__Envelope reply = GOALLOC__V1__ENVELOPE__INIT;
        reply.body_case = GOALLOC__V1__ENVELOPE__BODY_GC_RESULT;
        reply.gc_result = answer ? &answer->body : NULL;
        if (answer)
            ga_reply(waiter->connection, waiter->id, &reply);
        else
            ga_reply_failure(waiter->connection, waiter->id, -ENOMEM, "the server has no memory");
        free(waiter);
    }
    free(answer);
    server->cycle.telling = false;
}

/* ---- the end ---- */

/* The next cycle is due when managed clients have had percent more than what is reached now. */
static void set_goal(struct ga_cycle *cycle, uint64_t reached_bytes)
{
    uint64_t least_bytes = GROWTH_MIN_BYTES * cycle->percent / 100;
    uint64_t more_bytes = reached_bytes * cycle->percent / 100; /* of a reserve it fits */
    cycle->next_bytes = reached_bytes + more_bytes;
    if (cycle->next_bytes < least_bytes)
        cycle->next_bytes = least_bytes;
    cycle->trigger_bytes =
        cycle->next_bytes > reached_bytes ? cycle->next_bytes - reached_bytes : 0;
}

/* Managed clients go on. */
static void end_standstill(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    if (server->standstill.on && server->standstill.nasked > 0) {
        cycle->pause_ns = uv_hrtime() - server->standstill.began_ns;
        cycle->pause_total_ns += cycle->pause_ns + server->track.stood_ns;
        if (cycle->pause_ns < server->track.stood_ns)
            cycle->pause_ns = server->track.stood_ns;
    }
    ga_standstill_end(server);
}

/* When they are to stand still again for having grown. */
static void note_growth(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    const struct ga_collect_result *result = ga_collect_get_result(server->heap);
    if (!cycle->failure && cycle->mode == GA_COLLECT_FULL) {
        set_goal(cycle, result->found.bytes - result->garbage.bytes);
        cycle->granted_bytes = ga_heap_managed_bytes(server->heap);
        cycle->unseen_bytes = 0;
        cycle->nfull++;
        cycle->full_end_wall_ms = ga_world_wall_ms();
    }
}

static void on_again(uv_timer_t *again)
{
    begin_next(again->data);
}

/* Processes that come and go may keep one cycle from its end, and the next perhaps not: who waited
 * for this one waits for that, some times. */
static void try_again(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    for (struct ga_cycle_waiter *waiter = cycle->waiters; waiter; waiter = waiter->next) {
        if (waiter->cycle != cycle->number || waiter->for_current || waiter->ntries == TRIES_MAX)
            continue;
        waiter->cycle = 0;
        waiter->ntries++;
        uv_timer_start(&cycle->again, on_again, TRY_AGAIN_MS, 0);
    }
}

static void finish(struct ga_server *server, const char *failure)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->failure = failure;
    if (failure)
        ga_collect_abandon(server->heap);
    else
        ga_collect_end(server->heap);
    cycle->last_end_ms = ga_world_now_ms();
    cycle->last_ms = cycle->last_end_ms - cycle->began_ns / 1000000;
    cycle->on = cycle->begun = cycle->sweeping = false;
    end_standstill(server);
    ga_track_end(server);
    if (server->ending)
        return;
    note_growth(server);
    uv_idle_stop(&cycle->slices);
    if (failure)
        ga_event_collect_abandoned(server);
    else
        ga_event_collect_end(server);
    if (failure && cycle->failed_for_now)
        try_again(server);
    tell(server);
    begin_next(server);
    ga_cycle_look(server);
}

/* ---- the sweep ---- */

static void on_slice(uv_idle_t *slices)
{
    struct ga_server *server = slices->data;
    struct ga_cycle *cycle = &server->cycle;
    if (ga_quiet_is_on(server)) {
        uv_idle_stop(slices); /* nothing may change now; ga_cycle_go_on */
        return;
    }
    uint64_t from = uv_hrtime();
    bool done = ga_collect_sweep_some(server->heap, SLICE_NSPANS);
    cycle->sweep_ns += uv_hrtime() - from;
    if (done)
        finish(server, NULL);
}

void ga_cycle_go_on(struct ga_server *server)
{
    if (server->ending)
        return;
    if (server->cycle.sweeping)
        uv_idle_start(&server->cycle.slices, on_slice);
    else
        begin_next(server);
}

/* ---- the marking ---- */

static void mark(uv_work_t *work)
{
    const struct ga_server *server = work->data;
    ga_collect_work(server->heap, server->cycle.nworkers == 1);
}

static void stop(struct ga_server *server)
{
    server->cycle.phase = GA_CYCLE_STOPPING;
    if (server->track.on)
        ga_track_clear(server);
    if (ga_standstill_begin(server))
        ga_cycle_all_stopped(server);
}

/* All is marked that was found while clients ran. What they have written meanwhile is so much that
 * it is marked while they run, too, unless it was little the last time. */
static void on_marked_running(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    if (server->ending || ga_world_is_damaged(server->world)) {
        finish(server, server->ending ? "the server ends" : "the heap is damaged");
        return;
    }
    uint64_t npages = ga_track_count(server);
    bool is_worth_it =
        cycle->nrounds == 0 || (npages > ROUND_PAGES && npages <= cycle->round_npages / 4 * 3);
    if (!ga_track_is_known(server) || !is_worth_it || cycle->nrounds == ROUNDS_MAX) {
        stop(server);
        return;
    }
    cycle->nrounds++;
    cycle->round_npages = cycle->nrounds == 1 ? UINT64_MAX : npages;
    cycle->phase = GA_CYCLE_LOOKING;
    ga_track_clear(server);
    ga_track_again(server);
}

static void on_marked(uv_work_t *work, int status)
{
    struct ga_server *server = work->data;
    struct ga_cycle *cycle = &server->cycle;
    (void)status; /* nobody cancels it */
    if (--cycle->nmarking > 0)
        return;
    if (cycle->phase == GA_CYCLE_MARKING) {
        on_marked_running(server);
        return;
    }
    int r = server->ending || cycle->failure ? -ECANCELED : ga_collect_settle(server->heap);
    cycle->mark_ns = uv_hrtime() - cycle->began_ns;
    /* What was missing has been read as zeros, and the heap ends. */
    if (cycle->failure)
        finish(server, cycle->failure);
    else if (r == 0 && ga_world_is_damaged(server->world))
        finish(server, "the heap is damaged");
    else if (r == 0 && !ga_standstill_release(server))
        finish(server, server->standstill.why);
    else if (r < 0)
        finish(server, server->ending ? "the server ends" : "there is no memory to mark with");
    else {
        /* What is garbage now nobody finds any more, and it is freed as any process frees others'
         * objects: so nobody need stand still for that. */
        end_standstill(server);
        cycle->sweeping = true;
        ga_cycle_go_on(server);
    }
}

static bool is_waited_for(const struct ga_cycle *cycle)
{
    const struct ga_cycle_waiter *waiter = cycle->waiters;
    while (waiter && waiter->cycle != cycle->number)
        waiter = waiter->next;
    return waiter;
}

/* As many threads as there are cores, of the four that libuv has; fewer while others run. */
static uint32_t count_workers(const struct ga_cycle *cycle)
{
    unsigned ncores = uv_available_parallelism();
    if (cycle->phase == GA_CYCLE_MARKING && !is_waited_for(cycle))
        ncores = ncores < RUNNING_SHARE ? 1 : ncores / RUNNING_SHARE;
    return ncores < GA_CYCLE_WORKERS_MAX ? ncores : GA_CYCLE_WORKERS_MAX;
}

static void start_marking(struct ga_server *server, enum ga_cycle_phase phase)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->phase = phase;
    cycle->nworkers = count_workers(cycle);
    for (uint32_t i = 0; i < cycle->nworkers; i++) {
        cycle->work[i].data = server;
        if (uv_queue_work(&server->loop, &cycle->work[i], mark, on_marked) == 0)
            cycle->nmarking++;
    }
    if (cycle->nmarking == 0)
        finish(server, "no thread can be had to mark with");
}

static void begin(struct ga_server *server, enum ga_collect_mode mode)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->on = true;
    cycle->mode = mode;
    cycle->number++;
    cycle->nmarking = 0;
    cycle->mark_ns = cycle->sweep_ns = 0;
    cycle->began_ns = uv_hrtime();
    for (struct ga_cycle_waiter *waiter = cycle->waiters; waiter; waiter = waiter->next)
        if (waiter->cycle == 0 && waiter->mode == mode)
            waiter->cycle = cycle->number;
    cycle->failure = NULL;
    cycle->failed_for_now = false;
    ga_event_collect_begin(server);
    cycle->phase = GA_CYCLE_TRACKING;
    cycle->nrounds = 0;
    if (!ga_heap_has_managed(server->heap) || !ga_track_begin(server))
        stop(server);
}

/* Go on in phase if what had to be done for that could be, by r. */
static void go_on_marking(struct ga_server *server, int r, enum ga_cycle_phase phase)
{
    if (r < 0)
        finish(server, "there is no memory to mark with");
    else
        start_marking(server, phase);
}

/* All that is marked is marked while clients stand still. */
static void mark_all(struct ga_server *server)
{
    server->cycle.begun = true;
    ga_collect_abandon(server->heap); /* one that has begun while they ran */
    int r = ga_collect_begin(server->heap, server->cycle.mode);
    if (r == 0)
        r = ga_standstill_add_roots(server);
    go_on_marking(server, r, GA_CYCLE_CLOSING);
}

/* All but what clients have written in the end has been marked while they ran. */
static void mark_last(struct ga_server *server)
{
    const struct ga_track *track = &server->track;
    server->cycle.begun = true;
    int r = ga_collect_look_again(server->heap, track->written, track->nwords, true);
    if (r == 0)
        r = ga_standstill_add_roots(server);
    go_on_marking(server, r, GA_CYCLE_CLOSING);
}

void ga_cycle_all_stopped(struct ga_server *server)
{
    if (!ga_collect_is_on(server->heap) || !ga_track_is_known(server)) {
        mark_all(server);
        return;
    }
    server->cycle.phase = GA_CYCLE_TELLING;
    if (ga_track_last(server))
        ga_cycle_tracked(server);
}

/* Enter what is to be marked while all run. */
static void on_enter(uv_idle_t *slices)
{
    struct ga_server *server = slices->data;
    const struct ga_track *track = &server->track;
    bool is_known = ga_track_is_known(server);
    bool done = false;
    int r = is_known ? ga_collect_enter_some(server->heap, ENTER_NSPANS, &done) : 0;
    if (is_known && r == 0 && !done)
        return;
    uv_idle_stop(slices);
    if (!is_known) {
        stop(server);
        return;
    }
    if (r == 0)
        r = ga_collect_add_roots(server->heap, track->roots, track->nroots);
    go_on_marking(server, r, GA_CYCLE_MARKING);
}

static void enter(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->phase = GA_CYCLE_ENTERING;
    if (ga_collect_prepare(server->heap, cycle->mode) < 0)
        finish(server, "there is no memory to mark with");
    else
        uv_idle_start(&cycle->slices, on_enter);
}

void ga_cycle_tracked(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    const struct ga_track *track = &server->track;
    bool is_known = ga_track_is_known(server);
    if (cycle->phase == GA_CYCLE_TELLING && is_known) {
        mark_last(server);
    } else if (cycle->phase == GA_CYCLE_TELLING) {
        mark_all(server);
    } else if (!is_known) {
        stop(server);
    } else if (cycle->phase == GA_CYCLE_LOOKING) {
        int r = ga_collect_look_again(server->heap, track->written, track->nwords, false);
        go_on_marking(server, r, GA_CYCLE_MARKING);
    } else {
        enter(server);
    }
}

void ga_cycle_give_up(struct ga_server *server, const char *failure, bool for_now)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->failed_for_now = for_now;
    if (cycle->nmarking == 0) {
        finish(server, failure);
        return;
    }
    /* Who marks ends it; the others need not wait for that. */
    cycle->failure = failure;
    ga_collect_cancel(server->heap);
    end_standstill(server);
}

/* ---- who wants one ---- */

/* The first who waits for a cycle that has not begun has it his way. */
static void begin_next(struct ga_server *server)
{
    const struct ga_cycle_waiter *waiter = server->cycle.waiters;
    if (server->cycle.on || server->cycle.telling || server->quiet.asked_by ||
        uv_is_active((const uv_handle_t *)&server->cycle.again))
        return;
    while (waiter && waiter->cycle != 0)
        waiter = waiter->next;
    if (waiter)
        begin(server, waiter->mode);
}

static struct ga_cycle_waiter *new_waiter(struct ga_connection *connection, uint64_t id,
                                          enum ga_collect_mode mode)
{
    struct ga_cycle_waiter *waiter = malloc(sizeof(*waiter));
    if (waiter)
        *waiter = (struct ga_cycle_waiter){.connection = connection, .id = id, .mode = mode};
    return waiter;
}

/* At the end of the list; begin its cycle if none is under way. */
static void wait(struct ga_server *server, struct ga_cycle_waiter *waiter)
{
    struct ga_cycle_waiter **link = &server->cycle.waiters;
    while (*link)
        link = &(*link)->next;
    *link = waiter;
    begin_next(server);
}

int ga_cycle_ask(struct ga_connection *connection, uint64_t id, enum ga_collect_mode mode)
{
    struct ga_server *server = connection->server;
    if (server->quiet.asked_by)
        return -EBUSY;
    struct ga_cycle_waiter *waiter = new_waiter(connection, id, mode);
    if (!waiter)
        return -ENOMEM;
    wait(server, waiter);
    return 0;
}

/* Of a heap that is full of what is reached, no more than half of the time goes into finding that
 * out again. */
static bool is_worth_it(const struct ga_connection *connection)
{
    const struct ga_cycle *cycle = &connection->server->cycle;
    return cycle->on || cycle->number == 0 || connection->after_current ||
           ga_world_now_ms() - cycle->last_end_ms >= cycle->last_ms;
}

/* Keep the request, to handle it again when a cycle is over. */
static struct ga_cycle_waiter *keep(struct ga_connection *connection,
                                    const Goalloc__V1__Envelope *message)
{
    struct ga_cycle_waiter *waiter = new_waiter(connection, message->id, GA_COLLECT_FULL);
    if (!waiter)
        return NULL;
    waiter->is_request = true;
    ga_kept_request_init(&waiter->request, message);
    return waiter;
}

/* Have the request wait for the end of the cycle under way, or of one that begins later. */
static bool wait_with(struct ga_connection *connection, const Goalloc__V1__Envelope *message,
                      bool for_current)
{
    struct ga_server *server = connection->server;
    struct ga_cycle_waiter *waiter = keep(connection, message);
    if (!waiter)
        return false;
    waiter->for_current = for_current;
    waiter->cycle = for_current ? server->cycle.number : 0;
    wait(server, waiter);
    return true;
}

bool ga_cycle_put_off_marking(struct ga_connection *connection,
                              const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    if (!ga_collect_is_marking(server->heap) || server->quiet.asked_by)
        return false;
    return wait_with(connection, message, true);
}

bool ga_cycle_put_off(struct ga_connection *connection, const Goalloc__V1__Envelope *message, int r)
{
    struct ga_server *server = connection->server;
    if ((r != -ENOMEM && r != -EDQUOT) || connection->after_collection || server->quiet.asked_by)
        return false;
    if (r == -ENOMEM && ga_cycle_put_off_marking(connection, message))
        return true;
    if (!ga_heap_has_managed(server->heap) || !is_worth_it(connection))
        return false;
    return wait_with(connection, message, false);
}

/* After a cycle that was abandoned: threads may have stood still for seconds, for one that does
 * not. No more than a tenth of the time goes into that. */
static uint64_t growth_pause_ms(const struct ga_cycle *cycle)
{
    uint64_t pause_ms = DELAY_SHARE * cycle->last_ms;
    return pause_ms > GROWTH_RETRY_MS ? pause_ms : GROWTH_RETRY_MS;
}

static bool is_too_soon(const struct ga_cycle *cycle)
{
    return cycle->failure && ga_world_now_ms() - cycle->last_end_ms < growth_pause_ms(cycle);
}

/* What the next cycle is to find, of what makes it due. */
#define GAIN_PART 4u

static uint64_t granted_since(const struct ga_server *server)
{
    return ga_heap_managed_bytes(server->heap) - server->cycle.granted_bytes;
}

bool ga_cycle_comes_first(struct ga_connection *connection, const Goalloc__V1__Envelope *message)
{
    struct ga_server *server = connection->server;
    const struct ga_cycle *cycle = &server->cycle;
    const Goalloc__V1__LargeAlloc *wanted = message->large_alloc;
    uint64_t since_bytes = granted_since(server);
    if (connection->after_collection || cycle->percent == 0 || server->quiet.asked_by ||
        since_bytes < cycle->trigger_bytes / GAIN_PART ||
        (since_bytes < cycle->trigger_bytes &&
         wanted->size_bytes < cycle->trigger_bytes - since_bytes) ||
        is_too_soon(cycle) || !ga_heap_has_managed(server->heap) ||
        !ga_heap_would_grow(server->heap, wanted->size_bytes, wanted->alignment))
        return false;
    /* One that is under way is as good: what was granted since it began is little. */
    return wait_with(connection, message, cycle->on && cycle->mode == GA_COLLECT_FULL);
}

void ga_cycle_note_large(struct ga_server *server, uint64_t before_bytes)
{
    uint64_t bytes = ga_heap_managed_bytes(server->heap) - before_bytes;
    if (bytes > 0)
        server->cycle.unseen_bytes = bytes;
}

/* The last large object is left out: a cycle now would find reached what it is to replace, and the
 * next large one has a cycle come before it. */
void ga_cycle_look_at_growth(struct ga_server *server)
{
    const struct ga_cycle *cycle = &server->cycle;
    if (cycle->on || cycle->percent == 0 || server->ending || server->quiet.asked_by ||
        granted_since(server) < cycle->trigger_bytes + cycle->unseen_bytes || is_too_soon(cycle))
        return;
    if (ga_heap_has_managed(server->heap))
        begin(server, GA_COLLECT_FULL);
}

void ga_cycle_forget(struct ga_connection *connection)
{
    for (struct ga_cycle_waiter **link = &connection->server->cycle.waiters; *link;) {
        struct ga_cycle_waiter *waiter = *link;
        if (waiter->connection != connection) {
            link = &waiter->next;
            continue;
        }
        *link = waiter->next;
        free(waiter);
    }
}

static void on_delay(uv_timer_t *delay)
{
    struct ga_server *server = delay->data;
    /* With the end of the one under way, or of the quiet, it is looked again. */
    if (!server->cycle.on && !server->quiet.asked_by && ga_collect_has_new_orphans(server->heap))
        begin(server, GA_COLLECT_ORPHANS);
}

void ga_cycle_look(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    if (server->ending || cycle->on || !ga_collect_has_new_orphans(server->heap) ||
        uv_is_active((uv_handle_t *)&cycle->delay))
        return;
    uint64_t pause_ms = DELAY_SHARE * cycle->last_ms;
    if (cycle->failure && pause_ms < FAILURE_MS)
        pause_ms = FAILURE_MS;
    uint64_t next_ms = cycle->number ? cycle->last_end_ms + pause_ms : 0;
    uint64_t now_ms = ga_world_now_ms();
    uint64_t wait_ms = next_ms > now_ms ? next_ms - now_ms : 0;
    uv_timer_start(&cycle->delay, on_delay, wait_ms > DELAY_MS ? wait_ms : DELAY_MS, 0);
}

int ga_cycle_init(struct ga_server *server)
{
    struct ga_cycle *cycle = &server->cycle;
    cycle->slices.data = cycle->delay.data = cycle->again.data = server;
    cycle->percent = server->world->options->gc_percent;
    set_goal(cycle, 0);
    int r = uv_idle_init(&server->loop, &cycle->slices);
    if (r == 0)
        r = uv_timer_init(&server->loop, &cycle->delay);
    return r < 0 ? r : uv_timer_init(&server->loop, &cycle->again);
}

void ga_cycle_close(struct ga_server *server)
{
    uv_close((uv_handle_t *)&server->cycle.slices, NULL);
    uv_close((uv_handle_t *)&server->cycle.delay, NULL);
    uv_close((uv_handle_t *)&server->cycle.again, NULL);
    if (server->cycle.on)
        ga_collect_cancel(server->heap);
}
