/* The strings in messages: what is UTF-8, and the walk that finds them in an encoded message. */
#include "proto/text.h"

#include <string.h>

#include "proto-generated/goalloc.pb-c.h"
#include "support/cunit_main.h"

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static void test_valid(void)
{
    CU_ASSERT(ga_text_is_valid(BYTES("")));
    CU_ASSERT(ga_text_is_valid(BYTES("plain /name-1\x7f")));
    CU_ASSERT(ga_text_is_valid(BYTES("\xc2\x80 \xdf\xbf")));
    CU_ASSERT(ga_text_is_valid(BYTES("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf")));
    CU_ASSERT(ga_text_is_valid(BYTES("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf")));
}

static void test_invalid(void)
{
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("a\0b")));
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\0")));
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\x80")));
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\xc0\x80")));         /* overlong */
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\xc1\xbf")));         /* overlong */
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\xe0\x9f\xbf")));     /* overlong */
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\xf0\x8f\xbf\xbf"))); /* overlong */
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\xed\xa0\x80")));     /* surrogate */
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\xf4\x90\x80\x80"))); /* beyond the last */
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\xf5\x80\x80\x80")));
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\xff")));
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("ok \xc3")));         /* cut short */
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("ok \xe2\x82")));     /* cut short */
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("ok \xf0\x9f\x98"))); /* cut short */
    /* Cut short with nothing behind, so that a sanitizer sees a look beyond the end. */
    static const uint8_t two[] = {0xc3}, three[] = {0xe2, 0x82}, four[] = {0xf0, 0x9f, 0x98};
    CU_ASSERT_FALSE(ga_text_is_valid(two, sizeof two));
    CU_ASSERT_FALSE(ga_text_is_valid(three, sizeof three));
    CU_ASSERT_FALSE(ga_text_is_valid(four, sizeof four));
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\xc3 x")));
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\xe2\x82 x")));
    CU_ASSERT_FALSE(ga_text_is_valid(BYTES("\xf0\x9f\x98 x")));
}

static void check_cleaned(const char *before, const char *after)
{
    char text[32];
    CU_ASSERT_FATAL(strlen(before) < sizeof text);
    strcpy(text, before);
    ga_text_clean(text);
    CU_ASSERT_STRING_EQUAL(text, after);
    CU_ASSERT(ga_text_is_valid((const uint8_t *)text, strlen(text)));
}

static void test_clean(void)
{
    check_cleaned("", "");
    check_cleaned("name \xe2\x82\xac", "name \xe2\x82\xac");
    check_cleaned("caf\xe9!", "caf?!");
    check_cleaned("cut \xe2\x82", "cut ??");
    check_cleaned("\xff\xc3\xa4\x80", "?\xc3\xa4?");
}

#define CHECK(literal) ga_text_check_message(&goalloc__v1__envelope__descriptor, BYTES(literal))

/* Messages written by hand: 0x52 is field 10 (Hello), 0x1a its field 3 (client_name). */
static void test_walk(void)
{
    CU_ASSERT(CHECK(""));
    CU_ASSERT(CHECK("\x08\x01\x52\x04\x1a\x02hi"));
    CU_ASSERT_FALSE(CHECK("\x08\x01\x52\x04\x1a\x02h\0"));
    CU_ASSERT_FALSE(CHECK("\x08\x01\x52\x04\x1a\x02h\xff"));
    /* In a list, one message deeper: field 52 (RootList), 1 (roots), 1 (name). */
    CU_ASSERT(CHECK("\xa2\x03\x05\x0a\x03\x0a\x01n"));
    CU_ASSERT_FALSE(CHECK("\xa2\x03\x05\x0a\x03\x0a\x01\xff"));
    /* What is not known is skipped, of each wire type. */
    CU_ASSERT(CHECK("\x9a\x06\x01\xff"));
    CU_ASSERT(CHECK("\x98\x06\x7f\x99\x06"
                    "12345678\x9d\x06"
                    "1234"));
    /* A message cut short, and lengths that reach outside: of the payload, of the message around.
     */
    CU_ASSERT_FALSE(CHECK("\x08"));
    CU_ASSERT_FALSE(CHECK("\x9d\x06"
                          "123"));
    CU_ASSERT_FALSE(CHECK("\x99\x06"
                          "1234567"));
    CU_ASSERT_FALSE(CHECK("\x52"));
    CU_ASSERT_FALSE(CHECK("\x52\x05\x1a\x02hi"));
    CU_ASSERT_FALSE(CHECK("\x52\x04\x1a\x03hi!"));
    CU_ASSERT_FALSE(CHECK("\x52\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hi"));
    /* Groups, and a number that does not end. */
    CU_ASSERT_FALSE(CHECK("\x0b\x0c"));
    CU_ASSERT_FALSE(CHECK("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"));
    CU_ASSERT_FALSE(CHECK("\x80\x80\x80\x80\x80\x01\x01"));
    /* The field number 0, as short as can be and longer. */
    CU_ASSERT_FALSE(CHECK("\x02\x01x"));
    CU_ASSERT_FALSE(CHECK("\x82\x00\x01x"));
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"valid UTF-8", test_valid},
        {"invalid UTF-8", test_invalid},
        {"cleaning", test_clean},
        {"strings in a message", test_walk},
    };
    return ga_test_main("proto.text", tests, sizeof tests / sizeof tests[0]);
}
