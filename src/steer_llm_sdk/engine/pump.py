"""The one loop that drives a stream: open, read, feed, judge, and always close.

Strategy. A pump is a small machine of steps; `next_batch` takes one, which may have events to give.

::

    begin ──▶ open ──▶ read ──▶ … ──▶ read ──▶ judge ──▶ conclude
                ▲                                │
                └────────── try again ◀──────────┘   only before the first delta

It is pulled by its consumer, so a slow consumer slows the reading, and nothing is queued. The
deltas of one network read come as a lazy iterator: they are decoded as they are asked for. Whatever
a step waits for can be interrupted, by a limit that runs out or by `stop`; and a step that was
cancelled while it waited can be run again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from itertools import chain
from typing import TypeAlias

from steer_llm_sdk.answer.lifecycle import Lifecycle
from steer_llm_sdk.answer.metrics import Measuring
from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.encodings import estimate_usage
from steer_llm_sdk.engine.exchange import Body, open_body
from steer_llm_sdk.engine.plan import Plan
from steer_llm_sdk.engine.retrying import Attempts, Recovery
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.engine.timeouts import Deadlines, Supervisor
from steer_llm_sdk.errors import IncompleteStreamError, SteerError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.usage import COMPLETION, PROMPT, Estimate
from steer_llm_sdk.pipeline.text_stage import TextStage
from steer_llm_sdk.transport.base import Transport

_log = logging.getLogger("steer_llm_sdk")

_Step: TypeAlias = Callable[[], Awaitable[Iterable[StreamEvent]]]


class Pump:
    """Drives one stream.

    Args:
        plan: What to do.
        transport: Where requests go.
        clock: What time it is.
        attempts: How often, and whom, to ask.
        stats: Where the stream's end is counted.
    """

    _body: Body  # that is being read; set by `_open`, before any step that uses it

    def __init__(
        self,
        plan: Plan,
        transport: Transport,
        clock: Clock,
        attempts: Attempts,
        stats: ClientStats,
    ) -> None:
        first = plan.targets[0]
        self.response = StreamingResponse(
            provider=first.provider,
            model=first.chat.model,
            request_id=plan.request_id,
            stream_id=plan.stream_id,
        )
        self._plan = plan
        self._options = plan.options
        self._transport = transport
        self._clock = clock
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
        self._step: _Step | None = self._begin
        self._progress = 0  # deltas and other fragments, as of the last read
        self._is_flowing = False  # this body has brought something of the answer
        self._is_open = False  # a body is being read
        self._is_accepted = False  # a provider has begun to answer
        self._lost: SteerError | None = None
        self._held: list[StreamEvent] = []  # released by text transformers at the end
        self._stop_error: SteerError | None = None
        self.is_stopped = False  # deltas that are still undelivered are to be dropped

    @property
    def is_open(self) -> bool:
        """Whether the socket is still held, be it only to see the body's end."""
        return self._is_open

    @property
    def is_over(self) -> bool:
        """Whether the terminal event has been given."""
        return self._step is None

    def next_batch(self) -> Awaitable[Iterable[StreamEvent] | None]:
        """Take the next step, to be awaited: its events, perhaps none; None after the last."""
        return self._nothing() if self._step is None else self._step()

    def stop(self, error: SteerError) -> None:
        """End the stream in `error`: its socket is closed before this returns.

        Only the first call counts. Usage and the terminal event are still to be pulled.
        """
        if self._stop_error is not None or self._step is None:
            return
        self._stop_error = error
        self.is_stopped = True
        self._supervisor.interrupt(error)
        self._supervisor.close()
        self._close_body(error)
        if self._step != self._begin:
            self._step = partial(self._conclude, error)

    async def close(self, callback_errors: int) -> None:
        """After the terminal event: the connection is kept, where the rest of its body comes.

        Args:
            callback_errors: How often callbacks have raised.
        """
        self._stats.note_callback_errors(self.response, callback_errors)
        if self._is_open:
            self._is_open = False
            await self._body.release()

    def discard(self, error: SteerError) -> None:
        """Nobody holds the stream any more: its socket is closed, and it counts as `error`."""
        if self._step is None:
            self._close_body(error)
            return
        self.stop(error)
        self.response.error = error
        self._attempts.count_into(self._stats, self.response)

    # --- the steps ----------------------------------------------------------------------------

    async def _nothing(self) -> None:
        """After the last step."""

    async def _begin(self) -> Iterable[StreamEvent]:
        self._step = self._open
        if self._stop_error is not None:
            self._step = partial(self._conclude, self._stop_error)
        return [self._lifecycle.begin(dict(self._plan.metadata))]

    async def _open(self) -> Iterable[StreamEvent]:
        target = self._attempts.begin()
        resumption = self._recovery.take()
        if resumption is None:
            self._lifecycle.begin_attempt(target.provider, target.chat.model)
            self._text_stage.begin_attempt()
        self._deadlines.begin_attempt()
        self._lost = None
        opening = open_body(target, self._transport, self._options, self._clock, resumption)
        try:
            self._body = await self._supervisor.run(opening, Body.discard)
        except SteerError as error:
            await self._try_again(error)
            return ()
        self._measuring.note_response(self._clock.monotonic())
        self._is_open = self._is_accepted = True
        self._note_headers()
        self._is_flowing = False
        self._progress = self._intake.chunks + self._intake.fragments
        self._supervisor.watch(self._body.abort)
        self._deadlines.begin_body()
        self._supervisor.arm()
        self._step = self._read
        return ()

    async def _read(self) -> Iterable[StreamEvent]:
        intake, deadlines, clock = self._intake, self._deadlines, self._clock.monotonic
        if intake.has_ended or intake.failure is not None:
            self._step = self._judge
            return ()
        self._note_progress()
        deadlines.waiting_since = clock()
        try:
            chunk = await self._body.read()
        except SteerError as error:
            self._lost = error
            chunk = b""
        finally:  # cancelled too: whoever is not waiting uses up no limit
            now = self._measuring.read_at = clock()
            deadlines.end_wait(now)
        if not chunk:
            if self._stop_error is None:
                self._step = self._read_tail
            return ()
        deltas = intake.feed(self._body.fragments(chunk), now)
        return await self._through_text(deltas) if self._transforms else deltas

    async def _read_tail(self) -> Iterable[StreamEvent]:
        """What the end of the body completes."""
        self._step = self._judge
        now, intake, body = self._clock.monotonic(), self._intake, self._body
        deltas = chain(intake.feed_tail(body.tail(), now), intake.feed(body.held(), now))
        return await self._through_text(deltas)

    async def _judge(self) -> Iterable[StreamEvent]:
        self._note_progress()
        lost, markers = self._lost, self._attempts.target.wire.markers
        error = self._lifecycle.verdict(markers, has_clean_end=lost is None)
        if lost is not None and isinstance(error, IncompleteStreamError):
            error = lost
        if error is None:
            self._recovery.note_success()
            self._step = partial(self._conclude, None)
            return ()
        error = self._body.explain(error, has_answer=self._intake.has_answer)
        self._close_body(error)
        await self._try_again(error)
        return ()

    async def _try_again(self, error: SteerError) -> None:
        """After a failed attempt: another one, or the end."""
        await self._text_stage.clean_error(error)
        self._step = partial(self._conclude, self._stop_error or self._recovery.cut or error)
        if self._stop_error is not None:
            return
        if self._intake.chunks:
            wait = await self._take_up(error)
        else:
            wait = self._attempts.after(error)
        if wait is None:
            return
        _log.info("trying again in %.2f s after %s: %s", wait, type(error).__name__, error)
        self._step = self._open
        self._deadlines.begin_pause()
        try:
            if wait:
                await self._supervisor.run(self._clock.sleep(wait))
        except SteerError as interruption:
            self._step = partial(self._conclude, interruption)

    async def _take_up(self, error: SteerError) -> float | None:
        """Prepare to go on with a cut answer, where that was asked for and can be done.

        Returns:
            The seconds to wait before it; None when the error stands.
        """
        wait = self._recovery.prepare(error, self._body.decoder)
        if wait is not None and self._recovery.cut is None:
            self._recovery.note_cut(error)
            self._lifecycle.note_cut(error, await self._estimate(is_whole=False))
        return wait

    async def _conclude(self, error: SteerError | None) -> Iterable[StreamEvent]:
        """The held text, the usage and the terminal event."""
        if error is not None:
            self._close_body(error)
        self._supervisor.close()
        lifecycle = self._lifecycle
        for event in await self._text_stage.finish():
            self._intake.adopt(event)
            self._held.append(event)
        await self._text_stage.clean_beside(self._intake)
        error = self._stop_error or error  # it may have been stopped meanwhile
        ending = lifecycle.settle(error)
        estimate = await self._estimate(is_whole=error is None)
        self._note_counts()
        self._step = None
        self.is_stopped = False  # what comes now is delivered
        now = self._clock.monotonic()
        usage = lifecycle.usage_event(now, estimate)
        terminal = lifecycle.terminal_event(now, ending)
        self._measuring.end(now)
        self._attempts.count_into(self._stats, self.response)
        return [*self._held, terminal] if usage is None else [*self._held, usage, terminal]

    # --- what the steps share -----------------------------------------------------------------

    async def _through_text(self, deltas: Iterable[StreamEvent]) -> Iterable[StreamEvent]:
        if not self._transforms:
            return deltas
        kept = self._text_stage.process(deltas)
        if not isinstance(kept, list):
            kept = await kept
        adopt = self._intake.adopt
        return (event for event in kept if adopt(event) is None)

    def _note_progress(self) -> None:
        """A delta, or anything else of the answer, may have come since the last read."""
        progress = self._intake.chunks + self._intake.fragments
        if progress == self._progress:
            return
        self._progress = progress
        self._measuring.count_deltas()
        self._intake.text.join()
        self._deadlines.note_progress()
        if not self._is_flowing:
            self._recovery.note_progress()
            self._is_flowing = self._recovery.cut is None
            self._supervisor.arm()

    def _note_headers(self) -> None:
        headers = self._body.headers
        request_id = headers.get("x-request-id") or headers.get("request-id")
        self._intake.metadata["provider_request_id"] = request_id

    def _note_counts(self) -> None:
        attempts = self._attempts
        if attempts.retries:
            self._intake.metadata["attempt"] = attempts.number
            self._intake.metadata["retries"] = attempts.retries
        if faults := self._text_stage.errors.count:
            self._intake.metadata["transformer_errors"] = faults
            self._stats.transformer_errors += faults

    def _close_body(self, error: SteerError) -> None:
        if self._is_open:
            self._is_open = False
            self._body.abort(error)

    async def _estimate(self, *, is_whole: bool) -> Estimate | None:
        """An estimate where the provider's counts are missing or can only be of the beginning."""
        usage = self._intake.usage
        if usage is not None and is_whole and {PROMPT, COMPLETION} <= usage.counts.keys():
            return None
        if not self._is_accepted or not (is_whole or self._intake.chunks or usage):
            return None
        chat = self._attempts.target.chat
        return await estimate_usage(chat, self.response, self._lifecycle.written())
