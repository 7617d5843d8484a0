"""Run pytest on some files, as CTest would have it: 77 where nothing could be tested.

    run.py FILE...

$GOALLOC_UNFIT: why nothing can be tested in this build.
"""

import os
import sys

NOTHING_COLLECTED = 5
SKIPPED = 77


class Passed:
    """How many tests have passed."""

    count = 0

    def pytest_runtest_logreport(self, report):
        self.count += report.when == "call" and report.passed


def main():
    if unfit := os.environ.get("GOALLOC_UNFIT"):
        print(f"skipped: {unfit}")
        return SKIPPED
    try:
        import pytest
    except ImportError:
        print("skipped: there is no pytest (python3-pytest)")
        return SKIPPED
    passed = Passed()
    status = pytest.main(["-q", "-rs", "-p", "no:cacheprovider", *sys.argv[1:]], [passed])
    return SKIPPED if status in (0, NOTHING_COLLECTED) and passed.count == 0 else status


sys.exit(main())
