"""Gemini by interactions: https://ai.google.dev/gemini-api/docs/interactions.

An interaction is a list of steps (a thought, words, a call, what the provider did itself), each of
them started, grown and stopped; ``interaction.completed`` has the status and the usage, and is the
end. The ``[DONE]`` behind it means nothing more.

Strategy. Nearly every event is a delta of text: one typed decoding tries just that. What it does
not accept is read again as plain JSON and with patience. Steps that are neither words, thoughts nor
calls of the caller's are gathered, and kept whole in the events' metadata under ``steps``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import msgspec

from steer_llm_sdk.errors import ProviderError
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Failure,
    File,
    Finish,
    FinishReason,
    Fragment,
    Identity,
    PartData,
    ProviderItem,
    Reasoning,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.models.usage import count_at, usage_counts, with_total
from steer_llm_sdk.providers.base import Endpoint, ErrorAnswer, TerminalMarkers, WireFormat
from steer_llm_sdk.providers.endings import meaning
from steer_llm_sdk.providers.failures import kind_of_ending, make_error
from steer_llm_sdk.providers.gemini.errors import failure_in_stream, read_gemini_error
from steer_llm_sdk.providers.halves import Halves
from steer_llm_sdk.providers.interactions.request import build_request
from steer_llm_sdk.providers.open_calls import OpenCalls
from steer_llm_sdk.providers.openai_chat.errors import read_stray_error
from steer_llm_sdk.providers.reading import (
    JSONObject,
    arguments_text,
    as_int,
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

# https://ai.google.dev/api/interactions-api: the status of an interaction; others are "other".
FINISH_REASONS: Mapping[str, FinishReason] = {
    "completed": "stop",
    "requires_action": "tool_calls",
    "incomplete": "length",
    "budget_exceeded": "length",
    "requires_continuation": "length",
}

NOTHING: tuple[Fragment, ...] = ()

# With these the model may have been stopped inside a step.
_CUT_SHORT = frozenset({"incomplete", "budget_exceeded", "requires_continuation"})

_READ_OF_EVENTS = frozenset(
    {
        "event_type",
        "event_id",
        "index",
        "step",
        "delta",
        "interaction",
        "interaction_id",
        "status",
        "usage",
    }
)
_READ_OF_INTERACTIONS = frozenset(
    {"id", "model", "object", "status", "usage", "created", "updated", "error", "errors", "steps"}
)
_READ_OF_WORDS = frozenset({"type", "content"})
_READ_OF_ARGUMENTS = frozenset({"type", "arguments", "partial_arguments"})
_READ_OF_CALLS = frozenset({"type", "id", "name", "arguments"})


class Interactions(WireFormat):
    """The wire format ``gemini-interactions``. Only ``interaction.completed`` completes it."""

    name = "gemini-interactions"
    markers = TerminalMarkers(end=True, finish=False)

    def decoder(self, provider: str) -> InteractionsDecoder:
        """Make the decoder of one stream."""
        return InteractionsDecoder(provider)

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request: see `steer_llm_sdk.providers.interactions.request`."""
        return build_request(chat, endpoint)

    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the provider's error out of a response that is not a stream."""
        return read_gemini_error(answer)


# --- the frequent event, typed ------------------------------------------------------------------


class _TextDelta(
    msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="type", tag="text"
):
    text: str


class _StepDelta(
    msgspec.Struct, forbid_unknown_fields=True, gc=False, tag_field="event_type", tag="step.delta"
):
    delta: _TextDelta
    index: int = 0


_read_step_delta = msgspec.json.Decoder(_StepDelta).decode


class _OpenCall(msgspec.Struct):
    """A call whose step is open: its number, and its arguments as given at first."""

    number: int
    given: str
    has_arguments: bool = False


class InteractionsDecoder:
    """Turns the events of one stream into fragments.

    Args:
        provider: The name that errors carry.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls: OpenCalls[_OpenCall] = OpenCalls()
        self._calls_seen = 0
        self._has_steps = False
        self._steps: dict[int, JSONObject] = {}  # that only pass through
        # The end of a call without arguments, which may have been cut before its first: what
        # follows tells.
        self._held: ToolCallPiece | None = None
        self._halves = Halves()

    def decode(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one event.

        Raises:
            ProtocolError: It is not a JSON object.
        """
        try:
            event = _read_step_delta(frame.data)
        except (ValueError, RecursionError):
            return self._decode_rare(frame)
        return (event.delta.text,) if event.delta.text else NOTHING

    def decode_eof(self) -> Sequence[Fragment]:
        """Give half of a character. A call that is held back is whole when the provider says so."""
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
        kind = text_at(event, "event_type") or name
        if not kind and _is_document(event):
            return self._end({"interaction": event})
        if event.get("error") or kind == "error":
            return (failure_in_stream(self._provider, event.get("error")),)
        read = self._readers.get(kind)
        if read is None:
            return read_stray_error(self._provider, event, kind)
        return [*_unread(event, _READ_OF_EVENTS), *read(self, event)]

    def _start(self, event: JSONObject) -> Sequence[Fragment]:
        interaction = object_at(event, "interaction")
        named = as_string(interaction.get("id")), as_string(interaction.get("model"))
        return [*_unread(interaction, _READ_OF_INTERACTIONS), Identity(*named)]

    def _update(self, event: JSONObject) -> Sequence[Fragment]:
        """What has been used so far; the status is told again at the end."""
        return self._usage_in(event)

    def _usage_in(self, holder: JSONObject) -> Sequence[Fragment]:
        usage = object_at(holder, "usage")
        return (Usage(_counts(usage), usage),) if usage else NOTHING

    def _cancel(self, event: JSONObject) -> Sequence[Fragment]:
        return [*self._usage_in(event), self._unexplained("cancelled")]

    def _open_step(self, event: JSONObject) -> Sequence[Fragment]:
        index, step = _index(event), object_at(event, "step")
        kind = text_at(step, "type")
        held = self._release()
        self._has_steps = True
        if kind == "function_call":
            return [*held, self._open_call(index, step)]
        if kind == "thought":
            return [*held, *_thought(index, step)]
        if kind == "model_output":
            return [*held, *self._begun_words(step)]
        self._steps[index] = dict(step)
        return held

    def _begun_words(self, step: JSONObject) -> list[Fragment]:
        """What a step of words begins with; parts of other kinds are kept."""
        fragments = _unread(step, _READ_OF_WORDS)
        for part in objects_at(step, "content"):
            is_text = part.get("type") == "text" and isinstance(part.get("text"), str)
            fragments += [part["text"]] if is_text else _other_content(part)
        return [each for each in fragments if each]

    def _change_step(self, event: JSONObject) -> Sequence[Fragment]:
        index, delta = _index(event), object_at(event, "delta")
        kind = text_at(delta, "type")
        if kind == "arguments_delta":
            piece = json_text(delta.get("arguments") or delta.get("partial_arguments"))
            return self._add_arguments(index, piece, delta)
        if kind == "text":
            beside = {key: value for key, value in delta.items() if key not in {"type", "text"}}
            text = text_at(delta, "text")
            return [*([Extras(beside)] if beside else NOTHING), *([text] if text else NOTHING)]
        if kind in {"thought_summary", "thought_signature"}:
            return _thought(index, delta)
        if kind == "text_annotation_delta":
            found = objects_at(delta, "annotations")
            if not found:
                return NOTHING
            return (PartData("text", {}, found), Extras({"citations": found}))
        step = self._steps.get(index)
        if step is None:
            return _other_content(delta) if delta else NOTHING
        step.setdefault("deltas", []).append(delta)
        return NOTHING

    def _add_arguments(self, index: int, piece: str, delta: JSONObject) -> list[Fragment]:
        beside = {key: delta[key] for key in delta if key not in _READ_OF_ARGUMENTS}
        kept: list[Fragment] = [Extras(beside)] if beside else []
        call = self._calls.find(index)
        if call is None or not piece:
            return kept
        call.has_arguments = True
        return [*kept, ToolCallPiece(call.number, arguments=piece)]

    def _close_step(self, event: JSONObject) -> Sequence[Fragment]:
        index = _index(event)
        if call := self._calls.close(index):
            if call.has_arguments or call.given:
                rest = "" if call.has_arguments else call.given
                return (ToolCallPiece(call.number, arguments=rest, is_whole=True),)
            self._held = ToolCallPiece(call.number, arguments="{}", is_whole=True)
        elif step := self._steps.pop(index, None):
            return (ProviderItem(step), Extras({"steps": [step]}))
        return NOTHING

    def _end(self, event: JSONObject) -> Sequence[Fragment]:
        """Why it stopped, and the usage."""
        interaction = object_at(event, "interaction")
        status = text_at(interaction, "status")
        said = NOTHING if self._has_steps else self._whole_steps(interaction)
        told = [*said, *self._start(event), *self._usage_in(interaction)]
        if kind_of_ending(status):
            errors = objects_at(interaction, "errors") or listed(interaction.get("error"))
            if not errors:
                return [*told, self._unexplained(status)]
            return [*told, failure_in_stream(self._provider, errors[0])]
        held = self._release(is_cut=status in _CUT_SHORT)
        return [*held, *told, *([self._finish_of(status)] if status else NOTHING), End()]

    def _unexplained(self, status: str) -> Failure:
        """The failure that a status is, of which nothing more is said."""
        message, kind = f"the interaction ended with {status!r}", kind_of_ending(status)
        return Failure(
            make_error(self._provider, "UNKNOWN", message, status=200, codes={}, kind=kind)
        )

    def _whole_steps(self, interaction: JSONObject) -> list[Fragment]:
        """The steps of an answer of which nothing has come before its end."""
        found: list[Fragment] = []
        for index, step in enumerate(objects_at(interaction, "steps")):
            found += self._open_step({"index": index, "step": step})
            found += self._close_step({"index": index})
        return found

    def _finish_of(self, status: str) -> Finish:
        """Why it stopped; where there are calls to run, "stop" is "tool_calls"."""
        reason = FINISH_REASONS.get(status) or meaning(status)
        is_for_calls = reason == "stop" and self._calls_seen > 0
        return Finish("tool_calls" if is_for_calls else reason, status)

    def _open_call(self, index: int, step: JSONObject) -> ToolCallPiece:
        given = step.get("arguments")
        text = arguments_text(given, self._provider) if given else ""
        call = _OpenCall(self._calls_seen, text)
        self._calls.open(index, call)
        self._calls_seen += 1
        extra = {key: step[key] for key in step if key not in _READ_OF_CALLS and step[key]}
        name, call_id = as_string(step.get("name")), as_string(step.get("id"))
        return ToolCallPiece(call.number, call_id, name, extra=extra or None)

    def _release(self, *, is_cut: bool = False) -> list[Fragment]:
        held, self._held = self._held, None
        return [held] if held and not is_cut else []

    _readers: ClassVar[Mapping[str, _Reader]] = {
        "interaction.created": _start,
        "interaction.status_update": _update,
        "interaction.cancelled": _cancel,
        "step.start": _open_step,
        "step.delta": _change_step,
        "step.stop": _close_step,
        "interaction.completed": _end,
    }


_Reader: TypeAlias = Callable[[InteractionsDecoder, JSONObject], Sequence[Fragment]]


def _is_document(event: JSONObject) -> bool:
    """Whether this is the answer as one document: the server does not stream."""
    status = text_at(event, "status")
    is_told = isinstance(event.get("steps"), list) or bool(kind_of_ending(status))
    return bool(status) and is_told and not event.get("error")


def _thought(index: int, step: JSONObject) -> list[Fragment]:
    """Summaries of what the model thought, and the signature that has to come back."""
    parts = [object_at(step, "content"), *objects_at(step, "summary")]
    fragments: list[Fragment] = [
        Reasoning(text_at(part, "text"), index) for part in parts if text_at(part, "text")
    ]
    others = [part for part in parts if part and not text_at(part, "text")]
    fragments += [Extras({"steps": others})] if others else []
    read = {"type", "content", "summary"}
    extra = {key: value for key, value in step.items() if value and key not in read}
    return [*fragments, Reasoning(part=index, extra=extra)] if extra else fragments


def _other_content(part: JSONObject) -> list[Fragment]:
    """What the model says that is no text: kept as it came; an image is a file."""
    data, url = as_string(part.get("data")), as_string(part.get("uri"))
    is_image = part.get("type") == "image" and (data or url)
    file: list[Fragment] = [File(text_at(part, "mime_type"), data, url)] if is_image else []
    return [*file, Extras({"steps": [part]})]


def _unread(holder: JSONObject, read: frozenset[str]) -> list[Fragment]:
    found: dict[str, Any] = {k: v for k, v in holder.items() if v and k not in read}
    return [Extras(found)] if found else []


def _counts(raw: JSONObject) -> dict[str, int]:
    """The library's counts: what tools put into the prompt is part of it, thoughts of the rest."""
    given, used = count_at(raw, "total_input_tokens"), count_at(raw, "total_tool_use_tokens")
    written, thought = count_at(raw, "total_output_tokens"), count_at(raw, "total_thought_tokens")
    counts = usage_counts(
        prompt=None if given is None else given + (used or 0),
        completion=None if written is None else written + (thought or 0),
        cached=count_at(raw, "total_cached_tokens"),
        reasoning=thought,
    )
    return with_total(counts)


def _index(event: JSONObject) -> int:
    return as_int(event.get("index")) or 0
