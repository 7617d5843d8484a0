/* What must exist: the objects of a run's processes, noted outside the heap in memory that all of
 * them share, each filled with a pattern of its own. Only one process at a time is at work, so
 * there is no lock. */
#ifndef GA_TESTS_CRASH_ACCOUNT_H
#define GA_TESTS_CRASH_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GA_ACCOUNT_OBJECTS 8192u
#define GA_ACCOUNT_SPARE   32u

enum {
    GA_OBJECT_NONE = 0,
    GA_OBJECT_KEPT = 1,    /* must exist */
    GA_OBJECT_LEAVING = 2, /* the victim frees it: may exist */
    GA_OBJECT_PASSING = 3, /* of a private process: must not exist when that has ended */
};

struct ga_account_object {
    uint64_t address;
    uint32_t bytes;
    uint8_t seed;
    uint8_t state;
    bool survivors; /* of the survivor, who frees it itself */
    bool held;      /* another's, which it holds: who releases it */
};

struct ga_account {
    uint32_t nobjects;
    struct ga_account_object objects[GA_ACCOUNT_OBJECTS];
    uint32_t nfound; /* addresses in use at the last audit, ascending */
    uint64_t found[GA_ACCOUNT_OBJECTS];
    uint32_t wanted; /* how many objects who comes next allocates */
    uint32_t ncomplaints;
    char complaint[256];
    void *spare[GA_ACCOUNT_SPARE];  /* what one process of a scenario hands to another */
    void *handed[GA_ACCOUNT_SPARE]; /* slots for goalloc_malloc_into and the like */
    bool by_survivor;               /* whose objects are noted now */
    bool sampled;                   /* what must exist must have the word of a sample */
    uint32_t policy;                /* of the victim, or the driver */
    void (*operation)(void);        /* of the child that the survivor forks */
    int32_t forked;                 /* its pid */
};

/* Memory that is shared with children. */
struct ga_account *ga_account_new(void);

/* Fill the object and note it. */
void ga_account_keep(struct ga_account *account, void *p, size_t bytes);
/* The same of another's object that this process holds. */
void ga_account_hold(struct ga_account *account, void *p, size_t bytes);
/* What this process notes from now on goes with it. */
void ga_account_be_private(void);
/* The object is about to be freed, or is freed. */
void ga_account_leave(struct ga_account *account, const void *p);
void ga_account_drop(struct ga_account *account, const void *p);
/* Forget all but the survivor's; or those too. */
void ga_account_clear(struct ga_account *account, bool all);
/* The survivor has died too: its objects are nobody's now, and what it held may go. */
void ga_account_orphan(struct ga_account *account);
/* Something was not as it must be. */
void ga_account_complain(struct ga_account *account, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Whether the object's pattern, at where it is mapped here, is whole. */
bool ga_account_is_whole(const struct ga_account_object *object, const unsigned char *bytes);

#endif
