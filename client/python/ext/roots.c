/* Names.
 *
 * What is published others may free, so a wrapper of it holds it, from before it is published or
 * from the lookup on: nobody can free it then under a memoryview. A name is looked up, the object
 * held, and the name looked up again: if it still stands for the same object, the hold came before
 * any free (goalloc_hold(3)). */
#include "roots.h"

#include <errno.h>
#include <time.h>

#include "duration.h"
#include "module.h"
#include "object.h"
#include "report.h"

/* So often the same object is found under a name and is no object in use. More than once it may be
 * that it was freed and allocated again meanwhile. */
#define GONE_MAX 3

/* How long wait is deaf to signals' handlers, which Python runs between calls. */
#define SLICE_MS    1000u
#define FOR_EVER_MS UINT64_MAX

/* What comes of a search beside 0, found, and a negative errno. */
enum outcome {
    CHANGED = 1, /* the name stands for another object by now */
    FREED,       /* it stands for an object that was freed */
    GOES_ON,     /* the slice is over, and the time is not */
    INTERRUPTED, /* the handler of a signal has raised an exception */
};

static struct ga_py_errors *errors_of(PyObject *object)
{
    return &ga_py_state_of(object)->errors;
}

PyObject *ga_py_roots_wrap(struct ga_py_heap *self, void *p, bool held, bool readonly)
{
    struct goalloc_heap *heap = self->heap;
    ga_py_report_begin();
    size_t bytes = goalloc_usable_size(heap, p);
    const char *refused = ga_py_report_end();
    struct ga_py_object *made = NULL;
    if (refused)
        ga_py_raise_message(errors_of((PyObject *)self), -EINVAL, refused);
    else
        made = ga_py_object_new(self, p, (Py_ssize_t)bytes, held ? GA_PY_HOLDS : GA_PY_BORROWS,
                                readonly);
    if (!made && held)
        (void)goalloc_release(heap, p);
    return (PyObject *)made;
}

/* ---- publish and replace ---- */

/* The object that args name for publication, busy from now on. */
static struct ga_py_object *begin_publish(PyObject *heap, PyObject *args, const char *format,
                                          const char **ret_name)
{
    PyObject *given;
    if (!PyArg_ParseTuple(args, format, ret_name, ga_py_state_of(heap)->object_type, &given))
        return NULL;
    struct ga_py_object *object = (struct ga_py_object *)given;
    if (object->heap != (struct ga_py_heap *)heap) {
        PyErr_SetString(PyExc_ValueError, "the object is in another heap");
        return NULL;
    }
    if (ga_py_object_begin(object) < 0)
        return NULL;
    if (object->tie != GA_PY_PARENTS)
        return object;
    ga_py_object_end(object);
    ga_py_raise(errors_of(heap), -EPERM, "the object is this process's parent's");
    return NULL;
}

/* With ret_old replace, else publish. *ret_kept: the object has a hold that it needs, since it is
 * published; or may be, or may yet be, after a timeout. */
static int change_root(struct goalloc_heap *heap, const char *name, void *p, bool owned,
                       bool *ret_kept, void **ret_old)
{
    int r = owned ? goalloc_hold(heap, p) : 0;
    if (r < 0)
        return r;
    r = ret_old ? goalloc_replace(heap, name, p, ret_old) : goalloc_publish(heap, name, p);
    *ret_kept = owned && (r == 0 || r == -ETIMEDOUT);
    if (owned && !*ret_kept)
        (void)goalloc_release(heap, p);
    return r;
}

static void end_publish(struct ga_py_object *object, bool kept)
{
    if (kept)
        object->tie = GA_PY_HOLDS;
    ga_py_object_end(object);
}

const char ga_py_publish_doc[] =
    "publish($self, name, object, /)\n"
    "--\n"
    "\n"
    "Publish object under name, so that other processes find it.\n"
    "\n"
    "name: 1 to 255 bytes of UTF-8.\n"
    "From now on the wrapper does not own the object but holds it: it outlives this process, "
    "until\n"
    "somebody takes the name back and calls free. Raises goalloc.ExistsError if the name is taken.";

PyObject *ga_py_publish(PyObject *heap, PyObject *args)
{
    struct ga_py_heap *self = (struct ga_py_heap *)heap;
    const char *name;
    struct ga_py_object *object = begin_publish(heap, args, "sO!:publish", &name);
    if (!object)
        return NULL;
    struct goalloc_heap *inner = ga_py_heap_begin(self);
    bool owned = object->tie == GA_PY_OWNS;
    bool kept = false;
    int r;
    Py_BEGIN_ALLOW_THREADS
    r = change_root(inner, name, object->address, owned, &kept, NULL);
    Py_END_ALLOW_THREADS
    ga_py_heap_end(self);
    end_publish(object, kept);
    if (r < 0)
        return ga_py_raise_name(errors_of(heap), r, name);
    Py_RETURN_NONE;
}

const char ga_py_replace_doc[] =
    "replace($self, name, object, /)\n"
    "--\n"
    "\n"
    "Publish object under name, whether the name is taken or not, in one step.\n"
    "\n"
    "The Object that the name stood for is returned, or None; it stays, and to free it is up to\n"
    "the caller.";

PyObject *ga_py_replace(PyObject *heap, PyObject *args)
{
    struct ga_py_heap *self = (struct ga_py_heap *)heap;
    const char *name;
    struct ga_py_object *object = begin_publish(heap, args, "sO!:replace", &name);
    if (!object)
        return NULL;
    struct goalloc_heap *inner = ga_py_heap_begin(self);
    bool owned = object->tie == GA_PY_OWNS;
    bool kept = false;
    void *old = NULL;
    bool held = false;
    int r;
    Py_BEGIN_ALLOW_THREADS
    r = change_root(inner, name, object->address, owned, &kept, &old);
    held = r == 0 && old && goalloc_hold(inner, old) == 0;
    Py_END_ALLOW_THREADS
    end_publish(object, kept);
    PyObject *result = NULL;
    if (r < 0) {
        ga_py_raise_name(errors_of(heap), r, name);
    } else if (old) {
        result = ga_py_roots_wrap(self, old, held, false);
    } else {
        Py_INCREF(Py_None);
        result = Py_None;
    }
    ga_py_heap_end(self);
    return result;
}

const char ga_py_unpublish_doc[] =
    "unpublish($self, name, /)\n"
    "--\n"
    "\n"
    "Take name back; the object stays. Raises goalloc.NotFoundError if nobody published it.";

PyObject *ga_py_unpublish(PyObject *heap, PyObject *args)
{
    struct ga_py_heap *self = (struct ga_py_heap *)heap;
    const char *name;
    if (!PyArg_ParseTuple(args, "s:unpublish", &name))
        return NULL;
    struct goalloc_heap *inner = ga_py_heap_begin(self);
    if (!inner)
        return NULL;
    int r;
    Py_BEGIN_ALLOW_THREADS
    r = goalloc_unpublish(inner, name);
    Py_END_ALLOW_THREADS
    ga_py_heap_end(self);
    if (r < 0)
        return ga_py_raise_name(errors_of(heap), r, name);
    Py_RETURN_NONE;
}

/* ---- lookup and wait ---- */

/* Hold p if name, which stood for it, still does. CHANGED, with *ret_now: it could not be held, or
 * the name stands for another. */
static int hold_if_still(struct goalloc_heap *heap, const char *name, void *p, void **ret_now)
{
    int held = goalloc_hold(heap, p);
    if (held < 0 && held != -EINVAL)
        return held;
    int r = goalloc_lookup(heap, name, ret_now);
    if (r == 0 && (held < 0 || *ret_now != p))
        r = CHANGED;
    if (held == 0 && r != 0)
        (void)goalloc_release(heap, p);
    return r;
}

/* Hold what name stands for, which was *p not long ago. Or FREED. */
static int hold_named(struct goalloc_heap *heap, const char *name, void **p)
{
    for (int gone = 0;;) {
        void *now = NULL;
        int r = hold_if_still(heap, name, *p, &now);
        if (r != CHANGED)
            return r;
        gone = now == *p ? gone + 1 : 0;
        if (gone == GONE_MAX)
            return FREED;
        *p = now;
    }
}

static PyObject *raise_lookup(PyObject *heap, int r, const char *name)
{
    struct ga_py_errors *errors = errors_of(heap);
    if (r == FREED)
        return ga_py_raise(errors, -EINVAL, "'%s' stands for an object that was freed", name);
    if (r == -ENOTSUP)
        return ga_py_raise(errors, r, "'%s' is too small to be held; see hold=False", name);
    return ga_py_raise_name(errors, r, name);
}

const char ga_py_lookup_doc[] =
    "lookup($self, name, /, *, hold=True, readonly=False)\n"
    "--\n"
    "\n"
    "The Object that was published under name.\n"
    "\n"
    "hold: it is held, so that it stays as long as this wrapper, whoever frees it; False saves\n"
    "    two requests, for objects that nobody frees meanwhile.\n"
    "readonly: its buffers can only be read.\n"
    "Its length is that of its slot, which may be more than its publisher asked for. Raises\n"
    "goalloc.NotFoundError, which is a LookupError.";

PyObject *ga_py_lookup(PyObject *heap, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"", "hold", "readonly", NULL};
    struct ga_py_heap *self = (struct ga_py_heap *)heap;
    const char *name;
    int hold = 1;
    int readonly = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "s|$pp:lookup", names, &name, &hold,
                                     &readonly))
        return NULL;
    struct goalloc_heap *inner = ga_py_heap_begin(self);
    if (!inner)
        return NULL;
    void *p = NULL;
    int r;
    Py_BEGIN_ALLOW_THREADS
    r = goalloc_lookup(inner, name, &p);
    if (r == 0 && hold)
        r = hold_named(inner, name, &p);
    Py_END_ALLOW_THREADS
    PyObject *found =
        r == 0 ? ga_py_roots_wrap(self, p, hold, readonly) : raise_lookup(heap, r, name);
    ga_py_heap_end(self);
    return found;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Wait for a slice of what is left_ms. Or FREED, or GOES_ON. */
static int wait_slice(struct goalloc_heap *heap, const char *name, uint64_t left_ms, bool hold,
                      void **ret_p)
{
    bool last = left_ms <= SLICE_MS;
    int r = goalloc_wait(heap, name, last ? (uint32_t)left_ms : SLICE_MS, ret_p);
    /* Who waits for ever does so no longer without a server than other calls. */
    if (r == -ETIMEDOUT && left_ms == FOR_EVER_MS)
        r = goalloc_lookup(heap, name, ret_p);
    else if (r == -ETIMEDOUT && !last)
        return GOES_ON;
    if (r == 0 && hold)
        r = hold_named(heap, name, ret_p);
    /* Nobody has published it, or it was taken back before it was held. */
    return r == -ENOENT && left_ms > 0 ? GOES_ON : r;
}

/* As wait_slice, until the time is over. Or FREED, or INTERRUPTED. */
static int wait_for(struct goalloc_heap *heap, const char *name, uint64_t timeout_ms, bool hold,
                    void **ret_p)
{
    bool for_ever = timeout_ms == FOR_EVER_MS;
    uint64_t end_ms = for_ever ? FOR_EVER_MS : now_ms() + timeout_ms;
    for (uint64_t left_ms = timeout_ms;;) {
        int r;
        Py_BEGIN_ALLOW_THREADS
        r = wait_slice(heap, name, left_ms, hold, ret_p);
        Py_END_ALLOW_THREADS
        if (r != GOES_ON)
            return r;
        if (PyErr_CheckSignals() < 0)
            return INTERRUPTED;
        uint64_t now = now_ms();
        if (now >= end_ms)
            return -ETIMEDOUT;
        left_ms = for_ever ? FOR_EVER_MS : end_ms - now;
    }
}

static PyObject *raise_wait(PyObject *heap, int r, const char *name, bool for_ever)
{
    if (r == INTERRUPTED)
        return NULL;
    if (r == -ETIMEDOUT && !for_ever) {
        PyObject *text = PyUnicode_FromFormat("'%s': nobody has published it in time", name);
        return ga_py_raise_text(errors_of(heap), r, text);
    }
    return raise_lookup(heap, r, name);
}

const char ga_py_wait_doc[] =
    "wait($self, name, /, timeout=None, *, hold=True, readonly=False)\n"
    "--\n"
    "\n"
    "Wait until an object is published under name: that Object, as lookup gives it.\n"
    "\n"
    "timeout: in seconds; None waits on, but no longer without a server than other calls; 0 is\n"
    "    lookup.\n"
    "hold, readonly: as lookup has them.\n"
    "Raises goalloc.TimeoutError, which is a TimeoutError.";

PyObject *ga_py_wait(PyObject *heap, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"", "timeout", "hold", "readonly", NULL};
    struct ga_py_heap *self = (struct ga_py_heap *)heap;
    const char *name;
    PyObject *timeout = Py_None;
    uint32_t timeout_ms = 0;
    int hold = 1;
    int readonly = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "s|O$pp:wait", names, &name, &timeout, &hold,
                                     &readonly))
        return NULL;
    bool for_ever = timeout == Py_None;
    if (!for_ever && ga_py_duration_ms(timeout, &timeout_ms) < 0)
        return NULL;
    struct goalloc_heap *inner = ga_py_heap_begin(self);
    if (!inner)
        return NULL;
    void *p = NULL;
    int r = wait_for(inner, name, for_ever ? FOR_EVER_MS : timeout_ms, hold, &p);
    PyObject *found =
        r == 0 ? ga_py_roots_wrap(self, p, hold, readonly) : raise_wait(heap, r, name, for_ever);
    ga_py_heap_end(self);
    return found;
}
