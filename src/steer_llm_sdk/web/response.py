"""`respond`: a source as a response of Starlette and FastAPI (the extra ``web``)."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from steer_llm_sdk.checks import one_of
from steer_llm_sdk.config import check_headers
from steer_llm_sdk.errors import ConfigurationError, JournalGapError
from steer_llm_sdk.journal.attached import Attached
from steer_llm_sdk.models.ports import EventSource
from steer_llm_sdk.tasks import start_task, until_ended
from steer_llm_sdk.web.base import ErrorText
from steer_llm_sdk.web.encoding import DEFAULT_HEARTBEAT, Protocol, encode, headers

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_ON_DISCONNECT = one_of("stop", "continue")

_LAST_EVENT_ID = "last-event-id"
# The protocols whose events have numbers. What follows an event of the others makes no sense alone.
_NUMBERED = frozenset({"sse", "ndjson"})

# Fewer digits than the largest sequence that `attach` takes.
_IS_SEQUENCE = re.compile(r"[0-9]{1,15}").fullmatch


def respond(
    request: Request,
    source: EventSource,
    protocol: Protocol = "sse",
    on_disconnect: Literal["stop", "continue"] = "stop",
    *,
    heartbeat: float | None = DEFAULT_HEARTBEAT,
    error_text: ErrorText = str,
    thread_id: str | None = None,
    run_id: str | None = None,
    status_code: int = 200,
    extra_headers: Mapping[str, str] | None = None,
) -> Response:
    """Make a response that writes a source's events as they come.

    A browser that reads slowly slows the provider: nothing is queued. What a journal attaches obeys
    ``Last-Event-ID``, which a browser's ``EventSource`` sends when it connects again, in the
    protocols whose events have numbers (``"sse"``, ``"ndjson"``); after the stream's end it is
    answered by 204, which tells it to come no more. A stream that the journal does not have is
    answered by 404. A ``HEAD`` is answered by the headers alone, and asks no provider.

    Args:
        request: The request that is answered.
        source: A stream, a run, or what a journal attaches.
        protocol: As in `encode`.
        on_disconnect: What becomes of the generation when the browser goes away: ``"stop"`` ends
            it, also where a journal holds it; ``"continue"`` needs a journal.
        heartbeat: As in `encode`; so the others.
        error_text: The same.
        thread_id: The same.
        run_id: The same.
        status_code: The status of the response.
        extra_headers: Further headers, or others in the place of the protocol's.

    Raises:
        ConfigurationError: The extra is not installed, or an argument is not what it has to be.
    """
    _ON_DISCONNECT.check("on_disconnect", on_disconnect)
    if on_disconnect == "continue" and not isinstance(source, Attached):
        raise ConfigurationError(
            'on_disconnect: "continue" needs a journal: begin the answer by client.start(…, '
            "journal=…), and respond with journal.attach(stream_id)"
        )
    check_headers("extra_headers", extra_headers)
    own = {name.lower(): value for name, value in (extra_headers or {}).items()}
    if isinstance(source, Attached) and protocol in _NUMBERED:
        _resume(source, request.headers.get(_LAST_EVENT_ID))
    body = encode(
        source,
        protocol,
        heartbeat=heartbeat,
        error_text=error_text,
        thread_id=thread_id,
        run_id=run_id,
    )
    made: Response = _response_class()(
        source,
        body,
        stops=on_disconnect == "stop",
        status_code=status_code,
        headers=headers(protocol) | own,
    )
    return made


def _resume(source: Attached, last_event_id: str | None) -> None:
    """Go on after the event that a browser had last; one that is no number of ours is passed by."""
    if last_event_id is not None and _IS_SEQUENCE(last_event_id):
        source.resume_after(int(last_event_id))


@cache
def _response_class() -> Any:
    """Make the class when it is first needed: its base is of another library."""
    try:
        from starlette.responses import Response
    except ImportError:
        raise ConfigurationError(
            "respond: the extra is not installed: pip install 'steer-llm-sdk[web]'"
        ) from None

    class EventResponse(Response):
        """Writes the bytes of a source until it ends, or until the browser has gone."""

        def __init__(
            self,
            source: EventSource,
            body: AsyncGenerator[bytes, None],
            *,
            stops: bool,
            status_code: int,
            headers: Mapping[str, str],
        ) -> None:
            self.status_code = status_code
            self.background = None
            self.body_iterator = body
            self._source = source
            self._stops = stops
            self.init_headers(headers)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            """Answer one request, as ASGI has it."""
            try:
                if isinstance(self._source, Attached) and await self._source.has_ended():
                    await Response(status_code=204)(scope, receive, send)
                    return
            except JournalGapError as error:
                await Response(str(error), 404, media_type="text/plain")(scope, receive, send)
                return
            await self._answer(scope, receive, send)
            if self.background is not None:
                await self.background()

        async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["method"] == "HEAD":
                await self._begin(send)
                await send({"type": "http.response.body", "body": b""})
                await self._source.aclose()
                return
            if not await _until_gone(self._write(send), receive) and self._stops:
                await _stop(self._source)

        async def _begin(self, send: Any) -> None:
            start = {"type": "http.response.start", "status": self.status_code}
            await send({**start, "headers": self.raw_headers})

        async def _write(self, send: Any) -> bool:
            body = self.body_iterator
            try:
                first = await anext(body, b"")  # an error here is the framework's to answer
                return await _is_sent(self._begin(send), first, body, send)
            finally:
                await body.aclose()

    return EventResponse


async def _is_sent(
    beginning: Awaitable[None], first: bytes, rest: AsyncGenerator[bytes, None], send: Any
) -> bool:
    """Send all; False when the server tells that nobody reads any more."""
    try:
        await beginning
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for piece in rest:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except OSError:
        return False
    return True


async def _until_gone(writing: Coroutine[Any, Any, bool], receive: Any) -> bool:
    """Write all; False when the browser went away before the end.

    What writes is woken for each chunk, and so it is a task of its own: that of the request would
    have to go through all of the framework's coroutines each time.
    """
    writes = start_task(writing)
    leaves = start_task(_wait_for_disconnect(receive))
    leaves.add_done_callback(lambda _: writes.cancel())
    try:
        await until_ended(writes)
    finally:
        is_gone = leaves.done()
        for task in (writes, leaves):
            task.cancel()
            await until_ended(task)
    if is_gone and writes.cancelled():
        return False
    return writes.result()


async def _wait_for_disconnect(receive: Any) -> None:
    """Wait until the browser has gone; a server that raises here has nobody to write to either."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stop(source: EventSource) -> None:
    if isinstance(source, Attached):
        await source.stop("the browser went away")
