"""A generation that outlives its caller: `Generation` writes what it gives into a journal."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from steer_llm_sdk.errors import SteerError, StreamCancelledError
from steer_llm_sdk.journal.desk import Desk
from steer_llm_sdk.journal.store import Append
from steer_llm_sdk.models.events import StreamCompleteEvent, StreamErrorEvent, StreamEvent
from steer_llm_sdk.models.ports import Producer, Ready
from steer_llm_sdk.stored import shown_value

_log = logging.getLogger("steer_llm_sdk.journal")

# How many events are written at once, at most.
_BATCH = 500

_TERMINAL = (StreamCompleteEvent, StreamErrorEvent)


class Generation:
    """Pulls a source to its end, and writes its events.

    Reading and writing take turns: what comes while a batch is written is the next batch, nothing
    is queued, and a store that is slow slows the source.

    Args:
        desk: What the journal has in this loop.
        source: What is generated.
        named: Whose events they are, for an end that the source does not tell itself.
        turns: Whether the source may go on after a terminal event, as a run does.

    Attributes:
        begun: Done when the first event is written, or when it could not be begun.
    """

    def __init__(
        self, desk: Desk, source: Producer, named: StreamEvent, *, turns: bool = False
    ) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.begun.add_done_callback(_read_error)
        self._desk = desk
        self._source = source
        self._take = source.take_ready if isinstance(source, Ready) else None
        self._named = named
        self._turns = turns
        self._next = 0
        self._last: StreamEvent | None = None
        self._is_ended = False
        self._cancelled: StreamCancelledError | None = None

    def cancel(self, reason: str) -> None:
        """End it; its last events are still written."""
        self._cancelled = self._cancelled or StreamCancelledError(reason)
        self._source.cancel(reason)

    async def run(self) -> None:
        """Write all events. Raises nothing: what goes wrong is in the journal, or in the log."""
        stream_id = self._named.stream_id
        self._desk.produce(stream_id, self.cancel)
        try:
            await self._write_all()
        except Exception as error:  # noqa: BLE001 - nobody is there whom it could be raised to
            self._note_begun(error)
            _log.exception("stream %s has failed apart from its caller", stream_id)
        finally:
            self._note_begun(None)
            self._desk.end_producing(stream_id)
            await self._source.aclose()

    async def _write_all(self) -> None:
        while not self._is_ended:
            events = await self._pull()
            if self._is_ended:
                return
            ends = not events or (not self._turns and isinstance(events[-1], _TERMINAL))
            if not await self._desk.write(self._append(events, ends=ends)):
                _log.warning(
                    "stream %s was taken for lost, and is stopped here: its event loop was held "
                    "up, or its journal could not be reached",
                    self._named.stream_id,
                )
                return
            self._note_begun(None)

    async def _pull(self) -> list[StreamEvent]:
        """Wait for an event, and take those that have come with it; none after the last."""
        source = self._source
        try:
            events = [await anext(source)]
        except StopAsyncIteration:
            if self._cancelled is not None and not isinstance(self._last, StreamErrorEvent):
                return [self._failure(self._cancelled)]  # between two turns
            return []
        except Exception as error:  # noqa: BLE001 - of the source, or of what it calls
            if not isinstance(self._last, StreamErrorEvent):  # which would have told of it
                await self._write_failure(error)
            return []
        if (take := self._take) is not None:
            while len(events) < _BATCH and (event := take()) is not None:
                events.append(event)
        return events

    async def _write_failure(self, error: Exception) -> None:
        await self._desk.write(self._append([self._failure(error)], ends=True))
        self._note_begun(error)
        if not isinstance(error, SteerError):
            _log.error("stream %s has failed", self._named.stream_id, exc_info=error)

    def _append(self, events: Sequence[StreamEvent], *, ends: bool) -> Append:
        first, self._next = self._next, self._next + len(events)
        self._last = events[-1] if events else self._last
        self._is_ended = ends
        failed = ends and not isinstance(self._last, StreamCompleteEvent)
        return Append(self._named.stream_id, first, events, ends, failed)

    def _failure(self, cause: Exception) -> StreamErrorEvent:
        named = self._named
        error = cause if isinstance(cause, SteerError) else SteerError(shown_value(cause))
        return StreamErrorEvent(
            provider=named.provider,
            model=named.model,
            request_id=named.request_id,
            stream_id=named.stream_id,
            timestamp=time.time(),
            sequence=self._next,
            error=error,
            is_retryable=error.is_retryable,
        )

    def _note_begun(self, error: Exception | None) -> None:
        if self.begun.done():
            return
        if error is None:
            self.begun.set_result(None)
        else:
            self.begun.set_exception(error)


def _read_error(begun: asyncio.Future[None]) -> None:
    """Whoever began it may have left: then nobody else asks for the error."""
    if not begun.cancelled():
        begun.exception()
