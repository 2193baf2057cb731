"""The content blocks of an Anthropic message: opened, grown by deltas, closed, by their index.

Text, reasoning and the calls that the caller is to run become fragments as they come. Every other
block (what the provider ran itself: web search, code execution, MCP; a compaction; what may come)
is gathered, and given whole when it is closed: as an item of the provider's, and in the events'
metadata under ``content_blocks``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeAlias

import msgspec

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.fragments import (
    Extras,
    Fragment,
    Identity,
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
    as_string,
    json_text,
    object_at,
    text_at,
)

NOTHING: tuple[Fragment, ...] = ()

_CALL_FIELDS = frozenset({"type", "id", "name", "input"})

# What is read of blocks and deltas; anything beside it is kept in metadata. A call keeps it itself,
# and a fallback is kept whole.
_BLOCK_FIELDS: Mapping[str, Sequence[str]] = {
    "text": ("text", "citations"),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
}
_DELTA_FIELDS: Mapping[str, Sequence[str]] = {
    "text_delta": ("text",),
    "thinking_delta": ("thinking", "signature"),
    "signature_delta": ("signature",),
    "citations_delta": ("citation",),
    "input_json_delta": ("partial_json",),
}


class _OpenCall(msgspec.Struct):
    """A call whose block is open: its number among the calls, and its input as given at first."""

    number: int
    given: str
    has_arguments: bool = False


class _OpenBlock(msgspec.Struct):
    """A block that only passes through: its fields so far, and the pieces of its input."""

    fields: JSONObject
    pieces: list[str]

    def whole(self) -> JSONObject:
        text = "".join(self.pieces)
        if not text:
            return self.fields
        try:
            return self.fields | {"input": msgspec.json.decode(text)}
        except (ValueError, RecursionError):
            return self.fields | {"input": text}


class ContentBlocks:
    """The blocks of one message.

    A call without arguments looks just like one that the token limit cut before its first
    argument, and reasoning that is not signed like reasoning that was cut before its signature.
    Only what follows tells them apart, so the end of such a block is held until another one opens
    (`open`) or the message says why it stopped (`release`).

    Args:
        provider: The provider's name, for errors.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls: OpenCalls[_OpenCall] = OpenCalls()
        self._others: dict[int, _OpenBlock] = {}
        self._texts: set[int] = set()  # the blocks of text that are open
        self._thoughts: dict[int, bool] = {}  # the blocks of thinking, and whether each is signed
        self._calls_seen = 0
        self._held: ToolCallPiece | PartData | None = None

    @property
    def has_calls(self) -> bool:
        """Whether the message has called a tool that the caller is to run."""
        return self._calls_seen > 0

    def open(self, index: int, block: JSONObject) -> list[Fragment]:
        """A block begins; some servers send it whole."""
        fragments = self.release()
        kind = text_at(block, "type")
        read = self._openers.get(kind)
        if read is not None:
            beside = _unread(block, _BLOCK_FIELDS[kind]) if kind in _BLOCK_FIELDS else NOTHING
            return [*fragments, *beside, *read(self, index, block)]
        self._others[index] = _OpenBlock(block, [])
        return fragments

    def change(self, index: int, delta: JSONObject) -> Sequence[Fragment]:
        """A block grows."""
        kind = text_at(delta, "type") or _kind_by_field(delta)
        read = self._changers.get(kind)
        if read is not None:
            return [*_unread(delta, _DELTA_FIELDS[kind]), *read(self, index, delta)]
        if index in self._others:  # `compaction_delta`, and what may come
            self._others[index].fields |= {k: v for k, v in delta.items() if k != "type"}
        return NOTHING

    def close(self, index: int, block: JSONObject | None = None) -> Sequence[Fragment]:
        """A block ends; some servers say the whole of it once more, as `block`."""
        if call := self._calls.close(index):
            call.given = call.given or self._input_text((block or {}).get("input"))
            return self._close_call(call)
        if other := self._others.pop(index, None):
            whole = other.whole()
            return (ProviderItem(whole), Extras({"content_blocks": [whole]}))
        if index in self._thoughts:
            return self._close_thinking(index, block or {})
        return self._end_texts() if index in self._texts else NOTHING

    def release(self, *, is_cut: bool = False) -> list[Fragment]:
        """The end of a block that was held; none where the message was cut: it is not whole."""
        held, self._held = self._held, None
        return [held] if held and not is_cut else []

    def add_thinking(self, index: int, text: str) -> Sequence[Fragment]:
        """Reasoning; each block is a part of its own."""
        if not text:
            return NOTHING
        self._thoughts.setdefault(index, False)
        return (Reasoning(text, index),)

    def add_input(self, index: int, piece: str) -> Sequence[Fragment]:
        """A piece of the arguments of a call, as JSON text."""
        if index in self._others:
            self._others[index].pieces.append(piece)
            return NOTHING
        call = self._calls.find(index)
        if call is None or not piece:
            return NOTHING
        call.has_arguments = True
        return (ToolCallPiece(call.number, arguments=piece),)

    def _close_thinking(self, index: int, block: JSONObject) -> Sequence[Fragment]:
        """The end of reasoning; its signature may come here, or right behind it."""
        signed = NOTHING if self._thoughts[index] else self._change_signature(index, block)
        if not self._thoughts.pop(index):
            self._held = PartData("reasoning", {"signature": ""}, is_earlier=True)
        return signed

    def _close_call(self, call: _OpenCall) -> Sequence[Fragment]:
        if call.has_arguments or call.given:
            rest = "" if call.has_arguments else call.given
            return (ToolCallPiece(call.number, arguments=rest, is_whole=True),)
        self._held = ToolCallPiece(call.number, arguments="{}", is_whole=True)
        return NOTHING

    def _open_text(self, index: int, block: JSONObject) -> Sequence[Fragment]:
        ends = self._end_texts()
        self._texts.add(index)
        cited = (part for one in as_list(block.get("citations")) for part in _cite(one))
        return [*ends, *cited, *self._change_text(index, block)]

    def _end_texts(self) -> Sequence[Fragment]:
        """The block of text that is open is whole."""
        if not self._texts:
            return NOTHING
        self._texts.clear()
        return (PartEnd("text"),)

    def _open_redacted_thinking(self, index: int, block: JSONObject) -> Sequence[Fragment]:
        data = text_at(block, "data")
        return (Reasoning(part=index, extra={"data": data}),) if data else NOTHING

    def _open_tool_use(self, index: int, block: JSONObject) -> Sequence[Fragment]:
        call = _OpenCall(self._calls_seen, self._input_text(block.get("input")))
        self._calls.open(index, call)
        self._calls_seen += 1
        name, call_id = as_string(block.get("name")), as_string(block.get("id"))
        extra = {key: block[key] for key in block if key not in _CALL_FIELDS}
        return (ToolCallPiece(call.number, call_id, name, extra=extra or None),)

    def _open_fallback(self, index: int, block: JSONObject) -> Sequence[Fragment]:
        """Another model takes over: https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback."""
        self._others[index] = _OpenBlock(block, [])
        model = as_string(object_at(block, "to").get("model"))
        return (Identity(model=model),) if model else NOTHING

    def _input_text(self, given: object) -> str:
        """The input that came with the start of a call: Anthropic's ``{}``, or the whole of it."""
        if isinstance(given, str):
            return given
        if not given:
            return ""
        try:
            return msgspec.json.encode(given).decode()
        except RecursionError:
            message = f"{self._provider}: the input of a tool call is nested too deeply"
            raise ProtocolError(message) from None

    def _change_text(self, index: int, delta: JSONObject) -> Sequence[Fragment]:
        del index  # text is one stream, whichever block it stands in
        text = text_at(delta, "text")
        return (text,) if text else NOTHING

    def _change_thinking(self, index: int, delta: JSONObject) -> Sequence[Fragment]:
        words = self.add_thinking(index, text_at(delta, "thinking"))
        return [*words, *self._change_signature(index, delta)]

    def _change_signature(self, index: int, delta: JSONObject) -> Sequence[Fragment]:
        signature = text_at(delta, "signature")
        if not signature:
            return NOTHING
        if index not in self._thoughts and isinstance(self._held, PartData):
            self._held = None  # its block is closed already
        else:
            self._thoughts[index] = True
        return (Reasoning(part=index, extra={"signature": signature}),)

    def _change_citations(self, index: int, delta: JSONObject) -> Sequence[Fragment]:
        del index  # it rides with the text of its block
        return _cite(delta.get("citation"))

    def _change_input(self, index: int, delta: JSONObject) -> Sequence[Fragment]:
        return self.add_input(index, json_text(delta.get("partial_json")))

    _openers: ClassVar[Mapping[str, _Reader]] = {
        "text": _open_text,
        "thinking": _change_thinking,
        "redacted_thinking": _open_redacted_thinking,
        "tool_use": _open_tool_use,
        "fallback": _open_fallback,
    }
    _changers: ClassVar[Mapping[str, _Reader]] = {
        "text_delta": _change_text,
        "thinking_delta": _change_thinking,
        "signature_delta": _change_signature,
        "citations_delta": _change_citations,
        "input_json_delta": _change_input,
    }


def _kind_by_field(delta: JSONObject) -> str:
    """What a delta is whose server leaves its type out."""
    kinds = (kind for kind, fields in _DELTA_FIELDS.items() if delta.keys() & set(fields))
    return next(kinds, "")


def _cite(citation: object) -> Sequence[Fragment]:
    if not isinstance(citation, dict) or not citation:
        return NOTHING
    return (PartData("text", {}, [citation]), Extras({"citations": [citation]}))


def _unread(holder: JSONObject, read: Sequence[str]) -> Sequence[Fragment]:
    found = {k: v for k, v in holder.items() if v and k != "type" and k not in read}
    return (Extras(found),) if found else NOTHING


_Reader: TypeAlias = Callable[[ContentBlocks, int, JSONObject], Sequence[Fragment]]
