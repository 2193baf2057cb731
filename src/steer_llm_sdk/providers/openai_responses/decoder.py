"""OpenAI's Responses API, and the servers that copy it.

https://platform.openai.com/docs/api-reference/responses-streaming

A response is a list of *items* (messages, reasoning, calls), numbered by ``output_index``; a
message is a list of parts, numbered by ``content_index``. Each item is opened, streamed in deltas,
and closed. ``response.completed``, ``.incomplete`` or ``.failed`` ends the stream, and so do the
``response.done`` and ``response.canceled`` of copies; ``[DONE]``, which some send, says nothing.

Strategy. Nearly every event is a delta, and a delta is read straight into the few fields that it
needs. What does not fit there (a field that is not known, one of another type), and every rarer
event, is read again as plain JSON, with patience.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import msgspec

from steer_llm_sdk.errors import ProviderError
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Failure,
    Fragment,
    Identity,
    Text,
    ToolCallType,
)
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.models.usage import count_at
from steer_llm_sdk.providers.base import (
    Decoder,
    Endpoint,
    ErrorAnswer,
    Resumption,
    TerminalMarkers,
    WireFormat,
)
from steer_llm_sdk.providers.halves import Halves
from steer_llm_sdk.providers.openai_chat.errors import (
    error_object,
    read_answer,
    read_failure,
    read_stray_error,
)
from steer_llm_sdk.providers.openai_responses.end import (
    read_failed,
    read_finish,
    read_status,
    read_usage,
)
from steer_llm_sdk.providers.openai_responses.items import Items
from steer_llm_sdk.providers.openai_responses.request import (
    build_count_request,
    build_request,
    resume_request,
)
from steer_llm_sdk.providers.openai_responses.said import ItemKey
from steer_llm_sdk.providers.openai_responses.unknown import PASSING, about_event
from steer_llm_sdk.providers.reading import (
    frames_in,
    is_end,
    is_keep_alive,
    object_at,
    parse_object,
    text_at,
)
from steer_llm_sdk.wire.frame import Frame

_TEXT_DELTA = "response.output_text.delta"


class _Delta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """The fields of the deltas; other events have more."""

    type: str = ""
    delta: str = ""
    sequence_number: int | None = None
    item_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    logprobs: list[Any] | None = None
    obfuscation: Any = None

    @property
    def item_key(self) -> ItemKey:
        """What tells the item from the others."""
        return self.item_id if self.output_index is None else self.output_index


_read_delta = msgspec.json.Decoder(_Delta).decode

_Event: TypeAlias = Mapping[str, Any]


class OpenAIResponses(WireFormat):
    """The wire format ``openai-responses``.

    Only a final event completes a stream: every recorded one that was not cut has it, and the
    finish reason stands nowhere else.
    """

    markers = TerminalMarkers(end=True, finish=False)
    name = "openai-responses"

    def decoder(self, provider: str) -> ResponsesDecoder:
        """Make the decoder of one stream."""
        return ResponsesDecoder(provider)

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request: see `steer_llm_sdk.providers.openai_responses.request`."""
        return build_request(chat, endpoint)

    def count_request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the request that asks how many tokens a prompt takes."""
        return build_count_request(chat, endpoint)

    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the error out of a response that is not a stream."""
        return read_answer(answer)

    def resume(
        self, chat: ChatRequest, endpoint: Endpoint, written: str | None, decoder: Decoder
    ) -> Resumption | None:
        """Ask for the rest of a response that is made in the background (``extra_body``).

        https://platform.openai.com/docs/guides/background#streaming-a-background-response
        """
        del written
        assert isinstance(decoder, ResponsesDecoder)  # noqa: S101 - it is the one made above
        after, response_id = decoder.last_sequence_number, decoder.identity.response_id
        if not chat.extra_body.get("background") or after is None or response_id is None:
            return None
        return Resumption(resume_request(chat, endpoint, response_id, after), decoder)


class ResponsesDecoder:
    """Turns the events of one stream into fragments.

    Attributes:
        identity: The response's id and model, as last named.
        last_sequence_number: Of the last event that has one: a response that the server stores can
            be taken up again behind it.
    """

    def __init__(self, provider: str) -> None:
        self.identity = Identity()
        self.last_sequence_number: int | None = None
        self._provider = provider
        self._items = Items()
        # The part whose text is being streamed: most deltas belong to the same as the one before.
        self._output_index: int | None = -1
        self._content_index: int | None = -1
        self._pieces: list[str] = []
        self._thought: tuple[ItemKey, str, int | None] | None = None  # whose part goes on
        self._has_counted = False
        self._halves = Halves()

    def decode(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one event.

        Raises:
            ProtocolError: The frame is not a JSON object.
        """
        try:
            delta = _read_delta(frame.data)
        except (ValueError, RecursionError):  # it does not fit, is not UTF-8, or has no bottom
            return self._decode_event(frame)
        if delta.type != _TEXT_DELTA:
            read = self._DELTAS.get(delta.type)
            if read is None:
                return self._decode_event(frame)
            self.last_sequence_number = delta.sequence_number
            return read(self, delta) if delta.delta else ()
        self.last_sequence_number = delta.sequence_number
        if delta.output_index != self._output_index or delta.content_index != self._content_index:
            return self._first_words(delta, delta.logprobs)
        text = delta.delta
        self._pieces.append(text)
        if delta.logprobs:
            return (Text(text, {"logprobs": delta.logprobs}),)
        return (text,) if text else ()

    def decode_eof(self) -> Sequence[Fragment]:
        """Give half of a character; nothing else is ever held back."""
        return self._halves.read_eof()

    # --- deltas -------------------------------------------------------------------------------

    def _first_words(self, delta: _Delta, logprobs: object) -> Sequence[Fragment]:
        """Words of another part than the words before; those of a commentary are always that."""
        text, key = delta.delta, delta.item_key
        if not text:
            return (Text(text, {"logprobs": logprobs}),) if logprobs else ()
        self._pieces = self._items.said.begin("text", key, delta.content_index)
        self._pieces.append(text)
        if not self._items.is_aside(key):
            self._output_index = delta.output_index
            self._content_index = delta.content_index
        return tuple(self._items.words(key, delta.content_index, text, logprobs))

    def _leave_part(self) -> None:
        """Another item: where items have no numbers, its first delta looks like all the others."""
        self._output_index = -1
        self._thought = None

    def _summary_delta(self, delta: _Delta) -> Sequence[Fragment]:
        return self._think(delta, "summary", delta.summary_index)

    def _thought_delta(self, delta: _Delta) -> Sequence[Fragment]:
        """Reasoning. Its part goes on until one is closed: vLLM numbered each delta as a part."""
        key, index = delta.item_key, delta.content_index
        if self._thought is None or self._thought[:2] != (key, "content"):
            self._thought = (key, "content", index)
        return self._think(delta, "content", self._thought[2])

    def _think(self, delta: _Delta, kind: str, index: int | None) -> Sequence[Fragment]:
        self._items.said.begin(kind, delta.item_key, index).append(delta.delta)
        return self._items.think(delta.item_key, kind, index, delta.delta)

    def _refusal_delta(self, delta: _Delta) -> Sequence[Fragment]:
        said = self._items.said.begin("refusal", delta.item_key, delta.content_index)
        said.append(delta.delta)
        return tuple(self._items.refuse(delta.item_key, delta.content_index, delta.delta))

    def _arguments_delta(self, delta: _Delta) -> Sequence[Fragment]:
        return self._items.calls.delta(delta.item_key, delta.item_id, delta.delta, "function")

    def _input_delta(self, delta: _Delta) -> Sequence[Fragment]:
        return self._items.calls.delta(delta.item_key, delta.item_id, delta.delta, "custom")

    # --- every other event --------------------------------------------------------------------

    def _decode_event(self, frame: Frame) -> Sequence[Fragment]:
        if (several := frames_in(frame)) != (frame,):
            return [fragment for each in several for fragment in self.decode(each)]
        if is_end(frame) or is_keep_alive(frame):
            return ()
        data, before = self._halves.join(frame.data)
        found = self._read_event(parse_object(data, self._provider), frame.event)
        return (before, *found) if before else found

    def _read_event(self, event: dict[str, Any], name: str) -> Sequence[Fragment]:
        kind = text_at(event, "type") or name or ("error" if event.get("error") else "")
        if not kind and event.get("object") == "response":
            kind = "response.done"  # the answer as one document: the server does not stream
        event["type"] = kind
        number = count_at(event, "sequence_number")
        self.last_sequence_number = self.last_sequence_number if number is None else number
        if kind == _TEXT_DELTA or kind in self._DELTAS:
            return (*_strange(event), *self._decode_leniently(kind, event))
        read = self._EVENTS.get(kind)
        if read is not None:
            return (*(_strange(event) if kind != "error" else ()), *read(self, event))
        return tuple(self._other_event(kind, event))

    def _other_event(self, kind: str, event: _Event) -> Iterator[Fragment]:
        """An event that is nobody's: an error in another shape, progress, or of the future."""
        stray = read_stray_error(self._provider, event, kind)
        if stray:
            yield from stray
        elif (error := event.get("error")) is not None:
            found = error if isinstance(error, dict) else {"message": str(error)}
            yield Failure(read_failure(self._provider, found, None))
        elif kind in PASSING:
            yield from _strange(event)
        elif kind.startswith("response."):
            yield Extras({"events": [event]})

    def _decode_leniently(self, kind: str, event: _Event) -> Sequence[Fragment]:
        """A delta that the quick road refused: a broken character, a field of another type."""
        text = text_at(event, "delta") or text_at(object_at(event, "delta"), "text")
        delta = _Delta(
            delta=text,
            item_id=_id_of(event),
            output_index=count_at(event, "output_index"),
            content_index=count_at(event, "content_index"),
            summary_index=count_at(event, "summary_index"),
        )
        if kind == _TEXT_DELTA:
            return self._first_words(delta, event.get("logprobs"))
        return self._DELTAS[kind](self, delta) if text else ()

    def _begun(self, event: _Event) -> Iterator[Fragment]:
        response = _response_of(event)
        named = Identity(
            text_at(response, "id") or self.identity.response_id,
            text_at(response, "model") or self.identity.model,
        )
        if named != self.identity:
            self.identity = named
            yield named
        yield from self._items.about_response(response)

    def _under_way(self, event: _Event) -> Iterator[Fragment]:
        yield from self._begun(event)
        yield from self._usage(event)

    def _usage(self, event: _Event) -> Iterator[Fragment]:
        """The tokens, which some tell beside the response."""
        for usage in (*read_usage(event), *read_usage(_response_of(event))):
            has_tokens = any(usage.counts.values())
            if has_tokens or not self._has_counted:  # zeros replace nothing
                self._has_counted = has_tokens
                yield usage

    def _item_added(self, event: _Event) -> Iterator[Fragment]:
        self._leave_part()
        return self._items.opened(_key_of(event), object_at(event, "item"))

    def _item_done(self, event: _Event) -> Iterator[Fragment]:
        self._leave_part()
        return self._items.whole_item(_key_of(event), object_at(event, "item"))

    def _part_added(self, event: _Event) -> Iterator[Fragment]:
        """A part is opened: a part of the reasoning before it is closed."""
        self._thought = None
        return self._items.whole_thought_part(object_at(event, "part"))

    def _arguments_done(self, event: _Event) -> Iterator[Fragment]:
        return self._whole_arguments(event, "arguments", "function")

    def _input_done(self, event: _Event) -> Iterator[Fragment]:
        return self._whole_arguments(event, "input", "custom")

    def _whole_arguments(
        self,
        event: _Event,
        field: str,
        type: ToolCallType,  # noqa: A002
    ) -> Iterator[Fragment]:
        place = _key_of(event), _id_of(event)
        return self._items.calls.arguments(*place, text_at(event, field), type, event)

    def _text_done(self, event: _Event) -> Iterator[Fragment]:
        part = {"type": "output_text", "text": event.get("text"), "logprobs": event.get("logprobs")}
        return self._items.whole_part(*_place_of(event), part, "done")

    def _refusal_done(self, event: _Event) -> Iterator[Fragment]:
        part = {"type": "refusal", "refusal": event.get("refusal")}
        return self._items.whole_part(*_place_of(event), part, "done")

    def _part_done(self, event: _Event) -> Iterator[Fragment]:
        part = object_at(event, "part")
        self._thought = None
        if part.get("type") == "reasoning_text":
            return self._items.whole_thought_part(part)
        return self._items.whole_part(*_place_of(event), part, "part")

    def _summary_done(self, event: _Event) -> Iterator[Fragment]:
        key, index = _key_of(event), count_at(event, "summary_index")
        return self._items.whole_thought(key, "summary", index, text_at(event, "text"))

    def _thought_done(self, event: _Event) -> Iterator[Fragment]:
        self._thought = None
        key, index = _place_of(event)
        return self._items.whole_thought(key, "content", index, text_at(event, "text"))

    def _audio(self, event: _Event) -> Iterator[Fragment]:
        """Spoken words, in pieces: base64 under ``data``, and what was said."""
        key = "transcript" if "transcript" in event["type"] else "data"
        yield Extras({"audio": [{key: event.get("delta")}]})

    def _annotation_added(self, event: _Event) -> Iterator[Fragment]:
        self._items.mark("annotations", *_place_of(event))
        yield from self._items.annotate(_key_of(event), [event.get("annotation")])

    # --- the end ------------------------------------------------------------------------------

    def _ended(self, event: _Event) -> Iterator[Fragment]:
        """The response is whole, cut, failed or cancelled, by its own word where it has one."""
        response = _response_of(event)
        status = read_status(response, text_at(event, "type"))
        yield from self._begun(event)
        yield from self._items.remaining(response, is_whole=status == "completed")
        if status in {"failed", "cancelled"}:
            yield from self._usage(event)
            yield read_failed(self._provider, response, status)
            return
        yield read_finish(response, status, self._items)
        yield from self._usage(event)
        yield End()

    def _error(self, event: _Event) -> Iterator[Fragment]:
        """``error``: its fields lie in the event itself, or under ``error``."""
        fields = {key: value for key, value in event.items() if key != "type"}
        yield Failure(read_failure(self._provider, error_object(fields) or fields, None))

    # Deltas of text are not here: they have the quickest road.
    _DELTAS: ClassVar[Mapping[str, Callable[[ResponsesDecoder, _Delta], Sequence[Fragment]]]] = {
        "response.reasoning_summary_text.delta": _summary_delta,
        "response.reasoning_text.delta": _thought_delta,
        "response.reasoning_summary.delta": _summary_delta,  # what these two were called once
        "response.reasoning.delta": _thought_delta,
        "response.refusal.delta": _refusal_delta,
        "response.function_call_arguments.delta": _arguments_delta,
        "response.custom_tool_call_input.delta": _input_delta,
    }

    # `PASSING` events pass by; any other is kept as it is.
    _EVENTS: ClassVar[Mapping[str, Callable[[ResponsesDecoder, _Event], Iterator[Fragment]]]] = {
        "response.queued": _under_way,
        "response.created": _under_way,
        "response.in_progress": _under_way,
        "response.output_item.added": _item_added,
        "response.output_item.done": _item_done,
        "response.content_part.added": _part_added,
        "response.content_part.done": _part_done,
        "response.reasoning_part.added": _part_added,
        "response.reasoning_part.done": _part_added,
        "response.reasoning_summary_part.added": _part_added,
        "response.reasoning_summary_part.done": _part_added,
        "response.audio.delta": _audio,
        "response.audio.transcript.delta": _audio,
        "response.output_text.done": _text_done,
        "response.output_text.annotation.added": _annotation_added,
        "response.refusal.done": _refusal_done,
        "response.reasoning_summary_text.done": _summary_done,
        "response.reasoning_text.done": _thought_done,
        "response.reasoning_summary.done": _summary_done,
        "response.reasoning.done": _thought_done,
        "response.function_call_arguments.done": _arguments_done,
        "response.custom_tool_call_input.done": _input_done,
        "response.completed": _ended,
        "response.incomplete": _ended,
        "response.failed": _ended,
        "response.cancelled": _ended,
        "response.canceled": _ended,
        "response.done": _ended,
        "response.error": _error,
        "error": _error,
    }


def _response_of(event: _Event) -> _Event:
    """The response in an event, or the event itself where that is the response."""
    response = object_at(event, "response")
    return event if not response and "output" in event else response


def _strange(event: _Event) -> Iterator[Extras]:
    if fields := about_event(event):
        yield Extras(fields)


def _place_of(event: _Event) -> tuple[ItemKey, int | None]:
    return _key_of(event), count_at(event, "content_index")


def _key_of(event: _Event) -> ItemKey:
    """What tells the item of an event from the others."""
    index = count_at(event, "output_index")
    return _id_of(event) if index is None else index


def _id_of(event: _Event) -> str | None:
    """What names the item of an event; DeepSeek names a call by the id of its answer alone."""
    holders = (("item_id", "call_id"), event), (("id", "call_id"), object_at(event, "item"))
    names = (text_at(holder, key) for keys, holder in holders for key in keys)
    return next(filter(None, names), None)
