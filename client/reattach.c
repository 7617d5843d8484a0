/* After the end of a connection: the next server is told which client this process is, by number,
 * and everything goes on. It must serve the same heap as the same user; where the heap has ended,
 * or is another now, this process keeps what it holds and is told so once. */
#include <errno.h>
#include <stdio.h>
#include <sys/sdt.h>

#include "client/heap.h"
#include "client/owner.h"
#include "client/private_server.h"
#include "proto/error.h"

#define GOES_ON "what is leased can still be used"

bool ga_reattach_heap_has_ended(const struct goalloc_heap *heap)
{
    /* Pairs with the release when it was mapped. */
    return ga_load_acquire(&heap->mapped) &&
           ga_load_acquire(&heap->view.meta->state) != GA_HEAP_LIVE;
}

static int prepare(char ret_why[static GA_CHANNEL_ERROR_BYTES], void *data)
{
    struct goalloc_heap *heap = data;
    ga_pause_set_wanted(heap, GA_PAUSE_NOT_WANTED); /* the next server says if it is */
    if (ga_reattach_heap_has_ended(heap)) {
        snprintf(ret_why, GA_CHANNEL_ERROR_BYTES, "the heap has ended with its server");
        return -ENOTCONN;
    }
    snprintf(ret_why, GA_CHANNEL_ERROR_BYTES, "the connection to goallocd has ended");
    /* Not while somebody is still attaching. */
    bool attached = ga_load_acquire(&heap->mapped) && ga_load_relaxed(&heap->client) != 0;
    return attached ? 0 : -EAGAIN;
}

static int start_server(char ret_why[static GA_CHANNEL_ERROR_BYTES], void *data)
{
    const struct goalloc_heap *heap = data;
    return heap->may_start ? ga_private_server_start(heap->address, ret_why) : -ENOENT;
}

/* Whether who serves now is the user whose objects we have mapped. */
static int check_user(const struct goalloc_heap *heap, int fd,
                      char ret_why[static GA_CHANNEL_ERROR_BYTES])
{
    int64_t server;
    int64_t owner;
    if (ga_owner_of_server(fd, &server) == 0 &&
        ga_owner_of_object(heap->objects[GA_OBJECT_META].fd, &owner) == 0 &&
        (server == GA_OWNER_ANYBODY || server == owner))
        return 0;
    snprintf(ret_why, GA_CHANNEL_ERROR_BYTES, "%s is served by another user now", heap->address);
    return -EAGAIN;
}

static int introduce(int fd, Goalloc__V1__Envelope *request,
                     char ret_why[static GA_CHANNEL_ERROR_BYTES], void *data)
{
    struct goalloc_heap *heap = data;
    int r = check_user(heap, fd, ret_why);
    if (r < 0)
        return r;
    goalloc__v1__reattach__init(&heap->reattach);
    heap->reattach.layout_version = GA_LAYOUT_VERSION;
    heap->reattach.tracks = true;
    heap->reattach.client = ga_load_relaxed(&heap->client);
    heap->reattach.heap_id = heap->view.meta->heap_id;
    heap->reattach.generation = heap->generation;
    /* seq_cst, and in this order: pairs with goalloc_resume, which takes the pause back and then
     * looks whether somebody was told of it. */
    ga_fetch_add_seq_cst(&heap->reattach_count, 1);
    heap->reattach.paused = ga_load_seq_cst(&heap->paused);
    request->body_case = GOALLOC__V1__ENVELOPE__BODY_REATTACH;
    request->reattach = &heap->reattach;
    return 0;
}

/* Whether a server that refuses with err will do so for ever. */
static bool is_final(int err)
{
    return err == -ESTALE || err == -EPERM || err == -ENOENT;
}

static int judge(const Goalloc__V1__Envelope *answer, char ret_why[static GA_CHANNEL_ERROR_BYTES],
                 void *data)
{
    struct goalloc_heap *heap = data;
    if (answer->body_case == GOALLOC__V1__ENVELOPE__BODY_FAILURE) {
        int err = ga_error_from_wire(answer->failure->code);
        const char *detail = answer->failure->detail;
        snprintf(ret_why, GA_CHANNEL_ERROR_BYTES, "%s: %s", heap->address,
                 detail[0] ? detail : ga_error_text(err));
        return is_final(err) ? err : -EAGAIN;
    }
    if (answer->body_case != GOALLOC__V1__ENVELOPE__BODY_ATTACHED ||
        answer->attached->client != heap->reattach.client ||
        answer->attached->heap_id != heap->reattach.heap_id) {
        snprintf(ret_why, GA_CHANNEL_ERROR_BYTES, "%s: the server does not answer what was asked",
                 heap->address);
        return -EAGAIN;
    }
    heap->generation = answer->attached->generation;
    return 0;
}

/* What the notes that were lost would have said, the server looks up now. */
static void revived(void *data)
{
    struct goalloc_heap *heap = data;
    DTRACE_PROBE2(goalloc, reattach, heap->view.meta->name, heap->generation);
    Goalloc__V1__Reattached body = GOALLOC__V1__REATTACHED__INIT;
    Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
    note.body_case = GOALLOC__V1__ENVELOPE__BODY_REATTACHED;
    note.reattached = &body;
    /* None any more where it is being closed. */
    pthread_mutex_lock(&heap->lock);
    struct ga_channel *channel = heap->channel;
    pthread_mutex_unlock(&heap->lock);
    if (channel)
        (void)ga_channel_note(channel, &note); /* lost again: then it is said again */
}

static void absent(const char *why, bool for_ever, void *data)
{
    char message[GA_CHANNEL_ERROR_BYTES + 64];
    if (for_ever)
        ga_pause_set_wanted(data, GA_PAUSE_NEVER);
    snprintf(message, sizeof(message), "%s; %s", why,
             for_ever ? GOES_ON : GOES_ON ", and the next server is waited for");
    ga_report(data, GOALLOC_REPORT_LOST, message);
}

const struct ga_channel_revival ga_reattach_revival = {
    .prepare = prepare,
    .start_server = start_server,
    .introduce = introduce,
    .judge = judge,
    .revived = revived,
    .absent = absent,
};
