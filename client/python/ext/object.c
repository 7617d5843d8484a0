#include "object.h"

#include <errno.h>
#include <structmember.h>

#include "module.h"
#include "report.h"

/* ---- the list of a heap's objects ---- */

static void link_to_heap(struct ga_py_object *self)
{
    self->next = self->heap->objects;
    if (self->next)
        self->next->previous = self;
    self->heap->objects = self;
}

void *ga_py_object_forget(struct ga_py_object *self)
{
    void *p = self->address;
    if (self->previous)
        self->previous->next = self->next;
    else
        self->heap->objects = self->next;
    if (self->next)
        self->next->previous = self->previous;
    self->next = self->previous = NULL;
    self->address = NULL;
    self->tie = GA_PY_GONE;
    return p;
}

struct ga_py_object *ga_py_object_new(struct ga_py_heap *heap, void *p, Py_ssize_t bytes,
                                      enum ga_py_tie tie, bool readonly)
{
    const struct ga_py_state *state = ga_py_state_of((PyObject *)heap);
    struct ga_py_object *self = (struct ga_py_object *)PyType_GenericAlloc(state->object_type, 0);
    if (!self)
        return NULL;
    Py_INCREF((PyObject *)heap);
    self->heap = heap;
    self->address = p;
    self->bytes = bytes;
    self->tie = tie;
    self->readonly = readonly;
    self->fork_count = ga_py_fork_count();
    link_to_heap(self);
    return self;
}

void ga_py_object_meet_fork(struct ga_py_object *self)
{
    if (self->fork_count == ga_py_fork_count())
        return;
    self->fork_count = ga_py_fork_count();
    self->busy = false;
    if (self->tie == GA_PY_OWNS)
        self->tie = GA_PY_PARENTS;
    if (self->tie == GA_PY_HOLDS)
        self->tie = GA_PY_BORROWS;
}

static int check_there(struct ga_py_object *self)
{
    ga_py_object_meet_fork(self);
    if (self->tie != GA_PY_GONE)
        return 0;
    PyErr_SetString(PyExc_ValueError,
                    self->heap->heap ? "the object is freed or closed" : "the heap is closed");
    return -1;
}

int ga_py_object_begin(struct ga_py_object *self)
{
    if (check_there(self) < 0)
        return -1;
    if (self->busy) {
        ga_py_raise(&ga_py_state_of((PyObject *)self)->errors, -EBUSY,
                    "another thread publishes this object");
        return -1;
    }
    self->busy = true;
    return 0;
}

void ga_py_object_end(struct ga_py_object *self)
{
    self->busy = false;
}

/* ---- its end ---- */

/* Do for the object what the tie asks for. Not called with the GIL's leave to fail: what the
 * library refuses it has reported, and a hold ends with the process at the latest. */
static void settle(struct ga_py_object *self)
{
    ga_py_object_meet_fork(self);
    if (self->tie == GA_PY_GONE)
        return;
    struct ga_py_heap *heap = self->heap;
    enum ga_py_tie tie = self->tie;
    void *p = ga_py_object_forget(self);
    if (tie != GA_PY_OWNS && tie != GA_PY_HOLDS)
        return;
    struct goalloc_heap *inner = ga_py_heap_begin(heap);
    Py_BEGIN_ALLOW_THREADS
    if (tie == GA_PY_OWNS)
        goalloc_free(inner, p);
    else
        (void)goalloc_release(inner, p);
    Py_END_ALLOW_THREADS
    ga_py_heap_end(heap);
}

static void dealloc(PyObject *object)
{
    struct ga_py_object *self = (struct ga_py_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject *class, *value, *traceback; /* that may be under way */
    PyErr_Fetch(&class, &value, &traceback);
    settle(self);
    Py_DECREF((PyObject *)self->heap);
    PyErr_Restore(class, value, traceback);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(self);
    Py_DECREF(type);
}

static int refuse_exported(const struct ga_py_object *self)
{
    if (self->exports == 0)
        return 0;
    PyErr_Format(PyExc_BufferError, "%zd buffers of the object are in use (memoryviews, arrays)",
                 self->exports);
    return -1;
}

PyDoc_STRVAR(
    close_doc,
    "close($self, /)\n"
    "--\n"
    "\n"
    "Let go of the object: it is freed if this wrapper owns it, and released if it holds "
    "it.\n"
    "\n"
    "The same as the end of a with block, and as when the wrapper is collected. More than\n"
    "once is allowed. Raises BufferError as long as buffers of it are in use.");

static PyObject *close_object(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct ga_py_object *self = (struct ga_py_object *)object;
    ga_py_object_meet_fork(self);
    if (self->tie == GA_PY_GONE)
        Py_RETURN_NONE;
    if (refuse_exported(self) < 0 || ga_py_object_begin(self) < 0)
        return NULL;
    settle(self);
    ga_py_object_end(self);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(
    free_doc,
    "free($self, /)\n"
    "--\n"
    "\n"
    "Free the object itself, whoever allocated it.\n"
    "\n"
    "It must not be published any more. Processes that hold it keep it until they let go.\n"
    "Raises BufferError as long as buffers of it are in use, and goalloc.Error if it was\n"
    "freed already, or there is no server to tell.");

/* Free p, and take back the hold if there is one. */
static int free_and_release(struct goalloc_heap *heap, void *p, bool held, const char **ret_refused)
{
    ga_py_report_begin();
    goalloc_free(heap, p);
    *ret_refused = ga_py_report_end();
    /* Only after the free: without a hold somebody else's object may be there by then. */
    return held && !*ret_refused ? goalloc_release(heap, p) : 0;
}

static int free_tied(struct ga_py_object *self)
{
    const struct ga_py_errors *errors = &ga_py_state_of((PyObject *)self)->errors;
    if (self->tie == GA_PY_PARENTS) {
        ga_py_raise(errors, -EPERM, "the object is this process's parent's");
        return -1;
    }
    /* Gone before it is freed, so that no other thread can get a buffer of it meanwhile. */
    enum ga_py_tie tie = self->tie;
    void *p = self->address;
    self->tie = GA_PY_GONE;
    struct goalloc_heap *heap = ga_py_heap_begin(self->heap);
    const char *refused;
    int r;
    Py_BEGIN_ALLOW_THREADS
    r = free_and_release(heap, p, tie == GA_PY_HOLDS, &refused);
    Py_END_ALLOW_THREADS
    ga_py_heap_end(self->heap);
    self->tie = tie;
    if (refused) {
        ga_py_raise_message(errors, -EINVAL, refused);
        return -1;
    }
    ga_py_object_forget(self);
    if (r == 0)
        return 0;
    ga_py_raise(errors, r, "the object is freed when this process ends, since its hold is left");
    return -1;
}

static PyObject *free_object(PyObject *object, PyObject *unused)
{
    (void)unused;
    struct ga_py_object *self = (struct ga_py_object *)object;
    if (refuse_exported(self) < 0 || ga_py_object_begin(self) < 0)
        return NULL;
    int r = free_tied(self);
    ga_py_object_end(self);
    if (r < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(enter_doc, "__enter__($self, /)\n--\n\n");

static PyObject *enter(PyObject *object, PyObject *unused)
{
    (void)unused;
    if (check_there((struct ga_py_object *)object) < 0)
        return NULL;
    Py_INCREF(object);
    return object;
}

PyDoc_STRVAR(exit_doc, "__exit__($self, *exception)\n--\n\n");

/* ---- its bytes ---- */

static int get_buffer(PyObject *object, Py_buffer *view, int flags)
{
    struct ga_py_object *self = (struct ga_py_object *)object;
    view->obj = NULL;
    if (check_there(self) < 0 ||
        PyBuffer_FillInfo(view, object, self->address, self->bytes, self->readonly, flags) < 0)
        return -1;
    self->exports++;
    self->heap->exports++;
    return 0;
}

static void release_buffer(PyObject *object, Py_buffer *view)
{
    (void)view;
    struct ga_py_object *self = (struct ga_py_object *)object;
    self->exports--;
    self->heap->exports--;
}

PyDoc_STRVAR(view_doc, "view($self, /)\n"
                       "--\n"
                       "\n"
                       "A memoryview of its bytes: the same as memoryview(object).");

static PyObject *view(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyMemoryView_FromObject(object);
}

static Py_ssize_t length(PyObject *object)
{
    struct ga_py_object *self = (struct ga_py_object *)object;
    return check_there(self) < 0 ? -1 : self->bytes;
}

/* ---- what it tells ---- */

static PyObject *get_address(PyObject *object, void *unused)
{
    (void)unused;
    struct ga_py_object *self = (struct ga_py_object *)object;
    return check_there(self) < 0 ? NULL : PyLong_FromVoidPtr(self->address);
}

static PyObject *get_heap(PyObject *object, void *unused)
{
    (void)unused;
    PyObject *heap = (PyObject *)((struct ga_py_object *)object)->heap;
    Py_INCREF((PyObject *)heap);
    return heap;
}

static PyObject *get_readonly(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct ga_py_object *)object)->readonly);
}

static PyObject *is_tied(PyObject *object, enum ga_py_tie tie)
{
    struct ga_py_object *self = (struct ga_py_object *)object;
    ga_py_object_meet_fork(self);
    return PyBool_FromLong(self->tie == tie);
}

static PyObject *get_owned(PyObject *object, void *unused)
{
    (void)unused;
    return is_tied(object, GA_PY_OWNS);
}

static PyObject *get_held(PyObject *object, void *unused)
{
    (void)unused;
    return is_tied(object, GA_PY_HOLDS);
}

static PyObject *get_closed(PyObject *object, void *unused)
{
    (void)unused;
    return is_tied(object, GA_PY_GONE);
}

static PyObject *repr(PyObject *object)
{
    static const char *const words[] = {
        [GA_PY_OWNS] = "owned",
        [GA_PY_HOLDS] = "held",
        [GA_PY_BORROWS] = "borrowed",
        [GA_PY_PARENTS] = "the parent's",
    };
    struct ga_py_object *self = (struct ga_py_object *)object;
    ga_py_object_meet_fork(self);
    if (self->tie == GA_PY_GONE)
        return PyUnicode_FromString("<goalloc.Object, closed>");
    return PyUnicode_FromFormat("<goalloc.Object of %zd bytes at %p, %s>", self->bytes,
                                self->address, words[self->tie]);
}

static PyMethodDef methods[] = {
    {"close", close_object, METH_NOARGS, close_doc},
    {"free", free_object, METH_NOARGS, free_doc},
    {"view", view, METH_NOARGS, view_doc},
    {"__enter__", enter, METH_NOARGS, enter_doc},
    {"__exit__", close_object, METH_VARARGS, exit_doc},
    {0},
};

static PyGetSetDef attributes[] = {
    {"address", get_address, NULL, "Where it is, the same number in every process.", NULL},
    {"heap", get_heap, NULL, "The Heap that it is in.", NULL},
    {"readonly", get_readonly, NULL, "Whether its buffers can only be read.", NULL},
    {"owned", get_owned, NULL, "Whether the end of this wrapper frees it.", NULL},
    {"held", get_held, NULL, "Whether this wrapper holds it: then it stays if others free it.",
     NULL},
    {"closed", get_closed, NULL, "Whether it is freed or let go.", NULL},
    {0},
};

PyDoc_STRVAR(doc,
             "An object in a heap, whose bytes are read and written without a copy.\n"
             "\n"
             "memoryview(object), and all else that takes buffers, sees the bytes in the shared\n"
             "memory. Heap.alloc makes one that is owned: it is freed with its wrapper, unless\n"
             "it is published before. Heap.lookup gives one that is held: others may free it,\n"
             "and it stays as long as its wrapper. In a with block it is closed at the end.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)doc},
    {Py_tp_dealloc, (void *)(uintptr_t)dealloc},
    {Py_tp_repr, (void *)(uintptr_t)repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_sq_length, (void *)(uintptr_t)length},
    {Py_bf_getbuffer, (void *)(uintptr_t)get_buffer},
    {Py_bf_releasebuffer, (void *)(uintptr_t)release_buffer},
    {0, NULL},
};

PyType_Spec ga_py_object_spec = {
    .name = "goalloc.Object",
    .basicsize = sizeof(struct ga_py_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
