"""The five events of a stream.

Every stream is one start, then deltas, then one usage, then exactly one of complete and error.
Events are plain mutable dataclasses: a transformer may change one in place. They can be copied,
pickled, stored as dicts and as JSON, and be the fields of pydantic models.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias, get_type_hints

from steer_llm_sdk.checks import with_absent
from steer_llm_sdk.errors import AnyError, SteerError, error_as_dict
from steer_llm_sdk.models.shapes import FinishReason, TokenUsage, plain_hints
from steer_llm_sdk.stored import as_stored, plain, pydantic_schema, to_json

__all__ = [
    "StreamCompleteEvent",
    "StreamDeltaEvent",
    "StreamErrorEvent",
    "StreamEvent",
    "StreamStartEvent",
    "StreamUsageEvent",
]

# Where the words stand in a hand-made delta without a `type`, in the order they are looked for.
_TEXT_KEYS = ("text", "content", "chunk", "delta")


class Snapshot(Protocol):
    """A value that is still arriving."""

    def snapshot(self) -> Any:
        """Return the value so far."""
        ...


class _Arrived:
    """A value that had arrived so far when its event was pickled."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def snapshot(self) -> Any:
        return self._value


class _Hidden:
    """Room for what a delta holds beside its fields: `dataclasses.asdict` does not see it."""

    __slots__ = ("_arguments",)
    _arguments: Snapshot


_set_arguments = _Hidden.__dict__["_arguments"].__set__


# What other libraries call the words of a delta, and what only deltas have.
_ABSENT = {
    **dict.fromkeys(
        ("choices", "content", "text", "token"), "a delta's words are event.get_text()"
    ),
    "get_text": "only a delta has words: look at event.type first",
}


@with_absent(_ABSENT)
@dataclass(slots=True, eq=False)
class StreamEvent(_Hidden):
    """What all events have in common. Two are equal when their dicts are.

    Attributes:
        provider: The provider's name, such as ``"openai"``.
        model: The model that was asked for, without the provider's prefix.
        request_id: The caller's identifier of the request, or one made by the library.
        stream_id: The identifier of this stream.
        timestamp: Unix time in seconds: the wall clock at the start plus the monotonic time since,
            so that differences between events of one stream are true durations.
        metadata: Whatever else is known: a dict of this event alone.
        sequence: 0, 1, 2 … in the order of delivery.
    """

    type: ClassVar[str] = "event"

    provider: str = ""
    model: str = ""
    request_id: str = ""
    stream_id: str = ""
    timestamp: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)
    sequence: int = 0

    def __eq__(self, other: object) -> bool:
        if self.__class__ is not other.__class__ or not isinstance(other, StreamEvent):
            return NotImplemented
        return self is other or self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # an event can be changed

    def __await__(self) -> Generator[None, None, Self]:
        """Give the event itself, so that what a plain transformer gives may be awaited too."""
        return self
        yield  # makes it a generator

    def to_dict(self) -> dict[str, Any]:
        """Return the event as a plain dict, which JSON can hold: its `type`, then its fields.

        An error is ``{"type", "message", "is_retryable", …}``: see `SteerError.to_dict`.
        """
        return {"type": self.type} | {f.name: plain(getattr(self, f.name)) for f in fields(self)}

    def to_json(self) -> str:
        """Return the event as JSON to be stored: what `to_dict` gives, and ``version``."""
        return to_json(self.to_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make an event of what `to_dict` gave, or `to_json` when it was parsed.

        Its class is that of its ``type``; without one, it is this class. Fields that are missing
        have their defaults, and unknown ones are passed over.

        Raises:
            TypeError: It is no mapping.
            ValueError: The ``type`` is none of this class.
        """
        data = as_stored(data)
        kind = data.get("type", cls.type)
        found: Any = cls if kind == cls.type else _CLASSES.get(kind)
        if found is None or not issubclass(found, cls):
            raise ValueError(f"type: expected that of a {cls.__name__}, found {kind!r}")
        names = {f.name for f in fields(found)} & data.keys()
        made: Self = found(**{name: _own(data[name]) for name in names})
        return made

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        hints = plain_hints(get_type_hints(cls))
        kind: Any = str if cls is StreamEvent else Literal[cls.type]
        named = {"type": kind} | {f.name: hints[f.name] for f in fields(cls)}
        if "error" in named:
            named["error"] = AnyError
        return pydantic_schema(
            cls, handler, named, from_dict=cls.from_dict, to_dict=StreamEvent.to_dict
        )


@dataclass(slots=True, eq=False)
class StreamStartEvent(StreamEvent):
    """The call begins. Retries and fallbacks happen after it, and do not repeat it."""

    type: ClassVar[Literal["start"]] = "start"


@dataclass(slots=True, eq=False)
class StreamDeltaEvent(StreamEvent):
    """A piece of the answer.

    Attributes:
        delta: A `str` for text; for anything else a dict whose ``type`` is ``"reasoning"``,
            ``"tool_call"``, ``"refusal"``, ``"commentary"``, ``"file"`` or ``"notice"``.
        chunk_index: Counts the deltas of the stream from 0; -1 on a notice, which is in no count.
        is_json: Whether the text is part of a JSON answer that was asked for.
        part: The index of its part in `StreamingResponse.parts`; None for what separates two of
            them, and on an event that was made by hand.
    """

    type: ClassVar[Literal["delta"]] = "delta"

    delta: str | dict[str, Any] = ""
    chunk_index: int = 0
    is_json: bool = False
    part: int | None = None

    def __copy__(self) -> Self:
        """Copy the event alone: the arguments that still arrive are shared."""
        copied = self.__class__(**{f.name: getattr(self, f.name) for f in fields(self)})
        if hasattr(self, "_arguments"):
            _set_arguments(copied, self._arguments)
        return copied

    def __getstate__(self) -> Any:
        state: Any = object.__getstate__(self)
        if "_arguments" in (slots := state[1]):
            slots["_arguments"] = _Arrived(deepcopy(self.partial_arguments))
        return state

    @property
    def partial_arguments(self) -> Any:
        """The arguments of a tool call as far as they have arrived, as a value.

        None for any other delta, and before the first brace. Parsed when it is read: what nobody
        reads costs nothing. An event that is pickled or deep-copied keeps what had arrived then.
        """
        arguments = getattr(self, "_arguments", None)
        return None if arguments is None else arguments.snapshot()

    @property
    def kind(self) -> str:
        """What the delta is.

        ``"text"``, ``"reasoning"``, ``"tool_call"``, ``"refusal"``, ``"commentary"`` (what the
        model says aside while it works), ``"file"`` (an image or a sound that it made, whole) or
        ``"notice"``, which tells of the stream rather than of the answer.
        """
        delta: object = self.delta
        if isinstance(delta, str):
            return "text"
        return str(delta.get("type", "text")) if isinstance(delta, dict) else "text"

    def get_text(self) -> str:
        """The words meant for the reader: the text of a text delta, ``""`` for any other kind.

        On a hand-made delta, a dict without ``type``, it is the first string among the keys
        ``text``, ``content``, ``chunk`` and ``delta``; any other value, None too, gives ``""``.
        """
        delta: object = self.delta
        if isinstance(delta, str):
            return delta
        if not isinstance(delta, dict) or "type" in delta:
            return ""
        found = (delta[key] for key in _TEXT_KEYS if isinstance(delta.get(key), str))
        return next(found, "")


def _no_usage() -> TokenUsage:
    nothing: Any = {}
    found: TokenUsage = nothing
    return found


@dataclass(slots=True, eq=False)
class StreamUsageEvent(StreamEvent):
    """The tokens that the request took.

    Attributes:
        usage: ``prompt_tokens``, ``completion_tokens``, ``total_tokens``, and where the provider
            tells, ``cached_tokens``, ``cache_write_tokens`` and ``reasoning_tokens``. The
            provider's own object is in ``metadata["provider_usage"]``.
        is_estimated: Whether the numbers were counted here rather than reported.
        confidence: 1.0 when the provider reported them, less when they are estimated.
    """

    type: ClassVar[Literal["usage"]] = "usage"

    usage: TokenUsage = field(default_factory=_no_usage)
    is_estimated: bool = False
    confidence: float = 1.0


@dataclass(slots=True, eq=False)
class StreamCompleteEvent(StreamEvent):
    """The provider said that the answer is whole.

    Attributes:
        total_chunks: The number of deltas received.
        duration_ms: From the start of the call to now, in milliseconds.
        final_usage: The numbers of the usage event; None when there are none.
        finish_reason: ``"stop"``, ``"length"``, ``"tool_calls"``, ``"content_filter"``,
            ``"refusal"`` or ``"other"``.
    """

    type: ClassVar[Literal["complete"]] = "complete"

    total_chunks: int = 0
    duration_ms: float = 0.0
    final_usage: TokenUsage | None = None
    finish_reason: FinishReason | None = None


@dataclass(slots=True, eq=False)
class StreamErrorEvent(StreamEvent):
    """The stream failed, was cut short, or was cancelled.

    Attributes:
        error: The error; an instance of `steer_llm_sdk.SteerError` in every stream of this library.
        error_type: The name of its class.
        is_retryable: Whether sending the request again may help; agrees with the error's own.
    """

    type: ClassVar[Literal["error"]] = "error"

    error: Exception = field(default_factory=lambda: Exception("unknown error"))
    error_type: str = ""
    is_retryable: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.error, dict):
            self.error = SteerError.from_dict(self.error)
        if not self.error_type:
            self.error_type = type(self.error).__name__

    def to_dict(self) -> dict[str, Any]:
        """Return the event as a plain dict: see `StreamEvent.to_dict`."""
        data = StreamEvent.to_dict(self)
        return data | {"error": error_as_dict(self.error)}


def set_arguments(event: StreamDeltaEvent, arguments: Snapshot | None) -> None:
    """Set what `StreamDeltaEvent.partial_arguments` reads; the library's own use."""
    _set_arguments(event, arguments)


def _own(value: Any) -> Any:
    return deepcopy(value) if isinstance(value, dict | list) else value


# What a stream yields: `event.type` tells which of them an event is.
AnyEvent: TypeAlias = (
    StreamStartEvent | StreamDeltaEvent | StreamUsageEvent | StreamCompleteEvent | StreamErrorEvent
)

_CLASSES = {
    kind.type: kind
    for kind in (
        StreamStartEvent,
        StreamDeltaEvent,
        StreamUsageEvent,
        StreamCompleteEvent,
        StreamErrorEvent,
    )
}
