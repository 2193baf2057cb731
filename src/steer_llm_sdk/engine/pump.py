"""The one loop that drives a stream: open, read, feed, judge, and always close.

Strategy. A pump is a small machine; `Step` names where it stands, and `FOLLOWS` what may come
next. `next_batch` takes one step, which may have events to give.

::

    BEGIN ──▶ OPEN ──▶ READ ──▶ TAIL ──▶ JUDGE ──▶ CONCLUDE ──▶ OVER
               ▲                           │
               └────────── PAUSE ◀─────────┘       before the first delta, or to take up an answer

It is pulled by its consumer, so a slow consumer slows the reading, and nothing is queued. The
deltas of one network read come as a lazy iterator: they are decoded as they are asked for.

A step that was begun belongs to the stream, not to the task that waits for it. Reading the body can
be given up and asked again at no cost. Whatever else takes time (opening, a pause, the user's
asynchronous text transformers, an estimate) is `Underway` in a task of the stream's: whoever asks
next waits for that same work. A limit that runs out, or `stop`, interrupts whatever is awaited.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from itertools import chain
from typing import Any, TypeAlias

from steer_llm_sdk.answer.lifecycle import Lifecycle
from steer_llm_sdk.answer.metrics import Measuring
from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.admission import Admission
from steer_llm_sdk.engine.encodings import estimate_usage
from steer_llm_sdk.engine.exchange import Body, open_body
from steer_llm_sdk.engine.heads import Heads
from steer_llm_sdk.engine.plan import Plan, Target
from steer_llm_sdk.engine.retrying import Attempts, Recovery
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.engine.steps import FOLLOWS, Step
from steer_llm_sdk.engine.timeouts import Deadlines, Supervisor
from steer_llm_sdk.engine.turn import Turn
from steer_llm_sdk.engine.underway import Underway, WorkCancelledError
from steer_llm_sdk.errors import IncompleteStreamError, SteerError, StreamCancelledError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.usage import COMPLETION, PROMPT, Estimate
from steer_llm_sdk.pipeline.text_stage import TextStage
from steer_llm_sdk.transport.base import Arrivals, Transport

_log = logging.getLogger("steer_llm_sdk")

Events: TypeAlias = Iterable[StreamEvent]


class Pump:
    """Drives one stream.

    Args:
        plan: What to do.
        transport: Where requests go.
        clock: What time it is.
        attempts: How often, and whom, to ask.
        stats: Where the stream's end is counted.
        admission: Lets it begin when it is its turn; at once, where that is None.

    Attributes:
        response: The answer, as far as it has arrived.
        step: Where the stream stands.
        is_stopped: Whether deltas that are still undelivered are to be dropped.
        account: Keeps the stream's account for the client's sinks; None where there are none.
    """

    def __init__(
        self,
        plan: Plan,
        transport: Transport,
        clock: Clock,
        attempts: Attempts,
        stats: ClientStats,
        admission: Admission | None = None,
    ) -> None:
        first = plan.targets[0]
        self.response = StreamingResponse(
            provider=first.provider,
            model=first.chat.model,
            request_id=plan.request_id,
            stream_id=plan.stream_id,
        )
        self.account = plan.account
        self._plan = plan
        self._transport = transport
        self._clock = clock
        self._now = clock.monotonic  # looked up once: it is asked twice a read
        self._attempts = attempts
        self._stats = stats
        stats.streams += 1
        self._deadlines = Deadlines(plan.options)
        self._supervisor = Supervisor(clock, self._deadlines)
        self._text_stage = TextStage(plan.options.text_transformers)
        self._transforms = self._text_stage.is_needed
        self._lifecycle = Lifecycle(
            self.response,
            now=clock.monotonic(),
            wall=clock.time(),
            is_json=plan.is_json,
            is_rewritten=self._text_stage.is_needed,
            hides_unchecked=self._text_stage.redacts,
            final_check=plan.structured,
        )
        self._intake = self._lifecycle.intake
        can_resume = plan.options.recovery is not None and not self._text_stage.is_needed
        self._recovery = Recovery(attempts, self._lifecycle, is_asked=can_resume)
        self._measuring = Measuring(self._intake, self.response, self._lifecycle.begun)
        if plan.structured is not None:
            plan.structured.watch(self.response)
        wait = plan.options.queue_timeout, self._measuring.note_queued
        self._turn = Turn(admission or Admission(), clock, self._deadlines, self._supervisor, *wait)
        self._heads = Heads(self.response, self._text_stage, self._turn.note_head)
        self.step = Step.BEGIN
        self._take: _Take = Pump._begin  # looked up once a step, since one is taken once a read
        self.is_stopped = False
        self._underway: Underway[Events] = Underway()
        self._body: Body | None = None  # the last one that was opened
        self._is_open = False  # its socket is still held
        self._is_flowing = False  # it has brought something of the answer
        self._progress = 0  # deltas and other fragments, as of the last read
        self._lost: SteerError | None = None  # how the body broke
        self._pause_seconds = 0.0  # how long `PAUSE` takes
        self._stop_error: SteerError | None = None
        self._ending: SteerError | None = None  # in which `CONCLUDE` ends the stream

    @property
    def is_open(self) -> bool:
        """Whether the socket is still held, be it only to see the body's end."""
        return self._is_open

    @property
    def is_over(self) -> bool:
        """Whether the terminal event has been given."""
        return self.step is Step.OVER

    def next_batch(self) -> Awaitable[Events | None]:
        """Take the next step, to be awaited: its events, perhaps none; None after the last.

        Given up while it waits, it can be called again: nothing is lost, and nothing done twice.
        """
        take = self._take  # a variable is called faster than an attribute that is no method
        return self._settle() if self._underway.is_busy else take(self)

    def stop(self, error: SteerError) -> None:
        """End the stream in `error`: its socket is closed before this returns.

        Only the first call counts. Usage and the terminal event are still to be pulled.
        """
        if self._stop_error is not None or self.step is Step.OVER:
            return
        self._stop_error = self.response.error = error
        self.is_stopped = True
        self._supervisor.interrupt(error)
        self._supervisor.close()
        self._close_body(error)
        self._turn.leave()
        if self.step in {Step.READ, Step.TAIL}:
            self._underway.cancel()  # what text transformers make of deltas nobody gets
        if self.step is not Step.BEGIN:
            self._end_in(error)

    async def close(self, callback_errors: int) -> None:
        """After the terminal event: the connection is kept, where the rest of its body comes.

        Args:
            callback_errors: How often callbacks have raised.
        """
        self._stats.note_callback_errors(self.response, callback_errors)
        if self._is_open and self._body is not None:
            self._is_open = False
            await self._body.release()

    def discard(self, error: SteerError) -> None:
        """Nobody holds the stream any more: its socket is closed, and it counts as `error`."""
        if self.step is Step.OVER:
            self._close_body(error)
            return
        self.stop(error)
        self._underway.cancel()
        self.response.error = error
        self._attempts.count_into(self._stats, self.response)

    # --- the steps ----------------------------------------------------------------------------

    async def _nothing(self) -> None:
        """After the last step."""

    async def _begin(self) -> Events:
        if self._stop_error is None:
            self._go(Step.OPEN)
        else:
            self._end_in(self._stop_error)
        return [self._lifecycle.begin(dict(self._plan.metadata))]

    def _open(self) -> Awaitable[Events]:
        self._turn.begin(self._attempts.target)
        return self._aside(self._send_request())

    async def _send_request(self) -> Events:
        if self._stop_error is not None:  # before this task has begun
            return ()
        target = self._attempts.begin()
        if (refusal := self._refusal(target)) is not None:
            self._end_in(refusal)
            return ()
        resumption = self._recovery.take()
        if resumption is None:
            self._lifecycle.begin_attempt(target.provider, target.chat.model, target.wire)
            self._text_stage.begin_attempt()
        self._lost = None
        try:
            await self._turn.wait(target)
            self._deadlines.begin_attempt()
            asked = target, self._transport, self._plan.options, self._clock, resumption
            body = await self._supervisor.run(open_body(*asked, self._heads.note), Body.discard)
        except SteerError as error:
            return await self._try_again(error)
        self._body = body
        self._is_open = True
        self._is_flowing = False
        self._measuring.note_response(self._now())
        self._intake.metadata["provider_request_id"] = body.request_id
        self._progress = self._intake.chunks + self._intake.fragments
        self._supervisor.watch(body.abort)
        self._deadlines.begin_body()
        self._supervisor.arm()
        self._go(Step.READ)
        return ()

    async def _read(self) -> Events:
        if not self.begin_reading():
            self._go(Step.JUDGE)
            return ()
        try:
            assert self._body is not None  # noqa: S101 - `_open_body`, once a read; so below
            chunk = await self._body.read()
        except SteerError as error:
            self._lost = error
            chunk = b""
        except BaseException:
            self.give_up_reading()
            raise
        deltas = self.end_reading(chunk)
        if chunk:
            return await self._through_text(deltas, Step.READ) if self._transforms else deltas
        if self._stop_error is None:
            self._go(Step.TAIL)
        return ()

    @property
    def arrivals(self) -> Arrivals | None:
        """The bytes of the body as they come, where they can be made deltas without waiting.

        Whoever takes them calls `begin_reading` before, and `end_reading` after, as a read does.
        """
        is_busy = self._transforms or self._underway.is_busy
        return self._open_body.arrivals if self.step is Step.READ and not is_busy else None

    def begin_reading(self) -> bool:
        """Note that the next bytes are waited for; False where no more are wanted."""
        intake = self._intake
        if intake.has_ended or intake.failure is not None:
            return False
        if intake.chunks + intake.fragments != self._progress:
            self._note_progress()
        self._deadlines.waiting_since = self._now()
        return True

    def end_reading(self, chunk: bytes) -> Events:
        """Note that bytes have come, or their end, and give the deltas that they make."""
        now = self._measuring.read_at = self._now()
        self._deadlines.end_wait(now)
        if not chunk:
            return ()
        assert self._body is not None  # noqa: S101
        return self._intake.feed(self._body.fragments(chunk), now)

    def give_up_reading(self) -> None:
        """Note that nobody waits for bytes any more: whoever is not waiting uses up no limit."""
        self._deadlines.give_up_wait(self._now())

    async def _read_tail(self) -> Events:
        intake, body = self._intake, self._open_body
        now = self._measuring.read_at = self._now()
        deltas = chain(intake.feed_tail(body.tail(), now), intake.feed(body.held(), now))
        if self._transforms:
            return await self._through_text(deltas, Step.JUDGE)
        self._go(Step.JUDGE)
        return deltas

    async def _judge(self) -> Events:
        if self._intake.chunks + self._intake.fragments != self._progress:
            self._note_progress()
        lost, markers = self._lost, self._attempts.target.wire.markers
        error = self._lifecycle.verdict(markers, has_clean_end=lost is None)
        if lost is not None and isinstance(error, IncompleteStreamError):
            error = lost
        if error is None:
            self._recovery.note_success()
            self._end_in(None)
            return ()
        error = self._open_body.explain(error, has_answer=self._intake.has_answer)
        self._close_body(error)
        return await self._aside(self._try_again(error))

    async def _try_again(self, error: SteerError) -> Events:
        """After a failed attempt: another one, or the end."""
        self._turn.fail(self._attempts.target, error)
        await self._text_stage.clean_error(error)
        if self._stop_error is not None:
            return ()
        wait = await self._wait_before_next(error)
        if self._stop_error is not None:
            return ()
        if wait is None:
            self._end_in(self._recovery.cut or error)
            return ()
        _log.info("trying again in %.2f s after %s: %s", wait, type(error).__name__, error)
        self._deadlines.begin_pause()
        self._pause_seconds = wait
        self._go(Step.PAUSE if wait else Step.OPEN)
        return ()

    def _pause(self) -> Awaitable[Events]:
        return self._aside(self._wait_out())

    async def _wait_out(self) -> Events:
        """Wait, as long as it was decided, and then try again."""
        try:
            await self._supervisor.run(self._clock.sleep(self._pause_seconds))
        except SteerError as interruption:
            if self._stop_error is None:
                self._end_in(interruption)
            return ()
        if self._stop_error is None:
            self._go(Step.OPEN)
        return ()

    def _refusal(self, _target: Target) -> SteerError | None:
        """Why a request is not sent; None where it is."""
        return None

    async def _wait_before_next(self, error: SteerError) -> float | None:
        """The seconds to wait before the next attempt; None when the error stands."""
        if not self._intake.chunks:
            return self._attempts.after(error)
        wait = self._recovery.prepare(error, self._open_body.decoder)
        if wait is not None and self._recovery.cut is None:
            self._recovery.note_cut(error)
            self._lifecycle.note_cut(error, await self._estimate(is_whole=False))
        return wait

    async def _conclude(self) -> Events:
        """Give the held text, the usage and the terminal event."""
        if self._ending is not None:
            self._close_body(self._ending)
        self._supervisor.close()
        if self._transforms or self._needs_estimate(is_whole=self._ending is None):
            return await self._aside(self._conclude_slowly())
        return self._end(self._lifecycle.settle(self._ending), None)

    async def _conclude_slowly(self) -> Events:
        """Conclude where text transformers are asked for what they hold, or usage is estimated."""
        held = await self._text_stage.finish()
        for event in held:
            self._intake.adopt(event)
        await self._text_stage.clean_beside(self._intake)
        await self._heads.clean()
        error = self._ending  # it may have been stopped meanwhile
        ending = self._lifecycle.settle(error)
        estimate = await self._estimate(is_whole=error is None)
        return [*held, *self._end(ending, estimate)]

    def _end(self, ending: SteerError | None, estimate: Estimate | None) -> list[StreamEvent]:
        """The usage and the terminal event; the stream is over."""
        self._note_counts()
        self._go(Step.OVER)
        self.is_stopped = False  # what comes now is delivered
        now = self._now()
        usage = self._lifecycle.usage_event(now, estimate)
        self._turn.leave(self.response.usage)
        terminal = self._lifecycle.terminal_event(now, ending)
        self._measuring.end(now)
        last: list[StreamEvent] = [terminal] if usage is None else [usage, terminal]
        self._attempts.count_into(self._stats, self.response, last)
        return last

    # --- from step to step --------------------------------------------------------------------

    def _go(self, step: Step) -> None:
        if step not in FOLLOWS[self.step]:
            raise AssertionError(f"a stream cannot go from {self.step.name} to {step.name}")
        self.step = step
        self._take = _TAKE[step]

    def _end_in(self, error: SteerError | None) -> None:
        """Conclude the stream next, in this error or, without one, as complete."""
        self._go(Step.CONCLUDE)
        self._ending = error

    def _aside(self, work: Coroutine[Any, Any, Events]) -> Awaitable[Events]:
        """Do what takes time in a task of the stream's, and wait for it."""
        self._underway.begin(work)
        return self._settle()

    async def _settle(self) -> Events:
        try:
            return await self._underway.settle()
        except WorkCancelledError:
            # By `stop`, or else by somebody who cancels all tasks of the loop.
            self.stop(StreamCancelledError("a task of the stream was cancelled"))
            return ()

    # --- what the steps share -----------------------------------------------------------------

    @property
    def _open_body(self) -> Body:
        if self._body is None:
            raise AssertionError("no response has come")
        return self._body

    async def _through_text(self, deltas: Events, following: Step) -> Events:
        """Pass deltas through the text transformers, and go on to the step that follows."""
        kept = self._text_stage.process(deltas)
        if not isinstance(kept, list):
            return await self._aside(self._adopt_later(kept, following))
        if following is not self.step:
            self._go(following)
        return self._adopt(kept)

    async def _adopt_later(
        self, kept: Awaitable[list[StreamDeltaEvent]], following: Step
    ) -> Events:
        passed = await kept
        if following is not self.step:
            self._go(following)
        return self._adopt(passed)

    def _adopt(self, kept: list[StreamDeltaEvent]) -> Events:
        adopt = self._intake.adopt
        return (event for event in kept if adopt(event) is None)

    def _note_progress(self) -> None:
        """Note that a delta, or anything else of the answer, has come since the last read."""
        intake = self._intake
        self._progress = intake.chunks + intake.fragments
        self._measuring.count_deltas()
        intake.text.join()
        self._deadlines.note_progress()
        if not self._is_flowing:
            self._recovery.note_progress()
            self._is_flowing = self._recovery.cut is None
            self._supervisor.arm()

    def _note_counts(self) -> None:
        attempts = self._attempts
        if attempts.retries:
            self._intake.metadata |= {"attempt": attempts.number, "retries": attempts.retries}
        if faults := self._text_stage.errors.count:
            self._intake.metadata["transformer_errors"] = faults
            self._stats.transformer_errors += faults

    def _close_body(self, error: SteerError) -> None:
        if self._is_open and self._body is not None:
            self._is_open = False
            self._body.abort(error)

    def _needs_estimate(self, *, is_whole: bool) -> bool:
        """Whether the provider's counts are missing, or can only be of the beginning."""
        usage = self._intake.usage
        if usage is not None and is_whole and {PROMPT, COMPLETION} <= usage.counts.keys():
            return False
        return self._body is not None and bool(is_whole or self._intake.chunks or usage)

    async def _estimate(self, *, is_whole: bool) -> Estimate | None:
        if not self._needs_estimate(is_whole=is_whole):
            return None
        chat = self._attempts.target.chat
        return await estimate_usage(chat, self.response, self._lifecycle.written())


_Take: TypeAlias = Callable[[Pump], Awaitable[Events | None]]

# ruff: noqa: SLF001 - the table belongs to the class: it stands below only to name its methods
_TAKE: Mapping[Step, _Take] = {
    Step.BEGIN: Pump._begin,
    Step.OPEN: Pump._open,
    Step.PAUSE: Pump._pause,
    Step.READ: Pump._read,
    Step.TAIL: Pump._read_tail,
    Step.JUDGE: Pump._judge,
    Step.CONCLUDE: Pump._conclude,
    Step.OVER: Pump._nothing,
}
