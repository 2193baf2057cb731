"""A provider without a network: an ordinary `Transport` that answers by a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from steer_llm_sdk.clock import Clock, SystemClock
from steer_llm_sdk.errors import ConnectionLostError, ProtocolError, SteerError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.testing.faults import ErrorInStream, HTTPError, Raise
from steer_llm_sdk.testing.listing import DEFAULT_MODELS
from steer_llm_sdk.testing.picking import ScriptPicker
from steer_llm_sdk.testing.plan import Ending, Fault, Plan, RecordedRequest
from steer_llm_sdk.testing.rendering import Write, body_writes
from steer_llm_sdk.testing.reports import make_report
from steer_llm_sdk.testing.scripts import Answering, Responder, Script, ScriptLike


class ScriptedProvider:
    """Answers with these deltas, then fails as told, in the wire format of any provider.

    ::

        provider = ScriptedProvider("Hello", " world")
        client = SteerLLMClient(openai_api_key="test", transport=provider)

    Args:
        says: The deltas of one answer; or `Script`s and faults, one for each request, of which the
            last repeats; or a function of the request (it may be async). Nothing: the default
            `Script`.
        then: How the answer fails after its deltas: an error to raise; a status (before any delta
            it is the response's own, later an error inside the stream); or a fault.
        format: A wire format's name; ``"auto"``: the one that a request's path asks for.
        clock: The clock for delays.
        models: The models that are listed to whoever asks; a request for them takes a script of
            its own, whose faults it meets.

    Attributes:
        requests: All requests so far.
        responses: All responses so far; each tells whether it was aborted and released.

    Raises:
        TypeError: `says` mixes deltas with something else.
    """

    def __init__(
        self,
        *says: str | ScriptLike | Responder,
        then: SteerError | Fault | int | None = None,
        format: str = "auto",  # noqa: A002 (the word of the documentation)
        clock: Clock | None = None,
        models: Sequence[str] = DEFAULT_MODELS,
    ) -> None:
        self.requests: list[RecordedRequest] = []
        self.responses: list[ScriptedResponse] = []
        self._picker = ScriptPicker(_answering(says, then), format, models)
        self._clock = clock or SystemClock()
        self._closed: SteerError | None = None

    async def open(
        self,
        request: HTTPRequest,
        *,
        connect_timeout: float | None,  # noqa: ARG002 (nothing to connect to)
    ) -> ScriptedResponse:
        """Record the request, and start its answer.

        Raises:
            ConnectionLostError: The script says so, or the provider was closed meanwhile.
            ProtocolError: The script says that the status line is garbage.
            SteerError: What the script raises.
        """
        recorded = _record(request, len(self.requests) + 1)
        self.requests.append(recorded)
        plan = await self._picker.plan(recorded)
        response = ScriptedResponse(plan, self._clock)
        if self._closed is not None:
            response.abort(self._closed)
        self.responses.append(response)
        await response.begin()
        return response

    async def close(self) -> None:
        """End the streams under way in a `ConnectionLostError`."""
        self._closed = ConnectionLostError("the scripted provider was closed")
        for response in self.responses:
            response.abort(self._closed)


class ScriptedResponse:
    """One answer that is being read.

    Attributes:
        status: The HTTP status.
        headers: The headers; names in lower case.
        was_aborted: Whether `abort` was called before the body's end.
        was_released: Whether `release` was called.
    """

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.status = plan.status
        self.headers: Mapping[str, str] = {k.lower(): v for k, v in plan.headers.items()}
        self.was_aborted = False
        self.was_released = False
        self._plan = plan
        self._clock = clock
        self._writes: Iterator[Write] = body_writes(plan)
        # What is to be read next, and when: kept until it has been given out, so that a `read` that
        # is cancelled while it waits loses nothing, and the next one waits for the rest only.
        self._next: Write | None = None
        self._due = 0.0
        self._is_over = False
        self._aborted: SteerError | None = None
        self._waiting: asyncio.Future[None] | None = None

    async def begin(self) -> None:
        """Wait until the status line is due; raise what the script raises before it."""
        await self._wait(self._plan.head_wait)
        if self._plan.head is not None:
            raise ProtocolError("the server's answer is not HTTP (scripted)")
        if not self._plan.sends_head:
            await self._end()

    async def read(self) -> bytes:
        """Read the next piece of the body; ``b""`` at its end.

        Raises:
            ConnectionLostError: The script breaks the connection here.
            SteerError: What the script raises here, or `abort` was called with.
        """
        while (write := self._peek()) is not None:
            await self._wait(max(0.0, self._due - self._clock.monotonic()) if write.wait else 0)
            self._next = None
            if write.data:
                return write.data
        await self._wait(0)
        await self._end()
        self._is_over = True
        return b""

    def _peek(self) -> Write | None:
        """Return the write that is due next, without taking it; None at the end."""
        if self._next is None:
            self._next = next(self._writes, None)
            wait = self._next.wait if self._next is not None else 0.0
            self._due = self._clock.monotonic() + wait
        return self._next

    def abort(self, error: SteerError) -> None:
        """End a `read` under way, and every later one, in `error`."""
        if self._aborted is not None:
            return
        self._aborted = error
        self.was_aborted = not self._is_over
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)

    async def release(self) -> None:
        """Note that the rest of the body is not wanted."""
        self.was_released = True

    async def _end(self) -> None:
        if self._plan.error is not None:
            raise self._plan.error
        if self._plan.ending is Ending.STALL:
            await self._wait(None)
        if self._plan.ending is not Ending.WHOLE:
            raise ConnectionLostError(f"{self._plan.ending.value} (scripted)")

    async def _wait(self, seconds: float | None) -> None:
        """Wait, for ever where it is None, or until aborted."""
        if self._aborted is not None:
            raise self._aborted
        if seconds == 0:
            # As with a real socket, others get their turn.
            await asyncio.sleep(0)
            if self._aborted is not None:
                raise self._aborted
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        timer = None if seconds is None else self._clock.call_later(seconds, lambda: _wake(waiting))
        try:
            await waiting
        finally:
            self._waiting = None
            if timer is not None:
                timer.cancel()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _answering(
    says: tuple[str | ScriptLike | Responder, ...], then: SteerError | Fault | int | None
) -> Answering:
    deltas = [said for said in says if isinstance(said, str)]
    if deltas or not says:
        if len(deltas) != len(says):
            raise TypeError("says: expected deltas alone, or scripts alone; found both")
        script = Script(deltas) if deltas or then is not None else Script()
        return script if then is None else replace(script, faults=[_failure(then, len(deltas))])
    if then is not None:
        raise TypeError("then: goes with deltas only; a Script has its own faults")
    first: Any = says[0]
    if len(says) == 1 and callable(first) and not hasattr(first, "apply"):
        responder: Responder = first
        return responder
    answers: list[Any] = list(says)
    return answers


def _failure(then: SteerError | Fault | int, after: int) -> Fault:
    if isinstance(then, SteerError):
        return Raise(then, after or "request")
    if not isinstance(then, int):
        if not callable(getattr(then, "apply", None)):
            raise TypeError(
                f"then: expected an error of the library, a status or a fault, found {then!r}"
            )
        return then
    if after == 0:
        return HTTPError(then)
    return ErrorInStream(after, make_report(status=then).kind)


def _record(request: HTTPRequest, number: int) -> RecordedRequest:
    split = urlsplit(request.url)
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    return RecordedRequest(
        method=request.method,
        path=split.path,
        query=split.query,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.body,
        json=body,
        number=number,
    )
