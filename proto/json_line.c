/* Two bytes and the end of the string are kept free for closing the object, and so is the quote
 * that closes a string. */
#include "proto/json_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CLOSING_BYTES 3u /* "}", a newline, 0 */
#define NUMBER_BYTES  24
#define TIME_BYTES    40

static size_t room(const struct ga_json_line *line)
{
    size_t used = line->length + CLOSING_BYTES;
    return used < line->size ? line->size - used : 0;
}

static bool add(struct ga_json_line *line, const char *text, size_t nbytes)
{
    if (nbytes > room(line))
        return false;
    memcpy(line->text + line->length, text, nbytes);
    line->length += nbytes;
    return true;
}

void ga_json_line_begin(struct ga_json_line *line, char *text, size_t size)
{
    *line = (struct ga_json_line){.text = text, .size = size};
    (void)add(line, "{", 1);
}

/* Add "key": and what follows it, or nothing. */
static bool add_member(struct ga_json_line *line, const char *key, const char *value)
{
    size_t before = line->length;
    bool any = line->any;
    bool fits = (!any || add(line, ", ", 2)) && add(line, "\"", 1) && add(line, key, strlen(key)) &&
                add(line, "\": ", 3) && add(line, value, strlen(value));
    if (!fits)
        line->length = before;
    line->any = any || fits;
    return fits;
}

/* How many bytes the character at text has, which is UTF-8. */
static size_t character_bytes(const unsigned char *text)
{
    size_t nbytes = 1;
    while ((text[nbytes] & 0xc0) == 0x80)
        nbytes++;
    return nbytes;
}

/* One character, escaped where JSON wants it, or where it would move a terminal's cursor. */
static bool add_character(struct ga_json_line *line, const unsigned char *text, size_t nbytes)
{
    char escaped[NUMBER_BYTES];
    unsigned char c = text[0];
    if (c == '"' || c == '\\')
        snprintf(escaped, sizeof(escaped), "\\%c", c);
    else if (c < 0x20 || c == 0x7f)
        snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned)c);
    else if (c == 0xc2 && nbytes == 2 && text[1] < 0xa0) /* U+0080 to U+009F */
        snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned)text[1]);
    else
        return room(line) > nbytes && add(line, (const char *)text, nbytes);
    return room(line) > strlen(escaped) && add(line, escaped, strlen(escaped));
}

void ga_json_line_string(struct ga_json_line *line, const char *key, const char *value)
{
    size_t before = line->length;
    bool any = line->any;
    if (!add_member(line, key, "\"") || room(line) == 0) {
        line->length = before;
        line->any = any;
        return;
    }
    const unsigned char *next = (const unsigned char *)value;
    while (*next != '\0') {
        size_t nbytes = character_bytes(next);
        if (!add_character(line, next, nbytes))
            break;
        next += nbytes;
    }
    (void)add(line, "\"", 1);
}

void ga_json_line_number(struct ga_json_line *line, const char *key, uint64_t value)
{
    char text[NUMBER_BYTES];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    (void)add_member(line, key, text);
}

void ga_json_line_address(struct ga_json_line *line, const char *key, uint64_t value)
{
    char text[NUMBER_BYTES];
    snprintf(text, sizeof(text), "\"0x%" PRIx64 "\"", value);
    (void)add_member(line, key, text);
}

void ga_json_line_time(struct ga_json_line *line, const char *key, uint64_t time_us)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm utc = {0};
    char text[TIME_BYTES];
    gmtime_r(&seconds, &utc);
    size_t length = strftime(text, sizeof(text), "\"%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + length, sizeof(text) - length, ".%06uZ\"", (unsigned)(time_us % 1000000));
    (void)add_member(line, key, text);
}

void ga_json_line_end(struct ga_json_line *line)
{
    memcpy(line->text + line->length, "}\n", CLOSING_BYTES);
    line->length += CLOSING_BYTES - 1;
}
