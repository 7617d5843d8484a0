/* goallocctl map: the heap as a picture, or as JSON. */
#include "client/ctl/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl/map_json.h"
#include "client/ctl/map_source.h"
#include "client/ctl/map_svg.h"
#include "client/ctl/new_file.h"
#include "client/ctl/print.h"

static int check_arena(const struct ga_ctl *ctl, const struct ga_map_source *source)
{
    uint64_t npages = ga_load_acquire(&source->view.meta->committed_npages);
    uint64_t narenas = (npages + GA_PAGES_PER_ARENA - 1) / GA_PAGES_PER_ARENA;
    if (ctl->arena < 0 || (uint64_t)ctl->arena < narenas)
        return 0;
    fprintf(stderr,
            "goallocctl: the heap has no memory in arena %" PRIi64 ": arenas are 0 to %" PRIu64
            "\n",
            ctl->arena, narenas ? narenas - 1 : 0);
    return -ERANGE;
}

static int draw(const struct ga_ctl *ctl, const struct ga_map_source *source,
                const struct ga_ctl_view *clients, struct ga_map *ret)
{
    struct ga_map_order order = {.view = &source->view,
                                 .clients = clients,
                                 .ages = source->ages,
                                 .npages_ages = source->npages_ages,
                                 .by = ctl->by,
                                 .narenas = UINT64_MAX,
                                 .runs_max = GA_MAP_SVG_RUNS_MAX,
                                 .cells_max = ctl->json ? 0 : GA_MAP_SVG_CELLS_MAX};
    if (ctl->arena >= 0) {
        order.arena = (uint64_t)ctl->arena;
        order.narenas = 1;
    }
    uint64_t bad_page = 0;
    int r = ga_map_draw(&order, ret, &bad_page);
    if (r == -EBADMSG)
        fprintf(stderr,
                "goallocctl: the page table of heap '%s' is damaged at page %" PRIu64
                ", or changed while it was read\n",
                source->heap_name, bad_page);
    else if (r < 0)
        fputs("goallocctl: out of memory\n", stderr);
    return r;
}

static void print_to(const struct ga_ctl *ctl, const struct ga_map *map, const char *heap_name,
                     const struct ga_ctl_view *clients, FILE *out)
{
    if (!ctl->json) {
        ga_map_write_svg(map, heap_name, clients, out);
        return;
    }
    struct ga_json json;
    ga_print_begin_json_to(ctl, out, &json);
    ga_json_string(&json, "heap_name", heap_name);
    ga_map_write_json(map, &json);
    ga_json_end(&json);
}

/* Into a new file that takes path's place when it is whole. */
static int print_to_file(const struct ga_ctl *ctl, const struct ga_map *map, const char *heap_name,
                         const struct ga_ctl_view *clients)
{
    struct ga_new_file file;
    int r = ga_new_file_open(ctl->output, &file);
    if (r < 0)
        return r;
    FILE *out = fdopen(file.fd, "w");
    if (!out) {
        r = -errno;
    } else {
        print_to(ctl, map, heap_name, clients, out);
        r = fflush(out) == 0 && !ferror(out) ? 0 : -errno;
    }
    if (r == 0)
        return ga_new_file_commit(&file);
    fprintf(stderr, "goallocctl: '%s' cannot be written: %s\n", ctl->output, strerror(-r));
    ga_new_file_abandon(&file);
    return r;
}

static int map_from(const struct ga_ctl *ctl, struct ga_map_source *source)
{
    int r = check_arena(ctl, source);
    if (r == 0 && ctl->by == GA_MAP_BY_AGE)
        r = ga_map_source_fetch_ages(ctl, source);
    if (r < 0)
        return r;
    struct ga_ctl_view clients;
    r = ga_ctl_view_fetch(ctl, NULL, &clients);
    if (r < 0)
        return r;
    struct ga_map map;
    r = draw(ctl, source, &clients, &map);
    if (r == 0) {
        if (ctl->output)
            r = print_to_file(ctl, &map, source->heap_name, &clients);
        else
            print_to(ctl, &map, source->heap_name, &clients, stdout);
        ga_map_fini(&map);
    }
    ga_ctl_view_fini(&clients);
    return r;
}

int ga_ctl_map(const struct ga_ctl *ctl)
{
    if (ctl->by == GA_MAP_BY_AGE && ctl->source.heap) {
        fputs("goallocctl: how old spans are only the server knows: '--by age' does not go with "
              "'--shm'\n",
              stderr);
        return -EINVAL;
    }
    struct ga_map_source source;
    int r = ga_map_source_open(ctl, &source);
    if (r < 0)
        return r;
    r = map_from(ctl, &source);
    ga_map_source_close(&source);
    return r;
}
