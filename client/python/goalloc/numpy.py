"""numpy arrays in the shared heap, which other processes read and write without a copy.

    array = goalloc.numpy.empty((1000, 1000), "f8", heap=heap)
    array[:] = 1
    goalloc.numpy.publish_array(heap, "ones", array)

and elsewhere

    array = goalloc.numpy.lookup_array(heap, "ones")

Before its elements an array has a header of HEADER_BYTES bytes that tells its type and shape, so
that programs in other languages can read it, too (README.md of this package). Whoever wrote it is
not believed: a header that does not fit its object is a ValueError.

An array keeps its object: as long as there is the array, or a view of it, free and close of the
object and its heap raise BufferError. An array made by numpy.ndarray(buffer=...) is not seen by
that; numpy.frombuffer and numpy.asarray are.
"""

import collections.abc
import operator
import re
import struct
from typing import Any, Optional, SupportsIndex, Tuple, Union

import numpy as np
import numpy.typing as npt

from . import Heap, Object

__all__ = [
    "HEADER_BYTES",
    "MAX_DIMENSIONS",
    "empty",
    "lookup_array",
    "object_of",
    "publish_array",
    "wait_array",
]

HEADER_BYTES = 128
MAX_DIMENSIONS = 8

_MAGIC = b"GOALLOC\1"
# The magic, the type as numpy's typestr, the number of dimensions, and the shape.
_HEADER = struct.Struct(f"<8s16sQ{MAX_DIMENSIONS}Q")
# Numbers, times, and strings of one size; neither Python's objects, which are pointers into one
# process, nor records.
_TYPESTR = re.compile(r"[<>|][biufcmMSUV][0-9]{1,9}(\[[0-9]{0,9}[a-zA-Z]{1,2}\])?", re.ASCII)


def _bytes_of(dtype: "np.dtype[Any]", shape: Tuple[int, ...]) -> int:
    count = 1
    for length in shape:
        count *= length
    return HEADER_BYTES + count * dtype.itemsize


def _read_typestr(typestr: str) -> "np.dtype[Any]":
    """The type, of which none other has this typestr; ValueError if it is none that is shared."""
    if _TYPESTR.fullmatch(typestr):
        try:
            dtype: "np.dtype[Any]" = np.dtype(typestr)
        except (TypeError, ValueError):
            pass
        else:
            if dtype.itemsize > 0 and dtype.str == typestr:
                return dtype
    raise ValueError(f"{typestr!r} is no type of elements that can be shared")


def _pack(dtype: "np.dtype[Any]", shape: Tuple[int, ...]) -> bytes:
    typestr = dtype.str
    if dtype.names is not None or dtype.subdtype is not None or len(typestr) > 16:
        raise ValueError(f"arrays of {dtype} cannot be shared")
    _read_typestr(typestr)
    if len(shape) > MAX_DIMENSIONS or any(length < 0 for length in shape):
        raise ValueError(f"{shape} is no shape of up to {MAX_DIMENSIONS} dimensions")
    lengths = shape + (0,) * (MAX_DIMENSIONS - len(shape))
    return _HEADER.pack(_MAGIC, typestr.encode(), len(shape), *lengths).ljust(HEADER_BYTES, b"\0")


def _unpack(header: bytes, available: int) -> Tuple["np.dtype[Any]", Tuple[int, ...]]:
    """header: a copy, which nobody can change any more; of an object of so many bytes."""
    if len(header) < HEADER_BYTES:
        raise ValueError("the object is too small for an array")
    magic, typestr, ndim, *lengths = _HEADER.unpack_from(header)
    if magic != _MAGIC:
        raise ValueError("the object is no array")
    if ndim > MAX_DIMENSIONS:
        raise ValueError(f"the array has {ndim} dimensions, more than {MAX_DIMENSIONS}")
    dtype = _read_typestr(typestr.rstrip(b"\0").decode("latin-1"))
    shape = tuple(lengths[:ndim])
    if _bytes_of(dtype, shape) > available or max(shape, default=0) > available:
        raise ValueError(f"an array of {dtype} of shape {shape} does not fit into {available} bytes")
    return dtype, shape


def _array_in(object_: Object) -> "npt.NDArray[Any]":
    view = object_.view()
    dtype, shape = _unpack(bytes(view[:HEADER_BYTES]), len(view))
    elements = np.frombuffer(view, np.uint8)[HEADER_BYTES : _bytes_of(dtype, shape)]
    return elements.view(dtype).reshape(shape)


def _is_whole(array: "npt.NDArray[Any]", heap: Heap) -> bool:
    """Whether array is all of what the header of its object says, in this heap."""
    try:
        object_ = object_of(array)
        whole = _array_in(object_)
    except ValueError:
        return False
    return object_.heap is heap and (
        array.__array_interface__ == whole.__array_interface__ and array.dtype == whole.dtype
    )


def empty(
    shape: Union[SupportsIndex, collections.abc.Sequence[SupportsIndex]],
    dtype: "npt.DTypeLike" = float,
    *,
    heap: Heap,
    name: Optional[str] = None,
) -> "npt.NDArray[Any]":
    """A new array in the heap, in C order, whose elements are what was there before.

    name: publish it at once, for processes that may see it before it is filled. Without one it is
    freed with its last view.
    Raises ValueError for a type or shape that cannot be shared, else as Heap.alloc and publish.
    """
    lengths = shape if isinstance(shape, collections.abc.Sequence) else (shape,)
    whole_shape = tuple(operator.index(length) for length in lengths)
    element: "np.dtype[Any]" = np.dtype(dtype)
    header = _pack(element, whole_shape)
    object_ = heap.alloc(_bytes_of(element, whole_shape), zero=False)
    with object_.view() as view:
        view[:HEADER_BYTES] = header
    array = _array_in(object_)
    if name is not None:
        heap.publish(name, object_)
    return array


def publish_array(heap: Heap, name: str, array: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    """Publish array under name, and return it as it is in the heap.

    What empty has made, or lookup_array found, is published as it is; any other array, a part of
    one included, is copied into the heap.
    """
    shared = array
    if not _is_whole(array, heap):
        shared = empty(array.shape, array.dtype, heap=heap)
        shared[...] = array
    heap.publish(name, object_of(shared))
    return shared


def lookup_array(heap: Heap, name: str, *, readonly: bool = False) -> "npt.NDArray[Any]":
    """The array that was published under name, which is not copied.

    It is held as long as there are views of it. Raises ValueError if what was published is no
    array, else as Heap.lookup.
    """
    return _array_in(heap.lookup(name, readonly=readonly))


def wait_array(
    heap: Heap, name: str, timeout: Optional[float] = None, *, readonly: bool = False
) -> "npt.NDArray[Any]":
    """As lookup_array, but wait until there is one, as Heap.wait does."""
    return _array_in(heap.wait(name, timeout, readonly=readonly))


def object_of(array: "npt.NDArray[Any]") -> Object:
    """The Object that array is in, to free or publish it; ValueError if it is in none."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    if not isinstance(base, Object):
        raise ValueError("the array is in no object of a heap")
    return base
