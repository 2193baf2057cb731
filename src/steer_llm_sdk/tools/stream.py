"""A run as its consumer sees it: `RunStream` yields the events of all its turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias

from steer_llm_sdk.engine.plan import Plan
from steer_llm_sdk.errors import SteerError, StreamCancelledError, StreamInUseError
from steer_llm_sdk.models.events import AnyEvent, StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.shapes import Answer
from steer_llm_sdk.pools import Pool
from steer_llm_sdk.sinks.runs import RunAccount
from steer_llm_sdk.stored import Live
from steer_llm_sdk.streaming.manager import EventManager, Stoppable
from steer_llm_sdk.streaming.ownership import Owner
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.tasks import check_loop
from steer_llm_sdk.tools.result import RunResult
from steer_llm_sdk.tools.run import Run

# Makes the stream of a turn's plan, with the callbacks that are to be called.
OpenTurn: TypeAlias = Callable[[Plan, EventManager | None], EventStream]


class RunStream(Live, Generic[Answer]):
    """The events of a run: of each turn its start, its deltas, its usage and its terminal event.

    ::

        async with client.run_events("Rain in Ulm?", "gpt-4o", tools=[get_weather]) as run:
            async for event in run:
                ...
        print(run.result.text)

    Every event has the turn's number, from 1, in ``metadata["turn"]``, and `sequence` counts
    through the whole run. ``metadata["tool_results"]`` of a start event are the results that the
    turn was told. Leaving early cancels the functions that run, and closes the provider's socket.

    Args:
        run: The run.
        open_turn: Makes the stream of a turn.
        here: What the client has in the running loop.
        grace: How long leaving waits for functions that were cancelled, in seconds.
        account: Keeps the run's account for the client's sinks; None where there are none.
    """

    def __init__(
        self,
        run: Run,
        open_turn: OpenTurn,
        here: Callable[[], Pool],
        grace: float,
        account: RunAccount | None = None,
    ) -> None:
        self._account = account
        self._run = run
        self._open_turn = open_turn
        self._here = here
        self._grace = grace
        self._turn: EventStream | None = None
        self._response = StreamingResponse()
        self._owner = Owner(self)
        self._is_entered = False
        self._is_pulled = False  # somebody waits for the next turn
        self._is_closed = False
        self._has_begun = False
        self._left_behind: StreamCancelledError | None = None  # to be told to whoever reads on
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def result(self) -> RunResult[Answer]:
        """What the run has come to so far; whole when it has ended."""
        return self._run.result

    @property
    def first_plan(self) -> Plan:
        """The plan of its first turn; for the library itself, before it begins."""
        return self._run.first_plan

    @property
    def response(self) -> StreamingResponse[Answer]:
        """The answer of the turn, as far as it has arrived; of the last one, between turns."""
        return self._response if self._turn is None else self._turn.response

    def note(self, event: StreamEvent) -> StreamEvent:
        """Number an event of the turn, and begin the calls that are complete."""
        return self._run.note(event, self.response)

    def cancel(self, reason: str = "the run was cancelled") -> None:
        """End the run: the functions that run are cancelled, and the provider's socket is closed.

        A turn that streams still ends in its `StreamErrorEvent`.
        """
        self._run.cancel(reason)
        if self._turn is not None:
            self._turn.cancel(reason)

    def fail(self, error: SteerError) -> None:
        """End the turn in this error, which its consumer has found, and the run with it."""
        if self._turn is not None:
            self._turn.fail(error)

    async def aclose(self) -> None:
        """Leave the run: what runs is cancelled, and waited for."""
        self._is_closed = True
        self._owner.release()
        turn, self._turn = self._turn, None
        if turn is not None:
            await turn.aclose()
            self._run.end_turn(turn.response)
        await self._run.leave(self._grace)
        self._tell_end()

    def disown(self, task: asyncio.Task[Any]) -> None:
        """The task that iterated the run has ended."""
        if self._owner.is_(task) and not self._is_closed:
            self._here().keep(self.aclose())

    def leave_behind(self, reason: str) -> None:
        """End the run with its loop, in which nobody can read it any more."""
        self.cancel(reason)
        if not self._is_entered and not self._is_closed:
            self._left_behind = StreamCancelledError(reason)
            self._here().keep(self.aclose())

    async def __aenter__(self) -> Self:
        self._is_entered = True
        self._owner.release()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_entered = False
        await self.aclose()

    def __aiter__(self) -> Self:
        if not self._is_entered and not self._is_closed:
            self._owner.take()
        return self

    async def __anext__(self) -> AnyEvent:
        while not self._is_closed:
            if self._turn is None and not await self._begin_turn():
                break
            turn = self._turn
            if turn is None:
                break
            try:
                event = await anext(turn, None)
            except SteerError as error:
                self._run.note_failure(error)
                raise
            if event is not None:
                self.note(event)
                return event
            self._end_turn()
        self._owner.release()
        if self._left_behind is not None:
            left, self._left_behind = self._left_behind, None
            raise left
        raise StopAsyncIteration

    async def run(self, manager: Callable[[], EventManager]) -> RunResult[Answer]:
        """Run to the end, for the callbacks.

        Args:
            manager: Makes the callbacks of a turn.

        Raises:
            SteerError: A turn failed, and the run raises; or there were too many of them.
        """
        try:
            while await self._begin_turn(manager) and self._turn is not None:
                await self._turn.run()
                self._end_turn()
        except BaseException as error:
            self._run.note_failure(error)
            await self.aclose()
            raise
        ended_in = self.result.error
        if isinstance(ended_in, StreamCancelledError) and self._run.raises:
            raise ended_in
        return self.result

    async def _begin_turn(self, manager: Callable[[], EventManager] | None = None) -> bool:
        """Wait for the functions, and open the next turn; False when the run is over."""
        check_loop(self._loop, "the run")
        if self._is_pulled:
            raise StreamInUseError(
                "another task waits for this run's next event; one task pulls a run at a time"
            )
        self._loop = asyncio.get_running_loop()
        self._here().streams.add(self)
        self._tell_begin()
        self._is_pulled = True
        try:
            plan = await self._run.next_turn()
        except StreamCancelledError:
            self._tell_end()
            return False
        except SteerError:
            self._tell_end()
            raise
        finally:
            self._is_pulled = False
        if plan is None or self._is_closed:
            self._tell_end()
            return False
        self._turn = self._open_turn(plan, None if manager is None else manager())
        return True

    def _tell_begin(self) -> None:
        if self._account is not None and not self._has_begun:
            self._has_begun = True
            first = self._run.first_plan.targets[0]
            self._account.begin(first.provider, first.chat.model)

    def _tell_end(self) -> None:
        if self._account is not None:
            self._account.end(self.result)

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            self._response = turn.response
            self._run.end_turn(turn.response)

    def __del__(self) -> None:
        if self._loop is None or self._loop.is_closed() or self._is_closed:
            return
        with suppress(RuntimeError):  # it is closed in this moment
            self._loop.call_soon_threadsafe(self._run.cancel, "the run was abandoned")
            if self._account is not None:
                self._loop.call_soon_threadsafe(self._account.end, self.result)


class TurnManager(EventManager):
    """Calls the callbacks of one turn, with events that the run has noted.

    Args:
        note: Notes an event.
        callbacks: As `EventManager` takes them.
        options: As `EventManager` takes them.
    """

    def __init__(
        self, note: Callable[[StreamEvent], StreamEvent], *callbacks: Any, **options: Any
    ) -> None:
        super().__init__(*callbacks, **options)
        self._note = note

    async def deliver(self, events: Iterable[StreamEvent], stream: Stoppable | None = None) -> None:
        """Call the listeners of several events: see `EventManager.deliver`."""
        await super().deliver(map(self._note, events), stream)

    def call_one_by_one(self, event: StreamEvent) -> Iterator[Any]:
        """Call the listeners of an event: see `EventManager.call_one_by_one`."""
        return super().call_one_by_one(self._note(event))
