"""What is done ten thousand times leaves nothing: no Python object, no reference, no memory."""

import gc
import os
import sys

import pytest

import goalloc


def _resident_bytes():
    with open("/proc/self/statm") as numbers:
        pages, shared = numbers.read().split()[1:3]
    return (int(pages) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def use_objects(heap):
    with heap.alloc(100) as object_, object_.view() as view:
        view[0] = 1
        len(object_), object_.address, object_.heap, repr(object_), repr(heap)


def use_names(heap):
    object_ = heap.alloc(100)
    heap.publish("it", object_)
    heap.lookup("it", readonly=True)
    heap.wait("it", 1)
    old = heap.replace("it", heap.alloc(64))
    heap.replace("it", old).free()
    heap.unpublish("it")
    object_.free()


def use_errors(heap):
    for call in (lambda: heap.lookup("nothing"), lambda: heap.alloc(1 << 40), lambda: heap.at(8),
                 lambda: heap.alloc(-1), lambda: heap.publish("", heap.alloc(1)),
                 lambda: heap.publish("it", None), lambda: heap.wait("nothing", 0)):
        try:
            call()
        except Exception:
            pass
    closed = heap.alloc(1)
    with closed.view():
        try:
            closed.free()
        except BufferError:
            pass
    closed.close()
    try:
        closed.view()
    except ValueError:
        pass


def use_stats(heap):
    heap.stats()


def use_arrays(heap):
    shared = pytest.importorskip("goalloc.numpy", reason="there is no numpy (python3-numpy)")
    array = shared.empty((3, 4), heap=heap, name="it")
    object_ = shared.object_of(shared.lookup_array(heap, "it"))
    heap.unpublish("it")
    del array
    object_.free()


def use_attachments(heap):
    path = os.environ["LEAKS_SOCKET"]
    with goalloc.attach(path) as other:
        kept = other.alloc(10)
    kept.close()
    try:
        goalloc.attach("/nowhere")
    except goalloc.Error:
        pass


@pytest.mark.parametrize("use, times", [(use_objects, 10000), (use_names, 10000), (use_errors, 10000),
                                        (use_stats, 10000), (use_arrays, 10000), (use_attachments, 300)])
def test_nothing_is_left(server, heap, in_use, monkeypatch, request, use, times):
    other = type(server)()
    request.addfinalizer(other.close)
    other.start()
    monkeypatch.setenv("LEAKS_SOCKET", other.socket)

    def measure():
        gc.collect()
        references = [sys.getrefcount(it) for it in (heap, goalloc.Heap, goalloc.Object, goalloc.Stats, goalloc.Error)]
        return sys.getallocatedblocks(), references, _resident_bytes()

    for _ in range(times // 10):
        use(heap)
    blocks, references, resident = measure()
    for _ in range(times):
        use(heap)
    blocks_now, references_now, resident_now = measure()
    assert references_now == references
    assert blocks_now - blocks < times // 20
    if not os.environ.get("GOALLOC_SANITIZED"):  # which keep what is freed for a while
        assert resident_now - resident < 40 * times
    assert in_use() == 0
