/* Questions to the server. A list is fetched part by part: each request carries the cursor that
 * the part before it gave, until a part gives none. The cursor must grow, so that a server that
 * has lost its way cannot keep this program busy for ever. */
#include "client/ctl/ask.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/error.h"

int ga_ask(const struct ga_ctl *ctl, Goalloc__V1__Envelope *request,
           Goalloc__V1__Envelope__BodyCase expected, struct ga_reply **ret_reply)
{
    char detail[GA_CHANNEL_ERROR_BYTES] = "";
    int err = ga_channel_call(ctl->channel, request, expected, detail, ret_reply);
    if (err < 0) {
        const char *more = detail[0] ? detail : ga_error_text(err);
        fprintf(stderr, "goallocctl: the server at %s did not answer: %s\n", ctl->socket, more);
    }
    return err;
}

int ga_ask_status(const struct ga_ctl *ctl, struct ga_reply **ret_reply)
{
    Goalloc__V1__GetStatus body = GOALLOC__V1__GET_STATUS__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_GET_STATUS;
    request.get_status = &body;
    return ga_ask(ctl, &request, GOALLOC__V1__ENVELOPE__BODY_STATUS, ret_reply);
}

int ga_ask_stats(const struct ga_ctl *ctl, struct ga_reply **ret_reply)
{
    Goalloc__V1__GetStats body = GOALLOC__V1__GET_STATS__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_GET_STATS;
    request.get_stats = &body;
    return ga_ask(ctl, &request, GOALLOC__V1__ENVELOPE__BODY_STATS, ret_reply);
}

/* One part of a list: from cursor on, its reply, and where the next part begins. */
typedef int ask_part_fn(const struct ga_ctl *ctl, uint64_t cursor, struct ga_reply **ret_reply,
                        uint64_t *ret_next);

static int ask_span_part(const struct ga_ctl *ctl, uint64_t cursor, struct ga_reply **ret_reply,
                         uint64_t *ret_next)
{
    Goalloc__V1__ListSpans body = GOALLOC__V1__LIST_SPANS__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    body.cursor = cursor;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_LIST_SPANS;
    request.list_spans = &body;
    int err = ga_ask(ctl, &request, GOALLOC__V1__ENVELOPE__BODY_SPAN_LIST, ret_reply);
    if (err == 0)
        *ret_next = ga_reply_message(*ret_reply)->span_list->next;
    return err;
}

static int ask_client_part(const struct ga_ctl *ctl, uint64_t cursor, struct ga_reply **ret_reply,
                           uint64_t *ret_next)
{
    Goalloc__V1__ListClients body = GOALLOC__V1__LIST_CLIENTS__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    body.cursor = cursor;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_LIST_CLIENTS;
    request.list_clients = &body;
    int err = ga_ask(ctl, &request, GOALLOC__V1__ENVELOPE__BODY_CLIENT_LIST, ret_reply);
    if (err == 0)
        *ret_next = ga_reply_message(*ret_reply)->client_list->next;
    return err;
}

static int ask_root_part(const struct ga_ctl *ctl, uint64_t cursor, struct ga_reply **ret_reply,
                         uint64_t *ret_next)
{
    Goalloc__V1__ListRoots body = GOALLOC__V1__LIST_ROOTS__INIT;
    Goalloc__V1__Envelope request = GOALLOC__V1__ENVELOPE__INIT;
    body.cursor = cursor;
    request.body_case = GOALLOC__V1__ENVELOPE__BODY_LIST_ROOTS;
    request.list_roots = &body;
    int err = ga_ask(ctl, &request, GOALLOC__V1__ENVELOPE__BODY_ROOT_LIST, ret_reply);
    if (err == 0)
        *ret_next = ga_reply_message(*ret_reply)->root_list->next;
    return err;
}

static int append(struct ga_parts *parts, struct ga_reply *reply)
{
    struct ga_reply **replies =
        reallocarray(parts->replies, parts->count + 1, sizeof(*parts->replies));
    if (!replies) {
        fputs("goallocctl: out of memory\n", stderr);
        return -ENOMEM;
    }
    parts->replies = replies;
    parts->replies[parts->count++] = reply;
    return 0;
}

static int ask_all(const struct ga_ctl *ctl, ask_part_fn *ask_part, struct ga_parts *ret_parts)
{
    struct ga_parts parts = {0};
    uint64_t cursor = 0;
    do {
        struct ga_reply *reply = NULL;
        uint64_t next = 0;
        int err = ask_part(ctl, cursor, &reply, &next);
        if (err < 0) {
            ga_parts_fini(&parts);
            return err;
        }
        err = append(&parts, reply);
        if (err < 0) {
            ga_reply_release(reply);
            ga_parts_fini(&parts);
            return err;
        }
        if (next != 0 && next <= cursor) {
            fprintf(stderr, "goallocctl: the server at %s goes round in a list (%" PRIu64 ")\n",
                    ctl->socket, next);
            ga_parts_fini(&parts);
            return -EPROTO;
        }
        cursor = next;
    } while (cursor != 0);
    *ret_parts = parts;
    return 0;
}

int ga_ask_spans(const struct ga_ctl *ctl, struct ga_parts *ret_parts)
{
    return ask_all(ctl, ask_span_part, ret_parts);
}

int ga_ask_clients(const struct ga_ctl *ctl, struct ga_parts *ret_parts)
{
    return ask_all(ctl, ask_client_part, ret_parts);
}

int ga_ask_roots(const struct ga_ctl *ctl, struct ga_parts *ret_parts)
{
    return ask_all(ctl, ask_root_part, ret_parts);
}

void ga_parts_fini(struct ga_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++)
        ga_reply_release(parts->replies[i]);
    free(parts->replies);
    *parts = (struct ga_parts){0};
}
