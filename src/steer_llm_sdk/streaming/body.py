"""The body of one response, from its bytes to fragments."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.errors import IncompleteStreamError
from steer_llm_sdk.models.fragments import Fragment
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Resumption
from steer_llm_sdk.streaming.overlap import Overlap
from steer_llm_sdk.streaming.plan import Target
from steer_llm_sdk.streaming.refusals import read_refusal
from steer_llm_sdk.transport.base import Transport, TransportResponse


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
    response = await transport.open(request, connect_timeout=options.connect_timeout)
    if response.status == 200:
        return Body(response, target, options.max_frame_bytes, resumption)
    try:
        raise await read_refusal(
            response,
            target.wire,
            target.provider,
            max_bytes=options.max_error_body_bytes,
            now=clock.time(),
        )
    finally:
        await response.release()


class Body:
    """The answer of a provider that has begun.

    Args:
        response: Where its bytes come from.
        target: Whose wire format reads them.
        max_frame_bytes: The most bytes of one frame.
        resumption: How this answer continues an earlier one; None when it does not.

    Attributes:
        decoder: What reads the frames.
    """

    def __init__(
        self,
        response: TransportResponse,
        target: Target,
        max_frame_bytes: int,
        resumption: Resumption | None,
    ) -> None:
        self.read = response.read
        self.abort = response.abort
        self.release = response.release
        self.headers = response.headers
        self._framing = target.wire.framing(max_frame_bytes)
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
        frames = self._framing.feed(chunk)
        found = chain.from_iterable(map(self.decoder.decode, frames))
        return found if self._overlap is None else self._overlap.pass_through(found)

    def tail(self) -> Iterable[Fragment]:
        """What the end of the body completes, as `fragments` gives it."""
        return chain.from_iterable(map(self.decoder.decode, self._framing.feed_eof()))

    def held(self) -> Iterable[Fragment]:
        """What had been held back until the end."""
        yield from self.decoder.decode_eof()
        if self._overlap is not None:
            yield from self._overlap.release()

    def discard(self) -> None:
        """Close a response that came after nobody wanted it."""
        self.abort(IncompleteStreamError("the stream was stopped while its connection was made"))
