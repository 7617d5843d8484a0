/* A channel to a server that does as the script says (channel_script.h), and what is sent over it.
 */
#ifndef GA_TESTS_CHANNEL_FIXTURE_H
#define GA_TESTS_CHANNEL_FIXTURE_H

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "client/channel.h"
#include "client/reply.h"
#include "channel_script.h"

#define NCALLS     300
#define PATIENT_MS 60000
#define SHORT_MS   50

#define NPAGES_LARGE 1000 /* a note of this many pages does not fit in a small buffer */

static struct fake_server server;

/* What callbacks tell the test. */
struct told {
    sem_t lost;
    _Atomic uint32_t nlost;
    uint32_t nexpected; /* notes, until all_notes */
    sem_t all_notes;
    uint32_t nnotes;    /* the library's thread; the test after all_notes */
    uint32_t ndisorder; /* likewise */
    uint32_t nwanted;   /* replies; before their callers see them */
    uint32_t nunwanted;
    struct ga_channel *closes; /* the program closes its descriptor with the next reply */
    int noted;                 /* what a note returns then */
};

static inline void tell_note(const Goalloc__V1__Envelope *note, void *data)
{
    struct told *told = data;
    if (note->body_case != GOALLOC__V1__ENVELOPE__BODY_ROOT || note->root->offset != told->nnotes)
        told->ndisorder++;
    if (++told->nnotes == told->nexpected)
        sem_post(&told->all_notes);
}

static inline void tell_reply(const Goalloc__V1__Envelope *reply, bool wanted, void *data)
{
    struct told *told = data;
    (void)reply;
    if (wanted)
        told->nwanted++;
    else
        told->nunwanted++;
    if (told->closes) {
        Goalloc__V1__Sync body = GOALLOC__V1__SYNC__INIT;
        Goalloc__V1__Envelope note = GOALLOC__V1__ENVELOPE__INIT;
        note.body_case = GOALLOC__V1__ENVELOPE__BODY_SYNC;
        note.sync = &body;
        close(ga_channel_fd(told->closes));
        told->noted = ga_channel_note(told->closes, &note);
    }
}

static inline void tell_lost(void *data)
{
    struct told *told = data;
    told->nlost++;
    sem_post(&told->lost);
}

static inline struct ga_channel *open_channel(uint32_t timeout_ms, struct memory *memory,
                                              struct told *told)
{
    memset(memory, 0, sizeof(*memory));
    memset(told, 0, sizeof(*told));
    told->nexpected = NNOTES_FROM_SERVER;
    sem_init(&told->lost, 0, 0);
    sem_init(&told->all_notes, 0, 0);
    fake_start(&server, answer, memory);
    struct ga_channel_options options = {.timeout_ms = timeout_ms,
                                         .on_note = tell_note,
                                         .on_reply = tell_reply,
                                         .on_lost = tell_lost,
                                         .data = told};
    struct ga_channel *ch = NULL;
    char error[GA_CHANNEL_ERROR_BYTES] = "";
    /* The server may be late for the Welcome when the machine is busy and the limit short. */
    int r = ga_channel_open(server.path, &options, error, &ch);
    while (r == -ETIMEDOUT && timeout_ms == SHORT_MS) {
        fake_stop(&server);
        fake_start(&server, answer, memory);
        r = ga_channel_open(server.path, &options, error, &ch);
    }
    if (r < 0)
        printf("\n    %s", error);
    CU_ASSERT_EQUAL_FATAL(r, 0);
    return ch;
}

static inline void close_channel(struct ga_channel *ch)
{
    ga_channel_close(ch);
    fake_stop(&server);
}

/* Call with a Lookup of name. Returns as ga_channel_call. */
static inline int call_and_keep(struct ga_channel *ch, const char *name, char *ret_detail,
                                struct ga_reply **ret_reply)
{
    Goalloc__V1__Lookup lookup = GOALLOC__V1__LOOKUP__INIT;
    lookup.name = (char *)name;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_LOOKUP;
    message.lookup = &lookup;
    return ga_channel_call(ch, &message, GOALLOC__V1__ENVELOPE__BODY_ROOT, ret_detail, ret_reply);
}

/* The same, and the number in the answer. */
static inline int call(struct ga_channel *ch, const char *name, char *ret_detail,
                       uint64_t *ret_number)
{
    struct ga_reply *reply = NULL;
    int r = call_and_keep(ch, name, ret_detail, &reply);
    if (r == 0)
        *ret_number = ga_reply_message(reply)->root->offset;
    ga_reply_release(reply);
    return r;
}

/* The number in the last note of mcache that the server has read, as it says. */
static inline int call_last(struct ga_channel *ch, uint32_t mcache, uint64_t *ret_number)
{
    char name[16];
    snprintf(name, sizeof(name), "%u", mcache);
    Goalloc__V1__Unpublish unpublish = GOALLOC__V1__UNPUBLISH__INIT;
    unpublish.name = name;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_UNPUBLISH;
    message.unpublish = &unpublish;
    struct ga_reply *reply = NULL;
    int r = ga_channel_call(ch, &message, GOALLOC__V1__ENVELOPE__BODY_ROOT, NULL, &reply);
    if (r == 0)
        *ret_number = ga_reply_message(reply)->root->offset;
    ga_reply_release(reply);
    return r;
}

static inline int note(struct ga_channel *ch, uint32_t mcache, uint32_t number, size_t npages)
{
    static const uint32_t largest = UINT32_MAX;
    uint32_t pages[NPAGES_LARGE];
    for (size_t i = 0; i < npages; i++)
        pages[i] = i == 0 ? number : largest;
    Goalloc__V1__Return spans = GOALLOC__V1__RETURN__INIT;
    spans.mcache = mcache;
    spans.pages = pages;
    spans.n_pages = npages;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_RETURN_SPANS;
    message.return_spans = &spans;
    message.id = 77; /* of an earlier use; a note gets none */
    return ga_channel_note(ch, &message);
}

/* A thread of a test. */
struct worker {
    pthread_t thread;
    struct ga_channel *ch;
    uint32_t index;
    uint32_t nwrong;
    int result;
};

static inline void run_workers(struct worker workers[NTHREADS], struct ga_channel *ch,
                               void *(*run)(void *worker))
{
    for (uint32_t i = 0; i < NTHREADS; i++) {
        workers[i] = (struct worker){.ch = ch, .index = i};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < NTHREADS; i++)
        pthread_join(workers[i].thread, NULL);
}

#endif
