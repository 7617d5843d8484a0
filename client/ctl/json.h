/* A writer of one JSON document, as it goes along. The outermost value and the lists in it take one
 * line for each member, so that line tools can be used on it; what is nested deeper stays on one
 * line. Strings must be UTF-8, which those of decoded messages are. */
#ifndef GA_CTL_JSON_H
#define GA_CTL_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define GA_JSON_DEPTH_MAX 8u

struct ga_json {
    FILE *out;
    bool one_line;                      /* set after ga_json_init: the document is one line */
    unsigned depth;                     /* of open objects and lists */
    bool is_object[GA_JSON_DEPTH_MAX];  /* what is open at each depth */
    bool has_member[GA_JSON_DEPTH_MAX]; /* so that the next one needs a comma */
};

/* Begin a document on out. Write errors are left to ferror(out). */
void ga_json_init(struct ga_json *json, FILE *out);

/* Each of the following adds one value: with a key inside an object, with key NULL inside a list
 * and as the document itself. The document ends, with a newline, when its outermost object or list
 * is closed. */
void ga_json_begin_object(struct ga_json *json, const char *key);
void ga_json_begin_list(struct ga_json *json, const char *key);
void ga_json_end(struct ga_json *json); /* closes the innermost object or list */

void ga_json_string(struct ga_json *json, const char *key, const char *text); /* NULL: null */
void ga_json_number(struct ga_json *json, const char *key, uint64_t number);
void ga_json_address(struct ga_json *json, const char *key, uint64_t address); /* "0x..." */
void ga_json_bool(struct ga_json *json, const char *key, bool value);
void ga_json_null(struct ga_json *json, const char *key);

#endif
