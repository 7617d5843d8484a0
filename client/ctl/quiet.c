/* A server keeps quiet until we say on the same connection that we are done; that it answers this
 * is the proof that it has. Of a heap without a server we take the lock that its next server would
 * need, and look whether any of its clients is alive. */
#include "client/ctl/quiet.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/channel.h"
#include "client/ctl/ask.h"
#include "client/ctl/print.h"
#include "client/ctl/printable.h"
#include "client/ctl/shm_heap.h"
#include "proto/error.h"
#include "shm/atomic.h"
#include "shm/process.h"
#include "shm/server_lock.h"
#include "shm/view.h"

static int refuse(const struct ga_quiet *quiet, int err, const char *why)
{
    fprintf(stderr, "goallocctl: no snapshot of heap '%s': %s\n", quiet->heap_name, why);
    return err;
}

void ga_quiet_name_process(uint32_t pid, const char *name, const char *more)
{
    char *shown = ga_printable_copy(name);
    fprintf(stderr, "goallocctl:   process %" PRIu32 " (%s)%s\n", pid, shown ? shown : "", more);
    free(shown);
}

static int refuse_clients(const struct ga_quiet *quiet, uint64_t nclients, const char *how,
                          const char *cure)
{
    char why[128];
    snprintf(why, sizeof(why), "%" PRIu64 " client%s %s; %s:", nclients, ga_print_plural(nclients),
             how, cure);
    return refuse(quiet, -EBUSY, why);
}

/* ---- the objects ---- */

static int read_header(struct ga_quiet *quiet)
{
    struct ga_meta_header *header = &quiet->header;
    char why[256];
    ssize_t n = pread(quiet->objects[GA_OBJECT_META].fd, header, sizeof(*header), 0);
    if (n != (ssize_t)sizeof(*header))
        return refuse(quiet, -EPROTO, "the header of its meta object cannot be read");
    int r = ga_geometry_check(header, why, sizeof(why));
    if (r < 0)
        return refuse(quiet, r, why);
    if (ga_load_relaxed(&header->state) != GA_HEAP_LIVE)
        return refuse(quiet, -EPROTO, "it was never made to its end, or has ended");
    if (strncmp(header->name, quiet->heap_name, sizeof(header->name)) != 0)
        return refuse(quiet, -EPROTO, "its header is damaged: it is of a heap of another name");
    return 0;
}

/* An object that was cut short would look as if it had holes. */
static int check_sizes(const struct ga_quiet *quiet)
{
    const struct ga_meta_header *header = &quiet->header;
    const uint64_t least[GA_OBJECT_COUNT] = {header->meta_bytes, header->bits_bytes,
                                             ga_load_relaxed(&header->committed_npages) *
                                                 GA_PAGE_SIZE};
    struct ga_bits_header bits = {0};
    struct stat st;
    for (int i = 0; i < GA_OBJECT_COUNT; i++)
        if (least[i] > 0 &&
            (fstat(quiet->objects[i].fd, &st) < 0 || (uint64_t)st.st_size < least[i]))
            return refuse(quiet, -EPROTO, "one of its objects has been cut short");
    if (pread(quiet->objects[GA_OBJECT_BITS].fd, &bits, sizeof(bits), 0) != sizeof(bits) ||
        bits.magic != GA_BITS_MAGIC || bits.heap_id != header->heap_id)
        return refuse(quiet, -EPROTO, "its bits object is damaged, or another heap's");
    return 0;
}

static int open_object(struct ga_quiet *quiet, enum ga_object object)
{
    int r = ga_mapping_open(quiet->heap_name, object, true, -1, 0, 0, &quiet->objects[object]);
    return r < 0 ? refuse(quiet, r, ga_error_text(r)) : 0;
}

static int open_rest(struct ga_quiet *quiet)
{
    int r = open_object(quiet, GA_OBJECT_BITS);
    /* Of a heap that never committed anything the object is empty, and cannot be mapped. */
    if (r == 0 && ga_load_relaxed(&quiet->header.committed_npages) > 0)
        r = open_object(quiet, GA_OBJECT_HEAP);
    return r < 0 ? r : check_sizes(quiet);
}

/* ---- with a server ---- */

static int ask_quiet(const struct ga_ctl *ctl, struct ga_quiet *quiet)
{
    Goalloc__V1__Quiesce body = GOALLOC__V1__QUIESCE__INIT;
    body.wait_ms = ctl->wait_ms;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_QUIESCE;
    request.quiesce = &body;
    struct ga_answer answer = {0};
    int err = ga_source_ask_within(&ctl->source, &request, ctl->wait_ms,
                                   GOALLOC__V1__ENVELOPE__BODY_QUIET, &answer);
    if (err < 0)
        return err;
    const Goalloc__V1__Quiet *said = answer.message->quiet;
    quiet->npaused = said->npaused;
    if (said->nclients > 0) {
        err = refuse_clients(quiet, said->nclients,
                             said->nclients == 1 ? "is attached and has not paused"
                                                 : "are attached and have not paused",
                             "pause, detach or end");
        for (size_t i = 0; i < said->n_clients; i++)
            ga_quiet_name_process(said->clients[i]->pid, said->clients[i]->name,
                                  said->clients[i]->quarantined ? ", which is in quarantine" : "");
    }
    ga_answer_fini(&answer);
    return err;
}

/* Whether the heap of this name in /dev/shm is the server's. */
static int check_server(const struct ga_ctl *ctl, const struct ga_quiet *quiet)
{
    struct ga_answer answer = {0};
    int err = ga_ask_status(ctl, &answer);
    if (err < 0)
        return err;
    if (quiet->header.server_pid != answer.message->status->server_pid)
        err = refuse(quiet, -EPROTO, "the heap of this name in /dev/shm is not the server's");
    ga_answer_fini(&answer);
    return err;
}

static int begin_with_server(const struct ga_ctl *ctl, struct ga_quiet *quiet)
{
    quiet->heap_name = ga_channel_heap_name(ctl->source.channel);
    if (!ga_heap_name_is_valid(quiet->heap_name)) {
        fputs("goallocctl: the server names no heap that can be\n", stderr);
        return -EPROTO;
    }
    int r = ask_quiet(ctl, quiet);
    if (r == 0)
        r = open_object(quiet, GA_OBJECT_META);
    if (r == 0)
        r = read_header(quiet);
    if (r == 0)
        r = check_server(ctl, quiet);
    return r < 0 ? r : open_rest(quiet);
}

/* ---- without ---- */

static int check_clients(const struct ga_quiet *quiet)
{
    const struct ga_meta_header *header = &quiet->header;
    uint32_t end = ga_load_relaxed(&header->client_end);
    end = end < header->counts.clients ? end : header->counts.clients;
    uint32_t nalive = 0;
    struct ga_client_entry alive[8];
    for (uint32_t i = 0; i < end; i++) {
        struct ga_client_entry entry;
        off_t offset = (off_t)(header->clients_offset + i * sizeof(entry));
        if (pread(quiet->objects[GA_OBJECT_META].fd, &entry, sizeof(entry), offset) !=
            (ssize_t)sizeof(entry))
            return refuse(quiet, -EPROTO, "its clients cannot be read");
        if (ga_load_relaxed(&entry.state) != GA_CLIENT_ATTACHED ||
            !ga_process_is_alive(entry.pid, entry.start_time))
            continue;
        entry.name[sizeof(entry.name) - 1] = '\0';
        if (nalive < sizeof(alive) / sizeof(alive[0]))
            memcpy(&alive[nalive], &entry, sizeof(entry));
        nalive++;
    }
    if (nalive == 0)
        return 0;
    int err = refuse_clients(quiet, nalive, nalive == 1 ? "lives" : "live", "detach or end");
    for (uint32_t i = 0; i < nalive && i < sizeof(alive) / sizeof(alive[0]); i++)
        ga_quiet_name_process(alive[i].pid, alive[i].name, "");
    return err;
}

/* The lock that a server would need. Meta is opened once more, since only who may write it can have
 * the lock; and it may be another heap's by now, which the inode tells. */
static int take_lock(struct ga_quiet *quiet)
{
    char path[GA_OBJECT_NAME_BYTES];
    struct stat read;
    struct stat locked;
    ga_object_name(quiet->heap_name, GA_OBJECT_META, path);
    quiet->lock_fd = shm_open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (quiet->lock_fd < 0 || fstat(quiet->lock_fd, &locked) < 0 ||
        fstat(quiet->objects[GA_OBJECT_META].fd, &read) < 0)
        return refuse(quiet, -errno,
                      "no server can be kept from starting: only the heap's owner can");
    if (locked.st_dev != read.st_dev || locked.st_ino != read.st_ino ||
        ga_server_lock_take(quiet->lock_fd) < 0)
        return refuse(quiet, -EBUSY, "a server, or another snapshot, holds it");
    return 0;
}

static int begin_without_server(const struct ga_ctl *ctl, struct ga_quiet *quiet)
{
    char why[96];
    quiet->heap_name = ctl->source.heap->name;
    int r = open_object(quiet, GA_OBJECT_META);
    if (r < 0)
        return r;
    r = read_header(quiet);
    if (r < 0)
        return r;
    uint32_t pid = quiet->header.server_pid;
    if (ga_process_is_alive(pid, quiet->header.server_start_time)) {
        snprintf(why, sizeof(why), "its server, process %" PRIu32 ", lives: ask it with --socket",
                 pid);
        return refuse(quiet, -EBUSY, why);
    }
    r = take_lock(quiet);
    if (r == 0)
        r = read_header(quiet); /* a server may have been there, and gone */
    if (r == 0)
        r = check_clients(quiet);
    return r < 0 ? r : open_rest(quiet);
}

/* ---- the face ---- */

int ga_quiet_begin(const struct ga_ctl *ctl, struct ga_quiet *ret)
{
    *ret = (struct ga_quiet){.objects = {GA_MAPPING_NONE, GA_MAPPING_NONE, GA_MAPPING_NONE},
                             .lock_fd = -1};
    int r = ctl->source.heap ? begin_without_server(ctl, ret) : begin_with_server(ctl, ret);
    if (r < 0)
        ga_quiet_end(ret);
    return r;
}

int ga_quiet_release(const struct ga_ctl *ctl)
{
    if (ctl->source.heap)
        return 0;
    Goalloc__V1__Resume body = GOALLOC__V1__RESUME__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_RESUME;
    request.resume = &body;
    struct ga_answer answer = {0};
    int err = ga_source_ask(&ctl->source, &request, GOALLOC__V1__ENVELOPE__BODY_DONE, &answer);
    if (err < 0)
        return err;
    ga_answer_fini(&answer);
    return 0;
}

void ga_quiet_end(struct ga_quiet *quiet)
{
    for (int i = 0; i < GA_OBJECT_COUNT; i++)
        ga_mapping_close(&quiet->objects[i]);
    if (quiet->lock_fd >= 0)
        close(quiet->lock_fd);
    quiet->lock_fd = -1;
}
