"""Compressed bodies: however they are cut, and never more than a piece at a time."""

from __future__ import annotations

import contextlib
import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterable

import pytest

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.transport.decompress import BodyDecoder, body_decoder

TEXT = "".join(random.Random(7).choices("abcdef \n", k=5_000)).encode()


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKED = {
    "gzip": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "deflate without a header": raw_deflate(TEXT),
    "nothing": gzip.compress(b""),
}


def pieces_of(chunks: Iterable[bytes]) -> list[bytes]:
    decoder = BodyDecoder()
    pieces = []
    for chunk in chunks:
        pieces.append(decoder.feed(chunk))
        while decoder.has_held_input:
            pieces.append(decoder.feed(b""))
    return [*pieces, decoder.feed(b"")]


@pytest.mark.parametrize("size", [1, 2, 3, 100, 1 << 20])
@pytest.mark.parametrize("name", PACKED)
def test_a_body_is_unpacked_however_it_is_cut(name: str, size: int) -> None:
    packed = PACKED[name]

    pieces = pieces_of(packed[at : at + size] for at in range(0, len(packed), size))

    assert b"".join(pieces) == (b"" if name == "nothing" else TEXT)


def test_words_come_out_as_soon_as_they_were_flushed() -> None:
    packer, decoder = zlib.compressobj(wbits=31), BodyDecoder()

    for words in (b"data: 1\n\n", b"data: 2\n\n"):
        flushed = packer.compress(words) + packer.flush(zlib.Z_SYNC_FLUSH)
        assert decoder.feed(flushed) == words


def test_a_small_body_that_unpacks_to_much_comes_in_bounded_pieces() -> None:
    pieces = pieces_of([gzip.compress(bytes(3_000_000))])

    assert sum(map(len, pieces)) == 3_000_000
    assert max(map(len, pieces)) == 256 * 1024


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, br", "aws-chunked"])
@pytest.mark.parametrize(
    "text", [b"<html>not packed</html>", b'data: {"a": 1}\n\n', b"{}", b"\xef\xbb\xbfa", b"\r\n{}"]
)
def test_a_plain_body_that_is_said_to_be_packed_passes_as_it_is(
    text: bytes, encoding: str, size: int
) -> None:
    # A proxy has unpacked it, and left the header.
    decoder = body_decoder(encoding)
    assert decoder is not None

    pieces = [decoder.feed(text[at : at + size]) for at in range(0, len(text), size)]

    assert b"".join([*pieces, decoder.feed(b"")]) == text
    assert not decoder.has_held_input


def test_a_plain_binary_body_that_is_said_to_be_gzip_passes_at_once() -> None:
    decoder = body_decoder("gzip")
    assert decoder is not None

    assert decoder.feed(b"\0\0") == b"\0\0"


def test_what_follows_a_member_is_no_plain_body() -> None:
    decoder = body_decoder("gzip")
    assert decoder is not None

    assert decoder.feed(PACKED["gzip"] + b"rest") + decoder.feed(b"more") == TEXT


@pytest.mark.parametrize(
    "body", [b"<html>not compressed at all</html>", PACKED["gzip"][:20] + b"\xff" * 400]
)
def test_bytes_that_are_not_compressed_are_an_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="cannot be unpacked"):
        pieces_of([body])


def test_a_body_that_ends_early_gives_what_there_is() -> None:
    found = b"".join(pieces_of([PACKED["gzip"][:-20]]))

    assert found
    assert TEXT.startswith(found)
    assert pieces_of([b"\x1f"]) == [b"", b""]


def test_what_follows_the_body_is_passed_over() -> None:
    decoder = BodyDecoder()
    assert decoder.feed(PACKED["gzip"]) == TEXT

    assert decoder.feed(b"x" * 1_000) == b""
    assert not decoder.has_held_input


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", " GZIP "])
def test_what_may_be_sent_unasked_is_known(encoding: str) -> None:
    assert isinstance(body_decoder(encoding), BodyDecoder)


@pytest.mark.parametrize("encoding", [None, "", "identity", "Identity "])
def test_a_plain_body_needs_no_decoder(encoding: str | None) -> None:
    assert body_decoder(encoding) is None


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_another_encoding_is_an_error(encoding: str, size: int) -> None:
    decoder, packed = body_decoder(encoding), b"\x1b\x04\x00\xf8data: {}"
    assert decoder is not None
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]

    with pytest.raises(ProtocolError, match=f"with '{encoding}', which was not asked for"):
        list(map(decoder.feed, chunks))


@pytest.mark.parametrize("body", [b"", b"\x1b"])
def test_a_body_in_another_encoding_may_end_at_once(body: bytes) -> None:
    decoder = body_decoder("br")
    assert decoder is not None
    assert decoder.feed(body) == b""

    with pytest.raises(ProtocolError) if body else contextlib.nullcontext():
        assert decoder.feed(b"") == b""


@pytest.mark.parametrize("size", [1, 2, 3, 100, 1 << 20])
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_the_members_of_a_body_are_all_unpacked(pack: Callable[[bytes], bytes], size: int) -> None:
    packed = b"".join(map(pack, (TEXT[:50], b"", TEXT[50:])))

    pieces = pieces_of(packed[at : at + size] for at in range(0, len(packed), size))

    assert b"".join(pieces) == TEXT


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("rest", [b"rest", b"r", gzip.compress(b"x")[:1] + b"?"])
def test_what_follows_the_last_member_is_dropped(
    pack: Callable[[bytes], bytes], rest: bytes
) -> None:
    assert b"".join(pieces_of([pack(TEXT) + b"\0\0", rest])) == TEXT


def test_a_member_that_is_packed_in_another_way_is_none() -> None:
    assert b"".join(pieces_of([zlib.compress(TEXT) + gzip.compress(TEXT)])) == TEXT


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_what_follows_a_body_is_not_kept(name: str) -> None:
    decoder = BodyDecoder()
    decoder.feed(PACKED[name] + b"rest")
    tracemalloc.start()

    try:
        assert not any(decoder.feed(bytes(64 * 1024)) for _ in range(20))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 64 * 1024


@pytest.mark.parametrize("name", ["", "none", "identity, identity", "UTF-8", "binary"])
def test_an_encoding_that_means_none_is_none(name: str) -> None:
    assert body_decoder(name) is None
