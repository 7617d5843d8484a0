/* One JSON object on one line, in the caller's memory: for logs and streams, of which each line is
 * read by itself. Where there is no room for a member it is left out, or a string is cut; the
 * object is whole in any case. */
#ifndef GA_PROTO_JSON_LINE_H
#define GA_PROTO_JSON_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ga_json_line {
    char *text;
    size_t size;   /* of text */
    size_t length; /* used of it */
    bool any;      /* has a member */
};

/* Begin an object in text, of at least 8 bytes. */
void ga_json_line_begin(struct ga_json_line *line, char *text, size_t size);
/* Add a member. The string must be UTF-8. */
void ga_json_line_string(struct ga_json_line *line, const char *key, const char *value);
void ga_json_line_number(struct ga_json_line *line, const char *key, uint64_t value);
/* The same, as a string in hexadecimal, since not every reader of JSON can hold an address in a
 * number. */
void ga_json_line_address(struct ga_json_line *line, const char *key, uint64_t value);
/* A time as a string, "2026-11-22T07:36:57.123456Z"; time_us: since 1970. */
void ga_json_line_time(struct ga_json_line *line, const char *key, uint64_t time_us);
/* Close the object. The text is then a string; it ends with a newline. */
void ga_json_line_end(struct ga_json_line *line);

#endif
