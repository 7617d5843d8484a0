/* Protobuf's wire format, as much of it as is needed: a number is a varint, seven bits a byte, the
 * lowest first; a string or a message its length and its bytes. In front of each is its field's
 * number with its kind. A number that is 0 and an empty string are left out. */
#include "proto/announce.h"

#include <string.h>

#include "proto/frame.h"
#include "proto/text.h"
#include "proto/version.h"

enum { KIND_VARINT = 0, KIND_BYTES = 2 };

/* Field numbers of goalloc.proto. */
enum {
    ENVELOPE_ID = 1,
    ENVELOPE_HELLO = 10,
    ENVELOPE_PROGRAM = 97,
    HELLO_MIN_VERSION = 1,
    HELLO_MAX_VERSION = 2,
    HELLO_CLIENT_NAME = 3,
    PROGRAM_LAYOUT_VERSION = 1,
    PROGRAM_META_ADDRESS = 2,
    PROGRAM_BITS_ADDRESS = 3,
};

/* A message of at most 127 bytes, whose length is one. */
struct message {
    uint8_t bytes[GA_ANNOUNCE_BYTES / 2];
    size_t count;
};

static void put_varint(struct message *message, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        message->bytes[message->count++] = (uint8_t)(value | 0x80);
    message->bytes[message->count++] = (uint8_t)value;
}

static void put_number(struct message *message, uint32_t field, uint64_t value)
{
    if (value == 0)
        return;
    put_varint(message, field << 3 | KIND_VARINT);
    put_varint(message, value);
}

static void put_bytes(struct message *message, uint32_t field, const void *bytes, size_t count)
{
    put_varint(message, field << 3 | KIND_BYTES);
    put_varint(message, count);
    memcpy(&message->bytes[message->count], bytes, count);
    message->count += count;
}

static size_t put_frame(uint8_t *at, const struct message *envelope)
{
    ga_frame_put_header(at, envelope->count);
    memcpy(at + GA_FRAME_HEADER_BYTES, envelope->bytes, envelope->count);
    return GA_FRAME_HEADER_BYTES + envelope->count;
}

static size_t put_hello(uint8_t *at, const char *program)
{
    struct message hello = {.count = 0};
    struct message envelope = {.count = 0};
    char name[GA_ANNOUNCE_NAME_MAX + 1];
    size_t length = strnlen(program, GA_ANNOUNCE_NAME_MAX);
    memcpy(name, program, length);
    name[length] = '\0';
    ga_text_clean(name);
    put_number(&hello, HELLO_MIN_VERSION, GA_PROTOCOL_VERSION_MIN);
    put_number(&hello, HELLO_MAX_VERSION, GA_PROTOCOL_VERSION_MAX);
    if (length > 0)
        put_bytes(&hello, HELLO_CLIENT_NAME, name, length);
    put_number(&envelope, ENVELOPE_ID, 1);
    put_bytes(&envelope, ENVELOPE_HELLO, hello.bytes, hello.count);
    return put_frame(at, &envelope);
}

static size_t put_program(uint8_t *at, const struct ga_announcement *announcement)
{
    struct message program = {.count = 0};
    struct message envelope = {.count = 0};
    put_number(&program, PROGRAM_LAYOUT_VERSION, announcement->layout_version);
    put_number(&program, PROGRAM_META_ADDRESS, announcement->meta_address);
    put_number(&program, PROGRAM_BITS_ADDRESS, announcement->bits_address);
    put_bytes(&envelope, ENVELOPE_PROGRAM, program.bytes, program.count);
    return put_frame(at, &envelope);
}

size_t ga_announce_encode(const struct ga_announcement *announcement,
                          uint8_t ret_frames[static GA_ANNOUNCE_BYTES])
{
    size_t bytes = put_hello(ret_frames, announcement->name);
    return bytes + put_program(ret_frames + bytes, announcement);
}
