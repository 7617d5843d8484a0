/* Printable text and its width. All functions walk the text with one step, next_character, which
 * says how many bytes the next character has and how many columns it takes. */
#include "client/ctl/printable.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

struct character {
    size_t bytes;
    size_t columns;
    int printable;
};

/* text must not be empty. A byte that begins no character counts as one that cannot be printed. */
static struct character next_character(const char *text)
{
    mbstate_t state = {0};
    wchar_t wide;
    size_t bytes = mbrtowc(&wide, text, strlen(text), &state);
    if (bytes == 0 || bytes > MB_LEN_MAX)
        return (struct character){.bytes = 1, .columns = 1};
    int columns = wcwidth(wide);
    if (columns < 0)
        return (struct character){.bytes = bytes, .columns = 1};
    return (struct character){.bytes = bytes, .columns = (size_t)columns, .printable = 1};
}

char *ga_printable_copy(const char *text)
{
    char *copy = malloc(4 * strlen(text) + 1);
    if (!copy)
        return NULL;
    char *end = copy;
    while (*text != '\0') {
        struct character c = next_character(text);
        for (size_t i = 0; i < c.bytes; i++) {
            if (c.printable)
                *end++ = text[i];
            else
                end += sprintf(end, "\\x%02x", (unsigned)(uint8_t)text[i]);
        }
        text += c.bytes;
    }
    *end = '\0';
    return copy;
}

size_t ga_printable_columns(const char *text)
{
    size_t columns = 0;
    while (*text != '\0') {
        struct character c = next_character(text);
        columns += c.columns;
        text += c.bytes;
    }
    return columns;
}

size_t ga_printable_fit(const char *text, size_t columns)
{
    size_t bytes = 0;
    while (text[bytes] != '\0') {
        struct character c = next_character(text + bytes);
        if (c.columns > columns)
            break;
        columns -= c.columns;
        bytes += c.bytes;
    }
    return bytes;
}

void ga_printable_pad(char *ret, size_t bytes, const char *text, size_t columns, bool is_left)
{
    int length = (int)ga_printable_fit(text, columns);
    size_t taken = ga_printable_columns(text);
    int blanks = taken < columns ? (int)(columns - taken) : 0;
    snprintf(ret, bytes, "%*s%.*s%*s", is_left ? 0 : blanks, "", length, text, is_left ? blanks : 0,
             "");
}
