/* goalloc.Object: an object in the heap, and what this wrapper owes it at its own end.
 *
 * A wrapper that owns its object frees it; one that holds it releases it; one that does neither
 * just goes. Of a child of fork the parent's wrappers are copies: those objects are the parent's to
 * free, and a child holds nothing, so there they do neither. */
#ifndef GA_PYTHON_OBJECT_H
#define GA_PYTHON_OBJECT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include "heap.h"

enum ga_py_tie {
    GA_PY_GONE,    /* freed or let go: address is NULL, and the wrapper is in no list */
    GA_PY_OWNS,    /* allocated by it and not published */
    GA_PY_HOLDS,   /* by one goalloc_hold */
    GA_PY_BORROWS, /* somebody else sees to it that it stays */
    GA_PY_PARENTS, /* owned by a wrapper of the parent of this process */
};

struct ga_py_object {
    PyObject ob_base;
    struct ga_py_heap *heap;
    struct ga_py_object *next, *previous;
    void *address;
    Py_ssize_t bytes;
    Py_ssize_t exports; /* buffers on it */
    enum ga_py_tie tie;
    bool readonly;
    bool busy;           /* a call is under way that may change the tie */
    unsigned fork_count; /* when tie and busy were last true */
};

extern PyType_Spec ga_py_object_spec;

/* Wrap p, which the wrapper is tied to from now on. NULL with an exception; then p is as before. */
struct ga_py_object *ga_py_object_new(struct ga_py_heap *heap, void *p, Py_ssize_t bytes,
                                      enum ga_py_tie tie, bool readonly);

/* Make tie and busy true in a child of fork. */
void ga_py_object_meet_fork(struct ga_py_object *self);

/* Begin what may change the tie. -1 with a ValueError if self is gone or its heap closed, with
 * goalloc.Error if another thread is at it. */
int ga_py_object_begin(struct ga_py_object *self);
void ga_py_object_end(struct ga_py_object *self);

/* The wrapper has no object any more. Returns the object. */
void *ga_py_object_forget(struct ga_py_object *self);

#endif
