#include "crash/own_memory.h"

#include <sys/mman.h>

void *ga_own_memory_new(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    (void)madvise(memory, bytes, MADV_DONTFORK);
    return memory;
}

void ga_own_memory_free(void *memory, size_t bytes)
{
    if (memory)
        munmap(memory, bytes);
}
