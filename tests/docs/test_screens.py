"""The command line's guide shows what each command shows, on narrow and wide terminals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steer_llm_sdk.cli.main import make_parser

DOCS = Path(__file__).parent.parent.parent / "docs"
GUIDE = (DOCS / "cli.md").read_text("utf-8")
SHOWN = re.findall(r"\(screens/([a-z]+)-80\.svg\)\]\(screens/\1-160\.svg\)", GUIDE)


def words_of(name: str, columns: int) -> str:
    drawn = (DOCS / "screens" / f"{name}-{columns}.svg").read_text("utf-8")
    return re.sub(r"<[^>]*>", "", drawn.replace("&#160;", " "))


def test_every_screen_that_was_made_is_in_the_guide() -> None:
    made = {path.name for path in (DOCS / "screens").iterdir()}

    assert made == {f"{name}-{columns}.svg" for name in SHOWN for columns in (80, 160)}


@pytest.mark.parametrize("columns", [80, 160])
def test_every_command_has_its_screen(columns: int) -> None:
    typed = " ".join(words_of(name, columns) for name in SHOWN)
    (commands,) = (action.choices for action in make_parser()._actions if action.choices)

    missing = [name for name in commands if f"$ steer {name}" not in typed]
    assert set(missing) <= {"stream"}  # the word may be left out, and is


@pytest.mark.parametrize("name", SHOWN)
def test_a_screen_fetches_nothing_and_shows_no_traceback(name: str) -> None:
    for columns in (80, 160):
        drawn = (DOCS / "screens" / f"{name}-{columns}.svg").read_text("utf-8")
        assert not re.search(r"url\(['\"]?http|href=|<script|<image", drawn)
        assert "Traceback" not in words_of(name, columns)
        assert "sk-of-nobody" not in drawn
