/* Waiting calls: found by id, given up, and ended; ids go up whatever becomes of the calls. */
#include "client/pending_call.h"

#include <errno.h>

#include "client/channel.h"
#include "client/deadline.h"
#include "client/reply.h"
#include "support/cunit_main.h"

static struct ga_block_pool pool;
static struct ga_calls calls;
static const struct timespec past = {0, 0};

static void begin(void)
{
    ga_reply_pool_init(&pool);
    ga_calls_init(&calls, 41);
}

/* The pool's end checks that no reply is left over. */
static void end(void)
{
    ga_calls_fini(&calls);
    ga_block_pool_fini(&pool);
}

static void test_by_id(void)
{
    struct ga_pending_call call[3];
    struct ga_reply *reply = NULL, *sent = NULL;
    begin();
    for (uint64_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call[i]), 0);
        CU_ASSERT_EQUAL(call[i].id, 42 + i);
    }
    sent = ga_reply_new(&pool);
    CU_ASSERT(!ga_calls_complete(&calls, 41, sent, 0));
    CU_ASSERT(!ga_calls_complete(&calls, 45, sent, 0));
    CU_ASSERT(ga_calls_complete(&calls, 43, sent, 0));
    CU_ASSERT(!ga_calls_complete(&calls, 43, NULL, -EIO));
    CU_ASSERT(ga_calls_complete(&calls, 44, NULL, -ENOMEM));

    CU_ASSERT_EQUAL(ga_calls_wait(&calls, &call[0], &past, &reply), -ETIMEDOUT);
    CU_ASSERT_EQUAL(ga_calls_wait(&calls, &call[2], &past, &reply), -ENOMEM);
    CU_ASSERT_PTR_NULL(reply);
    /* What is there already counts, even when the time is over. */
    CU_ASSERT_EQUAL(ga_calls_wait(&calls, &call[1], &past, &reply), 0);
    CU_ASSERT_PTR_EQUAL(reply, sent);
    ga_reply_release(reply);

    CU_ASSERT(!ga_calls_complete(&calls, 42, NULL, -EIO));
    CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call[0]), 0);
    CU_ASSERT_EQUAL(call[0].id, 45);
    ga_calls_cancel(&calls, &call[0]);
    CU_ASSERT(!ga_calls_complete(&calls, 45, NULL, -EIO));
    end();
}

/* A call that is taken back after its reply has come gives the reply back as well. */
static void test_cancel_completed(void)
{
    struct ga_pending_call call;
    begin();
    CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call), 0);
    CU_ASSERT(ga_calls_complete(&calls, call.id, ga_reply_new(&pool), 0));
    ga_calls_cancel(&calls, &call);
    end();
}

static void test_end(void)
{
    struct ga_pending_call call[2];
    struct ga_reply *reply = NULL;
    struct timespec deadline = ga_deadline_in(60000);
    begin();
    CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call[0]), 0);
    CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call[1]), 0);
    ga_calls_end(&calls, -EPROTO);
    CU_ASSERT_EQUAL(ga_calls_wait(&calls, &call[0], &deadline, &reply), -EPROTO);
    CU_ASSERT_EQUAL(ga_calls_wait(&calls, &call[1], &deadline, &reply), -EPROTO);
    CU_ASSERT_EQUAL(ga_calls_begin(&calls, &call[0]), -ENOTCONN);
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
