/* 3 processes of 4 threads allocate, resize, pass on and free, while the server is killed again and
 * again, wherever it is, and the next one started. Nobody is told of it: no allocation fails, no
 * object changes, and at the end the heap is empty by every count. */
#include <stdlib.h>

#include "support/crowd.h"
#include "support/cunit_main.h"

static void many_servers(void)
{
    ga_crowd_run(&(struct ga_crowd){.processes = 3,
                                    .threads = 4,
                                    .operations = UINT32_MAX,
                                    .kills = getenv("GOALLOC_LONG") ? 400 : 20});
}

int main(int argc, char **argv)
{
    if (argc == GA_CROWD_ARGC)
        return ga_crowd_work(argv);
    static const struct ga_test tests[] = {{"servers that are killed", many_servers}};
    return ga_test_main("reconnect_crowd", tests, 1);
}
