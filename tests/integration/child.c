#include "integration/child.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 32
#define SILENCE_MS    20000
#define END_TRIES     2000 /* of 10 ms */

bool ga_child_start(struct ga_child *child, const char *path, const char *const *arguments)
{
    int out[2];
    char *text = child->text ? child->text : malloc(GA_CHILD_TEXT_BYTES);
    *child = (struct ga_child){.text = text};
    if (!text || pipe(out) < 0)
        return false;
    text[0] = '\0';
    child->pid = fork();
    if (child->pid == 0) {
        char *argv[ARGUMENTS_MAX] = {(char *)path};
        for (int i = 0; arguments[i] && i < ARGUMENTS_MAX - 2; i++)
            argv[i + 1] = (char *)arguments[i];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        close(out[0]);
        close(out[1]);
        execv(path, argv);
        _exit(127);
    }
    close(out[1]);
    child->out = out[0];
    return child->pid > 0;
}

/* Read what there is, or comes within timeout_ms. False at the end, and after silence. */
static bool read_more(struct ga_child *child, int timeout_ms)
{
    struct pollfd readable = {.fd = child->out, .events = POLLIN};
    size_t room = GA_CHILD_TEXT_BYTES - 1 - child->text_bytes;
    if (room == 0 || poll(&readable, 1, timeout_ms) <= 0)
        return false;
    ssize_t n = read(child->out, child->text + child->text_bytes, room);
    if (n <= 0)
        return false;
    child->text_bytes += (size_t)n;
    child->text[child->text_bytes] = '\0';
    return true;
}

bool ga_child_says(struct ga_child *child, const char *needle, size_t *behind)
{
    size_t from = behind ? *behind : 0;
    const char *found;
    while ((found = strstr(child->text + from, needle)) == NULL)
        if (!read_more(child, SILENCE_MS))
            return false;
    if (behind)
        *behind = (size_t)(found - child->text) + strlen(needle);
    return true;
}

bool ga_child_has_said(struct ga_child *child, const char *needle)
{
    while (read_more(child, 0)) {
    }
    return strstr(child->text, needle) != NULL;
}

int ga_child_end(struct ga_child *child, int signal_number)
{
    int status = 0;
    bool ended = false;
    if (signal_number)
        kill(child->pid, signal_number);
    for (int tries = 0; tries < END_TRIES && !ended; tries++) {
        while (read_more(child, 0)) {
        }
        ended = waitpid(child->pid, &status, WNOHANG) == child->pid;
        if (!ended)
            usleep(10000);
    }
    if (!ended) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, &status, 0);
    }
    while (read_more(child, 0)) {
    }
    close(child->out);
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}
