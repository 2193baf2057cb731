"""A plan as the bytes of HTTP/1.1: which are written together, and how long to wait before."""

from __future__ import annotations

import itertools
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from steer_llm_sdk.testing.plan import Ending, Piece, Plan, Reuse

# Responses that never have a body.
# https://www.rfc-editor.org/rfc/rfc9110#section-6.4.1
_BODILESS = {204, 304}
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes that are written at once, after a wait (in seconds)."""

    data: bytes
    wait: float = 0.0


def render(plan: Plan) -> Iterator[Write]:
    """Yield the writes of an answer. What follows them is the plan's ending.

    Args:
        plan: The answer.

    Yields:
        The writes; without end where a piece repeats for ever.
    """
    writes = itertools.chain(_head(plan), _body(plan))
    return writes if plan.drip is None else drip(writes, plan.drip, plan.drip_wait)


def body_pieces(plan: Plan) -> Iterator[Piece]:
    """Yield the body's pieces, repeats and cuts applied, before any compression."""
    if plan.cuts:
        return _cut(plan)
    return _each(plan.pieces)


def body_writes(plan: Plan) -> Iterator[Write]:
    """Yield the body as an HTTP client gives it out: neither chunked nor compressed.

    Args:
        plan: The answer.

    Yields:
        What a reader of the body gets, piece by piece.
    """
    torn = plan.torn
    halves = () if torn is None else (Piece(torn.data[: len(torn.data) // 2], wait=torn.wait),)
    pieces = itertools.chain(body_pieces(plan), halves)
    writes = (Write(piece.data, piece.wait) for piece in pieces)
    return writes if plan.drip is None else drip(writes, plan.drip, plan.drip_wait)


def _each(pieces: Iterable[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        if piece.repeat is None:
            yield from itertools.repeat(piece)
        else:
            yield from itertools.repeat(piece, piece.repeat)


def _cut(plan: Plan) -> Iterator[Piece]:
    """Cut the joined pieces at the offsets: a chunk waits for as long as all that is in it."""
    sizes = deque(end - start for start, end in itertools.pairwise((0, *plan.cuts)) if end > start)
    held, wait = b"", 0.0
    for piece in _each(plan.pieces):
        held, wait = held + piece.data, wait + piece.wait
        while sizes and len(held) >= sizes[0]:
            size = sizes.popleft()
            yield Piece(held[:size], wait=wait)
            held, wait = held[size:], 0.0
        if piece.repeat is None and not sizes:
            yield Piece(held, wait=wait)
            held, wait = b"", 0.0
    if held or wait:
        yield Piece(held, wait=wait)


def _head(plan: Plan) -> Iterator[Write]:
    if plan.head is not None or not plan.sends_head:
        yield Write(plan.head or b"", plan.head_wait)
    else:
        lines = [f"HTTP/1.1 {plan.status} {_PHRASES.get(plan.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in all_headers(plan).items()]
        yield Write("\r\n".join([*lines, "", ""]).encode("latin-1"), plan.head_wait)


def all_headers(plan: Plan) -> Mapping[str, str]:
    """Return the headers of a plan with those of the framing."""
    headers = dict(plan.headers)
    if plan.is_compressed:
        headers["content-encoding"] = "gzip"
    if plan.is_chunked:
        headers["transfer-encoding"] = "chunked"
    elif plan.status not in _BODILESS:
        headers["content-length"] = str(sum(len(piece.data) for piece in plan.pieces))
    if plan.reuse is Reuse.ANNOUNCED:
        headers["connection"] = "close"
    return headers


def _body(plan: Plan) -> Iterator[Write]:
    if not plan.sends_head or plan.head is not None:
        return
    pieces = _gzip(body_pieces(plan)) if plan.is_compressed else body_pieces(plan)
    for piece in pieces:
        yield Write(_chunk(piece.data) if plan.is_chunked else piece.data, piece.wait)
    if plan.torn is not None:
        yield Write(_half_chunk(plan.torn.data), plan.torn.wait)
    elif plan.is_chunked and plan.ending is Ending.WHOLE:
        yield Write(b"0\r\n\r\n")


def _chunk(data: bytes) -> bytes:
    # A chunk without data would end the body.
    return data and b"%x\r\n%b\r\n" % (len(data), data)


def _half_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b" % (len(data), data[: len(data) // 2])


def _gzip(pieces: Iterator[Piece]) -> Iterator[Piece]:
    # 16 above the window's size asks zlib for the gzip container.
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    for piece in pieces:
        if not piece.data:
            yield piece
            continue
        data = packer.compress(piece.data)
        # A lone event is flushed, so that it arrives; a bomb's blocks are not, so that it is small.
        data += packer.flush(zlib.Z_SYNC_FLUSH) if piece.repeat == 1 else b""
        if data:
            yield Piece(data, wait=piece.wait)
    yield Piece(packer.flush())


def drip(writes: Iterable[Write], size: int, wait: float) -> Iterator[Write]:
    """Split writes into smaller ones.

    Args:
        writes: The writes to split.
        size: The most bytes of one write.
        wait: Seconds between writes.

    Yields:
        The smaller writes.
    """
    for write in writes:
        for start in range(0, len(write.data) or 1, size):
            first_wait = write.wait if start == 0 else 0.0
            yield Write(write.data[start : start + size], first_wait + wait)
