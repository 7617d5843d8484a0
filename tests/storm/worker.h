/* A client of the storm: threads that allocate, check, resize and free objects at random, those of
 * other clients too, until they are told to stop or killed. */
#ifndef GA_TESTS_STORM_WORKER_H
#define GA_TESTS_STORM_WORKER_H

/* A worker is started with this many arguments, the program's name among them. */
#define STORM_WORKER_ARGC 5

/* Work as client argv[2] of the ledger in descriptor argv[3], with seed argv[4]. Returns the exit
 * code. */
int storm_work(char **argv);

#endif
