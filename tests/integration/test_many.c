/* Four processes of two threads; see support/crowd.h. */
#include "support/crowd.h"
#include "support/cunit_main.h"

static void many_processes(void)
{
    ga_crowd_run(&(struct ga_crowd){.processes = 4, .threads = 2, .operations = 60000});
}

int main(int argc, char **argv)
{
    if (argc == GA_CROWD_ARGC)
        return ga_crowd_work(argv);
    static const struct ga_test tests[] = {
        {"4 processes of 2 threads", many_processes},
    };
    return ga_test_main("integration.many", tests, 1);
}
