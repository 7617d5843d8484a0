#include "server/backing.h"

#include <errno.h>
#include <stdlib.h>

int ga_backing_init(struct ga_backing *backing, const struct ga_heap_effects *effects,
                    enum ga_object object, uint64_t bytes, uint64_t piece_bytes)
{
    uint64_t npieces = (bytes + piece_bytes - 1) / piece_bytes;
    uint64_t *committed = calloc((npieces + 63) / 64, sizeof(uint64_t));
    if (!committed)
        return -ENOMEM;
    *backing = (struct ga_backing){.effects = effects,
                                   .object = object,
                                   .committed = committed,
                                   .bytes = (bytes + GA_OS_PAGE_SIZE - 1) & ~(GA_OS_PAGE_SIZE - 1),
                                   .piece_bytes = piece_bytes,
                                   .npieces = npieces};
    return 0;
}

void ga_backing_fini(struct ga_backing *backing)
{
    free(backing->committed);
    backing->committed = NULL;
}

static bool is_committed(const struct ga_backing *backing, uint64_t piece)
{
    return (backing->committed[piece / 64] >> (piece % 64)) & 1;
}

/* Commit the pieces [piece, end), none of which is. */
static int commit(struct ga_backing *backing, uint64_t piece, uint64_t end)
{
    uint64_t from = piece * backing->piece_bytes;
    uint64_t to = end * backing->piece_bytes;
    to = to < backing->bytes ? to : backing->bytes;
    int r = backing->effects->commit(backing->effects->data, backing->object, from, to - from);
    if (r < 0)
        return r;
    backing->ncommitted += end - piece;
    for (; piece < end; piece++)
        backing->committed[piece / 64] |= UINT64_C(1) << (piece % 64);
    return 0;
}

int ga_backing_ensure(struct ga_backing *backing, uint64_t offset, uint64_t bytes)
{
    if (bytes == 0)
        return 0;
    uint64_t piece = offset / backing->piece_bytes;
    uint64_t last = (offset + bytes - 1) / backing->piece_bytes;
    assert(last < backing->npieces);
    while (piece <= last) {
        if (is_committed(backing, piece)) {
            piece++;
            continue;
        }
        uint64_t end = piece + 1;
        while (end <= last && !is_committed(backing, end))
            end++;
        int r = commit(backing, piece, end);
        if (r < 0)
            return r;
        piece = end;
    }
    return 0;
}

uint64_t ga_backing_bytes(const struct ga_backing *backing)
{
    return backing->ncommitted * backing->piece_bytes;
}

uint64_t ga_backing_bytes_in(const struct ga_backing *backing, uint64_t offset, uint64_t bytes)
{
    uint64_t piece = offset / backing->piece_bytes;
    uint64_t end = (offset + bytes) / backing->piece_bytes;
    assert(end <= backing->npieces);
    uint64_t count = 0;
    while (piece < end) {
        uint64_t word = backing->committed[piece / 64] >> (piece % 64);
        uint64_t n = 64 - piece % 64;
        if (n > end - piece) {
            n = end - piece;
            word &= (UINT64_C(1) << n) - 1;
        }
        count += (uint64_t)__builtin_popcountll(word);
        piece += n;
    }
    return count * backing->piece_bytes;
}
