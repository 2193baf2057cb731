"""What a run has come to: `RunResult`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic

from steer_llm_sdk.errors import ConfigurationError, SteerError
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.shapes import Answer
from steer_llm_sdk.models.usage import added


@dataclass(slots=True)
class RunResult(Generic[Answer]):
    """What a run has come to, or has come to so far.

    Attributes:
        responses: The answers, one for each turn.
        messages: The whole history, for the next call: what was passed, the answers, and the
            results of the calls. What was added is plain data, which JSON can hold.
        pending_calls: Calls that wait for somebody: for approval, or for who runs the tool. Each is
            ``{"id", "name", "arguments"}``.
        value: What a tool ended the run with (`StopRun`).
        is_stopped: Whether a tool ended it.
        error: What the run failed in; None when it did not.
    """

    responses: list[StreamingResponse[Answer]] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)
    pending_calls: list[dict[str, Any]] = field(default_factory=list)
    value: Any = None
    is_stopped: bool = False
    error: SteerError | None = None

    @property
    def ok(self) -> bool:
        """Whether it came to its end: an answer, a tool that ended it, or pending calls."""
        return self.error is None

    @property
    def response(self) -> StreamingResponse[Answer]:
        """The last answer.

        Raises:
            ConfigurationError: There is none: nothing was asked, as calls wait for somebody.
        """
        if not self.responses:
            raise ConfigurationError(
                "the run has no answer: calls of its history wait for approval or for their results"
            )
        return self.responses[-1]

    @property
    def text(self) -> str:
        """The words of the last answer; empty where there is none."""
        return self.responses[-1].text if self.responses else ""

    @property
    def usage(self) -> dict[str, int]:
        """The tokens of all turns together."""
        counted: list[Any] = [each.usage for each in self.responses if each.usage is not None]
        return added(counted)

    @property
    def cost_usd(self) -> float | None:
        """What all turns cost together; None where that is not known of one of them."""
        costs = [each.cost_usd for each in self.responses if each.usage is not None]
        return None if not costs or None in costs else sum(filter(None, costs))

    def __str__(self) -> str:
        return self.text
