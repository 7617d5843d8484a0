/* A channel in use: calls from many threads, notes in order, and a server that is slow or late. */
#include "client/channel.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/reply.h"
#include "channel_fixture.h"

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
    };
    return ga_test_main("client/channel", tests, sizeof(tests) / sizeof(tests[0]));
}
