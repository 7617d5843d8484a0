/* goallocctl sharing: who frees the objects of whom, site by site, and the matrix of processes. */
#include "integration/profile_fixture.h"

#define NSHARED 30u
static void *objects[NSHARED];

PLACE void *place_own(void)
{
    void *p = goalloc_malloc(heap, 700);
    CALLED(p);
    return p;
}

PLACE void *place_shared(void)
{
    void *p = goalloc_malloc(heap, 800);
    CALLED(p);
    return p;
}

static void free_shared(void)
{
    for (unsigned i = 0; i < NSHARED; i++)
        goalloc_free(heap, objects[i]);
}

/* The line of the place's JSON, or NULL. */
static const char *place_line(const char *function)
{
    const char *at = strstr(run.out, function);
    while (at && at > run.out && at[-1] != '\n')
        at--;
    return at;
}

static bool place_is(const char *function, const char *kinds, const char *key, uint64_t n)
{
    char wanted[64];
    const char *line = place_line(function);
    snprintf(wanted, sizeof(wanted), "\"kinds\": [%s]", kinds);
    const char *found = line ? strstr(line, wanted) : NULL;
    bool good = found && found < strchr(line, '\n') && ga_json_number_of(line, key) == n;
    if (!good)
        printf("%s: %.200s\n", function, line ? line : "not there");
    return good;
}

static void who_frees_whose(void)
{
    char frees[128];
    start("0");
    attach();
    CU_ASSERT_EQUAL(goalloc_set_profile_rate(heap, 1), 0);
    for (unsigned i = 0; i < 50; i++)
        goalloc_free(heap, place_own());
    for (unsigned i = 0; i < NSHARED; i++)
        objects[i] = place_shared();
    pid_t freer = in_child(free_shared);
    await(freer);
    await(in_child(leave));
    CU_ASSERT_EQUAL(goalloc_set_profile_rate(heap, 0), 0);

    CU_ASSERT_EQUAL(CTL("--json", "sharing"), 0);
    CU_ASSERT(ga_json_is_valid(run.out));
    CU_ASSERT(place_is("place_own", "\"own\"", "freed_by_itself", 50));
    CU_ASSERT(place_is("place_shared", "\"shared\"", "freed_by_others", 30));
    CU_ASSERT(place_is("place_left", "\"left\"", "inuse_objects", 7));
    snprintf(frees, sizeof(frees),
             "{\"allocated_by\": %d, \"freed_by\": %d, \"server\": false, \"objects\": 30,",
             getpid(), freer);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, frees));

    CU_ASSERT_EQUAL(CTL("sharing"), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "could be private"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "place_left < leave"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "who frees whose"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "itself"));
}

/* Of its own objects this process has freed, by the matrix. */
static double freed_by_itself(const char *key)
{
    char pids[96];
    CU_ASSERT_EQUAL(CTL("--json", "sharing"), 0);
    snprintf(pids, sizeof(pids), "{\"allocated_by\": %d, \"freed_by\": %d,", getpid(), getpid());
    const char *line = strstr(run.out, pids);
    CU_ASSERT_PTR_NOT_NULL_FATAL(line);
    return (double)ga_json_number_of(line, key);
}

/* Of objects as long as the rate each that is sampled stands for 1.58: the matrix counts as many as
 * there were, and not a whole number for each. */
static void the_matrix_is_an_estimate(void)
{
    const unsigned n = 4000;
    double objects_before = freed_by_itself("objects");
    double bytes_before = freed_by_itself("bytes");
    CU_ASSERT_EQUAL(goalloc_set_profile_rate(heap, 106496), 0);
    for (unsigned i = 0; i < n; i++)
        goalloc_free(heap, place_large());
    CU_ASSERT_EQUAL(goalloc_set_profile_rate(heap, 0), 0);
    CU_ASSERT_DOUBLE_EQUAL((freed_by_itself("objects") - objects_before) / n, 1, 0.1);
    CU_ASSERT_DOUBLE_EQUAL((freed_by_itself("bytes") - bytes_before) / n / 106496, 1, 0.1);
}

static void the_end(void)
{
    goalloc_detach(heap);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    CU_ASSERT_EQUAL(CTL_OF("destroy", name), 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"who frees whose", who_frees_whose},
        {"the matrix is an estimate", the_matrix_is_an_estimate},
        {"the end", the_end},
    };
    return profile_main("integration.sharing", tests, COUNT(tests));
}
