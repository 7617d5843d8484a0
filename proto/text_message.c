/* The strings of a message are checked in the encoded form, where a string still has its length:
 * one walk over the fields, into the messages inside. As a message of ours never contains one of
 * its own type, the types bound the depth of the recursion. */
#include "proto/text.h"

enum {
    WIRE_VARINT = 0,
    WIRE_64BIT = 1,
    WIRE_BYTES = 2,
    WIRE_32BIT = 5,
};

#define WIRE_TYPE_BITS   3
#define VARINT_MAX_BYTES 10
#define VARINT_BYTE_BITS 7

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
