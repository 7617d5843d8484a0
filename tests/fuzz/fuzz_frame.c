/* A stream that comes in any pieces gives the frames that it has when read as a whole, and the same
 * error. The first byte says how long the pieces are. */
#include <errno.h>

#include "fuzz/fuzz.h"
#include "proto/frame.h"

static uint8_t buffer[GA_FRAME_BUFFER_BYTES];

/* What ga_frame_reader_next should say of a stream that begins with these bytes. */
static int expect(struct fuzz_input stream, size_t *ret_bytes)
{
    if (stream.size < GA_FRAME_HEADER_BYTES)
        return 0;
    *ret_bytes = (size_t)fuzz_take(&stream, GA_FRAME_HEADER_BYTES);
    if (*ret_bytes == 0)
        return -EBADMSG;
    if (*ret_bytes > GA_FRAME_MAX_BYTES)
        return -EMSGSIZE;
    return stream.size >= *ret_bytes;
}

/* Take all frames that have come. unread: what has come and was not taken. */
static int take_frames(struct ga_frame_reader *reader, struct fuzz_input *unread)
{
    for (;;) {
        const uint8_t *payload = NULL;
        size_t bytes = 0;
        size_t expected = 0;
        int r = ga_frame_reader_next(reader, &payload, &bytes);
        FUZZ_CHECK(r == expect(*unread, &expected));
        if (r <= 0)
            return r;
        FUZZ_CHECK(bytes == expected);
        FUZZ_CHECK(memcmp(payload, unread->data + GA_FRAME_HEADER_BYTES, bytes) == 0);
        unread->data += GA_FRAME_HEADER_BYTES + bytes;
        unread->size -= GA_FRAME_HEADER_BYTES + bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    size_t piece = (size_t)fuzz_take(&input, 1) + 1;
    struct fuzz_input unread = {input.data, 0};
    struct ga_frame_reader reader;
    ga_frame_reader_init(&reader, buffer);
    int r = 0;
    while (r == 0 && input.size > 0) {
        size_t room = 0;
        uint8_t *space = ga_frame_reader_space(&reader, &room);
        FUZZ_CHECK(room > 0 && space >= buffer && space + room == buffer + sizeof(buffer));
        size_t n = piece < input.size ? piece : input.size;
        n = n < room ? n : room;
        memcpy(space, input.data, n);
        ga_frame_reader_filled(&reader, n);
        input.data += n;
        input.size -= n;
        unread.size += n;
        r = take_frames(&reader, &unread);
    }
    if (r < 0) /* an error stays */
        FUZZ_CHECK(take_frames(&reader, &unread) == r);
    return 0;
}
