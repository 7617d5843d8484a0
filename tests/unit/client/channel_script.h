/* What the fake server does in the tests of a channel in use. The name in a Lookup says what to
 * answer, "n17" the number 17; Returns, which are notes, are counted, each mcache standing for a
 * thread that numbers its notes in the first page from 1 on. */
#ifndef GA_TESTS_CHANNEL_SCRIPT_H
#define GA_TESTS_CHANNEL_SCRIPT_H

#include <errno.h>

#include "fake_server.h"
#include "proto/error.h"

#define NTHREADS            8
#define NNOTES_AT_ONCE      100   /* as many as fit in one frame's buffer */
#define NNOTES_FROM_SERVER  20000 /* more than there is memory to decode one message */
#define NENTRIES_LARGE_LIST (GA_LIST_MAX_BYTES / 9 - 16)

/* Returns of this mcache make the server wait until the test says go. */
#define STOP_MCACHE 1000

/* What the server remembers; read by the test when the server's thread has ended, or where a reply
 * says that it is so far. */
struct memory {
    uint64_t held_id;        /* of a Lookup "silent" */
    uint32_t nsilent;        /* how many there were */
    uint32_t nsilent_limit;  /* with this many the server hangs up */
    uint64_t last[NTHREADS]; /* number in the last note from each thread */
    uint64_t nnotes;
    uint64_t ndisorder;
};

static inline void answer_root(struct fake_server *fs, uint64_t id, uint64_t number)
{
    Goalloc__V1__Root root = GOALLOC__V1__ROOT__INIT;
    root.name = (char *)"answer";
    root.offset = number;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_ROOT;
    message.root = &root;
    fake_reply(fs, id, &message);
}

static inline void answer_done(struct fake_server *fs, uint64_t id)
{
    Goalloc__V1__Done done = GOALLOC__V1__DONE__INIT;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_DONE;
    message.done = &done;
    fake_reply(fs, id, &message);
}

/* As large as lists get, with short entries, which cost the most memory. */
static inline void answer_large_list(struct fake_server *fs, uint64_t id)
{
    static Goalloc__V1__Root roots[NENTRIES_LARGE_LIST];
    static Goalloc__V1__Root *entries[NENTRIES_LARGE_LIST];
    for (size_t i = 0; i < NENTRIES_LARGE_LIST; i++) {
        goalloc__v1__root__init(&roots[i]);
        roots[i].name = (char *)"n";
        roots[i].offset = 1;
        roots[i].client = 1;
        entries[i] = &roots[i];
    }
    Goalloc__V1__RootList list = GOALLOC__V1__ROOT_LIST__INIT;
    list.roots = entries;
    list.n_roots = NENTRIES_LARGE_LIST;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_ROOT_LIST;
    message.root_list = &list;
    fake_reply(fs, id, &message);
}

static inline void wait_for_go(struct fake_server *fs)
{
    while (sem_wait(&fs->go) < 0)
        ;
}

static inline void answer_misbehaving(struct fake_server *fs, uint64_t id, const char *name)
{
    static const uint8_t garbage[64] = {0xff, 0xff, 0xff, 0xff};
    static const uint8_t empty_frame[] = {0, 0, 0, 0};
    static const uint8_t undecodable[] = {2, 0, 0, 0, 0xff, 0xff};
    if (strcmp(name, "die") == 0) {
        fs->hang_up = true;
    } else if (strcmp(name, "last words") == 0) {
        answer_root(fs, id, 1);
        fs->hang_up = true;
    } else if (strcmp(name, "garbage") == 0) {
        fake_write(fs, garbage, sizeof(garbage));
    } else if (strcmp(name, "empty frame") == 0) {
        fake_write(fs, empty_frame, sizeof(empty_frame));
    } else if (strcmp(name, "undecodable") == 0) {
        fake_write(fs, undecodable, sizeof(undecodable));
    }
}

static inline void answer_lookup(struct fake_server *fs, uint64_t id, const char *name)
{
    struct memory *memory = fs->data;
    if (name[0] == 'n') {
        answer_root(fs, id, strtoull(name + 1, NULL, 10));
    } else if (strcmp(name, "silent") == 0) {
        memory->held_id = id;
        if (++memory->nsilent == memory->nsilent_limit)
            fs->hang_up = true;
    } else if (strcmp(name, "late") == 0) {
        answer_root(fs, memory->held_id, 666);
        answer_root(fs, memory->held_id, 667);
        answer_root(fs, id, 1);
    } else if (strcmp(name, "fail") == 0) {
        fake_failure(fs, id, ga_error_to_wire(-ENOENT), (char *)"nothing is called fail");
    } else if (strcmp(name, "fail without a word") == 0) {
        fake_failure(fs, id, ga_error_to_wire(-ENOSPC), (char *)"");
    } else if (strcmp(name, "other kind") == 0) {
        answer_done(fs, id);
    } else if (strcmp(name, "send notes") == 0) {
        for (uint64_t i = 0; i < NNOTES_FROM_SERVER; i++)
            answer_root(fs, 0, i);
        answer_done(fs, id);
    } else {
        answer_misbehaving(fs, id, name);
    }
}

static inline void answer_note(struct fake_server *fs, uint64_t id, const Goalloc__V1__Return *note)
{
    struct memory *memory = fs->data;
    if (note->mcache == STOP_MCACHE) {
        wait_for_go(fs);
        return;
    }
    memory->nnotes++;
    if (id != 0 || note->n_pages == 0 || note->pages[0] != memory->last[note->mcache] + 1)
        memory->ndisorder++;
    else
        memory->last[note->mcache] = note->pages[0];
}

static inline void answer(struct fake_server *fs, const Goalloc__V1__Envelope *message)
{
    struct memory *memory = fs->data;
    switch (message->body_case) {
    case GOALLOC__V1__ENVELOPE__BODY_HELLO:
        fake_welcome(fs, message->id, GA_PROTOCOL_VERSION_MAX);
        break;
    case GOALLOC__V1__ENVELOPE__BODY_LOOKUP:
        answer_lookup(fs, message->id, message->lookup->name);
        break;
    case GOALLOC__V1__ENVELOPE__BODY_RETURN_SPANS:
        answer_note(fs, message->id, message->return_spans);
        break;
    case GOALLOC__V1__ENVELOPE__BODY_UNPUBLISH: /* of "3": the number in its last note */
        answer_root(fs, message->id, memory->last[atoi(message->unpublish->name)]);
        break;
    case GOALLOC__V1__ENVELOPE__BODY_LIST_ROOTS:
        answer_large_list(fs, message->id);
        break;
    default:
        fs->hang_up = true;
        break;
    }
}

#endif
