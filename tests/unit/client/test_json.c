/* JSON documents as they are written, to the letter. */
#include "client/ctl/json.h"

#include <stdlib.h>
#include <string.h>

#include "support/cunit_main.h"

struct document {
    struct ga_json json;
    char *text;
    size_t length;
};

static void begin(struct document *document)
{
    document->text = NULL;
    FILE *out = open_memstream(&document->text, &document->length);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    ga_json_init(&document->json, out);
}

static void check(struct document *document, const char *expected)
{
    CU_ASSERT_EQUAL(document->json.depth, 0);
    fclose(document->json.out);
    CU_ASSERT_STRING_EQUAL(document->text, expected);
    if (strcmp(document->text, expected) != 0)
        printf("\nwritten:\n%s\nexpected:\n%s\n", document->text, expected);
    free(document->text);
}

static void test_values(void)
{
    struct document d;
    begin(&d);
    ga_json_begin_object(&d.json, NULL);
    ga_json_string(&d.json, "name", "main");
    ga_json_string(&d.json, "nobody", NULL);
    ga_json_number(&d.json, "zero", 0);
    ga_json_number(&d.json, "most", UINT64_MAX);
    ga_json_address(&d.json, "base", UINT64_C(0x550000000000));
    ga_json_bool(&d.json, "yes", true);
    ga_json_bool(&d.json, "no", false);
    ga_json_null(&d.json, "nothing");
    ga_json_end(&d.json);
    check(&d, "{\n"
              "  \"name\": \"main\",\n"
              "  \"nobody\": null,\n"
              "  \"zero\": 0,\n"
              "  \"most\": 18446744073709551615,\n"
              "  \"base\": \"0x550000000000\",\n"
              "  \"yes\": true,\n"
              "  \"no\": false,\n"
              "  \"nothing\": null\n"
              "}\n");
}

static void test_nesting(void)
{
    struct document d;
    begin(&d);
    ga_json_begin_object(&d.json, NULL);
    ga_json_begin_list(&d.json, "rows");
    for (unsigned i = 0; i < 2; i++) {
        ga_json_begin_object(&d.json, NULL);
        ga_json_number(&d.json, "a", i);
        ga_json_begin_list(&d.json, "b");
        ga_json_number(&d.json, NULL, 1);
        ga_json_string(&d.json, NULL, "x");
        ga_json_end(&d.json);
        ga_json_end(&d.json);
    }
    ga_json_end(&d.json);
    ga_json_number(&d.json, "after", 3);
    ga_json_end(&d.json);
    check(&d, "{\n"
              "  \"rows\": [\n"
              "    {\"a\": 0, \"b\": [1, \"x\"]},\n"
              "    {\"a\": 1, \"b\": [1, \"x\"]}\n"
              "  ],\n"
              "  \"after\": 3\n"
              "}\n");
}

static void test_empty(void)
{
    struct document d;
    begin(&d);
    ga_json_begin_object(&d.json, NULL);
    ga_json_end(&d.json);
    check(&d, "{}\n");

    begin(&d);
    ga_json_begin_object(&d.json, NULL);
    ga_json_begin_list(&d.json, "rows");
    ga_json_end(&d.json);
    ga_json_end(&d.json);
    check(&d, "{\n"
              "  \"rows\": []\n"
              "}\n");
}

static void check_string(const char *text, const char *expected)
{
    struct document d;
    begin(&d);
    ga_json_string(&d.json, NULL, text);
    check(&d, expected);
}

static void test_strings(void)
{
    check_string("", "\"\"");
    check_string("a\"b\\c/d", "\"a\\\"b\\\\c/d\"");
    check_string("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
    check_string("\x01\x1b[2J\x1f\x7f", "\"\\u0001\\u001b[2J\\u001f\\u007f\"");
    check_string("größe 日本 😀", "\"größe 日本 😀\"");
    /* C1 controls, and what has the same bytes elsewhere. */
    check_string("\xc2\x80 \xc2\x9b \xc2\x9f \xc2\xa0 \xc3\x9b",
                 "\"\\u0080 \\u009b \\u009f \xc2\xa0 \xc3\x9b\"");
}

static void test_keys_are_strings(void)
{
    struct document d;
    begin(&d);
    ga_json_begin_object(&d.json, NULL);
    ga_json_number(&d.json, "a \"key\"", 1);
    ga_json_end(&d.json);
    check(&d, "{\n"
              "  \"a \\\"key\\\"\": 1\n"
              "}\n");
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"every kind of value, one line each", test_values},
        {"lists take a line for each member, what is deeper stays on it", test_nesting},
        {"empty objects and lists", test_empty},
        {"strings are escaped, control characters above all", test_strings},
        {"keys are escaped too", test_keys_are_strings},
    };
    return ga_test_main("client.json", tests, sizeof(tests) / sizeof(tests[0]));
}
