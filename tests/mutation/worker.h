/* A client of the test: threads that change the graph, stand still whenever the driver wants to
 * look, and go on until they are told to stop, or killed. */
#ifndef GA_TESTS_MUTATION_WORKER_H
#define GA_TESTS_MUTATION_WORKER_H

/* A worker is started with this many arguments, the program's name among them. */
#define MUTATION_WORKER_ARGC 5

/* Work as client argv[2] of the shadow in descriptor argv[3], with seed argv[4]. Returns the exit
 * code. */
int worker_main(char **argv);

#endif
