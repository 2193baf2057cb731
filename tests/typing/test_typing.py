"""mypy and pyright accept what fits, and reject every line marked as wrong, and no other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
GOOD = [HERE / "good_callbacks.py", HERE / "good_answers.py"]
WRONG = [HERE / "wrong_callbacks.py", HERE / "wrong_answers.py"]

ErrorLines = Callable[[Path], set[int]]


def errors_of_mypy(file: Path) -> set[int]:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return {int(line) for line in re.findall(rf"{file.name}:(\d+): error:", done.stdout)}


def errors_of_pyright(file: Path) -> set[int]:
    settings = ["--pythonpath", sys.executable, "--level", "error", "--outputjson"]
    command = [sys.executable, "-m", "basedpyright", *settings, str(file)]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    found = report["generalDiagnostics"]
    return {error["range"]["start"]["line"] + 1 for error in found if error["severity"] == "error"}


def marked_lines(file: Path) -> set[int]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, start=1) if "  # E: " in line}


def name_of(value: object) -> str:
    return value.stem if isinstance(value, Path) else getattr(value, "__name__", "")


@pytest.mark.parametrize("errors_of", [errors_of_mypy, errors_of_pyright], ids=name_of)
@pytest.mark.parametrize("file", GOOD, ids=name_of)
def test_a_type_checker_accepts_what_fits(file: Path, errors_of: ErrorLines) -> None:
    assert errors_of(file) == set()


@pytest.mark.parametrize("errors_of", [errors_of_mypy, errors_of_pyright], ids=name_of)
@pytest.mark.parametrize("file", WRONG, ids=name_of)
def test_a_type_checker_rejects_what_does_not_fit_and_nothing_else(
    file: Path, errors_of: ErrorLines
) -> None:
    assert errors_of(file) == marked_lines(file)


def test_there_is_something_to_reject() -> None:
    assert min(len(marked_lines(file)) for file in WRONG) > 20
