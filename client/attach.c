/* Attaching to a heap: the channel, the agreement on the layout, and the three mappings; and the
 * same once more, but for the mappings, in a child of fork. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sdt.h>
#include <time.h>
#include <unistd.h>

#include "client/address.h"
#include "client/deadline.h"
#include "client/heap.h"
#include "client/managed.h"
#include "client/mcache.h"
#include "client/owner.h"
#include "client/overlap.h"
#include "client/private_server.h"
#include "client/reclaim.h"
#include "client/track.h"
#include "client/uncancelled.h"
#include "client/written.h"
#include "proto/error.h"

#define PRIVATE_SERVERS_TRIED 5
#define DEFAULT_TIMEOUT_MS    5000u
#define NOBODY_WAIT_NS        10000000L

static _Thread_local char attach_error[GA_CHANNEL_ERROR_BYTES + 64];

const char *goalloc_attach_error(void)
{
    return attach_error;
}

const char *goalloc_strerror(int err)
{
    return ga_error_text(err);
}

static __attribute__((format(printf, 2, 3))) int fail(int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(attach_error, sizeof(attach_error), format, args);
    va_end(args);
    return err;
}

/* ---- what the server tells on its own; on the library's thread ---- */

/* Done as far as it can be; what comes back is on its way before the answer. */
static void reclaim(struct goalloc_heap *heap, const Goalloc__V1__Reclaim *asked)
{
    Goalloc__V1__Reclaimed body = GOALLOC__V1__RECLAIMED__INIT;
    body.call = asked->call;
    body.unneeded = asked->unneeded;
    body.busy_mcaches = ga_reclaim(heap, asked->unneeded ? GA_RECLAIM_UNNEEDED : GA_RECLAIM_UNUSED);
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_RECLAIMED;
    note.reclaimed = &body;
    (void)ga_channel_note(heap->channel, &note);
}

static void on_note(const Goalloc__V1__Envelope *note, void *data)
{
    struct goalloc_heap *heap = data;
    if (note->body_case == GOALLOC__V1__ENVELOPE__BODY_GC_STOP)
        ga_managed_stop(heap, note->gc_stop->cycle, note->gc_stop->tracked);
    if (note->body_case == GOALLOC__V1__ENVELOPE__BODY_GC_TRACK)
        ga_track(heap, note->gc_track);
    if (note->body_case == GOALLOC__V1__ENVELOPE__BODY_PAUSE_WANTED)
        ga_pause_set_wanted(heap,
                            note->pause_wanted->wanted ? GA_PAUSE_WANTED : GA_PAUSE_NOT_WANTED);
    if (note->body_case == GOALLOC__V1__ENVELOPE__BODY_RECLAIM)
        reclaim(heap, note->reclaim);
    /* Others are of a newer server: notes may be ignored. */
}

/* ---- attach ---- */

static int open_channel(struct goalloc_heap *heap)
{
    struct ga_channel_options options = {
        .timeout_ms = heap->timeout_ms,
        .client_name = heap->client_name,
        .on_note = on_note,
        .on_reply = ga_grants_on_reply,
        .revival = &ga_reattach_revival,
        .data = heap,
    };
    return ga_channel_open(heap->address, &options, attach_error, &heap->channel);
}

/* Ask the server for the right to use the heap. */
static int request_attach(struct goalloc_heap *heap, struct ga_reply **ret)
{
    Goalloc__V1__Attach body = GOALLOC__V1__ATTACH__INIT;
    body.layout_version = GA_LAYOUT_VERSION;
    body.policy = heap->policy;
    body.managed = heap->managed;
    body.tracks = true;
    body.profile_rate_plus_1 = ga_load_relaxed(&heap->profiler.rate_plus_1);
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_ATTACH;
    request.attach = &body;
    char detail[GA_CHANNEL_ERROR_BYTES] = "";
    int r = ga_channel_call_once(heap->channel, &request, GOALLOC__V1__ENVELOPE__BODY_ATTACHED,
                                 detail, ret);
    if (r < 0)
        return fail(r, "%s: %s", heap->address, detail[0] ? detail : ga_error_text(r));
    const Goalloc__V1__Attached *attached = ga_reply_message(*ret)->attached;
    heap->generation = attached->generation;
    ga_store_relaxed(&heap->client, attached->client);
    return 0;
}

/* From now on this is a client until it detaches or ends, with or without a connection. */
static void note_mapped(struct goalloc_heap *heap)
{
    Goalloc__V1__Mapped body = GOALLOC__V1__MAPPED__INIT;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_MAPPED;
    note.mapped = &body;
    (void)ga_channel_note(heap->channel, &note); /* where it is lost, Reattach says it too */
}

/* The server takes back the mcaches and their spans, as it does for the dead. */
static void request_detach(struct goalloc_heap *heap)
{
    Goalloc__V1__Detach body = GOALLOC__V1__DETACH__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_DETACH;
    request.detach = &body;
    struct ga_reply *reply;
    /* If the server is gone there is nobody to tell; it learns of the end of this process. */
    if (ga_channel_call_once(heap->channel, &request, GOALLOC__V1__ENVELOPE__BODY_DONE, NULL,
                             &reply) == 0)
        ga_reply_release(reply);
}

/* Say what lies where the heap is to be. */
static int fail_overlap(const char *name, uint64_t address, uint64_t bytes)
{
    char what[GA_OVERLAP_BYTES];
    ga_overlap_name(address, bytes, what);
    return fail(-EADDRINUSE,
                "heap '%s' lies at %#llx, where this process has %s; attach it once, and where it "
                "is another's, start goallocd with another --base",
                name, (unsigned long long)address, what);
}

static int map_object(struct goalloc_heap *heap, const char *name, enum ga_object object,
                      int64_t owner, uint64_t address, uint64_t bytes)
{
    int r = ga_mapping_open(name, object, false, owner, address, bytes, &heap->objects[object]);
    if (r == -EADDRINUSE)
        return fail_overlap(name, address, bytes);
    char path[GA_OBJECT_NAME_BYTES];
    ga_object_name(name, object, path);
    if (r == -EPERM)
        return fail(r, "%s does not belong to the user who serves %s", path, heap->address);
    if (r < 0)
        return fail(r, "cannot map %s: %s", path, strerror(-r));
    heap->object_fds[object] = ga_own_fd_of(heap->objects[object].fd);
    return 0;
}

/* Map meta, check that it is what the server spoke of, then map the rest. */
static int map_heap(struct goalloc_heap *heap, const Goalloc__V1__Attached *attached)
{
    const char *name = attached->heap_name;
    if (!ga_heap_name_is_valid(name))
        return fail(-EPROTO, "%s: the server named no valid heap", heap->address);
    int64_t owner;
    int r = ga_owner_of_server(ga_channel_fd(heap->channel), &owner);
    if (r < 0)
        return fail(r, "%s: cannot tell who serves: %s", heap->address, strerror(-r));

    r = map_object(heap, name, GA_OBJECT_META, owner, 0, 0);
    if (r == 0)
        r = ga_owner_of_object(heap->objects[GA_OBJECT_META].fd, &owner);
    if (r < 0)
        return r;
    const struct ga_meta_header *meta = heap->objects[GA_OBJECT_META].address;
    char why[128];
    /* The state first: a heap in the making has nothing else to read. Pairs with its release. */
    if (ga_load_acquire(&meta->state) != GA_HEAP_LIVE)
        return fail(-EPROTO, "heap '%s' is not ready, or has ended", name);
    if (ga_geometry_check(meta, why, sizeof(why)) < 0)
        return fail(-EPROTO, "heap '%s' cannot be used: %s", name, why);
    if (meta->base != attached->heap_base || meta->reserve_bytes != attached->reserve_bytes ||
        meta->meta_bytes > heap->objects[GA_OBJECT_META].bytes)
        return fail(-EPROTO, "heap '%s' is not the one that %s serves", name, heap->address);

    r = map_object(heap, name, GA_OBJECT_BITS, owner, 0, meta->bits_bytes);
    if (r < 0)
        return r;
    const struct ga_bits_header *bits = heap->objects[GA_OBJECT_BITS].address;
    if (bits->magic != GA_BITS_MAGIC || bits->heap_id != meta->heap_id)
        return fail(-EPROTO, "the objects of heap '%s' do not belong together", name);
    r = map_object(heap, name, GA_OBJECT_HEAP, owner, meta->base, meta->reserve_bytes);
    if (r < 0)
        return r;
    heap->base = meta->base;
    heap->reserve_bytes = meta->reserve_bytes;
    heap->view = ga_view_of(meta, heap->objects[GA_OBJECT_BITS].address);
    ga_store_release(&heap->mapped, true);
    return 0;
}

static int check_options(const struct goalloc_options *options)
{
    if (options->size != sizeof(*options))
        return fail(-EINVAL, "options.size is %zu, expected is %zu", options->size,
                    sizeof(*options));
    if (options->policy > GOALLOC_POLICY_UNREACHABLE)
        return fail(-EINVAL, "options.policy is %u, which is no policy", options->policy);
    if (options->flags & ~GOALLOC_MANAGED)
        return fail(-EINVAL, "options.flags is %#x, which has unknown flags", options->flags);
    if (options->stop_signal && !(options->flags & GOALLOC_MANAGED))
        return fail(-EINVAL, "options.stop_signal is for managed processes");
    return 0;
}

static void close_object(struct goalloc_heap *heap, int object)
{
    if (!ga_own_fd_is_ours(&heap->object_fds[object]))
        heap->objects[object].fd = -1; /* the program has closed it */
    ga_mapping_close(&heap->objects[object]);
}

static void unmap_heap(struct goalloc_heap *heap)
{
    for (int i = GA_OBJECT_COUNT; i-- > 0;)
        close_object(heap, i);
}

/* Free heap, which is not mapped and has no channel. */
static void free_heap(struct goalloc_heap *heap)
{
    pthread_cond_destroy(&heap->asked);
    pthread_mutex_destroy(&heap->lock);
    pthread_mutex_destroy(&heap->pausing);
    ga_profile_fini(heap);
    ga_managed_end(heap);
    ga_written_end(heap);
    free(heap->client_name);
    free(heap->address);
    ga_registry_free_heap(heap);
}

/* What a managed process needs before anybody may ask it to stand still. */
static int begin_managed(struct goalloc_heap *heap, const struct goalloc_options *options)
{
    char why[GA_STOP_WHY_BYTES];
    int r =
        options->flags & GOALLOC_MANAGED ? ga_managed_begin(heap, options->stop_signal, why) : 0;
    return r < 0 ? fail(r, "the process cannot be managed: %s", why) : 0;
}

static int make_heap(const char *address, const struct goalloc_options *options,
                     struct goalloc_heap **ret)
{
    char path[GA_ADDRESS_BYTES];
    int r = ga_address_resolve(address, path);
    if (r < 0)
        return fail(r, "'%.128s' cannot be the path of a socket, which has 1 to %d bytes: %s",
                    address ? address : "", GA_ADDRESS_BYTES - 1, ga_error_text(r));
    struct goalloc_heap *heap = ga_registry_new_heap();
    if (!heap)
        return fail(-ENOMEM, "out of memory");
    for (int i = 0; i < GA_OBJECT_COUNT; i++)
        heap->objects[i] = GA_MAPPING_NONE;
    pthread_cond_init(&heap->asked, NULL);
    pthread_mutex_init(&heap->lock, NULL);
    pthread_mutex_init(&heap->pausing, NULL);
    ga_profile_init(heap);
    heap->report = options->report;
    heap->report_data = options->report_data;
    heap->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    heap->policy = options->policy;
    heap->generation_of_fork = ga_fork_count();
    heap->address = strdup(path);
    heap->client_name = options->client_name ? strdup(options->client_name) : NULL;
    if (!heap->address || (options->client_name && !heap->client_name)) {
        free_heap(heap);
        return fail(-ENOMEM, "out of memory");
    }
    *ret = heap;
    return 0;
}

bool ga_attach_is_nobody(int err)
{
    return err == -ENOENT || err == -ECONNREFUSED || err == -ENOTCONN || err == -ECONNRESET ||
           err == -EPIPE;
}

bool ga_attach_may_pass(int err)
{
    return ga_attach_is_nobody(err) || err == -EBUSY; /* a snapshot is being written */
}

/* So that a fork meanwhile finds no channel that is half closed. */
static void close_channel(struct goalloc_heap *heap)
{
    pthread_mutex_lock(&heap->lock);
    struct ga_channel *channel = heap->channel;
    heap->channel = NULL;
    pthread_mutex_unlock(&heap->lock);
    ga_channel_close(channel);
}

/* Connect and attach. Where nobody serves, the user's private server may be started. It may be
 * about to end just now, and then it is another that attaches us. */
static int connect_and_attach(struct goalloc_heap *heap, struct ga_reply **ret)
{
    for (int tries = 0;; tries++) {
        int r = open_channel(heap);
        if (r == 0)
            r = request_attach(heap, ret);
        if (!ga_attach_is_nobody(r) || !heap->may_start || tries == PRIVATE_SERVERS_TRIED)
            return r;
        close_channel(heap);
        r = ga_private_server_start(heap->address, attach_error);
        if (r < 0)
            return r;
    }
}

/* Whether a private server may be started for address, which has become path, its folder being
 * there. Never in the system's place, also if that goes away just now. */
static int prepare_private(const char *address, const char *path, bool *ret_may_start)
{
    bool may_start = ga_address_is_default(address) && strcmp(path, GA_ADDRESS_SYSTEM) != 0 &&
                     ga_private_server_is_allowed();
    int r = ga_address_check_folder(address, may_start);
    if (r == -EACCES)
        return fail(r, "the folder of the default socket, in /tmp, is not this user's alone");
    *ret_may_start = may_start && r == 0;
    return 0;
}

/* Map the heap and make it one of this process's, which a fork finds both done or neither: then its
 * child can use what *ret_heap says, or attach the heap itself. */
static int enter(struct goalloc_heap *heap, const Goalloc__V1__Attached *attached,
                 struct goalloc_heap **ret_heap)
{
    ga_registry_begin_change();
    int r = map_heap(heap, attached);
    if (r == 0) {
        r = ga_registry_add(heap);
        if (r < 0)
            fail(r, "this process has attached %u heaps already, the most it can", GA_HEAPS_MAX);
    }
    if (r == 0) {
        note_mapped(heap);
        *ret_heap = heap;
    } else {
        unmap_heap(heap);
    }
    ga_registry_end_change();
    return r;
}

int goalloc_attach(const char *address, const struct goalloc_options *options,
                   struct goalloc_heap **ret_heap)
{
    GA_UNCANCELLED;
    static const struct goalloc_options defaults = {.size = sizeof(defaults)};
    options = options ? options : &defaults;
    struct goalloc_heap *heap = NULL;
    int r = check_options(options);
    if (r < 0)
        return r;
    r = make_heap(address, options, &heap);
    if (r < 0)
        return r;

    assert(heap);
    struct ga_reply *reply = NULL;
    r = begin_managed(heap, options);
    if (r == 0 && !ga_profile_read_rate(heap))
        r = fail(-EINVAL, "GOALLOC_PROFILE_RATE is no size such as 512K, and no 0");
    if (r == 0)
        r = prepare_private(address, heap->address, &heap->may_start);
    if (r == 0)
        r = connect_and_attach(heap, &reply);
    bool attached = r == 0;
    if (r == 0)
        r = enter(heap, ga_reply_message(reply)->attached, ret_heap);
    ga_reply_release(reply);
    if (r < 0) {
        if (attached)
            request_detach(heap);
        close_channel(heap);
        free_heap(heap);
        return r;
    }
    attach_error[0] = '\0';
    DTRACE_PROBE2(goalloc, attach, heap->view.meta->name, ga_load_relaxed(&heap->client));
    return 0;
}

/* ---- after fork ---- */

/* Whether this very process has attached heap; then *ret is its channel. */
static bool is_attached(struct goalloc_heap *heap, struct ga_channel **ret)
{
    pthread_mutex_lock(&heap->lock);
    bool attached = heap->generation_of_fork == ga_fork_count();
    *ret = heap->channel;
    pthread_mutex_unlock(&heap->lock);
    return attached;
}

int ga_attach_begin_asking(struct goalloc_heap *heap, const struct timespec *deadline)
{
    int r = 0;
    pthread_mutex_lock(&heap->lock);
    uint8_t before = ga_busy_begin_wait(NULL);
    while (heap->asking && r == 0)
        r = deadline ? pthread_cond_clockwait(&heap->asked, &heap->lock, CLOCK_MONOTONIC, deadline)
                     : pthread_cond_wait(&heap->asked, &heap->lock);
    ga_busy_end_wait(before);
    if (r == 0)
        heap->asking = true;
    pthread_mutex_unlock(&heap->lock);
    return -r;
}

void ga_attach_end_asking(struct goalloc_heap *heap)
{
    pthread_mutex_lock(&heap->lock);
    heap->asking = false;
    pthread_cond_signal(&heap->asked);
    pthread_mutex_unlock(&heap->lock);
}

int ga_attach_after_fork(struct goalloc_heap *heap)
{
    struct ga_channel *channel;
    if (is_attached(heap, &channel))
        return 0;
    struct ga_reply *reply = NULL;
    if (ga_reattach_heap_has_ended(heap))
        return -ENOTCONN;
    int r = connect_and_attach(heap, &reply);
    if (r == 0 && ga_reply_message(reply)->attached->heap_id != heap->view.meta->heap_id)
        r = fail(-ESTALE, "%s serves another heap than before the fork", heap->address);
    if (r < 0 && reply)
        request_detach(heap);
    ga_reply_release(reply);
    if (r < 0) {
        close_channel(heap);
        return r;
    }
    note_mapped(heap);
    DTRACE_PROBE2(goalloc, attach, heap->view.meta->name, ga_load_relaxed(&heap->client));
    pthread_mutex_lock(&heap->lock);
    heap->generation_of_fork = ga_fork_count();
    pthread_mutex_unlock(&heap->lock);
    return 0;
}

static int try_attach_channel(struct goalloc_heap *heap, const struct timespec *deadline,
                              struct ga_channel **ret)
{
    GA_UNCANCELLED; /* or the thread would take a lock with it */
    int r = 0;
    if (!is_attached(heap, ret)) {
        r = ga_attach_begin_asking(heap, deadline);
        if (r == 0) {
            r = ga_attach_after_fork(heap);
            *ret = heap->channel;
            ga_attach_end_asking(heap);
        }
    }
    return r;
}

int ga_attach_channel_until(struct goalloc_heap *heap, const struct timespec *deadline,
                            struct ga_channel **ret)
{
    GA_UNCANCELLED;
    ga_registry_meet_copy(heap);
    for (;;) {
        int r = try_attach_channel(heap, deadline, ret);
        if (r == 0 || !ga_attach_may_pass(r) || ga_reattach_heap_has_ended(heap))
            return r;
        if (ga_deadline_left_ms(deadline) == 0)
            return -ETIMEDOUT;
        uint8_t before = ga_busy_begin_wait(NULL);
        nanosleep(&(struct timespec){.tv_nsec = NOBODY_WAIT_NS}, NULL);
        ga_busy_end_wait(before);
    }
}

int ga_attach_channel(struct goalloc_heap *heap, struct ga_channel **ret)
{
    struct timespec deadline = ga_deadline_in(heap->timeout_ms);
    return ga_attach_channel_until(heap, &deadline, ret);
}

/* ---- detach ---- */

void goalloc_detach(struct goalloc_heap *heap)
{
    GA_UNCANCELLED;
    if (!heap)
        return;
    ga_registry_meet_copy(heap);
    DTRACE_PROBE1(goalloc, detach, ga_load_relaxed(&heap->client));
    ga_registry_begin_change();
    heap->going = true;
    ga_registry_end_change();
    ga_thread_cache_begin_detach(heap);
    if (heap->channel) {
        /* What is granted after this goes back with all the rest. */
        ga_channel_stop_on_reply(heap->channel);
        request_detach(heap);
    }
    ga_thread_cache_forget_heap(heap);
    close_channel(heap);
    ga_registry_begin_change();
    ga_registry_remove(heap);
    unmap_heap(heap);
    ga_registry_end_change();
    free_heap(heap);
}

void ga_attach_drop_in_child(struct goalloc_heap *heap)
{
    unmap_heap(heap);
    free_heap(heap);
}
