"""Tells a client's sinks of its streams: `SinkFeed`.

A stream's `Account` tells each sink that it begins, where it begins; everything else it hands to
the worker of its process. So nothing that a sink does, and nothing that a record costs to make, is
on the path of a stream. A child process has a worker of its own: what its parent's had still to
tell, the parent tells.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
import weakref
from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.plan import Plan
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.events import (
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
)
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.sinks.base import Sink, check_sinks, wants_events, wants_starts
from steer_llm_sdk.sinks.records import (
    Ending,
    begun_record,
    ended_record,
    message_without_quotes,
    short_record,
    with_words,
)
from steer_llm_sdk.sinks.runs import RunAccount
from steer_llm_sdk.sinks.worker import MAX_WAITING, Worker, tell

_log = logging.getLogger("steer_llm_sdk.sinks")

# How long closing a client waits for its sinks, in seconds.
CLOSING_GRACE = 10.0


class SinkFeed:
    """The sinks of one client.

    Args:
        sinks: Who is told.
        stats: Where drops and errors are counted.
        clock: What time it is.

    Raises:
        ConfigurationError: One of them is no sink.
    """

    def __init__(self, sinks: Sequence[Sink], stats: ClientStats, clock: Clock) -> None:
        self.sinks = check_sinks(sinks)
        self.stats = stats
        self.clock = clock
        self.of_starts = tuple(sink for sink in self.sinks if wants_starts(sink))
        self.of_events = tuple(sink for sink in self.sinks if wants_events(sink))
        self.with_words = any(map(has_words, self.sinks))
        # To add to a dictionary needs no lock, which a thread of the parent's could have taken.
        self._workers: dict[int, Worker] = {}
        weakref.finalize(self, _stop, self._workers).atexit = False  # the workers see to that

    def account(self, plan: Plan) -> Account | None:
        """The account of one more stream; None where nobody is to be told."""
        return Account(self, plan) if self.sinks else None

    def run_account(self) -> RunAccount | None:
        """The account of one more run; None where nobody is to be told."""
        return RunAccount(self, uuid.uuid4().hex) if self.sinks else None

    @property
    def worker(self) -> Worker:
        """The worker of this process; made, when there is none."""
        process_id = os.getpid()
        worker = self._workers.get(process_id)
        if worker is None:
            made = Worker(self.sinks, self.stats, MAX_WAITING)
            worker = self._workers.setdefault(process_id, made)
        return worker

    async def flush(self) -> None:
        """Wait until the sinks were told of all that has happened, and have written it down.

        Not for ever: a sink that hangs is given up after some seconds.
        """
        if not self.sinks:
            return
        loop = asyncio.get_running_loop()
        told = loop.create_future()
        self.worker.when_told(partial(_wake, loop, told))
        try:
            await asyncio.wait_for(told, CLOSING_GRACE)
        except TimeoutError:
            _log.warning("the sinks have not taken all within %g s", CLOSING_GRACE)


def _wake(loop: asyncio.AbstractEventLoop, told: asyncio.Future[None]) -> None:
    def settle() -> None:
        if not told.done():
            told.set_result(None)

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)


def _stop(workers: Mapping[int, Worker]) -> None:
    worker = workers.get(os.getpid())
    if worker is not None:
        worker.stop()


def has_words(sink: Sink) -> bool:
    """Whether a sink asks for words."""
    return bool(getattr(sink, "content", False))


class Account:
    """The account of one stream: see `StreamAccount`. It is told of as a whole, or not at all.

    Args:
        feed: Whom to tell.
        plan: What was asked for.
    """

    def __init__(self, feed: SinkFeed, plan: Plan) -> None:
        self.wants_events = bool(feed.of_events)
        self._feed = feed
        self._plan = plan
        self._started_at: float | None = None  # None where nobody is told
        self._started_monotonic = 0.0

    def begin(self, response: StreamingResponse) -> None:
        """Tell the sinks, here and now, that the stream begins."""
        feed = self._feed
        if not feed.worker.may_begin():
            self.wants_events = False
            return
        self._started_monotonic = feed.clock.monotonic()
        self._started_at = feed.clock.time()
        if feed.of_starts:
            record = begun_record(self._plan, response, self._started_at)
            self._tell("stream_started", feed.of_starts, record, None)

    def note(self, event: StreamEvent) -> StreamEvent:
        """Have the sinks told of an event, as it is now."""
        self._feed.worker.submit(partial(self._tell_event, _copy(event)))
        return event

    def end(
        self,
        response: StreamingResponse,
        *,
        attempts: int,
        retries: Sequence[Mapping[str, Any]],
        base_url: str,
        last: Sequence[StreamEvent],
    ) -> None:
        """Have the sinks told that the stream has ended."""
        self._plan.account = None  # or each held the other, and with it the client's sinks
        started_at, clock = self._started_at, self._feed.clock
        if started_at is None:
            return
        usage: Any = response.usage
        ending = Ending(
            response=response,
            error=response.error,
            usage=None if usage is None else dict(usage),
            metadata=dict(response.metadata),
            ended_at=started_at + clock.monotonic() - self._started_monotonic,
            attempts=attempts,
            retries=tuple(retries),
            base_url=base_url,
        )
        if self.wants_events:
            for event in last:
                self.note(event)
        self._feed.worker.submit_end(partial(self._tell_ending, started_at, ending))

    # --- in the worker's thread, but for the beginning ----------------------------------------

    def _tell_ending(self, started_at: float, ending: Ending) -> None:
        self._tell("stream_ended", self._feed.sinks, self._record(started_at, ending), ending)

    def _record(self, started_at: float, ending: Ending) -> StreamRecord:
        """The record of the end; where it cannot be made, as much of it as is known for sure."""
        try:
            return ended_record(self._plan, started_at, ending)
        except Exception:  # noqa: BLE001 - a list of prices that the application has put in
            self._feed.stats.sink_errors += 1
            _log.exception("what a stream came to cannot be told")
            return short_record(self._plan, started_at, ending)

    def _tell(
        self, what: str, sinks: Sequence[Sink], record: StreamRecord, ending: Ending | None
    ) -> None:
        feed = self._feed
        whole = with_words(record, self._plan, ending) if feed.with_words else record
        for sink in sinks:
            told = whole if feed.with_words and has_words(sink) else record
            tell(feed.stats, sink, what, getattr(sink, what), told)

    def _tell_event(self, event: StreamEvent) -> None:
        feed = self._feed
        for sink in feed.of_events:
            told = _copy(event) if has_words(sink) else _without_words(event)
            tell(feed.stats, sink, "event", sink.event, told)


def _copy(event: StreamEvent) -> StreamEvent:
    """A copy that no transformer of the stream, and no other sink, changes."""
    copied = copy(event)
    copied.metadata = dict(event.metadata)
    if isinstance(copied, StreamDeltaEvent) and isinstance(copied.delta, dict):
        copied.delta = dict(copied.delta)
    return copied


def _without_words(event: StreamEvent) -> StreamEvent:
    copied = _copy(event)
    if isinstance(copied, StreamDeltaEvent):
        copied.delta = {"type": copied.kind} if isinstance(copied.delta, dict) else ""
        copied.metadata = {}
    elif isinstance(copied, StreamStartEvent):  # whose metadata is the caller's own
        copied.metadata.pop("tool_results", None)
    else:
        copied.metadata = {k: v for k, v in copied.metadata.items() if k in _WORDLESS}
    if isinstance(copied, StreamErrorEvent):
        copied.error = _error_without_words(copied.error)
    return copied


# What the last events' metadata has that cannot be words of the answer.
_WORDLESS = frozenset({
    "attempt", "provider_finish_reason", "provider_request_id", "provider_usage", "response_id",
    "response_model",
})  # fmt: skip


def _error_without_words(error: Exception) -> Exception:
    if not isinstance(error, SteerError):
        return error
    message = message_without_quotes(error) or ""
    told = {"type": type(error).__name__, "message": message, "is_retryable": error.is_retryable}
    return SteerError.from_dict(told)
