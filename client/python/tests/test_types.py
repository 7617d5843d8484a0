"""The types that are told are those that there are: the stub beside the module, by mypy's stubtest;
its signatures in the docstrings; and a program that uses the package, checked strictly."""

import inspect
import pathlib
import subprocess
import sys

import pytest

import goalloc
import goalloc._goalloc

pytest.importorskip("mypy", reason="there is no mypy (python3-mypy)")

PACKAGE = pathlib.Path(goalloc.__file__).parent
USE = '''\
import goalloc
import goalloc.numpy
import numpy as np
from typing_extensions import assert_type

with goalloc.attach("/socket", timeout=1, policy="private") as heap:
    assert_type(heap, goalloc.Heap)
    with heap.alloc(100, noscan=False) as object_:
        assert_type(object_.address, int)
        assert_type(object_.view(), memoryview)
        heap.publish("it", object_)
    assert_type(heap.replace("it", heap.wait("it", 1.5)), goalloc.Object | None)
    assert_type(heap.stats().by_size[3].mallocs, int)
    array = goalloc.numpy.empty((3, 4), np.float32, heap=heap, name="a")
    assert_type(goalloc.numpy.object_of(array), goalloc.Object)
'''
MISUSE = {
    'goalloc.attach(policy="mine")': "Literal",
    "goalloc.attach().alloc('100')": "int",
    "goalloc.attach().lookup(name='x')": "Unexpected keyword",
    "goalloc.attach().stats().nothing": "no attribute",
    "class Mine(goalloc.Heap): ...": "final",
}


def mypy(tmp_path, *arguments):
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, cwd=tmp_path)


def test_a_program_is_checked(tmp_path):
    (tmp_path / "use.py").write_text(USE)
    said = mypy(tmp_path, "mypy", "--strict", "use.py", str(PACKAGE))
    assert said.returncode == 0, said.stdout + said.stderr
    (tmp_path / "misuse.py").write_text("import goalloc\n" + "\n".join(MISUSE))
    said = mypy(tmp_path, "mypy", "--strict", "misuse.py")
    for number, word in enumerate(MISUSE.values(), 2):
        assert any(line.startswith(f"misuse.py:{number}:") and word in line for line in said.stdout.splitlines()), \
            f"line {number} in {said.stdout}"


def test_the_stub_is_the_module(tmp_path):
    (tmp_path / "allowed").write_text(r".*\.Object\.__buffer__" "\n")  # seen by Python from 3.12 on
    said = mypy(tmp_path, "mypy.stubtest", "--allowlist", "allowed", "goalloc")
    assert said.returncode == 0, said.stdout + said.stderr


def public(of):
    return {name: value for name, value in vars(of).items() if not name.startswith("_")}


def test_all_is_documented():
    module = goalloc._goalloc
    assert set(public(module)) == set(goalloc.__all__)
    for name, value in public(module).items():
        assert isinstance(value, int) or value.__doc__, name
    for of in (goalloc.Heap, goalloc.Object):
        for name, value in public(of).items():
            assert value.__doc__, f"{of.__name__}.{name}"
            if callable(value):
                for parameter in inspect.signature(value).parameters.values():
                    assert parameter.name in ("self", "address") or parameter.name in value.__doc__, \
                        f"{of.__name__}.{name} does not speak of {parameter.name}"
