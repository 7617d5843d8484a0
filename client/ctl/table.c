/* A table is a flat, growing list of cells; row r, column c is cell r * ncolumns + c. Printing
 * measures every column, makes the widths fit, then writes line by line. Nothing is written behind
 * the last cell of a line, so that no line ends in blanks. */
#include "client/ctl/table.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "client/ctl/printable.h"
#include "client/ctl/units.h"

#define WIDE_GAP   2u
#define NARROW_GAP 1u
#define CUT_MARK   "..."

struct ga_table {
    const struct ga_table_column *columns;
    size_t ncolumns;
    char **cells;
    size_t ncells;
    size_t capacity;
    bool failed; /* a cell is missing for want of memory */
};

struct ga_table *ga_table_new(const struct ga_table_column *columns, size_t ncolumns)
{
    assert(ncolumns > 0);
    struct ga_table *table = calloc(1, sizeof(*table));
    if (!table)
        return NULL;
    table->columns = columns;
    table->ncolumns = ncolumns;
    return table;
}

void ga_table_free(struct ga_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->ncells; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

static bool reserve_cell(struct ga_table *table)
{
    if (table->ncells < table->capacity)
        return true;
    size_t capacity = table->capacity ? 2 * table->capacity : 64;
    char **cells = reallocarray(table->cells, capacity, sizeof(*cells));
    if (!cells)
        return false;
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void ga_table_cell(struct ga_table *table, const char *format, ...)
{
    if (!table || table->failed)
        return;
    va_list arguments;
    char *raw;
    va_start(arguments, format);
    int length = vasprintf(&raw, format, arguments);
    va_end(arguments);
    char *cell = length < 0 ? NULL : ga_printable_copy(raw);
    if (length >= 0)
        free(raw);
    if (!cell || !reserve_cell(table)) {
        free(cell);
        table->failed = true;
        return;
    }
    table->cells[table->ncells++] = cell;
}

void ga_table_number(struct ga_table *table, unsigned long long number)
{
    ga_table_cell(table, "%llu", number);
}

void ga_table_size(struct ga_table *table, unsigned long long bytes)
{
    char text[GA_UNITS_BYTES];
    ga_units_size(bytes, text);
    ga_table_cell(table, "%s", text);
}

static void measure(const struct ga_table *table, size_t *widths)
{
    for (size_t c = 0; c < table->ncolumns; c++)
        widths[c] = table->columns[c].title ? ga_printable_columns(table->columns[c].title) : 0;
    for (size_t i = 0; i < table->ncells; i++) {
        size_t width = ga_printable_columns(table->cells[i]);
        if (width > widths[i % table->ncolumns])
            widths[i % table->ncolumns] = width;
    }
}

/* The widest column that may still be cut; ncolumns when there is none. */
static size_t widest(const struct ga_table *table, const size_t *widths)
{
    size_t found = table->ncolumns;
    for (size_t c = 0; c < table->ncolumns; c++) {
        size_t least = table->columns[c].min_columns;
        if (least > 0 && widths[c] > least &&
            (found == table->ncolumns || widths[c] > widths[found]))
            found = c;
    }
    return found;
}

/* Make widths and the gap between columns fit into width, as far as they may shrink: what is
 * widest gives way first. Returns the gap. */
static size_t fit(const struct ga_table *table, size_t width, size_t *widths)
{
    size_t text = 0;
    for (size_t c = 0; c < table->ncolumns; c++)
        text += widths[c];
    size_t ngaps = table->ncolumns - 1;
    if (width == 0 || text + ngaps * WIDE_GAP <= width)
        return WIDE_GAP;

    for (size_t total = text + ngaps * NARROW_GAP; total > width; total--) {
        size_t c = widest(table, widths);
        if (c == table->ncolumns)
            break;
        widths[c]--;
    }
    return NARROW_GAP;
}

static void print_blanks(FILE *out, size_t count)
{
    fprintf(out, "%*s", (int)count, "");
}

static void print_cell(FILE *out, const char *text, enum ga_table_align align, size_t width,
                       bool last)
{
    size_t columns = ga_printable_columns(text);
    if (columns > width) {
        size_t mark = strlen(CUT_MARK) < width ? strlen(CUT_MARK) : width;
        size_t bytes = ga_printable_fit(text, width - mark);
        fprintf(out, "%.*s%.*s", (int)bytes, text, (int)mark, CUT_MARK);
        return;
    }
    if (align == GA_TABLE_RIGHT)
        print_blanks(out, width - columns);
    fputs(text, out);
    if (align == GA_TABLE_LEFT && !last)
        print_blanks(out, width - columns);
}

static void print_line(const struct ga_table *table, FILE *out, char *const *cells,
                       const size_t *widths, size_t gap)
{
    for (size_t c = 0; c < table->ncolumns; c++) {
        const struct ga_table_column *column = &table->columns[c];
        if (c > 0)
            print_blanks(out, gap);
        print_cell(out, cells ? cells[c] : column->title, column->align, widths[c],
                   c == table->ncolumns - 1);
    }
    fputc('\n', out);
}

int ga_table_print(const struct ga_table *table, FILE *out, size_t width)
{
    if (!table || table->failed)
        return -ENOMEM;
    assert(table->ncells % table->ncolumns == 0);
    size_t *widths = calloc(table->ncolumns, sizeof(*widths));
    if (!widths)
        return -ENOMEM;
    measure(table, widths);
    size_t gap = fit(table, width, widths);
    if (table->columns[0].title)
        print_line(table, out, NULL, widths, gap);
    for (size_t i = 0; i < table->ncells; i += table->ncolumns)
        print_line(table, out, &table->cells[i], widths, gap);
    free(widths);
    return 0;
}

size_t ga_table_width_of(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) < 0)
        return 0;
    return size.ws_col;
}
