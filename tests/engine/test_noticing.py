"""What passes without notices passes with them: a part of the suite, run once more with them on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]

# How streams are driven, given up, stopped and tried again; by a clock that the tests move.
FILES = ("engine/test_pump.py", "engine/test_timeouts.py")


def test_notices_change_nothing_that_other_tests_say() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *FILES],
        cwd=TESTS,
        env=os.environ | {"STEER_NOTICES": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 30
