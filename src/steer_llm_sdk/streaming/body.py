"""The body of one response, from its bytes to fragments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.errors import IncompleteStreamError, ProtocolError, SteerError
from steer_llm_sdk.models.fragments import Fragment
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import ErrorAnswer, Resumption
from steer_llm_sdk.streaming.overlap import Overlap
from steer_llm_sdk.streaming.plan import Target
from steer_llm_sdk.streaming.refusals import (
    STREAMING_STATUSES,
    is_stream_type,
    not_a_stream,
    read_refusal,
)
from steer_llm_sdk.streaming.secrets import Secrets
from steer_llm_sdk.transport.base import Transport, TransportResponse
from steer_llm_sdk.wire.frame import Frame


async def open_body(
    target: Target,
    transport: Transport,
    options: StreamingOptions,
    clock: Clock,
    resumption: Resumption | None = None,
) -> Body:
    """Send the request of a target, or the one that takes its answer up again.

    Raises:
        SteerError: There is no connection, or the provider answers with an error.
    """
    if target.endpoint is None:
        await target.prepare()
    request = target.request() if resumption is None else resumption.request
    secrets = Secrets(request)
    try:
        response = await transport.open(request, connect_timeout=options.connect_timeout)
        if response.status not in STREAMING_STATUSES:
            raise await _refusal(response, target, options, clock)
    except SteerError as error:
        secrets.conceal_in(error)
        raise
    return Body(response, target, options, secrets, resumption)


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
        resumption: How this answer continues an earlier one; None when it does not.

    Attributes:
        decoder: What reads the frames.
    """

    def __init__(
        self,
        response: TransportResponse,
        target: Target,
        options: StreamingOptions,
        secrets: Secrets,
        resumption: Resumption | None,
    ) -> None:
        self.read = response.read
        self.abort = response.abort
        self.release = response.release
        self.headers = response.headers
        self._status = response.status
        self._target = target
        self._secrets = secrets
        self._framing = target.wire.framing(options.max_frame_bytes)
        # The beginning of what may turn out to be no stream.
        self._document = None if is_stream_type(response.headers) else bytearray()
        self._max_document_bytes = options.max_error_body_bytes
        self._overlap: Overlap | None = None
        if resumption is None:
            self.decoder = target.wire.decoder(target.provider)
            return
        self.decoder = resumption.decoder
        if resumption.echo or resumption.trimmed:
            self._overlap = Overlap(resumption.echo, resumption.trimmed)

    def fragments(self, chunk: bytes) -> Iterable[Fragment]:
        """What these bytes complete; decoded as it is asked for.

        Raises:
            ProtocolError: While it is asked for: the bytes are not what the format allows.
        """
        document = self._document
        if document is not None and len(document) < self._max_document_bytes:
            document += chunk[: self._max_document_bytes]
        frames = self._framing.feed(chunk)
        # A chunk that comes alone brings one frame: that needs no chain of iterators.
        if frames.__class__ is tuple and len(frames) == 1 and self._overlap is None:
            try:
                return self.decoder.decode(frames[0])
            except ProtocolError as error:
                return _failing(error)
        return self._decoded(frames)

    def tail(self) -> Iterable[Fragment]:
        """What the end of the body completes, as `fragments` gives it."""
        return self._decoded(self._framing.feed_eof())

    def _decoded(self, frames: Iterable[Frame]) -> Iterable[Fragment]:
        found = chain.from_iterable(map(self.decoder.decode, frames))
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
        if is_unread and self._document and self._document.strip():
            answer = ErrorAnswer(
                self._target.provider, self._status, self.headers, bytes(self._document)
            )
            error = not_a_stream(self._target.wire, answer)
        self._secrets.conceal_in(error)
        return error

    def discard(self) -> None:
        """Close a response that came after nobody wanted it."""
        self.abort(IncompleteStreamError("the stream was stopped while its connection was made"))


def _failing(error: ProtocolError) -> Iterator[Fragment]:
    """Raises when it is asked for its first fragment."""
    raise error
    yield  # makes it a generator
