"""Batches: one stream's events, handed over many at a time and off the path of the tokens.

A batch is *sealed* when it is full or its time is up; sealed batches wait in a bounded queue; one
task at a time hands them over, one after another. The timer only seals: it never touches a handler
in flight. So a handler that is slow, raises or is cancelled costs no other batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from steer_llm_sdk.checks import refuse_yielding
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.pipeline.user_errors import USER_ERRORS, UserErrorLog, await_user_code, to_await
from steer_llm_sdk.tasks import start_task, until_ended

BatchHandler = Callable[[list[StreamEvent]], Any]
BatchOverflow = Literal["block", "drop_oldest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How events are batched.

    Attributes:
        handler: Called with each batch; async or not.
        size: The events of a full batch.
        timeout_ms: A batch is handed over this long after its first event, in milliseconds, full
            or not; None: only when it is full, and at the end.
        max_waiting: How many sealed batches may wait for the handler.
        overflow: What happens beyond that: ``"block"`` holds up the stream until the handler has
            taken one; ``"drop_oldest"`` drops the batch that has waited longest, and counts it.
    """

    handler: BatchHandler
    size: int = 100
    timeout_ms: float | None = 1000.0
    max_waiting: int = 16
    overflow: BatchOverflow = "block"

    def __post_init__(self) -> None:
        if not callable(self.handler):
            raise ConfigurationError(
                f"batch_handler: expected something to call with each batch, found {self.handler!r}"
            )
        refuse_yielding("batch_handler", self.handler)
        counts = {"batch_size": self.size, "max_waiting_batches": self.max_waiting}
        for name, value in counts.items():
            if type(value) is not int or value < 1:
                raise ConfigurationError(f"{name}: expected a number above 0, found {value!r}")
        if self.timeout_ms is not None and not self.timeout_ms > 0:
            raise ConfigurationError(
                "batch_timeout_ms: expected milliseconds above 0, or None; "
                f"found {self.timeout_ms!r}"
            )
        if self.overflow not in {"block", "drop_oldest"}:
            raise ConfigurationError(
                f'overflow: expected "block" or "drop_oldest", found {self.overflow!r}'
            )


class Batcher:
    """The batches of one stream. Belongs to the event loop it is used in.

    Args:
        options: How events are batched.
        errors: Where it is reported that the handler raised.
        on_drop: Called with the number of events that were dropped.
        pending: Holds this batcher as long as anything in it is not handed over.
    """

    def __init__(
        self,
        options: BatchOptions,
        errors: UserErrorLog,
        on_drop: Callable[[int], None],
        pending: set[Batcher],
    ) -> None:
        self._options = options
        self._errors = errors
        self._on_drop = on_drop
        self._pending = pending
        self._current: list[StreamEvent] = []
        self._waiting: deque[list[StreamEvent]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Event | None = None

    def add(self, events: list[StreamEvent]) -> Awaitable[None] | None:
        """Add events to the batch.

        Returns:
            None; or, where ``overflow="block"`` and the handler is behind, something to await
            before more are added. These events are in the batch either way.
        """
        is_behind = False
        for event in events:
            if not self._current:
                self._begin()
            self._current.append(event)
            if len(self._current) >= self._options.size:
                is_behind = not self._seal()
        return self._wait_for_room() if is_behind else None

    def belongs_to(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it was first used in this loop."""
        return self._loop is loop

    async def flush(self) -> None:
        """Hand over what there is, the batch that is not full included, and wait until it is done.

        Called by the handler itself it does not wait: the batch follows when the handler returns.
        """
        while self._current:
            self._enqueue()
        while self._waiting or self._is_delivering():
            task = self._deliver_soon()
            if task is asyncio.current_task():
                return
            # Not awaited itself: when the caller is cancelled, the delivery goes on.
            await until_ended(task)

    def _begin(self) -> None:
        """The batch gets its first event."""
        self._loop = asyncio.get_running_loop()
        self._pending.add(self)
        if self._options.timeout_ms is not None and self._timer is None:
            self._timer = self._loop.call_later(self._options.timeout_ms / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._is_due = True
        self._seal()

    def _seal(self) -> bool:
        """Let the batch join those that wait; False when there is no room, and it must not drop."""
        if len(self._waiting) >= self._options.max_waiting:
            if self._options.overflow == "block":
                self._deliver_soon()
                return False
            self._on_drop(len(self._waiting.popleft()))
        self._enqueue()
        return True

    def _enqueue(self) -> None:
        self._stop_timer()
        size = self._options.size
        self._waiting.append(self._current[:size])
        self._current = self._current[size:]
        if self._current:
            self._begin()
        self._deliver_soon()

    def _stop_timer(self) -> None:
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait_for_room(self) -> None:
        if self._room is None:
            self._room = asyncio.Event()
        while len(self._current) >= self._options.size:
            self._deliver_soon()
            self._room.clear()
            await self._room.wait()

    def _is_delivering(self) -> bool:
        return self._task is not None and not self._task.done()

    def _deliver_soon(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._task = start_task(self._deliver(), name="steer-batches")
            # A callback, because a task that is cancelled before its first step runs no `finally`.
            self._task.add_done_callback(self._on_delivered)
        return self._task

    async def _deliver(self) -> None:
        """Hand over one batch after another, until none waits."""
        while self._waiting:
            batch = self._waiting.popleft()
            self._seal_what_waited()
            try:
                await self._hand_over(batch)
            except asyncio.CancelledError as error:  # as happens when the event loop ends
                self._report(error)
                raise

    def _on_delivered(self, _task: asyncio.Task[None]) -> None:
        self._make_room_known()
        if not self._waiting and not self._current:
            self._pending.discard(self)

    def _seal_what_waited(self) -> None:
        """There is room for one more: a batch may have been waiting for it."""
        if len(self._current) >= self._options.size or (self._is_due and self._current):
            self._enqueue()
        self._make_room_known()

    def _make_room_known(self) -> None:
        if self._room is not None:
            self._room.set()

    async def _hand_over(self, batch: list[StreamEvent]) -> None:
        handler = self._options.handler
        try:
            awaited = to_await(handler(batch))
        except USER_ERRORS as error:
            self._report(error)
            return
        if awaited is not None:
            _, raised = await await_user_code(awaited)
            if raised is not None:
                self._report(raised)

    def _report(self, error: BaseException) -> None:
        self._errors.report("handler", self._options.handler, "later batches still come", error)
