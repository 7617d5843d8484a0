/* Says whose malloc serves: that of goalloc rounds 100 bytes up to its size class. With an argument
 * it then becomes that program, or in a child of fork, with "fork", says it again. */
#include <malloc.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void *(*volatile allocate)(size_t) = malloc;

static void say(void)
{
    void *p = allocate(100);
    CHECK(p);
    puts(malloc_usable_size(p) == 112 ? "goalloc" : "system");
    fflush(stdout);
    free(p);
}

int main(int argc, char **argv)
{
    say();
    if (argc > 1 && strcmp(argv[1], "fork") == 0) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid > 0) {
            CHECK(waitpid(pid, NULL, 0) == pid);
            return 0;
        }
        say();
        argc--;
        argv++;
    }
    if (argc > 1)
        execvp(argv[1], &argv[1]);
    return 0;
}
