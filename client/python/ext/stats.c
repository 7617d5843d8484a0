#include "stats.h"

#include <stddef.h>

/* The numbers of struct goalloc_memstats, in its order; what they are goalloc.h says, and
 * goalloc_memstats(3). */
#define NUMBERS(X)                                                                                 \
    X(alloc)                                                                                       \
    X(total_alloc)                                                                                 \
    X(sys)                                                                                         \
    X(mallocs)                                                                                     \
    X(frees)                                                                                       \
    X(heap_alloc)                                                                                  \
    X(heap_sys)                                                                                    \
    X(heap_idle)                                                                                   \
    X(heap_inuse)                                                                                  \
    X(heap_released)                                                                               \
    X(heap_objects)                                                                                \
    X(mspan_inuse)                                                                                 \
    X(mspan_sys)                                                                                   \
    X(mcache_inuse)                                                                                \
    X(mcache_sys)                                                                                  \
    X(other_sys)                                                                                   \
    X(spans)                                                                                       \
    X(leased_spans)                                                                                \
    X(leased_bytes)                                                                                \
    X(own_mallocs)                                                                                 \
    X(own_frees)                                                                                   \
    X(own_total_alloc)                                                                             \
    X(own_total_free)                                                                              \
    X(own_mcaches)                                                                                 \
    X(own_leased_spans)                                                                            \
    X(own_leased_bytes)                                                                            \
    X(num_gc)                                                                                      \
    X(next_gc)                                                                                     \
    X(last_gc)                                                                                     \
    X(pause_ns)                                                                                    \
    X(pause_total_ns)

#define FIELD(name)  {#name, NULL},
#define OFFSET(name) offsetof(struct goalloc_memstats, name),

static const size_t offsets[] = {NUMBERS(OFFSET)};

#define NUMBER_COUNT ((Py_ssize_t)(sizeof(offsets) / sizeof(offsets[0])))

static PyStructSequence_Field fields[] = {
    NUMBERS(FIELD){"by_size", "a SizeStats for each size class"},
    {"own_by_size", "the same, of this attachment alone"},
    {NULL, NULL},
};

static PyStructSequence_Field size_fields[] = {
    {"size", "of a slot, in bytes; 0 in class 0, where each object has its own"},
    {"mallocs", "slots ever allocated"},
    {"frees", "slots ever freed"},
    {NULL, NULL},
};

static PyTypeObject *add_type(PyObject *module, PyStructSequence_Desc *description)
{
    PyTypeObject *type = PyStructSequence_NewType(description);
    if (type && PyModule_AddType(module, type) < 0)
        Py_CLEAR(type);
    return type;
}

int ga_py_stats_init(PyObject *module, PyTypeObject **ret_stats, PyTypeObject **ret_size_stats)
{
    PyStructSequence_Desc stats = {"goalloc.Stats",
                                   "Counts of a heap, under the names of Go's runtime.MemStats; "
                                   "goalloc_memstats(3) says what they are.",
                                   fields, (int)NUMBER_COUNT + 2};
    PyStructSequence_Desc sizes = {"goalloc.SizeStats", "What was done in one size class.",
                                   size_fields, 3};
    *ret_stats = add_type(module, &stats);
    *ret_size_stats = add_type(module, &sizes);
    return *ret_stats && *ret_size_stats ? 0 : -1;
}

static PyObject *size_stats(PyTypeObject *type, const struct goalloc_size_stats *of)
{
    const uint64_t numbers[] = {of->size, of->mallocs, of->frees};
    PyObject *self = PyStructSequence_New(type);
    for (Py_ssize_t i = 0; self && i < 3; i++)
        PyStructSequence_SetItem(self, i, PyLong_FromUnsignedLongLong(numbers[i]));
    if (self && PyErr_Occurred())
        Py_CLEAR(self);
    return self;
}

static PyObject *all_sizes(PyTypeObject *type, const struct goalloc_size_stats *of)
{
    PyObject *tuple = PyTuple_New(GOALLOC_SIZE_CLASS_COUNT);
    for (Py_ssize_t i = 0; tuple && i < GOALLOC_SIZE_CLASS_COUNT; i++) {
        PyObject *one = size_stats(type, &of[i]);
        if (!one || PyTuple_SetItem(tuple, i, one) < 0)
            Py_CLEAR(tuple);
    }
    return tuple;
}

PyObject *ga_py_stats_new(PyTypeObject *stats_type, PyTypeObject *size_stats_type,
                          const struct goalloc_memstats *stats)
{
    PyObject *self = PyStructSequence_New(stats_type);
    if (!self)
        return NULL;
    for (Py_ssize_t i = 0; i < NUMBER_COUNT; i++) {
        const uint64_t *number = (const uint64_t *)((const char *)stats + offsets[i]);
        PyStructSequence_SetItem(self, i, PyLong_FromUnsignedLongLong(*number));
    }
    PyStructSequence_SetItem(self, NUMBER_COUNT, all_sizes(size_stats_type, stats->by_size));
    PyStructSequence_SetItem(self, NUMBER_COUNT + 1,
                             all_sizes(size_stats_type, stats->own_by_size));
    if (PyErr_Occurred())
        Py_CLEAR(self);
    return self;
}
