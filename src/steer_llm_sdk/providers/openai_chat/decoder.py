"""OpenAI's chat completions, as OpenAI and everyone who copies it streams them.

https://platform.openai.com/docs/api-reference/chat-streaming

Strategy. Nearly every chunk carries a few words, a piece of reasoning or a piece of a tool call,
and nothing else that is news. `_Chunk` describes exactly that: the fields that matter, padding as
anything, the rarer ones as "must be null". What fits is read in well under a microsecond; what does
not fit (usage, a finish reason, log-probabilities, several choices, an error, ``[DONE]``, any field
that is not known here, a constant that has changed) takes the slower road,
`steer_llm_sdk.providers.openai_chat.chunk`, which reads anything. The first chunks take it too,
until the response has said who it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import msgspec

from steer_llm_sdk.errors import ProviderError
from steer_llm_sdk.models.fragments import Fragment, Reasoning
from steer_llm_sdk.models.messages import InputText, Message
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.providers.base import (
    Decoder,
    Endpoint,
    ErrorAnswer,
    Resumption,
    TerminalMarkers,
    WireFormat,
)
from steer_llm_sdk.providers.dialects import Dialect
from steer_llm_sdk.providers.mould import Words
from steer_llm_sdk.providers.openai_chat.chunk import ChunkReader
from steer_llm_sdk.providers.openai_chat.errors import read_answer
from steer_llm_sdk.providers.openai_chat.request import build_request
from steer_llm_sdk.wire.frame import Frame


class _Function(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    function: _Function
    index: int | None = None
    id: str | None = None
    type: Literal["function", ""] | None = None


class _PlainDetail(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A detail of OpenRouter's that only repeats the words of ``reasoning``."""

    type: Any = None
    index: Literal[0] | None = None  # at another place, another part begins
    format: Any = None
    text: Any = None
    summary: Any = None
    signature: None = None
    data: None = None


class _NoLogprobs(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    content: None = None
    refusal: None = None
    reasoning_content: None = None


class _Delta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: Any = None
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None
    reasoning_details: list[_PlainDetail] | None = None
    refusal: Literal[""] | None = None
    function_call: None = None


class _Choice(msgspec.Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    index: Literal[0] = 0
    delta: _Delta
    logprobs: _NoLogprobs | None = None
    finish_reason: Literal[""] | None = None
    native_finish_reason: None = None
    matched_stop: None = None
    stop_reason: None = None
    token_ids: None = None
    seed: None = None


class _Chunk(msgspec.Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """Fields in the order in which OpenAI sends them: the next one is looked for first."""

    id: Any = None
    object: Any = None
    created: Any = None
    model: Any = None
    # Constants: they are news where they differ from what has been said.
    service_tier: Any = None
    system_fingerprint: Any = None
    provider: Any = None
    choices: tuple[_Choice]
    usage: None = None
    obfuscation: Any = None
    p: Any = None


_read_chunk = msgspec.json.Decoder(_Chunk).decode

# What the quick reading may raise for a chunk that is out of the ordinary: it does not fit, its
# UTF-8 is broken, or it is nested without end.
_EXTRAORDINARY = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class ChatDecoder:
    """Turns the chunks of one stream into fragments."""

    def __init__(self, provider: str) -> None:
        self._reader = ChunkReader(provider)

    def decode(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one chunk.

        Raises:
            ProtocolError: The frame is not JSON, or not an object.
        """
        delta = self._read_quickly(frame)
        if delta is None:
            return self._reader.read(frame)
        text = delta.content
        reasoning = delta.reasoning_content or delta.reasoning
        calls = delta.tool_calls
        if text and not reasoning and not calls and not delta.reasoning_details:
            return (text,)
        if reasoning and not text and not calls and self._reader.has_reasoned:
            return (Reasoning(reasoning),)
        if calls and not text and not reasoning:
            return self._pieces(calls)
        if not (text or reasoning or calls or delta.reasoning_details):
            return ()
        # Several things in one chunk.
        return self._reader.read(frame)

    def words_of(self, frame: Frame) -> Words | None:
        """See `providers.mould.WordsOf`."""
        delta = self._read_quickly(frame)
        if delta is None or delta.tool_calls or delta.reasoning_details:
            return None
        reasoning = delta.reasoning_content or delta.reasoning
        if not reasoning:
            return delta.content
        return Reasoning(reasoning) if self._reader.has_reasoned and not delta.content else None

    def decode_eof(self) -> Sequence[Fragment]:
        """Give what stands for half of a character; nothing else is ever held back."""
        return self._reader.read_eof()

    def _read_quickly(self, frame: Frame) -> _Delta | None:
        """What an ordinary chunk says; None where there may be more in it."""
        reader = self._reader
        if reader.is_opening:
            return None
        try:
            chunk = _read_chunk(frame.data)
        except _EXTRAORDINARY:
            return None
        if (
            chunk.system_fingerprint != reader.system_fingerprint
            or chunk.service_tier != reader.service_tier
            or chunk.provider != reader.upstream
        ):
            return None
        (choice,) = chunk.choices
        return choice.delta

    def _pieces(self, calls: list[_Call]) -> Sequence[Fragment]:
        settle = self._reader.calls.settle
        found: list[Fragment] = []
        for call in calls:
            function = call.function
            piece = settle(call.index, call.id, function.name, function.arguments or "")
            if piece is not None:
                found.append(piece)
        return found


class OpenAIChat(WireFormat):
    """The wire format, in the dialect of one server.

    A stream is whole when ``[DONE]`` has come after some choice, or when a finish reason has come
    and the body ends cleanly: some servers leave the one out, some the other.
    """

    markers = TerminalMarkers(end=True, finish=True)
    name = "openai-chat"
    has_ordered_parts = False

    def __init__(self, dialect: Dialect | None = None) -> None:
        self._dialect = dialect or Dialect()

    def decoder(self, provider: str) -> ChatDecoder:
        """Make the decoder of one stream."""
        return ChatDecoder(provider)

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request: see `steer_llm_sdk.providers.openai_chat.request`."""
        return build_request(chat, endpoint, self._dialect, self.name)

    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the error out of a response that is not a stream."""
        return read_answer(answer)

    def without_usage_option(self, chat: ChatRequest, error: ProviderError) -> ChatRequest | None:
        """Return the request without ``stream_options``, when the server refuses that field."""
        if not (self._dialect.asks_for_usage and chat.include_usage):
            return None
        text = f"{error} {error.body or ''}".lower()
        if error.status not in {400, 422} or not _names_usage_option(text):
            return None
        return replace(chat, include_usage=False)

    def resume(
        self, chat: ChatRequest, endpoint: Endpoint, written: str | None, decoder: Decoder
    ) -> Resumption | None:
        """Ask the server to go on with the message so far, where it knows how to.

        https://docs.mistral.ai/guides/prefix/ and the like: the answer so far is sent along as an
        assistant's message that stands last.
        """
        del decoder
        prefill = self._dialect.prefill
        if prefill is None or not written:
            return None
        begun = Message("assistant", (InputText(written),), extra=prefill.message)
        again = replace(
            chat,
            messages=(*chat.messages, begun),
            extra_body={**prefill.body, **chat.extra_body},
        )
        echo = written if prefill.is_echoed else ""
        return Resumption(self.request(again, endpoint), self.decoder(endpoint.provider), echo)


def _names_usage_option(text: str) -> bool:
    return "stream_options" in text or "include_usage" in text
