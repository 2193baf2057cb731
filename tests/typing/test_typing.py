"""mypy and pyright accept what fits, and reject every line marked as wrong, and no other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
GOOD = [HERE / "good_callbacks.py", HERE / "good_answers.py"]
WRONG = [HERE / "wrong_callbacks.py", HERE / "wrong_answers.py"]

ErrorLines = Callable[[Sequence[Path]], dict[str, set[int]]]


def errors_of_mypy(files: Sequence[Path]) -> dict[str, set[int]]:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *map(str, files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    found: dict[str, set[int]] = {file.name: set() for file in files}
    for name, line in re.findall(r"(\w+\.py):(\d+): error:", done.stdout):
        found.setdefault(name, set()).add(int(line))
    return found


def errors_of_pyright(files: Sequence[Path]) -> dict[str, set[int]]:
    settings = ["--pythonpath", sys.executable, "--level", "error", "--outputjson"]
    command = [sys.executable, "-m", "basedpyright", *settings, *map(str, files)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(files)
    found: dict[str, set[int]] = {file.name: set() for file in files}
    for each in report["generalDiagnostics"]:
        if each["severity"] == "error":
            line = each["range"]["start"]["line"] + 1
            found.setdefault(Path(each["file"]).name, set()).add(line)
    return found


def marked_lines(file: Path) -> set[int]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, start=1) if "  # E: " in line}


# All files in one run: each begins by reading the whole package.
@pytest.mark.timeout(300)
@pytest.mark.parametrize("errors_of", [errors_of_mypy, errors_of_pyright])
def test_a_type_checker_accepts_what_fits_and_rejects_what_does_not_and_nothing_else(
    errors_of: ErrorLines,
) -> None:
    marked = {file.name: marked_lines(file) for file in WRONG}

    assert errors_of([*GOOD, *WRONG]) == {file.name: set[int]() for file in GOOD} | marked


def test_there_is_something_to_reject() -> None:
    assert min(len(marked_lines(file)) for file in WRONG) > 20
