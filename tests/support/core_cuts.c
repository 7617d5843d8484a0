/* What is committed of meta and bits is mapped read-only. Each store faults; the handler counts it,
 * opens the page and has the processor stop after one instruction, and then closes it again. The
 * one that is too many jumps out of the operation instead. */
#include "support/core_cuts.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define TRAP_FLAG 0x100

static struct ga_core *cut_core;
static sigjmp_buf out;
static uint32_t stores_left;
static char *opened; /* the OS pages that the instruction may write */

static bool is_committed(const struct ga_backing *backing, uint64_t os_page)
{
    return backing->committed[os_page / 64] >> (os_page % 64) & 1;
}

static const struct ga_backing *backing_of(const struct ga_core *core, int object)
{
    return object == GA_OBJECT_META ? &core->heap->meta_backing : &core->heap->bits_backing;
}

static void protect(char *page, size_t npages, int how)
{
    if (mprotect(page, npages * GA_OS_PAGE_SIZE, how) < 0)
        abort();
}

static void protect_all(const struct ga_core *core, int how)
{
    for (int object = GA_OBJECT_META; object <= GA_OBJECT_BITS; object++) {
        const struct ga_backing *backing = backing_of(core, object);
        for (uint64_t i = 0; i < backing->npieces; i++)
            if (is_committed(backing, i))
                protect(core->objects[object] + i * GA_OS_PAGE_SIZE, 1, how);
    }
}

static void on_store(int number, siginfo_t *info, void *context)
{
    ucontext_t *ucontext = context;
    char *at = info->si_addr;
    for (int object = GA_OBJECT_META; object <= GA_OBJECT_BITS; object++) {
        uint64_t offset = (uint64_t)(at - cut_core->objects[object]);
        if (offset >= cut_core->object_bytes[object] ||
            !is_committed(backing_of(cut_core, object), offset / GA_OS_PAGE_SIZE))
            continue;
        if (opened) /* a second page of one instruction */
            abort();
        if (stores_left-- == 0)
            siglongjmp(out, 1);
        opened = cut_core->objects[object] + offset / GA_OS_PAGE_SIZE * GA_OS_PAGE_SIZE;
        protect(opened, 1, PROT_READ | PROT_WRITE);
        ucontext->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
        return;
    }
    signal(number, SIG_DFL); /* a fault like any other */
}

static void on_stored(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    ucontext_t *ucontext = context;
    ucontext->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    protect(opened, 1, PROT_READ);
    opened = NULL;
}

/* What is committed meanwhile is closed as well. */
static int commit(void *data, enum ga_object object, uint64_t offset, uint64_t bytes)
{
    struct ga_core *core = data;
    int r = core->effects.commit(data, object, offset, bytes);
    if (r == 0 && object != GA_OBJECT_HEAP)
        protect(core->objects[object] + offset, bytes / GA_OS_PAGE_SIZE, PROT_READ);
    return r;
}

bool ga_core_cut(struct ga_core *core, uint32_t n, void (*operation)(void))
{
    struct sigaction before[2];
    struct sigaction store = {.sa_sigaction = on_store, .sa_flags = SA_SIGINFO};
    struct sigaction stored = {.sa_sigaction = on_stored, .sa_flags = SA_SIGINFO};
    cut_core = core;
    stores_left = n;
    opened = NULL;
    sigaction(SIGSEGV, &store, &before[0]);
    sigaction(SIGTRAP, &stored, &before[1]);
    core->heap->effects.commit = commit;
    protect_all(core, PROT_READ);
    bool cut = sigsetjmp(out, 1) != 0;
    if (!cut)
        operation();
    protect_all(core, PROT_READ | PROT_WRITE);
    core->heap->effects.commit = core->effects.commit;
    sigaction(SIGSEGV, &before[0], NULL);
    sigaction(SIGTRAP, &before[1], NULL);
    return cut;
}
