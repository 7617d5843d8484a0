/* Frames: how a stream of bytes is cut into messages. A frame is the length of its payload, four
 * bytes, little-endian, and then the payload, 1 to GA_FRAME_MAX_BYTES. A reader collects incoming
 * bytes in a buffer of its caller and gives out whole frames; it reads no socket itself. */
#ifndef GA_PROTO_FRAME_H
#define GA_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define GA_FRAME_HEADER_BYTES 4u
#define GA_FRAME_MAX_BYTES    65536u /* of a payload */
#define GA_FRAME_BUFFER_BYTES (GA_FRAME_HEADER_BYTES + GA_FRAME_MAX_BYTES)

/* Not thread-safe: one stream, one thread at a time. The fields are frame.c's. */
struct ga_frame_reader {
    uint8_t *buffer;
    size_t start; /* of the bytes not yet given out */
    size_t end;
};

/* Write the header for a payload of payload_bytes (1..GA_FRAME_MAX_BYTES). */
void ga_frame_put_header(uint8_t header[static GA_FRAME_HEADER_BYTES], size_t payload_bytes);

/* Begin a stream. buffer has GA_FRAME_BUFFER_BYTES and must live as long as the reader. */
void ga_frame_reader_init(struct ga_frame_reader *r, uint8_t *buffer);

/* Where to put incoming bytes, and in *ret_bytes how many there is room for: at least one, unless a
 * whole frame is waiting (or the stream has failed) and ga_frame_reader_next should have been
 * called first. Payloads given out before are no longer valid. */
uint8_t *ga_frame_reader_space(struct ga_frame_reader *r, size_t *ret_bytes);

/* Say that nbytes, at most what ga_frame_reader_space allowed, were put there. */
void ga_frame_reader_filled(struct ga_frame_reader *r, size_t nbytes);

/* Take the next frame. Returns 1 and its payload, which lies in the buffer and is valid until the
 * next ga_frame_reader_space; 0 when more bytes are needed; -EMSGSIZE for a length over the limit,
 * -EBADMSG for a length of 0. After an error nobody knows where the next frame begins, so it is
 * final: each further call returns it again. */
int ga_frame_reader_next(struct ga_frame_reader *r, const uint8_t **ret_payload,
                         size_t *ret_payload_bytes);

#endif
