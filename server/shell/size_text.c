/* Units are powers of 1024 throughout: what they count are pages. */
#include "server/shell/size_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char units[] = "KMGT";

/* How far a unit shifts, 0 for none; -1 where text is no unit. */
static int unit_shift(const char *text)
{
    if (*text == '\0')
        return 0;
    if (text[1] != '\0')
        return -1;
    char upper = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
    const char *found = strchr(units, upper);
    return found ? 10 * (int)(found - units + 1) : -1;
}

int ga_size_parse(const char *text, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(bytes, UINT64_C(10), &bytes) ||
            __builtin_add_overflow(bytes, (uint64_t)(*p - '0'), &bytes))
            return -ERANGE;
    if (p == text)
        return -EINVAL;
    int shift = unit_shift(p);
    if (shift < 0)
        return -EINVAL;
    if (__builtin_mul_overflow(bytes, UINT64_C(1) << shift, &bytes))
        return -ERANGE;
    *ret_bytes = bytes;
    return 0;
}

const char *ga_size_format(uint64_t bytes, char ret_text[static GA_SIZE_TEXT_BYTES])
{
    size_t unit = 0;
    uint64_t n = bytes;
    while (n > 0 && n % 1024 == 0 && unit < sizeof(units) - 1) {
        n /= 1024;
        unit++;
    }
    if (unit == 0)
        snprintf(ret_text, GA_SIZE_TEXT_BYTES, "%" PRIu64 " bytes", n);
    else
        snprintf(ret_text, GA_SIZE_TEXT_BYTES, "%" PRIu64 " %ciB", n, units[unit - 1]);
    return ret_text;
}
