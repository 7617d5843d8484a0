/* What is known to be in use, and held, and published: by what clients were told, never by what the
 * core or the bitmaps say. */
#ifndef GA_TESTS_SIMULATION_MODEL_H
#define GA_TESTS_SIMULATION_MODEL_H

#include "simulation/world.h"

#define GA_SIM_OBJECTS 700u
/* Every thread may get one more while the model has so many. */
#define GA_SIM_OBJECTS_MAX (GA_SIM_OBJECTS - GA_SIM_PROCESSES * GA_SIM_THREADS)
#define GA_SIM_HOLDS       64u
#define GA_SIM_ANY         UINT64_MAX
/* Of the heap. */
#define GA_SIM_PAGES_MAX (GA_ARENA_SIZE >> GA_PAGE_SHIFT)

enum ga_sim_state {
    GA_SIM_NO_OBJECT = 0,
    GA_SIM_IN_USE,
    GA_SIM_FREEING,  /* a thread is at its free */
    GA_SIM_ASKING,   /* a request about it is under way, or being answered: its free is to be put
                        off, or it is resized */
    GA_SIM_PUT_OFF,  /* freed, and held */
    GA_SIM_GARBAGE,  /* nothing reaches it, and a sweep may free it any time */
    GA_SIM_IN_DOUBT, /* the server died while it put the free off: the next one knows */
};

struct ga_sim_object {
    enum ga_sim_state state;
    ga_page_id page;
    uint32_t index;
    uint64_t offset; /* where it begins, from the heap's base */
    uint64_t bytes;  /* when it was allocated */
    uint32_t pid;    /* of whom FREEING, ASKING */
    bool is_large;
    bool is_tiny;
    bool is_noscan;
    bool is_managed; /* a managed process has allocated it */
    bool reached;    /* as ga_sim_graph_mark found */
    uint64_t next;   /* where it points to, by an offset; 0 = nowhere */
};

struct ga_sim_hold {
    ga_client_id client;
    uint64_t offset;
    uint32_t count; /* 0: no hold */
};

struct ga_sim_model {
    struct ga_sim_object objects[GA_SIM_OBJECTS];
    uint32_t nobjects;
    struct ga_sim_hold holds[GA_SIM_HOLDS];
    uint64_t roots[GA_SIM_NAMES]; /* offsets, 0 = nothing of this name */
    /* What the counters lack of mallocs and frees, by those who died or had no mcache. */
    uint64_t missing_mallocs;
    uint64_t missing_frees;
    bool is_unsure;               /* a server died at counting frees: how many, nobody knows */
    uint64_t missing_resizes;     /* of large objects */
    bool dirty[GA_SIM_PAGES_MAX]; /* an object has lain in the page, which is no longer zero */
    uint64_t releasing;           /* the object whose last hold may be going just now, or ANY */
};
extern struct ga_sim_model ga_sim_model;

/* The slot was handed out to a thread of the process: to be called right after the store that is
 * the commit. nunits: of a tiny one, how long it is; else 0. Returns the entry of its span, which
 * may be another's as soon as anything comes between. */
uint64_t ga_sim_model_add(struct ga_sim_process *process, ga_page_id page, uint32_t index,
                          uint32_t nunits);
/* Whether every thread may still get one more. */
bool ga_sim_model_has_room(void);
void ga_sim_model_remove(struct ga_sim_object *object);
/* The object of this slot; NULL. */
struct ga_sim_object *ga_sim_model_find(ga_page_id page, uint32_t index);
/* A random object in use that nobody is at; NULL. */
struct ga_sim_object *ga_sim_model_pick(void);
/* One that the process can know (graph.h), that is large, or is held; or another, or NULL, where
 * none is found soon. */
struct ga_sim_object *ga_sim_model_pick_large(const struct ga_sim_process *process);
struct ga_sim_object *ga_sim_model_pick_held(const struct ga_sim_process *process);
/* The slot as it is in the heap now. */
struct ga_slot ga_sim_model_slot(const struct ga_sim_object *object);
bool ga_sim_model_in_use(const struct ga_sim_object *object);
/* Whether a line names the slot: it is free, though by A and F in use. */
bool ga_sim_model_in_batch(ga_page_id page, uint32_t index);
/* The object that begins at offset, which is asked about; NULL. */
struct ga_sim_object *ga_sim_model_asked(uint64_t offset);

/* Whoever has these bytes has written them. And whether anybody has, to the span at page. */
void ga_sim_model_write(uint64_t offset, uint64_t bytes);
bool ga_sim_model_is_dirty(ga_page_id page);
/* These bytes have no memory any more: what was in them is gone. */
void ga_sim_model_punch(uint64_t offset, uint64_t bytes);

/* The free of an object asked about is put off; nobody has counted it as yet. */
void ga_sim_model_put_off(struct ga_sim_object *object);

/* The server has died at putting off the free of the object at offset. */
void ga_sim_model_doubt(uint64_t offset);

/* pid has died: what it was freeing is freed, or not. */
void ga_sim_model_died(uint32_t pid);
/* No request of pid is under way any more; 0: of nobody. */
void ga_sim_model_unasked(uint32_t pid);

/* The hold of client; NULL. And whether anybody holds the object. */
struct ga_sim_hold *ga_sim_model_hold(ga_client_id client, uint64_t offset);
bool ga_sim_model_has_room_for_a_hold(void);
bool ga_sim_model_is_held(uint64_t offset);
void ga_sim_model_hold_once_more(ga_client_id client, uint64_t offset);
/* A hold is gone: what was put off and is held no more is free. */
void ga_sim_model_drop(struct ga_sim_hold *hold);

#endif
