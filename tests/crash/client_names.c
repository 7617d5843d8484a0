/* Clients that are killed while they change roots and holds. */
#include <errno.h>

#include "crash/deeds.h"
#include "crash/scenario.h"

static void expect(int r)
{
    if (r < 0)
        ga_account_complain(ga_account, "%s", goalloc_strerror(r));
}

/* Of the run before, the root may be there. */
static void get_x_unpublished(void)
{
    ga_deed_get_x();
    int r = goalloc_unpublish(ga_heap, GA_DEED_ROOT);
    expect(r == -ENOENT ? 0 : r);
}

static void get_x_published(void)
{
    void *old;
    ga_deed_get_x();
    expect(goalloc_replace(ga_heap, GA_DEED_ROOT, ga_deed_x, &old));
}

static void publish(void)
{
    expect(goalloc_publish(ga_heap, GA_DEED_ROOT, ga_deed_x));
}

static void replace(void)
{
    void *old;
    expect(goalloc_replace(ga_heap, GA_DEED_ROOT, ga_deed_x, &old));
}

static void unpublish(void)
{
    expect(goalloc_unpublish(ga_heap, GA_DEED_ROOT));
}

static void hold(void)
{
    expect(goalloc_hold(ga_heap, ga_deed_x));
}

static void get_x_held(void)
{
    ga_deed_get_x();
    hold();
}

static void get_x_held_and_freed(void)
{
    get_x_held();
    ga_account_leave(ga_account, ga_deed_x);
    goalloc_free(ga_heap, ga_deed_x);
}

static void release(void)
{
    expect(goalloc_release(ga_heap, ga_deed_x));
}

const struct ga_client_scenario ga_client_names_scenarios[] = {
    {.name = "publish", .before = get_x_unpublished, .operation = publish},
    {.name = "replace", .before = get_x_published, .operation = replace},
    {.name = "unpublish", .before = get_x_published, .operation = unpublish},
    {.name = "hold", .before = ga_deed_get_x, .operation = hold, .twice = true},
    {.name = "free what is held", .before = get_x_held, .operation = ga_deed_put_x, .twice = true},
    {.name = "release what was freed",
     .before = get_x_held_and_freed,
     .operation = release,
     .twice = true},
    {.name = "private: publish",
     .before = get_x_unpublished,
     .operation = publish,
     .is_private = true,
     .twice = true},
    {.name = NULL},
};
