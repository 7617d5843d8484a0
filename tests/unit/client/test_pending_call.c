/* Waiting calls: found by id, given up, and ended; ids go up whatever becomes of the calls. */
#include "client/pending_call.h"

#include <errno.h>

#include "client/channel.h"
#include "client/deadline.h"
#include "client/reply.h"
#include "support/cunit_main.h"

static struct ga_block_pool *pool;
static struct ga_calls calls;
static const struct timespec past = {0, 0};

static void begin(void)
{
    pool = ga_reply_pool_new();
    ga_calls_init(&calls, 41);
}

/* No reply is left over. */
static void end(void)
{
    ga_calls_fini(&calls);
    CU_ASSERT_EQUAL(ga_block_pool_close(pool), 0);
}

static void test_by_id(void)
{
    struct ga_pending_call call[3];
    struct ga_reply *brought[3];
    begin();
    for (uint64_t i = 0; i < 3; i++) {
        brought[i] = ga_reply_new(pool);
        CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call[i], brought[i]), 0);
        CU_ASSERT_EQUAL(call[i].id, 42 + i);
    }
    struct ga_reply *sent = ga_reply_new(pool);
    struct ga_reply *reply = sent;
    CU_ASSERT(!ga_calls_complete(&calls, 41, &reply));
    CU_ASSERT(!ga_calls_complete(&calls, 45, &reply));
    CU_ASSERT_PTR_EQUAL(reply, sent);
    CU_ASSERT(ga_calls_complete(&calls, 43, &reply));
    CU_ASSERT_PTR_EQUAL(reply, brought[1]);
    CU_ASSERT(!ga_calls_complete(&calls, 43, &reply));

    CU_ASSERT_EQUAL(ga_calls_wait(&calls, &call[0], &past), -ETIMEDOUT);
    CU_ASSERT_PTR_EQUAL(call[0].reply, brought[0]);
    /* What is there already counts, even when the time is over. */
    CU_ASSERT_EQUAL(ga_calls_wait(&calls, &call[1], &past), 0);
    CU_ASSERT_PTR_EQUAL(call[1].reply, sent);

    CU_ASSERT(!ga_calls_complete(&calls, 42, &reply));
    CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call[0], brought[0]), 0);
    CU_ASSERT_EQUAL(call[0].id, 45);
    ga_calls_cancel(&calls, &call[0]);
    CU_ASSERT(!ga_calls_complete(&calls, 45, &reply));
    ga_calls_cancel(&calls, &call[2]);
    for (uint32_t i = 0; i < 3; i++)
        ga_reply_release(call[i].reply);
    ga_reply_release(reply);
    end();
}

/* A call that is taken back after its reply has come has the reply. */
static void test_cancel_completed(void)
{
    struct ga_pending_call call;
    begin();
    struct ga_reply *sent = ga_reply_new(pool);
    struct ga_reply *reply = sent;
    CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call, ga_reply_new(pool)), 0);
    CU_ASSERT(ga_calls_complete(&calls, call.id, &reply));
    ga_calls_cancel(&calls, &call);
    CU_ASSERT_PTR_EQUAL(call.reply, sent);
    ga_reply_release(call.reply);
    ga_reply_release(reply);
    end();
}

static void test_end(void)
{
    struct ga_pending_call call[2];
    struct timespec deadline = ga_deadline_in(60000);
    begin();
    CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call[0], NULL), 0);
    CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call[1], NULL), 0);
    ga_calls_end(&calls, -EPROTO);
    CU_ASSERT_EQUAL(ga_calls_wait(&calls, &call[0], &deadline), -EPROTO);
    CU_ASSERT_EQUAL(ga_calls_wait(&calls, &call[1], &deadline), -EPROTO);
    CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call[0], NULL), -ENOTCONN);
    end();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"found by id", test_by_id},
        {"taken back after the reply", test_cancel_completed},
        {"end", test_end},
    };
    return ga_test_main("client/pending_call", tests, sizeof(tests) / sizeof(tests[0]));
}
