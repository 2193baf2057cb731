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
from steer_llm_sdk.models.usage import added, count_at, usage_counts, with_total
from steer_llm_sdk.providers.anthropic.blocks import NOTHING, ContentBlocks
from steer_llm_sdk.providers.anthropic.errors import (
    failure_by_word,
    failure_in_stream,
    read_anthropic_error,
)
from steer_llm_sdk.providers.anthropic.request import build_count_request, build_request
from steer_llm_sdk.providers.base import (
    Decoder,
    Endpoint,
    ErrorAnswer,
    Resumption,
    TerminalMarkers,
    WireFormat,
)
from steer_llm_sdk.providers.endings import is_reason, meaning
from steer_llm_sdk.providers.failures import kind_of_ending
from steer_llm_sdk.providers.halves import Halves
from steer_llm_sdk.providers.mould import Words
from steer_llm_sdk.providers.openai_chat.errors import read_stray_error
from steer_llm_sdk.providers.reading import (
    JSONObject,
    as_int,
    as_list,
    as_object,
    as_objects,
    as_string,
    expect_object,
    frames_in,
    is_end,
    is_keep_alive,
    object_at,
    parse_json,
    text_at,
)
from steer_llm_sdk.wire.frame import Frame

# https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons. A paused turn
# (`pause_turn`) and one that stopped to compact its context ran into a limit of the server's: the
# answer is cut, and goes on when the caller sends it back.
FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
    "pause_turn": "length",
    "compaction": "length",
}

_GOING_ON = frozenset({"pause_turn", "compaction"})

# With these the model may have been stopped inside a block; a paused turn ends between two.
_CUT_SHORT = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})
_CUTTING = frozenset({"length", "content_filter", "refusal"})

# What has a place of its own; everything else that a frame says is kept in metadata.
_READ_OF_FRAMES = frozenset(
    {"type", "index", "delta", "message", "content_block", "usage", "error"}
)
_READ_OF_MESSAGES = frozenset({"id", "type", "role", "model", "content", "stop_reason", "usage"})

_METRICS: Mapping[str, str] = {
    "inputTokenCount": "input_tokens",
    "outputTokenCount": "output_tokens",
    "cacheReadInputTokenCount": "cache_read_input_tokens",
    "cacheWriteInputTokenCount": "cache_creation_input_tokens",
}

# The counts that together are the prompt.
_PROMPT_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class AnthropicMessages(WireFormat):
    """The wire format ``anthropic``: Anthropic's own API, and the servers that copy it.

    Only ``message_stop`` completes a stream: a finish reason stands in the frame before it.
    """

    markers = TerminalMarkers(end=True, finish=False)
    name = "anthropic"
    wants_reasoning = True

    def decoder(self, provider: str) -> AnthropicDecoder:
        """Make the decoder of one stream."""
        return AnthropicDecoder(provider)

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request: see `steer_llm_sdk.providers.anthropic.request`."""
        return build_request(chat, endpoint)

    def count_request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the request that asks how many tokens a prompt takes."""
        return build_count_request(chat, endpoint)

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


class _Frequent(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, gc=False):
    """A shape of the quick road: a field that it does not know sends the frame to the slow one."""


class _TextDelta(_Frequent, tag="text_delta"):
    text: str


class _ThinkingDelta(_Frequent, tag="thinking_delta"):
    thinking: str


class _InputJSONDelta(_Frequent, tag="input_json_delta"):
    partial_json: str


class _BlockDelta(_Frequent, tag="content_block_delta"):
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
        self._has_output = False  # the count of the output is no placeholder any more
        self._stop_word = ""
        self._halves = Halves()

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

    def words_of(self, frame: Frame) -> Words | None:
        """See `providers.mould.WordsOf`."""
        try:
            delta = _read_block_delta(frame.data).delta
        except (ValueError, RecursionError):
            return None
        return delta.text if isinstance(delta, _TextDelta) else None

    def decode_eof(self) -> Sequence[Fragment]:
        """Give half of a character. A call that is held back is whole when the provider says so."""
        return self._halves.read_eof()

    def _decode_rare(self, frame: Frame) -> Sequence[Fragment]:
        if (several := frames_in(frame)) != (frame,):
            return [fragment for each in several for fragment in self.decode(each)]
        if is_end(frame):  # after `message_stop`, or in its place
            return self._stop_message({}) if self._stop_word else NOTHING
        if is_keep_alive(frame):
            return NOTHING
        data, before = self._halves.join(frame.data)
        try:
            payload = parse_json(data, self._provider)
        except ProtocolError:
            if frame.event != "error":
                raise
            payload = {"error": frame.data.decode("utf-8", "replace")}
        event = expect_object(payload, self._provider)
        kind = _kind(event, frame.event)
        read = self._readers.get(kind)
        if read is None:
            return read_stray_error(self._provider, event, kind)
        if kind in {"error", "message"}:
            return read(self, event)
        fragments = [*_unread(event, _READ_OF_FRAMES), *read(self, event)]
        return [before, *fragments] if before else fragments

    def _start_message(self, payload: JSONObject) -> Sequence[Fragment]:
        """Who answers, and the usage so far; from some servers the whole answer at once."""
        message = object_at(payload, "message")
        identity = Identity(as_string(message.get("id")), as_string(message.get("model")))
        fragments: list[Fragment] = [identity]
        for index, block in enumerate(as_list(message.get("content"))):
            fragments += self._blocks.open(index, as_object(block))
            fragments += self._blocks.close(index)
        self._see_usage(message, is_final=bool(text_at(message, "stop_reason")))
        return [*fragments, *self._finish(message)]

    def _whole_message(self, payload: JSONObject) -> Sequence[Fragment]:
        """The answer as one document: the server does not stream."""
        return [*self._start_message({"message": payload}), *self._stop_message({})]

    def _open_block(self, payload: JSONObject) -> Sequence[Fragment]:
        return self._blocks.open(_index(payload), object_at(payload, "content_block"))

    def _change_block(self, payload: JSONObject) -> Sequence[Fragment]:
        return self._blocks.change(_index(payload), object_at(payload, "delta"))

    def _close_block(self, payload: JSONObject) -> Sequence[Fragment]:
        return self._blocks.close(_index(payload), object_at(payload, "content_block"))

    def _change_message(self, payload: JSONObject) -> Sequence[Fragment]:
        """Why it stopped, and the usage."""
        self._see_usage(payload, is_final=True)
        return self._finish(object_at(payload, "delta"))

    def _stop_message(self, payload: JSONObject) -> Sequence[Fragment]:
        """The end; some servers tell the usage here."""
        usage = object_at(payload, "usage") or _metrics(payload)
        told: list[Fragment] = []
        if usage and not self._has_output:
            self._see_usage({"usage": usage}, is_final=True)
            told = self._usage_so_far()
        return [*self._blocks.release(), *told, End()]

    def _fail(self, payload: JSONObject) -> Sequence[Fragment]:
        return (failure_in_stream(self._provider, payload),)

    _readers: ClassVar[Mapping[str, _Reader]] = {
        "message_start": _start_message,
        "content_block_start": _open_block,
        "content_block_delta": _change_block,
        "content_block_stop": _close_block,
        "message_delta": _change_message,
        "message_stop": _stop_message,
        "message": _whole_message,
        "error": _fail,
    }

    def _finish(self, message: JSONObject) -> list[Fragment]:
        """Read what a message says of its end; add the usage as it stands."""
        word = text_at(message, "stop_reason")
        fragments = [*_unread(message, _READ_OF_MESSAGES), *self._usage_so_far()]
        if not is_reason(word):
            return fragments
        self._stop_word = word
        if (kind := kind_of_ending(word)) is not None:
            return [*fragments, failure_by_word(self._provider, word, kind)]
        is_cut = word in _CUT_SHORT if word in FINISH_REASONS else meaning(word) in _CUTTING
        held = self._blocks.release(is_cut=is_cut)
        return [*held, *fragments, self._finish_of(word)]

    def _finish_of(self, word: str) -> Finish:
        """Why it stopped; where there are calls to run, "stop" is "tool_calls"."""
        reason = FINISH_REASONS.get(word) or meaning(word)
        is_for_calls = reason == "stop" and self._blocks.has_calls
        return Finish("tool_calls" if is_for_calls else reason, word, word in _GOING_ON)

    def _usage_so_far(self) -> list[Fragment]:
        counts = _counts(self._usage, has_output=self._has_output)
        return [Usage(counts, dict(self._usage))] if self._usage else []

    def _see_usage(self, holder: JSONObject, *, is_final: bool) -> None:
        # Each is a snapshot, and leaves out or nulls what has not changed: never add them up.
        usage = {k: v for k, v in object_at(holder, "usage").items() if v is not None}
        # What a message begins with is a placeholder; and a zero at its end tells nothing.
        self._has_output = self._has_output or (is_final and bool(usage.get("output_tokens")))
        if not _prompt(usage) and _prompt(self._usage):
            # Some gateways close with a prompt of 0 tokens, which no prompt has.
            usage = {key: value for key, value in usage.items() if key not in _PROMPT_COUNTS}
        self._usage |= usage


_Reader: TypeAlias = Callable[[AnthropicDecoder, JSONObject], Sequence[Fragment]]


def _counts(raw: JSONObject, *, has_output: bool) -> dict[str, int]:
    """The library's counts; without the output's at the start, where it is a placeholder.

    Where the provider bills several passes (a compaction, a fallback, an advisor), each of them is
    in ``iterations``, and the counts beside it are those of the last: all are added up.
    """
    passes = [_counts_of_pass(each, has_output=has_output) for each in _passes(raw)]
    counts = added(passes) if passes else _counts_of_pass(raw, has_output=has_output)
    return with_total(counts)


def _metrics(payload: JSONObject) -> JSONObject:
    """What Bedrock counts of an answer, under Anthropic's names."""
    metrics = object_at(payload, "amazon-bedrock-invocationMetrics")
    return {name: metrics[key] for key, name in _METRICS.items() if key in metrics}


def _passes(raw: JSONObject) -> list[JSONObject]:
    """The passes that say what they took: several, or none."""
    passes = [each for each in as_objects(raw.get("iterations")) if _prompt(each)]
    return passes if len(passes) > 1 else []


def _prompt(raw: JSONObject) -> int:
    return sum(count_at(raw, key) or 0 for key in _PROMPT_COUNTS)


def _counts_of_pass(raw: JSONObject, *, has_output: bool) -> dict[str, int]:
    """The counts of one usage object.

    ``input_tokens`` leaves out what came from the cache or went into it:
    https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance
    """
    fresh = count_at(raw, "input_tokens")
    cached = count_at(raw, "cache_read_input_tokens")
    written = count_at(raw, "cache_creation_input_tokens")
    return usage_counts(
        prompt=None if fresh is None else fresh + (cached or 0) + (written or 0),
        completion=count_at(raw, "output_tokens") if has_output else None,
        cached=cached,
        cache_write=written,
        reasoning=count_at(raw, "output_tokens_details", "thinking_tokens"),
    )


def _unread(holder: JSONObject, read: frozenset[str]) -> list[Fragment]:
    """What a frame says that has no place of its own: kept under the provider's keys."""
    found = {key: value for key, value in holder.items() if value and key not in read}
    return [Extras(found)] if found else []


def _kind(payload: JSONObject, event: str) -> str:
    """What a frame is: by its own type, or where a server leaves that out, by the framing's word.

    An error may be bare, without a type (Vertex), stand in a frame of another type, or have its own
    type where ``error`` should stand.
    """
    if event == "error" or payload.get("error"):
        return "error"
    return text_at(payload, "type") or event


def _index(payload: Mapping[str, Any]) -> int:
    return as_int(payload.get("index")) or 0
