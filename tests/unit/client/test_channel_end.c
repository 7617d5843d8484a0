/* A channel that ends: the server dies, talks nonsense or does not read; or we close it. */
#include "client/channel.h"

#include <errno.h>
#include <unistd.h>

#include "client/reply.h"
#include "client/send_queue.h"
#include "channel_fixture.h"

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
    return ga_test_main("client/channel: end", tests, sizeof(tests) / sizeof(tests[0]));
}
