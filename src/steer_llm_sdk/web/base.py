"""What an encoder is: `Encoder`; and those of protocols that tell parts apart: `PartEncoder`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.web.frames import json_bytes
from steer_llm_sdk.web.sources import address_of, sources_in

# What is said of an error to whoever reads the stream.
ErrorText: TypeAlias = Callable[[Exception], str]


class Encoder(Protocol):
    """Writes events in one protocol.

    Attributes:
        heartbeat: What shows that the stream lives, and says nothing.
    """

    heartbeat: bytes

    def feed(self, event: StreamEvent) -> bytes:
        """Write an event; what ends the stream is kept for `end`, as another turn may follow."""
        ...

    def end(self) -> bytes:
        """Write the ending: no event comes any more."""
        ...

    def fail(self, error: Exception) -> bytes:
        """Write the ending of a source that has raised an error and given no event of it."""
        ...


@dataclass(slots=True)
class Open:
    """A part of words that is being written.

    Attributes:
        kind: What words they are.
        part: Which part of the answer they belong to; None where that is not told.
        id: What the part is called.
        head: What stands before each piece of its words, where an encoder keeps it.
    """

    kind: str
    part: int | None
    id: str
    head: bytes = b""


@dataclass(slots=True)
class Call:
    """A tool call that is being written."""

    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    is_custom: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """The tokens of one turn."""

    provider: str
    model: str
    usage: Mapping[str, Any]


_WORDS = frozenset({"text", "reasoning", "refusal", "commentary"})


class PartEncoder:
    """Follows the parts of an answer: when each begins and ends. Subclasses say how that looks.

    Parts of words come one after another. Calls stay open until their turn ends: the pieces of
    parallel ones may alternate.

    Args:
        error_text: What is said of an error.
    """

    heartbeat = b""

    def __init__(self, error_text: ErrorText) -> None:
        self._error_text = error_text
        self._open: Open | None = None
        self._calls: dict[int | None, Call] = {}
        self._count = 0  # parts so far
        self._has_parts = False  # whether the deltas tell their parts
        self._turns = 0
        self._ending: StreamCompleteEvent | StreamErrorEvent | None = None
        self._spent: list[Spent] = []
        self._stream_id = ""
        self._sources: set[object] = set()  # what was named already
        self._ids: set[str] = set()  # of all calls
        self._unanswered: dict[str, Call] = {}  # by the provider's identifiers

    # --- what comes ---------------------------------------------------------------------------

    def feed(self, event: StreamEvent) -> bytes:
        """Write an event: see `Encoder`."""
        if not self._turns and not isinstance(event, StreamStartEvent):
            return self._write_start(start_before(event)) + self.feed(event)
        if event.__class__ is StreamDeltaEvent and not event.metadata:  # as most are
            return self._write_delta(event)
        if isinstance(event, StreamStartEvent):
            return self._write_start(event)
        written = self._write(event)
        return written + self._write_sources(event.metadata) if event.metadata else written

    def _write(self, event: StreamEvent) -> bytes:
        if isinstance(event, StreamDeltaEvent):
            return self._write_delta(event)
        if isinstance(event, StreamUsageEvent):
            self._spent.append(Spent(event.provider, event.model, event.usage))
            return self._close_all(is_whole=True)
        if isinstance(event, StreamCompleteEvent | StreamErrorEvent):
            self._ending = event
            return self._close_all(is_whole=isinstance(event, StreamCompleteEvent))
        return b""

    def end(self) -> bytes:
        """Write the ending: see `Encoder`."""
        begun = self._begin_late()
        if isinstance(self._ending, StreamErrorEvent):
            return begun + self.write_failure(self._ending.error)
        # What a filter has dropped the ending of may have left parts open.
        return begun + self._close_all(is_whole=True) + self.write_completion(self._ending)

    def fail(self, error: Exception) -> bytes:
        """Write the ending of a failed source: see `Encoder`."""
        begun = self._begin_late()
        return begun + self._close_all(is_whole=False) + self.write_failure(error)

    def _begin_late(self) -> bytes:
        """Begin what ends before any event has come."""
        return b"" if self._turns else self._write_start(StreamStartEvent())

    def _write_start(self, event: StreamStartEvent) -> bytes:
        self._turns += 1
        self._ending = None
        results: Sequence[Mapping[str, Any]] = event.metadata.get("tool_results", ())
        if self._turns == 1:
            self._stream_id = event.stream_id
            earlier = map(self.write_earlier_result, results)
            return self.write_beginning(event) + b"".join(earlier)
        return b"".join(map(self._write_result, results)) + self.write_turn(event)

    def _write_result(self, result: Mapping[str, Any]) -> bytes:
        """Write what a tool has answered, if its call was told: a filter may have hidden it."""
        call = self._unanswered.pop(result["id"], None)
        if call is None or not call.name:
            return b""
        return self.write_result({**result, "id": call.id})

    def _write_delta(self, event: StreamDeltaEvent) -> bytes:
        delta: Any = event.delta
        if isinstance(delta, str):
            opened = self._open  # as `_write_words`, without the call: nearly all are such words
            if opened is not None and opened.kind == "text" and opened.part == event.part and delta:
                return self.write_words(opened, delta)
            return self._write_words("text", event, delta)
        kind = event.kind
        if kind in _WORDS:
            text = delta.get("text", "") if "type" in delta else event.get_text()
            return self._write_words(kind, event, text) + self.write_attached(self._open, delta)
        if kind == "tool_call":
            return self._write_call(delta)
        if kind == "file":
            return self._close_words() + self.write_file(delta)
        return self.write_other(kind, delta)

    def _write_words(self, kind: str, event: StreamDeltaEvent, text: str) -> bytes:
        part = event.part
        opened = self._open
        if opened is not None and opened.kind == kind and opened.part == part:
            return self.write_words(opened, text) if text else b""
        if part is None and self._has_parts:
            return b""  # it separates two parts, which are apart here anyway
        self._has_parts = part is not None
        closed = self._close_words()
        self._open = opened = Open(kind, part, self._next_id())
        beginning = closed + self.open_words(opened)
        return beginning + self.write_words(opened, text) if text else beginning

    def _write_sources(self, metadata: Mapping[str, Any]) -> bytes:
        """Write each source once: some servers name all of them again in every chunk."""
        written = b""
        for source in sources_in(metadata):
            address = address_of(source)
            named: object = json_bytes(source) if address is None else address[0]
            if named not in self._sources:
                self._sources.add(named)
                written += self.write_source(source, address)
        return written

    def _write_call(self, delta: Mapping[str, Any]) -> bytes:
        index = delta.get("index")
        call = self._calls.get(index)
        written = b""
        if call is None:
            given = delta.get("id") or f"call-{self._stream_id}-{self._count}"
            call = self._calls[index] = self._unanswered[given] = Call(self._own_id(given))
            call.is_custom = delta.get("call_type") == "custom"
            written = self._close_words()
            self._count += 1
        if not call.name and delta.get("name"):
            call.name = delta["name"]
            written += self.open_call(call) + self._write_held(call)
        call.name = delta.get("name") or call.name  # a name in pieces is whole in the end
        piece = delta.get("arguments") or ""
        if piece:
            call.arguments.append(piece)
            if call.name:
                written += self.write_arguments(call, piece)
        return written

    def _own_id(self, given: str) -> str:
        """What a call is called here: some servers begin anew with their numbers in each turn."""
        own = given if given not in self._ids else f"{given}-{self._stream_id}-{self._count}"
        self._ids.add(own)
        return own

    def _write_held(self, call: Call) -> bytes:
        """The arguments that came before the name."""
        held = "".join(call.arguments)
        return self.write_arguments(call, held) if held else b""

    def _close_words(self) -> bytes:
        opened, self._open = self._open, None
        return b"" if opened is None else self.close_words(opened)

    def _close_all(self, *, is_whole: bool) -> bytes:
        calls, self._calls = self._calls, {}
        self._has_parts = False
        closed = [self.close_call(call, is_whole=is_whole) for call in calls.values() if call.name]
        return self._close_words() + b"".join(closed)

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._stream_id}-{self._count}"

    # --- what it looks like -------------------------------------------------------------------

    def write_beginning(self, event: StreamStartEvent) -> bytes:
        """Write that the stream begins."""
        raise NotImplementedError

    def write_turn(self, event: StreamStartEvent) -> bytes:
        """Write that a turn has ended and another begins."""
        raise NotImplementedError

    def write_completion(self, event: StreamEvent | None) -> bytes:
        """Write that the answer is whole."""
        raise NotImplementedError

    def write_failure(self, error: Exception) -> bytes:
        """Write that the stream has failed, or was stopped."""
        raise NotImplementedError

    def open_words(self, opened: Open) -> bytes:
        """Write that a part of words begins."""
        raise NotImplementedError

    def write_words(self, opened: Open, text: str) -> bytes:
        """Write words."""
        raise NotImplementedError

    def close_words(self, opened: Open) -> bytes:
        """Write that a part of words ends."""
        raise NotImplementedError

    def write_attached(self, opened: Open | None, delta: Mapping[str, Any]) -> bytes:  # noqa: ARG002
        """Write what a provider has attached to words, as a signature."""
        return b""

    def open_call(self, call: Call) -> bytes:
        """Write that a call begins."""
        raise NotImplementedError

    def write_arguments(self, call: Call, piece: str) -> bytes:
        """Write a piece of a call's arguments."""
        raise NotImplementedError

    def close_call(self, call: Call, *, is_whole: bool) -> bytes:
        """Write that a call ends, or that it was cut."""
        raise NotImplementedError

    def write_result(self, result: Mapping[str, Any]) -> bytes:
        """Write what a tool has answered."""
        raise NotImplementedError

    def write_earlier_result(self, result: Mapping[str, Any]) -> bytes:
        """Write what a tool has answered whose call was told in an earlier stream."""
        raise NotImplementedError

    def write_file(self, delta: Mapping[str, Any]) -> bytes:
        """Write a file that the model has made."""
        raise NotImplementedError

    def write_source(
        self,
        source: Mapping[str, Any],  # noqa: ARG002
        address: tuple[str, str | None] | None,  # noqa: ARG002
    ) -> bytes:
        """Write what words rest on, and its URL and title, where it has any."""
        return b""

    def write_other(self, kind: str, delta: Mapping[str, Any]) -> bytes:
        """Write a delta of another kind, such as a notice."""
        raise NotImplementedError


def start_before(event: StreamEvent) -> StreamStartEvent:
    """The start of a stream of which this event is the first that comes.

    A filter may have dropped its own, or it is followed from an event behind that.
    """
    return StreamStartEvent(
        provider=event.provider,
        model=event.model,
        request_id=event.request_id,
        stream_id=event.stream_id,
        timestamp=event.timestamp,
    )


def file_url(delta: Mapping[str, Any]) -> str:
    """The URL of a file; one that holds it, where there is no other."""
    if delta.get("url"):
        return str(delta["url"])
    return f"data:{delta.get('media_type', '')};base64,{delta.get('data') or ''}"
