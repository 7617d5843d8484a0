#include "simulation/frame.h"

#include <setjmp.h>

#include "simulation/process.h"
#include "simulation/server.h"

#define DEPTH_MAX 4u

/* A server that is killed while it adopts leaves its books to nobody. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:ga_heap_new_books\n";
}

struct ga_sim_frame {
    jmp_buf end;
    struct ga_sim_process *process; /* NULL: the server */
    uint32_t pid;
    uint32_t die_in; /* points, 0 = not */
    uint32_t switch_in;
};

struct ga_sim_frame *ga_sim_current;
static uint32_t depth;
static bool server_is_busy;

/* 1..2^reach, the near as likely as the far. */
static uint32_t some_points(uint32_t reach)
{
    return 1 + ga_sim_pick(UINT32_C(1) << ga_sim_pick(reach + 1));
}

bool ga_sim_run(struct ga_sim_process *process, uint32_t chance, uint32_t reach,
                void (*step)(void *argument), void *argument)
{
    struct ga_sim_frame *const outer = ga_sim_current;
    struct ga_sim_frame frame = {
        .process = process,
        .pid = process ? process->pid : 0,
        .die_in = chance && ga_sim_pick(chance) == 0 ? some_points(reach) : 0,
        .switch_in = ga_sim_pick(2) ? some_points(ga_sim.kind.switch_reach) : 0,
    };
    volatile bool came_to_its_end = false;
    server_is_busy = server_is_busy || !process;
    depth++;
    if (setjmp(frame.end) == 0) {
        ga_sim_current = &frame;
        step(argument);
        came_to_its_end = true;
    }
    depth--;
    server_is_busy = server_is_busy && process;
    ga_sim_current = outer;
    return came_to_its_end;
}

void ga_sim_settled(void)
{
    ga_sim_current = NULL;
}

bool ga_sim_server_is_busy(void)
{
    return server_is_busy;
}

static bool is_dead(const struct ga_sim_frame *frame)
{
    return frame->process && frame->process->pid != frame->pid;
}

void ga_sim_point_reached(void)
{
    struct ga_sim_frame *frame = ga_sim_current;
    ga_sim_current = NULL; /* what is done here is not the frame's */
    if (frame->die_in && --frame->die_in == 0) {
        if (frame->process)
            ga_sim_process_dies(frame->process);
        else
            ga_sim_server_dies();
        longjmp(frame->end, 1);
    }
    if (frame->switch_in && --frame->switch_in == 0) {
        frame->switch_in = some_points(ga_sim.kind.switch_reach);
        if (depth < DEPTH_MAX)
            ga_sim_interlude();
    }
    /* Another thread of the process may have taken it along. */
    if (is_dead(frame))
        longjmp(frame->end, 1);
    ga_sim_current = frame;
}
