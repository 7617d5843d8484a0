/* Loaded into programs whose instructions callgrind counts: a child of fork begins at 0, and not
 * with what its parent has done, which the parent tells itself. */
#include <pthread.h>
#include <valgrind/callgrind.h>

static void zero(void)
{
    CALLGRIND_ZERO_STATS;
}

static __attribute__((constructor)) void begin(void)
{
    pthread_atfork(NULL, NULL, zero);
}
