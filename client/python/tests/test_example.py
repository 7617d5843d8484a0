"""What can be copied: the example, and the programs in the READMEs."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("numpy", reason="there is no numpy (python3-numpy)")

ROOM = pathlib.Path(__file__).parents[1]
EXAMPLE = ROOM / "examples" / "shared_array.py"


def test_it_does_what_it_says(server, in_use):
    def run(*words, good=True):
        done = subprocess.run([sys.executable, EXAMPLE, *words], capture_output=True, text=True,
                              env={**os.environ, "GOALLOC_SOCKET": server.socket})
        assert (done.returncode == 0) == good, done.stderr
        return done.stdout if good else done.stderr

    assert "no frame" in run("read", "--timeout", "0.1", good=False)
    assert re.fullmatch(r"process \d+ wrote 720 x 1280 x 3 bytes\n", run("write"))
    assert re.fullmatch(r"process \d+ read 720 x 1280 x 3 bytes, brightness 50%\n", run("read"))
    assert run("write", "--brightness", "20") and "brightness 20%" in run("read") and in_use() == 1
    assert run("drop") == "" and in_use() == 0


@pytest.mark.parametrize("readme, says", [
    (ROOM / "README.md", r"b'hello' \d+\n7.0\n"),
    (ROOM.parents[1] / "README.md", ""),
])
def test_the_programs_in_a_readme(program, readme, says):
    """Each goes on where the one before it has ended."""
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    assert blocks
    said = [program("heap.close()\n" + block).end() for block in blocks]
    assert re.fullmatch(says, "".join(said))
