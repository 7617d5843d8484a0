/* Aligned text tables: cells are added one after the other, row by row, and the table is printed
 * when all are known. Numbers stand right, words left; on a terminal that is too narrow the gaps
 * between the columns shrink first, then the widest of the columns that may; numbers are never
 * cut. */
#ifndef GA_CTL_TABLE_H
#define GA_CTL_TABLE_H

#include <stddef.h>
#include <stdio.h>

enum ga_table_align {
    GA_TABLE_LEFT,
    GA_TABLE_RIGHT,
};

struct ga_table_column {
    const char *title; /* NULL in every column: no header line */
    enum ga_table_align align;
    size_t min_columns; /* may be cut down to this many; 0 = is never cut */
};

struct ga_table;

/* A table without rows. columns must outlive it. NULL when there is no memory. */
struct ga_table *ga_table_new(const struct ga_table_column *columns, size_t ncolumns);
void ga_table_free(struct ga_table *table); /* NULL is allowed */

/* Add the next cell, as printf; what cannot be printed is shown as \xNN. Being out of memory is
 * remembered, so that only ga_table_print need be checked. Does nothing where table is NULL. */
void ga_table_cell(struct ga_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The common cells: a number, and a size as people read it. */
void ga_table_number(struct ga_table *table, unsigned long long number);
void ga_table_size(struct ga_table *table, unsigned long long bytes);

/* Print header and rows to out, in at most width columns if that can be; width 0 = no limit. The
 * last row must be complete. Returns 0; -ENOMEM where a cell is missing, or table is NULL. */
int ga_table_print(const struct ga_table *table, FILE *out, size_t width);

/* The width to print to out with: the terminal's, or 0 where out is none. */
size_t ga_table_width_of(FILE *out);

#endif
