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

const char *storm_entry_text(const struct storm_ledger *ledger, const struct storm_entry *e,
                             char text[static STORM_TEXT_BYTES])
{
    static const char *const states[] = {"empty",       "being allocated", "live",       "unfilled",
                                         "being freed", "being resized",   "being named"};
    size_t i = (size_t)(e - &ledger->entry[0][0][0]);
    uint64_t word = atomic_load(&e->state);
    snprintf(text, STORM_TEXT_BYTES, "%p, %llu bytes, in entry %zu/%zu/%zu, %s by client %u",
             (void *)atomic_load(&e->object), (unsigned long long)e->bytes,
             i / STORM_ENTRIES / STORM_THREADS_MAX, i / STORM_ENTRIES % STORM_THREADS_MAX,
             i % STORM_ENTRIES, states[storm_state_of(word)], storm_client_of(word));
    return text;
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
