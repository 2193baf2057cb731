"""One exchange with a provider: the request goes out, and its body comes in as fragments.

A response that is no stream is read as far as it may be, and turned into the error that it tells.
An answer that is taken up again passes the seam: no character twice, none lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.config import shown_url
from steer_llm_sdk.engine.heads import Head
from steer_llm_sdk.engine.plan import Target
from steer_llm_sdk.engine.scrubbing import Secrets
from steer_llm_sdk.errors import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    IncompleteStreamError,
    NotFoundError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    SteerError,
)
from steer_llm_sdk.models.fragments import Extras, Fragment, Identity, Usage
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import ErrorAnswer, Resumption, WireFormat
from steer_llm_sdk.providers.body_reader import BodyReader
from steer_llm_sdk.providers.failures import describe_body
from steer_llm_sdk.providers.foreign_streams import foreign_format
from steer_llm_sdk.providers.rate_limits import read_rate_limit
from steer_llm_sdk.transport.base import Transport, TransportResponse, arrivals_of


async def open_body(
    target: Target,
    transport: Transport,
    options: StreamingOptions,
    clock: Clock,
    resumption: Resumption | None = None,
    note_head: Callable[[Target, Head], object] | None = None,
) -> Body:
    """Send the request of a target, or the one that takes its answer up again.

    Args:
        target: Whom to ask.
        transport: Where the request goes.
        options: The limits.
        clock: What time it is.
        resumption: How an earlier answer is taken up; None for a new one.
        note_head: Is told of the head of every answer, that of a refusal too.

    Raises:
        SteerError: There is no connection, or the provider answers with an error.
    """
    if target.endpoint is None:
        await target.prepare()
    try:
        return await _send(target, transport, options, clock, resumption, note_head)
    except AuthenticationError:
        if not target.forget_credentials():
            raise
    return await _send(target, transport, options, clock, resumption, note_head)


async def _send(
    target: Target,
    transport: Transport,
    options: StreamingOptions,
    clock: Clock,
    resumption: Resumption | None,
    note_head: Callable[[Target, Head], object] | None,
) -> Body:
    request = target.request() if resumption is None else resumption.request
    request = await target.authorize(request, clock)
    secrets = Secrets(request, target.known_keys())
    try:
        response = await transport.open(request, connect_timeout=options.connect_timeout)
        head = Head(response.headers, secrets, clock.time())
        if note_head is not None:
            note_head(target, head)
        if response.status not in STREAMING_STATUSES:
            error = await _refusal(response, target, options, clock)
            base_url = "" if target.endpoint is None else target.endpoint.base_url
            raise _with_address(error, request.url, base_url)
    except SteerError as error:
        secrets.conceal_in(error)
        raise
    return Body(response, target, options, secrets, head, resumption)


def _with_address(error: SteerError, url: str, base_url: str) -> SteerError:
    """The error; one of a place that does not exist names the address that was asked."""
    if isinstance(error, NotFoundError):
        shown = shown_url(url)
        base, path = urlsplit(base_url).path.rstrip("/"), urlsplit(shown).path
        hint = ""
        if path in _BARE_PATHS:
            hint = "; most servers have it under /v1: does the base URL end in it?"
        elif base and path.startswith(base) and _is_too_long(base, path[len(base) :]):
            hint = f"; {path[len(base) :]} was added to the base URL: does that end in too much?"
        error.args = (f"{error} (asked was {shown}{hint})",)
    return error


def _is_too_long(base: str, added: str) -> bool:
    """Whether the path of a base URL ends in what is added to it, or in a version before one."""
    last, (_, first, *rest) = base.rpartition("/")[2], added.split("/")
    is_rooted = first == "api" or _VERSION.fullmatch(first) is not None
    return last in {first, *rest} or (is_rooted and _VERSION.fullmatch(last) is not None)


_VERSION = re.compile(r"v\d\w*")

# What is asked where a base URL names a server and no path.
_BARE_PATHS = frozenset({"/chat/completions", "/responses"})


async def _refusal(
    response: TransportResponse, target: Target, options: StreamingOptions, clock: Clock
) -> SteerError:
    error: SteerError | None = None
    try:
        error = await read_refusal(
            response,
            target.wire,
            target.provider,
            max_bytes=options.max_error_body_bytes,
            clock=clock,
        )
    finally:
        if error is None:  # cancelled: nothing of the body is waited for any more
            response.abort(IncompleteStreamError("the stream was stopped while an error was read"))
        await response.release()
    return error


class Body:
    """The answer of a provider that has begun.

    Args:
        response: Where its bytes come from.
        target: Whose wire format reads them.
        options: The limits.
        secrets: What no error may tell.
        head: Its headers, as they are told.
        resumption: How this answer continues an earlier one; None when it does not.

    Attributes:
        decoder: What reads the frames.
        arrivals: Its bytes as they come; None where they have to be read.
    """

    def __init__(
        self,
        response: TransportResponse,
        target: Target,
        options: StreamingOptions,
        secrets: Secrets,
        head: Head,
        resumption: Resumption | None,
    ) -> None:
        self.read = response.read
        self.abort = response.abort
        self.release = response.release
        self.headers = response.headers
        self.arrivals = arrivals_of(response)
        self._status = response.status
        self._target = target
        self._secrets = secrets
        self._head = head
        # The beginning of what may turn out to be no stream.
        self._document = bytearray()
        self._is_announced = is_stream_type(response.headers)
        self._max_document_bytes = (
            _MAX_HEAD_BYTES if self._is_announced else options.max_error_body_bytes
        )
        self._overlap: Overlap | None = None
        if resumption is None:
            self.decoder = target.wire.decoder(target.provider)
        else:
            self.decoder = resumption.decoder
            if resumption.echo or resumption.trimmed:
                self._overlap = Overlap(resumption.echo, resumption.trimmed)
        self._reader = BodyReader(target.wire, self.decoder, options.max_frame_bytes)

    @property
    def request_id(self) -> str | None:
        """How the provider calls the request that it answers; None where it does not say."""
        found = (self.headers.get(name) for name in _REQUEST_ID_HEADERS)
        return next((value for value in found if value), None)

    def fragments(self, chunk: bytes) -> Iterable[Fragment]:
        """What these bytes complete; decoded as it is asked for.

        Raises:
            ProtocolError: While it is asked for: the bytes are not what the format allows.
        """
        document = self._document
        if len(document) < self._max_document_bytes:
            document += chunk
            del document[: _length_of_silence(document)]
            del document[self._max_document_bytes :]
        return self._after_overlap(self._reader.feed(chunk))

    def tail(self) -> Iterable[Fragment]:
        """What the end of the body completes, as `fragments` gives it."""
        return self._after_overlap(self._reader.feed_eof())

    def _after_overlap(self, found: Iterable[Fragment]) -> Iterable[Fragment]:
        return found if self._overlap is None else self._overlap.pass_through(found)

    def held(self) -> Iterable[Fragment]:
        """What had been held back until the end."""
        yield from self.decoder.decode_eof()

    def explain(self, error: SteerError, *, has_answer: bool) -> SteerError:
        """The error that this body ends in.

        Args:
            error: What became of it, as a stream.
            has_answer: Whether it brought anything of one. If not, it may be no stream at all.
        """
        is_unread = isinstance(error, IncompleteStreamError | ProtocolError) and not has_answer
        if is_unread and (document := self._foreign_document()):
            answer = ErrorAnswer(self._target.provider, self._status, self.headers, document)
            error = not_a_stream(self._target.wire, answer)
        elif isinstance(error, IncompleteStreamError):
            error = self._foreign_stream() or error
        if isinstance(error, RateLimitError) and (told := self._head.rate_limit()) is not None:
            error.rate_limit = told
        self._secrets.conceal_in(error)
        return error

    def _foreign_stream(self) -> ProtocolError | None:
        """The error of a stream that is another format's; None where nothing shows that."""
        wire = self._target.wire.name
        found = foreign_format(bytes(self._document), wire)
        if found is None:
            return None
        return ProtocolError(
            f"{self._target.provider}: expected a stream in the format {wire!r}, found one of "
            f"{found}; check the provider's kind and the base URL"
        )

    def _foreign_document(self) -> bytes:
        """What came that is no stream, whatever its headers say; nothing where it may be one."""
        head = bytes(self._document)
        return b"" if self._is_announced and _begins_a_stream(head) else head

    def discard(self) -> None:
        """Close a response that came after nobody wanted it."""
        self.abort(IncompleteStreamError("the stream was stopped while its connection was made"))


def _length_of_silence(head: bytearray) -> int:
    """How much of a beginning says nothing: white space, and comments that are whole.

    A gateway sends them while it waits, and its page of HTML when it has waited too long.
    """
    return _SILENCE.match(head).end()  # type: ignore[union-attr] # it may be empty


def _begins_a_stream(head: bytes) -> bool:
    """Whether these bytes are the beginning of a stream, or were cut before that can be told."""
    return head.startswith(_STREAM_BEGINNINGS) or any(
        beginning.startswith(head) for beginning in _STREAM_BEGINNINGS
    )


# In which providers name the request that they answer.
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-amzn-requestid")

# How long the body of an error is waited for: its status alone is worth telling.
_BODY_SECONDS = 10.0

# Successes that may carry a stream: some gateways answer every POST with 201 or 202.
STREAMING_STATUSES = frozenset({200, 201, 202, 203})

# How streams begin; a gateway may send its page of HTML, or a sentence, under their content type.
# (Amazon's event messages begin with their length, of which the first byte is none.)
_STREAM_BEGINNINGS = (
    b"data:",
    b"event:",
    b"id:",
    b"retry:",
    b":",
    b"{",
    b"[",
    b"\x00",
)
_SILENCE = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|:[^\r\n]*[\r\n])*")
_MAX_HEAD_BYTES = 4_000

# Content types that do not rule a stream out: its own, and those of servers that do not care.
_STREAM_TYPES = (
    "text/event-stream",
    "application/x-ndjson",
    "application/jsonl",
    "application/x-",
    "application/vnd.amazon.eventstream",
)


async def read_refusal(
    response: TransportResponse,
    wire: WireFormat,
    provider: str,
    *,
    max_bytes: int,
    clock: Clock,
) -> SteerError:
    """Read an error out of a response. The response is still to be released.

    Args:
        response: The response; its status is none of `STREAMING_STATUSES`.
        wire: How the provider tells errors.
        provider: The provider's name.
        max_bytes: How much of the body is read at the most; unpacked, where it is compressed.
        clock: By which the body is waited for, and from which a ``Retry-After`` date counts.
    """
    if response.status == 407:
        return _proxy_refused(provider)
    if 300 <= response.status < 400:
        return _redirect(response, provider)
    late = ConnectionLostError("the body of an error did not come to its end in time")
    timer = clock.call_later(_BODY_SECONDS, lambda: response.abort(late))
    try:
        body = await _read_body(response, max_bytes)
    finally:
        timer.cancel()
    answer = ErrorAnswer(provider, response.status, response.headers, body)
    if response.status < 300:
        return not_a_stream(wire, answer)
    error = wire.read_error(answer)
    told_limit = read_rate_limit(response.headers, clock.time())
    if told_limit is not None:
        error.rate_limit = told_limit
        asked = told_limit.retry_after
        error.retry_after = error.retry_after if asked is None else asked
    # A header that the official SDKs obey before anything that the status says.
    told = _SHOULD_RETRY.get(response.headers.get("x-should-retry", "").strip().lower())
    error.is_retryable = error.is_retryable if told is None else told
    return error


_SHOULD_RETRY = {"true": True, "false": False}


def is_stream_type(headers: Mapping[str, str]) -> bool:
    """Whether the headers announce a stream, rather than a document or nothing in particular."""
    return headers.get("content-type", "").strip().lower().startswith(_STREAM_TYPES)


def not_a_stream(wire: WireFormat, answer: ErrorAnswer) -> ProviderError:
    """The error of a success that brought something else than a stream.

    A proxy's login page, a gateway that does not stream, an error under the wrong status.
    """
    error = wire.read_error(answer)
    if error.code is not None or type(error) is not ProviderError:
        return error
    is_json = answer.body.lstrip()[:1] in {b"{", b"["}
    what = "a JSON document" if is_json else describe_body(answer)
    what = " ".join(what.split())  # a message is one line
    what = what if len(what) <= _SHOWN_CHARS else what[:_SHOWN_CHARS] + "…"
    failure = ProviderError(
        f"{answer.provider} ({answer.status}): expected a stream, found {what}; check the base URL",
        status=answer.status,
        provider=answer.provider,
        request_id=error.request_id,
        body=error.body,
    )
    failure.quote = what
    return failure


_SHOWN_CHARS = 120


async def _read_body(response: TransportResponse, max_bytes: int) -> bytes:
    """What there is of the body: a status is worth telling even when its body breaks off."""
    body = bytearray()
    try:
        while len(body) < max_bytes and (chunk := await response.read()):
            body += chunk
    except SteerError:
        pass
    return bytes(body[:max_bytes])


def _redirect(response: TransportResponse, provider: str) -> ProviderError:
    return ProviderError(
        f"{provider} ({response.status}): the server redirects elsewhere; redirects are not "
        "followed, since the key would go along: check the base URL",
        status=response.status,
        provider=provider,
    )


def _proxy_refused(provider: str) -> ConnectError:
    return ConnectError(
        f"{provider}: a proxy on the way wants a user and password (407): check the proxy's URL",
        is_retryable=False,
    )


# What a server says beside the answer, in the midst of it too.
_ASIDE = (Identity, Usage, Extras)


class Overlap:
    """Takes away what a server sends again before it goes on.

    Args:
        echo: What the server repeats, whole or not at all: text that only begins like it is held
            until it differs, or until the answer is finished, and then let through. A body that is
            cut before that was cut in the echo.
        trimmed: White space that was not sent along and that the model may write once more: as much
            of it as comes is taken away.
    """

    def __init__(self, echo: str = "", trimmed: str = "") -> None:
        self._echo = echo
        self._trimmed = trimmed
        self._held = ""

    def pass_through(self, fragments: Iterable[Fragment]) -> Iterator[Fragment]:
        """The fragments without what is repeated."""
        for fragment in fragments:
            if isinstance(fragment, str) and (self._echo or self._trimmed):
                if text := self._without_repeated(fragment):
                    yield text
            else:
                if not isinstance(fragment, _ASIDE):
                    yield from self._release()
                yield fragment

    def _release(self) -> Iterator[Fragment]:
        """What was held because it began like the echo, and is now known to be none."""
        held, self._held = self._held, ""
        if held:
            self._echo = ""
            yield held

    def _without_repeated(self, text: str) -> str:
        if self._echo:
            text, self._held = self._held + text, ""
            if len(text) < len(self._echo) and self._echo.startswith(text):
                self._held = text
                return ""
            text, self._echo = text.removeprefix(self._echo), ""
            return text
        same = 0
        while same < min(len(text), len(self._trimmed)) and text[same] == self._trimmed[same]:
            same += 1
        self._trimmed = self._trimmed[same:] if same == len(text) else ""
        return text[same:]
