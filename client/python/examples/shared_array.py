#!/usr/bin/env python3
"""Two programs and one picture: one writes frames, the other reads the newest, and neither copies.

    shared_array.py write [--brightness PERCENT]
    shared_array.py read [--timeout SECONDS]
    shared_array.py drop

The heap is that of the server at $GOALLOC_SOCKET, or the user's own, which ends a second after its
last client; so to try it out: goallocctl run bash, and in there the lines above.
"""

import argparse
import os
import sys

import goalloc
import goalloc.numpy

NAME = "frame"


def write(heap, arguments):
    frame = goalloc.numpy.empty((720, 1280, 3), "u1", heap=heap)
    frame[:] = round(255 * arguments.brightness / 100)
    # Replaced in one step: who reads finds the old frame or this one, and never half of it.
    old = heap.replace(NAME, goalloc.numpy.object_of(frame))
    if old is not None:
        old.free()  # which waits for those who read it just now
    print(f"process {os.getpid()} wrote {' x '.join(map(str, frame.shape))} bytes")


def read(heap, arguments):
    frame = goalloc.numpy.wait_array(heap, NAME, arguments.timeout, readonly=True)
    shape = " x ".join(map(str, frame.shape))
    print(f"process {os.getpid()} read {shape} bytes, brightness {frame.mean() / 2.55:.0f}%")


def drop(heap, arguments):
    with heap.lookup(NAME) as frame:
        heap.unpublish(NAME)
        frame.free()


def main():
    parser = argparse.ArgumentParser(description="frames that two programs share")
    commands = parser.add_subparsers(required=True)
    writer = commands.add_parser("write", help="write a frame, in place of the one before")
    writer.add_argument("--brightness", type=float, default=50, metavar="PERCENT")
    writer.set_defaults(run=write)
    reader = commands.add_parser("read", help="read the newest frame")
    reader.add_argument("--timeout", type=float, default=10, metavar="SECONDS")
    reader.set_defaults(run=read)
    commands.add_parser("drop", help="free it").set_defaults(run=drop)
    arguments = parser.parse_args()
    with goalloc.attach() as heap:
        try:
            arguments.run(heap, arguments)
        except (goalloc.NotFoundError, goalloc.TimeoutError) as error:
            sys.exit(f"there is no frame: {error}")


main()
