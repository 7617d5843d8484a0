/* The strings in messages. They are checked in the encoded form, where a string still has its
 * length: one walk over the fields, into the messages inside. As a message of ours never contains
 * one of its own type, the types bound the depth of the recursion. */
#include "proto/text.h"

#include <string.h>

enum {
    WIRE_VARINT = 0,
    WIRE_64BIT = 1,
    WIRE_BYTES = 2,
    WIRE_32BIT = 5,
};

#define WIRE_TYPE_BITS    3
#define VARINT_MAX_BYTES  10
#define VARINT_BYTE_BITS  7
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
    for (size_t left = strlen(text); left > 0;) {
        size_t length = sequence_bytes(at, left);
        if (length == 0) {
            *at = '?';
            length = 1;
        }
        at += length;
        left -= length;
    }
}

/* What is left of a message. */
struct cursor {
    const uint8_t *at;
    size_t left;
};

static bool take_bytes(struct cursor *c, uint64_t nbytes)
{
    if (nbytes > c->left)
        return false;
    c->at += nbytes;
    c->left -= (size_t)nbytes;
    return true;
}

static bool take_varint(struct cursor *c, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < VARINT_MAX_BYTES && i < c->left; i++) {
        value |= (uint64_t)(c->at[i] & 0x7f) << (VARINT_BYTE_BITS * i);
        if (c->at[i] & 0x80)
            continue;
        *ret_value = value;
        return take_bytes(c, i + 1);
    }
    return false;
}

static bool check_bytes(const ProtobufCFieldDescriptor *field, const uint8_t *bytes, size_t nbytes)
{
    if (field && field->type == PROTOBUF_C_TYPE_STRING)
        return ga_text_is_valid(bytes, nbytes);
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
        return ga_text_check_message(field->descriptor, bytes, nbytes);
    return true;
}

static bool check_field(const ProtobufCMessageDescriptor *type, struct cursor *c)
{
    uint64_t tag, value;
    /* Nobody has the field number 0; protobuf-c refuses it too, but not in a long spelling. */
    if (!take_varint(c, &tag) || tag > UINT32_MAX || tag >> WIRE_TYPE_BITS == 0)
        return false;
    switch (tag & ((1u << WIRE_TYPE_BITS) - 1)) {
    case WIRE_VARINT:
        return take_varint(c, &value);
    case WIRE_64BIT:
        return take_bytes(c, 8);
    case WIRE_32BIT:
        return take_bytes(c, 4);
    case WIRE_BYTES:
        if (!take_varint(c, &value))
            return false;
        const uint8_t *bytes = c->at;
        return take_bytes(c, value) && check_bytes(protobuf_c_message_descriptor_get_field(
                                                       type, (unsigned)(tag >> WIRE_TYPE_BITS)),
                                                   bytes, (size_t)value);
    default:
        return false;
    }
}

bool ga_text_check_message(const ProtobufCMessageDescriptor *type, const uint8_t *payload,
                           size_t payload_bytes)
{
    struct cursor c = {payload, payload_bytes};
    while (c.left > 0)
        if (!check_field(type, &c))
            return false;
    return true;
}
