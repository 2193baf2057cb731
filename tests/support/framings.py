"""What the tests of all framings share: feed a body in pieces, and cut one anywhere."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable

from hypothesis import strategies as st

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.wire.frame import Frame, Framing
from support.uncounted import uncounted_here

TRIES = 5
LINEAR = 40.0  # a ratio below it needs no second measurement


def frames_of(framing: Framing, chunks: Iterable[bytes]) -> list[Frame]:
    """All frames of a body that arrives in `chunks`."""
    found = [frame for chunk in chunks for frame in framing.feed(chunk)]
    return found + list(framing.feed_eof())


def frames_and_fault(
    framing: Framing, chunks: Iterable[bytes]
) -> tuple[list[Frame], type[ProtocolError] | None]:
    """The frames up to the error, and the error's class; None where there is no error."""
    found: list[Frame] = []
    try:
        for chunk in chunks:
            found.extend(framing.feed(chunk))
        found.extend(framing.feed_eof())
    except ProtocolError as error:
        return found, type(error)
    return found, None


def one_by_one(body: bytes) -> list[bytes]:
    """The body byte by byte."""
    return [body[i : i + 1] for i in range(len(body))]


def in_pieces(body: bytes, size: int) -> list[bytes]:
    """The body in pieces of `size` bytes."""
    return [body[i : i + size] for i in range(0, len(body), size)]


@st.composite
def cut_bodies(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    """A body, and the same body cut anywhere, empty pieces included."""
    body = draw(bodies)
    places = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    edges = [0, *places, len(body)]
    return body, [body[a:b] for a, b in itertools.pairwise(edges)]


def growth(framing: Callable[[], Framing], body: Callable[[int], bytes], size: int) -> float:
    """How much more CPU sixteen times the bytes take: near 16 when linear, 256 when quadratic.

    Where other work on the machine spoils a measurement, the next counts: what is quadratic never
    looks linear.
    """
    length = 10_000 if size == 1 else 1_000_000

    def cpu_seconds(pieces: list[bytes]) -> float:
        begin = time.process_time()
        assert len(frames_of(framing(), pieces)) == 1
        return time.process_time() - begin

    small, large = in_pieces(body(length), size), in_pieces(body(16 * length), size)
    ratios: list[float] = []
    with uncounted_here():
        while len(ratios) < TRIES and min(ratios, default=LINEAR) >= LINEAR:
            ratios.append(cpu_seconds(large) / min(cpu_seconds(small) for _ in range(3)))
    return min(ratios)
