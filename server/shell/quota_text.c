#include "server/shell/quota_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/shell/size_text.h"

#define PART_BYTES 64

static int read_number(const char *text, uint64_t *ret)
{
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return -EINVAL;
    errno = 0;
    *ret = strtoull(text, NULL, 10);
    return errno == 0 ? 0 : -EINVAL;
}

/* One "kind=amount". seen: the kinds read so far, a bit each. */
static int read_part(char *part, unsigned *seen, struct ga_amounts *amounts)
{
    char *equals = strchr(part, '=');
    if (!equals)
        return -EINVAL;
    *equals = '\0';
    for (int kind = 0; kind < GA_QUOTA_KINDS; kind++) {
        if (strcmp(part, ga_quota_kind_name((enum ga_quota_kind)kind)) != 0)
            continue;
        if (*seen & (1u << kind))
            return -EINVAL;
        *seen |= 1u << kind;
        int r = kind == GA_QUOTA_BYTES ? ga_size_parse(equals + 1, &amounts->of[kind])
                                       : read_number(equals + 1, &amounts->of[kind]);
        return r < 0 ? -EINVAL : 0;
    }
    return -EINVAL;
}

int ga_quota_parse(const char *text, struct ga_amounts *ret)
{
    struct ga_amounts amounts = *ret;
    unsigned seen = 0;
    for (const char *at = text;; at++) {
        char part[PART_BYTES];
        size_t length = strcspn(at, ",");
        if (length >= sizeof(part))
            return -EINVAL;
        snprintf(part, sizeof(part), "%.*s", (int)length, at);
        int r = read_part(part, &seen, &amounts);
        if (r < 0)
            return r;
        at += length;
        if (*at == '\0')
            break;
    }
    *ret = amounts;
    return 0;
}
