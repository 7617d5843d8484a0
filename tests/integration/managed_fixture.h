/* What the tests of managed processes share: a heap that this process is attached to as a managed
 * one, lists and garbage in it, and children that come with it. */
#ifndef GA_TESTS_MANAGED_FIXTURE_H
#define GA_TESTS_MANAGED_FIXTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "goalloc/goalloc.h"
#include "support/server_fixture.h"

enum { MANAGED_LIST = 500 }; /* nodes of the lists that must stay */

struct managed_node {
    struct managed_node *next;
    uint64_t number;
    char text[40];
};

extern struct ga_test_server managed_server;
extern struct goalloc_heap *managed_heap;
/* Threads begin again with each heap: whether they are to end, and how many have begun. */
extern atomic_bool managed_over;
extern atomic_int managed_nready;

int managed_attach(uint32_t flags, uint32_t signal_number, struct goalloc_heap **ret);
/* Start a server with --limit limit and attach to it; and the end of both. */
void managed_open(const char *limit);
void managed_close(void);

struct managed_node *managed_make_list(int length);
bool managed_is_whole(const struct managed_node *list, int length);

/* Some thousand objects that nothing points to. Here as in the others of this file that is a frame
 * of its own, so that little of it is left where the stack is in use. */
void managed_make_garbage(void) __attribute__((noinline));
struct goalloc_gc_result managed_collect(void);
/* Until it is not abandoned any more: the server may have yet to learn of somebody's end, or be
 * connected again. How many objects were freed. */
uint64_t managed_collect_at_last(void);
uint64_t managed_objects(void);
/* Make garbage, collect, and see that it goes. */
void managed_collect_garbage(void);

/* Threads, until it is over: one keeps a list on its stack and returns whether it is whole, one
 * makes garbage and collects. */
void *managed_keep_on_stack(void *argument);
void *managed_collect_until_over(void *argument);

struct managed_peer {
    pid_t pid;
    int to;   /* the child reads */
    int from; /* the child writes */
};

/* A list by the name "list". */
void managed_publish_list(void) __attribute__((noinline));
/* A child that takes what is published, takes the name back, and has it alone from then on. */
void managed_be_a_peer(int from, int to);
struct managed_peer managed_start_peer(void (*be)(int from, int to));
/* Wait for it to say that all is well. */
bool managed_hears(const struct managed_peer *peer);
/* It must end in order. */
void managed_end_peer(const struct managed_peer *peer);

#endif
