/* Eight processes of four threads, for as long as asked: three seconds, or a minute where
 * GOALLOC_LONG is set; see support/crowd.h. */
#include <stdlib.h>

#include "support/crowd.h"
#include "support/cunit_main.h"

static void crowd(void)
{
    ga_crowd_run(&(struct ga_crowd){.processes = 8,
                                    .threads = 4,
                                    .operations = UINT32_MAX,
                                    .seconds = getenv("GOALLOC_LONG") ? 60 : 3});
}

int main(int argc, char **argv)
{
    if (argc == GA_CROWD_ARGC)
        return ga_crowd_work(argv);
    static const struct ga_test tests[] = {
        {"8 processes of 4 threads", crowd},
    };
    return ga_test_main("stress.crowd", tests, 1);
}
