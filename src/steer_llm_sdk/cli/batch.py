"""``steer batch``: a file of prompts in, a file of answers out; stopped, it goes on later."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from steer_llm_sdk.cli.asking import Question, add_options, add_schema, read_question
from steer_llm_sdk.cli.bar import Bar
from steer_llm_sdk.cli.counts import positive
from steer_llm_sdk.cli.streams import decode, wrapped
from steer_llm_sdk.cli.words import Errors
from steer_llm_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from steer_llm_sdk.models.bulk import PromptResult


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``batch`` to the command line."""
    parser = commands.add_parser(
        "batch",
        help="answer a file of prompts",
        description="Answer each line of a file: a JSON string, or an object with 'prompt' or "
        "'messages', and perhaps an 'id'. Answers are appended as they come; started again with "
        "the same files, it asks what has no answer yet. The exit code is 1 when one failed.",
    )
    parser.add_argument("prompts", metavar="PROMPTS.jsonl")
    parser.add_argument(
        "-O", "--output", required=True, metavar="ANSWERS.jsonl", help="a capital O"
    )
    add_options(parser)
    add_schema(parser)
    parser.add_argument("-c", "--concurrency", type=positive, default=8, metavar="N")
    parser.add_argument("-q", "--quiet", action="store_true", help="no bar, and no totals")
    parser.set_defaults(run=_run)


@dataclass(frozen=True, slots=True)
class Line:
    """A prompt: its place in the file, its own name, and what is said."""

    index: int
    id: Any
    messages: Any


@dataclass(slots=True)
class Totals:
    """What came of a batch."""

    answered: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    errors: Errors = field(default_factory=Errors)

    def add(self, result: PromptResult) -> None:
        """Count a result."""
        if result.error is not None:
            self.failed += 1
            self.errors.add(result.error)
            return
        response = result.unwrap()
        self.answered += 1
        usage: Mapping[str, Any] = response.usage or {}
        self.prompt_tokens += usage.get("prompt_tokens") or 0
        self.completion_tokens += usage.get("completion_tokens") or 0
        if (cost := response.cost_usd) is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost

    def told(self, before: int) -> str:
        """Tell them in one line.

        Args:
            before: How many had been answered when it was started.
        """
        parts = [f"{self.answered} answered"]
        if before:
            parts.append(f"{before} were there before")
        parts += [f"{count} × {name}" for name, count in self.errors.counts.items()]
        parts += [f"{self.prompt_tokens} tokens in", f"{self.completion_tokens} tokens out"]
        if self.cost_usd is not None:
            parts.append(f"${self.cost_usd:.4f}")
        return " · ".join(parts)


def _run(parsed: argparse.Namespace) -> int:
    question = read_question(parsed)
    lines = list(read_lines(Path(parsed.prompts)))
    output = Path(parsed.output)
    done = read_answered(output)
    left = [line for line in lines if line.index not in done]
    totals = Totals()
    with output.open("a", encoding="utf-8") as file, Bar(len(left), not parsed.quiet) as bar:
        asyncio.run(_answer(left, question, parsed.concurrency, file, totals, bar))
    if not parsed.quiet:
        print(totals.told(len(lines) - len(left)), file=sys.stderr)
        for words in totals.errors.said.values():  # the first of each class: why it failed
            print(wrapped(words, sys.stderr), file=sys.stderr)
    return 1 if totals.failed else 0


async def _answer(
    lines: list[Line],
    question: Question,
    concurrency: int,
    file: IO[str],
    totals: Totals,
    bar: Bar,
) -> None:
    from steer_llm_sdk import SteerLLMClient

    choice, arguments = question
    prompts = (line.messages for line in lines)
    async with (
        SteerLLMClient(providers=choice.settings) as client,
        client.map(prompts, choice.model, concurrency=concurrency, **arguments) as results,
    ):
        async for result in results:
            file.write(json.dumps(record_of(lines[result.index], result)) + "\n")
            file.flush()  # a line that is written is not asked again
            totals.add(result)
            bar.advance()


def record_of(line: Line, result: PromptResult) -> dict[str, Any]:
    """Make a line of the answers' file."""
    record: dict[str, Any] = {"index": line.index, "id": line.id}
    if result.error is not None or result.response is None:
        error = result.error
        told = getattr(error, "to_dict", None)
        return record | {"error": told() if told is not None else {"message": str(error)}}
    response = result.response.to_dict()
    return record | {"text": response["text"], "response": response}


def read_lines(path: Path) -> Iterator[Line]:
    """Read the prompts of a file.

    Raises:
        ConfigurationError: A line is not what a prompt may be; it is named by its number.
        OSError: The file cannot be read.
    """
    # Not `str.splitlines`: JSON may hold what Unicode takes for the end of a line.
    for number, text in enumerate(decode(path.read_bytes()).split("\n"), 1):
        if text.strip():
            yield _read_line(number, text, path)


def _read_line(number: int, text: str, path: Path) -> Line:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{path}, line {number}: this is not JSON: {error}") from None
    if isinstance(value, str):
        return Line(number, None, value)
    fields = value if isinstance(value, dict) else {}
    said = [fields[key] for key in ("prompt", "messages") if key in fields]
    if len(said) != 1:
        raise ConfigurationError(
            f"{path}, line {number}: expected a string, or an object with 'prompt' or 'messages', "
            f"found {text[:60]}"
        )
    return Line(number, fields.get("id"), said[0])


def read_answered(path: Path) -> set[int]:
    """Read which prompts have been answered; a last line that was not written to its end goes.

    What is no file, such as a pipe or ``/dev/stdout``, keeps none: to read it could take for ever.

    Raises:
        ConfigurationError: The file holds something else.
    """
    if not path.is_file():
        return set()
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return {index for index in map(_answered_index, whole.splitlines()) if index is not None}


def _answered_index(text: bytes) -> int | None:
    try:
        record = json.loads(text)
        index: int = record["index"]
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"--output: the file is no file of answers; it has the line {text[:60]!r}"
        ) from None
    return index if "response" in record else None
