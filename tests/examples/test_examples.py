from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from steer_llm_sdk.providers.base import Endpoint

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=p.stem) for p in sorted(EXAMPLES.glob("*.py"))]
)
def test_an_example_runs_and_warns_of_nothing(path: Path, embedded: Endpoint) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
