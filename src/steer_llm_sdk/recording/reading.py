"""What a recording says, by the decoder of its wire format: words and when they came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.fragments import (
    Commentary,
    Failure,
    Finish,
    Fragment,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
)
from steer_llm_sdk.models.streaming import DEFAULT_MAX_FRAME_BYTES
from steer_llm_sdk.providers.body_reader import BodyReader
from steer_llm_sdk.providers.registry import provider_row, wire_format
from steer_llm_sdk.wire.recording import Exchange

# Which provider's decoder reads an answer, by the end of the path that was asked.
_FORMATS: Mapping[str, str] = {
    "/chat/completions": "openai",
    "/responses": "openai-responses",
    "/messages": "anthropic",
    ":streamRawPredict": "anthropic",
    ":streamGenerateContent": "gemini",
    "/interactions": "gemini-interactions",
    "/api/chat": "ollama",
    "/v2/chat": "cohere",
    "/converse-stream": "bedrock",
    "/invoke-with-response-stream": "bedrock-anthropic",
}

_KINDS = {
    str: "text",
    Text: "text",
    Reasoning: "reasoning",
    Refusal: "refusal",
    Commentary: "commentary",
    ToolCallPiece: "tool call",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A delta of an answer: its kind, how many characters it has, and when it came."""

    at: float
    kind: str
    characters: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What one exchange brought.

    Attributes:
        pieces: Its deltas.
        finish_reason: Why the model stopped; None where it did not say.
        failure: The error that the answer tells of, or that it has by itself.
    """

    pieces: tuple[Piece, ...]
    finish_reason: str | None
    failure: SteerError | None


def read_answer(exchange: Exchange) -> Answer:
    """Read the answer of an exchange, as far as it is a stream of a format that is known."""
    pieces: list[Piece] = []
    finish: str | None = None
    failure = exchange.error
    try:
        for at, fragment in _fragments(exchange):
            if isinstance(fragment, Finish):
                finish = fragment.reason
            elif isinstance(fragment, Failure):
                failure = fragment.error
            elif (kind := _KINDS.get(type(fragment))) is not None:
                pieces.append(Piece(at, kind, _length(fragment)))
    except SteerError as error:
        failure = error
    return Answer(tuple(pieces), finish, failure)


def format_of(url: str) -> str | None:
    """The provider whose wire format a URL speaks; None where that is not known."""
    path = url.partition("?")[0]
    return next((name for end, name in _FORMATS.items() if path.endswith(end)), None)


def _fragments(exchange: Exchange) -> Iterator[tuple[float, Fragment]]:
    provider = format_of(exchange.url)
    if provider is None or exchange.status >= 300:
        return
    wire = wire_format(provider_row(provider))
    reader = BodyReader(wire, wire.decoder(provider), DEFAULT_MAX_FRAME_BYTES)
    at = exchange.head_at or 0.0
    for chunk in exchange.chunks:
        at = chunk.at
        yield from ((at, fragment) for fragment in reader.feed(chunk.data))
    yield from ((at, fragment) for fragment in reader.feed_eof())


def _length(fragment: Fragment) -> int:
    if isinstance(fragment, str):
        return len(fragment)
    said = getattr(fragment, "text", None) or getattr(fragment, "arguments", None) or ""
    return len(said)


def gaps(pieces: Sequence[Piece]) -> list[float]:
    """The times between neighbouring pieces, in seconds."""
    return [after.at - before.at for before, after in pairwise(pieces)]
