#include "client/ctl/stillness.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "shm/atomic.h"

static bool read_from(const struct ga_quiet *quiet, enum ga_object object, uint64_t offset,
                      void *ret, size_t bytes)
{
    return pread(quiet->objects[object].fd, ret, bytes, (off_t)offset) == (ssize_t)bytes;
}

/* Sum up count entries of bits, the first at offset. */
static bool sum_up(const struct ga_quiet *quiet, uint64_t offset, uint32_t count,
                   size_t entry_bytes, uint64_t *ret_sums)
{
    char entry[sizeof(struct ga_mcache)];
    for (uint32_t i = 0; i < count; i++) {
        if (!read_from(quiet, GA_OBJECT_BITS, offset + i * entry_bytes, entry, entry_bytes))
            return false;
        ret_sums[i] = XXH3_64bits(entry, entry_bytes);
    }
    return true;
}

int ga_stillness_take(const struct ga_quiet *quiet, struct ga_stillness *ret)
{
    const struct ga_meta_header *header = &quiet->header;
    uint32_t nmcaches = ga_load_relaxed(&header->mcache_end);
    uint32_t nclients = ga_load_relaxed(&header->client_end);
    struct ga_stillness sums = {
        .nmcaches = nmcaches < header->counts.mcaches ? nmcaches : header->counts.mcaches,
        .nclients = nclients < header->counts.handles ? nclients : header->counts.handles,
    };
    sums.sums = calloc((size_t)sums.nmcaches + sums.nclients + 1, sizeof(*sums.sums));
    if (sums.sums &&
        sum_up(quiet, header->bits_mcaches_offset, sums.nmcaches, sizeof(struct ga_mcache),
               sums.sums) &&
        sum_up(quiet, header->bits_handles_offset, sums.nclients, sizeof(struct ga_handles),
               sums.sums + sums.nmcaches)) {
        *ret = sums;
        return 0;
    }
    int err = sums.sums ? -EIO : -ENOMEM;
    fprintf(stderr, "goallocctl: no snapshot of heap '%s': %s\n", quiet->heap_name,
            sums.sums ? "its mcaches cannot be read" : "out of memory");
    ga_stillness_fini(&sums);
    return err;
}

/* Whose the i-th sum is: the client's number, 0 = nobody's. */
static uint32_t client_of(const struct ga_quiet *quiet, const struct ga_stillness *sums, uint32_t i)
{
    struct ga_mcache_entry entry = {0};
    if (i >= sums->nmcaches)
        return i - sums->nmcaches + 1;
    (void)read_from(quiet, GA_OBJECT_META, quiet->header.mcaches_offset + i * sizeof(entry), &entry,
                    sizeof(entry));
    uint32_t client = ga_load_relaxed(&entry.client);
    return client <= GA_CLIENT_COUNT ? client : 0;
}

static void name_client(const struct ga_quiet *quiet, uint32_t client)
{
    struct ga_client_entry entry = {0};
    if (client != 0)
        (void)read_from(quiet, GA_OBJECT_META,
                        quiet->header.clients_offset + (client - 1) * sizeof(entry), &entry,
                        sizeof(entry));
    entry.name[sizeof(entry.name) - 1] = '\0';
    ga_quiet_name_process(entry.pid, entry.name, "");
}

int ga_stillness_check(const struct ga_quiet *quiet, const struct ga_stillness *before)
{
    static bool named[GA_CLIENT_COUNT + 1]; /* one check a run */
    struct ga_stillness now = {0};
    int r = ga_stillness_take(quiet, &now);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < now.nmcaches + now.nclients; i++) {
        uint32_t client = client_of(quiet, &now, i);
        if (now.sums[i] == before->sums[i] || named[client])
            continue;
        if (r == 0)
            fprintf(stderr,
                    "goallocctl: no snapshot of heap '%s': it was used by a client that had agreed "
                    "to pause:\n",
                    quiet->heap_name);
        r = -ECANCELED;
        named[client] = true;
        name_client(quiet, client);
    }
    ga_stillness_fini(&now);
    return r;
}

void ga_stillness_fini(struct ga_stillness *stillness)
{
    free(stillness->sums);
    *stillness = (struct ga_stillness){0};
}
