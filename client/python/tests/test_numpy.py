"""Arrays in the heap; and headers that somebody else wrote."""

import random
import struct

import pytest

import goalloc

np = pytest.importorskip("numpy", reason="there is no numpy (python3-numpy)")

import goalloc.numpy as shared  # noqa: E402


def test_another_process_reads_an_array_without_a_copy(heap, program, in_use):
    """And writes it; and when the writer is killed the array stays."""
    writer = program("""
        import numpy as np, goalloc.numpy
        array = goalloc.numpy.empty((1000, 300), "f4", heap=heap)
        array[:] = np.arange(300000).reshape(1000, 300)
        goalloc.numpy.publish_array(heap, "matrix", array)
        say(array.__array_interface__["data"][0])
        for line in sys.stdin:
            array[:] += 1
            say(array.sum(dtype="f8"))
    """)
    array = shared.wait_array(heap, "matrix")
    assert array.shape == (1000, 300) and array.dtype == np.float32 and array.flags.writeable
    assert int(writer.line()) == array.__array_interface__["data"][0]
    expected = np.arange(300000, dtype="f4").reshape(1000, 300)
    assert np.array_equal(array, expected)
    writer.tell()
    assert float(writer.line()) == array.sum(dtype="f8") == expected.sum(dtype="f8") + 300000
    writer.kill()
    assert np.array_equal(array[::7].T, (expected + 1)[::7].T)
    object_ = shared.object_of(array[1:, ::2])
    heap.unpublish("matrix")
    with pytest.raises(BufferError):
        object_.free()
    del array
    object_.free()
    assert in_use() == 0


def test_types_and_shapes(heap):
    for dtype in ("?", "i1", "<u8", ">f8", "c16", "f2", "S7", "U3", "V5", "M8[ns]", "m8[25s]"):
        for shape in ((), 3, (0,), (2, 0, 5), (1, 2, 3, 4, 1, 1, 1, 2)):
            array = shared.empty(shape, dtype, heap=heap, name="it")
            assert array.dtype == np.dtype(dtype) and array.shape == np.empty(shape).shape
            array.view(f"V{array.dtype.itemsize}")[...] = b"\1"
            found = shared.lookup_array(heap, "it", readonly=True)
            assert found.dtype == array.dtype and found.shape == array.shape and not found.flags.writeable
            assert found.tobytes() == array.tobytes() and found.size == array.size
            assert found.size == 0 or np.shares_memory(found, array)
            heap.unpublish("it")


def test_types_that_cannot_be_shared(heap, in_use):
    for dtype in ("O", "i4,f8", "(2,)i4", "S", "V0", "M8[1234567890ns]"):
        with pytest.raises(ValueError, match="shared"):
            shared.empty(4, dtype, heap=heap)
    assert in_use() == 0


def test_shapes_that_cannot_be(heap, in_use):
    for shape in ((1,) * 9, (-1,), (2, -3)):
        with pytest.raises(ValueError, match="no shape"):
            shared.empty(shape, heap=heap)
    with pytest.raises((OverflowError, MemoryError, ValueError, struct.error)):
        shared.empty((1 << 40, 1 << 40), heap=heap)
    with pytest.raises(MemoryError):
        shared.empty(1 << 35, heap=heap)
    assert in_use() == 0


def test_what_is_not_in_the_heap_is_copied(heap, in_use):
    array = np.arange(12).reshape(3, 4)[:, ::-1]
    copy = shared.publish_array(heap, "it", array)
    assert np.array_equal(copy, array) and copy.flags.c_contiguous
    assert shared.publish_array(heap, "again", copy) is copy and in_use() == 1
    part = shared.publish_array(heap, "part", copy[1:])
    assert not np.shares_memory(part, copy) and np.array_equal(part, array[1:]) and in_use() == 2
    copy[0, 0] = 77
    assert shared.lookup_array(heap, "again")[0, 0] == 77
    for elsewhere in (array, np.frombuffer(b"12345678")):
        with pytest.raises(ValueError, match="in no object"):
            shared.object_of(elsewhere)


def test_an_array_is_freed_with_its_last_view(heap, in_use):
    array = shared.empty(1000, heap=heap)
    part = array[10:20].reshape(2, 5)
    del array
    assert in_use() == 1
    part[:] = 3
    del part
    assert in_use() == 0


def test_no_array(heap):
    heap.publish("text", heap.alloc(1000))
    with pytest.raises(ValueError, match="no array"):
        shared.lookup_array(heap, "text")
    heap.publish("small", heap.alloc(100))
    with pytest.raises(ValueError, match="too small"):
        shared.lookup_array(heap, "small")
    with pytest.raises(goalloc.NotFoundError):
        shared.lookup_array(heap, "nothing")
    with pytest.raises(goalloc.TimeoutError):
        shared.wait_array(heap, "nothing", 0.01)


BIG = (1 << 64) - 1


# What is wrong, the type, the shape, and last how many dimensions.
HOSTILE = [
    ("dimensions", b"<f8", [1] * 8 + [9]),
    ("dimensions", b"<f8", [1] * 8 + [BIG]),
    ("does not fit", b"<f8", [1 << 61, 8] + [1] * 6 + [2]),
    ("does not fit", b"<f8", [BIG] * 8 + [8]),
    ("does not fit", b"<f8", [0, BIG] + [1] * 6 + [2]),
    ("does not fit", b"|S999999999", [1] * 8 + [1]),
    ("does not fit", b"<f8", [97] + [1] * 8),
    ("no type", b"|O", [1] * 8 + [1]),
    ("no type", b"O8", [1] * 8 + [1]),
    ("no type", b"i4,f8", [1] * 8 + [1]),
    ("no type", b"<f3", [1] * 8 + [1]),
    ("no type", b"|V0", [1] * 8 + [1]),
    ("no type", b"f8", [1] * 8 + [1]),
    ("no type", b"<i\xb2", [1] * 8 + [1]),
    ("no type", b"<M8[zz]", [1] * 8 + [1]),
    ("no type", b"\xff" * 16, [1] * 8 + [1]),
    ("no type", b"", [1] * 8 + [1]),
]


def test_hostile_headers(heap):
    object_ = heap.alloc(880)  # in a slot of 896 bytes: there is room for 96 numbers of 8 bytes
    view = object_.view()
    heap.publish("it", object_)

    def look(typestr, lengths):
        header = struct.pack("<8s16s9Q", b"GOALLOC\1", typestr, lengths[8], *lengths[:8])
        view[:len(header)] = header
        return shared.lookup_array(heap, "it")

    assert look(b"<f8", [96] + [1] * 8).shape == (96,)
    for what, typestr, lengths in HOSTILE:
        with pytest.raises(ValueError, match=what):
            look(typestr, lengths)


def test_random_headers(heap):
    """Whatever it says, an array is refused or lies in its object."""
    seed = random.randrange(1 << 32)
    print(f"seed: {seed}")
    dice = random.Random(seed)
    array = shared.empty((3, 4), "i4", heap=heap, name="it")
    whole = shared.object_of(array).view()
    good = bytes(whole[:shared.HEADER_BYTES])
    begin = shared.object_of(array).address
    end = begin + len(heap.lookup("it"))
    found = 0
    for _ in range(5000):
        header = bytearray(good)
        for _ in range(dice.randint(1, 3)):
            header[dice.randrange(8, len(header))] = dice.choice([0, 1, 4, 8, 255, *b"<>|ifcSUVM248[s]"])
        whole[:len(header)] = header
        try:
            other = shared.lookup_array(heap, "it")
        except ValueError:
            continue
        low = other.__array_interface__["data"][0]
        assert other.size == 0 or (begin + shared.HEADER_BYTES <= low and low + other.nbytes <= end)
        other.tobytes()
        found += 1
    assert 0 < found < 5000
