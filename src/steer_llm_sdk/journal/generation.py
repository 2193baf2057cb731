"""A generation that outlives its caller: `Generation` writes what it gives into a journal."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from steer_llm_sdk.errors import SteerError, StreamCancelledError
from steer_llm_sdk.journal.desk import Desk
from steer_llm_sdk.journal.store import Append
from steer_llm_sdk.models.events import StreamCompleteEvent, StreamErrorEvent, StreamEvent
from steer_llm_sdk.models.ports import Producer, pourer, ready_events
from steer_llm_sdk.stored import shown_value

_log = logging.getLogger("steer_llm_sdk.journal")

# How many events are written at once, at most.
_BATCH = 500

_TERMINAL = (StreamCompleteEvent, StreamErrorEvent)


class _LostError(Exception):
    """Somebody has written the end of the stream in the place of its producer."""


class Generation:
    """Pulls a source to its end, and writes its events.

    Reading and writing take turns: what comes while a batch is written is the next batch, and a
    store that is slow slows the source. Deltas that come by themselves (see `models.ports.pourer`)
    are queued for the store as they come, up to as many as one batch has.

    Args:
        desk: What the journal has in this loop.
        source: What is generated.
        named: Whose events they are, for an end that the source does not tell itself.
        turns: Whether the source may go on after a terminal event, as a run does.

    Attributes:
        begun: Done when the first event is written, or when it could not be begun.
        written: The sequence of the next event that will be written.
    """

    def __init__(
        self, desk: Desk, source: Producer, named: StreamEvent, *, turns: bool = False
    ) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.begun.add_done_callback(_read_error)
        self._desk = desk
        self._source = source
        self._take = ready_events(source)
        self._named = named
        self._stream_id = named.stream_id
        self._turns = turns
        self.written = 0
        self._next = 0
        self._last: StreamEvent | None = None
        self._is_ended = False
        self._cancelled: StreamCancelledError | None = None
        self._refused: Exception | None = None  # why what was queued is not written
        self._all_told: asyncio.Future[None] | None = None  # waits for what is queued

    def cancel(self, reason: str) -> None:
        """End it; its last events are still written."""
        self._cancelled = self._cancelled or StreamCancelledError(reason)
        self._source.cancel(reason)

    async def run(self) -> None:
        """Write all events. Raises nothing: what goes wrong is in the journal, or in the log."""
        stream_id = self._stream_id
        self._desk.produce(stream_id, self)
        try:
            await self._write_all()
        except _LostError:
            self._note_begun(None)
            _log.warning(
                "stream %s was taken for lost, and is stopped here: its event loop was held "
                "up, or its journal could not be reached",
                stream_id,
            )
        except Exception as error:  # noqa: BLE001 - nobody is there whom it could be raised to
            self._note_begun(error)
            _log.exception("stream %s has failed apart from its caller", stream_id)
        finally:
            self._note_begun(None)
            self._desk.end_producing(stream_id)
            await self._source.aclose()

    async def _write_all(self) -> None:
        source, take, desk = self._source, self._take, self._desk
        pour = pourer(source)
        write_deltas = self._writer_of_deltas()
        while True:  # its end is asked for, too: it costs less than to leave what has not told it
            try:
                events = [await source.__anext__()]
            except Exception as error:  # noqa: BLE001 - its end; or of the source, or what it calls
                events = await self._read_end(error)
                if self._is_ended:
                    return
            else:  # and those that have come with it
                while take is not None and len(events) < _BATCH and (event := take()) is not None:
                    events.append(event)
            append = self._append(events)
            is_written = desk.write_at_once(append)
            if is_written is None:
                is_written = await desk.write(append)
            self._note_written(is_written)
            self._note_begun(None)
            if pour is not None and len(events) < _BATCH and not self._is_ended:
                await pour(write_deltas)
                await self._wait_for_queued()

    def _writer_of_deltas(self) -> Callable[[list[StreamEvent]], bool]:
        """What writes deltas as they come, and says False when it wants no more of them so."""
        write = self._desk.writer(self._stream_id)
        if write is None:
            return self._queue_deltas

        def write_deltas(events: list[StreamEvent]) -> bool:
            first = self._next
            self._next = following = first + len(events)
            self._last = events[-1]  # as `_append`, for what ends nothing
            if not write(first, events):
                raise _LostError
            self.written = following
            return True

        return write_deltas

    def _queue_deltas(self, events: list[StreamEvent]) -> bool:
        """Queue what has come; False where much of that is not written yet."""
        if self._refused is not None:
            return False
        while len(events) > _BATCH:
            self._queue_deltas(events[:_BATCH])
            events = events[_BATCH:]
        first = self._next
        self._next = first + len(events)
        self._last = events[-1]  # as `_append`, for what ends nothing
        self._desk.write_soon(Append(self._stream_id, first, events), self._note_queued)
        return self._next - self.written < _BATCH

    def _note_queued(self, append: Append, written: bool | Exception) -> None:
        """Note what has become of events that were queued."""
        following = append.first + len(append.events)
        if written is True:
            self.written = following
        elif self._refused is None:
            self._refused = written or _LostError()
            self._source.cancel("its events cannot be written")  # which ends the wait for more
        if following == self._next and self._all_told is not None and not self._all_told.done():
            self._all_told.set_result(None)

    async def _wait_for_queued(self) -> None:
        if self.written < self._next and self._refused is None:
            self._all_told = asyncio.get_running_loop().create_future()
            await self._all_told
            self._all_told = None
        if self._refused is not None:
            raise self._refused

    def _note_written(self, is_written: bool | None) -> None:
        if not is_written:
            raise _LostError
        self.written = self._next

    async def _read_end(self, error: Exception) -> list[StreamEvent]:
        """What is left to be written when the source has ended, or has failed."""
        if self._is_ended:
            return []
        is_told = isinstance(self._last, StreamErrorEvent)
        if not isinstance(error, StopAsyncIteration):
            if not is_told:
                await self._write_failure(error)
        elif self._cancelled is not None and not is_told:
            return [self._failure(self._cancelled)]  # between two turns
        return []

    async def _write_failure(self, error: Exception) -> None:
        await self._desk.write(self._append([self._failure(error)], ends=True))
        self._note_begun(error)
        if not isinstance(error, SteerError):
            _log.error("stream %s has failed", self._named.stream_id, exc_info=error)

    def _append(self, events: Sequence[StreamEvent], *, ends: bool = False) -> Append:
        """What is to be written of the events that are next; none: that it has ended."""
        first = self._next
        self._next = first + len(events)
        if events:
            self._last = last = events[-1]
            if not ends and (self._turns or not isinstance(last, _TERMINAL)):
                return Append(self._stream_id, first, events)
        self._is_ended = True
        # A filter can drop the event that tells of a good end; a failure is never dropped.
        failed = isinstance(self._last, StreamErrorEvent)
        return Append(self._stream_id, first, events, True, failed)

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
