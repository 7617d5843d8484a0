/* An arena is a rectangle of 128 by 64 pages, which are read as text is: line by line. A run of
 * pages is so one shape of at most eight corners. Arenas stand in a grid, as nearly square as it
 * gets. A cell of several categories is divided between them, so that what is drawn has the right
 * areas also from afar. */
#include "client/ctl/map_svg.h"

#include <inttypes.h>
#include <string.h>

#include "client/ctl/units.h"
#include "client/ctl/web_file.h"

#define COLUMNS      128u /* pages side by side in an arena */
#define ROWS         (GA_PAGES_PER_ARENA / COLUMNS)
#define WIDTH        1280u /* of the picture, in its own units */
#define MARGIN       24u
#define HEAD         64u /* above the arenas */
#define LEGEND_ROW   24u
#define LEGEND_WIDTH 220u

static const char style[] =
    "text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: var(--ink) }\n"
    ".h { font-size: 18px; font-weight: 600 } .d { fill: var(--dim) }\n"
    ".bg { fill: var(--bg) } .arena { fill: var(--panel); stroke: var(--line) }\n"
    ".p { stroke: var(--hair); stroke-width: .08 } .p:hover, .p:hover path { stroke: var(--ink); "
    "stroke-width: .25 }\n";

struct picture {
    FILE *out;
    const struct ga_map *map;
    const struct ga_ctl_view *clients;
    uint64_t first_arena;
    uint64_t narenas;
    uint64_t columns; /* of arenas */
    double arena_width;
    double gap;
};

static void put_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '&' || c == '<' || c == '>' || c == '"')
            fprintf(out, "&#%u;", (unsigned)c);
        else
            fputc(c < 0x20 || c == 0x7f ? '?' : c, out); /* XML has no other way to say it */
    }
}

static double arena_x(const struct picture *p, uint64_t index)
{
    return MARGIN + (double)(index % p->columns) * (p->arena_width + p->gap);
}

static double arena_y(const struct picture *p, uint64_t index)
{
    uint64_t row = index / p->columns;
    return HEAD + (double)row * (p->arena_width / 2 + p->gap);
}

/* The shape of the pages [begin, end) of an arena, all in lines of COLUMNS. */
static void put_shape(FILE *out, uint64_t begin, uint64_t end)
{
    uint64_t x0 = begin % COLUMNS;
    uint64_t y0 = begin / COLUMNS;
    uint64_t x1 = (end - 1) % COLUMNS + 1; /* past the last page, in its line */
    uint64_t y1 = (end - 1) / COLUMNS;
    if (y0 == y1) {
        fprintf(out, "M%" PRIu64 " %" PRIu64 "h%" PRIu64 "v1h-%" PRIu64 "z", x0, y0, x1 - x0,
                x1 - x0);
        return;
    }
    fprintf(out,
            "M%" PRIu64 " %" PRIu64 "H%uV%" PRIu64 "H%" PRIu64 "V%" PRIu64 "H0V%" PRIu64 "H%" PRIu64
            "z",
            x0, y0, COLUMNS, y1, x1, y1 + 1, y0 + (x0 ? 1 : 0), x0);
}

static void put_run_title(const struct picture *p, const struct ga_map_run *run)
{
    char size[GA_UNITS_BYTES];
    ga_units_size((uint64_t)run->npages * GA_PAGE_SIZE, size);
    fprintf(p->out, "<title>0x%" PRIx64 "  %s %s",
            p->map->base + (uint64_t)run->page * GA_PAGE_SIZE, size, ga_map_state_name(run->state));
    if (run->slots > 1) {
        char slot[GA_UNITS_BYTES];
        ga_units_size(ga_map_slot_bytes(run), slot);
        fprintf(p->out, "\n%" PRIu32 " of %" PRIu32 " slots of %s used", run->used, run->slots,
                slot);
    }
    const Goalloc__V1__ClientInfo *client = ga_ctl_view_client(p->clients, run->client);
    if (client) {
        fprintf(p->out, "\npid %" PRIu32 " ", client->pid);
        put_text(p->out, client->name);
    }
    if (run->age_s != GA_MAP_AGE_UNKNOWN) {
        char age[GA_UNITS_BYTES];
        ga_units_duration((uint64_t)run->age_s * 1000, age);
        fprintf(p->out, "\nmade %s ago", age);
    }
    fputs("</title>", p->out);
}

/* One run, as far as it lies in the arena. */
static void put_run(const struct picture *p, const struct ga_map_run *run, uint64_t arena)
{
    uint64_t first = arena * GA_PAGES_PER_ARENA;
    uint64_t begin = run->page > first ? run->page - first : 0;
    uint64_t end = (uint64_t)run->page + run->npages - first;
    end = end < GA_PAGES_PER_ARENA ? end : GA_PAGES_PER_ARENA;
    fprintf(p->out, "<path class=\"p %s\" d=\"", p->map->categories[run->category].key);
    put_shape(p->out, begin, end);
    fputs("\">", p->out);
    put_run_title(p, run);
    fputs("</path>\n", p->out);
}

/* A cell's rectangle, divided side by side between its categories. */
static void put_cell(const struct picture *p, uint64_t cell)
{
    const struct ga_map *map = p->map;
    const uint32_t *counts = &map->counts[cell * map->ncategories];
    uint64_t page = map->from_page + cell * map->pages_per_cell;
    uint64_t begin = page % GA_PAGES_PER_ARENA;
    double width = map->pages_per_cell < COLUMNS ? map->pages_per_cell : COLUMNS;
    double height = map->pages_per_cell < COLUMNS ? 1 : (double)map->pages_per_cell / COLUMNS;
    double x = (double)(begin % COLUMNS);
    fprintf(p->out, "<g><title>0x%" PRIx64, map->base + page * GA_PAGE_SIZE);
    for (size_t i = 0; i < map->ncategories; i++) {
        if (counts[i] == 0)
            continue;
        char share[GA_UNITS_BYTES];
        ga_units_share(counts[i], map->pages_per_cell, share);
        fprintf(p->out, "\n%s ", share);
        put_text(p->out, map->categories[i].label);
    }
    fputs("</title>", p->out);
    for (size_t i = 0; i < map->ncategories; i++) {
        if (counts[i] == 0)
            continue;
        double part = width * counts[i] / map->pages_per_cell;
        fprintf(p->out, "<path class=\"%s\" d=\"M%.4g %" PRIu64 "h%.3gv%.3gh-%.3gz\"/>",
                map->categories[i].key, x, (uint64_t)(begin / COLUMNS), part, height, part);
        x += part;
    }
    fputs("</g>\n", p->out);
}

static void begin_arena(const struct picture *p, uint64_t index)
{
    double scale = p->arena_width / COLUMNS;
    fprintf(p->out, "<g transform=\"translate(%.2f %.2f)\">", arena_x(p, index), arena_y(p, index));
    fprintf(p->out,
            "<rect class=\"arena\" x=\"-.5\" y=\"-.5\" width=\"%.2f\" height=\"%.2f\"><title>arena "
            "%" PRIu64 "</title></rect><g transform=\"scale(%.4f)\">\n",
            p->arena_width + 1, p->arena_width / 2 + 1, p->first_arena + index, scale);
}

static void put_arenas(const struct picture *p)
{
    const struct ga_map *map = p->map;
    size_t run = 0;
    uint64_t cell = 0;
    for (uint64_t i = 0; i < p->narenas; i++) {
        uint64_t end = (p->first_arena + i + 1) * GA_PAGES_PER_ARENA;
        begin_arena(p, i);
        while (run < map->nruns && map->runs[run].page < end) {
            put_run(p, &map->runs[run], p->first_arena + i);
            if ((uint64_t)map->runs[run].page + map->runs[run].npages > end)
                break; /* the next arena has the rest of it */
            run++;
        }
        for (; cell < map->ncells && map->from_page + cell * map->pages_per_cell < end; cell++)
            put_cell(p, cell);
        fputs("</g></g>\n", p->out);
    }
}

static void put_legend(const struct picture *p, uint64_t top)
{
    const struct ga_map *map = p->map;
    unsigned per_row = (WIDTH - 2 * MARGIN) / LEGEND_WIDTH;
    for (size_t i = 0; i < map->ncategories; i++) {
        char size[GA_UNITS_BYTES];
        ga_units_size(map->categories[i].npages * GA_PAGE_SIZE, size);
        uint64_t x = MARGIN + i % per_row * LEGEND_WIDTH;
        uint64_t y = top + i / per_row * LEGEND_ROW;
        fprintf(p->out,
                "<rect class=\"%s\" x=\"%" PRIu64 "\" y=\"%" PRIu64
                "\" width=\"14\" height=\"14\" rx=\"3\"/><text x=\"%" PRIu64 "\" y=\"%" PRIu64
                "\">",
                map->categories[i].key, x, y, x + 22, y + 12);
        put_text(p->out, map->categories[i].label);
        fprintf(p->out, " <tspan class=\"d\">%s</tspan></text>\n", size);
    }
}

static void put_heading(const struct picture *p, const char *heap_name)
{
    const struct ga_map *map = p->map;
    char size[GA_UNITS_BYTES];
    ga_units_size((map->end_page - map->from_page) * GA_PAGE_SIZE, size);
    fprintf(p->out, "<text class=\"h\" x=\"%u\" y=\"32\">", MARGIN);
    put_text(p->out, heap_name);
    fprintf(p->out, " by %s</text><text class=\"d\" x=\"%u\" y=\"52\">", ga_map_by_name(map->by),
            MARGIN);
    if (p->narenas == 1)
        fprintf(p->out, "arena %" PRIu64 ", ", p->first_arena);
    else
        fprintf(p->out, "%" PRIu64 " arenas of 64 MiB, ", p->narenas);
    fprintf(p->out, "%s from 0x%" PRIx64 "; a line is 1 MiB", size,
            map->base + map->from_page * GA_PAGE_SIZE);
    if (map->pages_per_cell) {
        ga_units_size((uint64_t)map->pages_per_cell * GA_PAGE_SIZE, size);
        fprintf(p->out, "; in cells of %s", size);
    }
    fputs("</text>\n", p->out);
}

void ga_map_write_svg(const struct ga_map *map, const char *heap_name,
                      const struct ga_ctl_view *clients, FILE *out)
{
    struct picture p = {.out = out, .map = map, .clients = clients, .columns = 1};
    p.first_arena = map->from_page / GA_PAGES_PER_ARENA;
    p.narenas = (map->end_page - map->from_page + GA_PAGES_PER_ARENA - 1) / GA_PAGES_PER_ARENA;
    while (p.columns * p.columns < p.narenas)
        p.columns++;
    p.gap = p.columns > 1 ? 48.0 / (double)p.columns : 0;
    p.arena_width = (WIDTH - 2 * MARGIN - p.gap * (double)(p.columns - 1)) / (double)p.columns;
    uint64_t legend = (uint64_t)(arena_y(&p, p.narenas + p.columns - 1) - p.gap) + 16;
    unsigned per_row = (WIDTH - 2 * MARGIN) / LEGEND_WIDTH;
    uint64_t height = legend + (map->ncategories + per_row - 1) / per_row * LEGEND_ROW + MARGIN;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %" PRIu64
            "\" width=\"%u\" height=\"%" PRIu64 "\">\n<style>\n%s%s</style>\n"
            "<rect class=\"bg\" width=\"%u\" height=\"%" PRIu64 "\"/>\n",
            WIDTH, height, WIDTH, height, (const char *)ga_web_file_find("palette.css")->bytes,
            style, WIDTH, height);
    put_heading(&p, heap_name);
    put_arenas(&p);
    put_legend(&p, legend);
    fputs("</svg>\n", out);
}
