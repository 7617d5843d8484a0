/* The places for answers: no two at once have the same, and who finds none waits for one. */
#include "client/change.h"

#include <errno.h>
#include <pthread.h>

#include "client/deadline.h"
#include "shm/layout.h"
#include "support/cunit_main.h"

#define THREADS 12
#define ROUNDS  2000

static struct ga_places places;

static void taken_and_given(void)
{
    struct timespec soon = ga_deadline_in(20);
    for (uint32_t i = 0; i < GA_OUTCOME_COUNT; i++)
        CU_ASSERT_EQUAL(ga_places_take(&places, &soon), (int)i);
    CU_ASSERT_EQUAL(ga_places_take(&places, &soon), -ETIMEDOUT);
    ga_places_give(&places, 2);
    CU_ASSERT_EQUAL(ga_places_take(&places, &soon), 2); /* without waiting */
    for (uint32_t i = 0; i < GA_OUTCOME_COUNT; i++)
        ga_places_give(&places, (int)i);
    CU_ASSERT_EQUAL(places.taken, 0);
}

static _Atomic uint32_t owners[GA_OUTCOME_COUNT];
static _Atomic uint32_t nfaults;

static void *take_and_give(void *unused)
{
    struct timespec late = ga_deadline_in(60000);
    for (int i = 0; i < ROUNDS; i++) {
        int place = ga_places_take(&places, &late);
        if (place < 0 || place >= (int)GA_OUTCOME_COUNT) {
            nfaults++;
            break;
        }
        nfaults += owners[place]++ != 0;
        sched_yield();
        nfaults += --owners[place] != 0;
        ga_places_give(&places, place);
    }
    return unused;
}

static void many_threads(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(nfaults, 0);
    CU_ASSERT_EQUAL(places.taken, 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"taken and given", taken_and_given},
        {"many threads", many_threads},
    };
    return ga_test_main("client.change", tests, sizeof(tests) / sizeof(tests[0]));
}
