/* A crowd: processes of several threads that allocate, fill, check, resize and free objects of all
 * kinds at random; half of the frees are done by another process than the one that allocated. At
 * the end the heap must be empty, by a recount of the bitmaps and by the counters. */
#ifndef GA_TESTS_CROWD_H
#define GA_TESTS_CROWD_H

#include <stdint.h>

#define GA_CROWD_MAX 16 /* processes, and threads of one */

struct ga_crowd {
    uint32_t processes; /* 2 at least */
    /* Of each process. Memory that goes from one thread to another by way of another process looks
     * like a race to ThreadSanitizer, which sees one process only: under it there is one. */
    uint32_t threads;
    uint32_t operations; /* of each thread, at most */
    uint32_t seconds;    /* after which they stop; 0 = never */
    /* Called again and again while they are at work; or NULL. */
    void (*meanwhile)(const char *heap_name);
    uint32_t kills; /* how often the server is killed and started again meanwhile; then they stop */
};

/* Run it against a server of its own, as a part of a CUnit test. The program starts itself again as
 * the workers: its main hands them on to ga_crowd_work. */
void ga_crowd_run(const struct ga_crowd *crowd);

/* A worker is started with this many arguments, the program's name among them. */
#define GA_CROWD_ARGC 4
/* Work. Returns the exit code. */
int ga_crowd_work(char **argv);

#endif
