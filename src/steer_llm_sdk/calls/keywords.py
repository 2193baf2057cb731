"""The keywords of a call, for type checkers and for the documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict


class ItemKeywords(TypedDict, total=False):
    """The keywords that every way of streaming takes, `stream_items` included.

    Attributes:
        tools: What the model may call: Python functions, `Tool`, and mappings in the spelling of
            any provider. `client.run` also runs what is called.
        tool_choice: ``"auto"``, ``"none"``, ``"required"``, or the name of the one to call.
        parallel_tool_calls: Whether the model may make several calls in one answer; None: as the
            provider has it.
        system: The system prompt.
        stop: Where the answer ends, without these words.
        seed: For answers that can be repeated, where the provider has that.
        reasoning: How much the model reasons: ``"none"``, ``"minimal"``, ``"low"``, ``"medium"``,
            ``"high"``, or a budget in tokens; see ``docs/requests.md``.
        top_p: The share of the likeliest words that the model chooses from.
        provider: Decides who serves the model, and leaves its name untouched.
        request_id: The identifier on the events; made, when not given.
        metadata: Goes into the metadata of the start event.
        extra_body: Goes into the request's body, unchanged.
        extra_headers: Go into the request's headers.
        api_key: The key of this call, or a function that gives it; it goes to the provider that is
            asked, and to fallbacks of that provider alone.
    """

    tools: Sequence[Any] | None
    tool_choice: Any
    parallel_tool_calls: bool | None
    system: str | None
    stop: str | Sequence[str] | None
    seed: int | None
    reasoning: Literal["none", "minimal", "low", "medium", "high"] | int | None
    top_p: float | None
    provider: str | None
    request_id: str | None
    metadata: Mapping[str, Any] | None
    extra_body: Mapping[str, Any] | None
    extra_headers: Mapping[str, str] | None
    api_key: str | Callable[[], Any] | None


class CallKeywords(ItemKeywords, total=False):
    """The keywords that every other way of streaming takes.

    Attributes:
        response_format: The JSON that is asked for: a type, or a mapping; see
            ``docs/guides/json.md``.
    """

    response_format: Any
