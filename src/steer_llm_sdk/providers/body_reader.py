"""The way from the bytes of a body to what they say: `BodyReader`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.fragments import Fragment, Reasoning
from steer_llm_sdk.providers.base import Decoder, WireFormat, words_reader
from steer_llm_sdk.providers.mould import Mould


class BodyReader:
    """Turns the bytes of one body into fragments.

    Args:
        wire: The format of the body.
        decoder: What reads its frames.
        max_frame_bytes: The most bytes that one frame may take.
    """

    def __init__(self, wire: WireFormat, decoder: Decoder, max_frame_bytes: int) -> None:
        make_framing = partial(wire.framing, max_frame_bytes)
        self._framing = make_framing()
        self._decode = decoder.decode
        self._mould = Mould(make_framing, words_reader(decoder), max_frame_bytes)

    def feed(self, chunk: bytes) -> Iterable[Fragment]:
        """What these bytes complete; decoded as it is asked for.

        Raises:
            ProtocolError: While it is asked for: the bytes are not what the format allows.
        """
        if words := self._mould.take(chunk):
            return (words,)
        frames = self._framing.feed(chunk)
        if frames.__class__ is not tuple or len(frames) != 1:
            return chain.from_iterable(map(self._decode, frames))
        # A chunk that comes alone brings one frame: that needs no chain of iterators.
        try:
            found = self._decode(frames[0])
        except ProtocolError as error:
            return _failing(error)
        if len(found) == 1 and isinstance(only := found[0], str | Reasoning):
            self._mould.learn(chunk, only)
        return found

    def feed_eof(self) -> Iterable[Fragment]:
        """What the end of the body completes, in the same way."""
        return chain.from_iterable(map(self._decode, self._framing.feed_eof()))


def _failing(error: ProtocolError) -> Iterator[Fragment]:
    """Raises when it is asked for its first fragment."""
    raise error
    yield  # makes it a generator
