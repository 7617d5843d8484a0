#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct storm_ledger *storm_ledger_open(int fd)
{
    void *ledger =
        mmap(NULL, sizeof(struct storm_ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ledger == MAP_FAILED) {
        perror("the ledger");
        exit(2);
    }
    return ledger;
}

struct storm_ledger *storm_ledger_make(int *ret_fd)
{
    int fd = memfd_create("storm", 0);
    if (fd < 0 || ftruncate(fd, sizeof(struct storm_ledger)) < 0) {
        perror("the ledger");
        exit(2);
    }
    *ret_fd = fd;
    return storm_ledger_open(fd);
}

static uint8_t byte_of(uint64_t seed, uint64_t i)
{
    return (uint8_t)(seed >> (i % 8 * 8)) ^ (uint8_t)i;
}

void storm_fill(uint8_t *object, uint64_t bytes, uint64_t seed)
{
    for (uint64_t i = 0; i < bytes; i++)
        object[i] = byte_of(seed, i);
}

bool storm_is_intact(const uint8_t *object, uint64_t bytes, uint64_t seed)
{
    for (uint64_t i = 0; i < bytes; i++)
        if (object[i] != byte_of(seed, i))
            return false;
    return true;
}
