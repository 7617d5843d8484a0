#include "client/ctl/ending.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

#include "proto/error.h"

int ga_ending_open(void)
{
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    int fd = signalfd(-1, &ending, SFD_CLOEXEC);
    if (fd >= 0)
        return fd;
    int err = -errno;
    fprintf(stderr, "goallocctl: cannot wait for signals: %s\n", ga_error_text(err));
    return err;
}
