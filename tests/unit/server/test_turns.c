/* How long turns of the loop take, by clocks that the test sets: waiting is none of it, and the
 * longest of each clock is kept. */
#include "server/shell/turns.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "support/cunit_main.h"

static uint64_t clock_ns, waited_ns, cpu_ns;

/* In place of libuv's and the C library's. */
uint64_t uv_hrtime(void)
{
    return clock_ns;
}

uint64_t uv_metrics_idle_time(uv_loop_t *loop)
{
    (void)loop;
    return waited_ns;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    if (clock != CLOCK_THREAD_CPUTIME_ID)
        return (int)syscall(SYS_clock_gettime, clock, ret);
    *ret = (struct timespec){.tv_sec = (time_t)(cpu_ns / 1000000000),
                             .tv_nsec = (long)(cpu_ns % 1000000000)};
    return 0;
}

static void turn(uv_loop_t *loop, uint64_t took, uint64_t waited, uint64_t on_core)
{
    clock_ns += took + waited;
    waited_ns += waited;
    cpu_ns += on_core;
    uv_run(loop, UV_RUN_NOWAIT);
}

static void the_longest_is_kept(void)
{
    uv_loop_t loop;
    struct ga_turns turns = {.count = 0};
    CU_ASSERT_EQUAL_FATAL(uv_loop_init(&loop), 0);
    CU_ASSERT_EQUAL_FATAL(ga_turns_init(&turns, &loop), 0);
    clock_ns = 5000;
    waited_ns = 700;
    cpu_ns = UINT64_C(3000000000);
    ga_turns_start(&turns);
    turn(&loop, 1000000, 0, 1000000); /* before the loop ran */
    CU_ASSERT(turns.count == 0 && turns.longest_ns == 0 && turns.longest_cpu_ns == 0);
    turn(&loop, 300, 4000000, 200);
    CU_ASSERT(turns.count == 1 && turns.longest_ns == 300 && turns.longest_cpu_ns == 200);
    turn(&loop, 9000, 0, 100);
    CU_ASSERT(turns.count == 2 && turns.longest_ns == 9000 && turns.longest_cpu_ns == 200);
    turn(&loop, 8000, 77, 8000);
    CU_ASSERT(turns.count == 3 && turns.longest_ns == 9000 && turns.longest_cpu_ns == 8000);
    ga_turns_close(&turns);
    uv_run(&loop, UV_RUN_DEFAULT);
    CU_ASSERT_EQUAL(uv_loop_close(&loop), 0);
}

int main(void)
{
    static const struct ga_test tests[] = {{"the longest is kept", the_longest_is_kept}};
    return ga_test_main("server/turns", tests, sizeof(tests) / sizeof(tests[0]));
}
