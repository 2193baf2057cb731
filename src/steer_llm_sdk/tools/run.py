"""The turns of one run: ask, run what is called, answer, and ask again.

Strategy. A `Run` has no loop and no task of its own: whoever drives it (`RunStream` for events,
`run_to_end` for callbacks) asks for the next turn, shows it each event, and says when the turn has
ended. Only waiting for the functions takes time, and that can be given up and asked again.

::

    next_turn ──▶ a turn ──▶ note (each event) ──▶ end_turn ──▶ next_turn ──▶ … ──▶ None

A call begins as soon as its provider has closed it, while the answer still streams. Where text
transformers may still rewrite its arguments, and in the last turn that there may be, it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from steer_llm_sdk.engine.plan import Plan
from steer_llm_sdk.errors import (
    BudgetExceededError,
    ConfigurationError,
    SteerError,
    StreamCancelledError,
    ToolError,
)
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.parts import ReasoningPart, ToolCallPart
from steer_llm_sdk.models.responses import StreamingResponse, goes_on
from steer_llm_sdk.models.strict_json import strict_loads
from steer_llm_sdk.structured import Tool
from steer_llm_sdk.tools.calling import Answer, Calls
from steer_llm_sdk.tools.history import check_approved, unanswered_calls
from steer_llm_sdk.tools.result import RunResult

# Makes the plan of a turn: of what the run has come to, the turn's number from 1, and the metadata
# of its start event. Raises `BudgetExceededError` where nothing is left of the run's budget.
MakePlan: TypeAlias = Callable[[RunResult, int, Mapping[str, Any]], Plan]

_LOST = (
    "text_transformers: they changed the reasoning that led to a call, and the provider takes the "
    "call's result only with the reasoning as it was: leave reasoning as it is, or switch it off"
)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a run goes.

    Attributes:
        functions: The tools that are functions, by their names.
        others: The names of the other tools; None where they have no names that are known here.
        max_turns: How often the model may be asked.
        approved: The ids of calls that may be run although they need approval.
        begins_early: Whether a call may begin while its answer still streams.
        raises: Whether the run raises what a turn has failed in.
    """

    functions: Mapping[str, Tool]
    others: frozenset[str] | None
    max_turns: int
    approved: object = ()
    begins_early: bool = True
    raises: bool = True


class Run:
    """One run.

    Args:
        history: The messages; added to.
        settings: How it goes.
        make_plan: Makes the plans of its turns.
        calls: Makes what runs the calls of one turn.

    Raises:
        ConfigurationError: What is approved is no call that waits at the end of the history.
    """

    def __init__(
        self,
        history: list[Any],
        settings: RunSettings,
        make_plan: MakePlan,
        calls: Callable[[], Calls],
    ) -> None:
        self.result = RunResult(messages=history)
        self._settings = settings
        self._make_plan = make_plan
        self._make_calls = calls
        self._calls = calls()
        self._told: list[dict[str, Any]] = []  # results, for the next start event
        self._index: object = None  # of the turn's last call
        self._seen = 0  # finished calls of the turn that were looked at
        self._sequence = 0  # of the next event
        self._turn = 0
        self._is_over = False
        self._has_failed = False
        self._plan: Plan | None = None  # of the turn
        self._has_lost_reasoning = False  # that the provider wants back with the results
        self._is_paused = False  # the provider goes on when its answer is sent back
        self._is_cut_short = False  # there are calls to run, and no turn to tell of them
        self._cancelled: StreamCancelledError | None = None
        waiting = unanswered_calls(history)
        self._approved = check_approved(settings.approved, waiting)
        self._owed = waiting  # calls that are to be answered before the next turn
        # What can be refused is refused before anything is run.
        self._first: Plan | None = make_plan(self.result, 1, self._metadata(1))

    @property
    def raises(self) -> bool:
        """Whether it raises what a turn has failed in."""
        return self._settings.raises

    @property
    def first_plan(self) -> Plan:
        """The plan of the first turn; the run has not begun."""
        if self._first is None:
            raise AssertionError("the run has begun")
        return self._first

    # --- its turns ----------------------------------------------------------------------------

    async def next_turn(self) -> Plan | None:
        """Wait for the calls that run, and plan the next turn; None when the run is over.

        Given up, may be called again.

        Raises:
            ToolError: The model still calls tools, and may not be asked again.
            SteerError: The last turn failed, and the run raises; or it was cancelled.
        """
        if self._is_over:
            return None
        self._begin_owed()
        self._take_answers(await self._calls.settle())
        self._calls = self._make_calls()
        result = self.result
        if self._cancelled is not None:
            raise self._end_in(self._cancelled)
        if self._has_failed:
            self._end_failed()
            return None
        if self._is_cut_short:
            raise self._end_in(self._too_many_turns())
        may_go_on = self._is_paused and not self._is_last
        is_done = self._turn > 0 and not self._told and not may_go_on
        if self._told and self._has_lost_reasoning:
            raise self._end_in(ConfigurationError(_LOST))
        if is_done or result.pending_calls or result.is_stopped:
            self._is_over = True
            return None
        return self._plan_turn()

    def note(self, event: StreamEvent, response: StreamingResponse) -> StreamEvent:
        """Note an event of the turn: number it, and begin the calls that are complete."""
        event.sequence = self._sequence
        self._sequence += 1
        event.metadata["turn"] = self._turn
        if len(response.tool_calls) != self._seen or self._begins_call(event):
            self._begin_early(response)
        return event

    def end_turn(self, response: StreamingResponse) -> None:
        """Note that the turn has ended: its answer is part of the history."""
        self.result.responses.append(response)
        self._has_failed = response.error is not None
        message = response.to_message()
        if message["content"]:
            self.result.messages.append(message)
        self._is_paused = goes_on(response) and bool(message["content"])
        self._owed = [dict(call) for call in response.tool_calls]
        self._has_lost_reasoning = bool(self._owed) and self._lost_reasoning(response)

    def cancel(self, reason: str) -> None:
        """Cancel the functions that run, and ask nothing more."""
        self._cancelled = self._cancelled or StreamCancelledError(reason)
        self._calls.cancel()

    async def leave(self, grace: float) -> None:
        """Nobody wants more of the run: cancel its functions, and wait for their end.

        Args:
            grace: How many seconds to wait at most.
        """
        was_over, self._is_over = self._is_over, True
        await self._calls.end(grace)
        calls, self._calls = self._calls, self._make_calls()
        self._take_answers(calls.answered())  # what has been done is not to be done again
        if not was_over and (error := self._cut_by_leaving()) is not None:
            self._end_in(error)

    # --- its calls ----------------------------------------------------------------------------

    @property
    def _is_last(self) -> bool:
        """Whether no other turn may follow this one: its calls are left for another run."""
        return self._turn >= self._settings.max_turns

    def _may_run(self, call: Mapping[str, Any]) -> bool:
        tool, others = self._settings.functions.get(call["name"]), self._settings.others
        if call.get("type", "function") != "function":
            return False
        if tool is None:  # a name that the model has made up: it is told so
            return others is not None and call["name"] not in others
        return tool.runs_by_itself or (tool.function is not None and call["id"] in self._approved)

    def _begins_call(self, event: StreamEvent) -> bool:
        """Whether this is the first delta of one more call: those before it may be complete."""
        delta = event.delta if isinstance(event, StreamDeltaEvent) else ""
        if isinstance(delta, str) or delta.get("type") != "tool_call":
            return False
        before, self._index = self._index, delta.get("index")
        return before != self._index

    def _begin_early(self, response: StreamingResponse) -> None:
        self._seen = len(response.tool_calls)
        if self._settings.begins_early and not self._is_last:
            for call in (*response.tool_calls, *_whole_calls(response)):
                if call["id"] and self._may_run(call):
                    self._calls.begin(call)

    def _begin_owed(self) -> None:
        """Begin the calls of the last answer; those that are not to be run are pending."""
        owed, self._owed = self._owed, []
        is_last = self._turn > 0 and self._is_last
        for call in owed:
            if self._calls.has_begun(call):
                continue
            may_run = self._may_run(call)
            if may_run and not is_last and not self._has_failed:
                self._calls.begin(call)
                continue
            self.result.pending_calls.append(dict(call))
            self._is_cut_short = self._is_cut_short or may_run

    def _take_answers(self, answers: list[Answer]) -> None:
        for answer in answers:
            self.result.messages.append(answer.message)
            self._told.append(answer.as_metadata())
            if answer.stop is not None:
                self.result.is_stopped = True
                self.result.value = answer.stop.value

    # --- from turn to turn --------------------------------------------------------------------

    def _plan_turn(self) -> Plan:
        self._turn += 1
        self._seen = 0
        plan, self._first = self._first, None
        if plan is None or self._told:
            try:
                plan = self._make_plan(self.result, self._turn, self._metadata(self._turn))
            except (ConfigurationError, BudgetExceededError) as error:
                raise self._end_in(error) from None
        self._told = []
        self._plan = plan
        return plan

    def _lost_reasoning(self, response: StreamingResponse) -> bool:
        """Whether text transformers have changed reasoning that the provider wants back as it was.

        What was changed has lost its signature.
        """
        targets = self._plan.targets if self._plan is not None else ()
        is_wanted = any(
            target.wire.wants_reasoning
            for target in targets
            if target.provider == response.provider
        )
        if self._settings.begins_early or not is_wanted:
            return False
        thoughts = (part for part in response.parts if isinstance(part, ReasoningPart))
        return any(part.text and not part.provider_data for part in thoughts)

    def _metadata(self, turn: int) -> dict[str, Any]:
        return {"turn": turn, "tool_results": self._told}

    def note_failure(self, error: BaseException) -> None:
        """Let an error have what the run has come to: that of a request that is refused, too."""
        if isinstance(error, SteerError) and error.run is None:
            error.run = self.result

    def _end_failed(self) -> None:
        error = self.result.responses[-1].error
        if error is None:
            raise AssertionError("the last turn has not failed")
        self._end_in(error)
        if self._settings.raises:
            raise error

    def _end_in(self, error: SteerError) -> SteerError:
        """End the run in an error, which then has what the run has come to."""
        self._is_over = True
        self.result.error = error
        error.run = self.result
        return error

    def _cut_by_leaving(self) -> SteerError | None:
        """What a run has ended in that is left here; None where it had come to its end."""
        if self._has_failed:
            return self.result.responses[-1].error
        goes_on = self._told or self._is_paused or any(map(self._may_run, self._owed))
        left = StreamCancelledError("the run was left before its end") if goes_on else None
        return self._cancelled or left

    def _too_many_turns(self) -> ToolError:
        names = sorted({call["name"] for call in self.result.pending_calls})
        return ToolError(
            f"after {self._turn} turns (max_turns) the model still calls {', '.join(names)}; "
            "run(error.run.messages, …) goes on"
        )


def _whole_calls(response: StreamingResponse) -> Iterator[dict[str, Any]]:
    """The calls that another one follows, and whose arguments show that they are whole.

    Chat completions close no call before the answer ends. A JSON object shows its own end; an empty
    one may be what a server begins every call with.
    """
    calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
    for call in calls[:-1]:
        is_function = call.call_type == "function" and bool(call.name)
        if is_function and not call.is_complete and _is_whole_object(call.arguments):
            yield {"id": call.id, "name": call.name, "arguments": call.arguments}


def _is_whole_object(arguments: str) -> bool:
    try:
        value = strict_loads(arguments)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and bool(value)
