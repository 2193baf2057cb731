"""Tells a client's sinks of its streams: `SinkFeed`.

A stream's `Account` tells each sink that it begins, where it begins; everything else it hands to
the worker of its process: what is known at the end is noted there, and what has to be worked out
of it is worked out by the worker. So nothing that a sink does, and no list of prices that is read,
is on the path of a stream. A child process has a worker of its own: what its parent's had still to
tell, the parent tells.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any, TypeAlias

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
from steer_llm_sdk.models.records import StreamRecord, record_of
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.sinks.base import Sink, check_sinks, wants_events, wants_starts
from steer_llm_sdk.sinks.records import (
    Ending,
    asked_of,
    ended_record,
    ending_of,
    message_without_quotes,
    with_answer,
    with_prompt,
    worked_out,
)
from steer_llm_sdk.sinks.runs import RunAccount
from steer_llm_sdk.sinks.worker import MAX_WAITING, Worker, tell

_log = logging.getLogger("steer_llm_sdk.sinks")

# Makes a record with words out of one without.
Words: TypeAlias = Callable[[StreamRecord], StreamRecord]

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

    def tell(
        self, what: str, sinks: Sequence[Sink], record: StreamRecord, words: Words | None
    ) -> None:
        """Call a method of some sinks with a record.

        Args:
            what: The method's name.
            sinks: Who is told.
            record: What is told.
            words: Makes the record for those who ask for words; None where nobody does.
        """
        whole = record if words is None else self._with_words(record, words)
        for sink in sinks:
            told = record if words is None or not has_words(sink) else whole
            tell(self.stats, sink, what, getattr(sink, what), told)

    def tell_ending(self, ending: Ending, words: Words | None) -> None:
        """Tell the sinks that a stream has ended."""
        self.tell("stream_ended", self.sinks, self._record(ending), words)

    def tell_event(self, event: StreamEvent) -> None:
        """Tell those sinks of an event that ask for them."""
        for sink in self.of_events:
            told = _copy(event) if has_words(sink) else _without_words(event)
            tell(self.stats, sink, "event", sink.event, told)

    def _record(self, ending: Ending) -> StreamRecord:
        """The record of the end; where not all of it can be worked out, what is known for sure."""
        found: Mapping[str, Any] = {}
        try:
            found = worked_out(ending)
        except Exception:  # noqa: BLE001 - a list of prices that the application has put in
            self._note_fault()
        return ended_record(ending, found)

    def _with_words(self, record: StreamRecord, words: Words) -> StreamRecord:
        try:
            return words(record)
        except Exception:  # noqa: BLE001 - what a caller has put into a message
            self._note_fault()
            return record

    def _note_fault(self) -> None:
        self.stats.sink_errors += 1
        _log.exception("what a stream came to cannot be told")

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
        self._asked: dict[str, Any] | None = None  # None where nobody is told
        self._began = 0.0  # in monotonic seconds

    def begin(self, response: StreamingResponse) -> None:
        """Tell the sinks, here and now, that the stream begins."""
        feed = self._feed
        if not feed.worker.may_begin():
            self.wants_events = False
            return
        self._began = feed.clock.monotonic()
        self._asked = asked_of(self._plan, response, feed.clock.time())
        if feed.of_starts:
            words = partial(with_prompt, plan=self._plan) if feed.with_words else None
            feed.tell("stream_started", feed.of_starts, record_of(self._asked), words)

    def note(self, event: StreamEvent) -> StreamEvent:
        """Have the sinks told of an event, as it is now."""
        self._feed.worker.submit(partial(self._feed.tell_event, _copy(event)))
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
        plan, feed, asked = self._plan, self._feed, self._asked
        plan.account = None  # or each held the other, and with it the client's sinks
        if asked is None:
            return
        ending = ending_of(
            asked,
            response,
            duration=feed.clock.monotonic() - self._began,
            attempts=attempts,
            retries=retries,
            base_url=base_url,
        )
        if self.wants_events:
            for event in last:
                self.note(event)
        words: Words | None = None
        if feed.with_words:
            words = partial(with_answer, plan=plan, response=response, retries=ending.retries)
        feed.worker.submit_end(partial(feed.tell_ending, ending, words))


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
