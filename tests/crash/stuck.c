/* The stack is not unwound, which would need more than the symbols: its words are looked through
 * for addresses of code. */
#include "crash/stuck.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "crash/trace.h"

#define WORDS  512u /* of a stack that are looked at */
#define PLACES 40u  /* that are told of */
#define RANGES 64u

/* Where a process has code. */
struct code {
    uint64_t from[RANGES];
    uint64_t to[RANGES];
    unsigned count;
};

static void find_code(pid_t pid, struct code *ret)
{
    char line[512];
    snprintf(line, sizeof(line), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(line, "re");
    ret->count = 0;
    while (maps && ret->count < RANGES && fgets(line, sizeof(line), maps)) {
        char rights[8];
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &ret->from[ret->count],
                   &ret->to[ret->count], rights) == 3 &&
            rights[2] == 'x')
            ret->count++;
    }
    if (maps)
        fclose(maps);
}

static bool is_code(const struct code *code, uint64_t address)
{
    for (unsigned i = 0; i < code->count; i++)
        if (address >= code->from[i] && address < code->to[i])
            return true;
    return false;
}

static uint64_t get_register(pid_t tid, size_t offset)
{
    return (uint64_t)ptrace(PTRACE_PEEKUSER, tid, offset, NULL);
}

static void tell_place(FILE *file, pid_t pid, uint64_t address)
{
    char place[256];
    ga_trace_describe(pid, address, place, sizeof(place));
    fprintf(file, "        %s\n", place);
}

static void tell_stack(FILE *file, pid_t pid, pid_t tid, const struct code *code)
{
    struct ga_tracee tracee;
    if (!ga_trace_seize(&tracee, pid, tid))
        return;
    uint64_t stack = get_register(tid, offsetof(struct user_regs_struct, rsp));
    tell_place(file, pid, get_register(tid, offsetof(struct user_regs_struct, rip)));
    unsigned nplaces = 0;
    for (unsigned i = 0; i < WORDS && nplaces < PLACES; i++) {
        errno = 0;
        uint64_t word = (uint64_t)ptrace(PTRACE_PEEKDATA, tid, stack + i * sizeof(word), NULL);
        if (errno)
            break; /* the stack's end */
        if (!is_code(code, word))
            continue;
        tell_place(file, pid, word);
        nplaces++;
    }
    ga_trace_let_go(&tracee);
}

/* The first line of a file about a thread; empty if there is none. */
static void read_line(pid_t pid, const char *tid, const char *name, char *ret, size_t bytes)
{
    char path[128];
    snprintf(path, sizeof(path), "/proc/%d/task/%.16s/%s", (int)pid, tid, name);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(ret, (int)bytes, file))
        ret[0] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    if (file)
        fclose(file);
}

static void tell_thread(FILE *file, pid_t pid, const char *tid, const struct code *code)
{
    char name[64];
    char stat[512];
    char wait[128];
    char call[256];
    read_line(pid, tid, "comm", name, sizeof(name));
    read_line(pid, tid, "stat", stat, sizeof(stat));
    read_line(pid, tid, "wchan", wait, sizeof(wait));
    read_line(pid, tid, "syscall", call, sizeof(call));
    const char *behind_name = strrchr(stat, ')');
    char state = behind_name && behind_name[1] ? behind_name[2] : '?';
    fprintf(file, "      thread %.16s (%s): state %c, in the kernel at %s, call %s\n", tid, name,
            state, wait, call);
    const char *status = strrchr(stat, ' '); /* as of waitpid; the last field there is */
    if (state == 'Z' && status)
        fprintf(file, "        ended with status%s\n", status);
    /* One that waits where no signal wakes it would not stop either. */
    if (strchr("RST", state))
        tell_stack(file, pid, (pid_t)strtol(tid, NULL, 10), code);
}

void ga_stuck_tell(FILE *file, const char *who, pid_t pid)
{
    char path[64];
    struct code code;
    find_code(pid, &code);
    fprintf(file, "    %s, process %d:\n", who, (int)pid);
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && (task = readdir(tasks));)
        if (task->d_name[0] != '.')
            tell_thread(file, pid, task->d_name, &code);
    if (tasks)
        closedir(tasks);
    else
        fprintf(file, "      there is none\n");
}
