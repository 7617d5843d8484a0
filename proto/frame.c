/* Frames. The reader's buffer has room for exactly one frame of the largest size. Bytes are given
 * out from its front, and what is left moves to the front when room for more is asked for: usually
 * nothing or a part of one frame, as the caller takes all whole frames first. The header's length
 * is checked as soon as it is there, so an over-long frame is refused before any of it is stored.
 */
#include "proto/frame.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void ga_frame_put_header(uint8_t header[static GA_FRAME_HEADER_BYTES], size_t payload_bytes)
{
    assert(payload_bytes > 0 && payload_bytes <= GA_FRAME_MAX_BYTES);
    for (size_t i = 0; i < GA_FRAME_HEADER_BYTES; i++)
        header[i] = (uint8_t)(payload_bytes >> (8 * i));
}

static size_t get_header(const uint8_t *header)
{
    size_t payload_bytes = 0;
    for (size_t i = 0; i < GA_FRAME_HEADER_BYTES; i++)
        payload_bytes |= (size_t)header[i] << (8 * i);
    return payload_bytes;
}

void ga_frame_reader_init(struct ga_frame_reader *r, uint8_t *buffer)
{
    *r = (struct ga_frame_reader){.buffer = buffer};
}

uint8_t *ga_frame_reader_space(struct ga_frame_reader *r, size_t *ret_bytes)
{
    if (r->start > 0) {
        memmove(r->buffer, r->buffer + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    *ret_bytes = GA_FRAME_BUFFER_BYTES - r->end;
    return r->buffer + r->end;
}

void ga_frame_reader_filled(struct ga_frame_reader *r, size_t nbytes)
{
    assert(nbytes <= GA_FRAME_BUFFER_BYTES - r->end);
    r->end += nbytes;
}

int ga_frame_reader_next(struct ga_frame_reader *r, const uint8_t **ret_payload,
                         size_t *ret_payload_bytes)
{
    size_t waiting = r->end - r->start;
    if (waiting < GA_FRAME_HEADER_BYTES)
        return 0;
    size_t payload_bytes = get_header(r->buffer + r->start);
    if (payload_bytes == 0)
        return -EBADMSG;
    if (payload_bytes > GA_FRAME_MAX_BYTES)
        return -EMSGSIZE;
    if (waiting - GA_FRAME_HEADER_BYTES < payload_bytes)
        return 0;
    *ret_payload = r->buffer + r->start + GA_FRAME_HEADER_BYTES;
    *ret_payload_bytes = payload_bytes;
    r->start += GA_FRAME_HEADER_BYTES + payload_bytes;
    return 1;
}
