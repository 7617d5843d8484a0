/* Finding the threads of the program in /proc/self/task, and asking each one: it is queued the
 * signal with the address of its entry in the table. One that has answered that it is busy, or is
 * silent for long, is asked again; one that has ended, or runs nothing of the program's, is left
 * alone. */
#include "client/managed_stop_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_CLOSER 8u   /* looks, after which one that has not answered is looked at, */
#define ASK_AGAIN   200u /* and after which it is asked again */

/* What getdents64 gives. */
struct dir_entry {
    uint64_t inode;
    int64_t next;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

static pid_t number_of(const char *name)
{
    pid_t tid = 0;
    for (; *name >= '0' && *name <= '9'; name++)
        tid = tid * 10 + (*name - '0');
    return *name ? 0 : tid; /* "." and ".." are none */
}

static struct ga_stop_thread *find(pid_t tid)
{
    for (uint32_t i = 0; i < ga_stop_table->count; i++)
        if (ga_stop_table->thread[i].tid == tid)
            return &ga_stop_table->thread[i];
    return NULL;
}

static void set_state(struct ga_stop_thread *entry, enum ga_stop_state state)
{
    /* Pairs with the acquire in obey. */
    ga_store_release(&entry->answer,
                     ga_stop_answer_of(ga_load_relaxed(&ga_stop_releases) & GA_STOP_MASK, state));
}

/* A thread that has ended, or has too many signals waiting, is no error: it is looked for again. */
static int ask(struct ga_stop_thread *entry)
{
    siginfo_t info = {0};
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = entry;
    entry->waited = 0;
    set_state(entry, GA_STOP_ASKED);
    if (syscall(SYS_rt_tgsigqueueinfo, getpid(), entry->tid, ga_stop_signal(), &info) == 0 ||
        errno == ESRCH || errno == EAGAIN)
        return 0;
    return -errno;
}

/* Of <linux/sched.h>, which is the kernel's own: of a thread that runs nothing of the program, but
 * does its reads and writes (io_uring's), or such for a virtual machine. It handles no signals. */
#define IS_WORKER (0x10u | 0x4000u) /* PF_IO_WORKER, PF_USER_WORKER */

/* The flags in what /proc tells after a thread's name: " S ppid pgrp session tty tpgid flags". */
static unsigned long flags_in(const char *text)
{
    for (int field = 0; text && field < 6; field++)
        text = strchr(text + 1, ' ');
    return text ? strtoul(text, NULL, 10) : 0;
}

/* Whether tid is one that runs nothing of the program's: it is the kernel's, or has ended and is
 * only still listed, as the first thread of a process whose others go on. */
static bool runs_nothing(pid_t tid)
{
    char path[64];
    char text[256];
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *state = strrchr(text, ')');
    return n <= 0 || (state && (state[2] == 'Z' || state[2] == 'X' ||
                                (flags_in(state + 1) & IS_WORKER) != 0));
}

/* What to do about a thread that has not answered: it may have ended, or its number may be that of
 * another by now. */
static int wait_for(struct ga_stop_thread *entry)
{
    entry->waited++;
    if (entry->waited % LOOK_CLOSER == 0 && runs_nothing(entry->tid))
        set_state(entry, GA_STOP_GONE);
    else if (entry->waited >= ASK_AGAIN)
        return ask(entry);
    return 0;
}

/* A thread that is there: ask it, unless that was done. */
static int meet(pid_t tid, bool *found_new)
{
    struct ga_stop_thread *entry = find(tid);
    if (!entry && ga_stop_table->count == GA_STOP_THREADS_MAX)
        return -E2BIG;
    bool is_new = !entry;
    if (is_new) {
        entry = &ga_stop_table->thread[ga_stop_table->count++];
        entry->tid = tid;
        *found_new = true;
    }
    entry->look = ga_stop_table->look;
    if (is_new || ga_stop_state_of(entry) == GA_STOP_BUSY) {
        entry->was_busy = !is_new;
        return ask(entry);
    }
    return ga_stop_state_of(entry) == GA_STOP_ASKED ? wait_for(entry) : 0;
}

static int meet_listed(ssize_t nbytes, bool *found_new)
{
    for (ssize_t at = 0; at < nbytes;) {
        const struct dir_entry *entry = (const void *)(ga_stop_table->dir + at);
        pid_t tid = number_of(entry->name);
        int r = tid == 0 || ga_stop_is_excepted(tid) ? 0 : meet(tid, found_new);
        if (r < 0)
            return r;
        at += entry->bytes;
    }
    return 0;
}

int ga_stop_look(int dir, bool *ret_found_new)
{
    *ret_found_new = false;
    ga_stop_table->look++;
    if (lseek(dir, 0, SEEK_SET) < 0)
        return -errno;
    for (;;) {
        long n = syscall(SYS_getdents64, dir, ga_stop_table->dir, GA_STOP_DIR_BYTES);
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        int r = meet_listed(n, ret_found_new);
        if (r < 0)
            return r;
    }
}

const struct ga_stop_thread *ga_stop_first_running(void)
{
    for (uint32_t i = 0; i < ga_stop_table->count; i++) {
        struct ga_stop_thread *entry = &ga_stop_table->thread[i];
        enum ga_stop_state state = ga_stop_state_of(entry);
        if (state != GA_STOP_STOPPED && state != GA_STOP_GONE && entry->look == ga_stop_table->look)
            return entry;
    }
    return NULL;
}
