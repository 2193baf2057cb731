"""Bedrock's Converse API: https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html.

A message is a list of content blocks (`steer_llm_sdk.providers.bedrock.blocks`); around them stand
``messageStart``, ``messageStop`` (why it stopped) and ``metadata`` (the usage, and what a guardrail
found), which comes last. Only streams that both are in have their end marker; a stop reason and a
clean end suffice.

Strategy. Nearly every message is a ``contentBlockDelta`` of text, reasoning or arguments: one typed
decoding tries these. What it does not accept is read again as plain JSON and with patience. Events
of unknown types pass by; what they say beside that has no place is kept in metadata. ``p`` is
padding of a random length, and means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, TypeAlias

import msgspec

from steer_llm_sdk.errors import ProviderError
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Finish,
    FinishReason,
    Fragment,
    Identity,
    Reasoning,
    Usage,
)
from steer_llm_sdk.models.messages import InputText, Message
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.models.usage import count_at, usage_counts, with_total
from steer_llm_sdk.providers.base import (
    Decoder,
    Endpoint,
    ErrorAnswer,
    Resumption,
    TerminalMarkers,
    WireFormat,
)
from steer_llm_sdk.providers.bedrock.blocks import NOTHING, ContentBlocks
from steer_llm_sdk.providers.bedrock.errors import (
    MALFORMED,
    broken_output,
    failure_in_stream,
    malformed_output,
    read_bedrock_error,
)
from steer_llm_sdk.providers.bedrock.request import build_request
from steer_llm_sdk.providers.endings import is_reason, meaning
from steer_llm_sdk.providers.failures import kind_of_ending
from steer_llm_sdk.providers.reading import (
    JSONObject,
    as_int,
    as_string,
    object_at,
    parse_object,
    text_at,
)
from steer_llm_sdk.wire.aws_events import EventStreamFraming
from steer_llm_sdk.wire.frame import Frame

FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}

# With these the model may have been stopped inside a block.
_CUTTING = frozenset({"length", "content_filter", "refusal"})

# What has a place of its own; everything else that a message says is kept in metadata.
_READ = frozenset({"p", "role", "contentBlockIndex", "start", "delta", "stopReason", "usage"})


class Converse(WireFormat):
    """The wire format ``bedrock``: any model, by ``ConverseStream``."""

    name = "bedrock"
    wants_reasoning = True
    markers = TerminalMarkers(end=True, finish=True)

    def framing(self, max_frame_bytes: int) -> EventStreamFraming:
        """Make the framing of one body: Amazon's event messages."""
        return EventStreamFraming(max_frame_bytes)

    def decoder(self, provider: str) -> ConverseDecoder:
        """Make the decoder of one stream."""
        return ConverseDecoder(provider)

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request: see `steer_llm_sdk.providers.bedrock.request`."""
        return build_request(chat, endpoint)

    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the provider's error out of a response that is not a stream."""
        return read_bedrock_error(answer)

    def resume(
        self, chat: ChatRequest, endpoint: Endpoint, written: str | None, decoder: Decoder
    ) -> Resumption | None:
        """Send the answer so far along, as a message of the assistant's that stands last.

        Models that take no such message refuse the request; the error of the cut stands then.
        """
        del decoder
        if written is None or not (begun := written.rstrip()):
            return None
        again = replace(chat, messages=(*chat.messages, Message("assistant", (InputText(begun),))))
        return Resumption(
            self.request(again, endpoint),
            self.decoder(endpoint.provider),
            trimmed=written[len(begun) :],
        )


# --- the frequent messages, typed ---------------------------------------------------------------


class _Frequent(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A shape of the quick road: a field that it does not know sends it to the slow one."""


class _Words(_Frequent):
    text: str


class _Input(_Frequent):
    input: str


class _Delta(_Frequent):
    text: str | None = None
    reasoning_content: _Words | None = None
    tool_use: _Input | None = None


class _BlockDelta(_Frequent):
    delta: _Delta
    content_block_index: int = 0
    p: str = ""


_read_block_delta = msgspec.json.Decoder(_BlockDelta).decode


class ConverseDecoder:
    """Turns the messages of one stream into fragments.

    Args:
        provider: The name that errors carry.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._blocks = ContentBlocks()
        self._has_finished = False
        self._has_metadata = False

    def decode(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one message.

        Raises:
            ProtocolError: Its payload is not a JSON object.
        """
        if frame.event == "contentBlockDelta":
            try:
                event = _read_block_delta(frame.data)
            except (ValueError, RecursionError):
                return self._decode_rare(frame)
            if (quick := self._quick(event)) is not None:
                return quick
        return self._decode_rare(frame)

    def decode_eof(self) -> Sequence[Fragment]:
        """Nothing: what is held back is only whole when the provider says so."""
        return NOTHING

    def _quick(self, event: _BlockDelta) -> Sequence[Fragment] | None:
        """A delta of one kind; None for any other, and where the end of a call is held."""
        text, words, piece = event.delta.text, event.delta.reasoning_content, event.delta.tool_use
        if self._blocks.held is not None:
            return None
        if text and words is None and piece is None:
            return (text,)
        if words is not None and text is None and piece is None:
            return (Reasoning(words.text, event.content_block_index),) if words.text else NOTHING
        if piece is not None and text is None and words is None:
            return self._blocks.add_input(event.content_block_index, piece.input)
        return None

    def _decode_rare(self, frame: Frame) -> Sequence[Fragment]:
        read = self._readers.get(frame.event)
        if read is None:
            failure = failure_in_stream(frame, self._provider)
            return NOTHING if failure is None else (failure,)
        event = parse_object(frame.data, self._provider)
        unread = {key: value for key, value in event.items() if value and key not in _READ}
        return [*([Extras(unread)] if unread else NOTHING), *read(self, event)]

    def _start_message(self, event: JSONObject) -> Sequence[Fragment]:
        del event  # whose role is always the assistant's
        return NOTHING

    def _open_block(self, event: JSONObject) -> Sequence[Fragment]:
        return self._blocks.open(_index(event), object_at(event, "start"))

    def _change_block(self, event: JSONObject) -> Sequence[Fragment]:
        return self._blocks.change(_index(event), object_at(event, "delta"))

    def _close_block(self, event: JSONObject) -> Sequence[Fragment]:
        return self._blocks.close(_index(event))

    def _stop_message(self, event: JSONObject) -> Sequence[Fragment]:
        """Why it stopped."""
        word = text_at(event, "stopReason")
        if word in MALFORMED:
            return (malformed_output(self._provider, word),)
        if (kind := kind_of_ending(word)) is not None:
            return (broken_output(self._provider, word, kind),)
        if not is_reason(word):
            return NOTHING
        held = self._blocks.release(is_cut=_reason_of(word) in _CUTTING)
        self._has_finished = True
        return [*held, self._finish_of(word), *([End()] if self._has_metadata else NOTHING)]

    def _finish_of(self, word: str) -> Finish:
        """Why it stopped; where there are calls to run, "stop" is "tool_calls"."""
        reason = _reason_of(word)
        is_for_calls = reason == "stop" and self._blocks.has_calls
        return Finish("tool_calls" if is_for_calls else reason, word)

    def _read_metadata(self, event: JSONObject) -> Sequence[Fragment]:
        """The usage, and the model that a router of prompts has chosen."""
        usage = object_at(event, "usage")
        counts = _counts(usage)
        router = object_at(object_at(event, "trace"), "promptRouter")
        model = as_string(router.get("invokedModelId"))
        self._has_metadata = True
        return [
            *([Identity(model=model)] if model else NOTHING),
            *([Usage(counts, usage)] if any(counts.values()) else NOTHING),  # zeros tell nothing
            *([End()] if self._has_finished else NOTHING),
        ]

    _readers: ClassVar[Mapping[str, _Reader]] = {
        "messageStart": _start_message,
        "contentBlockStart": _open_block,
        "contentBlockDelta": _change_block,
        "contentBlockStop": _close_block,
        "messageStop": _stop_message,
        "metadata": _read_metadata,
    }


def _reason_of(word: str) -> FinishReason:
    return FINISH_REASONS.get(word) or meaning(word)


_Reader: TypeAlias = Callable[[ConverseDecoder, JSONObject], Sequence[Fragment]]


def _counts(raw: JSONObject) -> dict[str, int]:
    """The library's counts.

    ``inputTokens`` leaves out what came from the cache or went into it:
    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    """
    fresh = count_at(raw, "inputTokens")
    cached = count_at(raw, "cacheReadInputTokens")
    written = count_at(raw, "cacheWriteInputTokens")
    counts = usage_counts(
        prompt=None if fresh is None else fresh + (cached or 0) + (written or 0),
        completion=count_at(raw, "outputTokens"),
        cached=cached,
        cache_write=written,
    )
    return with_total(counts)


def _index(event: JSONObject) -> int:
    return as_int(event.get("contentBlockIndex")) or 0
