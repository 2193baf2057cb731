"""Runs the functions that a model calls: each in a task of its own, and side by side."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from steer_llm_sdk.checks import is_asynchronous
from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.threads import Outcome, ToolThreads
from steer_llm_sdk.errors import InvalidJSONError
from steer_llm_sdk.models.turns import tool_result
from steer_llm_sdk.pipeline.user_errors import await_user_code
from steer_llm_sdk.sinks.runs import RunAccount
from steer_llm_sdk.stored import words_of
from steer_llm_sdk.structured import Tool
from steer_llm_sdk.tasks import start_task

_log = logging.getLogger("steer_llm_sdk.tools")

# The model is told what went wrong, not the whole page that an exception may hold.
_LONGEST_ERROR = 2_000


class StopRun(Exception):  # noqa: N818 - it is no error
    """Raised by a tool to end the run: nothing more is asked of the model.

    Calls that were made beside it are still finished, so that the history can be gone on with.

    Args:
        value: What the run has come to: `RunResult.value`, and what the history has as the call's
            result.
    """

    def __init__(self, value: Any = None) -> None:
        super().__init__(value)
        self.value = value


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one call.

    Attributes:
        call: The call.
        message: The message that answers it.
        stop: What the function raised to end the run.
        error_type: What it failed in, by its class's name; empty where it did not.
    """

    call: Mapping[str, Any]
    message: dict[str, Any]
    stop: StopRun | None = None
    error_type: str = ""

    def as_metadata(self) -> dict[str, Any]:
        """How the next turn's start event tells of it."""
        return {
            "id": self.call["id"],
            "name": self.call["name"],
            "arguments": self.call["arguments"],
            "content": self.message["content"],
            "is_error": self.message.get("is_error", False),
        }


class Calls:
    """The calls of one turn, as they are run.

    Args:
        functions: The functions by their names.
        threads: Where plain ones run.
        clock: By which their time is limited.
        account: Keeps the run's account for the client's sinks; None where there are none.
    """

    def __init__(
        self,
        functions: Mapping[str, Tool],
        threads: ToolThreads,
        clock: Clock,
        account: RunAccount | None = None,
    ) -> None:
        self._account = account
        self._functions = functions
        self._threads = threads
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[Answer]] = {}
        self._is_cancelled = False

    def begin(self, call: Mapping[str, Any]) -> None:
        """Begin to run a call; without effect when it has begun already."""
        if call["id"] not in self._tasks:
            self._tasks[call["id"]] = start_task(self._answer(call))

    def has_begun(self, call: Mapping[str, Any]) -> bool:
        """Whether a call has begun."""
        return call["id"] in self._tasks

    async def settle(self) -> list[Answer]:
        """Wait until all are answered; in the order in which they began.

        Given up, may be called again. Those that were cancelled are not among them.
        """
        tasks = tuple(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks)
        return [task.result() for task in tasks if not task.cancelled()]

    def answered(self) -> list[Answer]:
        """What has become of those that have ended by themselves; nothing is waited for."""
        ended = [task for task in self._tasks.values() if task.done() and not task.cancelled()]
        return [task.result() for task in ended if task.exception() is None]

    def cancel(self) -> None:
        """Cancel the asynchronous functions, and leave the plain ones."""
        self._is_cancelled = True
        for task in self._tasks.values():
            task.cancel()

    async def end(self, grace: float) -> None:
        """Cancel them, and wait until they have ended, but no longer than `grace` seconds."""
        self.cancel()
        tasks = tuple(self._tasks.values())
        if tasks and (await asyncio.wait(tasks, timeout=grace))[1]:
            _log.warning("a tool goes on although it was cancelled")

    async def _answer(self, call: Mapping[str, Any]) -> Answer:
        account = self._account
        if account is None:
            return await self._call_tool(call)
        begun, error_type, content = account.begin_tool(call), "cancelled", None
        try:
            answer = await self._call_tool(call)
            error_type, content = answer.error_type, answer.message["content"]
        finally:
            account.end_tool(begun, error_type or None, content)
        return answer

    async def _call_tool(self, call: Mapping[str, Any]) -> Answer:
        tool = self._functions.get(call["name"])
        if tool is None or tool.function is None:
            known = ", ".join(map(repr, self._functions)) or "none"
            said = f"there is no tool {call['name']!r}; there are: {known}"
            return _failed(call, said, "UnknownTool")
        try:
            places, names = tool.read_arguments(call["arguments"])
        except InvalidJSONError as error:
            _log.warning("%s", error)
            return _failed(call, str(error), type(error).__name__)
        try:
            value, raised = await self._run(tool, partial(tool.function, *places, **names))
        except asyncio.CancelledError as error:
            if self._is_cancelled:
                raise
            value, raised = None, error  # by the function itself, or whoever found its task
        if isinstance(raised, StopRun):
            return replace(_told(tool, call, raised.value), stop=raised)
        if isinstance(raised, _LateError):
            _log.warning("%s", raised)
            return _failed(call, str(raised), "timeout")
        if raised is not None:
            _log.warning("the tool %s raised; the model is told", tool.name, exc_info=raised)
            kind = type(raised).__name__
            return _failed(call, f"{kind}: {words_of(raised)}", kind)
        return _told(tool, call, value)

    async def _run(self, tool: Tool, function: partial[Any]) -> Outcome:
        if tool.timeout is None:
            return await self._call(function)
        work = start_task(self._call(function))
        over = asyncio.Event()  # it has ended, or its time has
        work.add_done_callback(lambda _: over.set())
        timer = self._clock.call_later(tool.timeout, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()
            is_late = not work.done()
            if is_late:  # it may take its time to end: nobody waits for that
                work.cancel()
                _LEFT.add(work)
                work.add_done_callback(_LEFT.discard)
        if is_late:
            return None, _LateError(f"the tool {tool.name!r} took longer than {tool.timeout:g} s")
        return work.result()

    async def _call(self, function: partial[Any]) -> Outcome:
        if is_asynchronous(function):
            value, error = await await_user_code(function())
        else:
            value, error = await self._threads.run(function)
        if error is None and inspect.isawaitable(value):  # an asynchronous one forgot to
            return await await_user_code(_awaited(value))
        return value, error


# Tasks that were cancelled for taking too long: held until they have ended.
_LEFT: set[asyncio.Task[Any]] = set()


class _LateError(Exception):
    """A tool took longer than it may."""


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _told(tool: Tool, call: Mapping[str, Any], value: object) -> Answer:
    """What the model is told of a value; that it has no words, where the value's own code fails."""
    try:
        if isinstance(value, Iterator | AsyncIterator):
            raise TypeError(
                f"expected a value, found {type(value).__name__}, of which nothing was read: "
                "return a list of what it gives"
            )
        return Answer(call, tool_result(call["id"], value))
    except Exception as error:  # noqa: BLE001 - `to_dict`, a property, a file that is not there
        _log.warning("what the tool %s gave cannot be told", tool.name, exc_info=error)
        kind = type(error).__name__
        return _failed(call, f"what it gave cannot be told: {kind}: {words_of(error)}", kind)


def _failed(call: Mapping[str, Any], message: str, error_type: str) -> Answer:
    shown = message if len(message) <= _LONGEST_ERROR else message[:_LONGEST_ERROR] + "…"
    return Answer(call, tool_result(call["id"], shown, is_error=True), error_type=error_type)
