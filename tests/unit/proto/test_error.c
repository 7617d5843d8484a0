/* Errors between processes: the wire values, which may never change, and the sentences. The
 * protocol version is tested here too: it is one function, and one more number both sides must
 * agree on. */
#include "proto/error.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "proto/version.h"
#include "support/cunit_main.h"

/* Written out again: a change of the list must not pass unseen. */
static const struct {
    int err;
    uint32_t wire;
} wire_values[] = {
    {-EIO, 1},      {-EINVAL, 2},      {-ENOMEM, 3},    {-ENOENT, 4},        {-EEXIST, 5},
    {-EACCES, 6},   {-EPERM, 7},       {-EAGAIN, 8},    {-EPROTO, 9},        {-ENAMETOOLONG, 10},
    {-ENOSPC, 11},  {-ETIMEDOUT, 12},  {-ENOTCONN, 13}, {-ECONNREFUSED, 14}, {-EADDRINUSE, 15},
    {-EMFILE, 16},  {-EMSGSIZE, 17},   {-EBADMSG, 18},  {-EBUSY, 19},        {-EDQUOT, 20},
    {-ENOTSUP, 21}, {-ECONNRESET, 22}, {-ENFILE, 23},   {-EOVERFLOW, 24},    {-ESTALE, 25},
    {-ELOOP, 26},   {-ECANCELED, 27},
};
#define COUNT (sizeof wire_values / sizeof wire_values[0])

static void test_wire_values(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL(ga_error_to_wire(wire_values[i].err), wire_values[i].wire);
        CU_ASSERT_EQUAL(ga_error_from_wire(wire_values[i].wire), wire_values[i].err);
    }
}

static void test_unknown_values(void)
{
    CU_ASSERT_EQUAL(ga_error_from_wire(0), -EPROTO);
    CU_ASSERT_EQUAL(ga_error_from_wire(COUNT + 1), -EPROTO);
    CU_ASSERT_EQUAL(ga_error_from_wire(UINT32_MAX), -EPROTO);
    static const int odd[] = {-EXDEV, -9999, 0, EINVAL, INT_MIN, INT_MAX};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        CU_ASSERT_EQUAL(ga_error_to_wire(odd[i]), 1);
}

static void test_texts(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        const char *text = ga_error_text(wire_values[i].err);
        CU_ASSERT(strlen(text) > 10 && text[strlen(text) - 1] == '.' && !strchr(text, '\n'));
        CU_ASSERT_STRING_NOT_EQUAL(text, ga_error_text(-EXDEV));
        for (size_t k = 0; k < i; k++)
            CU_ASSERT_STRING_NOT_EQUAL(text, ga_error_text(wire_values[k].err));
    }
    CU_ASSERT_STRING_EQUAL(ga_error_text(-EINVAL), "An argument is not valid.");
    CU_ASSERT_STRING_EQUAL(ga_error_text(0), "It worked.");
    CU_ASSERT_STRING_EQUAL(ga_error_text(INT_MIN), ga_error_text(-EXDEV));
    CU_ASSERT_STRING_EQUAL(ga_error_text(EINVAL), ga_error_text(-EXDEV));
}

static void test_version(void)
{
    uint32_t version = 77;
    CU_ASSERT_EQUAL(ga_protocol_negotiate(2, 9, &version), -EPROTO);
    CU_ASSERT_EQUAL(ga_protocol_negotiate(0, 0, &version), -EPROTO);
    CU_ASSERT_EQUAL(ga_protocol_negotiate(3, 1, &version), -EPROTO);
    CU_ASSERT_EQUAL(ga_protocol_negotiate(UINT32_MAX, UINT32_MAX, &version), -EPROTO);
    CU_ASSERT_EQUAL(version, 77);
    CU_ASSERT_EQUAL(ga_protocol_negotiate(1, 1, &version), 0);
    CU_ASSERT_EQUAL(version, 1);
    version = 77;
    CU_ASSERT_EQUAL(ga_protocol_negotiate(0, UINT32_MAX, &version), 0);
    CU_ASSERT_EQUAL(version, 1);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"wire values", test_wire_values},
        {"what is not known", test_unknown_values},
        {"sentences", test_texts},
        {"protocol version", test_version},
    };
    return ga_test_main("proto.error", tests, sizeof tests / sizeof tests[0]);
}
