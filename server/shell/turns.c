/* A turn ends where the loop is about to wait (a uv_prepare), and the next one begins where it has
 * waited: in between nothing of ours runs, so the end is noted and the waiting, which libuv
 * measures, subtracted. */
#include "server/shell/turns.h"

#include <time.h>

static uint64_t thread_cpu_ns(void)
{
    struct timespec time = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void note_end(struct ga_turns *turns)
{
    turns->clock_ns = uv_hrtime();
    turns->waited_ns = uv_metrics_idle_time(turns->before_waiting.loop);
    turns->cpu_ns = thread_cpu_ns();
}

static void on_before_waiting(uv_prepare_t *handle)
{
    struct ga_turns *turns = handle->data;
    const struct ga_turns before = *turns;
    note_end(turns);
    if (before.clock_ns == 0)
        return; /* the loop has only just begun */
    uint64_t waited_ns = turns->waited_ns - before.waited_ns;
    uint64_t passed_ns = turns->clock_ns - before.clock_ns;
    uint64_t took_ns = passed_ns > waited_ns ? passed_ns - waited_ns : 0;
    uint64_t cpu_ns = turns->cpu_ns - before.cpu_ns;
    turns->count++;
    if (took_ns > turns->longest_ns)
        turns->longest_ns = took_ns;
    if (cpu_ns > turns->longest_cpu_ns)
        turns->longest_cpu_ns = cpu_ns;
}

int ga_turns_init(struct ga_turns *turns, uv_loop_t *loop)
{
    int r = uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
    if (r == 0)
        r = uv_prepare_init(loop, &turns->before_waiting);
    turns->before_waiting.data = turns;
    return r;
}

void ga_turns_start(struct ga_turns *turns)
{
    uv_prepare_start(&turns->before_waiting, on_before_waiting);
}

void ga_turns_close(struct ga_turns *turns)
{
    uv_close((uv_handle_t *)&turns->before_waiting, NULL);
}
