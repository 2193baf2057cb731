"""A pump that looks at its stream as it goes: notices, and budgets.

`WatchedPump` takes the place of `Pump` where notices or budgets were asked for, so that other
streams pay nothing for them. What takes time is always `Underway` here, so that a notice can be
given while the stream waits: whoever asks next goes on waiting for the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Iterator
from functools import partial
from itertools import chain
from typing import Any

from steer_llm_sdk.answer.budget import RunningCount, count_prompt
from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.admission import Admission
from steer_llm_sdk.engine.budgets import has_budget
from steer_llm_sdk.engine.plan import Plan, Target
from steer_llm_sdk.engine.pump import Events, Pump
from steer_llm_sdk.engine.retrying import Attempts
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.engine.steps import Step
from steer_llm_sdk.errors import BudgetExceededError, SteerError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.transport.base import Arrivals, Transport

_NEVER = float("inf")

# A day: whoever has nothing to tell looks again after it.
_LONG = 86_400.0

# A timer is not set finer than this, so that rounding cannot make it fire without end.
_LEAST_DELAY = 0.001


def make_pump(
    plan: Plan,
    transport: Transport,
    clock: Clock,
    attempts: Attempts,
    stats: ClientStats,
    admission: Admission | None = None,
) -> Pump:
    """Make what drives a stream, with as much watching as was asked for."""
    options = plan.options
    kind = WatchedPump if options.notices or has_budget(options) else Pump
    return kind(plan, transport, clock, attempts, stats, admission)


class WatchedPump(Pump):
    """Drives one stream, and watches it. The arguments are those of `Pump`."""

    def __init__(
        self,
        plan: Plan,
        transport: Transport,
        clock: Clock,
        attempts: Attempts,
        stats: ClientStats,
        admission: Admission | None = None,
    ) -> None:
        super().__init__(plan, transport, clock, attempts, stats, admission)
        self._count = RunningCount(count_prompt(plan.targets[0].chat))
        self._notices = _Notices(plan.options, clock.monotonic())
        self._turn.on_wait, self._turn.on_turn = self._note_queued, self._look_again
        self._woken: asyncio.Future[None] | None = None  # of whoever waits for the next notice
        self._latest = 0.0  # the timestamp of what was given last

    def next_batch(self) -> Awaitable[Events | None]:
        """As `Pump.next_batch`; a batch may be a notice alone, while the stream goes on waiting."""
        return self._next_watched()

    @property
    def arrivals(self) -> Arrivals | None:
        """None: a notice may be due while nothing comes."""
        return None

    def stop(self, error: SteerError) -> None:
        """As `Pump.stop`; notices that nobody has got are dropped."""
        self._notices.waiting.clear()
        super().stop(error)

    async def _next_watched(self) -> Events | None:
        if self.is_over:
            return await super().next_batch()
        now = self._moment()
        self._note_due(now)
        if self._notices.waiting:
            return self._given()
        if not self._underway.is_busy:
            self._begin_step()
        if not self._underway.is_busy:
            batch = await super().next_batch()
        elif await self._comes_before_notice(now):
            batch = await self._settle()
        else:
            return self._given()
        # What a step has noted is told behind its events, which may have their numbers already.
        return None if batch is None else chain(self._watched(batch), self._given())

    def _begin_step(self) -> None:
        """Begin what takes time, so that it can be waited for beside a timer."""
        if self.step is Step.READ:
            self._underway.begin(self._read())
        elif self.step is Step.OPEN:
            self._turn.begin(self._attempts.target)
            self._underway.begin(self._send_request())

    def _aside(self, work: Coroutine[Any, Any, Events]) -> Awaitable[Events]:
        """As `Pump._aside`; what a read leads to is part of the same work."""
        return work if self._underway.is_within else super()._aside(work)

    async def _comes_before_notice(self, since: float) -> bool:
        """Wait for what is under way; False where a notice is due before."""
        while not await self._wait_until_due(since):
            if self._notices.waiting:
                return False
            since = self._clock.monotonic()
        return True

    async def _wait_until_due(self, since: float) -> bool:
        """Wait for what is under way; False where there may be something to tell before."""
        notices, is_silent = self._notices, self._is_silent
        delay = notices.due_in(since, self._count, is_silent=is_silent)
        woken = self._woken = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(max(delay, _LEAST_DELAY), partial(_wake, woken))
        try:
            return await self._underway.comes_before(woken)
        finally:
            timer.cancel()
            self._woken = None
            now = self._moment()
            if is_silent:
                notices.silent += max(0.0, now - since)
            self._note_due(now)

    async def close(self, callback_errors: int) -> None:
        """As `Pump.close`; it is told of no turn any more, and so no circle keeps it."""
        self._turn.on_wait = self._turn.on_turn = None
        await super().close(callback_errors)

    def _note_queued(self, ahead: int) -> None:
        """Tell at once that the stream has to wait for its turn."""
        self._note("queued", ahead=ahead, **_name(self._attempts.target))
        self._look_again()

    def _look_again(self) -> None:
        """Look at once what there is to tell, and when: what is waited for has changed."""
        if self._woken is not None:
            _wake(self._woken)

    @property
    def _is_silent(self) -> bool:
        """Whether the provider's answer is waited for, rather than a turn or the next attempt."""
        return self.step in {Step.OPEN, Step.READ} and not self._turn.is_waiting

    def _note_due(self, now: float) -> None:
        intake = self._intake
        self._notices.note_due(now, intake.chunks + intake.fragments, self._count)

    def _note(self, notice: str, **told: Any) -> None:
        self._notices.add(self._moment(), notice, **told)

    def _moment(self) -> float:
        """Now; where bytes have come whose events are not given yet, the moment of these.

        Whatever is told now is told before them, so its time is not after theirs.
        """
        now, read_at = self._clock.monotonic(), self._measuring.read_at
        is_read = self.step in {Step.READ, Step.TAIL} and self._underway.is_busy
        has_come = is_read and self._deadlines.waiting_since is None
        return min(now, read_at) if has_come and read_at else now

    def _given(self) -> Iterator[StreamEvent]:
        """The notices that wait, made as they are asked for; none after the terminal event."""
        waiting = self._notices.waiting
        while waiting and not self.is_over:
            at, told = waiting.pop(0)
            notice = self._intake.notice(told, at)
            notice.timestamp = self._latest = max(notice.timestamp, self._latest)
            yield notice

    def _watched(self, batch: Events) -> Iterator[StreamEvent]:
        """The events of a batch; the stream ends behind the delta that exceeds a budget."""
        notices, allowances = self._notices, self._attempts.target.allowances
        for event in batch:
            self._latest = event.timestamp
            if not isinstance(event, StreamDeltaEvent):
                yield event
                continue
            if notices.is_stalled:
                yield self._resumed(event)
            self._count.add(event)
            for allowance in allowances:
                if (error := allowance.exceeded(self._count.completion)) is not None:
                    self._cut(error)
                    yield event
                    return
            yield event

    def _resumed(self, event: StreamDeltaEvent) -> StreamEvent:
        """The notice that goes before a delta, which has its number already: they change it."""
        notice = self._intake.notice(self._notices.resume(), 0.0)
        notice.timestamp = event.timestamp
        notice.sequence, event.sequence = event.sequence, notice.sequence
        return notice

    def _cut(self, error: BudgetExceededError) -> None:
        self._intake.failure = error
        self._supervisor.close()
        self._close_body(error)

    # --- what happens on the way ----------------------------------------------------------------

    def _refusal(self, target: Target) -> SteerError | None:
        self._count = (
            RunningCount(count_prompt(target.chat)) if not self._intake.chunks else (self._count)
        )
        refusals = (allowance.exceeded(self._count.completion) for allowance in target.allowances)
        return next(filter(None, refusals), None)

    async def _wait_before_next(self, error: SteerError) -> float | None:
        target, cut = self._attempts.target, self._recovery.cut
        wait = await super()._wait_before_next(error)
        if wait is None:
            return None
        told = {"error_type": type(error).__name__, "wait": wait, "attempt": self._attempts.number}
        if self._attempts.target is not target:
            self._note("fallback", **told, **_name(self._attempts.target))
        elif cut is None and self._recovery.cut is not None:
            self._note("cut", **told)
        else:
            self._note("retry", **told, **_name(target))
        return wait

    def _note_progress(self) -> None:
        cut = self._recovery.cut
        super()._note_progress()
        if cut is not None and self._recovery.cut is None:
            self._note("recovered")


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _name(target: Target) -> dict[str, Any]:
    return {"provider": target.provider, "model": target.chat.model}


class _Notices:
    """What there is to tell of one stream, and when. Times are monotonic seconds.

    Attributes:
        waiting: What is to be told next, and when it was found.
        silent: For how long nothing of the answer has come, while it was waited for.
        is_stalled: Whether a notice has told of that.
    """

    def __init__(self, options: StreamingOptions, now: float) -> None:
        self.waiting: list[tuple[float, dict[str, Any]]] = []
        self.silent = 0.0
        self.is_stalled = False
        self._is_on = options.notices
        self._stall_after = options.stall_notice_after if options.notices else None
        self._interval = options.live_usage
        self._next_usage = _NEVER if self._interval is None else now + self._interval
        self._told_usage = 0  # completion tokens, as of the last notice
        self._progress = 0

    def add(self, now: float, notice: str, **told: Any) -> None:
        """Have this told next, where notices were asked for."""
        if self._is_on:
            self.waiting.append((now, {"notice": notice, **told}))

    def resume(self) -> dict[str, Any]:
        """The answer goes on."""
        told = {"notice": "resumed", "seconds": self.silent}
        self.is_stalled = False
        self.silent = 0.0
        return told

    def due_in(self, now: float, count: RunningCount, *, is_silent: bool) -> float:
        """Seconds until there is something to tell, if nothing comes."""
        due = _LONG
        if self._stall_after is not None and is_silent and not self.is_stalled:
            due = self._stall_after - self.silent
        if count.completion != self._told_usage:
            due = min(due, self._next_usage - now)
        return due

    def note_due(self, now: float, progress: int, count: RunningCount) -> None:
        """Look whether something is due by now."""
        if progress != self._progress:
            self._progress = progress
            self.silent = 0.0 if not self.is_stalled else self.silent
        after = self._stall_after
        if after is not None and not self.is_stalled and self.silent >= after:
            self.is_stalled = True
            self.add(now, "stalled", seconds=self.silent)
        if self._interval is not None and now >= self._next_usage:
            self._next_usage = now + self._interval
            if count.completion != self._told_usage:
                self._told_usage = count.completion
                self.add(now, "usage", usage=count.usage(), is_estimated=True)
