"""What is told of a stream beside it: `StreamRecord`, a row in the books.

A record has no prompt and no words of the answer; these are in `StreamRecord.content`, which is
there for those who ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self

from steer_llm_sdk.stored import as_stored, plain, to_json

Outcome = Literal["running", "completed", "failed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class StreamRecord:
    """One stream. What is known only at its end has its default while the stream runs.

    Attributes:
        stream_id: The identifier of the stream, as on its events.
        request_id: The caller's identifier of the request, or the library's.
        provider: The provider that was asked, or that answered.
        model: The model that was asked for, without the provider's prefix.
        response_model: The model that answered, as the provider names it.
        response_id: The provider's identifier of the answer.
        provider_request_id: The provider's identifier of the request, for its support.
        server_address: The host that was asked.
        server_port: Its port.
        started_at: When the stream began, in Unix seconds.
        ended_at: When it ended; None while it runs.
        outcome: ``"running"``, ``"completed"``, ``"failed"`` or ``"cancelled"``.
        finish_reason: Why the model stopped, as in `StreamCompleteEvent`.
        provider_finish_reason: The provider's own word for it.
        error_type: The class of the error that it ended in.
        error_message: What the error says; without `content`, only as far as it cannot quote words.
        error_status: The HTTP status of a provider's error.
        is_retryable: Whether sending the request again may help.
        attempts: How many requests were sent.
        retries: Those that failed before the last: ``provider``, ``model``, ``error_type`` and
            ``wait``, the seconds before the next one; None where another model was asked.
        recoveries: How often an answer that was cut went on.
        is_json: Whether JSON was asked for.
        parameters: What was asked for beside the messages: ``temperature``, ``max_tokens``,
            ``top_p``, ``seed`` and ``stop``, as far as they were given.
        usage: The tokens, as in `StreamUsageEvent`.
        usage_is_estimated: Whether they were counted here.
        cost_usd: What it cost; None when that is not known.
        metrics: How fast it was, as in `StreamingResponse.metrics`.
        gaps: The times between neighbouring deltas in seconds, each with how often it came; those
            of a very long stream are rounded.
        metadata: The caller's metadata of the call.
        run_id: The run around tools that it is a turn of; None where it is none.
        turn: Which one, from 1.
        content: The prompt and the answer, for those who asked for words: ``system``,
            ``messages``, ``tools``, ``text``, ``reasoning``, ``refusal``, ``tool_calls``.
    """

    stream_id: str = ""
    request_id: str = ""
    provider: str = ""
    model: str = ""
    response_model: str | None = None
    response_id: str | None = None
    provider_request_id: str | None = None
    server_address: str | None = None
    server_port: int | None = None
    started_at: float = 0.0
    ended_at: float | None = None
    outcome: Outcome = "running"
    finish_reason: str | None = None
    provider_finish_reason: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_status: int | None = None
    is_retryable: bool | None = None
    attempts: int = 0
    retries: tuple[Mapping[str, Any], ...] = ()
    recoveries: int = 0
    is_json: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, int] | None = None
    usage_is_estimated: bool = False
    cost_usd: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    gaps: tuple[tuple[float, int], ...] = field(default=(), repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    turn: int | None = None
    content: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def duration_s(self) -> float | None:
        """How long the stream took, in seconds; None while it runs."""
        duration = self.metrics.get("duration_ms")
        return None if duration is None else duration / 1000

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return type(self)(**{**values_of(self), **changes})

    def to_dict(self) -> dict[str, Any]:
        """Return the record as a plain dict, which JSON can hold."""
        told: dict[str, Any] = plain(values_of(self))
        return told

    def to_json(self) -> str:
        """Return the record as JSON to be stored: what `to_dict` gives, and ``version``."""
        return to_json(self.to_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make a record of what `to_dict` gave, or `to_json` when it was parsed.

        Fields that are missing have their defaults, and unknown ones are passed over.

        Raises:
            TypeError: It is no mapping.
        """
        data = as_stored(data)
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        for name in ("retries", "gaps"):
            if name in known:
                known[name] = tuple(
                    tuple(each) if isinstance(each, list) else each for each in known[name]
                )
        return cls(**known)


def values_of(record: StreamRecord) -> dict[str, Any]:
    """Return the fields of a record by their names, as they are."""
    return dict(vars(record))


# By the names of the fields, in their order.
_DEFAULTS = values_of(StreamRecord())


def record_of(values: Mapping[str, Any]) -> StreamRecord:
    """Make a record of the fields that are known: at once, where `StreamRecord` sets each.

    Args:
        values: Those fields; ``parameters``, ``metrics`` and ``metadata`` among them.
    """
    record: StreamRecord = object.__new__(StreamRecord)
    vars(record).update(_DEFAULTS)
    vars(record).update(values)
    return record


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run around tools (``client.run``), with all its turns.

    Attributes:
        run_id: The identifier of the run, as in the records of its turns.
        provider: The provider that was asked.
        model: The model that was asked for.
        started_at: When it began, in Unix seconds.
        ended_at: When it ended; None while it runs.
        outcome: As in `StreamRecord`.
        error_type: The class of the error that it ended in.
        turns: How many answers there were.
        tool_calls: How many functions were called.
        usage: The tokens of all turns together.
        cost_usd: What they cost; None when that is not known of one of them.
    """

    run_id: str = ""
    provider: str = ""
    model: str = ""
    started_at: float = 0.0
    ended_at: float | None = None
    outcome: Outcome = "running"
    error_type: str | None = None
    turns: int = 0
    tool_calls: int = 0
    usage: Mapping[str, int] = field(default_factory=dict)
    cost_usd: float | None = None

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRecord:
    """One call of a function, in a run.

    Attributes:
        run_id: The run.
        call_id: The identifier of the call.
        name: The function's name, as the model has it.
        started_at: When it was called, in Unix seconds.
        ended_at: When it had answered; None before.
        error_type: What it failed in, or ``"cancelled"``; None where it did not.
        content: ``arguments`` and ``result``, for those who asked for words.
    """

    run_id: str = ""
    call_id: str = ""
    name: str = ""
    started_at: float = 0.0
    ended_at: float | None = None
    error_type: str | None = None
    content: Mapping[str, Any] | None = field(default=None, repr=False)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return replace(self, **changes)
