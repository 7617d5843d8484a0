/* Whoever may ask the server may read its heap's tables: the same users and groups may. That the
 * heap of this name is the one of that server is shown by the server's pid and the heap's base:
 * there may be another in another mount of /dev/shm. */
#include "client/ctl/map_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/ask.h"
#include "client/ctl/shm_heap.h"

static int check_same(const Goalloc__V1__Status *status, const struct ga_map_source *source)
{
    const struct ga_meta_header *header = source->view.meta;
    if (header->server_pid == status->server_pid && header->base == status->heap_base)
        return 0;
    fprintf(
        stderr,
        "goallocctl: the heap '%s' in /dev/shm is not the one that the server serves: the map is "
        "drawn from shared memory\n",
        source->heap_name);
    return -ESTALE;
}

static int open_live(const struct ga_ctl *ctl, struct ga_map_source *source)
{
    struct ga_answer answer;
    int r = ga_ask_status(ctl, &answer);
    if (r < 0)
        return r;
    const Goalloc__V1__Status *status = answer.message->status;
    snprintf(source->heap_name, sizeof(source->heap_name), "%s", status->heap_name);
    r = ga_live_heap_open(source->heap_name, &source->live);
    if (r == 0) {
        source->is_live = true;
        source->view = source->live.view;
        r = check_same(status, source);
    }
    ga_answer_fini(&answer);
    return r;
}

int ga_map_source_open(const struct ga_ctl *ctl, struct ga_map_source *ret)
{
    struct ga_map_source source = {.is_live = false};
    int r = 0;
    if (ctl->source.heap) {
        source.view = ctl->source.heap->view;
        snprintf(source.heap_name, sizeof(source.heap_name), "%s", ctl->source.heap->name);
    } else {
        r = open_live(ctl, &source);
    }
    if (r < 0)
        ga_map_source_close(&source);
    else
        *ret = source;
    return r;
}

void ga_map_source_close(struct ga_map_source *source)
{
    if (source->is_live)
        ga_live_heap_close(&source->live);
    free(source->ages);
    *source = (struct ga_map_source){.is_live = false};
}

static int append_ages(struct ga_map_source *source, const ProtobufCBinaryData *part)
{
    if (part->len == 0)
        return 0;
    uint8_t *ages = realloc(source->ages, source->npages_ages + part->len);
    if (!ages) {
        fputs("goallocctl: out of memory\n", stderr);
        return -ENOMEM;
    }
    memcpy(ages + source->npages_ages, part->data, part->len);
    source->ages = ages;
    source->npages_ages += part->len;
    return 0;
}

int ga_map_source_fetch_ages(const struct ga_ctl *ctl, struct ga_map_source *source)
{
    free(source->ages);
    source->ages = NULL;
    source->npages_ages = 0;
    uint64_t next = 0;
    do {
        struct ga_answer answer;
        int r = ga_ask_ages(ctl, source->npages_ages, &answer);
        if (r < 0)
            return r;
        const Goalloc__V1__SpanList *list = answer.message->span_list;
        next = list->ages.len ? list->next : 0;
        r = append_ages(source, &list->ages);
        ga_answer_fini(&answer);
        if (r < 0)
            return r;
    } while (next != 0);
    return 0;
}
