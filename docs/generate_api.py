"""Writes `docs/api/*.md` from the docstrings: `python docs/generate_api.py`, or `make docs`.

A test asserts that the pages are what this makes.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "api"
_PACKAGE = "steer_llm_sdk"
_WIDTH = 100


@dataclass(frozen=True)
class Part:
    """Some names of one module.

    Attributes:
        module: Where they are imported from, without the package's name.
        names: What is shown, in order.
        is_made_for_users: Whether users make instances; otherwise their constructors stay unseen.
    """

    module: str
    names: tuple[str, ...]
    is_made_for_users: bool = True


@dataclass(frozen=True)
class Page:
    """One page of the reference."""

    title: str
    introduction: str
    parts: tuple[Part, ...]


PAGES = {
    "events": Page(
        "Events",
        "What a stream consists of. The guide: [streaming events](../guides/streaming-events.md).",
        (
            Part(
                "models.events",
                (
                    "StreamEvent",
                    "StreamStartEvent",
                    "StreamDeltaEvent",
                    "StreamUsageEvent",
                    "StreamCompleteEvent",
                    "StreamErrorEvent",
                ),
            ),
        ),
    ),
    "parts": Page(
        "The parts of an answer",
        "What an answer consists of, and the next turn. "
        "The guide: [conversations](../guides/conversations.md).",
        (
            Part(
                "models.parts",
                (
                    "AnswerPart",
                    "TextPart",
                    "CommentaryPart",
                    "ReasoningPart",
                    "RefusalPart",
                    "ToolCallPart",
                    "FilePart",
                    "ProviderPart",
                    "part_from_dict",
                ),
            ),
            Part("", ("tool_result",)),
        ),
    ),
    "processor": Page(
        "The event processor",
        "Filters, transformers and batches. "
        "The guide: [the processor](../guides/streaming-events.md#the-processor).",
        (
            Part(
                "streaming.processor",
                ("create_event_processor", "EventProcessor", "BatchedEventProcessor"),
            ),
            Part("streaming.processor", ("ProcessorMetrics",), is_made_for_users=False),
            Part(
                "streaming.processor",
                (
                    "EventFilter",
                    "TypeFilter",
                    "ProviderFilter",
                    "PredicateFilter",
                    "CompositeFilter",
                    "EventTransformer",
                    "CorrelationTransformer",
                    "TimestampTransformer",
                    "MetricsTransformer",
                ),
            ),
            Part("streaming.processor", ("RedactTransformer",)),
            Part("streaming.processor", ("CoalesceTransformer", "RateLimiter", "SamplingFilter")),
        ),
    ),
    "manager": Page(
        "The event manager",
        "Callbacks by kind of event, with a client or without one. "
        "The guide: [callbacks](../guides/streaming-events.md#callbacks).",
        (Part("streaming.manager", ("EventManager",)),),
    ),
    "sinks": Page(
        "Sinks",
        "Who is told of every stream, beside the streams. "
        "The guide: [seeing what streams do](../guides/observability.md).",
        (
            Part("sinks", ("Sink",)),
            Part("sinks", ("StreamRecord", "RunRecord", "ToolRecord"), is_made_for_users=False),
            Part(
                "sinks",
                (
                    "SQLiteSink",
                    "JSONLinesSink",
                    "LoggingSink",
                    "OpenTelemetrySink",
                    "PrometheusSink",
                ),
            ),
        ),
    ),
    "journal": Page(
        "Journals",
        "Where streams are held that outlive their callers. "
        "The guide: [streams that outlive their caller](../guides/journals.md).",
        (
            Part("journal", ("MemoryJournal", "SQLiteJournal", "RedisJournal")),
            Part("journal", ("Journal", "Attached"), is_made_for_users=False),
        ),
    ),
    "web": Page(
        "To the browser",
        "Streams as bytes of a protocol that browsers read. "
        "The guide: [to the browser](../guides/web.md).",
        (Part("web", ("encode", "headers", "respond")),),
    ),
    "recording": Page(
        "Recordings",
        "What went over the wire, and when. The page on them: [recordings](../recordings.md).",
        (
            Part("recording", ("ReplayTransport", "RecordingTransport", "timeline")),
            Part("recording", ("read_recording",)),
            Part("recording", ("Exchange",), is_made_for_users=False),
        ),
    ),
    "streaming": Page(
        "Clients, options, streams and responses",
        "How a stream is asked for, run and read. Errors: [a page of their own](../errors.md).",
        (
            Part("", ("SteerLLMClient", "SyncSteerLLMClient")),
            Part("calls", ("CallKeywords", "ItemKeywords"), is_made_for_users=False),
            Part("", ("Tool",)),
            Part("models.streaming", ("StreamingOptions",)),
            Part("", ("ProviderSettings",)),
            Part("", ("StreamingResponse", "EventStream"), is_made_for_users=False),
            Part("rates", ("RateLimit", "Quota"), is_made_for_users=False),
            Part("models.listing", ("ModelInfo",), is_made_for_users=False),
            Part("tools.client", ("RunKeywords",), is_made_for_users=False),
            Part("", ("RunResult",), is_made_for_users=False),
            Part("tools", ("RunStream",), is_made_for_users=False),
            Part("", ("StopRun",)),
            Part("bulk", ("ResultStream",), is_made_for_users=False),
            Part(
                "models.bulk", ("PromptResult", "Progress", "TokenCount"), is_made_for_users=False
            ),
            Part("streaming.fanout", ("Observer",), is_made_for_users=False),
            Part("streaming.views", ("TextStream", "ItemsStream"), is_made_for_users=False),
        ),
    ),
}


def render(page: Page) -> str:
    """The page as Markdown."""
    parts = [f"# {page.title}", page.introduction]
    for part in page.parts:
        module = ".".join(filter(None, (_PACKAGE, part.module)))
        for name in part.names:
            parts += [f"## {name}", f"`from {module} import {name}`"]
            parts += _described(getattr(import_module(module), name), name, part)
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write all pages."""
    HERE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (HERE / f"{name}.md").write_text(render(page), encoding="utf-8")


def _described(thing: Any, name: str, part: Part) -> Iterator[str]:
    if not inspect.isclass(thing):
        yield _signature(thing, name)
        yield from described(thing)
        return
    if part.is_made_for_users:
        yield _signature(thing, name)
    hidden = frozenset() if part.is_made_for_users else frozenset({"Args", "Raises"})
    yield from described(thing, hidden)
    for source in (thing, *_mixed_in(thing)):
        for member, value in vars(source).items():
            if not member.startswith("_"):
                yield from _member(member, value)


def _mixed_in(thing: type) -> Iterator[type]:
    """The classes that only lend their methods to a client."""
    return (
        base
        for base in thing.__bases__
        if "client" in thing.__name__.lower() and base is not object
    )


def _member(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, classmethod | staticmethod):
        value = value.__func__
    if isinstance(value, property) and value.fget is not None:
        result = inspect.signature(value.fget).return_annotation
        yield f"### {name}"
        yield _code(f"{name}: {result}")
        yield from described(value)
    elif inspect.isfunction(value):
        is_async = inspect.iscoroutinefunction(value)
        yield f"### {name}()"
        yield _signature(value, f"async {name}" if is_async else name)
        yield from described(value)


# --- signatures -----------------------------------------------------------------------------------


def _signature(thing: Any, name: str) -> str:
    signature = inspect.signature(thing)
    parameters = [p for p in signature.parameters.values() if p.name not in {"self", "cls"}]
    written = list(_parameters([p for p in parameters if not p.name.startswith("_")]))
    result = signature.return_annotation
    is_told = isinstance(result, str) and not inspect.isclass(thing)
    end = f") -> {result}" if is_told else ")"
    line = f"{name}({', '.join(written)}{end}"
    if len(line) <= _WIDTH:
        return _code(line)
    lines = "".join(f"    {one},\n" for one in written)
    return _code(f"{name}(\n{lines}{end}")


def _parameters(parameters: list[inspect.Parameter]) -> Iterator[str]:
    has_star = False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not has_star:
            has_star = True
            yield "*"
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        yield f"{stars}{parameter.name}: {parameter.annotation}{_default(parameter)}"


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return ""
    shown = repr(parameter.default)
    return " = …" if shown.startswith("<") else f" = {shown}"


def _code(text: str) -> str:
    return f"```py\n{text}\n```"


# --- docstrings -----------------------------------------------------------------------------------

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):\n((?:[ ]{4}.*\n?|\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^(\S[^:]*): (.*(?:\n[ ]+.*)*)", re.MULTILINE)
_TITLES = {"Args": "Arguments"}


def described(thing: Any, hidden: frozenset[str] = frozenset()) -> Iterator[str]:
    """The docstring's prose, then its sections, each a list."""
    text = inspect.cleandoc(thing.__doc__ or "") + "\n"
    yield _prose(_SECTION.sub("", text))
    for found in _SECTION.finditer(text):
        if found[1] not in hidden:
            yield f"**{_TITLES.get(found[1], found[1])}**"
            yield _entries(textwrap.dedent(found[2]), is_named=found[1] != "Returns")


def _prose(text: str) -> str:
    """Paragraphs on one line each; what follows ``::`` is code."""
    paragraphs = re.split(r"\n{2,}", text.strip())
    made = [one if one.startswith("    ") else " ".join(one.split()) for one in paragraphs]
    return "\n\n".join(one for one in made if one != "::")


def _entries(text: str, *, is_named: bool) -> str:
    if not is_named:
        return " ".join(text.split())
    entries = _ENTRY.findall(text)
    return "\n".join(f"* `{name}`: {' '.join(words.split())}" for name, words in entries)


if __name__ == "__main__":
    main()
