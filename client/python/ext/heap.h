/* goalloc.Heap: this process's attachment to a heap. */
#ifndef GA_PYTHON_HEAP_H
#define GA_PYTHON_HEAP_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <goalloc/goalloc.h>

struct ga_py_object;

struct ga_py_heap {
    PyObject ob_base;
    struct goalloc_heap *heap;    /* NULL: closed */
    unsigned calls;               /* under way, in threads that have let go of the GIL */
    Py_ssize_t exports;           /* buffers on its objects */
    struct ga_py_object *objects; /* all that are not gone: a list, by next and previous */
    unsigned fork_count;          /* when calls was last true */
};

extern PyType_Spec ga_py_heap_spec;

/* Begin a call: NULL with a ValueError if the heap is closed. Each is ended. */
struct goalloc_heap *ga_py_heap_begin(struct ga_py_heap *self);
void ga_py_heap_end(struct ga_py_heap *self);

#endif
