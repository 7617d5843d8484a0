/* goallocctl check of a heap that a crowd is at work in: again and again, and never a fault. */
#include <stdio.h>

#include "integration/json_check.h"
#include "integration/run.h"
#include "support/crowd.h"
#include "support/cunit_main.h"

static struct ga_run run;
static unsigned nchecks;
static uint64_t nagain;
static uint64_t nmoving;

static void check(const char *heap_name)
{
    const char *words[] = {"--shm", heap_name, "--json", "check", NULL};
    CU_ASSERT_FATAL(ga_run(&run, GOALLOCCTL_PATH, words));
    CU_ASSERT_EQUAL(run.code, 0);
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "nfaults"), 0);
    if (run.code != 0)
        printf("%s%s\n", run.out, run.err);
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "slots"),
                    ga_json_number_of(run.out, "in_use") + ga_json_number_of(run.out, "free"));
    nagain += ga_json_number_of(run.out, "looked_again");
    nmoving += ga_json_number_of(run.out, "in_motion");
    nchecks++;
}

static void busy(void)
{
    ga_crowd_run(&(struct ga_crowd){
        .processes = 4, .threads = 2, .operations = UINT32_MAX, .seconds = 3, .meanwhile = check});
    CU_ASSERT(nchecks > 3);
    printf("%u checks, %llu second looks, %llu in motion; ", nchecks, (unsigned long long)nagain,
           (unsigned long long)nmoving);
    ga_run_fini(&run);
}

int main(int argc, char **argv)
{
    if (argc == GA_CROWD_ARGC)
        return ga_crowd_work(argv);
    static const struct ga_test tests[] = {
        {"a crowd is checked", busy},
    };
    return ga_test_main("integration.ctl_check_busy", tests, 1);
}
