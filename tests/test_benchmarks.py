"""The benchmarks that no other test runs, in their smallest setting: do they still measure?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

# What is asked for, and a line of what is told.
_RUNS = {
    "layers.py": ("--chunks 40 --runs 1", r"in all +\d+\.\d\d +\d+\.\d\d"),
    "sinks.py": ("--streams 1000 --deltas 20 --only SQLite", r"\| SQLite \| -?\d+ \| \d+ \|"),
    "relay.py": ("--mode burst --rounds 1 --streams 2 --only floor --only vercel", r"vercel +\d"),
    "journals.py": ("--streams 4 --followers 2 --events 3 --only sqlite", r"sqlite +4 +2 +\d"),
}


@pytest.mark.parametrize("script", _RUNS)
def test_a_benchmark_still_measures(script: str) -> None:
    asked, told = _RUNS[script]
    command = [sys.executable, str(_BENCHMARKS / script), *asked.split()]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    assert re.search(told, done.stdout), done.stdout
