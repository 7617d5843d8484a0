"""A goallocd of the test's own, and programs that run beside it."""

import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import textwrap

import pytest

import goalloc

BIN = pathlib.Path(os.environ["GOALLOC_BIN"])
PR_SET_PDEATHSIG = 1

_prctl = ctypes.CDLL(None).prctl


def _end_with_parent():
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Server:
    """goallocd with a heap name and a socket of its own; close checks that it leaves nothing."""

    count = 0

    def __init__(self, limit="64M"):
        Server.count += 1
        self.folder = tempfile.mkdtemp(prefix="goalloc-python-")
        self.socket = os.path.join(self.folder, "sock")
        self.name = f"test-{os.getpid()}-{Server.count}"
        self.limit = limit
        self.process = None

    def start(self):
        ready, told = os.pipe()
        self.process = subprocess.Popen(
            [BIN / "goallocd", "--name", self.name, "--socket", self.socket, "--ephemeral",
             "--limit", self.limit, "--reserve", "4G", "--log-level", "warning", "--ready-fd", str(told)],
            pass_fds=[told], preexec_fn=_end_with_parent)
        os.close(told)
        with os.fdopen(ready) as lines:
            assert lines.read() == "READY\n", "goallocd becomes ready"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.terminate()
        self.process.wait()
        left = [path for suffix in ("meta", "bits", "heap")
                if (path := pathlib.Path(f"/dev/shm/goalloc.{self.name}.{suffix}")).exists()]
        for path in left:
            path.unlink()
        socket_left = os.path.exists(self.socket)
        if socket_left:
            os.unlink(self.socket)
        os.rmdir(self.folder)
        assert not left and not socket_left


@pytest.fixture
def server():
    server = Server()
    server.start()
    yield server
    server.close()


@pytest.fixture
def heap(server):
    heap = goalloc.attach(server.socket)
    yield heap
    heap.close()


class Program:
    """Another Python process, told what to do by its text; it has `heap` and `say`."""

    BEGIN = """\
import goalloc, os, signal, sys, time
def say(*words):
    print(*words, flush=True)
heap = goalloc.attach()
"""

    def __init__(self, server, text):
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.BEGIN + textwrap.dedent(text)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env={**os.environ, "GOALLOC_SOCKET": server.socket},
            preexec_fn=_end_with_parent)

    def line(self):
        """The next line that it says."""
        return self.process.stdout.readline().rstrip("\n")

    def tell(self, line=""):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        """What else it says, if it ends well."""
        said, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return said

    def close(self):
        if self.process.poll() is None:
            self.kill()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def program(server):
    started = []

    def start(text):
        started.append(Program(server, text))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def in_use(server):
    """How many objects the heap has, of whomever."""

    def count():
        said = subprocess.run([BIN / "goallocctl", "--socket", server.socket, "--json", "stats"],
                              stdout=subprocess.PIPE, check=True).stdout
        return json.loads(said)["heap_objects"]

    return count
