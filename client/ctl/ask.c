/* Questions to the source. A list is fetched part by part: each request carries the cursor that
 * the part before it gave, until a part gives none. The cursor must grow, so that a server that
 * has lost its way cannot keep this program busy for ever. */
#include "client/ctl/ask.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* As long as a collection of a large heap may take. */
#define GC_WAIT_MS 600000u

int ga_ask_status(const struct ga_ctl *ctl, struct ga_answer *ret_answer)
{
    Goalloc__V1__GetStatus body = GOALLOC__V1__GET_STATUS__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_GET_STATUS;
    request.get_status = &body;
    return ga_source_ask(&ctl->source, &request, GOALLOC__V1__ENVELOPE__BODY_STATUS, ret_answer);
}

int ga_ask_stats(const struct ga_ctl *ctl, struct ga_answer *ret_answer)
{
    Goalloc__V1__GetStats body = GOALLOC__V1__GET_STATS__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_GET_STATS;
    request.get_stats = &body;
    return ga_source_ask(&ctl->source, &request, GOALLOC__V1__ENVELOPE__BODY_STATS, ret_answer);
}

int ga_ask_ages(const struct ga_ctl *ctl, uint64_t page, struct ga_answer *ret_answer)
{
    Goalloc__V1__ListSpans body = GOALLOC__V1__LIST_SPANS__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    body.cursor = page;
    body.ages = true;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_LIST_SPANS;
    request.list_spans = &body;
    return ga_source_ask(&ctl->source, &request, GOALLOC__V1__ENVELOPE__BODY_SPAN_LIST, ret_answer);
}

int ga_ask_client_stats(const struct ga_ctl *ctl, uint32_t client, struct ga_answer *ret_answer)
{
    Goalloc__V1__GetClientStats body = GOALLOC__V1__GET_CLIENT_STATS__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    body.client = client;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_GET_CLIENT_STATS;
    request.get_client_stats = &body;
    return ga_source_ask(&ctl->source, &request, GOALLOC__V1__ENVELOPE__BODY_CLIENT_STATS,
                         ret_answer);
}

int ga_ask_gc(const struct ga_ctl *ctl, enum ga_gc_mode mode, struct ga_answer *ret_answer)
{
    Goalloc__V1__Gc body = GOALLOC__V1__GC__INIT;
    body.mode = mode;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_GC;
    request.gc = &body;
    return ga_source_ask_within(&ctl->source, &request, GC_WAIT_MS,
                                GOALLOC__V1__ENVELOPE__BODY_GC_RESULT, ret_answer);
}

int ga_ask_scavenge(const struct ga_ctl *ctl, struct ga_answer *ret_answer)
{
    Goalloc__V1__Scavenge body = GOALLOC__V1__SCAVENGE__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_SCAVENGE;
    request.scavenge = &body;
    return ga_source_ask(&ctl->source, &request, GOALLOC__V1__ENVELOPE__BODY_SCAVENGED, ret_answer);
}

/* One part of a list: from cursor on, its reply, and where the next part begins. */
typedef int ask_part_fn(const struct ga_ctl *ctl, uint64_t cursor, struct ga_answer *ret_answer,
                        uint64_t *ret_next);

/* NAME, ASK: the request, as its message and its case are called; TELL: the answer's case; REQUEST
 * and LIST: both as members of Envelope. */
#define DEFINE_ASK_PART(NAME, ASK, TELL, REQUEST, LIST)                                            \
    static int ask_##LIST(const struct ga_ctl *ctl, uint64_t cursor, struct ga_answer *ret_answer, \
                          uint64_t *ret_next)                                                      \
    {                                                                                              \
        Goalloc__V1__##NAME body = GOALLOC__V1__##ASK##__INIT;                                     \
        Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;                               \
        body.cursor = cursor;                                                                      \
        request.body_case = GOALLOC__V1__ENVELOPE__BODY_##ASK;                                     \
        request.REQUEST = &body;                                                                   \
        int err =                                                                                  \
            ga_source_ask(&ctl->source, &request, GOALLOC__V1__ENVELOPE__BODY_##TELL, ret_answer); \
        if (err == 0)                                                                              \
            *ret_next = ret_answer->message->LIST->next;                                           \
        return err;                                                                                \
    }
DEFINE_ASK_PART(ListSpans, LIST_SPANS, SPAN_LIST, list_spans, span_list)
DEFINE_ASK_PART(ListClients, LIST_CLIENTS, CLIENT_LIST, list_clients, client_list)
DEFINE_ASK_PART(ListUsers, LIST_USERS, USER_LIST, list_users, user_list)
DEFINE_ASK_PART(ListRoots, LIST_ROOTS, ROOT_LIST, list_roots, root_list)
DEFINE_ASK_PART(ListPrograms, LIST_PROGRAMS, PROGRAM_LIST, list_programs, program_list)
DEFINE_ASK_PART(ListArenas, LIST_ARENAS, ARENA_LIST, list_arenas, arena_list)

static int append(struct ga_parts *parts, const struct ga_answer *answer)
{
    struct ga_answer *answers =
        reallocarray(parts->answers, parts->count + 1, sizeof(*parts->answers));
    if (!answers) {
        fputs("goallocctl: out of memory\n", stderr);
        return -ENOMEM;
    }
    parts->answers = answers;
    parts->answers[parts->count++] = *answer;
    return 0;
}

static int ask_all(const struct ga_ctl *ctl, ask_part_fn *ask_part, struct ga_parts *ret_parts)
{
    struct ga_parts parts = {0};
    uint64_t cursor = 0;
    do {
        struct ga_answer answer;
        uint64_t next = 0;
        int err = ask_part(ctl, cursor, &answer, &next);
        if (err < 0) {
            ga_parts_fini(&parts);
            return err;
        }
        err = append(&parts, &answer);
        if (err < 0) {
            ga_answer_fini(&answer);
            ga_parts_fini(&parts);
            return err;
        }
        if (next != 0 && next <= cursor) {
            fprintf(stderr, "goallocctl: the server at %s goes round in a list (%" PRIu64 ")\n",
                    ctl->source.socket, next);
            ga_parts_fini(&parts);
            return -EPROTO;
        }
        cursor = next;
    } while (cursor != 0);
    *ret_parts = parts;
    return 0;
}

int ga_ask_arenas(const struct ga_ctl *ctl, struct ga_parts *ret_parts)
{
    return ask_all(ctl, ask_arena_list, ret_parts);
}

int ga_ask_spans(const struct ga_ctl *ctl, struct ga_parts *ret_parts)
{
    return ask_all(ctl, ask_span_list, ret_parts);
}

int ga_ask_clients(const struct ga_ctl *ctl, struct ga_parts *ret_parts)
{
    return ask_all(ctl, ask_client_list, ret_parts);
}

int ga_ask_programs(const struct ga_ctl *ctl, struct ga_parts *ret_parts)
{
    return ask_all(ctl, ask_program_list, ret_parts);
}

int ga_ask_users(const struct ga_ctl *ctl, struct ga_parts *ret_parts)
{
    return ask_all(ctl, ask_user_list, ret_parts);
}

int ga_ask_roots(const struct ga_ctl *ctl, struct ga_parts *ret_parts)
{
    return ask_all(ctl, ask_root_list, ret_parts);
}

void ga_parts_fini(struct ga_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++)
        ga_answer_fini(&parts->answers[i]);
    free(parts->answers);
    *parts = (struct ga_parts){0};
}
