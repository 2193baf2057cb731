"""The methods of a client that run tools."""

# ruff: noqa: SLF001 - `open_run` belongs to the client: both of its methods share it

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Unpack, overload

from steer_llm_sdk.calls import (
    UNKNOWN,
    CallArguments,
    CallKeywords,
    ItemKeywords,
    check_argument,
    place_in_call,
    read_options,
)
from steer_llm_sdk.checks import POSITIVE, refuse_unknown
from steer_llm_sdk.engine.plan import Plan
from steer_llm_sdk.journal.base import Journal
from steer_llm_sdk.journal.starting import start
from steer_llm_sdk.models.callbacks import (
    CompleteCallback,
    DeltaCallback,
    ErrorCallback,
    StartCallback,
    UsageCallback,
)
from steer_llm_sdk.models.requests import RawTool, ToolChoice, read_tool_choice
from steer_llm_sdk.models.shapes import Answer
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.structured import Toolbox, read_response_format, read_toolbox
from steer_llm_sdk.tools.budget import what_is_left
from steer_llm_sdk.tools.calling import Calls
from steer_llm_sdk.tools.history import read_history
from steer_llm_sdk.tools.result import RunResult
from steer_llm_sdk.tools.run import Run, RunSettings
from steer_llm_sdk.tools.stream import RunStream, TurnManager
from steer_llm_sdk.wiring import Wired

DEFAULT_MAX_TURNS = 10


class TypedRunKeywords(ItemKeywords, total=False):
    """The keywords of a run whose `response_format` is a type.

    Attributes:
        max_turns: How often the model may be asked: 10, unless it is said.
        approved: The ids of calls at the end of the messages that may be run, although their tools
            need approval.
    """

    max_turns: int
    approved: Collection[str]


class RunKeywords(TypedRunKeywords, total=False):
    """The keywords of a run: those of every call, and its own.

    Attributes:
        response_format: The JSON that is asked for: a type, or a mapping.
    """

    response_format: Any


# Those that a run has as arguments of its own are known too: a keyword may be meant for one.
_KNOWN = frozenset({*CallArguments.__slots__, *RunKeywords.__optional_keys__})


class ToolRuns:
    """The methods of a client that run tools."""

    @overload
    async def run(
        self: Wired,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        on_start: StartCallback | None = None,
        on_delta: DeltaCallback | None = None,
        on_usage: UsageCallback | None = None,
        on_complete: CompleteCallback | None = None,
        on_error: ErrorCallback | None = None,
        *,
        response_format: type[Answer],
        **arguments: Unpack[TypedRunKeywords],
    ) -> RunResult[Answer]: ...

    @overload
    async def run(
        self: Wired,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        on_start: StartCallback | None = None,
        on_delta: DeltaCallback | None = None,
        on_usage: UsageCallback | None = None,
        on_complete: CompleteCallback | None = None,
        on_error: ErrorCallback | None = None,
        **arguments: Unpack[RunKeywords],
    ) -> RunResult: ...

    async def run(
        self: Wired,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        on_start: StartCallback | None = None,
        on_delta: DeltaCallback | None = None,
        on_usage: UsageCallback | None = None,
        on_complete: CompleteCallback | None = None,
        on_error: ErrorCallback | None = None,
        **arguments: Unpack[RunKeywords],
    ) -> RunResult:
        """Ask, run the functions that the model calls, tell it the results, and ask again.

        It goes on until there is nothing to run. Calls of one answer run side by side, each as soon
        as it is complete: asynchronous functions in this loop, plain ones in threads. What a
        function raises, that it took too long, or that its arguments do not fit, is told to the
        model and logged.

        Calls of tools without a function, and of those that need approval, end the run: they are
        `RunResult.pending_calls`. ``run([*result.messages, tool_result(id, …)], …)`` goes on with
        results, and ``run(result.messages, …, approved=[id])`` with calls that are approved. A
        function that raises `StopRun` ends it, too.

        Args:
            messages: As in `stream_with_usage`; the history of an earlier run goes on.
            model: As in `stream_with_usage`.
            temperature: As in `stream_with_usage`.
            max_tokens: As in `stream_with_usage`; of each answer.
            streaming_options: As in `stream_with_usage`; the limits are those of each turn, and a
                budget is that of the whole run.
            on_start: Called with the `StreamStartEvent` of each turn.
            on_delta: Called with each `StreamDeltaEvent`.
            on_usage: Called with the `StreamUsageEvent` of each turn.
            on_complete: Called with the `StreamCompleteEvent` of each turn.
            on_error: Called with the `StreamErrorEvent` of the turn that fails.
            **arguments: As in `stream_with_usage`, and `max_turns` and `approved`: see
                `RunKeywords`. A `tool_choice` that forces a call holds for the first turn.

        Returns:
            What the run has come to; with `on_error`, also where a turn failed: see its `error`.

        Raises:
            ConfigurationError: It cannot be run as it was asked for.
            ToolError: After `max_turns` the model still calls tools; the result so far is the
                error's `run`, and so it is of every other error.
            SteerError: A turn failed, and there is no `on_error`.
        """
        options = read_options(streaming_options)
        raises = on_error is None if options.raise_on_error is None else options.raise_on_error
        stream = open_run(
            self, messages, model, temperature, max_tokens, options, arguments, raises=raises
        )

        def manager() -> EventManager:
            return TurnManager(
                stream.note,
                on_start,
                on_delta,
                on_usage,
                on_complete,
                on_error,
                raise_errors=options.raise_callback_errors,
                slow_warning_ms=options.slow_callback_warning_ms,
            )

        return await stream.run(manager)

    @overload
    def run_events(
        self: Wired,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        response_format: type[Answer],
        **arguments: Unpack[TypedRunKeywords],
    ) -> RunStream[Answer]: ...

    @overload
    def run_events(
        self: Wired,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[RunKeywords],
    ) -> RunStream: ...

    def run_events(
        self: Wired,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[RunKeywords],
    ) -> RunStream:
        """Run as `run`, and give the events of all turns; use it in an ``async with``.

        The error event of a turn that fails is yielded, and then its error is raised. `result` is
        what the run has come to.

        The arguments are those of `run`, without callbacks.

        Raises:
            ConfigurationError: It cannot be run as it was asked for.
        """
        options = read_options(streaming_options)
        raises = True if options.raise_on_error is None else options.raise_on_error
        return open_run(
            self, messages, model, temperature, max_tokens, options, arguments, raises=raises
        )

    async def start_run(
        self: Wired,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        journal: Journal,
        key: str | None = None,
        **arguments: Unpack[RunKeywords],
    ) -> str:
        """Begin a run apart from the caller, who may leave, as `SteerLLMClient.start` does.

        The events of all its turns go into the journal, in one stream that ends with the run.

        Args:
            messages: As in `run`.
            model: As in `run`.
            temperature: As in `run`.
            max_tokens: As in `run`.
            streaming_options: As in `run`.
            journal: Where the events go.
            key: Begins the run once: see `SteerLLMClient.start`.
            **arguments: As in `run`.

        Returns:
            The identifier by which the journal has it: that of its first turn's stream.

        Raises:
            ConfigurationError: It cannot be run as it was asked for; the key has begun another
                request; or `max_generations` run already.
            ConnectionLostError: The journal cannot be reached.
        """
        options = read_options(streaming_options)
        run = open_run(
            self, messages, model, temperature, max_tokens, options, arguments, raises=True
        )
        return await start(run.first_plan, lambda: run, self._here(), journal, key, turns=True)


def open_run(
    client: Wired,
    messages: object,
    model: str,
    temperature: float | None,
    max_tokens: int | None,
    options: StreamingOptions,
    arguments: RunKeywords,
    *,
    raises: bool,
) -> RunStream:
    """Make a run, and refuse what cannot be run.

    Raises:
        ConfigurationError: It cannot be run as it was asked for.
    """
    given: dict[str, Any] = dict(arguments)
    refuse_unknown(given, _KNOWN, place_in_call, UNKNOWN)
    check_argument("metadata", given.get("metadata"))
    max_turns = given.pop("max_turns", DEFAULT_MAX_TURNS)
    POSITIVE.check("max_turns", max_turns)
    approved = given.pop("approved", ())
    toolbox = replace(read_toolbox(given.get("tools")), checks=False)
    given["tools"] = toolbox
    if given.get("response_format") is not None:  # read once, not in each turn
        given["response_format"] = read_response_format(
            given["response_format"], validate_schema=options.validate_schema
        )
    later = {**given, "tool_choice": _later_choice(given.get("tool_choice"))}

    account = client._sinks.run_account()

    def make_plan(so_far: RunResult, turn: int, metadata: Mapping[str, Any]) -> Plan:
        told = dict(given if turn == 1 else later)
        told["metadata"] = {**(told.get("metadata") or {}), **metadata}
        keywords: CallKeywords = told  # type: ignore[assignment]
        left = what_is_left(options, so_far)
        plan = client._plan(so_far.messages, model, temperature, max_tokens, left, keywords)
        plan.run_id = None if account is None else account.run_id
        return plan

    def make_calls() -> Calls:
        return Calls(toolbox.functions, client._tool_threads, client._clock, account)

    def open_turn(plan: Plan, manager: EventManager | None) -> EventStream:
        return client._stream(plan, manager, raises=False)

    settings = RunSettings(
        toolbox.functions,
        _other_names(toolbox),
        max_turns,
        approved,
        begins_early=not options.text_transformers,
        raises=raises,
    )
    run = Run(read_history(messages), settings, make_plan, make_calls)
    return RunStream(run, open_turn, client._here, options.exit_grace, account)


def _later_choice(choice: object) -> object:
    """The choice of a tool after the first turn: one that forces a call would never let it end."""
    read = read_tool_choice(choice)
    is_forced = isinstance(read, RawTool) or (
        isinstance(read, ToolChoice) and read.mode in {"required", "tool"}
    )
    return None if is_forced else choice


def _other_names(toolbox: Toolbox) -> frozenset[str] | None:
    """The names of the tools that are no functions; None where one's own spelling hides it."""
    others = [tool for tool in toolbox.asked if isinstance(tool, RawTool)]
    if others:
        return None
    names = {tool.name for tool in toolbox.asked if not isinstance(tool, RawTool)}
    return frozenset(names - toolbox.functions.keys())
