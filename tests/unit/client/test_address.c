/* The rule for the server's socket: what is given, then each variable, then the user's own folder.
 */
#include "client/address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cunit_main.h"

static void set(const char *name, const char *value)
{
    CU_ASSERT_EQUAL_FATAL(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void check(const char *given, const char *socket, const char *runtime, const char *expected)
{
    char path[GA_ADDRESS_BYTES] = "untouched";
    set("GOALLOC_SOCKET", socket);
    set("XDG_RUNTIME_DIR", runtime);
    CU_ASSERT_EQUAL(ga_address_resolve(given, path), 0);
    CU_ASSERT_STRING_EQUAL(path, expected);
}

/* The folder in /tmp that is ours. */
static const char *own(void)
{
    static char path[64];
    snprintf(path, sizeof(path), "/tmp/goalloc-%u/goalloc.sock", (unsigned)geteuid());
    return path;
}

static void test_order(void)
{
    check("/a/given", "/a/variable", "/a/runtime", "/a/given");
    check(NULL, "/a/variable", "/a/runtime", "/a/variable");
    check(NULL, NULL, "/a/runtime", "/a/runtime/goalloc.sock");
    check(NULL, NULL, NULL, own());
    check("relative", NULL, NULL, "relative");
}

static void test_what_counts_as_unset(void)
{
    check(NULL, "", "/a/runtime", "/a/runtime/goalloc.sock");
    check(NULL, "", "", own());
    check(NULL, NULL, "not/absolute", own());
}

static void test_default(void)
{
    set("GOALLOC_SOCKET", NULL);
    CU_ASSERT(ga_address_is_default(NULL));
    CU_ASSERT_FALSE(ga_address_is_default("/a/given"));
    set("GOALLOC_SOCKET", "/a/variable");
    CU_ASSERT_FALSE(ga_address_is_default(NULL));
    CU_ASSERT_EQUAL(ga_address_check_folder(NULL, false), 0);
    set("GOALLOC_SOCKET", "");
    CU_ASSERT(ga_address_is_default(NULL));
    set("XDG_RUNTIME_DIR", "/a/runtime");
    CU_ASSERT_EQUAL(ga_address_check_folder(NULL, false), 0);
}

/* Files do for sockets: only what is there and its rights are looked at. */
static void test_the_system_socket(void)
{
    char folder[] = "/tmp/goalloc-address-XXXXXX";
    char own[64];
    char shared[64];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(own, sizeof(own), "%s/own", folder);
    snprintf(shared, sizeof(shared), "%s/shared", folder);
    CU_ASSERT_FALSE(ga_address_prefers_system(own, shared));
    CU_ASSERT_EQUAL(close(open(shared, O_CREAT | O_WRONLY, 0600)), 0);
    CU_ASSERT(ga_address_prefers_system(own, shared));
    CU_ASSERT_EQUAL(chmod(shared, 0400), 0);
    CU_ASSERT_EQUAL(ga_address_prefers_system(own, shared), geteuid() == 0);
    CU_ASSERT_EQUAL(chmod(shared, 0600), 0);
    CU_ASSERT_EQUAL(close(open(own, O_CREAT | O_WRONLY, 0600)), 0);
    CU_ASSERT_FALSE(ga_address_prefers_system(own, shared));
    unlink(own);
    unlink(shared);
    rmdir(folder);
}

static void test_refused(void)
{
    char path[GA_ADDRESS_BYTES] = "untouched";
    char name[GA_ADDRESS_BYTES + 1];
    memset(name, 'x', sizeof(name));
    name[GA_ADDRESS_BYTES] = '\0';
    CU_ASSERT_EQUAL(ga_address_resolve(name, path), -ENAMETOOLONG);
    CU_ASSERT_EQUAL(ga_address_resolve("", path), -EINVAL);

    name[0] = '/';
    set("GOALLOC_SOCKET", name);
    CU_ASSERT_EQUAL(ga_address_resolve(NULL, path), -ENAMETOOLONG);
    set("GOALLOC_SOCKET", NULL);
    set("XDG_RUNTIME_DIR", name);
    CU_ASSERT_EQUAL(ga_address_resolve(NULL, path), -ENAMETOOLONG);
    CU_ASSERT_STRING_EQUAL(path, "untouched");

    name[GA_ADDRESS_BYTES - 1] = '\0';
    CU_ASSERT_EQUAL(ga_address_resolve(name, path), 0);
    CU_ASSERT_STRING_EQUAL(path, name);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"what is given, the variables, the user's own folder, in this order", test_order},
        {"an empty variable and a relative runtime folder count as unset",
         test_what_counts_as_unset},
        {"what is the default", test_default},
        {"the system's socket, where it may be used and there is none of the user's own",
         test_the_system_socket},
        {"a path that is empty or too long is refused", test_refused},
    };
    return ga_test_main("client.address", tests, sizeof(tests) / sizeof(tests[0]));
}
