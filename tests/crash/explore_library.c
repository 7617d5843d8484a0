/* The library's own thread as the victim, which begins what the server grants, and connects again:
 * it is traced instead of the thread that calls, from a function of the library to its loop's next
 * wait. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/exploration.h"

/* The thread of the process that the library has named; 0 if there is none. */
static pid_t find_thread(pid_t pid)
{
    char path[64];
    pid_t found = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && !found && (task = readdir(tasks));) {
        char name[32] = "";
        snprintf(path, sizeof(path), "/proc/%d/task/%.16s/comm", (int)pid, task->d_name);
        FILE *file = fopen(path, "re");
        if (file && fgets(name, sizeof(name), file) && strcmp(name, "goalloc\n") == 0)
            found = (pid_t)strtol(task->d_name, NULL, 10);
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return found;
}

/* The server dies over the victim's request, if it has one, and the next one serves. */
static bool change_server(struct ga_exploration *e, const struct ga_client_scenario *scenario)
{
    struct ga_tracee server = {.pid = e->world.server, .tid = e->world.server};
    kill(server.pid, SIGSTOP);
    if (scenario->operation &&
        (!ga_actor_begin(&e->victim, scenario->operation) || !ga_actor_await_request(&e->victim)))
        return false;
    return ga_exploration_replace_server(e, &server);
}

bool ga_exploration_come_back(struct ga_exploration *e, const struct ga_client_scenario *scenario,
                              const struct ga_tracee *victim)
{
    if (!scenario->back)
        return true;
    bool good = ga_actor_begin(&e->victim, scenario->back) && ga_actor_await_request(&e->victim);
    if (!good || !scenario->lives_on)
        return good;
    ga_trace_let_go(victim);
    return ga_actor_await(&e->victim);
}

bool ga_exploration_begin_library(struct ga_exploration *e,
                                  const struct ga_client_scenario *scenario,
                                  struct ga_tracee *victim)
{
    if (!ga_actor_start(&e->victim, &e->world, e->account, false) ||
        !ga_actor_do(&e->victim, scenario->before))
        return false;
    pid_t pid = e->victim.pid;
    if (!ga_trace_seize(victim, pid, find_thread(pid)))
        return false;
    uint64_t address = ga_trace_find_function(pid, LIBRARY_PATH, scenario->function);
    bool begun = scenario->server_dies ? change_server(e, scenario)
                                       : ga_actor_begin(&e->victim, scenario->operation);
    /* Who is to come back must have gone. */
    begun = begun && (!scenario->back || ga_actor_await(&e->victim));
    if (scenario->over) {
        victim->over.function = ga_trace_find_function(pid, LIBRARY_PATH, scenario->over);
        victim->over.but = ga_trace_find_function(pid, LIBRARY_PATH, scenario->but);
        begun = begun && victim->over.function != 0 && victim->over.but != 0;
    }
    if (address != 0 && begun && ga_trace_run_to(victim, address))
        return true;
    ga_exploration_kill_client(e, victim); /* nobody else waits for the thread that is traced */
    return false;
}
