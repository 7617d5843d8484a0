/* What a collection finds in the memory of a managed process, seen from outside: a process in which
 * that takes longer than the server waits without hearing of it; and data of a library that was
 * loaded while the program ran. */
#include <dlfcn.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "goalloc/goalloc.h"
#include "support/cunit_main.h"
#include "support/server_fixture.h"

#define COUNT(a)   (sizeof(a) / sizeof(*(a)))
#define LIST       500
#define GARBAGE    2000
#define LUCK       64u
#define PART_BYTES ((size_t)256 << 10) /* that the library reads at once */
#define PARTS      30u
#define PART_MS    200 /* all of them take 6 s, and the server waits for 4 */

struct node {
    struct node *next;
    int number;
};

static struct ga_test_server server;
static struct goalloc_heap *heap;
static char *slow;
static atomic_uint nslow;

/* The library reads memory with this. */
ssize_t process_vm_readv(pid_t pid, const struct iovec *local, unsigned long nlocal,
                         const struct iovec *remote, unsigned long nremote, unsigned long flags)
{
    if (slow && (char *)remote->iov_base >= slow &&
        (char *)remote->iov_base < slow + PARTS * PART_BYTES) {
        nslow++;
        poll(NULL, 0, PART_MS);
    }
    return syscall(SYS_process_vm_readv, pid, local, nlocal, remote, nremote, flags);
}

static void open_heap(void)
{
    struct goalloc_options options = {
        .size = sizeof(options), .timeout_ms = 100000, .flags = GOALLOC_MANAGED};
    CU_ASSERT_FATAL(ga_test_server_start("256M", &server));
    CU_ASSERT_EQUAL_FATAL(goalloc_attach(server.socket, &options, &heap), 0);
}

static void close_heap(void)
{
    goalloc_detach(heap);
    CU_ASSERT(ga_test_server_stop(&server));
}

static __attribute__((noinline)) struct node *make_list(int length)
{
    struct node *list = NULL;
    for (int i = 0; i < length; i++) {
        struct node *node = goalloc_malloc(heap, sizeof(*node));
        if (!node)
            abort();
        *node = (struct node){.next = list, .number = i};
        list = node;
    }
    return list;
}

static bool is_whole(const struct node *list, int length)
{
    for (int i = length - 1; i >= 0; i--, list = list->next)
        if (!list || list->number != i)
            return false;
    return list == NULL;
}

/* Single objects, so that a word that is left somewhere keeps one. */
static __attribute__((noinline)) void make_garbage(void)
{
    for (int i = 0; i < GARBAGE; i++)
        (void)make_list(1);
}

static void collect(void)
{
    struct goalloc_gc_result result = {.size = sizeof(result)};
    make_garbage();
    int r = goalloc_gc(heap, &result);
    CU_ASSERT_EQUAL(r, 0);
    if (r < 0)
        fprintf(stderr, "goalloc_gc: %s: %s\n", goalloc_strerror(r), result.failure);
    CU_ASSERT(result.freed >= GARBAGE - LUCK);
    /* What was freed and should not have been is another's now, and not as it was. */
    for (int i = 0; i < 2 * GARBAGE + LIST; i++)
        (void)make_list(1);
}

static void it_takes_long(void)
{
    size_t bytes = PARTS * PART_BYTES;
    open_heap();
    slow = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_PTR_NOT_EQUAL_FATAL((void *)slow, MAP_FAILED);
    memset(slow, 1, bytes);
    struct node *list = make_list(LIST);
    memcpy(slow + bytes - sizeof(list), &list, sizeof(list)); /* found last */
    list = NULL;
    nslow = 0;
    collect();
    CU_ASSERT(nslow >= PARTS);
    memcpy(&list, slow + bytes - sizeof(list), sizeof(list));
    CU_ASSERT(is_whole(list, LIST));
    munmap(slow, bytes);
    slow = NULL;
    close_heap();
}

/* Nothing of this thread's stack points to the list, which only the library does then. */
static __attribute__((noinline)) void keep_in(void **(*place)(void))
{
    *place() = make_list(LIST);
}

static __attribute__((noinline)) void clear_stack(void)
{
    volatile char below[32768];
    for (size_t i = 0; i < sizeof(below); i++)
        below[i] = 0;
}

static void data_of_a_library(void)
{
    void **(*place)(void) = NULL;
    open_heap();
    void *module = dlopen(MANAGED_MODULE_PATH, RTLD_NOW);
    CU_ASSERT_PTR_NOT_NULL_FATAL(module);
    void *found = dlsym(module, "managed_module_place");
    CU_ASSERT_PTR_NOT_NULL_FATAL(found);
    memcpy(&place, &found, sizeof(found));
    keep_in(place);
    clear_stack();
    collect();
    CU_ASSERT(is_whole(*place(), LIST));
    dlclose(module);
    collect(); /* of what was its data nothing is mapped any more */
    close_heap();
}

int main(void)
{
    const struct ga_test tests[] = {
        {"it takes long", it_takes_long},
        {"data of a library", data_of_a_library},
    };
    return ga_test_main("integration.managed_roots", tests, COUNT(tests));
}
