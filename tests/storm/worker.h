/* A client of the storm: threads that allocate, check, resize and free objects at random, those of
 * other clients too, until they are told to stop or killed. */
#ifndef GA_TESTS_STORM_WORKER_H
#define GA_TESTS_STORM_WORKER_H

/* Work as client argv[2] of the ledger in descriptor argv[3], with seed argv[4], as a siege starts
 * its workers. Returns the exit code. */
int storm_work(char **argv);

#endif
