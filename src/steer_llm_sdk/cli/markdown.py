"""Markdown on a terminal: blocks that are whole are rendered, the one that grows follows live."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TextIO

from steer_llm_sdk.cli.screen import TextScreen
from steer_llm_sdk.cli.streams import can_style, without_controls

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)


def can_render(output: TextIO) -> bool:
    """Tell whether Markdown is rendered: on a terminal with styles, where `rich` is installed."""
    if not can_style(output):
        return False
    try:
        import rich.markdown  # noqa: F401 - whether it is there
    except ImportError:
        return False
    return True


class MarkdownScreen(TextScreen):
    """The answer's text, rendered block by block.

    What has been rendered stays, so the screen scrolls as it always does; only the block that is
    being written is drawn again and again.
    """

    _live: Live | None = None

    def __init__(self, out: TextIO, aside: TextIO, *, hides_reasoning: bool = False) -> None:
        super().__init__(out, aside, hides_reasoning=hides_reasoning)
        from rich.console import Console

        self._console: Console = Console(file=out)
        self._growing = ""

    def _write(self, text: str) -> None:
        self._growing += without_controls(text)
        end = end_of_blocks(self._growing)
        if end:
            self._end_live()
            self._render(self._growing[:end])
            self._growing = self._growing[end:]
        if self._growing.strip():
            self._show_live()

    def _write_aside(self, text: str) -> None:
        self._end_live()
        super()._write_aside(text)

    def close(self) -> None:
        """Render the last block."""
        self._end_live()
        self._end_aside()
        self._render(self._growing)
        self._growing = ""

    def _render(self, text: str) -> None:
        from rich.markdown import Markdown

        if text.strip():
            self._console.print(Markdown(text))

    def _show_live(self) -> None:
        from rich.live import Live
        from rich.markdown import Markdown

        if self._live is None:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        # Only what fits: a block that is taller than the screen cannot be drawn again.
        lines = self._growing.splitlines()[-max(1, self._console.height - 2) :]
        self._live.update(Markdown("\n".join(lines)), refresh=True)

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def end_of_blocks(text: str) -> int:
    """Where the last whole block of Markdown ends: after an empty line outside of a fence."""
    end = text.rfind("\n\n")
    while end > 0:
        if len(_FENCE.findall(text[:end])) % 2 == 0:
            return end + 2
        end = text.rfind("\n\n", 0, end)
    return 0
