"""Two processes and one heap: found without a copy, and still there when the other is killed."""

import time


def test_the_reader_outlives_the_writer(heap, program, in_use):
    writer = program("""
        object_ = heap.alloc(1 << 20)
        view = object_.view()
        view[:] = b"x" * (1 << 20)
        heap.publish("text", object_)
        say(object_.address)
        for line in sys.stdin:
            view[0] = ord(line[0])
            say("written")
    """)
    found = heap.wait("text")
    view = found.view()
    assert int(writer.line()) == found.address and view == b"x" * (1 << 20)
    writer.tell("a")
    assert writer.line() == "written" and view[0] == ord("a"), "what it writes is seen at once"
    writer.kill()
    view[1] = ord("b")
    assert bytes(view[:3]) == b"abx" and view[3:] == b"x" * ((1 << 20) - 3)
    view.release()
    heap.unpublish("text")
    found.free()
    assert in_use() == 0


def test_a_killed_holder_lets_go(heap, program):
    object_ = heap.alloc(64)
    address = object_.address
    heap.publish("it", object_)
    holder = program("found = heap.lookup('it'); say(found.held); time.sleep(600)")
    assert holder.line() == "True"
    heap.unpublish("it")
    object_.free()

    def is_allocated_again():
        return address in [each.address for each in [heap.alloc(64) for _ in range(1000)]]

    assert not is_allocated_again(), "it is kept for who holds it"
    holder.kill()
    while not is_allocated_again():
        time.sleep(0.01)


def test_the_end_of_a_program_frees_what_it_owns(program, in_use):
    one = program("""
        kept = heap.alloc(100)
        inner = [heap.alloc(100), {"view": heap.alloc(100).view()}]
        heap.publish("it", heap.alloc(100))
        say(heap.stats().heap_objects)
    """)
    assert one.end() == "4\n"
    assert in_use() == 1


def test_a_server_that_is_killed_and_comes_back(server, heap, program):
    """Views go on; calls wait for the next server."""
    other = program("""
        view = heap.wait("it").view()
        say("found")
        for line in sys.stdin:
            heap.publish("answer", heap.alloc(32))
            say(bytes(view[:5]).decode())
    """)
    object_ = heap.alloc(64)
    heap.publish("it", object_)
    assert other.line() == "found"
    server.kill()
    object_.view()[:5] = b"later"
    server.start()
    other.tell()
    assert other.line() == "later" and len(heap.lookup("answer")) == 32
