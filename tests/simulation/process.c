#include "simulation/process.h"

#include <string.h>

#include "simulation/frame.h"
#include "simulation/model.h"
#include "simulation/thread.h"

#define DEATHS 60u /* one step in so many is cut off */
#define REACH  6u

static uint64_t last_request;

/* ---- beginning and end ---- */

static void begin(struct ga_sim_process *process)
{
    if (!ga_sim.server_is_up || ga_sim.is_ending)
        return;
    *process = (struct ga_sim_process){.pid = ++ga_sim.last_pid, .managed = ga_sim_pick(2)};
    ga_sim_post(&(struct ga_sim_message){.kind = GA_SIM_ATTACH,
                                         .process = (uint32_t)(process - ga_sim.processes),
                                         .pid = process->pid,
                                         .managed = process->managed,
                                         .request = ++last_request});
}

void ga_sim_process_dies(struct ga_sim_process *process)
{
    struct ga_sim_message gone = {.kind = GA_SIM_GONE,
                                  .process = GA_SIM_PROCESSES,
                                  .pid = process->pid,
                                  .client = process->client};
    ga_sim.seen.deaths++;
    *process = (struct ga_sim_process){0};
    ga_sim_model_died(gone.pid);
    ga_sim_post(&gone); /* where no server watches, the next one will reap it */
}

void ga_sim_process_ends(void)
{
    struct ga_sim_process *process = &ga_sim.processes[ga_sim_pick(GA_SIM_PROCESSES)];
    if (process->pid && process->attached)
        ga_sim_process_dies(process);
}

bool ga_sim_process_lives(uint32_t pid)
{
    bool lives = false;
    for (uint32_t i = 0; i < GA_SIM_PROCESSES; i++)
        lives = lives || ga_sim.processes[i].pid == pid;
    return lives;
}

void ga_sim_processes_disconnected(void)
{
    for (uint32_t i = 0; i < GA_SIM_PROCESSES; i++) {
        struct ga_sim_process *process = &ga_sim.processes[i];
        if (process->pid && !process->attached)
            process->pid = 0; /* it could not attach, and exits */
        for (uint32_t t = 0; t < GA_SIM_THREADS; t++) {
            struct ga_sim_thread *thread = &process->threads[t];
            thread->awaits = 0;
            thread->used = thread->used && thread->id != 0;
        }
    }
}

/* ---- a thread at work ---- */

/* What a thread does: a step of its own, or what follows from a reply. */
struct work {
    struct ga_sim_thread_at at;
    const struct ga_sim_message *reply; /* NULL: none */
};

static void do_work(void *argument)
{
    const struct work *work = argument;
    if (work->reply)
        ga_sim_thread_hears(&work->at, work->reply);
    else
        ga_sim_thread_step(&work->at);
}

static void run(struct work *work)
{
    const struct ga_sim_process *process = work->at.process;
    uint32_t pid = process->pid;
    work->at.thread->busy = true;
    if (!ga_sim_run(work->at.process, DEATHS, REACH, do_work, work))
        ga_sim.seen.deaths_in_a_step++;
    if (process->pid == pid)
        work->at.thread->busy = false;
}

static void ask_for_mcache(struct ga_sim_thread_at *at)
{
    struct ga_sim_message m = {.kind = GA_SIM_NEW_MCACHE};
    *at->thread = (struct ga_sim_thread){.used = true};
    ga_sim_thread_asks(at, &m);
}

/* One that waits for nothing, if it is found soon. */
static struct ga_sim_thread *pick_thread(struct ga_sim_process *process)
{
    struct ga_sim_thread *thread = &process->threads[ga_sim_pick(GA_SIM_THREADS)];
    if (thread->awaits || thread->busy)
        thread = &process->threads[ga_sim_pick(GA_SIM_THREADS)];
    return thread;
}

void ga_sim_process_step(void)
{
    struct ga_sim_process *process = &ga_sim.processes[ga_sim_pick(GA_SIM_PROCESSES)];
    struct ga_sim_thread *thread = pick_thread(process);
    if (process->pid == 0)
        begin(process);
    if (!process->attached || thread->busy || (process->managed && ga_sim.standing))
        return;
    struct ga_sim_thread_at at = {process, thread};
    if (!thread->used && ga_sim.server_is_up)
        ask_for_mcache(&at);
    else if (thread->used && thread->awaits && ga_sim_pick(60) == 0)
        ga_sim_thread_gives_up(&at);
    else if (thread->used && !thread->awaits)
        run(&(struct work){at, NULL});
}

void ga_sim_thread_asks(const struct ga_sim_thread_at *at, const struct ga_sim_message *m)
{
    struct ga_sim_message request = *m;
    request.process = (uint32_t)(at->process - ga_sim.processes);
    request.pid = at->process->pid;
    request.client = at->process->client;
    request.thread = (uint32_t)(at->thread - at->process->threads);
    request.mcache = at->thread->id;
    request.request = ++last_request;
    at->thread->awaits = request.request;
    at->thread->asked = request.kind;
    at->thread->about = request.offset;
    ga_sim_post(&request);
}

void ga_sim_thread_notes(const struct ga_sim_thread_at *at, const struct ga_sim_message *m)
{
    struct ga_sim_message note = *m;
    note.process = (uint32_t)(at->process - ga_sim.processes);
    note.pid = at->process->pid;
    note.client = at->process->client;
    note.mcache = at->thread->id;
    ga_sim_post(&note);
}

/* ---- replies ---- */

void ga_sim_process_hears(const struct ga_sim_message *reply)
{
    if (reply->process >= GA_SIM_PROCESSES)
        return;
    struct ga_sim_process *process = &ga_sim.processes[reply->process];
    if (process->pid != reply->pid)
        return; /* it is dead */
    if (process->managed && ga_sim.standing) {
        ga_sim_post(reply); /* it is heard when the process goes on */
        return;
    }
    if (reply->kind == GA_SIM_ATTACH) {
        process->attached = reply->result == 0;
        process->client = reply->client;
        if (reply->result < 0)
            process->pid = 0;
        return;
    }
    struct ga_sim_thread *thread = &process->threads[reply->thread];
    if (thread->awaits != reply->request)
        return; /* it has given up */
    thread->awaits = 0;
    run(&(struct work){{process, thread}, reply});
}
