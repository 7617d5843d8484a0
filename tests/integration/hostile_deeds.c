/* What a hostile client does: to its connection, and to the memory that it can write. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "integration/hostile.h"
#include "shm/view.h"
#include "support/cunit_main.h"

#define BODY(name)   GOALLOC__V1__ENVELOPE__BODY_##name
#define FIRST_BODY   3 /* the field number of the first body of an Envelope */
#define CONNECTIONS  40
#define FLOOD        200000
#define NOTE_PAGES   1500
#define STORES       64 /* random ones, between two messages */
#define REPEATED_MAX 6

static uint64_t below(struct ga_hostile *hostile, uint64_t limit)
{
    return ga_test_random(&hostile->random) % limit;
}

bool ga_hostile_got(const Goalloc__V1__Envelope *reply, Goalloc__V1__Envelope__BodyCase body_case)
{
    return reply && reply->body_case == body_case;
}

uint32_t ga_hostile_begin(struct ga_wire *wire, const struct ga_hostile *hostile)
{
    Goalloc__V1__NewMcache new_mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    if (!ga_wire_open_attached(wire, hostile->socket))
        return 0;
    const Goalloc__V1__Envelope *reply = ga_wire_ask(wire, BODY(NEW_MCACHE), &new_mcache);
    return ga_hostile_got(reply, BODY(MCACHE)) ? reply->mcache->mcache : 0;
}

bool ga_hostile_send(struct ga_wire *wire, uint64_t id, Goalloc__V1__Envelope__BodyCase body_case,
                     void *body)
{
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.id = id;
    message.body_case = body_case;
    message.hello = body; /* every member of the union is a pointer to its message */
    return ga_wire_send(wire, &message);
}

/* ---- bytes and frames ---- */

static void random_bytes(struct ga_hostile *hostile, struct ga_wire *wire)
{
    uint8_t bytes[512];
    size_t nbytes = GA_FRAME_HEADER_BYTES + 1 + below(hostile, 500);
    for (size_t i = 0; i < nbytes; i++)
        bytes[i] = (uint8_t)ga_test_random(&hostile->random);
    ga_frame_put_header(bytes, nbytes - GA_FRAME_HEADER_BYTES);
    bytes[GA_FRAME_HEADER_BYTES] = 0; /* no field has the number 0 */
    ga_wire_send_bytes(wire, bytes, nbytes);
    ga_wire_is_ended(wire);
}

static void random_frames(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    if (ga_hostile_begin(&wire, hostile) != 0)
        random_bytes(hostile, &wire);
}

static void huge_frames(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    if (ga_hostile_begin(&wire, hostile) == 0)
        return;
    ga_wire_send_bytes(&wire, "\xff\xff\xff\xff and so on", 14);
    ga_wire_is_ended(&wire);
}

/* Cut anywhere, on many connections, attached or not, that hang up or stay. */
static void half_frames(struct ga_hostile *hostile)
{
    static struct ga_wire wires[CONNECTIONS];
    static const uint8_t frame[] = {100, 0, 0, 0, 0x08, 0x01, 0x12};
    for (int i = 0; i < CONNECTIONS; i++) {
        bool open = i % 2 ? ga_wire_open_attached(&wires[i], hostile->socket)
                          : ga_wire_open(&wires[i], hostile->socket);
        if (open)
            ga_wire_send_bytes(&wires[i], frame, 1 + below(hostile, sizeof(frame)));
        if (i % 3 == 0)
            ga_wire_close(&wires[i]);
    }
}

/* Requests without end, whose replies nobody reads. */
static void endless_frames(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    Goalloc__V1__ListSpans body = GOALLOC__V1__LIST_SPANS__INIT;
    if (ga_hostile_begin(&wire, hostile) == 0)
        return;
    for (uint64_t id = 100; id < FLOOD && ga_hostile_send(&wire, id, BODY(LIST_SPANS), &body); id++)
        continue;
}

static void thousands_of_connections(struct ga_hostile *hostile)
{
    for (uint32_t i = 0; i < 10 * hostile->steps; i++) {
        struct ga_wire wire;
        if (!ga_wire_open(&wire, hostile->socket))
            continue;
        if (below(hostile, 3) == 0)
            ga_wire_send_bytes(&wire, "\x05\0\0", 3);
        if (below(hostile, 8) == 0)
            shutdown(wire.fd, SHUT_RDWR);
        ga_wire_close(&wire);
    }
}

/* ---- notes that are too long ---- */

static void long_notes(struct ga_hostile *hostile)
{
    static uint32_t pages[NOTE_PAGES];
    struct ga_wire wire;
    Goalloc__V1__LargeFree body = GOALLOC__V1__LARGE_FREE__INIT;
    if (ga_hostile_begin(&wire, hostile) == 0)
        return;
    body.pages = pages;
    body.n_pages = NOTE_PAGES;
    ga_hostile_send(&wire, 0, BODY(LARGE_FREE), &body);
    ga_wire_is_ended(&wire);
}

/* ---- sound messages with anything in them ---- */

static uint64_t any_number(struct ga_hostile *hostile)
{
    switch (below(hostile, 6)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX >> below(hostile, 64);
    case 2:
        return below(hostile, 4096) * GA_PAGE_SIZE;
    default:
        return below(hostile, 200);
    }
}

static void any_field(struct ga_hostile *hostile, const ProtobufCFieldDescriptor *field,
                      uint8_t *message)
{
    static char text[32];
    static uint32_t pages[REPEATED_MAX];
    void *member = message + field->offset;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        *(size_t *)(void *)(message + field->quantifier_offset) = below(hostile, REPEATED_MAX + 1);
        for (int i = 0; i < REPEATED_MAX; i++)
            pages[i] = (uint32_t)any_number(hostile);
        *(uint32_t **)member = pages;
    } else if (field->type == PROTOBUF_C_TYPE_STRING) {
        snprintf(text, sizeof(text), "%x", (unsigned)below(hostile, 300));
        *(char **)member = text;
    } else if (field->type == PROTOBUF_C_TYPE_UINT64) {
        *(uint64_t *)member = any_number(hostile);
    } else if (field->type == PROTOBUF_C_TYPE_UINT32) {
        *(uint32_t *)member = (uint32_t)any_number(hostile);
    }
}

/* Any message but the first, its mcache one's own: others' would be the end at once. */
static bool send_any(struct ga_hostile *hostile, struct ga_wire *wire, uint32_t own)
{
    static _Alignas(16) uint8_t memory[1024];
    const ProtobufCMessageDescriptor *type = &goalloc__v1__envelope__descriptor;
    const ProtobufCFieldDescriptor *body = &type->fields[below(hostile, type->n_fields)];
    if (body->type != PROTOBUF_C_TYPE_MESSAGE || body->id < FIRST_BODY)
        return true;
    const ProtobufCMessageDescriptor *inner = body->descriptor;
    if (inner->sizeof_message > sizeof(memory) || inner == &goalloc__v1__detach__descriptor)
        return true;
    inner->message_init((ProtobufCMessage *)(void *)memory);
    for (unsigned i = 0; i < inner->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &inner->fields[i];
        bool nested = field->type == PROTOBUF_C_TYPE_MESSAGE;
        if (strcmp(field->name, "mcache") == 0 && below(hostile, 50) != 0)
            *(uint32_t *)(void *)(memory + field->offset) = own;
        else if (!nested)
            any_field(hostile, field, memory);
    }
    return ga_hostile_send(wire, below(hostile, 4) ? below(hostile, 1000) : 0,
                           (Goalloc__V1__Envelope__BodyCase)body->id, memory);
}

/* Take what has come, and do not wait for more. Whether the connection is still open. */
static bool drain(struct ga_wire *wire)
{
    static char bytes[65536];
    ssize_t n;
    do {
        n = recv(wire->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    } while (n > 0);
    return n < 0 && errno == EAGAIN;
}

static void any_messages(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    uint32_t own = ga_hostile_begin(&wire, hostile);
    for (uint32_t i = 0; own && i < 4 * hostile->steps; i++)
        if (!send_any(hostile, &wire, own) || !drain(&wire))
            break;
    /* What was sent before has been handled when this is answered, or the connection closed. */
    Goalloc__V1__Sync sync = GOALLOC__V1__SYNC__INIT;
    if (own && drain(&wire))
        ga_wire_ask(&wire, BODY(SYNC), &sync);
}

/* ---- memory ---- */

static void *map(const char *heap, const char *suffix, int flags, size_t *ret_bytes)
{
    struct stat st;
    int protection = flags == O_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE;
    int fd = ga_daemon_open_object(heap, suffix, flags);
    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    *ret_bytes = (size_t)st.st_size;
    void *got = mmap(NULL, *ret_bytes, protection, MAP_SHARED, fd, 0);
    close(fd);
    return got == MAP_FAILED ? NULL : got;
}

bool ga_hostile_map(const struct ga_hostile *hostile, struct ga_hostile_memory *ret)
{
    size_t meta_bytes;
    ret->meta = map(hostile->heap, "meta", O_RDONLY, &meta_bytes);
    ret->bits = map(hostile->heap, "bits", O_RDWR, &ret->bits_bytes);
    ret->heap = map(hostile->heap, "heap", O_RDWR, &ret->heap_bytes);
    if (!ret->meta || !ret->bits || !ret->heap)
        return false;
    ret->view = ga_view_of(ret->meta, ret->bits);
    return true;
}

static uint64_t any_word(struct ga_hostile *hostile)
{
    uint64_t page = below(hostile, 2048);
    switch (below(hostile, 6)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return page;
    case 3:
        return page | below(hostile, 16) << 26 | below(hostile, 1 << 20) << 32;
    case 4:
        return UINT64_C(1) << below(hostile, 64);
    default:
        return ga_test_random(&hostile->random);
    }
}

/* A word to write to: of an mcache, of a span's line, of what is pending, or any at all. */
static uint8_t *any_place(struct ga_hostile *hostile, const struct ga_hostile_memory *memory)
{
    uint64_t npages = memory->heap_bytes / GA_PAGE_SIZE;
    uint64_t word;
    switch (below(hostile, 8)) {
    case 0:
    case 1:
    case 2:
        word = below(hostile, sizeof(struct ga_mcache) / 8);
        return (uint8_t *)&memory->view.mcaches[1 + below(hostile, 12)] + word * 8;
    case 3:
    case 4:
        word = below(hostile, sizeof(struct ga_span_line) / 8);
        return (uint8_t *)&memory->view.lines[below(hostile, npages < 512 ? npages : 512)] +
               word * 8;
    case 5:
        return (uint8_t *)ga_view_pending(&memory->view, below(hostile, 16));
    case 6:
        return memory->bits + below(hostile, memory->bits_bytes / 8) * 8;
    default:
        return memory->heap + below(hostile, memory->heap_bytes / 8) * 8;
    }
}

static void write_anything(struct ga_hostile *hostile, const struct ga_hostile_memory *memory,
                           uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t word = any_word(hostile);
        memcpy(any_place(hostile, memory), &word, sizeof(word));
    }
}

/* And use the heap meanwhile, so that the server meets what was written; and go without a word. */
static void write_memory(struct ga_hostile *hostile)
{
    struct ga_hostile_memory memory;
    struct ga_wire wire;
    uint32_t own = ga_hostile_begin(&wire, hostile);
    if (own == 0 || !ga_hostile_map(hostile, &memory))
        return;
    for (uint32_t i = 0; i < hostile->steps; i++) {
        write_anything(hostile, &memory, STORES);
        if (!send_any(hostile, &wire, own) || !drain(&wire))
            break;
    }
    write_anything(hostile, &memory, 20 * STORES);
}

/* Write all of an object that has memory behind it. */
static void overwrite(struct ga_hostile *hostile, const char *suffix)
{
    int fd = ga_daemon_open_object(hostile->heap, suffix, O_RDWR);
    uint64_t words[512];
    off_t end = 0;
    off_t at;
    while (fd >= 0 && (at = lseek(fd, end, SEEK_DATA)) >= 0) {
        end = lseek(fd, at, SEEK_HOLE);
        for (; at < end; at += (off_t)sizeof(words)) {
            uint64_t word = any_word(hostile);
            for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                words[i] = below(hostile, 64) ? word : any_word(hostile);
            if (pwrite(fd, words, sizeof(words), at) != sizeof(words))
                break;
        }
    }
    close(fd);
}

static void write_everything(struct ga_hostile *hostile)
{
    struct ga_wire wire;
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    lease.mcache = ga_hostile_begin(&wire, hostile);
    lease.span_class = 8;
    lease.count = 20;
    if (lease.mcache == 0)
        return;
    ga_wire_ask(&wire, BODY(LEASE), &lease);
    overwrite(hostile, "bits");
    overwrite(hostile, "heap");
}

/* meta can be read, and so locked as far as readers can. */
static void lock_meta(struct ga_hostile *hostile)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int fd = ga_daemon_open_object(hostile->heap, "meta", O_RDONLY);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        fprintf(stderr, "the hostile could not lock meta by flock\n");
    fcntl(fd, F_OFD_SETLK, &lock); /* not to be had while a server has its own */
}

const struct ga_deed ga_deeds[] = {
    {"random frames", random_frames, "it sent bytes that are no message", NULL},
    {"huge frames", huge_frames, "it sent a message over the limit of size", NULL},
    {"half frames", half_frames, NULL, NULL},
    {"endless frames", endless_frames, NULL, "does not read its replies"},
    {"thousands of connections", thousands_of_connections, NULL, NULL},
    {"leases for others", ga_deed_lease_for_others, "it asked for memory for mcache ", NULL},
    {"large spans for others", ga_deed_large_for_others, "it asked for memory for mcache ", NULL},
    {"leases ahead for others", ga_deed_lease_ahead_for_others, "it asked for 3 spans of class 10 ",
     NULL},
    {"leases for nobody", ga_deed_lease_for_nobody, "it asked for memory for mcache 4294967295",
     NULL},
    {"leases ahead", ga_deed_lease_ahead, NULL, NULL},
    {"a ring emptied too far", ga_deed_take_too_much, NULL, "has taken more from its ring than"},
    {"roots and holds of what is no object", ga_deed_wrong_places, NULL, NULL},
    {"spans of wrong lengths", ga_deed_resize, NULL, NULL},
    {"returns for others", ga_deed_return_for_others, "it returned spans of mcache ", NULL},
    {"spans of others returned", ga_deed_return_others_spans, NULL, "it is not leased to"},
    {"long notes", long_notes, "it sent a note of 1500 pages", NULL},
    {"claims to be others", ga_deed_claim_as_client, "it said that it is client ", NULL},
    {"claims of who is nobody", ga_deed_claim_as_nobody, NULL, "which is process "},
    {"requests too early", ga_deed_too_early, NULL, NULL},
    {"words that change", ga_deed_change_words, NULL, NULL},
    {"any messages", any_messages, NULL, NULL},
    {"anything in memory", write_memory, NULL, NULL},
    {"everything in memory", write_everything, NULL, "has words that cannot be"},
    {"locks", lock_meta, NULL, NULL},
    {NULL, NULL, NULL, NULL},
};
