"""`encode`: a source's events as bytes of a protocol, with heartbeats, and one ending."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Literal, TypeAlias, get_args

from steer_llm_sdk.checks import SECONDS, TEXT, one_of
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.ports import EventSource, Ready
from steer_llm_sdk.web.ag_ui import AGUIEncoder
from steer_llm_sdk.web.base import Encoder, ErrorText
from steer_llm_sdk.web.openai import OpenAIEncoder
from steer_llm_sdk.web.plain import LinesEncoder, SSEEncoder
from steer_llm_sdk.web.vercel import VercelEncoder

Protocol: TypeAlias = Literal["sse", "ag-ui", "vercel", "openai", "ndjson"]

DEFAULT_HEARTBEAT = 15.0

# Events that can be taken at once share a write, up to about so many bytes.
_WRITE_BYTES = 16 * 1024

_PROTOCOL = one_of(*get_args(Protocol))

_ENCODERS: Mapping[str, Callable[[ErrorText], Encoder]] = {
    "sse": SSEEncoder,
    "ag-ui": AGUIEncoder,
    "vercel": VercelEncoder,
    "openai": OpenAIEncoder,
    "ndjson": LinesEncoder,
}

_EVENT_STREAM = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # nginx would hold the events back
}

_HEADERS: Mapping[str, Mapping[str, str]] = {
    "vercel": {**_EVENT_STREAM, "x-vercel-ai-ui-message-stream": "v1"},
    "ndjson": {**_EVENT_STREAM, "content-type": "application/x-ndjson"},
}


def headers(protocol: Protocol) -> dict[str, str]:
    """Return the headers of a response in a protocol.

    Raises:
        ConfigurationError: There is no such protocol.
    """
    _PROTOCOL.check("protocol", protocol)
    return dict(_HEADERS.get(protocol, _EVENT_STREAM))


def encode(
    source: EventSource,
    protocol: Protocol,
    *,
    heartbeat: float | None = DEFAULT_HEARTBEAT,
    error_text: ErrorText = str,
    thread_id: str | None = None,
    run_id: str | None = None,
) -> AsyncGenerator[bytes, None]:
    """Write the events of a source in a protocol that browsers read.

    What has come at once shares one write. Nothing is said after the ending. An error that the
    source raises before its first event is raised here; one that comes later is the ending.
    The source is left when the iterator is closed.

    Args:
        source: A stream, a run, or what a journal attaches.
        protocol: ``"sse"`` (our events; the ``id`` is the `sequence`), ``"ndjson"`` (the same, a
            line each), ``"ag-ui"`` (1.0), ``"vercel"`` (UI message stream v1) or ``"openai"``
            (chunks of chat completions).
        heartbeat: After how many seconds of silence a sign of life is written; None: never.
        error_text: What is said of an error; by default its message, which holds no key.
        thread_id: For ``"ag-ui"``: the conversation.
        run_id: For ``"ag-ui"``: the run.

    Returns:
        An async iterator of bytes.

    Raises:
        ConfigurationError: An argument is not what it has to be.
    """
    _PROTOCOL.check("protocol", protocol)
    SECONDS.or_none().check("heartbeat", heartbeat)
    for name, value in (("thread_id", thread_id), ("run_id", run_id)):
        TEXT.or_none().check(name, value)
        if value is not None and protocol != "ag-ui":
            raise ConfigurationError(f"{name}: the protocol {protocol!r} has none")
    if protocol == "ag-ui":
        return _write(source, AGUIEncoder(error_text, thread_id, run_id), heartbeat)
    return _write(source, _ENCODERS[protocol](error_text), heartbeat)


async def _write(
    source: EventSource, encoder: Encoder, heartbeat: float | None
) -> AsyncGenerator[bytes, None]:
    heart = Heart(source, heartbeat)
    take = source.take_ready if isinstance(source, Ready) else _nothing
    ending: bytes | None = None
    try:
        while ending is None:
            try:
                event = await heart.next()
            except StopAsyncIteration:
                ending = encoder.end()
            except Exception as error:
                if not heart.has_begun:
                    raise
                ending = encoder.end() if heart.has_failed else encoder.fail(error)
            else:
                written = encoder.heartbeat if event is None else encoder.feed(event)
                while len(written) < _WRITE_BYTES and (event := take()) is not None:
                    heart.note(event)
                    written += encoder.feed(event)
                if written:
                    yield written
        if ending:
            yield ending
    finally:
        heart.stop()
        await source.aclose()


def _nothing() -> None:
    """Of a source that does not tell what can be taken at once."""


class Heart:
    """Pulls a source, and gives up after some silence; what comes then is not lost.

    One timer runs for all events: it looks, twice in an interval, whether any has come.

    Args:
        source: What is pulled.
        interval: After how many seconds without an event `next` gives None; None: never.

    Attributes:
        has_begun: Whether any event has come.
        has_failed: Whether the last event told of a failure.
    """

    def __init__(self, source: EventSource, interval: float | None) -> None:
        self.has_begun = False
        self.has_failed = False
        self._source = source
        self._interval = interval
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[object] | None = None
        self._is_quiet = False  # no event has come since the last look
        self._gives_up = False

    async def next(self) -> StreamEvent | None:
        """Wait for the next event; None when there was none for an interval.

        Raises:
            StopAsyncIteration: There is none any more.
            Exception: What the source raises.
        """
        if self._timer is None and self._interval is not None:
            self._look()
        self._waiting = task = asyncio.current_task()
        try:
            event = await self._source.__anext__()
        except asyncio.CancelledError:
            if not self._gives_up or task is None or task.uncancel() > 0:
                raise
            return None
        finally:
            self._waiting = None
            self._gives_up = False
            self._is_quiet = False
        self.note(event)
        return event

    def note(self, event: StreamEvent) -> None:
        """Note an event that has come."""
        self.has_begun = True
        self.has_failed = event.type == "error"

    def _look(self) -> None:
        """See whether all was quiet since the last look, and then have the wait given up."""
        assert self._interval is not None  # noqa: S101 - no timer runs without it
        if self._is_quiet and self._waiting is not None:
            self._gives_up = True
            self._waiting.cancel()
        self._is_quiet = True
        self._timer = asyncio.get_running_loop().call_later(self._interval / 2, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
