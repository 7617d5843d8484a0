/* A client of the test: threads that change the graph, stand still whenever the driver wants to
 * look, and go on until they are told to stop, or killed. */
#ifndef GA_TESTS_MUTATION_WORKER_H
#define GA_TESTS_MUTATION_WORKER_H

/* Work as client argv[2] of the shadow in descriptor argv[3], with seed argv[4], as a siege starts
 * its workers. Returns the exit code. */
int worker_main(char **argv);

#endif
