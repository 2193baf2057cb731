"""What many prompts come to: a result for each, how far they have come, and counted prompts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeAlias

from steer_llm_sdk.checks import with_absent
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.shapes import Answer
from steer_llm_sdk.models.usage import COMPLETION, PROMPT


@with_absent(
    dict.fromkeys(
        ("content", "cost_usd", "get_json", "get_text", "metrics", "parsed", "text", "usage"),
        "result.response has it, where there is an answer; result.unwrap() gives that or raises",
    )
)
@dataclass(frozen=True, slots=True)
class PromptResult(Generic[Answer]):
    """What became of one prompt of many.

    Attributes:
        index: Its place among the prompts, from 0.
        response: The answer; None when it failed.
        error: How it failed, with what had arrived in its `partial_response`; None when it did not.
    """

    index: int
    response: StreamingResponse[Answer] | None = None
    error: SteerError | None = None

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.error is None

    def unwrap(self) -> StreamingResponse[Answer]:
        """The answer.

        Raises:
            SteerError: There is none: how it failed.
        """
        if self.response is None:
            raise self.error or SteerError("a result without a response and without an error")
        return self.response


@dataclass(frozen=True, slots=True)
class Progress:
    """How far many prompts have come.

    Attributes:
        done: How many have an answer, or have failed.
        failed: How many of these have failed.
        total: How many there are; None where that shows only at the end.
        prompt_tokens: What their requests took, by their usage.
        completion_tokens: What their answers took.
        cost_usd: What they cost, as far as their prices are known; None where none is.
    """

    done: int = 0
    failed: int = 0
    total: int | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None

    def after(self, result: PromptResult) -> Progress:
        """How far they have come with this result."""
        partial: Any = result.response
        if result.error is not None:
            partial = result.error.partial_response
        usage = (partial.usage if partial is not None else None) or {}
        cost = partial.cost_usd if partial is not None else None
        known = [each for each in (self.cost_usd, cost) if each is not None]
        return Progress(
            done=self.done + 1,
            failed=self.failed + (not result.ok),
            total=self.total,
            prompt_tokens=self.prompt_tokens + usage.get(PROMPT, 0),
            completion_tokens=self.completion_tokens + usage.get(COMPLETION, 0),
            cost_usd=sum(known) if known else None,
        )


class ProgressCallback(Protocol):
    """Called after each prompt; plain or asynchronous."""

    def __call__(self, progress: Progress, /) -> object:
        """Note how far the prompts have come."""
        ...


OnProgress: TypeAlias = ProgressCallback | Callable[[Progress], Awaitable[object]] | Literal["bar"]


@dataclass(frozen=True, slots=True)
class TokenCount:
    """How many tokens a prompt takes.

    Attributes:
        tokens: The number; ``int(count)`` gives it too.
        is_estimated: Whether it was counted here, rather than by the provider.
        confidence: 1.0 when the provider has counted; less for an estimate: see ``docs/usage.md``.
        method: ``"provider"``, or how it was estimated.
    """

    tokens: int
    is_estimated: bool
    confidence: float
    method: str

    def __int__(self) -> int:
        return self.tokens
