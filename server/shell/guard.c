/* The handler puts a private page of zeros where the object has none, and the instruction that
 * faulted is run again. It works on a stack of its own, so that it can be relied upon wherever the
 * fault is met; and it takes only faults that the kernel has raised for an address in a region: a
 * SIGBUS that somebody sends, or one of the hardware, is none of its. */
#include "server/shell/guard.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>

#define STACK_BYTES 65536 /* the registers of the widest processors take some 11 KiB */

struct region {
    uintptr_t begin;
    uint64_t bytes; /* 0 = not guarded */
    volatile sig_atomic_t struck;
};

static char handler_stack[STACK_BYTES];
static struct region regions[GA_OBJECT_COUNT];

static bool mend(uintptr_t at)
{
    uintptr_t page = at & ~(uintptr_t)(GA_OS_PAGE_SIZE - 1);
    void *wanted = (void *)page; /* NOLINT: the address is the point */
    return mmap(wanted, GA_OS_PAGE_SIZE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == wanted;
}

static struct region *find_region(uintptr_t at)
{
    for (int i = 0; i < GA_OBJECT_COUNT; i++)
        if (at - regions[i].begin < regions[i].bytes)
            return &regions[i];
    return NULL;
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    (void)context;
    int err = errno;
    uintptr_t at = (uintptr_t)info->si_addr;
    struct region *region = info->si_code == BUS_ADRERR ? find_region(at) : NULL;
    if (region && mend(at)) {
        region->struck = 1;
    } else {
        /* It comes once the handler has returned, this signal being blocked until then. */
        signal(number, SIG_DFL);
        raise(number);
    }
    errno = err;
}

int ga_guard_start(const struct ga_mapping mappings[static GA_OBJECT_COUNT])
{
    for (int i = 0; i < GA_OBJECT_COUNT; i++)
        regions[i] = (struct region){(uintptr_t)mappings[i].address, mappings[i].bytes, 0};
    stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof(handler_stack)};
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    if (sigaltstack(&stack, NULL) < 0 || sigaction(SIGBUS, &action, NULL) < 0)
        return -errno;
    return 0;
}

void ga_guard_stop(void)
{
    signal(SIGBUS, SIG_DFL);
}

bool ga_guard_has_struck(enum ga_object object)
{
    return regions[object].struck != 0;
}
