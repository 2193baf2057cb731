"""A bar on standard error, where that is a terminal and `rich` is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from steer_llm_sdk.cli.streams import can_style


class Bar(ExitStack):
    """Shows how many of a number of requests are done.

    Args:
        total: How many there are.
        is_shown: Whether it is wanted.
    """

    def __init__(self, total: int, is_shown: bool = True) -> None:
        super().__init__()
        self._advance: Callable[[], None] = _nothing
        if is_shown and can_style(sys.stderr):
            self._begin(total)

    def _begin(self, total: int) -> None:
        try:
            from rich.console import Console
            from rich.progress import Progress
        except ImportError:
            return
        bar = self.enter_context(Progress(console=Console(file=sys.stderr), transient=True))
        self._advance = partial(bar.advance, bar.add_task("asking", total=total))

    def advance(self) -> None:
        """One more is done."""
        self._advance()


def _nothing() -> None:
    return None
