#include "server/backing.h"

#include <errno.h>
#include <stdlib.h>

int ga_backing_init(struct ga_backing *backing, const struct ga_heap_effects *effects,
                    enum ga_object object, uint64_t bytes)
{
    uint64_t npages = (bytes + GA_OS_PAGE_SIZE - 1) / GA_OS_PAGE_SIZE;
    uint64_t *committed = calloc((npages + 63) / 64, sizeof(uint64_t));
    if (!committed)
        return -ENOMEM;
    *backing = (struct ga_backing){
        .effects = effects, .object = object, .committed = committed, .npages = npages};
    return 0;
}

void ga_backing_fini(struct ga_backing *backing)
{
    free(backing->committed);
    backing->committed = NULL;
}

static bool is_committed(const struct ga_backing *backing, uint64_t page)
{
    return (backing->committed[page / 64] >> (page % 64)) & 1;
}

int ga_backing_ensure(struct ga_backing *backing, uint64_t offset, uint64_t bytes)
{
    if (bytes == 0)
        return 0;
    uint64_t page = offset / GA_OS_PAGE_SIZE;
    uint64_t last = (offset + bytes - 1) / GA_OS_PAGE_SIZE;
    assert(last < backing->npages);
    while (page <= last) {
        if (is_committed(backing, page)) {
            page++;
            continue;
        }
        uint64_t end = page + 1;
        while (end <= last && !is_committed(backing, end))
            end++;
        int r = backing->effects->commit(backing->effects->data, backing->object,
                                         page * GA_OS_PAGE_SIZE, (end - page) * GA_OS_PAGE_SIZE);
        if (r < 0)
            return r;
        backing->ncommitted += end - page;
        for (; page < end; page++)
            backing->committed[page / 64] |= UINT64_C(1) << (page % 64);
    }
    return 0;
}

uint64_t ga_backing_bytes(const struct ga_backing *backing)
{
    return backing->ncommitted * GA_OS_PAGE_SIZE;
}

uint64_t ga_backing_bytes_in(const struct ga_backing *backing, uint64_t offset, uint64_t bytes)
{
    uint64_t page = offset / GA_OS_PAGE_SIZE;
    uint64_t end = (offset + bytes) / GA_OS_PAGE_SIZE;
    assert(end <= backing->npages);
    uint64_t count = 0;
    while (page < end) {
        uint64_t word = backing->committed[page / 64] >> (page % 64);
        uint64_t n = 64 - page % 64;
        if (n > end - page) {
            n = end - page;
            word &= (UINT64_C(1) << n) - 1;
        }
        count += (uint64_t)__builtin_popcountll(word);
        page += n;
    }
    return count * GA_OS_PAGE_SIZE;
}
