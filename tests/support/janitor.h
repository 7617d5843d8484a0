/* Who is killed cannot clean up. A janitor is a process of its own, no child of the test's, that
 * waits for the test's end, however that comes, and then removes the shared memory objects of the
 * heaps that the test has named: test-PID-..., by its own pid; and its folders (support/folder.h).
 */
#ifndef GA_TESTS_JANITOR_H
#define GA_TESTS_JANITOR_H

/* Have one for this process, if it has none: a child that makes heaps of its own needs one of its
 * own. Best called before there are threads. Without one the test goes on. */
void ga_janitor_start(void);

#endif
