/* Messages: every kind of body there and back, made from its description so that a new one is
 * tested without a change here; then what a peer may send that is no message, or a costly one. */
#include "proto/message.h"

#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "support/cunit_main.h"

#define LIST_ENTRIES  3
#define POOL_BYTES    (1u << 22)
#define RANDOM_ROUNDS 100000
#define FIRST_BODY    10u

static alignas(16) uint8_t arena_memory[GA_DECODE_ARENA_BYTES];
static struct ga_decode_arena arena;
static uint8_t frame[GA_FRAME_BUFFER_BYTES];
static uint64_t random_state;

/* Memory for messages that tests make. */
static alignas(16) uint8_t pool[POOL_BYTES];
static size_t pool_used;

static void *pool_take(size_t nbytes)
{
    void *memory = pool + pool_used;
    pool_used += (nbytes + 15) / 16 * 16;
    CU_ASSERT_FATAL(pool_used <= POOL_BYTES);
    memset(memory, 0, nbytes);
    return memory;
}

static void start(void)
{
    pool_used = 0;
    ga_decode_arena_init(&arena, arena_memory, sizeof arena_memory);
}

static uint64_t random_below(uint64_t limit)
{
    return ga_test_random(&random_state) % limit;
}

/* A number of any length, often 0. */
static uint64_t random_number(void)
{
    return ga_test_random(&random_state) >> random_below(64) >> random_below(2);
}

static char *random_text(void)
{
    static const char *const pieces[] = {
        "a", "/", "7", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    size_t npieces = random_below(20);
    char *text = pool_take(4 * npieces + 1);
    for (size_t i = 0; i < npieces; i++)
        strcat(text, pieces[random_below(6)]);
    return text;
}

static ProtobufCBinaryData random_bytes(void)
{
    ProtobufCBinaryData bytes = {.len = random_below(40)};
    bytes.data = bytes.len ? pool_take(bytes.len) : NULL;
    for (size_t i = 0; i < bytes.len; i++)
        bytes.data[i] = (uint8_t)random_number();
    return bytes;
}

static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *type);

static void random_value(const ProtobufCFieldDescriptor *field, void *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_UINT32:
        *(uint32_t *)member = (uint32_t)random_number();
        break;
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)member = random_number();
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)member = (protobuf_c_boolean)random_below(2);
        break;
    case PROTOBUF_C_TYPE_STRING:
        *(char **)member = random_text();
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)member = random_bytes();
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)member = random_message(field->descriptor);
        break;
    default:
        CU_FAIL_FATAL("a field of a type this test does not know");
    }
}

static size_t value_bytes(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_UINT32:
        return sizeof(uint32_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    default:
        return sizeof(uint64_t); /* also of a pointer */
    }
}

static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message = pool_take(type->sizeof_message);
    protobuf_c_message_init(type, message);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        uint8_t *member = (uint8_t *)message + field->offset;
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            random_value(field, member);
            continue;
        }
        uint8_t *array = pool_take(LIST_ENTRIES * value_bytes(field));
        for (size_t k = 0; k < LIST_ENTRIES; k++)
            random_value(field, array + k * value_bytes(field));
        *(void **)member = array;
        *(size_t *)((uint8_t *)message + field->quantifier_offset) = LIST_ENTRIES;
    }
    return message;
}

static bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b);

static bool same_bytes(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool same_value(const ProtobufCFieldDescriptor *field, const void *a, const void *b)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BYTES:
        return same_bytes(a, b);
    case PROTOBUF_C_TYPE_STRING:
        return strcmp(*(char *const *)a, *(char *const *)b) == 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return same_message(*(ProtobufCMessage *const *)a, *(ProtobufCMessage *const *)b);
    default:
        return memcmp(a, b, value_bytes(field)) == 0;
    }
}

/* Also where neither is there: a message need not have the one message that it may have. */
static bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    if (!a || !b)
        return a == b;
    const ProtobufCMessageDescriptor *type = a->descriptor;
    bool same = type == b->descriptor;
    for (unsigned i = 0; same && i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const uint8_t *in_a = (const uint8_t *)a + field->offset;
        const uint8_t *in_b = (const uint8_t *)b + field->offset;
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            same = same_value(field, in_a, in_b);
            continue;
        }
        size_t n = *(const size_t *)((const uint8_t *)a + field->quantifier_offset);
        same = n == *(const size_t *)((const uint8_t *)b + field->quantifier_offset);
        for (size_t k = 0; same && k < n; k++)
            same = same_value(field, *(uint8_t *const *)in_a + k * value_bytes(field),
                              *(uint8_t *const *)in_b + k * value_bytes(field));
    }
    return same;
}

/* The next kind of body after previous (0: the first); NULL after the last. */
static const ProtobufCFieldDescriptor *next_body(const ProtobufCFieldDescriptor *previous)
{
    const ProtobufCMessageDescriptor *type = &goalloc__v1__envelope__descriptor;
    const ProtobufCFieldDescriptor *field = previous ? previous + 1 : type->fields;
    while (field < type->fields + type->n_fields && field->id < FIRST_BODY)
        field++;
    return field < type->fields + type->n_fields ? field : NULL;
}

static Goalloc__V1__Envelope random_envelope(const ProtobufCFieldDescriptor *body)
{
    Goalloc__V1__Envelope envelope = GOALLOC__V1__ENVELOPE__INIT;
    envelope.id = random_number();
    envelope.first_id = random_number();
    envelope.body_case = (Goalloc__V1__Envelope__BodyCase)body->id;
    random_value(body, (uint8_t *)&envelope + body->offset);
    return envelope;
}

static int decode(const uint8_t *payload, size_t nbytes, Goalloc__V1__Envelope **ret)
{
    ga_decode_arena_reset(&arena);
    return ga_message_decode(payload, nbytes, &arena, ret);
}

static void test_every_body(void)
{
    start();
    size_t kinds = 0;
    for (const ProtobufCFieldDescriptor *body = next_body(NULL); body; body = next_body(body)) {
        kinds++;
        for (int round = 0; round < 50; round++) {
            pool_used = 0;
            Goalloc__V1__Envelope sent = random_envelope(body), *got = NULL;
            size_t nbytes = 0;
            CU_ASSERT_EQUAL_FATAL(ga_message_encode(&sent, frame, sizeof frame, &nbytes), 0);
            CU_ASSERT_EQUAL(frame[0] + 256u * frame[1], nbytes - GA_FRAME_HEADER_BYTES);
            CU_ASSERT_EQUAL_FATAL(
                decode(frame + GA_FRAME_HEADER_BYTES, nbytes - GA_FRAME_HEADER_BYTES, &got), 0);
            CU_ASSERT_EQUAL(got->id, sent.id);
            CU_ASSERT_EQUAL(got->first_id, sent.first_id);
            CU_ASSERT_EQUAL(got->place, sent.place);
            CU_ASSERT_EQUAL(got->body_case, body->id);
            CU_ASSERT(same_message(&sent.hello->base, &got->hello->base));
        }
    }
    CU_ASSERT_EQUAL(kinds,
                    goalloc__v1__envelope__descriptor.n_fields - 3); /* without ids and place */
}

static void test_capacity(void)
{
    start();
    Goalloc__V1__Publish publish = GOALLOC__V1__PUBLISH__INIT;
    Goalloc__V1__Envelope envelope = GOALLOC__V1__ENVELOPE__INIT;
    size_t nbytes = 77, same;
    envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_PUBLISH;
    CU_ASSERT_EQUAL(ga_message_encode(&envelope, frame, sizeof frame, &nbytes), -EINVAL);
    envelope.publish = &publish;
    publish.name = "name";
    for (size_t capacity = 0; capacity < 12; capacity++)
        CU_ASSERT_EQUAL(ga_message_encode(&envelope, frame, capacity, &nbytes), -EMSGSIZE);
    CU_ASSERT_EQUAL(nbytes, 77);
    CU_ASSERT_EQUAL(ga_message_encode(&envelope, frame, 12, &nbytes), 0);
    CU_ASSERT_EQUAL(nbytes, 12);
    publish.name = "caf\xe9";
    CU_ASSERT_EQUAL(ga_message_encode(&envelope, frame, sizeof frame, &same), -EINVAL);
    envelope.body_case = GOALLOC__V1__ENVELOPE__BODY__NOT_SET;
    CU_ASSERT_EQUAL(ga_message_encode(&envelope, frame, sizeof frame, &same), -EINVAL);
}

/* The largest payload passes, one byte more does not. */
static void test_largest(void)
{
    start();
    static char detail[GA_FRAME_MAX_BYTES];
    Goalloc__V1__Failure failure = GOALLOC__V1__FAILURE__INIT;
    Goalloc__V1__Envelope envelope = GOALLOC__V1__ENVELOPE__INIT, *got;
    envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_FAILURE;
    envelope.failure = &failure;
    failure.detail = detail;
    size_t nbytes, length = GA_FRAME_MAX_BYTES - 9;
    memset(detail, 'x', length);
    CU_ASSERT_EQUAL_FATAL(ga_message_encode(&envelope, frame, sizeof frame, &nbytes), 0);
    CU_ASSERT_EQUAL(nbytes, GA_FRAME_BUFFER_BYTES);
    CU_ASSERT_EQUAL(decode(frame + GA_FRAME_HEADER_BYTES, GA_FRAME_MAX_BYTES, &got), 0);
    CU_ASSERT_EQUAL(decode(frame, GA_FRAME_MAX_BYTES + 1, &got), -EMSGSIZE);
    detail[length] = 'x';
    static uint8_t larger[GA_FRAME_BUFFER_BYTES + 1];
    CU_ASSERT_EQUAL(ga_message_encode(&envelope, larger, sizeof larger, &nbytes), -EMSGSIZE);
}

static void test_malformed(void)
{
    start();
    static const struct {
        const char *bytes;
        size_t nbytes;
    } cases[] = {
        {"", 0},
        {"\x08\x05", 2},                     /* an id and no body */
        {"\xda\x06\x00", 3},                 /* a body not known here */
        {"\x50\x01", 2},                     /* Hello as a number */
        {"\x52\x02\x0d\x01", 4},             /* cut short inside Hello */
        {"\x52\x05\x0d\x01\x00\x00\x00", 7}, /* min_version in four bytes */
        {"\x52\x04\x1a\x02h\x00", 6},        /* a name with a byte 0 */
        {"\x52\x03\x1a\x01\xff", 5},         /* a name that is not UTF-8 */
        {"\x53\x54", 2},                     /* a group */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Goalloc__V1__Envelope *got = NULL;
        CU_ASSERT_EQUAL(decode((const uint8_t *)cases[i].bytes, cases[i].nbytes, &got), -EBADMSG);
        CU_ASSERT_PTR_NULL(got);
        CU_ASSERT_EQUAL(arena.used_bytes, 0);
    }
}

/* Decode nbytes of payload from a place where a read beyond them is seen by a sanitizer, and touch
 * all that comes out. */
static int decode_exactly(const uint8_t *payload, size_t nbytes)
{
    Goalloc__V1__Envelope *got = NULL;
    uint8_t copy[nbytes + 1];
    memcpy(copy, payload, nbytes);
    int r = decode(copy, nbytes, &got);
    CU_ASSERT(r == 0 || r == -EBADMSG || r == -EMSGSIZE);
    CU_ASSERT((r == 0) == (got != NULL));
    if (r == 0)
        CU_ASSERT(same_message(&got->hello->base, &got->hello->base));
    return r;
}

static void test_truncations(void)
{
    start();
    for (const ProtobufCFieldDescriptor *body = next_body(NULL); body; body = next_body(body)) {
        pool_used = 0;
        Goalloc__V1__Envelope sent = random_envelope(body);
        size_t nbytes, refused = 0;
        CU_ASSERT_EQUAL_FATAL(ga_message_encode(&sent, frame, sizeof frame, &nbytes), 0);
        nbytes -= GA_FRAME_HEADER_BYTES;
        for (size_t length = 0; length < nbytes; length++)
            refused += decode_exactly(frame + GA_FRAME_HEADER_BYTES, length) == -EBADMSG;
        /* The body comes last, so without its end there is no message. */
        CU_ASSERT_EQUAL(refused, nbytes);
    }
}

/* Random bytes, and valid messages with a few bytes changed. */
static void test_random_bytes(void)
{
    start();
    size_t accepted = 0;
    const ProtobufCFieldDescriptor *body = NULL;
    for (int round = 0; round < RANDOM_ROUNDS; round++) {
        uint8_t *payload = frame + GA_FRAME_HEADER_BYTES;
        size_t nbytes = 1 + random_below(200);
        if (round % 2 == 0) {
            for (size_t i = 0; i < nbytes; i++)
                payload[i] = (uint8_t)ga_test_random(&random_state);
        } else {
            body = body && next_body(body) ? next_body(body) : next_body(NULL);
            pool_used = 0;
            Goalloc__V1__Envelope sent = random_envelope(body);
            CU_ASSERT_EQUAL_FATAL(ga_message_encode(&sent, frame, sizeof frame, &nbytes), 0);
            nbytes -= GA_FRAME_HEADER_BYTES;
            for (uint64_t i = random_below(4); i < 4; i++)
                payload[random_below(nbytes)] = (uint8_t)ga_test_random(&random_state);
        }
        accepted += decode_exactly(payload, nbytes) == 0;
    }
    CU_ASSERT(accepted > RANDOM_ROUNDS / 100);
}

/* However little memory there is, decoding ends cleanly, and with what it needed it works. */
static void test_every_arena_size(void)
{
    start();
    for (const ProtobufCFieldDescriptor *body = next_body(NULL); body; body = next_body(body)) {
        pool_used = 0;
        Goalloc__V1__Envelope sent = random_envelope(body), *got;
        size_t nbytes, wrong = 0;
        CU_ASSERT_EQUAL_FATAL(ga_message_encode(&sent, frame, sizeof frame, &nbytes), 0);
        nbytes -= GA_FRAME_HEADER_BYTES;
        CU_ASSERT_EQUAL_FATAL(decode(frame + GA_FRAME_HEADER_BYTES, nbytes, &got), 0);
        size_t needed = arena.used_bytes;
        for (size_t size = 0; size < needed; size++) {
            ga_decode_arena_init(&arena, arena_memory, size);
            wrong += ga_message_decode(frame + GA_FRAME_HEADER_BYTES, nbytes, &arena, &got) !=
                         -EMSGSIZE ||
                     arena.used_bytes != 0;
        }
        CU_ASSERT_EQUAL(wrong, 0);
        ga_decode_arena_init(&arena, arena_memory, needed);
        CU_ASSERT_EQUAL(ga_message_decode(frame + GA_FRAME_HEADER_BYTES, nbytes, &arena, &got), 0);
        CU_ASSERT_EQUAL(arena.used_bytes, needed);
        ga_decode_arena_init(&arena, arena_memory, sizeof arena_memory);
    }
}

/* Two messages in one arena; a third that does not fit leaves them alone. */
static void test_arena_is_shared(void)
{
    static const uint8_t hello[] = {0x08, 1, 0x52, 4, 0x1a, 2, 'h', 'i'};
    static const uint8_t other[] = {0x08, 2, 0x52, 4, 0x1a, 2, 'y', 'o'};
    Goalloc__V1__Envelope *first, *second, *third;
    start();
    CU_ASSERT_EQUAL_FATAL(ga_message_decode(hello, sizeof hello, &arena, &first), 0);
    size_t one = arena.used_bytes;
    ga_decode_arena_init(&arena, arena_memory, 3 * one - 1);
    CU_ASSERT_EQUAL_FATAL(ga_message_decode(hello, sizeof hello, &arena, &first), 0);
    CU_ASSERT_EQUAL_FATAL(ga_message_decode(other, sizeof other, &arena, &second), 0);
    CU_ASSERT_EQUAL(ga_message_decode(hello, sizeof hello, &arena, &third), -EMSGSIZE);
    CU_ASSERT_STRING_EQUAL(first->hello->client_name, "hi");
    CU_ASSERT_STRING_EQUAL(second->hello->client_name, "yo");
    CU_ASSERT_EQUAL(arena.used_bytes, 2 * one);
    ga_decode_arena_reset(&arena);
    CU_ASSERT_EQUAL(ga_message_decode(hello, sizeof hello, &arena, &third), 0);
}

/* A payload of the largest size that repeats unit. */
static int decode_repeated(const char *head, size_t head_bytes, const char *unit, size_t unit_bytes)
{
    Goalloc__V1__Envelope *got;
    size_t nbytes = head_bytes;
    memcpy(frame, head, head_bytes);
    for (; nbytes + unit_bytes <= GA_FRAME_MAX_BYTES; nbytes += unit_bytes)
        memcpy(frame + nbytes, unit, unit_bytes);
    return decode(frame, nbytes, &got);
}

static void test_amplification(void)
{
    start();
    /* Fields not known here, each of them empty; behind a body, so that nothing else is wrong. */
    CU_ASSERT_EQUAL(decode_repeated("\xca\x02\x00", 3, "\x7a\x00", 2), -EMSGSIZE);
    CU_ASSERT_EQUAL(decode_repeated("\xca\x02\x00", 3, "\x9a\x06\x00", 3), -EMSGSIZE);
    /* Empty entries of a list: field 50 (SpanList) with 65,530 bytes of them. */
    CU_ASSERT_EQUAL(decode_repeated("\x92\x03\xfa\xff\x03", 5, "\x0a\x00", 2), -EMSGSIZE);
    /* The same body again and again, merged each time. */
    CU_ASSERT_EQUAL(decode_repeated("", 0, "\xea\x02\x03\x0a\x01\x01", 6), -EMSGSIZE);
    /* The same string again and again: each costs an allocation. */
    CU_ASSERT_EQUAL(decode_repeated("\x52\xfc\xff\x03", 4, "\x1a\x00", 2), -EMSGSIZE);
}

static int encode_and_decode(const Goalloc__V1__Envelope *envelope, size_t limit_bytes)
{
    Goalloc__V1__Envelope *got;
    size_t nbytes;
    CU_ASSERT_EQUAL_FATAL(ga_message_encode(envelope, frame, sizeof frame, &nbytes), 0);
    /* The test means to come close to the limit. */
    CU_ASSERT(nbytes > limit_bytes - 16 && nbytes <= limit_bytes + GA_FRAME_HEADER_BYTES);
    int r = decode(frame + GA_FRAME_HEADER_BYTES, nbytes - GA_FRAME_HEADER_BYTES, &got);
    printf("[%zu of %u bytes] ", arena.used_bytes, GA_DECODE_ARENA_BYTES);
    return r;
}

static void *repeat_entry(size_t count, void *entry)
{
    void **entries = pool_take(count * sizeof *entries);
    for (size_t i = 0; i < count; i++)
        entries[i] = entry;
    return entries;
}

/* The dearest lists that keep to the limit have the shortest entries there can be. */
static void test_span_list_fits(void)
{
    start();
    Goalloc__V1__SpanInfo info = GOALLOC__V1__SPAN_INFO__INIT;
    Goalloc__V1__SpanList list = GOALLOC__V1__SPAN_LIST__INIT;
    Goalloc__V1__Envelope envelope = GOALLOC__V1__ENVELOPE__INIT;
    info.page = 1;
    info.npages = 1;
    list.n_spans = (GA_LIST_MAX_BYTES - 5) / 6;
    list.spans = repeat_entry(list.n_spans, &info);
    envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_SPAN_LIST;
    envelope.span_list = &list;
    CU_ASSERT_EQUAL(encode_and_decode(&envelope, GA_LIST_MAX_BYTES), 0);
}

static void test_client_list_fits(void)
{
    start();
    Goalloc__V1__ClientInfo info = GOALLOC__V1__CLIENT_INFO__INIT;
    Goalloc__V1__ClientList list = GOALLOC__V1__CLIENT_LIST__INIT;
    Goalloc__V1__Envelope envelope = GOALLOC__V1__ENVELOPE__INIT;
    info.pid = 1;
    info.name = "n";
    list.n_clients = (GA_LIST_MAX_BYTES - 5) / 7;
    list.clients = repeat_entry(list.n_clients, &info);
    envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_CLIENT_LIST;
    envelope.client_list = &list;
    CU_ASSERT_EQUAL(encode_and_decode(&envelope, GA_LIST_MAX_BYTES), 0);
}

static void test_root_list_fits(void)
{
    start();
    Goalloc__V1__Root root = GOALLOC__V1__ROOT__INIT;
    Goalloc__V1__RootList list = GOALLOC__V1__ROOT_LIST__INIT;
    Goalloc__V1__Envelope envelope = GOALLOC__V1__ENVELOPE__INIT;
    root.name = "n";
    list.n_roots = (GA_LIST_MAX_BYTES - 5) / 5;
    list.roots = repeat_entry(list.n_roots, &root);
    envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_ROOT_LIST;
    envelope.root_list = &list;
    CU_ASSERT_EQUAL(encode_and_decode(&envelope, GA_LIST_MAX_BYTES), 0);
}

/* Page numbers may even fill a frame: they are packed. */
static void test_return_fits(void)
{
    start();
    Goalloc__V1__Return body = GOALLOC__V1__RETURN__INIT;
    Goalloc__V1__Envelope envelope = GOALLOC__V1__ENVELOPE__INIT;
    uint32_t *pages = pool_take(GA_FRAME_MAX_BYTES * sizeof *pages);
    for (size_t i = 0; i < GA_FRAME_MAX_BYTES; i++)
        pages[i] = 1;
    body.pages = pages;
    envelope.body_case = GOALLOC__V1__ENVELOPE__BODY_RETURN_SPANS;
    envelope.return_spans = &body;
    body.n_pages = GA_FRAME_MAX_BYTES - 9;
    CU_ASSERT_EQUAL(encode_and_decode(&envelope, GA_FRAME_MAX_BYTES), 0);
    for (size_t i = 0; i < GA_FRAME_MAX_BYTES; i++)
        pages[i] = UINT32_MAX;
    body.n_pages = GA_RETURN_MAX_PAGES;
    CU_ASSERT_EQUAL(encode_and_decode(&envelope, 5 * GA_RETURN_MAX_PAGES + 8), 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"every body, there and back", test_every_body},
        {"capacity and content when encoding", test_capacity},
        {"the largest message", test_largest},
        {"malformed messages", test_malformed},
        {"messages cut short", test_truncations},
        {"random bytes", test_random_bytes},
        {"arenas of every size", test_every_arena_size},
        {"several messages in an arena", test_arena_is_shared},
        {"costly messages", test_amplification},
        {"the dearest list of spans fits", test_span_list_fits},
        {"the dearest list of clients fits", test_client_list_fits},
        {"the dearest list of roots fits", test_root_list_fits},
        {"the longest Return fits", test_return_fits},
    };
    random_state = ga_test_seed();
    return ga_test_main("proto.message", tests, sizeof tests / sizeof tests[0]);
}
