/* The lock on a directory: one has it at a time, and who wants it waits for it as long as it says.
 */
#include "shm/dirlock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <pthread.h>

#include "support/cunit_main.h"
#include "support/folder.h"

static char folder[GA_TEST_FOLDER_BYTES];

static void one_at_a_time(void)
{
    int lock = ga_dirlock_take(folder, 0);
    CU_ASSERT(lock >= 0);
    CU_ASSERT_EQUAL(ga_dirlock_take(folder, 0), -1);
    CU_ASSERT_EQUAL(ga_dirlock_take(folder, 30), -1);
    ga_dirlock_release(lock);
    lock = ga_dirlock_take(folder, 0);
    CU_ASSERT(lock >= 0);
    ga_dirlock_release(lock);
    ga_dirlock_release(-1);
    CU_ASSERT_EQUAL(ga_dirlock_take("/tmp/goalloc-dirlock-none-such", 1000), -1);
}

static void *release_later(void *lock)
{
    sleep(2); /* longer than a server waits */
    ga_dirlock_release(*(int *)lock);
    return NULL;
}

static void waits_as_long_as_told(void)
{
    int lock = ga_dirlock_take(folder, 0);
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, release_later, &lock), 0);
    int next = ga_dirlock_take(folder, 100000);
    CU_ASSERT(next >= 0);
    pthread_join(thread, NULL);
    ga_dirlock_release(next);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"one at a time", one_at_a_time},
        {"waits as long as told", waits_as_long_as_told},
    };
    if (!ga_test_folder_make(folder)) {
        perror("no folder");
        return 1;
    }
    int code = ga_test_main("unit.shm.dirlock", tests, sizeof(tests) / sizeof(tests[0]));
    ga_test_folder_remove(folder);
    return code;
}
