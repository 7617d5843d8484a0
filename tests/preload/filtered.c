/* A program that has forbidden itself to connect, on pain of death: its children have heaps still.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void *(*volatile allocate)(size_t) = malloc;

static void forbid_sockets(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(rules) / sizeof(rules[0]), .filter = rules};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void use_much(void)
{
    for (size_t size = 1; size < 100000; size += 1 + size / 8) {
        char *p = allocate(size);
        CHECK(p);
        memset(p, 1, size);
    }
    CHECK(mallinfo2().hblks > 0);
}

int main(void)
{
    int status;
    forbid_sockets();
    use_much();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < 20; i++) /* so often that the server would be told */
            use_much();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    puts("nobody was killed");
    return 0;
}
