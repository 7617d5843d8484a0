/* What the tests of snapshots share: a heap with objects of every kind, a server that is killed or
 * restored from a file, and files that are changed and sealed again. */
#ifndef GA_TESTS_SNAPSHOT_FIXTURE_H
#define GA_TESTS_SNAPSHOT_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "goalloc/goalloc.h"
#include "integration/daemon.h"
#include "integration/run.h"
#include "shm/snapshot.h"

/* Start a server for the heap (which stays) at the socket path, with one more option. */
bool ga_fixture_serve(struct ga_daemon *daemon, const char *heap, const char *path,
                      const char *option, const char *value);
/* Start a server that restores file, under the name heap if that is not NULL. */
bool ga_fixture_restore(struct ga_daemon *daemon, const char *file, const char *heap,
                        const char *path);
/* Have a server refuse to restore file, and say so with needle; leave nothing behind. */
bool ga_fixture_refuses(const char *file, const char *heap, int expected_code, const char *needle);

typedef bool ga_fixture_work(struct goalloc_heap *heap);
/* Do the work in a process of its own, which attaches to path and detaches. */
bool ga_fixture_in_process(const char *path, ga_fixture_work *work);

/* Objects of all kinds, every third freed again, and a tree of nodes; known by roots. */
ga_fixture_work ga_fixture_build;
/* Whether each byte of them is as it was, at the address where it was. */
ga_fixture_work ga_fixture_verify;
/* Free all of them; whether the heap is empty then. */
ga_fixture_work ga_fixture_drop;

/* Run goallocctl with the words; its exit code, -1 where it cannot be started. */
int ga_fixture_ctl(struct ga_run *run, const char *const *words);
#define GA_CTL(run, ...) ga_fixture_ctl(run, (const char *const[]){__VA_ARGS__, NULL})

/* A file in memory; bytes is NULL where it cannot be read. */
struct ga_file {
    char *bytes;
    size_t nbytes;
};
struct ga_file ga_file_load(const char *path);
bool ga_file_save(const char *path, const struct ga_file *file);
void ga_file_fini(struct ga_file *file);
/* Make all check sums of a snapshot right again. */
void ga_file_seal(struct ga_file *file);
/* Whether it is a snapshot in which all check sums are right. */
bool ga_file_is_whole(const struct ga_file *file);
/* Where in the file a place of an object is; 0 where it is in no extent. */
size_t ga_file_place(const struct ga_file *file, enum ga_object object, uint64_t offset);

#endif
