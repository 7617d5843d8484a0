/* goallocctl gc: has the server collect what nothing reaches, or count it; and says what came of
 * it, by size class, by who allocated it, and where, as far as that was sampled. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ask.h"
#include "client/ctl/command.h"
#include "client/ctl/json.h"
#include "client/ctl/lost.h"
#include "client/ctl/print.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"
#include "shm/size_class.h"

/* ---- as JSON ---- */

static void json_class(struct ga_json *json, const Goalloc__V1__GcCount *count)
{
    uint32_t c = count->size_class;
    ga_json_begin_object(json, NULL);
    ga_json_number(json, "size_class", c);
    ga_json_number(json, "size_bytes", c < GA_SIZE_CLASS_COUNT ? ga_size_classes[c].size : 0);
    ga_json_number(json, "objects", count->objects);
    ga_json_number(json, "bytes", count->bytes);
    ga_json_end(json);
}

static void json_owner(struct ga_json *json, const Goalloc__V1__GcCount *count)
{
    ga_json_begin_object(json, NULL);
    if (count->client) {
        ga_json_number(json, "client", count->client);
        ga_json_number(json, "pid", count->pid);
        ga_json_string(json, "name", count->name);
    } else {
        ga_json_null(json, "client");
        ga_json_null(json, "pid");
        ga_json_null(json, "name");
    }
    ga_json_number(json, "objects", count->objects);
    ga_json_number(json, "bytes", count->bytes);
    ga_json_end(json);
}

static void print_json(const struct ga_ctl *ctl, const Goalloc__V1__GcResult *result,
                       const struct ga_lost *lost)
{
    struct ga_json json;
    ga_print_begin_json(ctl, &json);
    ga_json_number(&json, "cycle", result->cycle);
    ga_json_bool(&json, "report", ctl->report);
    ga_json_string(&json, "abandoned", result->failure[0] ? result->failure : NULL);
    ga_json_number(&json, "threads", result->nworkers);
    ga_json_number(&json, "mark_ns", result->mark_ns);
    ga_json_number(&json, "sweep_ns", result->sweep_ns);
    ga_json_number(&json, "roots", result->roots);
    ga_json_number(&json, "roots_outside", result->roots_outside);
    ga_json_number(&json, "looked_at_objects", result->found_objects);
    ga_json_number(&json, "looked_at_bytes", result->found_bytes);
    ga_json_number(&json, "unreachable_objects", result->garbage_objects);
    ga_json_number(&json, "unreachable_bytes", result->garbage_bytes);
    ga_json_number(&json, "freed_objects", result->freed_objects);
    ga_json_number(&json, "freed_bytes", result->freed_bytes);
    ga_json_begin_list(&json, "by_class");
    for (size_t i = 0; i < result->n_by_class; i++)
        json_class(&json, result->by_class[i]);
    ga_json_end(&json);
    ga_json_number(&json, "owners", result->nowners);
    ga_json_begin_list(&json, "by_owner");
    for (size_t i = 0; i < result->n_by_owner; i++)
        json_owner(&json, result->by_owner[i]);
    ga_json_end(&json);
    ga_lost_json(lost, &json);
    ga_json_end(&json);
}

/* ---- for people ---- */

static void print_amount(const char *what, uint64_t objects, uint64_t bytes, const char *more)
{
    char size[GA_UNITS_BYTES];
    ga_units_size(bytes, size);
    printf("%-12s %" PRIu64 " object%s, %s%s\n", what, objects, ga_print_plural(objects), size,
           more);
}

static void print_sums(const struct ga_ctl *ctl, const Goalloc__V1__GcResult *result)
{
    char of_all[GA_UNITS_BYTES];
    char more[GA_UNITS_BYTES + 16];
    ga_units_share(result->garbage_bytes, result->found_bytes, of_all);
    snprintf(more, sizeof(more), ", %s of these", of_all);
    print_amount("looked at", result->found_objects, result->found_bytes, "");
    print_amount("unreachable", result->garbage_objects, result->garbage_bytes,
                 result->garbage_objects ? more : "");
    if (!ctl->report)
        print_amount("freed", result->freed_objects, result->freed_bytes, "");
    printf("%-12s %" PRIu64, "roots", result->roots);
    if (result->roots_outside)
        printf("; ignored, since they point elsewhere: %" PRIu64, result->roots_outside);
    printf("\n%-12s %.1f ms on %" PRIu32 " thread%s\n", "marked in",
           (double)result->mark_ns / 1000000, result->nworkers, ga_print_plural(result->nworkers));
}

static void garbage_cells(struct ga_table *table, const Goalloc__V1__GcCount *count,
                          const Goalloc__V1__GcResult *result)
{
    char share[GA_UNITS_BYTES];
    ga_units_share(count->bytes, result->garbage_bytes, share);
    ga_table_number(table, count->objects);
    ga_table_size(table, count->bytes);
    ga_table_cell(table, "%s", share);
}

static int print_classes(const Goalloc__V1__GcResult *result)
{
    static const struct ga_table_column columns[] = {
        {.title = "CLASS", .align = GA_TABLE_RIGHT},
        {.title = "SIZE", .align = GA_TABLE_RIGHT},
        {.title = "UNREACHABLE", .align = GA_TABLE_RIGHT},
        {.title = "BYTES", .align = GA_TABLE_RIGHT},
        {.title = "SHARE", .align = GA_TABLE_RIGHT},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_by_class; i++) {
        ga_print_class_cells(table, result->by_class[i]->size_class);
        garbage_cells(table, result->by_class[i], result);
    }
    putchar('\n');
    return ga_print_table(table);
}

static int print_owners(const Goalloc__V1__GcResult *result)
{
    static const struct ga_table_column columns[] = {
        {.title = "CLIENT", .align = GA_TABLE_RIGHT},
        {.title = "PID", .align = GA_TABLE_RIGHT},
        {.title = "NAME", .align = GA_TABLE_LEFT, .min_columns = 8},
        {.title = "UNREACHABLE", .align = GA_TABLE_RIGHT},
        {.title = "BYTES", .align = GA_TABLE_RIGHT},
        {.title = "SHARE", .align = GA_TABLE_RIGHT},
    };
    struct ga_table *table = ga_table_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < result->n_by_owner; i++) {
        const Goalloc__V1__GcCount *owner = result->by_owner[i];
        if (owner->client) {
            ga_table_number(table, owner->client);
            ga_table_number(table, owner->pid);
            ga_table_cell(table, "%s", owner->name);
        } else {
            ga_table_cell(table, "-");
            ga_table_cell(table, "-");
            ga_table_cell(table, "gone");
        }
        garbage_cells(table, owner, result);
    }
    putchar('\n');
    int err = ga_print_table(table);
    if (err == 0 && result->nowners > result->n_by_owner)
        printf("and %zu more\n", result->nowners - result->n_by_owner);
    return err;
}

static int print_result(const struct ga_ctl *ctl, const Goalloc__V1__GcResult *result,
                        const struct ga_lost *lost)
{
    print_sums(ctl, result);
    if (result->garbage_objects == 0)
        return 0;
    int err = print_classes(result);
    if (err == 0)
        err = print_owners(result);
    return err < 0 ? err : ga_lost_print_table(lost);
}

/* Who may ask the server, but not open the heap's memory, is told all but the places. */
static int show(const struct ga_ctl *ctl, const Goalloc__V1__GcResult *result)
{
    struct ga_lost lost = {0};
    int without_places = ga_lost_fetch(ctl, result->collection, &lost);
    int err = 0;
    if (ctl->json)
        print_json(ctl, result, &lost);
    else if (!result->failure[0])
        err = print_result(ctl, result, &lost);
    ga_lost_fini(&lost);
    return err < 0 ? err : without_places;
}

int ga_ctl_gc(const struct ga_ctl *ctl)
{
    struct ga_answer answer = {0};
    int err = ga_ask_gc(ctl, ctl->report ? GA_GC_REPORT : GA_GC_FULL, &answer);
    if (err < 0)
        return err;
    const Goalloc__V1__GcResult *result = answer.message->gc_result;
    err = show(ctl, result);
    if (result->failure[0]) {
        fprintf(stderr, "goallocctl: the collection was abandoned, and nothing is freed: %s\n",
                result->failure);
        err = -ECANCELED;
    }
    ga_answer_fini(&answer);
    return err;
}
