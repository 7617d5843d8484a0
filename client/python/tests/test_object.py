"""Objects: whose they are, when they go, and their bytes."""

import gc

import pytest

import goalloc


def test_bytes_are_shared_and_not_copied(heap):
    object_ = heap.alloc(100)
    assert len(object_) == 100 and bytes(object_) == bytes(100)
    with object_.view() as one, memoryview(object_) as other:
        one[:5] = b"hello"
        assert bytes(other[:6]) == b"hello\0"
        other.cast("I")[1] = 7
        assert one[4] == 7 and len(one) == 100 and not one.readonly
    assert bytes(heap.at(object_.address).view()[:4]) == b"hell"


def test_any_size(heap, in_use):
    for size in (0, 1, 15, 16, 17, 8192, 8193, 40000, 3 << 20):
        with heap.alloc(size) as object_:
            assert len(object_) == len(object_.view()) == size
            object_.view()[:] = b"\xff" * size
            heap.publish("it", object_)
            found = heap.lookup("it")
            assert len(found) >= size and bytes(found.view()[:size]) == b"\xff" * size
            heap.unpublish("it")
            found.free()
    assert in_use() == 0


def test_alignment_and_flags(heap):
    assert heap.alloc(100, alignment=4096).address % 4096 == 0
    assert bytes(heap.alloc(64, noscan=False)) == bytes(64)
    heap.alloc(64).view()[:] = b"x" * 64
    assert heap.alloc(64, zero=False).address  # whatever its bytes are
    with pytest.raises(goalloc.Error, match="not valid"):
        heap.alloc(100, alignment=3)
    for wrong in (-1, 1 << 70):
        with pytest.raises((ValueError, OverflowError)):
            heap.alloc(wrong)
    with pytest.raises(TypeError):
        goalloc.Object()


def test_what_is_collected_is_freed(heap, in_use):
    object_ = heap.alloc(100)
    assert object_.owned and not object_.held and in_use() == 1
    del object_
    assert in_use() == 0


def test_with_frees_what_is_owned(heap, in_use):
    with heap.alloc(100) as object_:
        assert in_use() == 1
    assert in_use() == 0 and object_.closed
    object_.close()
    for use in (len, memoryview, goalloc.Object.view, lambda it: it.address, lambda it: it.free(),
                lambda it: heap.publish("it", it), lambda it: it.__enter__()):
        with pytest.raises(ValueError, match="freed or closed"):
            use(object_)
    assert repr(object_) == "<goalloc.Object, closed>"


def test_what_is_published_is_not_freed(heap, in_use):
    object_ = heap.alloc(100)
    heap.publish("it", object_)
    assert object_.held and not object_.owned
    del object_
    assert in_use() == 1
    found = heap.lookup("it")
    heap.unpublish("it")
    found.free()
    assert in_use() == 0


def test_an_object_stays_while_there_are_buffers(heap, in_use):
    object_ = heap.alloc(100)
    view = object_.view()
    part = view[10:20]
    for end in (object_.free, object_.close, heap.close):
        with pytest.raises(BufferError, match="in use"):
            end()
    part[:] = b"0123456789"
    view.release()
    with pytest.raises(BufferError):
        object_.free()
    part.release()
    object_.free()
    assert in_use() == 0


def test_a_buffer_keeps_its_object(heap, in_use):
    view = heap.alloc(100).view()
    gc.collect()
    assert in_use() == 1
    view[:] = b"x" * 100
    view.release()
    assert in_use() == 0


def test_readonly(heap):
    heap.publish("it", heap.alloc(100))
    found = heap.lookup("it", readonly=True)
    assert found.readonly and found.view().readonly
    with pytest.raises(TypeError):
        found.view()[0] = 1
    with open("/dev/zero", "rb") as zeros, pytest.raises(TypeError):
        zeros.readinto(found)
    heap.lookup("it").view()[0] = 1
    assert found.view()[0] == 1


def test_a_hold_keeps_what_others_free(heap, program):
    object_ = heap.alloc(64)
    object_.view()[:5] = b"hello"
    heap.publish("it", object_)
    other = program("""
        heap.lookup("it").free()
        heap.unpublish("it")
        say("freed")
    """)
    assert other.line() == "freed"
    others = [heap.alloc(64) for _ in range(1000)]
    assert object_.address not in [each.address for each in others]
    assert bytes(object_.view()[:5]) == b"hello"
    with pytest.raises(goalloc.Error, match="not in use"):
        object_.free()
    assert object_.held, "a free that is refused changes nothing"


def test_an_object_by_its_address(heap):
    one, other = heap.alloc(64, noscan=False), heap.alloc(1000)
    one.view().cast("Q")[0] = other.address
    other.view()[:2] = b"hi"
    found = heap.at(one.view().cast("Q")[0])
    assert found.held and bytes(found.view()[:2]) == b"hi" and found.heap is heap
    assert heap.at(other.address, hold=False, readonly=True).readonly
    for wrong in (0, 8, one.address + 16, 1 << 63):
        for hold in (True, False):
            with pytest.raises(goalloc.Error):
                heap.at(wrong, hold=hold)
    with pytest.raises(OverflowError):
        heap.at(1 << 64)


def test_repr(heap):
    object_ = heap.alloc(10)
    assert repr(object_) == f"<goalloc.Object of 10 bytes at {object_.address:#x}, owned>"
    heap.publish("it", object_)
    assert repr(object_).endswith("held>") and repr(heap.lookup("it", hold=False)).endswith("borrowed>")
