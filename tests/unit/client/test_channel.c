/* A channel in use: calls from many threads, notes in order, a server that is slow, late, dies or
 * talks nonsense, and the end. What the server does is in channel_script.h. */
#include "client/channel.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/reply.h"
#include "client/send_queue.h"
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

/* In place of the C library's: while no_replies is set, the system has no memory for a reply. */
static _Atomic bool no_replies;

__attribute__((no_sanitize("thread"))) /* which calls it before it is ready */
void *
mmap(void *address, size_t bytes, int prot, int flags, int fd, off_t offset)
{
    if (no_replies && bytes == sizeof(struct ga_reply)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, bytes, prot, flags, fd, offset);
}

static void tell_note(const Goalloc__V1__Envelope *note, void *data)
{
    struct told *told = data;
    if (note->body_case != GOALLOC__V1__ENVELOPE__BODY_ROOT || note->root->offset != told->nnotes)
        told->ndisorder++;
    if (++told->nnotes == told->nexpected)
        sem_post(&told->all_notes);
}

static void tell_reply(const Goalloc__V1__Envelope *reply, bool wanted, void *data)
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

static void tell_lost(void *data)
{
    struct told *told = data;
    told->nlost++;
    sem_post(&told->lost);
}

static struct ga_channel *open_channel(uint32_t timeout_ms, struct memory *memory,
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

static void close_channel(struct ga_channel *ch)
{
    ga_channel_close(ch);
    fake_stop(&server);
}

/* Call with a Lookup of name. Returns as ga_channel_call. */
static int call_and_keep(struct ga_channel *ch, const char *name, char *ret_detail,
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
static int call(struct ga_channel *ch, const char *name, char *ret_detail, uint64_t *ret_number)
{
    struct ga_reply *reply = NULL;
    int r = call_and_keep(ch, name, ret_detail, &reply);
    if (r == 0)
        *ret_number = ga_reply_message(reply)->root->offset;
    ga_reply_release(reply);
    return r;
}

/* The number in the last note of mcache that the server has read, as it says. */
static int call_last(struct ga_channel *ch, uint32_t mcache, uint64_t *ret_number)
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

static int note(struct ga_channel *ch, uint32_t mcache, uint32_t number, size_t npages)
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

static void run_workers(struct worker workers[NTHREADS], struct ga_channel *ch,
                        void *(*run)(void *worker))
{
    for (uint32_t i = 0; i < NTHREADS; i++) {
        workers[i] = (struct worker){.ch = ch, .index = i};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < NTHREADS; i++)
        pthread_join(workers[i].thread, NULL);
}

/* Notes and calls in turn: each answer is the one asked for, and what was noted before a call has
 * arrived before it. */
static void *note_and_call(void *arg)
{
    struct worker *w = arg;
    for (uint32_t i = 1; i <= NCALLS; i++) {
        char name[32];
        uint64_t number = 0;
        if (note(w->ch, w->index, i, i % 16 == 0 ? NPAGES_LARGE : 1) != 0)
            w->nwrong++;
        if (call_last(w->ch, w->index, &number) != 0 || number != i)
            w->nwrong++;
        snprintf(name, sizeof(name), "n%u", w->index * 1000000 + i);
        if (call(w->ch, name, NULL, &number) != 0 || number != w->index * 1000000 + i)
            w->nwrong++;
    }
    return NULL;
}

static void test_many_threads(void)
{
    struct memory memory;
    struct told told;
    struct worker workers[NTHREADS];
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    run_workers(workers, ch, note_and_call);
    close_channel(ch);
    for (uint32_t i = 0; i < NTHREADS; i++) {
        CU_ASSERT_EQUAL(workers[i].nwrong, 0);
        CU_ASSERT_EQUAL(memory.last[i], NCALLS);
    }
    CU_ASSERT_EQUAL(memory.ndisorder, 0);
    CU_ASSERT_EQUAL(told.nlost, 0);
}

static void test_answers(void)
{
    struct memory memory;
    struct told told;
    uint64_t number = 0;
    char detail[GA_CHANNEL_ERROR_BYTES] = "";
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    CU_ASSERT_EQUAL(call(ch, "fail", detail, &number), -ENOENT);
    CU_ASSERT_STRING_EQUAL(detail, "nothing is called fail");
    CU_ASSERT_EQUAL(call(ch, "fail without a word", detail, &number), -ENOSPC);
    CU_ASSERT_STRING_EQUAL(detail, ga_error_text(-ENOSPC));
    CU_ASSERT_EQUAL(call(ch, "fail", NULL, &number), -ENOENT);
    CU_ASSERT_EQUAL(call(ch, "other kind", detail, &number), -EPROTO);
    CU_ASSERT_PTR_NOT_NULL(strstr(detail, "another kind"));
    CU_ASSERT_EQUAL(number, 0);

    static char long_name[GA_FRAME_MAX_BYTES];
    memset(long_name, 'n', sizeof(long_name) - 1);
    CU_ASSERT_EQUAL(call(ch, long_name, detail, &number), -EMSGSIZE);
    CU_ASSERT_EQUAL(call(ch, "not \xff UTF-8", detail, &number), -EINVAL);
    long_name[GA_FRAME_MAX_BYTES - 64] = '\0';
    CU_ASSERT_EQUAL(call(ch, long_name, NULL, &number), 0);
    CU_ASSERT_EQUAL(call(ch, "n7", NULL, &number), 0);
    CU_ASSERT_EQUAL(number, 7);
    close_channel(ch);
}

/* Replies stay as they are while later ones come, the largest as well. */
static void test_large_replies(void)
{
    struct memory memory;
    struct told told;
    uint64_t number;
    struct ga_reply *replies[12] = {0};
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    for (size_t i = 0; i < 12; i++) {
        Goalloc__V1__ListRoots list = GOALLOC__V1__LIST_ROOTS__INIT;
        Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
        message.body_case = GOALLOC__V1__ENVELOPE__BODY_LIST_ROOTS;
        message.list_roots = &list;
        CU_ASSERT_EQUAL_FATAL(
            ga_channel_call(ch, &message, GOALLOC__V1__ENVELOPE__BODY_ROOT_LIST, NULL, &replies[i]),
            0);
        CU_ASSERT_EQUAL(call(ch, "n5", NULL, &number), 0);
    }
    for (size_t i = 0; i < 12; i++) {
        const Goalloc__V1__RootList *list = ga_reply_message(replies[i])->root_list;
        CU_ASSERT_EQUAL_FATAL(list->n_roots, NENTRIES_LARGE_LIST);
        CU_ASSERT_STRING_EQUAL(list->roots[list->n_roots - 1]->name, "n");
        ga_reply_release(replies[i]);
    }
    close_channel(ch);
}

/* A call that was given up, and then its reply comes, twice: neither disturbs the next call. */
static void test_timeout_and_late_reply(void)
{
    struct memory memory;
    struct told told;
    uint64_t number = 0;
    char detail[GA_CHANNEL_ERROR_BYTES] = "";
    struct ga_channel *ch = open_channel(SHORT_MS, &memory, &told);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(call(ch, "silent", detail, &number), -ETIMEDOUT);
        CU_ASSERT_STRING_EQUAL(detail, ga_error_text(-ETIMEDOUT));
        /* On a busy machine this, too, may be given up; its reply then is one more late one. */
        int r;
        do
            r = call(ch, "late", NULL, &number);
        while (r == -ETIMEDOUT);
        CU_ASSERT_EQUAL(r, 0);
        CU_ASSERT_EQUAL(number, 1);
    }
    close_channel(ch);
    CU_ASSERT_EQUAL(told.nlost, 0);
    CU_ASSERT_EQUAL(told.nnotes, 0);
}

/* Who has no memory for a reply does not ask for one: nothing is carried out. The next is well
 * again. */
static void test_no_memory_for_a_reply(void)
{
    struct memory memory;
    struct told told;
    struct ga_reply *kept[GA_BLOCK_POOL_KEPT + 1] = {NULL};
    uint64_t number = 0;
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    no_replies = true;
    uint32_t n = 0;
    int r = 0;
    while (r == 0 && n <= GA_BLOCK_POOL_KEPT) {
        r = call_and_keep(ch, "n1", NULL, &kept[n]);
        n += r == 0;
    }
    CU_ASSERT_EQUAL(r, -ENOMEM);
    CU_ASSERT_EQUAL(told.nwanted, n);
    CU_ASSERT_EQUAL(told.nunwanted, 0);
    no_replies = false;
    CU_ASSERT_EQUAL(call(ch, "n2", NULL, &number), 0);
    CU_ASSERT_EQUAL(number, 2);
    CU_ASSERT_EQUAL(told.nwanted, n + 1);
    CU_ASSERT_EQUAL(told.nunwanted, 0);
    for (uint32_t i = 0; i < n; i++)
        ga_reply_release(kept[i]);
    close_channel(ch);
}

static void test_notes_from_server(void)
{
    struct memory memory;
    struct told told;
    uint64_t number;
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    CU_ASSERT_EQUAL(call(ch, "send notes", NULL, &number), -EPROTO); /* answered with Done */
    sem_wait(&told.all_notes);
    CU_ASSERT_EQUAL(told.nnotes, NNOTES_FROM_SERVER);
    CU_ASSERT_EQUAL(told.ndisorder, 0);
    close_channel(ch);
}

/* Welcome and notes in one piece: the notes are there before the library's thread is. */
static void answer_notes_with_welcome(struct fake_server *fs, const Goalloc__V1__Envelope *message)
{
    static uint8_t out[GA_FRAME_BUFFER_BYTES];
    if (message->body_case != GOALLOC__V1__ENVELOPE__BODY_HELLO)
        return;
    int pair[2];
    int client = fs->fd;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    fs->fd = pair[0];
    fake_welcome(fs, message->id, GA_PROTOCOL_VERSION_MAX);
    for (uint64_t i = 0; i < NNOTES_AT_ONCE; i++)
        answer_root(fs, 0, i);
    fs->fd = client;
    ssize_t n = recv(pair[1], out, sizeof(out), 0);
    if (n > 0)
        fake_write(fs, out, (size_t)n);
    close(pair[0]);
    close(pair[1]);
}

static void test_notes_with_welcome(void)
{
    struct told told = {.nexpected = NNOTES_AT_ONCE};
    sem_init(&told.all_notes, 0, 0);
    fake_start(&server, answer_notes_with_welcome, NULL);
    struct ga_channel_options options = {
        .timeout_ms = PATIENT_MS, .on_note = tell_note, .data = &told};
    struct ga_channel *ch = NULL;
    char error[GA_CHANNEL_ERROR_BYTES] = "";
    CU_ASSERT_EQUAL_FATAL(ga_channel_open(server.path, &options, error, &ch), 0);
    sem_wait(&told.all_notes);
    CU_ASSERT_EQUAL(told.ndisorder, 0);
    close_channel(ch);
}

/* After the connection is lost: told once, and everything fails at once. */
static void check_lost(struct ga_channel *ch, struct told *told)
{
    uint64_t number;
    while (sem_wait(&told->lost) < 0)
        ;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(call(ch, "n1", NULL, &number), -ENOTCONN);
        CU_ASSERT_EQUAL(note(ch, 0, 1, 1), -ENOTCONN);
    }
    close_channel(ch);
    CU_ASSERT_EQUAL(told->nlost, 1);
}

static void *call_silent(void *arg)
{
    struct worker *w = arg;
    uint64_t number;
    w->result = call(w->ch, "silent", NULL, &number);
    return NULL;
}

/* The program closes our descriptor while a reply is looked at, and that looking sends a note. */
static void test_closed_at_a_reply(void)
{
    struct memory memory;
    struct told told;
    uint64_t number = 0;
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    struct worker waits = {.ch = ch};
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, call_silent, &waits), 0);
    usleep(20000); /* it should be waiting by then; else it finds what comes now */
    told.closes = ch;
    CU_ASSERT_EQUAL(call(ch, "n1", NULL, &number), 0);
    CU_ASSERT_EQUAL(number, 1);
    CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
    CU_ASSERT_EQUAL(waits.result, -ENOTCONN);
    CU_ASSERT_EQUAL(told.noted, -ENOTCONN);
    CU_ASSERT_EQUAL(call(ch, "n2", NULL, &number), -ENOTCONN);
    close_channel(ch);
}

static void test_server_dies_with_calls_waiting(void)
{
    struct memory memory;
    struct told told;
    struct worker workers[NTHREADS];
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    memory.nsilent_limit = NTHREADS;
    run_workers(workers, ch, call_silent);
    for (uint32_t i = 0; i < NTHREADS; i++)
        CU_ASSERT_EQUAL(workers[i].result, -ENOTCONN);
    check_lost(ch, &told);
}

static void test_last_words(void)
{
    struct memory memory;
    struct told told;
    uint64_t number = 0;
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    CU_ASSERT_EQUAL(call(ch, "last words", NULL, &number), 0);
    CU_ASSERT_EQUAL(number, 1);
    check_lost(ch, &told);

    ch = open_channel(PATIENT_MS, &memory, &told);
    CU_ASSERT_EQUAL(call(ch, "die", NULL, &number), -ENOTCONN);
    check_lost(ch, &told);
}

static void test_malformed(void)
{
    const char *const names[] = {"garbage", "empty frame", "undecodable"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct memory memory;
        struct told told;
        uint64_t number;
        struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
        CU_ASSERT_EQUAL(call(ch, names[i], NULL, &number), -EPROTO);
        check_lost(ch, &told);
    }
}

/* Far more than a socket holds is noted while the server does not read, a call behind it: all
 * arrives, in order. Then more than the queue may hold: what is refused is refused whole. */
static void test_flood(void)
{
    struct memory memory;
    struct told told;
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    uint64_t number = 0;
    uint32_t sent = 0;
    CU_ASSERT_EQUAL(note(ch, STOP_MCACHE, 0, 1), 0);
    while (sent < 1000)
        CU_ASSERT_EQUAL(note(ch, 0, ++sent, NPAGES_LARGE), 0);
    sem_post(&server.go);
    CU_ASSERT_EQUAL(call_last(ch, 0, &number), 0);
    CU_ASSERT_EQUAL(number, sent);

    CU_ASSERT_EQUAL(note(ch, STOP_MCACHE, 0, 1), 0);
    int r = 0;
    while (sent * NPAGES_LARGE < 2 * GA_SEND_QUEUE_MAX_BYTES &&
           (r = note(ch, 0, sent + 1, NPAGES_LARGE)) == 0)
        sent++;
    CU_ASSERT_EQUAL(r, -ENOMEM);
    CU_ASSERT(sent > 1000 + GA_SEND_QUEUE_MAX_BYTES / (6 * NPAGES_LARGE));
    sem_post(&server.go);
    /* The queue may still be full for a moment. */
    do
        r = call_last(ch, 0, &number);
    while (r == -ENOMEM);
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT_EQUAL(number, sent);
    close_channel(ch);
    CU_ASSERT_EQUAL(memory.nnotes, sent);
    CU_ASSERT_EQUAL(memory.ndisorder, 0);
}

static void *flood(void *arg)
{
    struct worker *w = arg;
    for (uint32_t i = 1; i <= NCALLS; i++)
        if (note(w->ch, w->index, i, i % 2 ? NPAGES_LARGE : 3) != 0)
            w->nwrong++;
    return NULL;
}

/* Close sends what many threads have queued; the server reads only once closing may have begun. */
static void test_close_sends_the_rest(void)
{
    struct memory memory;
    struct told told;
    struct worker workers[NTHREADS];
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    CU_ASSERT_EQUAL(note(ch, STOP_MCACHE, 0, 1), 0);
    run_workers(workers, ch, flood);
    sem_post(&server.go);
    close_channel(ch);
    for (uint32_t i = 0; i < NTHREADS; i++) {
        CU_ASSERT_EQUAL(workers[i].nwrong, 0);
        CU_ASSERT_EQUAL(memory.last[i], NCALLS);
    }
    CU_ASSERT_EQUAL(memory.ndisorder, 0);
    CU_ASSERT_EQUAL(told.nlost, 0);
}

/* A server that never reads does not keep close from ending. */
static void test_close_gives_up(void)
{
    struct memory memory;
    struct told told;
    struct ga_channel *ch = open_channel(SHORT_MS, &memory, &told);
    CU_ASSERT_EQUAL(note(ch, STOP_MCACHE, 0, 1), 0);
    for (uint32_t i = 1; i <= 500; i++)
        CU_ASSERT_EQUAL(note(ch, 0, i, NPAGES_LARGE), 0);
    ga_channel_close(ch);
    sem_post(&server.go);
    fake_stop(&server);
    CU_ASSERT(memory.nnotes < 500);
    CU_ASSERT_EQUAL(memory.ndisorder, 0);
    CU_ASSERT_EQUAL(told.nlost, 0);
}

/* The server ends with notes unread, which the system reports as a reset, while more are queued. */
static void test_server_dies_with_notes_unread(void)
{
    struct memory memory;
    struct told told;
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    uint64_t number;
    CU_ASSERT_EQUAL(note(ch, STOP_MCACHE, 0, 1), 0);
    Goalloc__V1__Envelope sync = GOALLOC__V1__ENVELOPE__INIT;
    Goalloc__V1__Sync body = GOALLOC__V1__SYNC__INIT;
    sync.body_case = GOALLOC__V1__ENVELOPE__BODY_SYNC; /* the server hangs up on it */
    sync.sync = &body;
    CU_ASSERT_EQUAL(ga_channel_note(ch, &sync), 0);
    for (uint32_t i = 1; i <= 1000; i++)
        CU_ASSERT_EQUAL(note(ch, 0, i, NPAGES_LARGE), 0);
    sem_post(&server.go);
    CU_ASSERT_EQUAL(call(ch, "n1", NULL, &number), -ENOTCONN);
    check_lost(ch, &told);
}

/* Who keeps an answer has it still when the channel that it came by is closed, and gives it back
 * then. */
static void test_close_with_replies(void)
{
    struct memory memory;
    struct told told;
    struct ga_reply *reply[3] = {NULL};
    struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
    CU_ASSERT_EQUAL_FATAL(call_and_keep(ch, "n17", NULL, &reply[0]), 0);
    CU_ASSERT_EQUAL_FATAL(call_and_keep(ch, "n18", NULL, &reply[1]), 0);
    CU_ASSERT_EQUAL_FATAL(call_and_keep(ch, "n19", NULL, &reply[2]), 0);
    ga_reply_release(reply[1]);
    close_channel(ch);
    CU_ASSERT_EQUAL(ga_reply_message(reply[2])->root->offset, 19);
    ga_reply_release(reply[2]);
    CU_ASSERT_EQUAL(ga_reply_message(reply[0])->root->offset, 17);
    ga_reply_release(reply[0]);
}

static void test_close_idle(void)
{
    struct memory memory;
    struct told told;
    for (int i = 0; i < 20; i++) {
        struct ga_channel *ch = open_channel(PATIENT_MS, &memory, &told);
        close_channel(ch);
        CU_ASSERT_EQUAL(told.nlost, 0);
    }
}

int main(void)
{
    const struct ga_test tests[] = {
        {"calls and notes from many threads", test_many_threads},
        {"answers of every kind", test_answers},
        {"large replies", test_large_replies},
        {"time limit and late replies", test_timeout_and_late_reply},
        {"no memory for a reply", test_no_memory_for_a_reply},
        {"notes from the server", test_notes_from_server},
        {"notes together with Welcome", test_notes_with_welcome},
        {"descriptors closed while a reply is looked at", test_closed_at_a_reply},
        {"the server dies, calls are waiting", test_server_dies_with_calls_waiting},
        {"the server dies after an answer, or before", test_last_words},
        {"the server dies, notes are unread", test_server_dies_with_notes_unread},
        {"malformed messages", test_malformed},
        {"a server that does not read", test_flood},
        {"close sends the rest", test_close_sends_the_rest},
        {"close gives up", test_close_gives_up},
        {"close while replies are kept", test_close_with_replies},
        {"close while idle", test_close_idle},
    };
    return ga_test_main("client/channel", tests, sizeof(tests) / sizeof(tests[0]));
}
