/* Lines of JSON: what must be escaped is, and the object is whole wherever the room ends. */
#include "proto/json_line.h"

#include <string.h>

#include "support/cunit_main.h"

static void test_members(void)
{
    char text[256];
    struct ga_json_line line;
    ga_json_line_begin(&line, text, sizeof(text));
    ga_json_line_end(&line);
    CU_ASSERT_STRING_EQUAL(text, "{}\n");

    ga_json_line_begin(&line, text, sizeof(text));
    ga_json_line_number(&line, "n", UINT64_MAX);
    ga_json_line_string(&line, "s", "");
    ga_json_line_address(&line, "a", 0x1f0);
    ga_json_line_time(&line, "t", UINT64_C(951782400) * 1000000 + 42);
    ga_json_line_end(&line);
    CU_ASSERT_STRING_EQUAL(text, "{\"n\": 18446744073709551615, \"s\": \"\", \"a\": \"0x1f0\", "
                                 "\"t\": \"2000-02-29T00:00:00.000042Z\"}\n");
    CU_ASSERT_EQUAL(line.length, strlen(text));
}

static void test_escapes(void)
{
    char text[256];
    struct ga_json_line line;
    ga_json_line_begin(&line, text, sizeof(text));
    ga_json_line_string(&line, "s", "\"\\\n\x7f\xc2\x9b\xc3\xa4\xf0\x9f\x99\x82");
    ga_json_line_end(&line);
    CU_ASSERT_STRING_EQUAL(text,
                           "{\"s\": \"\\\"\\\\\\u000a\\u007f\\u009b\xc3\xa4\xf0\x9f\x99\x82\"}\n");
}

/* In each size of room: the object begins and ends, quotes are closed, and no byte is written
 * behind it. */
static void test_no_room(void)
{
    for (size_t size = 8; size < 80; size++) {
        char text[96];
        memset(text, '#', sizeof(text));
        struct ga_json_line line;
        ga_json_line_begin(&line, text, size);
        ga_json_line_number(&line, "number", 12345678);
        ga_json_line_string(&line, "string", "a\nb\xc3\xa4\"cd");
        ga_json_line_number(&line, "m", 1);
        ga_json_line_end(&line);
        CU_ASSERT(line.length < size);
        CU_ASSERT_EQUAL(text[0], '{');
        CU_ASSERT_STRING_EQUAL(text + line.length - 2, "}\n");
        unsigned nquotes = 0;
        for (size_t i = 0; i < line.length; i++)
            nquotes += text[i] == '"' && text[i - 1] != '\\';
        CU_ASSERT_EQUAL(nquotes % 2, 0);
        CU_ASSERT_PTR_NULL(strstr(text, ", }"));
        for (size_t i = size; i < sizeof(text); i++)
            CU_ASSERT_EQUAL(text[i], '#');
    }
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"members", test_members},
        {"escapes", test_escapes},
        {"no room", test_no_room},
    };
    return ga_test_main("proto.json_line", tests, sizeof tests / sizeof tests[0]);
}
