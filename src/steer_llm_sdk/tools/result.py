"""What a run has come to: `RunResult`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic

from steer_llm_sdk.checks import with_absent
from steer_llm_sdk.errors import ConfigurationError, SteerError
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.shapes import Answer
from steer_llm_sdk.models.usage import added

# What other libraries call what a run has come to.
_ABSENT = {
    **dict.fromkeys(
        ("content", "data", "final_output", "get_text", "output"),
        "the words are result.text, with a response_format result.response.parsed",
    ),
    **dict.fromkeys(
        ("all_messages", "history", "new_messages", "to_input_list", "to_message"),
        "result.messages is the whole history, for the next call",
    ),
    **dict.fromkeys(("get_json", "parsed"), "result.response has it"),
    "tool_calls": "those that wait are result.pending_calls; result.responses has all",
    **dict.fromkeys(
        ("model_dump", "to_dict", "to_json"),
        "result.messages is JSON, and each of result.responses has a to_dict()",
    ),
}


@with_absent(_ABSENT)
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
