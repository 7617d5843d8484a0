/* Sites that two threads have made at once are records of their own: whoever adds up adds these up
 * too. In use is what the words of sampled objects say, and not what was counted: a process may be
 * killed between a free and counting it. */
#include "client/ctl/profile_data.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/channel.h"
#include "client/ctl/live_heap.h"
#include "client/ctl/print.h"
#include "client/ctl/shm_heap.h"
#include "client/ctl/units.h"
#include "proto/text.h"
#include "shm/mapping.h"
#include "shm/sample.h"
#include "shm/sampling.h"

/* Where the record of each site is. */
struct index {
    uint32_t process_plus_1[GA_CLIENT_COUNT];
    uint32_t (*record_plus_1)[GA_PROFILE_SITES]; /* by process */
};

static int copy_profile(const struct ga_view *view, uint32_t client, uint64_t bytes, uint32_t pid,
                        struct ga_profile **ret)
{
    const struct ga_profile *shared = &view->profiles[client];
    uint32_t instance = ga_load_acquire(&view->profile_entries[client].instance);
    *ret = NULL;
    if (bytes < GA_PROFILE_BYTES_MIN || bytes > sizeof(*shared) ||
        ga_load_acquire(&shared->instance) != instance || (pid != 0 && shared->pid != pid))
        return 0;
    struct ga_profile *copy = malloc(sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    memcpy(copy, shared, bytes);
    memset((char *)copy + bytes, 0, sizeof(*copy) - bytes);
    *ret = copy;
    return 0;
}

static void clean_text(char *text, size_t bytes)
{
    text[bytes - 1] = '\0';
    ga_text_clean(text);
}

static void add_process(struct ga_profile_data *data, const struct ga_view *view, uint32_t client,
                        struct ga_profile *copy)
{
    struct ga_profile_process *process = &data->processes[data->nprocesses];
    uint32_t n = ga_load_relaxed(&copy->nmappings);
    n = n < GA_PROFILE_MAPPINGS ? n : GA_PROFILE_MAPPINGS;
    for (uint32_t i = 0; i < n; i++) {
        clean_text(copy->mappings[i].path, sizeof(copy->mappings[i].path));
        if (copy->mappings[i].build_id_bytes > sizeof(copy->mappings[i].build_id))
            copy->mappings[i].build_id_bytes = 0;
    }
    *process = (struct ga_profile_process){
        .client = client + 1,
        .instance = (uint32_t)ga_load_relaxed(&copy->instance),
        .pid = copy->pid,
        .gone = view->profile_entries[client].ended_ms != 0,
        .ndropped = ga_load_relaxed(&copy->ndropped),
        .nmappings = n,
        .mappings = copy->mappings,
    };
    clean_text(copy->program, sizeof(copy->program));
    memcpy(process->program, copy->program, sizeof(process->program));
    data->copies[data->nprocesses++] = copy;
}

/* Enter the sites of the process that was added last. */
static int add_sites(struct ga_profile_data *data, struct index *index)
{
    uint32_t process = (uint32_t)data->nprocesses - 1;
    const struct ga_profile *copy = data->copies[process];
    struct ga_profile_record *records =
        reallocarray(data->records, data->nrecords + GA_PROFILE_SITES, sizeof(*records));
    if (!records)
        return -ENOMEM;
    data->records = records;
    for (uint32_t i = 0; i < GA_PROFILE_SITES; i++) {
        const struct ga_profile_site *site = &copy->sites[i];
        if (ga_load_relaxed(&site->ready) != 1 || site->nframes > GA_PROFILE_FRAMES ||
            site->size_bytes == 0 || site->size_bytes > GA_RESERVE_MAX)
            continue;
        records[data->nrecords++] = (struct ga_profile_record){
            .process = process,
            .nframes = (uint32_t)site->nframes,
            .pc = site->pc,
            .size_bytes = site->size_bytes,
            .rate_bytes = site->rate_bytes,
            .nalloc = ga_load_relaxed(&site->nalloc),
            .nuntracked = ga_load_relaxed(&site->nuntracked),
            .nfree_own = ga_load_relaxed(&site->nfree_own),
            .nfree_other = ga_load_relaxed(&site->nfree_other),
            .nfree_server = ga_load_relaxed(&site->nfree_server),
            .nunreached = (uint32_t)ga_load_relaxed(&site->nunreached),
            .collection = (uint32_t)(ga_load_relaxed(&site->nunreached) >> 32),
        };
        index->record_plus_1[process][i] = (uint32_t)data->nrecords;
    }
    return 0;
}

static void count_word(struct ga_profile_data *data, const struct index *index, uint64_t word)
{
    uint32_t process = index->process_plus_1[ga_sample_client(word)];
    uint32_t site = ga_sample_site(word);
    if (process == 0 || site >= GA_PROFILE_SITES ||
        data->processes[process - 1].instance != ga_sample_instance(word))
        return;
    assert(index->record_plus_1 && data->records); /* or there would be no process */
    uint32_t record = index->record_plus_1[process - 1][site];
    if (record != 0)
        data->records[record - 1].ninuse++;
}

static void count_in_use(struct ga_profile_data *data, const struct ga_view *view,
                         const struct index *index)
{
    uint64_t npages = ga_load_acquire(&view->meta->committed_npages);
    uint64_t nsets = (npages + GA_SAMPLE_SET_NPAGES - 1) / GA_SAMPLE_SET_NPAGES;
    for (uint64_t i = 0; i < nsets * view->sample_words; i++) {
        uint64_t word = ga_load_relaxed(&view->samples[i]);
        if (word != 0)
            count_word(data, index, word);
    }
    for (size_t i = 0; i < data->nrecords; i++) {
        struct ga_profile_record *record = &data->records[i];
        if (record->nalloc < record->ninuse + record->nuntracked)
            record->nalloc = record->ninuse + record->nuntracked;
    }
}

static void add_free(struct ga_profile_data *data, const struct ga_profile_free *freed)
{
    for (size_t i = 0; i < data->nfrees; i++) {
        struct ga_profile_free *known = &data->frees[i];
        if (known->process == freed->process && known->by == freed->by &&
            known->pid == freed->pid) {
            known->nobjects += freed->nobjects;
            known->bytes += freed->bytes;
            return;
        }
    }
    data->frees[data->nfrees++] = *freed;
}

/* Who has freed objects of the process that was added last. */
static int add_frees(struct ga_profile_data *data)
{
    uint32_t process = (uint32_t)data->nprocesses - 1;
    const struct ga_profile *copy = data->copies[process];
    struct ga_profile_free *frees =
        reallocarray(data->frees, data->nfrees + GA_PROFILE_FREERS + 1, sizeof(*frees));
    if (!frees)
        return -ENOMEM;
    data->frees = frees;
    for (uint32_t i = 0; i < GA_PROFILE_FREERS; i++) {
        const struct ga_profile_freer *freer = &copy->freers[i];
        struct ga_profile_free freed = {.process = process,
                                        .by = GA_PROFILE_FREED_BY_PROCESS,
                                        .nobjects = ga_load_relaxed(&freer->nobjects),
                                        .bytes = ga_load_relaxed(&freer->bytes)};
        if (i < GA_PROFILE_FREERS - 1)
            freed.pid = ga_sample_freer_pid(ga_load_relaxed(&freer->who));
        if (freed.nobjects > 0)
            add_free(data, &freed);
    }
    struct ga_profile_free by_server = {.process = process, .by = GA_PROFILE_FREED_BY_SERVER};
    for (size_t i = 0; i < data->nrecords; i++) {
        const struct ga_profile_record *record = &data->records[i];
        if (record->process != process)
            continue;
        by_server.nobjects += ga_profile_objects(record, record->nfree_server);
        by_server.bytes += ga_profile_bytes(record, record->nfree_server);
    }
    if (by_server.nobjects > 0)
        add_free(data, &by_server);
    return 0;
}

static int read_processes(struct ga_profile_data *data, const struct ga_view *view, uint32_t end,
                          uint32_t pid, struct index *index)
{
    int r = 0;
    for (uint32_t client = 0; r == 0 && client < end; client++) {
        uint64_t bytes = ga_load_acquire(&view->profile_entries[client].bytes);
        struct ga_profile *copy = NULL;
        r = bytes ? copy_profile(view, client, bytes, pid, &copy) : 0;
        if (!copy)
            continue;
        add_process(data, view, client, copy);
        index->process_plus_1[client] = (uint32_t)data->nprocesses;
        r = add_sites(data, index);
        if (r == 0)
            r = add_frees(data);
    }
    return r;
}

int ga_profile_data_read(const struct ga_view *view, uint32_t pid, struct ga_profile_data *ret)
{
    uint32_t end = ga_load_acquire(&view->meta->client_end);
    end = end < view->counts.clients ? end : view->counts.clients;
    struct ga_profile_data data = {
        .rate_bytes = ga_load_relaxed(&view->meta->profile_rate_bytes),
        .processes = calloc(end + 1, sizeof(*data.processes)),
        .copies = calloc(end + 1, sizeof(*data.copies)),
    };
    struct index *index = calloc(1, sizeof(*index));
    if (index)
        index->record_plus_1 = calloc(end + 1, sizeof(*index->record_plus_1));
    int r = -ENOMEM;
    if (data.processes && data.copies && index && index->record_plus_1)
        r = read_processes(&data, view, end, pid, index);
    if (r == 0)
        count_in_use(&data, view, index);
    if (index)
        free(index->record_plus_1);
    free(index);
    if (r < 0)
        ga_profile_data_fini(&data);
    else
        *ret = data;
    return r;
}

/* Of a heap that is one process's own, all is in the copy. */
static int read_own(const struct ga_shm_heap *heap, struct ga_profile_data *ret)
{
    int r = ga_profile_data_read(&heap->view, 0, ret);
    if (r < 0)
        fputs("goallocctl: out of memory\n", stderr);
    return r;
}

int ga_profile_data_fetch(const struct ga_ctl *ctl, uint32_t pid, struct ga_profile_data *ret)
{
    if (ctl->source.heap && ctl->source.heap->pid)
        return read_own(ctl->source.heap, ret);
    const char *name =
        ctl->source.heap ? ctl->source.heap->name : ga_channel_heap_name(ctl->source.channel);
    if (!ga_heap_name_is_valid(name)) {
        fputs("goallocctl: the server named no valid heap\n", stderr);
        return -EPROTO;
    }
    struct ga_live_heap heap;
    int r = ga_live_heap_open(name, &heap);
    if (r < 0)
        return r;
    r = ga_profile_data_read(&heap.view, pid, ret);
    ga_live_heap_close(&heap);
    if (r < 0)
        fputs("goallocctl: out of memory\n", stderr);
    return r;
}

void ga_profile_data_fini(struct ga_profile_data *data)
{
    for (size_t i = 0; data->copies && i < data->nprocesses; i++)
        free(data->copies[i]);
    free(data->copies);
    free(data->processes);
    free(data->records);
    free(data->frees);
    *data = (struct ga_profile_data){0};
}

const char *ga_profile_gap(const struct ga_profile_data *data,
                           char text[static GA_PROFILE_GAP_BYTES])
{
    char size[GA_UNITS_BYTES];
    uint64_t objects = 0;
    uint64_t bytes = 0;
    uint64_t of_sites = 0;
    uint64_t dropped = 0;
    for (size_t i = 0; i < data->nprocesses; i++)
        dropped += data->processes[i].ndropped;
    for (size_t i = 0; i < data->nrecords; i++) {
        of_sites += data->records[i].nuntracked;
        objects += ga_profile_objects(&data->records[i], data->records[i].nuntracked);
        bytes += ga_profile_bytes(&data->records[i], data->records[i].nuntracked);
    }
    ga_units_size(bytes, size);
    int length = 0;
    text[0] = '\0';
    if (objects > 0)
        length = snprintf(text, GA_PROFILE_GAP_BYTES,
                          "up to %s more in %" PRIu64 " object%s may be in use: there was no room "
                          "to follow them",
                          size, objects, ga_print_plural(objects));
    if (dropped > of_sites)
        snprintf(text + length, GA_PROFILE_GAP_BYTES - (size_t)length,
                 "%s%" PRIu64 " sample%s of places that there was no room for",
                 length ? "; left out " : "left out: ", dropped - of_sites,
                 ga_print_plural(dropped - of_sites));
    return text;
}

uint64_t ga_profile_objects(const struct ga_profile_record *record, uint64_t n)
{
    return (uint64_t)((double)n * ga_sampling_scale(record->size_bytes, record->rate_bytes));
}

uint64_t ga_profile_bytes(const struct ga_profile_record *record, uint64_t n)
{
    return (uint64_t)((double)n * (double)record->size_bytes *
                      ga_sampling_scale(record->size_bytes, record->rate_bytes));
}
