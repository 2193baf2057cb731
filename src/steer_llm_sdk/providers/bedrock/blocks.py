"""The content blocks of a Converse answer, by their index.

A block of text or reasoning just begins with its first delta; calls, and what the provider did
itself, are announced and closed. What the provider did itself (its own tools and their results,
images, what may come) is gathered, and kept whole in the events' metadata under ``content_blocks``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from steer_llm_sdk.models.fragments import (
    Extras,
    File,
    Fragment,
    PartData,
    PartEnd,
    ProviderItem,
    Reasoning,
    ToolCallPiece,
)
from steer_llm_sdk.providers.open_calls import OpenCalls
from steer_llm_sdk.providers.reading import (
    JSONObject,
    as_list,
    as_object,
    as_string,
    json_text,
    object_at,
    text_at,
)

NOTHING: tuple[Fragment, ...] = ()

_CALL_FIELDS = frozenset({"toolUseId", "name", "type", "input"})
_REASONING_FIELDS = frozenset({"text", "reasoningText"})

# A tool that runs at the provider; any other is the caller's to run.
_SERVER_TOOL = "server_tool_use"


class _OpenCall(msgspec.Struct):
    """A call whose block is open: its number, and its input where that came at first."""

    number: int
    given: str = ""
    has_arguments: bool = False


class _OpenBlock(msgspec.Struct):
    """A block that only passes through: how it began, and what came after."""

    kind: str
    fields: JSONObject
    deltas: list[Any]

    def whole(self) -> JSONObject:
        """The block as the provider would send it whole, under its kind."""
        return {self.kind: self.fields | _GATHERED.get(self.kind, _as_deltas)(self.deltas)}


class ContentBlocks:
    """The blocks of one message.

    A call without arguments looks just like one that the token limit cut before its first
    argument. Only what follows tells them apart, so the end of such a call is held until another
    block begins (`open`, `change`) or the message says why it stopped (`release`).

    Attributes:
        held: The end of such a call.
    """

    def __init__(self) -> None:
        self._calls: OpenCalls[_OpenCall] = OpenCalls()
        self._others: dict[int, _OpenBlock] = {}
        self._calls_seen = 0
        self.held: ToolCallPiece | None = None

    @property
    def has_calls(self) -> bool:
        """Whether the message has called a tool that the caller is to run."""
        return self._calls_seen > 0

    def open(self, index: int, start: JSONObject) -> list[Fragment]:
        """A block is announced."""
        fragments = self.release()
        kind = next((key for key in start if key in _GATHERED), next(iter(start), ""))
        beside = {key: value for key, value in start.items() if key != kind and value}
        fragments += [Extras(beside)] if beside else NOTHING
        fields = object_at(start, kind)
        if kind == "text":
            return [*fragments, *self.change(index, start)]  # some gateways begin with words
        if kind == "toolUse" and fields.get("type") != _SERVER_TOOL:
            return [*fragments, self._open_call(index, fields)]
        if kind:
            self._others[index] = _OpenBlock(kind, fields, [])
        return fragments

    def change(self, index: int, delta: JSONObject) -> list[Fragment]:
        """A block grows."""
        fragments = self.release()
        for kind, value in delta.items():
            if kind == "text":
                fragments += [value] if isinstance(value, str) and value else NOTHING
            elif kind == "reasoningContent":
                fragments += _reasoning(index, as_object(value))
            elif kind == "citation":
                fragments += _cite(value)
            elif kind == "toolUse":
                fragments += self._change_input(index, as_object(value))
            elif self._belongs(index, kind):
                self._gather(index, kind, value)
            else:
                fragments.append(Extras({kind: value}))
        return fragments

    def add_input(self, index: int, piece: str) -> Sequence[Fragment]:
        """A piece of the arguments of a call, as JSON text."""
        call = None if index in self._others else self._calls.find(index)
        if call is not None and piece:
            call.has_arguments = True
            return (ToolCallPiece(call.number, arguments=piece),)
        if call is None and piece:
            self._gather(index, "toolUse", piece)
        return NOTHING

    def _change_input(self, index: int, delta: JSONObject) -> list[Fragment]:
        beside = {key: value for key, value in delta.items() if key != "input" and value}
        found = self.add_input(index, json_text(delta.get("input")))
        return [*([Extras(beside)] if beside else NOTHING), *found]

    def close(self, index: int) -> Sequence[Fragment]:
        """A block ends."""
        if call := self._calls.close(index):
            if call.has_arguments or call.given:
                rest = "" if call.has_arguments else call.given
                return (ToolCallPiece(call.number, arguments=rest, is_whole=True),)
            self.held = ToolCallPiece(call.number, arguments="{}", is_whole=True)
            return NOTHING
        if block := self._others.pop(index, None):
            whole = block.whole()
            return (*_as_file(whole), ProviderItem(whole), Extras({"content_blocks": [whole]}))
        return (PartEnd("text"),)

    def release(self, *, is_cut: bool = False) -> list[Fragment]:
        """The end of a call that was held; none where the message was cut: it is not whole."""
        held, self.held = self.held, None
        return [held] if held and not is_cut else []

    def _open_call(self, index: int, call: JSONObject) -> ToolCallPiece:
        number = self._calls_seen
        self._calls_seen += 1
        self._calls.open(index, _OpenCall(number, json_text(call.get("input") or None)))
        extra = {key: call[key] for key in call if key not in _CALL_FIELDS}
        name, call_id = as_string(call.get("name")), as_string(call.get("toolUseId"))
        return ToolCallPiece(number, call_id, name, extra=extra or None)

    def _belongs(self, index: int, kind: str) -> bool:
        """Whether this is a piece of a block that is gathered."""
        block = self._others.get(index)
        if block is None:
            return kind in _GATHERED
        return kind == block.kind or block.kind not in _GATHERED

    def _gather(self, index: int, kind: str, value: Any) -> None:
        block = self._others.setdefault(index, _OpenBlock(kind, {}, []))
        block.deltas.append(value)


def _cite(citation: Any) -> list[Fragment]:
    if not isinstance(citation, dict) or not citation:
        return []
    return [PartData("text", {}, [citation]), Extras({"citations": [citation]})]


def _as_file(block: JSONObject) -> list[Fragment]:
    """The image that a block is, whole; none where it is something else."""
    image = object_at(block, "image")
    data = text_at(object_at(image, "source"), "bytes")
    return [File(f"image/{text_at(image, 'format') or 'png'}", data)] if data else []


def _reasoning(index: int, delta: JSONObject) -> list[Fragment]:
    """Words, or what has to come back with them: a signature, or content that is redacted."""
    delta = delta | object_at(delta, "reasoningText")  # as in a message that is whole
    text = text_at(delta, "text")
    extra = {key: value for key, value in delta.items() if key not in _REASONING_FIELDS and value}
    return [Reasoning(text, index, extra or None)] if text or extra else []


# --- blocks that are gathered -------------------------------------------------------------------


def _as_input(deltas: Sequence[Any]) -> JSONObject:
    text = "".join(piece for piece in deltas if isinstance(piece, str))
    try:
        return {"input": msgspec.json.decode(text)} if text else {}
    except (ValueError, RecursionError):
        return {"input": text}


def _as_content(deltas: Sequence[Any]) -> JSONObject:
    return {"content": [item for each in deltas for item in as_list(each)]}


def _as_image(deltas: Sequence[Any]) -> JSONObject:
    """An image whose bytes came in several pieces, each of them base64 of its own."""
    sources = [object_at(each, "source") for each in deltas if isinstance(each, dict)]
    pieces = [text_at(source, "bytes") for source in sources]
    try:
        data = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except binascii.Error:
        return {"deltas": list(deltas)}
    if not data:
        return _as_deltas(deltas)
    return {"source": {"bytes": base64.b64encode(data).decode()}}


def _as_deltas(deltas: Sequence[Any]) -> JSONObject:
    return {"deltas": list(deltas)} if deltas else {}


_GATHERED = {"toolUse": _as_input, "toolResult": _as_content, "image": _as_image}
