/* All processes have ended, so what is left is what a collection would look at, and what it would
 * find unreachable is lost: nobody can free it any more. The server makes the difference, by the
 * marker that `goallocctl gc --report` uses; where it was allocated say the samples of all objects
 * that the processes have noted. */
#include "client/ctl/run_report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "client/ctl/ask.h"
#include "client/ctl/color.h"
#include "client/ctl/json.h"
#include "client/ctl/lost.h"
#include "client/ctl/print.h"
#include "client/ctl/run_account.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "client/deadline.h"
#include "shm/size_class.h"

/* The server is told of a death at once, and then takes back what the process had. */
#define PATIENCE_MS 20000u
#define LOOK_NS     5000000L

static int wait_until_gone(const struct ga_ctl *ctl)
{
    struct timespec end = ga_deadline_in(PATIENCE_MS);
    for (;;) {
        struct ga_parts parts;
        size_t nclients = 0;
        int err = ga_ask_clients(ctl, &parts);
        if (err < 0)
            return err;
        for (size_t i = 0; i < parts.count; i++)
            nclients += parts.answers[i].message->client_list->n_clients;
        ga_parts_fini(&parts);
        if (nclients == 0)
            return 0;
        if (ga_deadline_left_ms(&end) == 0) {
            fprintf(stderr,
                    "goallocctl: %zu process%s not children of the program use%s the heap "
                    "still; they are counted as ended\n",
                    nclients, nclients == 1 ? "" : "es", nclients == 1 ? "s" : "");
            return 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
}

/* First what the server frees by itself, which is no leak: what managed processes, and those of
 * policy unreachable, have left. Then the rest is counted. */
static int ask(const struct ga_ctl *ctl, struct ga_answer *ret)
{
    static const enum ga_gc_mode modes[] = {GA_GC_FULL, GA_GC_REPORT};
    struct ga_answer answer = {0};
    for (size_t i = 0; i < 2; i++) {
        ga_answer_fini(&answer);
        int err = ga_ask_gc(ctl, modes[i], &answer);
        if (err < 0)
            return err;
        const char *failure = answer.message->gc_result->failure;
        if (failure[0]) {
            fprintf(stderr, "goallocctl: what is left cannot be counted: %s\n", failure);
            ga_answer_fini(&answer);
            return -ECANCELED;
        }
    }
    *ret = answer;
    return 0;
}

/* ---- for people ---- */

static void print_amount(FILE *out, const char *what, uint64_t objects, uint64_t bytes,
                         const char *more)
{
    char size[GA_UNITS_BYTES];
    ga_units_size(bytes, size);
    fprintf(out, "  %-10s %s in %" PRIu64 " object%s%s\n", what, size, objects,
            ga_print_plural(objects), more);
}

static int print_classes(FILE *out, const Goalloc__V1__GcResult *result)
{
    static const struct ga_table_column columns[] = {
        {.title = "CLASS", .align = GA_TABLE_RIGHT},
        {.title = "SIZE", .align = GA_TABLE_RIGHT},
        {.title = "LOST", .align = GA_TABLE_RIGHT},
        {.title = "BYTES", .align = GA_TABLE_RIGHT},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_by_class; i++) {
        ga_print_class_cells(table, result->by_class[i]->size_class);
        ga_table_number(table, result->by_class[i]->objects);
        ga_table_size(table, result->by_class[i]->bytes);
    }
    int err = ga_table_print(table, out, ga_table_width_of(out));
    ga_table_free(table);
    if (err < 0)
        fputs("goallocctl: out of memory\n", stderr);
    return err;
}

static int print_text(const struct ga_request *request, const Goalloc__V1__GcResult *result,
                      const struct ga_run_left *left, const struct ga_lost *lost, FILE *out)
{
    char size[GA_UNITS_BYTES];
    if (request->ctl.quiet && left->lost_objects == 0)
        return 0;
    if (left->objects == 0) {
        fputs("goallocctl: nothing is left in the heap\n", out);
        return 0;
    }
    bool bad = request->run.leak_check && left->lost_objects > 0;
    ga_units_size(left->bytes, size);
    fprintf(out, "%sgoallocctl: %s in %" PRIu64 " object%s %s left in the heap%s\n",
            ga_color(out, bad ? GA_COLOR_BAD : GA_COLOR_TITLE), size, left->objects,
            ga_print_plural(left->objects), left->objects == 1 ? "is" : "are",
            ga_color(out, GA_COLOR_NONE));
    if (!request->run.leak_check)
        return 0;
    print_amount(out, "lost", left->lost_objects, left->lost_bytes,
                 left->lost_objects ? ": no root reaches them" : "");
    print_amount(out, "reachable", left->objects - left->lost_objects,
                 left->bytes - left->lost_bytes,
                 left->objects > left->lost_objects ? ": published, or reached from what is" : "");
    int err = left->lost_objects ? print_classes(out, result) : 0;
    ga_lost_print(lost, left->lost_objects, left->lost_bytes, out);
    return err;
}

/* ---- as JSON ---- */

static void print_json(const struct ga_request *request, const Goalloc__V1__GcResult *result,
                       const struct ga_run_left *left, const struct ga_lost *lost,
                       const struct ga_run_accounts *accounts, int status, FILE *out)
{
    struct ga_json json;
    ga_json_init(&json, out);
    ga_json_begin_object(&json, NULL);
    ga_json_string(&json, "program", request->program[0]);
    ga_json_number(&json, "status", (uint64_t)status);
    ga_json_number(&json, "objects", left->objects);
    ga_json_number(&json, "bytes", left->bytes);
    ga_json_number(&json, "lost_objects", left->lost_objects);
    ga_json_number(&json, "lost_bytes", left->lost_bytes);
    ga_json_number(&json, "roots", result->roots);
    ga_json_begin_list(&json, "lost_by_class");
    for (size_t i = 0; i < result->n_by_class; i++) {
        uint32_t c = result->by_class[i]->size_class;
        ga_json_begin_object(&json, NULL);
        ga_json_number(&json, "size_class", c);
        ga_json_number(&json, "size_bytes", c < GA_SIZE_CLASS_COUNT ? ga_size_classes[c].size : 0);
        ga_json_number(&json, "objects", result->by_class[i]->objects);
        ga_json_number(&json, "bytes", result->by_class[i]->bytes);
        ga_json_end(&json);
    }
    ga_json_end(&json);
    if (request->run.leak_check)
        ga_lost_json(lost, &json);
    if (request->run.preload)
        ga_run_accounts_json(accounts, &json);
    ga_json_end(&json);
}

/* How many processes there have been that have a heap of their own. */
static int count_seen(const struct ga_ctl *ctl, uint64_t *ret)
{
    struct ga_parts parts;
    int err = ga_ask_programs(ctl, &parts);
    if (err < 0)
        return err;
    *ret = parts.count ? parts.answers[0].message->program_list->seen : 0;
    ga_parts_fini(&parts);
    return 0;
}

/* What is known of all that is left. */
struct report {
    struct ga_answer answer;
    struct ga_lost lost;
    struct ga_run_accounts accounts;
};

static int fetch(const struct ga_request *request, const struct ga_ctl *ctl, const char *folder,
                 struct report *report)
{
    int err = wait_until_gone(ctl);
    if (err == 0)
        err = ask(ctl, &report->answer);
    if (err == 0 && request->run.leak_check)
        err = ga_lost_fetch(ctl, report->answer.message->gc_result->collection, &report->lost);
    if (err == 0)
        err = ga_run_accounts_read(folder, &report->accounts);
    if (err == 0 && request->run.preload)
        err = count_seen(ctl, &report->accounts.nseen);
    return err;
}

static int print(const struct ga_request *request, const struct report *report, int status,
                 FILE *out, struct ga_run_left *ret)
{
    const Goalloc__V1__GcResult *result = report->answer.message->gc_result;
    const struct ga_run_accounts *accounts = &report->accounts;
    int err = 0;
    struct ga_run_left left = {.objects = result->found_objects,
                               .bytes = result->found_bytes,
                               .lost_objects = result->garbage_objects,
                               .lost_bytes = result->garbage_bytes};
    if (request->ctl.json)
        print_json(request, result, &left, &report->lost, accounts, status, out);
    else if (!request->run.preload || left.objects > 0) /* few of those programs share a heap too */
        err = print_text(request, result, &left, &report->lost, out);
    if (request->run.preload && !request->ctl.json)
        ga_run_accounts_print(accounts, request->ctl.quiet, out);
    left.lost_objects += accounts->lost.objects;
    left.lost_bytes += accounts->lost.bytes;
    left.objects += accounts->left.objects;
    left.bytes += accounts->left.bytes;
    *ret = left;
    return err;
}

int ga_run_report(const struct ga_request *request, const char *socket, int status,
                  const char *folder, FILE *out, struct ga_run_left *ret)
{
    struct ga_ctl ctl = request->ctl;
    struct report report = {0};
    int err = ga_source_open_socket(socket, &ctl.source);
    if (err < 0)
        return err;
    err = fetch(request, &ctl, folder, &report);
    if (err == 0)
        err = print(request, &report, status, out, ret);
    ga_run_accounts_fini(&report.accounts);
    ga_lost_fini(&report.lost);
    ga_answer_fini(&report.answer);
    ga_source_close(&ctl.source);
    return err;
}
