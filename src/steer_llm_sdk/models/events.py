"""The five events of a stream.

Every stream is one start, then deltas, then one usage, then exactly one of complete and error.
Events are plain mutable dataclasses: a transformer may change one in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol

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
        """The value so far."""
        ...


@dataclass(slots=True)
class StreamEvent:
    """What all events have in common.

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

    def to_dict(self) -> dict[str, Any]:
        """The event as a plain dict: its `type`, then its fields (shallow: values are shared)."""
        names = (f.name for f in fields(self) if not f.name.startswith("_"))
        return {"type": self.type} | {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class StreamStartEvent(StreamEvent):
    """The call begins. Retries and fallbacks happen after it, and do not repeat it."""

    type: ClassVar[str] = "start"


@dataclass(slots=True)
class StreamDeltaEvent(StreamEvent):
    """A piece of the answer.

    Attributes:
        delta: A `str` for text; for anything else a dict whose ``type`` is ``"reasoning"``,
            ``"tool_call"`` or ``"refusal"``.
        chunk_index: Counts the deltas of the stream from 0.
        is_json: Whether the text is part of a JSON answer that was asked for.
    """

    type: ClassVar[str] = "delta"

    delta: str | dict[str, Any] = ""
    chunk_index: int = 0
    is_json: bool = False
    _arguments: Snapshot | None = field(default=None, repr=False, compare=False)

    @property
    def partial_arguments(self) -> Any:
        """The arguments of a tool call as far as they have arrived, as a value.

        None for any other delta, and before the first brace. Parsed when it is read: what nobody
        reads costs nothing.
        """
        return None if self._arguments is None else self._arguments.snapshot()

    @property
    def kind(self) -> str:
        """What the delta is: ``"text"``, ``"reasoning"``, ``"tool_call"`` or ``"refusal"``."""
        delta = self.delta
        if isinstance(delta, str):
            return "text"
        return str(delta.get("type", "text"))

    def get_text(self) -> str:
        """The words meant for the reader: the text of a text delta, ``""`` for any other kind.

        On a hand-made delta, a dict without ``type``, it is the first string among the keys
        ``text``, ``content``, ``chunk`` and ``delta``.
        """
        delta = self.delta
        if isinstance(delta, str):
            return delta
        if "type" in delta:
            return ""
        found = (delta[key] for key in _TEXT_KEYS if isinstance(delta.get(key), str))
        return next(found, "")


@dataclass(slots=True)
class StreamUsageEvent(StreamEvent):
    """The tokens that the request took.

    Attributes:
        usage: ``prompt_tokens``, ``completion_tokens``, ``total_tokens``, and where the provider
            tells, ``cached_tokens``, ``cache_write_tokens`` and ``reasoning_tokens``. The
            provider's own object is in ``metadata["provider_usage"]``.
        is_estimated: Whether the numbers were counted here rather than reported.
        confidence: 1.0 when the provider reported them, less when they are estimated.
    """

    type: ClassVar[str] = "usage"

    usage: dict[str, Any] = field(default_factory=dict)
    is_estimated: bool = False
    confidence: float = 1.0


@dataclass(slots=True)
class StreamCompleteEvent(StreamEvent):
    """The provider said that the answer is whole.

    Attributes:
        total_chunks: The number of deltas received.
        duration_ms: From the start of the call to now, in milliseconds.
        final_usage: The numbers of the usage event; None when there are none.
        finish_reason: ``"stop"``, ``"length"``, ``"tool_calls"``, ``"content_filter"``,
            ``"refusal"`` or ``"other"``.
    """

    type: ClassVar[str] = "complete"

    total_chunks: int = 0
    duration_ms: float = 0.0
    final_usage: dict[str, Any] | None = None
    finish_reason: str | None = None


@dataclass(slots=True)
class StreamErrorEvent(StreamEvent):
    """The stream failed, was cut short, or was cancelled.

    Attributes:
        error: The error; an instance of `steer_llm_sdk.SteerError` in every stream of this library.
        error_type: The name of its class.
        is_retryable: Whether sending the request again may help; agrees with the error's own.
    """

    type: ClassVar[str] = "error"

    error: Exception = field(default_factory=lambda: Exception("unknown error"))
    error_type: str = ""
    is_retryable: bool = False

    def __post_init__(self) -> None:
        if not self.error_type:
            self.error_type = type(self.error).__name__
