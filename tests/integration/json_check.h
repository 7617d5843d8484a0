/* Whether a text is one JSON document (RFC 8259), and numbers out of it: for tests of programs that
 * print JSON. */
#ifndef GA_TESTS_JSON_CHECK_H
#define GA_TESTS_JSON_CHECK_H

#include <stdbool.h>
#include <stdint.h>

bool ga_json_is_valid(const char *text);

/* The number after the first "key": in text, UINT64_MAX where there is none. */
uint64_t ga_json_number_of(const char *text, const char *key);

/* How often "key": is in text. */
unsigned ga_json_count(const char *text, const char *key);

#endif
