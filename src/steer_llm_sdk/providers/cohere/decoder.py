"""Cohere's chat, version 2: https://docs.cohere.com/v2/docs/streaming.

A message is made of blocks (of text or of thinking), of a plan for the tools, and of calls, each of
them begun, grown and ended by events; ``message-end`` has the finish reason and the usage, and is
the end. The ``[DONE]`` behind it means nothing more.

Strategy. Nearly every event is a delta of text or thinking: one typed decoding tries these. What it
does not accept is read again as plain JSON and with patience. Events of unknown types pass by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import msgspec

from steer_llm_sdk.errors import ProviderError
from steer_llm_sdk.models.fragments import (
    Commentary,
    End,
    Extras,
    Finish,
    FinishReason,
    Fragment,
    Identity,
    PartData,
    Reasoning,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.models.usage import count_at, usage_counts, with_total
from steer_llm_sdk.providers.base import Endpoint, ErrorAnswer, TerminalMarkers, WireFormat
from steer_llm_sdk.providers.cohere.errors import FAILURES, failure_in_stream, read_cohere_error
from steer_llm_sdk.providers.cohere.request import build_request
from steer_llm_sdk.providers.endings import is_reason, meaning
from steer_llm_sdk.providers.failures import kind_of_ending
from steer_llm_sdk.providers.halves import Halves
from steer_llm_sdk.providers.mould import Words
from steer_llm_sdk.providers.open_calls import OpenCalls
from steer_llm_sdk.providers.openai_chat.errors import read_stray_error
from steer_llm_sdk.providers.reading import (
    JSONObject,
    as_int,
    as_objects,
    as_string,
    frames_in,
    is_end,
    is_keep_alive,
    json_text,
    listed,
    object_at,
    objects_at,
    parse_object,
    text_at,
)
from steer_llm_sdk.wire.frame import Frame

# https://docs.cohere.com/reference/chat-stream; a word that is not here is "other".
FINISH_REASONS: Mapping[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}

NOTHING: tuple[Fragment, ...] = ()

# What is read, by where it stands; everything else that an event says is kept in metadata.
_READ_OF_EVENTS = frozenset(
    {"type", "id", "index", "delta", "logprobs", "error", "message", "usage"}
)
_READ_OF_DELTAS = frozenset({"message", "finish_reason", "usage", "error", "error_type"})
_READ_OF_MESSAGES = frozenset({"role", "content", "tool_plan", "tool_calls", "citations"})
_READ_OF_CONTENT = frozenset({"type", "text", "thinking"})
_READ_OF_CALLS = frozenset({"id", "type", "function"})
_READ_OF_FUNCTIONS = frozenset({"name", "arguments"})


class Cohere(WireFormat):
    """The wire format ``cohere``. Only ``message-end`` completes a stream."""

    name = "cohere"
    markers = TerminalMarkers(end=True, finish=False)

    def decoder(self, provider: str) -> CohereDecoder:
        """Make the decoder of one stream."""
        return CohereDecoder(provider)

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request: see `steer_llm_sdk.providers.cohere.request`."""
        return build_request(chat, endpoint)

    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the provider's error out of a response that is not a stream."""
        return read_cohere_error(answer)


# --- the frequent event, typed ------------------------------------------------------------------


class _Frequent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A shape of the quick road: a field that it does not know sends the event to the slow one."""


class _Content(_Frequent):
    text: str = ""
    thinking: str = ""


class _Message(_Frequent):
    content: _Content


class _Delta(_Frequent):
    message: _Message


class _ContentDelta(
    msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="type", tag="content-delta"
):
    delta: _Delta
    index: int = 0


_read_content_delta = msgspec.json.Decoder(_ContentDelta).decode


class CohereDecoder:
    """Turns the events of one stream into fragments.

    Args:
        provider: The name that errors carry.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls: OpenCalls[int] = OpenCalls()  # their numbers, by the provider's own
        self._calls_seen = 0
        self._halves = Halves()

    def decode(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one event.

        Raises:
            ProtocolError: It is not a JSON object.
        """
        try:
            event = _read_content_delta(frame.data)
        except (ValueError, RecursionError):
            return self._decode_rare(frame)
        content = event.delta.message.content
        if content.thinking:
            thought = Reasoning(content.thinking, event.index)
            return (thought, content.text) if content.text else (thought,)
        return (content.text,) if content.text else NOTHING

    def words_of(self, frame: Frame) -> Words | None:
        """See `providers.mould.WordsOf`."""
        try:
            event = _read_content_delta(frame.data)
        except (ValueError, RecursionError):
            return None
        content = event.delta.message.content
        if not content.thinking:
            return content.text
        return None if content.text else Reasoning(content.thinking, event.index)

    def decode_eof(self) -> Sequence[Fragment]:
        """Give half of a character; nothing else is ever held back."""
        return self._halves.read_eof()

    def _decode_rare(self, frame: Frame) -> Sequence[Fragment]:
        if (several := frames_in(frame)) != (frame,):
            return [fragment for each in several for fragment in self.decode(each)]
        if is_end(frame) or is_keep_alive(frame):
            return NOTHING
        data, before = self._halves.join(frame.data)
        found = self._read_event(parse_object(data, self._provider), frame.event)
        return [before, *found] if before else found

    def _read_event(self, event: JSONObject, name: str) -> Sequence[Fragment]:
        kind = text_at(event, "type") or name
        is_document = isinstance(event.get("message"), dict) and text_at(event, "finish_reason")
        if not kind and is_document:
            return self._whole_message(event)
        if kind == "error" or (not kind and ("message" in event or "error" in event)):
            return (failure_in_stream(self._provider, event),)
        read = self._readers.get(kind)
        if read is None:
            return read_stray_error(self._provider, event, kind)
        message = object_at(object_at(event, "delta"), "message")
        return [*_beside(event, message), *read(self, event, message)]

    def _whole_message(self, document: JSONObject) -> Sequence[Fragment]:
        """The answer as one document: the server does not stream."""
        message = object_at(document, "message")
        found = [*self._start_message(document, message)]
        for index, part in enumerate(objects_at(message, "content")):
            found += self._change_content({"index": index}, {"content": part})
        found += self._cite({}, message)
        for index, call in enumerate(objects_at(message, "tool_calls")):
            found += self._open_call({"index": index}, {"tool_calls": call})
            found += self._close_call({"index": index}, {})
        return [*found, *self._end_message({"delta": document}, {})]

    def _start_message(self, event: JSONObject, message: JSONObject) -> Sequence[Fragment]:
        """Who answers; a server may have begun to say something here."""
        identifier = as_string(event.get("id"))
        named = [Identity(response_id=identifier)] if identifier else []
        return [*named, *self._plan(event, message)]

    def _change_content(self, event: JSONObject, message: JSONObject) -> Sequence[Fragment]:
        content = object_at(message, "content")
        text, thinking = text_at(content, "text"), text_at(content, "thinking")
        logprobs = event.get("logprobs")
        said: list[Fragment] = [Reasoning(thinking, _index(event))] if thinking else []
        if text:
            said.append(Text(text, {"logprobs": logprobs}) if logprobs else text)
        return [*_unread(content, _READ_OF_CONTENT), *said]

    def _plan(self, event: JSONObject, message: JSONObject) -> Sequence[Fragment]:
        """What the model says aside before it calls."""
        del event
        text = text_at(message, "tool_plan")
        return (Commentary(text),) if text else NOTHING

    def _cite(self, event: JSONObject, message: JSONObject) -> Sequence[Fragment]:
        del event
        found = message.get("citations")
        cited = found if isinstance(found, list) else [found]
        if not found:
            return NOTHING
        read = as_objects(cited)  # they come behind the words that they belong to
        return (PartData("text", {}, read, is_earlier=True), Extras({"citations": cited}))

    def _open_call(self, event: JSONObject, message: JSONObject) -> Sequence[Fragment]:
        call = _call_in(message)
        number = self._calls_seen
        self._calls_seen += 1
        function = object_at(call, "function")
        extra = {key: call[key] for key in call if key not in _READ_OF_CALLS}
        extra |= {key: function[key] for key in function if key not in _READ_OF_FUNCTIONS}
        name, call_id = as_string(function.get("name")), as_string(call.get("id"))
        begun = json_text(function.get("arguments"))
        self._calls.open(_index(event), number, has_pieces=bool(begun))
        return (ToolCallPiece(number, call_id, name, begun, extra=extra or None),)

    def _change_call(self, event: JSONObject, message: JSONObject) -> Sequence[Fragment]:
        number = self._calls.find(_index(event))
        call = _call_in(message)
        function = object_at(call, "function")
        piece = json_text(function.get("arguments"))
        beside = [*_unread(call, _READ_OF_CALLS), *_unread(function, _READ_OF_FUNCTIONS)]
        if number is None or not piece:
            return beside
        return [*beside, ToolCallPiece(number, arguments=piece)]

    def _close_call(self, event: JSONObject, message: JSONObject) -> Sequence[Fragment]:
        del message
        number = self._calls.close(_index(event))
        return NOTHING if number is None else (ToolCallPiece(number, is_whole=True),)

    def _end_message(self, event: JSONObject, message: JSONObject) -> Sequence[Fragment]:
        """Why it stopped, and the usage."""
        del message
        delta = object_at(event, "delta")
        usage = object_at(delta, "usage") or object_at(event, "usage")
        told = [Usage(_counts(usage), usage)] if usage else []
        word = text_at(delta, "finish_reason")
        if word in FAILURES or kind_of_ending(word) or delta.get("error"):
            return [*told, failure_in_stream(self._provider, delta)]
        finish = [self._finish_of(word)] if is_reason(word) else []
        return [*finish, *told, End()]

    def _finish_of(self, word: str) -> Finish:
        """Why it stopped; where there are calls to run, "stop" is "tool_calls"."""
        reason = FINISH_REASONS.get(word) or meaning(word)
        is_for_calls = reason == "stop" and self._calls_seen > 0
        return Finish("tool_calls" if is_for_calls else reason, word)

    def _say_nothing(self, event: JSONObject, message: JSONObject) -> Sequence[Fragment]:
        del event, message
        return NOTHING

    _readers: ClassVar[Mapping[str, _Reader]] = {
        "message-start": _start_message,
        "content-start": _change_content,
        "content-delta": _change_content,
        "content-end": _say_nothing,
        "tool-plan-delta": _plan,
        "tool-call-start": _open_call,
        "tool-call-delta": _change_call,
        "tool-call-end": _close_call,
        "citation-start": _cite,
        "citation-end": _say_nothing,
        "message-end": _end_message,
    }


_Reader: TypeAlias = Callable[[CohereDecoder, JSONObject, JSONObject], Sequence[Fragment]]


def _call_in(message: JSONObject) -> JSONObject:
    """The call of an event; in a list, as a message that is whole has it, the first."""
    return next(iter(listed(message.get("tool_calls"))), {})


def _beside(event: JSONObject, message: JSONObject) -> list[Fragment]:
    """What an event says that has no place of its own."""
    delta = object_at(event, "delta")
    return [
        *_unread(event, _READ_OF_EVENTS),
        *_unread(delta, _READ_OF_DELTAS),
        *_unread(message, _READ_OF_MESSAGES),
    ]


def _unread(holder: JSONObject, read: frozenset[str]) -> list[Fragment]:
    found: dict[str, Any] = {k: v for k, v in holder.items() if v and k not in read}
    return [Extras(found)] if found else []


def _counts(raw: JSONObject) -> dict[str, int]:
    """The library's counts: of the tokens, of which those that are billed are a part."""
    read = [
        count_at(raw, "tokens", name)
        if count_at(raw, "tokens", name) is not None
        else count_at(raw, "billed_units", name)
        for name in ("input_tokens", "output_tokens")
    ]
    counts = usage_counts(
        prompt=read[0],
        completion=read[1],
        cached=count_at(raw, "cached_tokens"),
        reasoning=count_at(raw, "tokens", "reasoning_tokens"),
    )
    return with_total(counts)


def _index(event: JSONObject) -> int:
    return as_int(event.get("index")) or 0
