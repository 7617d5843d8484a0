"""malloc for a family of processes: objects in shared memory, read and written without a copy.

A process attaches to a heap that a server, goallocd, keeps in shared memory:

    import goalloc

    with goalloc.attach() as heap:
        page = heap.alloc(4096)
        with page.view() as bytes_:
            bytes_[:5] = b"hello"
        heap.publish("page", page)

and another finds it:

    with goalloc.attach() as heap, heap.wait("page") as page, page.view() as bytes_:
        print(bytes(bytes_[:5]))

goalloc.numpy does the same for arrays. Which calls there are, and what they raise, the docstrings
of Heap and Object say.
"""

from ._goalloc import (
    NAME_MAX,
    Error,
    ExistsError,
    Heap,
    NotFoundError,
    Object,
    OutOfMemoryError,
    SizeStats,
    Stats,
    TimeoutError,
    attach,
)

__all__ = [
    "NAME_MAX",
    "Error",
    "ExistsError",
    "Heap",
    "NotFoundError",
    "Object",
    "OutOfMemoryError",
    "SizeStats",
    "Stats",
    "TimeoutError",
    "attach",
]
