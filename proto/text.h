/* The strings in messages. The protocol says that they are UTF-8, and everybody here reads them as
 * C strings, but protobuf-c checks neither: a byte 0 inside would silently cut a name short. */
#ifndef GA_PROTO_TEXT_H
#define GA_PROTO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* Whether nbytes of text are UTF-8 (shortest forms, no surrogates) without a byte 0. */
bool ga_text_is_valid(const uint8_t *text, size_t nbytes);

/* Make the C string text valid in place: each byte that is no part of a UTF-8 sequence becomes a
 * question mark. For names from outside, like a program's, before they are sent. */
void ga_text_clean(char *text);

/* Whether payload is a well-formed message all of whose strings, at any depth, are valid; type says
 * which fields are strings, and fields it does not know are skipped. Thread-safe. */
bool ga_text_check_message(const ProtobufCMessageDescriptor *type, const uint8_t *payload,
                           size_t payload_bytes);

#endif
