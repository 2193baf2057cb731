from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.registry import PROVIDERS

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PROGRAMS = [
    block
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    if "asyncio.run(" in block
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_in_the_readme_runs(program: str, embedded: Endpoint) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "Streaming started: local/smollm2" in done.stdout
    assert "ms to the first token, finished: " in done.stdout


def test_the_readme_has_a_program() -> None:
    assert PROGRAMS


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_is_in_the_readme(name: str) -> None:
    assert name in README.lower()
