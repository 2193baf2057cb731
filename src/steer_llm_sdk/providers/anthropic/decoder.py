"""Anthropic's messages: https://platform.claude.com/docs/en/build-with-claude/streaming.

A message is a list of content blocks (`steer_llm_sdk.providers.anthropic.blocks`), sent one after
another; around them stand ``message_start``, ``message_delta`` (why it stopped, and the usage) and
``message_stop``, without which the answer is not whole.

Strategy. Nearly every frame is a delta of text, so one typed decoding tries just the three frequent
deltas, and makes nothing but the fields that are needed. Whatever it does not accept (another kind
of frame, a surprise inside it) is read again as plain JSON and with patience. ``ping`` and frames
of unknown types pass by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeAlias

import msgspec

from steer_llm_sdk.errors import ProtocolError, ProviderError
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Finish,
    FinishReason,
    Fragment,
    Identity,
    Usage,
)
from steer_llm_sdk.models.messages import InputText, Message
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.models.usage import count_at, usage_counts, with_total
from steer_llm_sdk.providers.anthropic.blocks import NOTHING, ContentBlocks
from steer_llm_sdk.providers.anthropic.errors import failure_in_stream, read_anthropic_error
from steer_llm_sdk.providers.anthropic.request import build_request
from steer_llm_sdk.providers.base import (
    Decoder,
    Endpoint,
    ErrorAnswer,
    Resumption,
    TerminalMarkers,
    WireFormat,
)
from steer_llm_sdk.providers.reading import (
    JSONObject,
    as_list,
    as_object,
    as_string,
    expect_object,
    object_at,
    parse_json,
    text_at,
)
from steer_llm_sdk.wire.frame import Frame

# https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons. A paused turn
# (`pause_turn`) is not finished: the caller has to send it back, so it is no "stop".
FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
    "pause_turn": "other",
}

# With these the model was stopped in the middle of what it said.
_CUT_SHORT = frozenset({"length", "refusal"})

# What the end of a message may say besides its reason.
_END_EXTRAS = ("stop_sequence", "stop_details", "container")


class AnthropicMessages(WireFormat):
    """The wire format ``anthropic``: Anthropic's own API, and the servers that copy it.

    Only ``message_stop`` completes a stream: a finish reason stands in the frame before it.
    """

    markers = TerminalMarkers(end=True, finish=False)

    def decoder(self, provider: str) -> AnthropicDecoder:
        """Make the decoder of one stream."""
        return AnthropicDecoder(provider)

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request: see `steer_llm_sdk.providers.anthropic.request`."""
        return build_request(chat, endpoint)

    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the provider's error out of a response that is not a stream."""
        return read_anthropic_error(answer)

    def resume(
        self, chat: ChatRequest, endpoint: Endpoint, written: str | None, decoder: Decoder
    ) -> Resumption | None:
        """Send the answer so far along: the model goes on with an assistant's message that is last.

        https://platform.claude.com/docs/en/build-with-claude/prefill-claudes-response: such a
        message may not end in white space. Models that take no prefill refuse the request; the
        error of the cut stands then.
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


# --- the frequent frames, typed ---------------------------------------------------------------


class _TextDelta(msgspec.Struct, tag="text_delta", tag_field="type", gc=False):
    text: str


class _ThinkingDelta(msgspec.Struct, tag="thinking_delta", tag_field="type", gc=False):
    thinking: str


class _InputJSONDelta(msgspec.Struct, tag="input_json_delta", tag_field="type", gc=False):
    partial_json: str


class _BlockDelta(msgspec.Struct, tag="content_block_delta", tag_field="type", gc=False):
    delta: _TextDelta | _ThinkingDelta | _InputJSONDelta
    index: int = 0


_read_block_delta = msgspec.json.Decoder(_BlockDelta).decode


class AnthropicDecoder:
    """Turns the frames of one message into fragments.

    Args:
        provider: The name that errors carry.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._blocks = ContentBlocks(provider)
        self._usage: JSONObject = {}

    def decode(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one frame.

        Raises:
            ProtocolError: The frame is not a JSON object.
        """
        try:
            event = _read_block_delta(frame.data)
        except (ValueError, RecursionError):
            return self._decode_rare(frame)
        delta = event.delta
        if isinstance(delta, _TextDelta):
            return (delta.text,) if delta.text else NOTHING
        if isinstance(delta, _InputJSONDelta):
            return self._blocks.add_input(event.index, delta.partial_json)
        return self._blocks.add_thinking(event.index, delta.thinking)

    def decode_eof(self) -> Sequence[Fragment]:
        """Nothing: what is held back is only whole when the provider says so."""
        return NOTHING

    def _decode_rare(self, frame: Frame) -> Sequence[Fragment]:
        if frame.data.strip() == b"[DONE]":  # OpenRouter sends it after `message_stop`
            return NOTHING
        try:
            payload = parse_json(frame.data, self._provider)
        except ProtocolError:
            if frame.event != "error":
                raise
            payload = {"error": frame.data.decode("utf-8", "replace")}
        event = expect_object(payload, self._provider)
        read = self._readers.get(_kind(event, frame.event))
        return read(self, event) if read is not None else NOTHING

    def _start_message(self, payload: JSONObject) -> Sequence[Fragment]:
        """Who answers, and the usage so far; from some servers the whole answer at once."""
        message = object_at(payload, "message")
        identity = Identity(as_string(message.get("id")), as_string(message.get("model")))
        fragments: list[Fragment] = [identity]
        for index, block in enumerate(as_list(message.get("content"))):
            fragments += self._blocks.open(index, as_object(block))
            fragments += self._blocks.close(index)
        self._see_usage(message)
        return [*fragments, *self._finish(message)]

    def _open_block(self, payload: JSONObject) -> Sequence[Fragment]:
        return self._blocks.open(_index(payload), object_at(payload, "content_block"))

    def _change_block(self, payload: JSONObject) -> Sequence[Fragment]:
        return self._blocks.change(_index(payload), object_at(payload, "delta"))

    def _close_block(self, payload: JSONObject) -> Sequence[Fragment]:
        return self._blocks.close(_index(payload))

    def _change_message(self, payload: JSONObject) -> Sequence[Fragment]:
        """Why it stopped, and the usage."""
        self._see_usage(payload)
        edits = payload.get("context_management")
        fragments: list[Fragment] = [Extras({"context_management": edits})] if edits else []
        return [*fragments, *self._finish(object_at(payload, "delta"), is_final=True)]

    def _stop_message(self, payload: JSONObject) -> Sequence[Fragment]:
        del payload  # some servers put their own figures there
        return [*self._blocks.release(), End()]

    def _fail(self, payload: JSONObject) -> Sequence[Fragment]:
        return (failure_in_stream(self._provider, payload),)

    _readers: ClassVar[Mapping[str, _Reader]] = {
        "message_start": _start_message,
        "content_block_start": _open_block,
        "content_block_delta": _change_block,
        "content_block_stop": _close_block,
        "message_delta": _change_message,
        "message_stop": _stop_message,
        "error": _fail,
    }

    def _finish(self, message: JSONObject, *, is_final: bool = False) -> list[Fragment]:
        """Read what a message says of its end; add the usage as it stands."""
        word = text_at(message, "stop_reason")
        extras = {key: message[key] for key in _END_EXTRAS if message.get(key) is not None}
        fragments: list[Fragment] = [Extras(extras)] if extras else []
        if self._usage:
            counts = _counts(self._usage, has_output=is_final or bool(word))
            fragments.append(Usage(counts, dict(self._usage)))
        if not word:
            return fragments
        reason = FINISH_REASONS.get(word, "other")
        held = self._blocks.release(is_cut=reason in _CUT_SHORT)
        return [*held, *fragments, Finish(reason, word)]

    def _see_usage(self, holder: JSONObject) -> None:
        # Each is a snapshot, and leaves out or nulls what has not changed: never add them up.
        usage = object_at(holder, "usage")
        self._usage |= {key: value for key, value in usage.items() if value is not None}


_Reader: TypeAlias = Callable[[AnthropicDecoder, JSONObject], Sequence[Fragment]]


def _counts(raw: JSONObject, *, has_output: bool) -> dict[str, int]:
    """The library's counts; without the output's at the start, where it is a placeholder.

    ``input_tokens`` leaves out what came from the cache or went into it:
    https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance
    """
    fresh = count_at(raw, "input_tokens")
    cached = count_at(raw, "cache_read_input_tokens")
    written = count_at(raw, "cache_creation_input_tokens")
    counts = usage_counts(
        prompt=None if fresh is None else fresh + (cached or 0) + (written or 0),
        completion=count_at(raw, "output_tokens") if has_output else None,
        cached=cached,
        cache_write=written,
        reasoning=count_at(raw, "output_tokens_details", "thinking_tokens"),
    )
    return with_total(counts)


def _kind(payload: JSONObject, event: str) -> str:
    """What a frame is: by its own type, or where a server leaves that out, by the framing's word.

    An error may be bare, without a type (Vertex), or have the error's own type where ``error``
    should stand.
    """
    if event == "error" or (payload.get("error") and "type" not in payload):
        return "error"
    return text_at(payload, "type") or event


def _index(payload: Mapping[str, Any]) -> int:
    index = payload.get("index")
    return index if isinstance(index, int) else 0
