"""``steer compare``: one prompt to several models, side by side while they answer."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steer_llm_sdk.cli.asking import Question, add_options, read_question
from steer_llm_sdk.cli.prompt import read_prompt
from steer_llm_sdk.cli.screen import figures
from steer_llm_sdk.cli.streams import can_style, without_controls
from steer_llm_sdk.cli.words import one_line
from steer_llm_sdk.errors import ConfigurationError, SteerError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from steer_llm_sdk.client import SteerLLMClient
    from steer_llm_sdk.models.responses import StreamingResponse


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``compare`` to the command line."""
    parser = commands.add_parser(
        "compare",
        help="ask several models the same, side by side",
        description="Ask several models the same, at the same time: their answers side by side, "
        "and the figures of each. The exit code is 1 when one of them failed.",
    )
    parser.add_argument("prompt", nargs="*", metavar="PROMPT", help="'-' reads standard input")
    add_options(parser, several=True)
    parser.set_defaults(run=_run)


@dataclass(slots=True)
class Column:
    """What one model has said so far."""

    question: Question
    response: StreamingResponse | None = None
    error: str = ""

    @property
    def title(self) -> str:
        """Who it is."""
        return self.question.choice.model

    @property
    def text(self) -> str:
        """The words so far, and why there are no more of them."""
        said = without_controls(self.response.get_text()) if self.response is not None else ""
        return f"{said}\n\nError: {self.error}".lstrip() if self.error else said

    @property
    def footer(self) -> str:
        """The figures, once it has ended."""
        ended = self.response is not None and self.response.is_finished and not self.error
        return figures(self.response) if ended and self.response is not None else ""


def _run(parsed: argparse.Namespace) -> int:
    models = parsed.model or []
    if len(models) < 2:
        raise ConfigurationError(f"compare: expected -m twice or more, found {len(models)}")
    prompt = read_prompt(parsed.prompt, sys.stdin)
    parsed.model = models[0]
    first = read_question(parsed)
    columns = [Column(first.to(model)) for model in models]
    asyncio.run(_compare(prompt, columns))
    return 1 if any(column.error for column in columns) else 0


async def _compare(prompt: str, columns: Sequence[Column]) -> None:
    from steer_llm_sdk import SteerLLMClient

    with _shown(columns):
        async with SteerLLMClient() as client:
            await asyncio.gather(*(_answer(client, prompt, column) for column in columns))
    if not _is_live():
        for column in columns:
            print(
                f"== {column.title}\n{column.text.rstrip()}\n{column.footer}".rstrip(), end="\n\n"
            )


async def _answer(client: SteerLLMClient, prompt: str, column: Column) -> None:
    choice, arguments = column.question
    try:
        async with client.stream_events(prompt, choice.model, **arguments) as stream:
            async for _ in stream:
                column.response = stream.response
    except SteerError as error:
        column.error = one_line(error)


def _shown(columns: Sequence[Column]) -> AbstractContextManager[Any]:
    """Show the columns side by side while they grow, where the terminal can do that."""
    if not _is_live():
        return nullcontext()
    from rich.live import Live

    return Live(
        get_renderable=lambda: side_by_side(columns),
        refresh_per_second=8,
        vertical_overflow="visible",
    )


def side_by_side(columns: Sequence[Column]) -> RenderableType:
    """Draw the columns: a frame for each, its figures beneath."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(expand=True, padding=0)
    for _ in columns:
        grid.add_column(ratio=1)
    grid.add_row(
        *(
            Panel(
                Group(_words(column), Text(column.footer.replace(" · ", "\n"), style="dim")),
                title=Text(column.title),
                border_style="red" if column.error else "dim",
            )
            for column in columns
        )
    )
    return grid


def _words(column: Column) -> RenderableType:
    from rich.markdown import Markdown
    from rich.text import Text

    return Text(column.text) if column.error else Markdown(column.text or "…")


def _is_live() -> bool:
    if not can_style(sys.stdout):
        return False
    try:
        import rich.live  # noqa: F401 - whether it is there
    except ImportError:
        return False
    return True
