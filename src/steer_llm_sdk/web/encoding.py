"""`encode`: a source's events as bytes of a protocol, with heartbeats, and one ending."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from types import AsyncGeneratorType
from typing import Any, Literal, TypeAlias, get_args

from steer_llm_sdk.checks import SECONDS, TEXT, Kind, one_of
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.journal.attached import Attached
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.ports import EventSource, ready_events
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.streaming.views import ItemsStream, TextStream
from steer_llm_sdk.tools.stream import RunStream
from steer_llm_sdk.web.ag_ui import AGUIEncoder
from steer_llm_sdk.web.base import Encoder, ErrorText
from steer_llm_sdk.web.error_texts import check_error_text
from steer_llm_sdk.web.generated import Generated
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

_SOURCE = Kind(
    "a stream, a run or what a journal attaches",
    lambda source: (
        all(hasattr(type(source), name) for name in ("__anext__", "aclose"))
        and not isinstance(source, TextStream | ItemsStream)
    ),
    hides_value=True,
)

_EVENT_STREAM = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache, no-transform",  # who compresses would hold them back, too
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
    source raises before anything is written is raised here; one that comes later is the ending.
    The source is left when the iterator is closed.

    Args:
        source: A stream, a run, what a journal attaches, or an async generator of their events.
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
        ConfigurationError: An argument is not what it has to be. As the source's own error: it is a
            stream that had ended, or was left, before anything was read of it.
    """
    _SOURCE.check("source", source)
    _PROTOCOL.check("protocol", protocol)
    SECONDS.check_given("heartbeat", heartbeat)
    for name, value in (("thread_id", thread_id), ("run_id", run_id)):
        TEXT.check_given(name, value)
        if value is not None and protocol != "ag-ui":
            raise ConfigurationError(f"{name}: the protocol {protocol!r} has none")
    told = check_error_text(error_text)
    events = Generated(source) if isinstance(source, AsyncGeneratorType) else source
    if protocol == "ag-ui":
        return _write(events, AGUIEncoder(told, thread_id, run_id), heartbeat)
    return _write(events, _ENCODERS[protocol](told), heartbeat)


async def _write(
    source: EventSource, encoder: Encoder, heartbeat: float | None
) -> AsyncGenerator[bytes, None]:
    heart = Heart(heartbeat)
    last: StreamEvent | None = None
    is_silent = True  # nothing is written: whoever asked can still be answered in another way
    pull, feed = source.__anext__, encoder.feed
    take = ready_events(source) or _nothing
    attached = source if isinstance(source, Attached) else None
    loop, current_task = asyncio.get_running_loop(), asyncio.current_task
    goes_on = True
    try:
        heart.look()
        while goes_on:
            event: StreamEvent | None = None
            try:
                if attached is not None and (coming := attached.coming()) is not None:
                    heart.waiting = coming
                    event = attached.accept(await coming)
                if event is None:
                    heart.waiting = current_task(loop)  # told of its loop, it need not look for it
                    event = await pull()
            except StopAsyncIteration:
                written, goes_on = _end(encoder, source, last), False
            except asyncio.CancelledError:
                if not heart.has_given_up():
                    raise
                written = encoder.heartbeat
                is_silent = False
            except Exception as error:  # noqa: BLE001 - the source's; a reader is told of it
                written, goes_on = _ending(encoder, last, error, is_silent=is_silent), False
            else:
                last, written = event, feed(event)
            finally:
                heart.waiting = None
                heart.gives_up = heart.is_quiet = False
            while goes_on and len(written) < _WRITE_BYTES and (event := take()) is not None:
                last = event
                written += feed(event)
            if written:
                yield written
    finally:
        heart.stop()
        await source.aclose()


def _end(encoder: Encoder, source: EventSource, last: StreamEvent | None) -> bytes:
    """The ending of a source that gives no more.

    Raises:
        ConfigurationError: It is a stream or a run that had ended before anything was read of it.
    """
    if last is None and isinstance(source, EventStream | RunStream):
        raise ConfigurationError(
            "source: nothing came of it: it had ended or was left before (an `async with` around "
            "it leaves it when the endpoint returns; encode and respond leave it by themselves), "
            "or a filter drops all of it"
        ) from None
    return encoder.end()


def _ending(
    encoder: Encoder, last: StreamEvent | None, error: Exception, *, is_silent: bool
) -> bytes:
    """The ending of a source that has raised an error, unless nothing at all is written yet."""
    if last is None and is_silent:
        raise error
    is_told = last is not None and last.type == "error"
    return encoder.end() if is_told else encoder.fail(error)


def _nothing() -> None:
    """Of a source that does not tell what can be taken at once."""


class Heart:
    """Has a wait for an event given up after some silence; what comes then is not lost.

    One timer runs for all events: it looks, twice in an interval, whether any has come.

    Args:
        interval: After how many seconds without an event a wait is given up; None: never.

    Attributes:
        waiting: The task that waits for the next event, or what it waits for.
        is_quiet: Whether no event has come since the last look.
        gives_up: Whether the wait is cancelled for its silence, and not by anybody else.
    """

    def __init__(self, interval: float | None) -> None:
        self.waiting: asyncio.Future[Any] | None = None
        self.is_quiet = False
        self.gives_up = False
        self._interval = interval
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """See whether all was quiet since the last look, and then have the wait given up."""
        if self._interval is None:
            return
        if self.is_quiet and self.waiting is not None:
            self.gives_up = True
            self.waiting.cancel()
        self.is_quiet = True
        self._timer = asyncio.get_running_loop().call_later(self._interval / 2, self.look)

    def has_given_up(self) -> bool:
        """Whether the wait was cancelled for its silence alone: then the task goes on."""
        task = asyncio.current_task()
        if not self.gives_up or task is None:
            return False
        return (task.uncancel() if self.waiting is task else task.cancelling()) == 0

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
