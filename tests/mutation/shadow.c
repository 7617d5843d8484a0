#include "shadow.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct shadow *shadow_open(int fd)
{
    void *shadow = mmap(NULL, sizeof(struct shadow), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shadow == MAP_FAILED) {
        perror("the shadow");
        exit(2);
    }
    return shadow;
}

struct shadow *shadow_make(int *ret_fd)
{
    int fd = memfd_create("shadow", 0);
    if (fd < 0 || ftruncate(fd, sizeof(struct shadow)) < 0) {
        perror("the shadow");
        exit(2);
    }
    *ret_fd = fd;
    return shadow_open(fd);
}

uint32_t shadow_bury(struct shadow *shadow, uint32_t client)
{
    uint32_t unknown = 0;
    for (uint32_t t = 0; t < SHADOW_THREADS_MAX; t++) {
        atomic_store(&shadow->thread[client][t].parked, 0);
        for (uint32_t i = 0; i < SHADOW_POCKETS; i++)
            atomic_store(&shadow->thread[client][t].pocket[i], 0);
    }
    for (uint32_t i = 0; i < SHADOW_NAMES; i++)
        if (atomic_load(&shadow->name[i].lock) == client + 1)
            atomic_store(&shadow->name[i].lock, SHADOW_DOUBT);
    for (uint32_t i = 0; i < SHADOW_RECORDS; i++) {
        struct shadow_record *record = &shadow->record[i];
        if (atomic_load(&record->lock) == client + 1)
            atomic_store(&record->lock, SHADOW_DOUBT);
        if (record->owner != client || atomic_load(&record->state) != SHADOW_MAKING)
            continue;
        atomic_store(&record->state, SHADOW_EMPTY);
        unknown++;
    }
    return unknown;
}

const char *shadow_text(struct shadow *shadow, shadow_id id, char text[static SHADOW_TEXT_BYTES])
{
    static const char *const states[] = {"empty", "being made", "live", "freed", "garbage"};
    if (id == 0) {
        snprintf(text, SHADOW_TEXT_BYTES, "of no record");
        return text;
    }
    struct shadow_record *record = shadow_record(shadow, id);
    snprintf(text, SHADOW_TEXT_BYTES,
             "record %u at %p: %s, number %#llx, %llu bytes%s, made by client %u in round %u, %u "
             "refs, lock %u",
             id, (void *)shadow_address(record), states[atomic_load(&record->state)],
             (unsigned long long)record->number, (unsigned long long)record->bytes,
             record->noscan ? ", noscan" : "", record->owner, record->round,
             atomic_load(&record->refs), atomic_load(&record->lock));
    return text;
}
