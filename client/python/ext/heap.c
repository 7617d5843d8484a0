#include "heap.h"

#include <errno.h>
#include <stdbool.h>

#include "module.h"
#include "object.h"
#include "roots.h"
#include "stats.h"

/* What is smaller may be tiny, and tiny objects cannot be held. */
#define LEAST_BYTES 16

/* ---- calls ---- */

/* The threads whose calls are counted are not in a child of fork. */
static void meet_fork(struct ga_py_heap *self)
{
    if (self->fork_count == ga_py_fork_count())
        return;
    self->fork_count = ga_py_fork_count();
    self->calls = 0;
}

struct goalloc_heap *ga_py_heap_begin(struct ga_py_heap *self)
{
    meet_fork(self);
    if (!self->heap) {
        PyErr_SetString(PyExc_ValueError, "the heap is closed");
        return NULL;
    }
    self->calls++;
    return self->heap;
}

void ga_py_heap_end(struct ga_py_heap *self)
{
    self->calls--;
}

/* ---- its end ---- */

static int refuse_in_use(struct ga_py_heap *self)
{
    meet_fork(self);
    if (self->exports > 0) {
        PyErr_Format(PyExc_BufferError,
                     "%zd buffers of objects in the heap are in use (memoryviews, arrays)",
                     self->exports);
        return -1;
    }
    if (self->calls > 0) {
        ga_py_raise(&ga_py_state_of((PyObject *)self)->errors, -EBUSY,
                    "%u calls of other threads are under way", self->calls);
        return -1;
    }
    return 0;
}

static size_t count_objects(const struct ga_py_heap *self)
{
    size_t count = 0;
    for (const struct ga_py_object *object = self->objects; object; object = object->next)
        count++;
    return count;
}

/* End all wrappers. ret: has room for an address each; takes those that are to be freed. */
static size_t forget_all(struct ga_py_heap *self, void **ret)
{
    size_t count = 0;
    while (self->objects) {
        struct ga_py_object *object = self->objects;
        ga_py_object_meet_fork(object);
        bool owned = object->tie == GA_PY_OWNS;
        void *p = ga_py_object_forget(object);
        if (owned)
            ret[count++] = p;
    }
    return count;
}

/* Holds end with the attachment. */
static void detach(struct goalloc_heap *heap, void **owned, size_t count)
{
    for (size_t i = 0; i < count; i++)
        goalloc_free(heap, owned[i]);
    goalloc_detach(heap);
}

static int close_attachment(struct ga_py_heap *self)
{
    void **owned = PyMem_Calloc(count_objects(self) + 1, sizeof(*owned));
    if (!owned) {
        PyErr_NoMemory();
        return -1;
    }
    /* From here on other threads find it closed. */
    size_t count = forget_all(self, owned);
    struct goalloc_heap *heap = self->heap;
    self->heap = NULL;
    Py_BEGIN_ALLOW_THREADS
    detach(heap, owned, count);
    Py_END_ALLOW_THREADS
    PyMem_Free(owned);
    return 0;
}

PyDoc_STRVAR(close_doc,
             "close($self, /)\n"
             "--\n"
             "\n"
             "End the attachment: owned objects are freed, held ones released.\n"
             "\n"
             "The same as the end of a with block. More than once is allowed. Raises BufferError\n"
             "as long as buffers of objects are in use, and goalloc.Error during other threads'\n"
             "calls.");

static PyObject *close_heap(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct ga_py_heap *self = (struct ga_py_heap *)object;
    if (self->heap && (refuse_in_use(self) < 0 || close_attachment(self) < 0))
        return NULL;
    Py_RETURN_NONE;
}

/* No object is left, since each has a reference. */
static void dealloc(PyObject *object)
{
    struct ga_py_heap *self = (struct ga_py_heap *)object;
    PyTypeObject *type = Py_TYPE(object);
    struct goalloc_heap *heap = self->heap;
    if (heap) {
        Py_BEGIN_ALLOW_THREADS
        goalloc_detach(heap);
        Py_END_ALLOW_THREADS
    }
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(enter_doc, "__enter__($self, /)\n--\n\n");

static PyObject *enter(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct ga_py_heap *self = (struct ga_py_heap *)object;
    if (!ga_py_heap_begin(self))
        return NULL;
    ga_py_heap_end(self);
    Py_INCREF(object);
    return object;
}

PyDoc_STRVAR(exit_doc, "__exit__($self, *exception)\n--\n\n");

/* ---- objects ---- */

PyDoc_STRVAR(alloc_doc,
             "alloc($self, n, /, *, noscan=True, zero=True, alignment=0)\n"
             "--\n"
             "\n"
             "Allocate an Object of n bytes, which its wrapper owns.\n"
             "\n"
             "noscan: it never holds pointers into the heap.\n"
             "zero: its bytes are zero; else they are what was there before.\n"
             "alignment: a power of two up to 1 GiB; 0: 16 bytes.\n"
             "Raises goalloc.OutOfMemoryError, which is a MemoryError, when the heap is full.");

static PyObject *alloc(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"", "noscan", "zero", "alignment", NULL};
    struct ga_py_heap *self = (struct ga_py_heap *)object;
    Py_ssize_t n;
    Py_ssize_t alignment = 0;
    int noscan = 1;
    int zero = 1;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "n|$ppn:alloc", names, &n, &noscan, &zero,
                                     &alignment))
        return NULL;
    if (n < 0 || alignment < 0) {
        PyErr_SetString(PyExc_ValueError, "a number of bytes is 0 or more");
        return NULL;
    }
    struct goalloc_heap *heap = ga_py_heap_begin(self);
    if (!heap)
        return NULL;
    size_t bytes = n < LEAST_BYTES ? LEAST_BYTES : (size_t)n;
    unsigned flags = (noscan ? GOALLOC_NOSCAN : 0) | (zero ? GOALLOC_ZERO : 0);
    void *p;
    Py_BEGIN_ALLOW_THREADS
    p = goalloc_alloc(heap, bytes, (size_t)alignment, flags);
    Py_END_ALLOW_THREADS
    int err = errno;
    struct ga_py_object *made = NULL;
    if (!p)
        ga_py_raise(&ga_py_state_of(object)->errors, -err, "an object of %zd bytes", n);
    else if (!(made = ga_py_object_new(self, p, n, GA_PY_OWNS, false)))
        goalloc_free(heap, p);
    ga_py_heap_end(self);
    return (PyObject *)made;
}

PyDoc_STRVAR(at_doc,
             "at($self, address, /, *, hold=True, readonly=False)\n"
             "--\n"
             "\n"
             "The Object that begins at address, for instance as another object has it.\n"
             "\n"
             "hold: it is held, so that it stays as long as this wrapper. That it is still the\n"
             "    one that was meant, only the caller can know.\n"
             "readonly: its buffers can only be read.\n"
             "Raises goalloc.Error if no object in use begins there.");

static PyObject *at(PyObject *object, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"", "hold", "readonly", NULL};
    struct ga_py_heap *self = (struct ga_py_heap *)object;
    PyObject *address;
    int hold = 1;
    int readonly = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$pp:at", names, &address, &hold, &readonly))
        return NULL;
    void *p = PyLong_AsVoidPtr(address);
    if (!p && PyErr_Occurred())
        return NULL;
    struct goalloc_heap *heap = ga_py_heap_begin(self);
    if (!heap)
        return NULL;
    int r = p ? 0 : -EINVAL;
    if (p && hold) {
        Py_BEGIN_ALLOW_THREADS
        r = goalloc_hold(heap, p);
        Py_END_ALLOW_THREADS
    }
    const struct ga_py_errors *errors = &ga_py_state_of(object)->errors;
    PyObject *made = NULL;
    if (r == 0)
        made = ga_py_roots_wrap(self, p, hold, readonly);
    else if (r == -EINVAL)
        ga_py_raise_text(errors, r, PyUnicode_FromFormat("no object in use begins at %p", p));
    else
        ga_py_raise(errors, r, "to hold the object at %p", p);
    ga_py_heap_end(self);
    return made;
}

/* ---- the heap as a whole ---- */

PyDoc_STRVAR(stats_doc, "stats($self, /)\n"
                        "--\n"
                        "\n"
                        "Stats: the heap's counts, as the server knows them.");

static PyObject *stats(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct ga_py_heap *self = (struct ga_py_heap *)object;
    struct ga_py_state *state = ga_py_state_of(object);
    struct goalloc_memstats memstats = {.size = sizeof(memstats)};
    struct goalloc_heap *heap = ga_py_heap_begin(self);
    if (!heap)
        return NULL;
    int r;
    Py_BEGIN_ALLOW_THREADS
    r = goalloc_memstats(heap, &memstats);
    Py_END_ALLOW_THREADS
    ga_py_heap_end(self);
    if (r < 0)
        return ga_py_raise(&state->errors, r, "the heap's counts");
    return ga_py_stats_new(state->stats_type, state->size_stats_type, &memstats);
}

static PyObject *get_closed(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct ga_py_heap *)object)->heap == NULL);
}

static PyObject *repr(PyObject *object)
{
    const struct ga_py_heap *self = (struct ga_py_heap *)object;
    if (!self->heap)
        return PyUnicode_FromString("<goalloc.Heap, closed>");
    return PyUnicode_FromFormat("<goalloc.Heap, %zu objects in use here>", count_objects(self));
}

#define WITH_KEYWORDS(function)                                                                    \
    (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS

static PyMethodDef methods[] = {
    {"close", close_heap, METH_NOARGS, close_doc},
    {"alloc", WITH_KEYWORDS(alloc), alloc_doc},
    {"at", WITH_KEYWORDS(at), at_doc},
    {"stats", stats, METH_NOARGS, stats_doc},
    {"publish", ga_py_publish, METH_VARARGS, ga_py_publish_doc},
    {"replace", ga_py_replace, METH_VARARGS, ga_py_replace_doc},
    {"unpublish", ga_py_unpublish, METH_VARARGS, ga_py_unpublish_doc},
    {"lookup", WITH_KEYWORDS(ga_py_lookup), ga_py_lookup_doc},
    {"wait", WITH_KEYWORDS(ga_py_wait), ga_py_wait_doc},
    {"__enter__", enter, METH_NOARGS, enter_doc},
    {"__exit__", close_heap, METH_VARARGS, exit_doc},
    {0},
};

static PyGetSetDef attributes[] = {
    {"closed", get_closed, NULL, "Whether the attachment has ended.", NULL},
    {0},
};

PyDoc_STRVAR(doc, "This process's attachment to a heap; goalloc.attach makes one.\n"
                  "\n"
                  "In a with block it is closed at the end. Threads may use it at once.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)doc},
    {Py_tp_dealloc, (void *)(uintptr_t)dealloc},
    {Py_tp_repr, (void *)(uintptr_t)repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {0, NULL},
};

PyType_Spec ga_py_heap_spec = {
    .name = "goalloc.Heap",
    .basicsize = sizeof(struct ga_py_heap),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
