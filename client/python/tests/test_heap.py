"""The attachment: names, waiting, errors, threads, fork."""

import errno
import os
import signal
import sys
import threading
import time

import pytest

import goalloc


def test_names(heap):
    one, other = heap.alloc(32), heap.alloc(32)
    heap.publish("a name, ü", one)
    assert heap.lookup("a name, ü").address == one.address
    with pytest.raises(FileExistsError) as caught:
        heap.publish("a name, ü", other)
    assert caught.type is goalloc.ExistsError and caught.value.errno == errno.EEXIST
    assert other.owned, "what is not published stays its wrapper's"
    assert heap.replace("new", other) is None
    old = heap.replace("a name, ü", other)
    assert old.address == one.address and old.held
    assert heap.lookup("a name, ü").address == heap.lookup("new").address == other.address
    heap.unpublish("new")
    with pytest.raises(LookupError, match="'new': There is nothing of this name.") as caught:
        heap.lookup("new")
    assert caught.type is goalloc.NotFoundError and isinstance(caught.value, goalloc.Error)
    with pytest.raises(goalloc.NotFoundError):
        heap.unpublish("new")


def test_wrong_names(heap):
    object_ = heap.alloc(32)
    for wrong in ("", "x" * (goalloc.NAME_MAX + 1)):
        with pytest.raises(goalloc.Error):
            heap.publish(wrong, object_)
    with pytest.raises(ValueError):
        heap.publish("a\0b", object_)
    with pytest.raises(TypeError):
        heap.publish("x", b"bytes")
    assert object_.owned
    heap.publish("x" * goalloc.NAME_MAX, object_)


def test_a_name_of_what_was_freed(heap):
    object_ = heap.alloc(32)
    heap.publish("it", object_)
    object_.free()
    with pytest.raises(goalloc.Error, match="'it' stands for an object that was freed"):
        heap.lookup("it")


def test_what_is_too_small_to_be_held(heap, program):
    other = program("""
        import ctypes
        c = ctypes.CDLL("libgoalloc-client.so.0")  # as a C program would
        c.goalloc_alloc.restype = ctypes.c_void_p
        h = ctypes.c_void_p()
        heap.close()
        assert c.goalloc_attach(None, None, ctypes.byref(h)) == 0
        p = ctypes.c_void_p(c.goalloc_alloc(h, ctypes.c_size_t(8), ctypes.c_size_t(0), 1))
        ctypes.memmove(p, b"12345678", 8)
        assert c.goalloc_publish(h, b"tiny", p) == 0
    """)
    other.end()
    with pytest.raises(goalloc.Error, match="too small to be held"):
        heap.lookup("tiny")
    assert bytes(heap.lookup("tiny", hold=False).view()[:8]) == b"12345678"


def test_waiting_ends_when_it_is_published(heap):
    """Which another thread can do meanwhile, so the interpreter is not locked."""
    found = []
    waits = threading.Thread(target=lambda: found.append(heap.wait("it")))
    waits.start()
    time.sleep(1.2)  # for longer than one slice
    object_ = heap.alloc(64)
    heap.publish("it", object_)
    waits.join(60)
    assert found[0].address == object_.address and found[0].held
    assert heap.wait("it", 0).address == object_.address


def test_waiting_in_vain(heap):
    with pytest.raises(TimeoutError, match="'it': nobody has published it in time") as caught:
        heap.wait("it", 0.05)
    assert caught.type is goalloc.TimeoutError and caught.value.errno == errno.ETIMEDOUT
    with pytest.raises(goalloc.NotFoundError):
        heap.wait("it", 0)
    for wrong in (-1, float("nan"), "1"):
        with pytest.raises((ValueError, TypeError)):
            heap.wait("it", wrong)


def test_who_waits_can_be_interrupted(heap, program):
    waits = program("""
        try:
            say("waits")
            heap.wait("nobody publishes this")
        except KeyboardInterrupt:
            say("interrupted")
    """)
    assert waits.line() == "waits"
    waits.process.send_signal(signal.SIGINT)
    assert waits.line() == "interrupted"


def test_no_server(server, program):
    """Calls end after the time that attach was told, and say what was wrong."""
    heap = goalloc.attach(server.socket, timeout=0.2)
    object_ = heap.alloc(64)
    server.kill()
    for call in (lambda: heap.publish("it", object_), lambda: heap.wait("it"), heap.stats):
        with pytest.raises(goalloc.TimeoutError, match="did not answer in time"):
            call()
    object_.view()[:] = b"x" * 64
    server.start()
    assert bytes(object_.view()) == b"x" * 64 and heap.stats().heap_objects == 1
    heap.close()


def test_the_heap_is_full(heap):
    with pytest.raises(MemoryError, match="1073741824 bytes: The heap is full") as caught:
        heap.alloc(1 << 30)
    assert caught.type is goalloc.OutOfMemoryError and caught.value.errno == errno.ENOMEM


def test_attach_says_what_is_wrong(server, heap, tmp_path):
    with pytest.raises(goalloc.Error, match="/sock: no such socket; is goallocd running") as caught:
        goalloc.attach(tmp_path / "sock")
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(goalloc.Error, match=server.name + ".heap, at .*; attach it once") as caught:
        goalloc.attach(server.socket.encode())
    assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(ValueError, match="policy is 'keep', 'private' or 'unreachable', not 'mine'"):
        goalloc.attach(server.socket, policy="mine")
    with pytest.raises(ValueError, match="more than 0"):
        goalloc.attach(server.socket, timeout=0)
    with pytest.raises(TypeError):
        goalloc.Heap()


def test_a_closed_heap(server):
    with goalloc.attach(server.socket, client_name="me") as heap:
        kept = heap.alloc(64)
    assert heap.closed and kept.closed and repr(heap) == "<goalloc.Heap, closed>"
    heap.close()
    for use in (heap.stats, heap.__enter__, lambda: heap.alloc(1), lambda: heap.lookup("x"),
                lambda: len(kept), lambda: heap.wait("x", 0), lambda: heap.at(kept), kept.view):
        with pytest.raises((ValueError, TypeError)):
            use()
    kept.close()


def test_closing_frees_what_is_owned(server, in_use):
    with goalloc.attach(server.socket) as heap:
        owned = [heap.alloc(100) for _ in range(10)]
        heap.publish("it", owned[3])
        assert in_use() == 10
    assert in_use() == 1


def test_policy_private(program, in_use):
    """What a killed process leaves goes with it, where that was asked for."""
    kept = program("mine = heap.alloc(100); say('ready'); time.sleep(600)")
    gone = program("""
        heap.close()
        private = goalloc.attach(policy="private")
        mine = private.alloc(100)
        say("ready")
        time.sleep(600)
    """)
    assert kept.line() == gone.line() == "ready" and in_use() == 2
    kept.kill()
    gone.kill()
    while in_use() != 1:
        time.sleep(0.01)


def test_two_heaps(server, heap, request):
    other_server = type(server)()
    request.addfinalizer(other_server.close)
    other_server.start()
    with goalloc.attach(other_server.socket) as other:
        mine = other.alloc(64)
        with pytest.raises(ValueError, match="in another heap"):
            heap.publish("it", mine)
        with pytest.raises(goalloc.Error):
            heap.at(mine.address)
        other.publish("it", mine)
        mine.free()


def test_no_close_under_anothers_call(heap):
    begun = threading.Event()

    def wait():
        begun.set()
        heap.wait("it")

    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # so that the other thread goes on until its call waits
    try:
        waits = threading.Thread(target=wait)
        waits.start()
        begun.wait()
    finally:
        sys.setswitchinterval(before)
    with pytest.raises(goalloc.Error, match="1 calls of other threads") as caught:
        heap.close()
    assert caught.value.errno == errno.EBUSY
    heap.publish("it", heap.alloc(32))
    waits.join(60)
    assert not waits.is_alive()


def test_threads(heap, in_use):
    """Which allocate, publish, find, replace and free at once."""
    failures = []

    def work(number):
        try:
            for i in range(200):
                with heap.alloc(64 + i) as object_:
                    object_.view()[:8] = number.to_bytes(8, "little")
                    old = heap.replace("shared", object_)
                    if old is not None:
                        old.free()
                found = heap.lookup("shared")
                assert found.view()[0] < 4
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    heap.lookup("shared").free()
    heap.unpublish("shared")
    assert in_use() == 0


def test_a_child_of_fork(program, in_use):
    """It reads what its parent has, frees none of it, and has objects of its own."""
    forks = program("""
        owned, shared = heap.alloc(64), heap.alloc(64)
        owned.view()[:2] = b"hi"
        heap.publish("it", shared)
        child = os.fork()
        if child == 0:
            assert bytes(owned.view()[:2]) == b"hi" and not owned.owned and not shared.held
            for forbidden in (owned.free, lambda: heap.publish("mine", owned)):
                try:
                    forbidden()
                    os._exit(1)
                except goalloc.Error as error:
                    assert "parent's" in str(error)
            heap.publish("child", heap.alloc(100))
            mine = heap.alloc(100)
            del owned, shared
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        assert bytes(owned.view()[:2]) == b"hi" and owned.owned and shared.held
        assert bytes(heap.lookup("child")) == bytes(112)
        say("good")
    """)
    assert forks.end() == "good\n"
    assert in_use() == 2


def test_a_child_may_close(program, in_use):
    forks = program("""
        owned = heap.alloc(64)
        child = os.fork()
        if child == 0:
            heap.close()
            os._exit(owned.closed is not True)
        assert os.waitpid(child, 0)[1] == 0 and heap.stats().heap_objects == 1
        say("good")
    """)
    assert forks.end() == "good\n"
    assert in_use() == 0


def test_stats(heap):
    before = heap.stats()
    objects = [heap.alloc(1000) for _ in range(10)]
    now = heap.stats()
    assert now.heap_objects - before.heap_objects == 10 == now.own_mallocs
    assert now.alloc - before.alloc == 10240 and now.sys >= now.heap_sys
    assert [each for each in now.own_by_size if each.mallocs] == [(1024, 10, 0)]
    assert sum(each.mallocs for each in now.by_size) == now.mallocs
    objects.clear()
    assert heap.stats().own_frees == 10


def test_stats_are_those_of_the_library():
    header = os.environ["GOALLOC_HEADER"]
    with open(header) as lines:
        text = lines.read()
    body = text.split("struct goalloc_memstats {")[1].split("};")[0]
    fields = [line.split(";")[0].split()[-1].split("[")[0] for line in body.splitlines()
              if line.strip().startswith(("uint64_t", "struct"))]
    assert len(fields) > 30 and sorted(fields) == sorted(goalloc.Stats.__match_args__)
