/* Events: each kind has a name of its own, its fields, a sentence, and a line of JSON. */
#include "proto/event.h"

#include <errno.h>
#include <string.h>

#include "proto/text.h"
#include "support/cunit_main.h"

static Goalloc__V1__Event make(enum ga_event_kind kind)
{
    Goalloc__V1__Event event = GOALLOC__V1__EVENT__INIT;
    event.kind = kind;
    event.client = 3;
    event.pid = 12;
    event.uid = 1000;
    event.name = "redis";
    event.mcache = 7;
    event.span_class = 11;
    event.count = 2;
    event.bytes = 3 << 20;
    event.total_bytes = 2000;
    event.address = 0x550000002010;
    event.duration_ns = 2500000;
    event.cycle = 4;
    event.text = "because";
    return event;
}

static void test_names(void)
{
    for (uint32_t i = 0; i < GA_EVENT_COUNT; i++) {
        enum ga_event_kind kind = GA_EVENT_COUNT;
        CU_ASSERT_EQUAL(ga_event_find(ga_event_name(i), &kind), 0);
        CU_ASSERT_EQUAL(kind, i);
    }
    enum ga_event_kind kind = GA_EVENT_GROW;
    CU_ASSERT_EQUAL(ga_event_find("unknown", &kind), -EINVAL);
    CU_ASSERT_EQUAL(ga_event_find("leas", &kind), -EINVAL);
    CU_ASSERT_EQUAL(kind, GA_EVENT_GROW);
    CU_ASSERT_STRING_EQUAL(ga_event_name(GA_EVENT_COUNT), "unknown");
}

static void expect_sentence(enum ga_event_kind kind, const char *expected)
{
    Goalloc__V1__Event event = make(kind);
    char sentence[GA_EVENT_TEXT_BYTES];
    ga_event_sentence(&event, sentence);
    CU_ASSERT_STRING_EQUAL(sentence, expected);
}

static void test_sentences(void)
{
    expect_sentence(GA_EVENT_ATTACH, "process 12 (redis), client 3, attaches, for user 1000");
    expect_sentence(GA_EVENT_DEATH, "process 12 (redis), client 3, has ended");
    expect_sentence(GA_EVENT_LEASE, "process 12 (redis), client 3, leases 2 spans of class 5, "
                                    "noscan, 3.0 MiB, for mcache 7");
    expect_sentence(GA_EVENT_RETURN, "process 12 (redis), client 3, returns 2 spans of mcache 7");
    expect_sentence(GA_EVENT_GROW, "the heap grows by 3.0 MiB to 2000 B");
    expect_sentence(GA_EVENT_COLLECT_END,
                    "collection 4 has freed 2 objects, 3.0 MiB, marked in 2.5 ms");
    expect_sentence(GA_EVENT_BAD_FREE, "process 12 (redis), client 3, because (and 1 more)");
    expect_sentence(GA_EVENT_REFUSAL, "process 12 of user 1000, client 3, is refused: because");
    expect_sentence(GA_EVENT_QUARANTINE,
                    "process 12 of user 1000, client 3, is in quarantine: because");
    expect_sentence(GA_EVENT_COUNT, "event 14, which this version does not know");

    Goalloc__V1__Event event = make(GA_EVENT_LEASE);
    char sentence[GA_EVENT_TEXT_BYTES];
    event.span_class = 0;
    ga_event_sentence(&event, sentence);
    CU_ASSERT_STRING_EQUAL(sentence,
                           "process 12 (redis), client 3, leases a large span, 3.0 MiB, for mcache "
                           "7");
}

/* A text that is too long is cut, between two characters. */
static void test_long_text(void)
{
    char text[1001];
    for (size_t i = 0; i < 500; i++)
        memcpy(text + 2 * i, "\xc3\xa4", 2);
    text[1000] = '\0';
    Goalloc__V1__Event event = make(GA_EVENT_REFUSAL);
    event.text = text;
    for (uint32_t pid = 1; pid < 100; pid += 50) { /* of one digit, and of two */
        event.pid = pid;
        char sentence[GA_EVENT_TEXT_BYTES];
        ga_event_sentence(&event, sentence);
        CU_ASSERT_EQUAL(strlen(sentence), GA_EVENT_TEXT_BYTES - 1);
        CU_ASSERT(ga_text_is_valid((const uint8_t *)sentence, strlen(sentence)));
    }
}

static void test_fields(void)
{
    for (uint32_t i = 0; i < GA_EVENT_COUNT; i++) {
        Goalloc__V1__Event event = make((enum ga_event_kind)i);
        struct ga_event_field fields[GA_EVENT_FIELDS_MAX + 1];
        ga_event_fields(&event, fields);
        CU_ASSERT_PTR_NOT_NULL(fields[0].name);
    }
    Goalloc__V1__Event event = make(GA_EVENT_SCAVENGE);
    struct ga_event_field fields[GA_EVENT_FIELDS_MAX + 1];
    ga_event_fields(&event, fields);
    CU_ASSERT_STRING_EQUAL(fields[0].name, "bytes");
    CU_ASSERT_EQUAL(fields[0].number, 3 << 20);
    CU_ASSERT_STRING_EQUAL(fields[1].name, "total_bytes");
    CU_ASSERT_EQUAL(fields[1].number, 2000);
    CU_ASSERT_PTR_NULL(fields[2].name);
    event.kind = GA_EVENT_COUNT;
    ga_event_fields(&event, fields);
    CU_ASSERT_PTR_NULL(fields[0].name);
}

static void test_json(void)
{
    char text[GA_EVENT_JSON_BYTES];
    struct ga_json_line line;
    Goalloc__V1__Event event = make(GA_EVENT_BAD_FREE);
    event.name = "a \"b\"";
    ga_json_line_begin(&line, text, sizeof(text));
    ga_event_add_to_json(&event, &line);
    ga_json_line_end(&line);
    CU_ASSERT_STRING_EQUAL(text, "{\"event\": \"bad-free\", \"client\": 3, \"pid\": 12, "
                                 "\"name\": \"a \\\"b\\\"\", \"count\": 2, "
                                 "\"address\": \"0x550000002010\", \"text\": \"because\"}\n");
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"names", test_names},   {"sentences", test_sentences}, {"a long text", test_long_text},
        {"fields", test_fields}, {"as JSON", test_json},
    };
    return ga_test_main("proto.event", tests, sizeof tests / sizeof tests[0]);
}
