"""Streams with one text planted in one of their fields, and the client that reads them.

A *field* is a path of keys in the frames of a body. The text replaces every value at that path,
whole or in two halves, so that each field that a wire format has is tried by itself.
"""

from __future__ import annotations

import json
import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeAlias

from steer_llm_sdk import SteerError, SteerLLMClient
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing.formats.event_messages import event_message
from support.corpus import recorded
from support.every_format import settings_of

SECRET = "zqxjkvwy"
HALVES = ("zqxj", "kvwy")

Field: TypeAlias = tuple[str, ...]

# The provider that is asked for each wire format.
PROVIDERS: Mapping[str, str] = {
    "openai-chat": "openai",
    "openai-responses": "openai-responses",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "mistral": "mistral",
    "ollama": "ollama",
    "cohere": "cohere",
    "gemini-interactions": "gemini-interactions",
    "bedrock": "bedrock",
    "bedrock-anthropic": "bedrock-anthropic",
}

# What is asked at all of them.
_ASKED = tuple(dict.fromkeys(PROVIDERS.values()))


@dataclass(frozen=True)
class Piece:
    """A piece of a body.

    Attributes:
        write: Gives its bytes for a JSON text.
        value: The value of a frame; None where it is none, and its bytes are always the same.
    """

    write: Callable[[bytes], bytes]
    value: Any = None


@dataclass(frozen=True)
class Body:
    """A body in pieces: lines of text, or event messages.

    Attributes:
        pieces: Those that are frames hold a value.
        end: What stands between them.
    """

    pieces: tuple[Piece, ...]
    end: bytes

    def fields(self) -> Iterator[Field]:
        """The fields that hold a string or a number."""
        for piece in self.pieces:
            yield from _fields(piece.value)

    def planted(self, at: Field, texts: Callable[[int], str]) -> bytes:
        """The bytes, with ``texts(n)`` as the n-th value of a field."""
        return self.end.join(piece.write(text) for piece, text in self._planted(at, texts))

    def broken(self, at: Field, texts: Callable[[int], str]) -> bytes:
        """As `planted`; the first frame that has the secret is cut behind it, and is sent again."""
        written = b""
        for piece, text in self._planted(at, texts):
            before, found, _ = text.partition(SECRET.encode())
            if found:
                return (
                    written + piece.write(before + found) + self.end * 2 + self.planted(at, texts)
                )
            written += piece.write(text) + self.end
        raise AssertionError(f"nothing was planted at {at}")

    def _planted(self, at: Field, texts: Callable[[int], str]) -> Iterator[tuple[Piece, bytes]]:
        count = iter(range(1_000_000))

        def plant(value: Any, path: Field) -> Any:
            if path == at and not isinstance(value, dict | list):
                return texts(next(count))
            if isinstance(value, dict):
                return {key: plant(one, (*path, key)) for key, one in value.items()}
            if isinstance(value, list):
                return [plant(one, (*path, "[]")) for one in value]
            return value

        for piece in self.pieces:
            yield piece, b"" if piece.value is None else json.dumps(plant(piece.value, ())).encode()

    def beginning(self, pieces: int) -> bytes:
        """The bytes of the first pieces."""
        first = [(piece, json.dumps(piece.value).encode()) for piece in self.pieces[:pieces]]
        return b"".join(piece.write(text) + self.end for piece, text in first)


def body_of(data: bytes) -> Body:
    """Read a body of server-sent events, of lines of JSON, or of Amazon's event messages."""
    if data.startswith(b"\0"):
        return Body(tuple(_messages(data)), b"")
    return Body(tuple(_line(line.rstrip(b"\r")) for line in data.split(b"\n")), b"\n")


def _line(line: bytes) -> Piece:
    before = b"data: " if line.startswith(b"data:") else b""
    try:
        value = json.loads(line.removeprefix(b"data:"))
    except ValueError:
        value = None
    if isinstance(value, dict):
        return Piece(lambda text: before + text, value)
    return Piece(lambda _: line)


def _messages(data: bytes) -> Iterator[Piece]:
    while data:
        length, header_bytes = struct.unpack_from(">II", data)
        headers, payload = data[12 : 12 + header_bytes], data[12 + header_bytes : length - 4]
        yield _message(headers, json.loads(payload))
        data = data[length:]


def _message(headers: bytes, value: Any) -> Piece:
    """A message; of one that holds an event of the model's own, that event is the value."""
    if isinstance(value.get("bytes"), str):
        inner = json.loads(b64decode(value["bytes"]))
        return Piece(lambda text: event_message(packed(text), headers), inner)
    return Piece(lambda text: event_message(text, headers), value)


def packed(text: bytes) -> bytes:
    """The payload that holds an event of the model's own."""
    return json.dumps({"bytes": b64encode(text).decode()}).encode()


def _fields(value: Any, path: Field = ()) -> Iterator[Field]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _fields(one, (*path, key))
    elif isinstance(value, list):
        for one in value:
            yield from _fields(one, (*path, "[]"))
    elif value is not None and value is not True and value is not False:
        yield path


def smallest_with_each(bodies: Iterable[bytes]) -> dict[Field, Body]:
    """For each field the smallest of the bodies that has it."""
    found: dict[Field, Body] = {}
    for data in sorted(bodies, key=len):
        body = body_of(data)
        for field in body.fields():
            found.setdefault(field, body)
    return found


def recorded_bodies(wire: str) -> dict[Field, Body]:
    """The fields of the recorded streams of a wire format."""
    return smallest_with_each(stream.body for stream in recorded(wire))


class Playing:
    """A `Transport` that answers with these bytes, one answer a request.

    Args:
        answers: The chunks of each answer.
        status: The status of the first.
        content_type: Its content type.
    """

    def __init__(
        self,
        *answers: Sequence[bytes],
        status: int = 200,
        content_type: str = "text/event-stream",
    ) -> None:
        self._answers = iter(answers)
        self._heads = iter([(status, content_type)])

    async def open(self, request: HTTPRequest, *, connect_timeout: float | None) -> _Answer:
        status, content_type = next(self._heads, (200, "text/event-stream"))
        return _Answer(status, content_type, next(self._answers))

    async def close(self) -> None:
        pass


class _Answer:
    def __init__(self, status: int, content_type: str, chunks: Sequence[bytes]) -> None:
        self.status = status
        self.headers = {"content-type": content_type, "x-request-id": f"req-{SECRET}"}
        self._chunks = iter(chunks)

    async def read(self) -> bytes:
        return next(self._chunks, b"")

    def abort(self, error: SteerError) -> None:
        self._chunks = iter(())

    async def release(self) -> None:
        pass


def chunks_of(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@dataclass
class Read:
    """What one stream gave.

    Attributes:
        events: Its events.
        response: Its response.
        seen: All that could be read in them while the stream was running, as one text.
    """

    events: list[StreamEvent]
    response: StreamingResponse
    seen: str


async def read(
    transport: Playing, provider: str, options: StreamingOptions, **arguments: Any
) -> Read:
    """Read one stream to its end, whatever that is."""
    settings = settings_of(_ASKED, api_key="k" * 12)
    options = options.replace(raise_on_error=False)
    seen = ""
    async with SteerLLMClient(providers=settings, transport=transport) as client:
        stream = client.stream_events(
            "Hi", "m", provider=provider, streaming_options=options, **arguments
        )
        events = []
        async with stream:
            async for event in stream:
                events.append(event)
                seen += everything_in(event)
    return Read([*events], stream.response, seen + everything_in(stream.response))


def everything_in(value: object, seen: set[int] | None = None) -> str:
    """All that can be read in an object and whatever it holds, as one text."""
    seen = set() if seen is None else seen
    if isinstance(value, str | bytes | int | float | None):
        return repr(value)
    if id(value) in seen:
        return ""
    seen.add(id(value))
    held: list[object] = []
    if is_dataclass(value):
        held = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, dict):
        held = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set):
        held = list(value)
    elif isinstance(value, BaseException):
        held = [str(value), repr(value), vars(value), value.__cause__, value.__context__]
    if isinstance(value, StreamDeltaEvent):
        held.append(value.partial_arguments)
    return " ".join(everything_in(one, seen) for one in held)


def letters(text: str) -> str:
    """The text without all that may stand between the halves of a word when it is listed."""
    return re.sub(r"[^a-zA-Z]+", "", text)
