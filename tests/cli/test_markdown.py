from __future__ import annotations

import io
import re
from typing import Any

import pytest

from steer_llm_sdk.cli.markdown import MarkdownScreen, can_render, end_of_blocks
from steer_llm_sdk.models.events import StreamDeltaEvent

pytest.importorskip("rich")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(text: str, pieces: int = 1, monkeypatch: Any = None) -> str:
    """What stays on the screen, without escape sequences, when `text` comes in pieces."""
    out = Terminal()
    screen = MarkdownScreen(out, Terminal())
    size = max(1, len(text) // pieces)
    for at in range(0, len(text), size):
        screen.show(StreamDeltaEvent(delta=text[at : at + size]))
    screen.close()
    return out.getvalue()


def plain(screen: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_it_is_for_terminals_with_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_render(Terminal())
    assert not can_render(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not can_render(Terminal())


def test_marks_become_styles() -> None:
    screen = shown("Some **bold** words\n\n- one\n- two\n")

    assert "**" not in plain(screen)
    assert "\x1b[1mbold\x1b[0m" in screen
    assert " • one" in plain(screen)


def test_words_are_never_broken() -> None:
    words = "extraordinarily uncomplicated considerations " * 8

    lines = plain(shown(words)).split()
    assert set(lines) == set(words.split())


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("one", 0),
        ("one\n\n", 5),
        ("one\n\ntwo", 5),
        ("```\na\n\nb", 0),
        ("one\n\n```\na\n\nb", 5),
        ("```\na\n\nb\n```\n\nc", 14),
    ],
)
def test_a_block_is_whole_at_an_empty_line_outside_of_a_fence(text: str, end: int) -> None:
    assert end_of_blocks(text) == end


def test_what_comes_in_pieces_ends_as_what_comes_at_once() -> None:
    text = "# Title\n\nSome words.\n\n```python\nx = 1\n\ny = 2\n```\n\nThe end.\n"

    at_once, piecewise = plain(shown(text)), plain(shown(text, pieces=len(text)))
    for part in ("Title", "Some words.", "x = 1", "y = 2", "The end."):
        assert part in at_once
        assert part in piecewise


def test_a_model_cannot_move_the_cursor() -> None:
    assert "\x1b[2J" not in shown("Hello \x1b[2J there\n\n")
