/* Output goes to unnamed files, so that neither stream can block the program. */
#include "integration/run.h"

#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 30

static char *contents(FILE *file)
{
    long bytes = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    rewind(file);
    char *text = calloc(1, bytes > 0 ? (size_t)bytes + 1 : 1);
    if (text && bytes > 0 && fread(text, 1, (size_t)bytes, file) != (size_t)bytes)
        text[0] = '\0';
    return text;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

bool ga_run(struct ga_run *run, const char *path, const char *const *arguments)
{
    ga_run_fini(run);
    char *argv[ARGUMENTS_MAX + 2] = {(char *)(uintptr_t)path};
    for (size_t n = 1; n <= ARGUMENTS_MAX && *arguments; n++)
        argv[n] = (char *)(uintptr_t)*arguments++;
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    bool started = false;
    if (out && err) {
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, fileno(out), STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, fileno(err), STDERR_FILENO);
        pid_t pid;
        started = posix_spawn(&pid, path, &actions, NULL, argv, environ) == 0;
        posix_spawn_file_actions_destroy(&actions);
        if (started) {
            run->code = wait_for(pid);
            run->out = contents(out);
            run->err = contents(err);
        }
    }
    if (out)
        fclose(out);
    if (err)
        fclose(err);
    return started && run->out && run->err;
}

void ga_run_fini(struct ga_run *run)
{
    free(run->out);
    free(run->err);
    *run = (struct ga_run){0};
}
