/* goallocctl check: the audit of shm/audit.h, of a heap in use where it lies, or of a copy where no
 * living process uses it. */
#include "client/ctl/command.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/ctl/ask.h"
#include "client/ctl/json.h"
#include "client/ctl/live_heap.h"
#include "client/ctl/print.h"
#include "client/ctl/shm_heap.h"
#include "client/ctl/stopped.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "shm/audit.h"
#include "shm/process.h"

#define SHOWN_MAX 1000u /* faults; of a heap that is noise nobody wants more */

/* What looks wrong is looked at again after 1, 2, 4 ... ms, a second in all, for all of it that the
 * audit can note at a time. Where there is more, that is a heap of noise, and the time gets
 * shorter: 31 ms once all of that has taken PATIENCE_MS, and in the end only as long as it takes to
 * let others run, so that the rests of a check are bounded by 4 s and not by what is wrong. By then
 * there are more faults than are shown. */
#define ROUNDS         10u
#define ROUNDS_SHORT   5u
#define ROUNDS_LEAST   2u
#define PATIENCE_MS    2000u
#define NO_PATIENCE_MS 3000u

/* A fault that a process which is stopped may be in the middle of making good. */
struct moving {
    struct ga_audit_fault fault;
    uint32_t pid;
};

struct check {
    const char *heap_name;
    const struct ga_view *view;
    bool live;
    bool server_alive;
    uint64_t base;
    struct ga_audit audit;
    struct ga_audit_fault *faults;
    size_t nfaults;
    struct moving *moving;
    size_t nmoving;
    uint64_t rested_ms;
};

static void keep(void *data, const struct ga_audit_fault *fault)
{
    struct check *check = data;
    if (check->nfaults < SHOWN_MAX)
        check->faults[check->nfaults++] = *fault;
}

static bool make_room(struct check *check)
{
    check->faults = malloc(SHOWN_MAX * sizeof(*check->faults));
    check->moving = malloc(SHOWN_MAX * sizeof(*check->moving));
    return check->faults && check->moving;
}

static bool rest(void *data, uint32_t round)
{
    struct check *check = data;
    if (check->rested_ms >= NO_PATIENCE_MS) {
        sched_yield();
        return round < ROUNDS_LEAST;
    }
    if (round >= (check->rested_ms < PATIENCE_MS ? ROUNDS : ROUNDS_SHORT))
        return false;
    uint64_t ms = UINT64_C(1) << round;
    struct timespec time = {.tv_sec = 0, .tv_nsec = (long)ms * 1000000};
    nanosleep(&time, NULL);
    check->rested_ms += ms;
    return true;
}

/* ---- processes that are stopped ---- */

static bool is_among(const struct ga_audit_fault *fault, const struct ga_audit_fault *faults,
                     size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&faults[i], fault, sizeof(*fault)) == 0)
            return true;
    return false;
}

static void note_moving(struct check *check, const struct ga_audit_fault *fault, uint32_t pid)
{
    if (check->nmoving < SHOWN_MAX)
        check->moving[check->nmoving++] = (struct moving){*fault, pid};
}

/* What clients that are stopped are at is no fault. */
static void set_clients_aside(struct check *check)
{
    size_t kept = 0;
    for (size_t i = 0; i < check->nfaults; i++) {
        uint32_t pid = ga_stopped_client(check->view, &check->faults[i]);
        if (pid != 0) {
            note_moving(check, &check->faults[i], pid);
            check->audit.nfaults--;
        } else {
            check->faults[kept++] = check->faults[i];
        }
    }
    check->nfaults = kept;
}

/* Neither is what a server that is stopped is at: one step, and then another audit, which allows
 * for that, does not find it. */
static int audit_beside_stopped(struct check *check, const struct ga_audit_options *before,
                                uint32_t pid)
{
    struct ga_audit_options options = *before;
    options.flags |= GA_AUDIT_SERVER_MIDWAY;
    struct ga_audit_fault *first = check->faults;
    size_t nfirst = check->nfaults;
    check->faults = malloc(SHOWN_MAX * sizeof(*check->faults));
    check->nfaults = 0;
    int err = check->faults ? ga_audit_run(check->view, &options, &check->audit) : -ENOMEM;
    for (size_t i = 0; i < nfirst && check->faults; i++)
        if (!is_among(&first[i], check->faults, check->nfaults))
            note_moving(check, &first[i], pid);
    free(first);
    return err;
}

static int audit_live(struct check *check, const struct ga_audit_options *options)
{
    int err = ga_audit_run(check->view, options, &check->audit);
    uint32_t server_pid = check->view->meta->server_pid;
    if (check->nfaults > 0 && check->server_alive && ga_process_is_stopped(server_pid))
        err = audit_beside_stopped(check, options, server_pid);
    set_clients_aside(check);
    return err;
}

static int audit(struct check *check, const struct ga_view *view)
{
    struct ga_audit_options options = {
        .flags = check->live ? GA_AUDIT_LIVE : GA_AUDIT_CLIENTS_MIDWAY,
        .scratch = malloc(sizeof(struct ga_audit_scratch)),
        .report = keep,
        .rest = rest,
        .data = check,
    };
    if (!check->server_alive)
        options.flags |= GA_AUDIT_SERVER_MIDWAY;
    int err = -ENOMEM;
    check->base = view->meta->base;
    check->view = view;
    if (options.scratch && make_room(check))
        err =
            check->live ? audit_live(check, &options) : ga_audit_run(view, &options, &check->audit);
    check->view = NULL; /* the caller's, and soon gone */
    free(options.scratch);
    if (err == -ENOMEM) {
        fputs("goallocctl: out of memory\n", stderr);
        return -ENOMEM;
    }
    return 0; /* a header that is too damaged to go on is a fault like others */
}

/* ---- where the heap is ---- */

static bool has_living_client(const struct ga_shm_heap *heap)
{
    for (uint32_t i = 0; i < heap->client_end; i++) {
        const struct ga_client_entry *client = &heap->view.clients[i];
        if (ga_load_acquire(&client->state) == GA_CLIENT_ATTACHED &&
            ga_process_is_alive(client->pid, client->start_time))
            return true;
    }
    return false;
}

static int check_mapped(struct check *check, uint32_t server_pid)
{
    struct ga_live_heap heap;
    int err = ga_live_heap_open(check->heap_name, &heap);
    if (err < 0)
        return err;
    check->live = true;
    if (server_pid != 0 && heap.view.meta->server_pid != server_pid) {
        fprintf(stderr, "goallocctl: the heap '%s' in /dev/shm is not the server's\n",
                check->heap_name);
        err = -EPROTO;
    } else {
        err = audit(check, &heap.view);
    }
    ga_live_heap_close(&heap);
    return err;
}

/* Of the source's copy the names have been cleaned; the audit wants to see what is there. */
static int check_copy(struct check *check)
{
    struct ga_shm_heap heap;
    int err = ga_shm_heap_open(check->heap_name, &heap);
    if (err < 0)
        return err;
    err = audit(check, &heap.view);
    ga_shm_heap_close(&heap);
    return err;
}

/* ---- printing ---- */

static void json_account(struct ga_json *json, const struct ga_audit_account *account)
{
    ga_json_number(json, "spans", account->spans);
    ga_json_number(json, "npages", account->npages);
    ga_json_number(json, "slots", account->slots);
    ga_json_number(json, "in_use", account->in_use);
    ga_json_number(json, "free", account->free);
    ga_json_number(json, "objects", account->objects);
    ga_json_number(json, "in_use_bytes", account->bytes_in_use);
    ga_json_number(json, "free_bytes", account->bytes_free);
}

static void json_fault(struct ga_json *json, const struct check *check,
                       const struct ga_audit_fault *fault, uint32_t stopped_pid)
{
    char text[GA_AUDIT_TEXT_BYTES];
    ga_json_begin_object(json, NULL);
    if (stopped_pid)
        ga_json_number(json, "pid", stopped_pid);
    ga_json_string(json, "kind", ga_audit_kind_name(fault->kind));
    ga_json_string(json, "text", ga_audit_fault_text(fault, text));
    if (fault->page) {
        ga_json_number(json, "page", fault->page);
        ga_json_address(json, "address", check->base + ((uint64_t)fault->page << GA_PAGE_SHIFT));
    }
    if (fault->mcache)
        ga_json_number(json, "mcache", fault->mcache);
    if (fault->span_class >= 0)
        ga_json_number(json, "span_class", (uint64_t)fault->span_class);
    if (fault->word >= 0)
        ga_json_number(json, "word", (uint64_t)fault->word);
    if (fault->index >= 0)
        ga_json_number(json, "index", (uint64_t)fault->index);
    ga_json_address(json, "found", fault->found);
    ga_json_address(json, "expected", fault->expected);
    ga_json_address(json, "beside", fault->also);
    ga_json_address(json, "holder", fault->holder);
    ga_json_end(json);
}

static void print_json(const struct ga_ctl *ctl, const struct check *check)
{
    struct ga_json json;
    const struct ga_audit *a = &check->audit;
    ga_print_begin_json(ctl, &json);
    ga_json_string(&json, "heap_name", check->heap_name);
    ga_json_bool(&json, "live", check->live);
    ga_json_number(&json, "nfaults", a->nfaults);
    ga_json_begin_list(&json, "faults");
    for (size_t i = 0; i < check->nfaults; i++)
        json_fault(&json, check, &check->faults[i], 0);
    ga_json_end(&json);
    ga_json_begin_list(&json, "stopped");
    for (size_t i = 0; i < check->nmoving; i++)
        json_fault(&json, check, &check->moving[i].fault, check->moving[i].pid);
    ga_json_end(&json);
    ga_json_number(&json, "looked_again", a->looked_again);
    ga_json_number(&json, "in_motion", a->in_motion);
    ga_json_number(&json, "npages_committed", a->npages_committed);
    ga_json_number(&json, "npages_unused", a->npages_unused);
    ga_json_number(&json, "spans_leased", a->spans_leased);
    ga_json_number(&json, "spans_partial", a->spans_partial);
    ga_json_number(&json, "spans_full", a->spans_full);
    ga_json_number(&json, "spans_empty", a->spans_empty);
    ga_json_number(&json, "spans_large", a->spans_large);
    ga_json_number(&json, "clients", a->clients);
    ga_json_number(&json, "mcaches", a->mcaches);
    ga_json_number(&json, "roots", a->roots);
    ga_json_number(&json, "holds", a->holds);
    ga_json_number(&json, "samples", a->samples);
    json_account(&json, &a->all);
    ga_json_begin_list(&json, "classes");
    for (uint32_t c = 0; c < GA_SPAN_CLASS_COUNT; c++) {
        if (a->by_class[c].spans == 0)
            continue;
        ga_json_begin_object(&json, NULL);
        ga_json_number(&json, "span_class", c);
        json_account(&json, &a->by_class[c]);
        ga_json_end(&json);
    }
    ga_json_end(&json);
    ga_json_end(&json);
}

static void table_account(struct ga_table *table, const char *name,
                          const struct ga_audit_account *account)
{
    ga_table_cell(table, "%s", name);
    ga_table_number(table, account->spans);
    ga_table_number(table, account->slots);
    ga_table_number(table, account->in_use);
    ga_table_number(table, account->free);
    ga_table_size(table, account->bytes_in_use);
    ga_table_size(table, account->bytes_free);
}

static void add(struct ga_audit_account *to, const struct ga_audit_account *account)
{
    to->spans += account->spans;
    to->slots += account->slots;
    to->in_use += account->in_use;
    to->free += account->free;
    to->bytes_in_use += account->bytes_in_use;
    to->bytes_free += account->bytes_free;
}

static int print_table(const struct ga_audit *a)
{
    static const struct ga_table_column columns[] = {
        {.title = "KIND", .align = GA_TABLE_LEFT},    {.title = "SPANS", .align = GA_TABLE_RIGHT},
        {.title = "SLOTS", .align = GA_TABLE_RIGHT},  {.title = "IN USE", .align = GA_TABLE_RIGHT},
        {.title = "FREE", .align = GA_TABLE_RIGHT},   {.title = "USED", .align = GA_TABLE_RIGHT},
        {.title = "UNUSED", .align = GA_TABLE_RIGHT},
    };
    struct ga_audit_account small = {0};
    struct ga_audit_account large = a->by_class[0];
    add(&large, &a->by_class[1]);
    for (uint32_t c = 2; c < GA_SPAN_CLASS_COUNT; c++)
        if (c != GA_SPAN_CLASS_TINY)
            add(&small, &a->by_class[c]);
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    table_account(table, "tiny", &a->by_class[GA_SPAN_CLASS_TINY]);
    table_account(table, "small", &small);
    table_account(table, "large", &large);
    table_account(table, "all", &a->all);
    return ga_print_table(table);
}

static int print_check(const struct check *check)
{
    const struct ga_audit *a = &check->audit;
    char text[GA_AUDIT_TEXT_BYTES];
    for (size_t i = 0; i < check->nfaults; i++)
        printf("%s\n", ga_audit_fault_text(&check->faults[i], text));
    if (a->nfaults > check->nfaults)
        printf("and %" PRIu64 " more\n", a->nfaults - check->nfaults);
    for (size_t i = 0; i < check->nmoving; i++)
        printf("in motion, process %" PRIu32 " is stopped: %s\n", check->moving[i].pid,
               ga_audit_fault_text(&check->moving[i].fault, text));
    if (a->nfaults > 0 || check->nmoving > 0)
        putchar('\n');
    int err = print_table(a);
    if (err < 0)
        return err;
    printf("\n%" PRIu64 " page%s: %" PRIu64 " in spans, %" PRIu64 " not; %" PRIu32
           " client%s, %" PRIu32 " mcache%s, %" PRIu32 " root%s, %" PRIu32 " hold%s\n",
           a->npages_committed, ga_print_plural(a->npages_committed), a->all.npages,
           a->npages_committed - a->all.npages, a->clients, ga_print_plural(a->clients), a->mcaches,
           ga_print_plural(a->mcaches), a->roots, ga_print_plural(a->roots), a->holds,
           ga_print_plural(a->holds));
    if (check->live)
        printf("checked in use: %" PRIu64 " second look%s, %" PRIu64 " in motion\n",
               a->looked_again, ga_print_plural(a->looked_again), a->in_motion);
    if (a->nfaults == 0)
        printf("no faults\n");
    else
        printf("%" PRIu64 " fault%s\n", a->nfaults, ga_print_plural(a->nfaults));
    return 0;
}

/* ---- the command ---- */

static int check_by_name(const struct ga_ctl *ctl, struct check *check)
{
    check->heap_name = ctl->source.heap->name;
    bool live = check->server_alive || has_living_client(ctl->source.heap);
    return live ? check_mapped(check, 0) : check_copy(check);
}

/* The server is asked which heap it is. */
static int check_by_socket(const struct ga_ctl *ctl, struct check *check,
                           struct ga_answer *ret_answer)
{
    int err = ga_ask_status(ctl, ret_answer);
    if (err < 0)
        return err;
    const Goalloc__V1__Status *status = ret_answer->message->status;
    check->heap_name = status->heap_name;
    if (ga_heap_name_is_valid(status->heap_name))
        return check_mapped(check, status->server_pid);
    fputs("goallocctl: the server names no heap that can be\n", stderr);
    return -EPROTO;
}

int ga_ctl_check(const struct ga_ctl *ctl)
{
    struct check check = {.server_alive = ctl->source.server_alive};
    struct ga_answer answer = {0};
    int err = ctl->source.heap ? check_by_name(ctl, &check) : check_by_socket(ctl, &check, &answer);
    if (err == 0 && ctl->json)
        print_json(ctl, &check);
    else if (err == 0)
        err = print_check(&check);
    ga_answer_fini(&answer);
    free(check.moving);
    free(check.faults);
    if (err < 0)
        return err;
    return check.audit.nfaults > 0 ? GA_CTL_FAULTS : 0;
}
