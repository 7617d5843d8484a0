/* More than any heap has: near the end of what a size can be, and at once more than the limit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "misuse/misuse.h"

static void expect_enomem(struct ga_misuse *m, const void *p)
{
    ga_misuse_tell(p ? "an object" : strerrorname_np(errno));
    ga_misuse_expect(m, "ENOMEM");
    errno = 0;
}

void ga_misuse(struct ga_misuse *m)
{
    size_t most = strtoul("18446744073709551615", NULL, 10); /* compilers refuse it as a constant */
    char *p = goalloc_malloc(m->heap, 100);
    memcpy(p, "as before", sizeof("as before"));
    errno = 0;
    expect_enomem(m, goalloc_malloc(m->heap, most));
    expect_enomem(m, goalloc_malloc(m->heap, most - 8192));
    expect_enomem(m, goalloc_malloc(m->heap, (size_t)65 << 20));
    expect_enomem(m, goalloc_aligned_alloc(m->heap, (size_t)1 << 30, most - 8192));
    expect_enomem(m, goalloc_realloc(m->heap, p, most));
    GA_REQUIRE(m, strcmp(p, "as before") == 0);
    goalloc_free(m->heap, p);
}
