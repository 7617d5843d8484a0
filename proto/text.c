/* The strings in messages: what is text, and making it so. */
#include "proto/text.h"

#include <string.h>

#define CONTINUATION_MASK 0xc0
#define CONTINUATION_MARK 0x80

/* The bytes of the UTF-8 sequence that text begins with; 0 if it begins with none. */
static size_t sequence_bytes(const uint8_t *text, size_t nbytes)
{
    /* Where the second byte is limited: by shortest forms (e0, f0), by surrogates (ed) and by the
     * last code point (f4). */
    uint8_t lead = text[0], second_min = 0x80, second_max = 0xbf;
    size_t length;
    if (lead < 0x80)
        return lead == 0 ? 0 : 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        length = 2;
    else if (lead >= 0xe0 && lead <= 0xef)
        length = 3;
    else if (lead >= 0xf0 && lead <= 0xf4)
        length = 4;
    else
        return 0;
    if (nbytes < length)
        return 0;
    if (lead == 0xe0)
        second_min = 0xa0;
    else if (lead == 0xed)
        second_max = 0x9f;
    else if (lead == 0xf0)
        second_min = 0x90;
    else if (lead == 0xf4)
        second_max = 0x8f;
    if (text[1] < second_min || text[1] > second_max)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((text[i] & CONTINUATION_MASK) != CONTINUATION_MARK)
            return 0;
    return length;
}

bool ga_text_is_valid(const uint8_t *text, size_t nbytes)
{
    while (nbytes > 0) {
        size_t length = sequence_bytes(text, nbytes);
        if (length == 0)
            return false;
        text += length;
        nbytes -= length;
    }
    return true;
}

void ga_text_clean(char *text)
{
    uint8_t *at = (uint8_t *)text;
    while (*at) {
        size_t length = sequence_bytes(at, SIZE_MAX); /* the 0 at the end is in no sequence */
        if (length == 0) {
            *at = '?';
            length = 1;
        }
        at += length;
    }
}
