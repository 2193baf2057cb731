"""What a stream looks like on a terminal: its text, or its events as lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from steer_llm_sdk.cli.streams import can_style, without_controls, wrapped
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamUsageEvent,
)

if TYPE_CHECKING:
    from steer_llm_sdk.models.responses import StreamingResponse

_SHOWN = 200  # characters of a tool's result


class Screen(ABC):
    """Where a stream is shown: `out` for what was asked for, `aside` for what is about it."""

    def __init__(self, out: TextIO, aside: TextIO) -> None:
        self._out = out
        self._aside = aside
        self._out_is_terminal = out.isatty()
        self._aside_is_terminal = aside.isatty()
        self._is_styled = can_style(aside)

    @abstractmethod
    def show(self, event: StreamEvent) -> None:
        """Show one event."""

    @abstractmethod
    def close(self) -> None:
        """The stream has ended, well or not: whatever comes next begins on a line of its own."""

    def dim(self, text: str) -> str:
        """`text` in a lighter shade, where the terminal can do that."""
        return f"\x1b[2m{text}\x1b[0m" if self._is_styled else text

    def _write(self, text: str) -> None:
        self._out.write(without_controls(text) if self._out_is_terminal else text)
        self._out.flush()

    def _write_aside(self, text: str) -> None:
        self._aside.write(self.dim(without_controls(text) if self._aside_is_terminal else text))
        self._aside.flush()


class TextScreen(Screen):
    """The answer's text as it comes; reasoning and refusals aside.

    Args:
        hides_reasoning: Whether reasoning is left out.
    """

    _last = "\n"
    _last_aside = "\n"

    def __init__(self, out: TextIO, aside: TextIO, *, hides_reasoning: bool = False) -> None:
        super().__init__(out, aside)
        self._asides = {"refusal", "commentary"} | (set() if hides_reasoning else {"reasoning"})

    def show(self, event: StreamEvent) -> None:
        """Show the words of a delta, and what tools have given."""
        for result in event.metadata.get("tool_results", ()):
            self._write_aside(f"({result.get('name') or 'tool'}: {_shortened(result)})\n")
        if not isinstance(event, StreamDeltaEvent):
            return
        if isinstance(event.delta, str):
            self._end_aside()
            self._write(event.delta)
            self._last = event.delta[-1:] or self._last
        elif event.kind in self._asides:
            words = str(event.delta.get("text", ""))
            self._write_aside(words)
            self._last_aside = words[-1:] or self._last_aside

    def close(self) -> None:
        """End the line that is open."""
        self._end_aside()
        if self._last != "\n":
            self._write("\n")
            self._last = "\n"

    def _end_aside(self) -> None:
        if self._last_aside != "\n":
            self._write_aside("\n")
            self._last_aside = "\n"


def _shortened(result: Mapping[str, Any]) -> str:
    """What a tool has given, in one short line."""
    told = " ".join(str(result.get("content", "")).split())
    return told if len(told) <= _SHOWN else told[:_SHOWN] + "…"


class EventsAsJSON(Screen):
    """Each event as a line of JSON, for programs: what `StreamEvent.to_json` gives."""

    def show(self, event: StreamEvent) -> None:
        """Show one event as one line."""
        self._out.write(event.to_json() + "\n")
        self._out.flush()

    def close(self) -> None:
        """Every line has its end."""


class Silence(Screen):
    """Shows nothing while the answer comes: it is shown whole, when it is there."""

    def show(self, event: StreamEvent) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Nothing is open."""


_BENEATH = " " * 16  # where what an event says begins: beneath it go the words that do not fit


class EventLines(Screen):
    """Each event as a line: its number, its type, and what it says."""

    def show(self, event: StreamEvent) -> None:
        """Show one event as one line."""
        line = f"{event.sequence:>4}  {event.type:<8}  {_told(event)}"
        self._write(wrapped(line, self._out, _BENEATH) + "\n")

    def close(self) -> None:
        """Every line has its end."""


def _told(event: StreamEvent) -> str:
    match event:
        case StreamDeltaEvent(delta=str(words)):
            return repr(words)
        case StreamDeltaEvent(delta=dict(parts)):
            return _pairs({"kind": event.kind} | {k: v for k, v in parts.items() if k != "type"})
        case StreamUsageEvent():
            return _pairs(event.usage) + _estimate(event)
        case StreamCompleteEvent():
            reason = event.finish_reason or "not told"
            return (
                f"finish_reason={reason} chunks={event.total_chunks} "
                f"duration_ms={event.duration_ms:.0f}"
            )
        case StreamErrorEvent():
            return f"{event.error_type}: {' '.join(str(event.error).split())}"
        case _:
            return f"{event.provider}/{event.model} request_id={event.request_id}"


def _pairs(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value!r}" for name, value in values.items() if value is not None)


def _estimate(event: StreamUsageEvent) -> str:
    return f" (estimated, confidence {event.confidence:.2f})" if event.is_estimated else ""


def figures(response: StreamingResponse) -> str:
    """One line: time to first token, tokens a second, tokens in and out; ≈ where estimated."""
    about = "≈" if response.usage_is_estimated else ""
    usage: Mapping[str, Any] = response.usage or {}
    metrics = response.metrics
    parts = (
        _figure("time to first token {} s", metrics.get("ttft_ms"), lambda ms: f"{ms / 1000:.2f}"),
        _figure(about + "{} tokens/s", metrics.get("tokens_per_second"), "{:.1f}".format),
        _figure(about + "{} tokens in", usage.get("prompt_tokens"), str),
        _figure(about + "{} tokens out", usage.get("completion_tokens"), str),
        _figure("${}", response.cost_usd, "{:.6f}".format),
    )
    return " · ".join(part for part in parts if part)


def cut_notice(response: StreamingResponse) -> str:
    """Say that the answer was cut for its length; nothing where it was not."""
    if response.finish_reason != "length":
        return ""
    count = response.usage and response.usage["completion_tokens"]
    told = f", after {count} tokens" if count else ""
    return f"The answer was cut{told}: it was longer than it may be (-o max_tokens=…)"


def _figure(words: str, value: Any, spell: Callable[[Any], str]) -> str:
    return "" if value is None else words.format(spell(value))
