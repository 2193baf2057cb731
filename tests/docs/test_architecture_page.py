"""The page that shows the rooms is what `lint-imports` enforces; each contract can fail."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = sorted(
    f"{path.name}/" if path.is_dir() else path.stem
    for path in (ROOT / "src" / "steer_llm_sdk").iterdir()
    if not path.name.startswith(("_", ".")) and path.suffix in {"", ".py"}
)

LINT = "from importlinter.cli import lint_imports_command as lint; lint()"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_described(room: str) -> None:
    assert f"`{room}`" in PAGE


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_its_place_in_the_order_of_imports(room: str) -> None:
    order = PAGE.partition("## Who may import whom")[2]

    assert room.rstrip("/") in order


def test_the_layers_of_the_page_are_those_that_are_enforced() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    enforced = contracts["importlinter:contract:layers"]["layers"].split("\n")
    shown = PAGE.partition("## Who may import whom")[2].split("```")[1].removeprefix("text\n")

    assert shown.split("\n")[:-1] == [line for line in enforced if line]


@pytest.mark.parametrize(
    ("place", "line", "contract"),
    [
        pytest.param("models/usage.py", "import steer_llm_sdk.engine.pump", "one way", id="layers"),
        pytest.param("stray.py", "", "one way", id="a stray module"),
        pytest.param("answer/metrics.py", "import time", "The pure stages", id="pure"),
        pytest.param("engine/pump.py", "import aiohttp", "the HTTP library", id="http"),
        pytest.param(
            "providers/base.py", "import steer_llm_sdk.providers.registry", "No cycles", id="cycles"
        ),
    ],
)
def test_each_contract_fails_when_it_is_broken(
    tmp_path: Path, place: str, line: str, contract: str
) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    broken = tmp_path / "src" / "steer_llm_sdk" / place
    broken.write_text(f"{broken.read_text() if broken.exists() else ''}\n{line}\n")

    done = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert contract in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
