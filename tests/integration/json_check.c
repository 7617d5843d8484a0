/* A recursive descent over the grammar that builds nothing. Each function returns what follows what
 * it has read, or NULL where that is malformed. */
#include "integration/json_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *value(const char *p);

static const char *blanks(const char *p)
{
    return p ? p + strspn(p, " \t\r\n") : NULL;
}

static const char *literal(const char *p, const char *word)
{
    return strncmp(p, word, strlen(word)) == 0 ? p + strlen(word) : NULL;
}

static const char *string(const char *p)
{
    if (*p++ != '"')
        return NULL;
    while (*p != '"') {
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p++ != '\\')
            continue;
        if (*p == 'u' && strspn(p + 1, "0123456789abcdefABCDEF") >= 4)
            p += 5;
        else if (*p != '\0' && strchr("\"\\/bfnrt", *p))
            p++;
        else
            return NULL;
    }
    return p + 1;
}

static const char *digits(const char *p)
{
    size_t n = strspn(p, "0123456789");
    return n > 0 ? p + n : NULL;
}

static const char *number(const char *p)
{
    p += *p == '-';
    p = *p == '0' ? p + 1 : digits(p);
    if (p && *p == '.')
        p = digits(p + 1);
    if (p && (*p == 'e' || *p == 'E')) {
        p++;
        p = digits(p + (*p == '+' || *p == '-'));
    }
    return p;
}

static const char *member(const char *p, bool is_object)
{
    if (is_object) {
        p = blanks(string(p));
        if (!p || *p != ':')
            return NULL;
        p = blanks(p + 1);
    }
    return blanks(value(p));
}

static const char *members(const char *p, bool is_object)
{
    char end = is_object ? '}' : ']';
    p = blanks(p + 1);
    if (*p == end)
        return p + 1;
    for (;;) {
        p = member(p, is_object);
        if (!p)
            return NULL;
        if (*p == end)
            return p + 1;
        if (*p != ',')
            return NULL;
        p = blanks(p + 1);
    }
}

static const char *value(const char *p)
{
    switch (*p) {
    case '{':
        return members(p, true);
    case '[':
        return members(p, false);
    case '"':
        return string(p);
    case 't':
        return literal(p, "true");
    case 'f':
        return literal(p, "false");
    case 'n':
        return literal(p, "null");
    default:
        return number(p);
    }
}

bool ga_json_is_valid(const char *text)
{
    const char *end = blanks(value(blanks(text)));
    return end && *end == '\0';
}

static const char *find(const char *text, const char *key)
{
    char quoted[64];
    snprintf(quoted, sizeof(quoted), "\"%s\": ", key);
    const char *found = strstr(text, quoted);
    return found ? found + strlen(quoted) : NULL;
}

uint64_t ga_json_number_of(const char *text, const char *key)
{
    const char *found = find(text, key);
    return found && digits(found) ? strtoull(found, NULL, 10) : UINT64_MAX;
}

unsigned ga_json_count(const char *text, const char *key)
{
    unsigned count = 0;
    while ((text = find(text, key)))
        count++;
    return count;
}
