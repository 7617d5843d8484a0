/* What a process with a heap of its own says of itself: the bytes that protobuf-c would write,
 * since a server reads them with it. */
#include "proto/announce.h"

#include <string.h>

#include "proto/message.h"
#include "proto/text.h"
#include "proto/version.h"
#include "support/cunit_main.h"

/* The same two frames as protobuf-c writes them. */
static size_t encode(const struct ga_announcement *announcement, uint8_t *ret_frames)
{
    char name[GA_ANNOUNCE_NAME_MAX + 1] = "";
    strncat(name, announcement->name, GA_ANNOUNCE_NAME_MAX);
    ga_text_clean(name);
    Goalloc__V1__Hello hello = GOALLOC__V1__HELLO__INIT;
    hello.min_version = GA_PROTOCOL_VERSION_MIN;
    hello.max_version = GA_PROTOCOL_VERSION_MAX;
    hello.client_name = name;
    Goalloc__V1__Envelope first = GOALLOC__V1__ENVELOPE__INIT;
    first.id = 1;
    first.body_case = GOALLOC__V1__ENVELOPE__BODY_HELLO;
    first.hello = &hello;
    Goalloc__V1__Program program = GOALLOC__V1__PROGRAM__INIT;
    program.layout_version = announcement->layout_version;
    program.meta_address = announcement->meta_address;
    program.bits_address = announcement->bits_address;
    Goalloc__V1__Envelope second = GOALLOC__V1__ENVELOPE__INIT;
    second.body_case = GOALLOC__V1__ENVELOPE__BODY_PROGRAM;
    second.program = &program;
    size_t bytes = 0;
    size_t more = 0;
    CU_ASSERT_EQUAL_FATAL(ga_message_encode(&first, ret_frames, GA_ANNOUNCE_BYTES, &bytes), 0);
    CU_ASSERT_EQUAL_FATAL(
        ga_message_encode(&second, ret_frames + bytes, GA_ANNOUNCE_BYTES - bytes, &more), 0);
    return bytes + more;
}

static void check(const struct ga_announcement *announcement)
{
    uint8_t expected[GA_ANNOUNCE_BYTES] = {0};
    uint8_t frames[GA_ANNOUNCE_BYTES] = {0};
    size_t expected_bytes = encode(announcement, expected);
    size_t bytes = ga_announce_encode(announcement, frames);
    CU_ASSERT_EQUAL(bytes, expected_bytes);
    CU_ASSERT_EQUAL(memcmp(frames, expected, sizeof(frames)), 0);
}

/* Numbers of every length, the longest included, and none. */
static void test_numbers(void)
{
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t number = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        check(&(struct ga_announcement){.name = "redis-server",
                                        .layout_version = (uint32_t)number,
                                        .meta_address = number,
                                        .bits_address = number + 1});
    }
}

/* None, the longest, longer ones, and what is no text. */
static void test_names(void)
{
    char name[GA_ANNOUNCE_NAME_MAX + 40];
    for (size_t length = 0; length < sizeof(name); length++) {
        memset(name, 'n', length);
        name[length] = '\0';
        check(&(struct ga_announcement){.name = name, .layout_version = 11});
    }
    check(&(struct ga_announcement){.name = "b\xe9ret", .meta_address = 1});
    check(&(struct ga_announcement){.name = "b\xc3\xa9ret", .meta_address = 1});
    /* A sequence of two bytes that the limit cuts in two. */
    memset(name, 'n', GA_ANNOUNCE_NAME_MAX - 1);
    memcpy(&name[GA_ANNOUNCE_NAME_MAX - 1], "\xc3\xa9", sizeof("\xc3\xa9"));
    check(&(struct ga_announcement){.name = name});
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"numbers", test_numbers},
        {"names", test_names},
    };
    return ga_test_main("proto.announce", tests, sizeof tests / sizeof tests[0]);
}
