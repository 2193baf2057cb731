"""The shapes of what is plain data: usage, metrics, calls and messages, for type checkers.

They are ordinary dicts, which may hold more than is named here: what a provider adds of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypeAlias, TypedDict

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # What JSON that was asked for becomes: `StreamingResponse[City]`; anything, without a type.
    Answer = TypeVar("Answer", default=Any)
    # What an element of a streamed list becomes.
    Item = TypeVar("Item", default=Any)
else:
    from typing import TypeVar

    Answer = TypeVar("Answer")
    Item = TypeVar("Item")

FinishReason: TypeAlias = Literal[
    "stop", "length", "tool_calls", "content_filter", "refusal", "other"
]


class TokenUsage(TypedDict):
    """The tokens that a request took, under the same keys for every provider.

    Attributes:
        prompt_tokens: All of the input, the cached part included.
        completion_tokens: All of the output, reasoning included.
        total_tokens: Both together.
        cached_tokens: What of the input came from a cache, where the provider tells.
        cache_write_tokens: What of it was written into one.
        reasoning_tokens: What of the output was reasoning.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: NotRequired[int]
    cache_write_tokens: NotRequired[int]
    reasoning_tokens: NotRequired[int]


class ToolCallDict(TypedDict):
    """A call of a tool, as the model made it.

    Attributes:
        id: What the answer to it names.
        name: The tool.
        arguments: The arguments, as JSON text; free text where `type` is ``"custom"``.
        type: Where it is no function: ``"custom"``, or a kind of the provider's.
    """

    id: str
    name: str
    arguments: str
    type: NotRequired[str]


class MetricsDict(TypedDict):
    """How fast a stream was. What is not known, or not yet, is None."""

    ttft_ms: float | None
    time_to_first_byte_ms: float | None
    time_to_first_event_ms: float | None
    time_to_first_reasoning_ms: float | None
    time_to_first_text_ms: float | None
    time_to_first_tool_argument_ms: float | None
    duration_ms: float | None
    e2e_ms: float | None
    tokens_per_second: float | None
    decode_tokens_per_second: float | None
    tpot_ms: float | None
    itl_ms: float | None
    gap_p50_ms: float | None
    gap_p90_ms: float | None
    gap_p99_ms: float | None
    gap_max_ms: float | None
    stalls: int
    stall_ms: float
    chunks: int
    queued_ms: float


def plain_hints(hints: Mapping[str, Any]) -> dict[str, Any]:
    """The types of fields as pydantic is told of them: plain dicts for these shapes.

    A stored value may have more than is named here, or a word that a newer version knows; and
    pydantic refuses `typing.TypedDict` before Python 3.12.
    """
    return {name: _PLAIN.get(name, hint) for name, hint in hints.items()}


_PLAIN: Mapping[str, Any] = {
    "usage": dict[str, Any] | None,
    "final_usage": dict[str, Any] | None,
    "finish_reason": str | None,
    "tool_calls": list[dict[str, Any]],
    "incomplete_tool_calls": list[dict[str, Any]],
}
