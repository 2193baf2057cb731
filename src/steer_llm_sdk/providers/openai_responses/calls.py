"""The calls of one response that the caller is to run, from their items and their deltas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from steer_llm_sdk.models.fragments import PartData, ToolCallPiece, ToolCallType
from steer_llm_sdk.providers.openai_responses.said import ItemKey, add_rest
from steer_llm_sdk.providers.reading import as_string, json_text, object_at, objects_at, text_at


class _Kind(msgspec.Struct, frozen=True):
    """How an item of one type is a call: where its arguments are, and its name if it has none."""

    type: ToolCallType
    arguments: tuple[str, ...]
    name: str | None = None
    is_streamed: bool = False  # the arguments come in deltas; others when their item is closed


# https://platform.openai.com/docs/api-reference/responses/object#responses/object-output
CALL_ITEMS: Mapping[str, _Kind] = {
    "function_call": _Kind("function", ("arguments",), is_streamed=True),
    "custom_tool_call": _Kind("custom", ("input",), is_streamed=True),
    "shell_call": _Kind("shell", ("action",), "shell"),
    "local_shell_call": _Kind("shell", ("action",), "local_shell"),
    "apply_patch_call": _Kind("apply_patch", ("operation",), "apply_patch"),
    "computer_call": _Kind("computer", ("actions", "action"), "computer"),
    "mcp_approval_request": _Kind("mcp_approval", ("arguments",)),
    "tool_search_call": _Kind("tool_search", ("arguments",), "tool_search"),
}

# What a call has beside its id, its name and its arguments, and the answer to it may need.
KEPT_OF_CALLS = ("async", "caller", "namespace", "pending_safety_checks", "server_label")

# What may be ciphertext in place of free text: every piece is a whole text of base64.
_ENCODED_WHOLE = re.compile(r"(?:[A-Za-z0-9+/_-]{4}){3,}|[A-Za-z0-9+/_-]{6,}={1,2}")


_Piece: TypeAlias = ToolCallPiece | PartData


class _Call(msgspec.Struct):
    index: int
    type: ToolCallType
    id: str | None = None
    name: str | None = None
    said: list[str] = []  # of the arguments
    held: str = ""  # what may be no part of them
    given: str = ""  # what the item said of them at first: deltas may say it once more
    has_all_arguments: bool = False
    has_extra: bool = False
    is_closed: bool = False
    is_withdrawn: bool = False
    is_hosted: bool = False  # the provider runs it

    def take(self, piece: str) -> str:
        """The piece of the arguments that may be given out: nothing while they may be others.

        GitHub Copilot streams arguments encrypted, and vLLM (https://github.com/vllm-project/vllm/pull/42683)
        without their first piece. Both say them as they are when the call is closed.
        """
        if not self.said:
            if self._may_be_others(self.held + piece, piece):
                self.held += piece
                return ""
            piece, self.held = self.held + piece, ""
        self.said.append(piece)
        return piece

    def take_all(self, arguments: str) -> str:
        """What the whole arguments add to what was given out."""
        whole = arguments or "".join(self.said) + self.held or self.given
        self.held = ""
        return add_rest(self.said, whole)

    def _may_be_others(self, so_far: str, piece: str) -> bool:
        if self.type == "function":
            return not so_far.lstrip().startswith(("{", "["))
        return _ENCODED_WHOLE.fullmatch(piece) is not None


class OfferedTools:
    """The tools that a response says it was offered: it repeats those of the request.

    A call of a custom tool is the provider's own where the request had no such tool and had one of
    the provider's: xAI writes the steps of its search so (https://docs.x.ai/docs/guides/tools).
    """

    def __init__(self) -> None:
        self._custom: set[str] = set()
        self._kinds: set[str] = set()

    def note(self, response: Mapping[str, Any]) -> None:
        """Note what the response repeats of the request."""
        tools = list(_all_tools(response))
        self._custom |= {text_at(tool, "name") for tool in tools if tool.get("type") == "custom"}
        self._kinds |= {text_at(tool, "type") for tool in tools}

    def is_call(self, item: Mapping[str, Any]) -> bool:
        """Whether the caller is to run this item."""
        is_known = item.get("type") != "custom_tool_call" or text_at(item, "name") in self._custom
        return is_call(item) and (is_known or not self._has_hosted)

    @property
    def _has_hosted(self) -> bool:
        # What a search of the caller's finds is not among the tools that are repeated.
        return not self._kinds <= _KINDS_OF_CALLERS and "tool_search" not in self._kinds


_KINDS_OF_CALLERS = frozenset({"", "function", "custom", "namespace"})


def _all_tools(holder: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The tools in a list, and those in a namespace."""
    for tool in objects_at(holder, "tools"):
        yield tool
        yield from objects_at(tool, "tools")


class OpenCalls:
    """Numbers the calls in order of appearance, and knows what of each has been said.

    Deltas name a call by its item's number, or by its item's id where a server numbers nothing
    (llama.cpp): that is the `item_key` by which it is found again. An id that was announced says
    more than a number: gateways give one to several items, or count deltas otherwise; but some
    (GitHub Copilot) name an item anew in each event.

    Attributes:
        tools: The tools that the response says it was offered.
    """

    def __init__(self) -> None:
        self.tools = OfferedTools()
        self._calls: list[_Call] = []
        self._by_item: dict[ItemKey, _Call] = {}
        self._by_id: dict[object, _Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def has_finished(self) -> bool:
        """Whether there is a call that the caller is to run."""
        return any(not call.is_withdrawn for call in self._calls)

    def open(self, item_key: ItemKey, item: Mapping[str, Any]) -> Iterator[ToolCallPiece]:
        """An item has appeared: its first piece, where its arguments will be streamed.

        What the item says of its arguments is not taken yet: deltas may follow.
        """
        kind = _kind_of(item)
        if kind is None or not kind.is_streamed:
            return
        if is_hosted := not self.tools.is_call(item):
            call = self._by_item[item_key] = _Call(-1, kind.type, is_hosted=True)
        else:
            call = self._begin(item_key, kind.type)
        call.given = _arguments_of(kind, item)
        self._by_id |= {item[key]: call for key in ("id", "call_id") if text_at(item, key)}
        if not is_hosted:
            yield self._piece(call, item)

    def delta(
        self,
        item_key: ItemKey,
        item_id: str | None,
        text: str,
        type: ToolCallType,  # noqa: A002
    ) -> tuple[ToolCallPiece, ...]:
        """A piece of the arguments. A call that nobody announced begins here, with its `type`."""
        call = self._find(item_key, item_id) or self._begin(item_key, type)
        given = "" if call.is_hosted else call.take(text)
        return (ToolCallPiece(call.index, arguments=given, type=call.type),) if given else ()

    def arguments(
        self,
        item_key: ItemKey,
        item_id: str | None,
        text: str,
        type: ToolCallType,  # noqa: A002
        event: Mapping[str, Any],
    ) -> Iterator[ToolCallPiece]:
        """The whole arguments: a piece with what nothing has brought yet; `event` may name them."""
        call = self._find(item_key, item_id)
        if call is None:
            if not text:
                return
            call = self._begin(item_key, type)
        if call.is_hosted:
            return
        call.has_all_arguments = True
        piece = self._piece(call, event)
        piece.arguments = call.take_all(text)
        if piece.arguments or piece.id or piece.name:
            yield piece

    def close(self, item_key: ItemKey, item: Mapping[str, Any]) -> Iterator[_Piece]:
        """A call's item is closed: its last piece, with whatever of it has not been said."""
        kind = CALL_ITEMS[item["type"]]
        call = self._by_id.get(_id_of(item)) or self._by_item.get(item_key)
        if call is None or (call.is_closed and call.id != _id_of(item)):
            call = self._begin(item_key, kind.type)
        if not call.is_closed:
            yield from self._last_piece(call, kind, item)

    def close_all(self, items: Sequence[Mapping[str, Any]], *, is_whole: bool) -> Iterator[_Piece]:
        """The response has ended: the last pieces of the calls whose items were not closed.

        Args:
            items: The items of the final response; a call is known by its id there.
            is_whole: Whether the response is. If so, a call that is not among its items, or that
                nothing has closed where it has none, is no call; if not, it stays open.
        """
        found = {_id_of(item): item for item in items if self.tools.is_call(item)}
        for call in self._calls:
            if call.is_closed:
                continue
            if (item := found.get(call.id)) is not None:
                yield from self._last_piece(call, CALL_ITEMS[item["type"]], item)
            elif is_whole:
                rest = "" if items or call.said else call.given
                call.is_withdrawn = bool(items) or not (call.has_all_arguments or rest)
                yield ToolCallPiece(
                    call.index,
                    arguments=rest,
                    type=call.type,
                    is_whole=not call.is_withdrawn,
                    is_withdrawn=call.is_withdrawn,
                )

    def _find(self, item_key: ItemKey, item_id: str | None) -> _Call | None:
        """The call that a delta continues; without a number, the last one that is open."""
        call = self._by_id.get(item_id) or self._by_item.get(item_key)
        if call is not None or isinstance(item_key, int):
            return call
        last = self._calls[-1] if self._calls else None
        return None if last is None or last.is_closed else last

    def _begin(self, item_key: ItemKey, type: ToolCallType) -> _Call:  # noqa: A002
        call = _Call(len(self._calls), type)
        self._calls.append(call)
        self._by_item[item_key] = call
        return call

    def _last_piece(self, call: _Call, kind: _Kind, item: Mapping[str, Any]) -> Iterator[_Piece]:
        call.is_closed = True
        piece = self._piece(call, item, kind.name)
        piece.arguments = call.take_all(_arguments_of(kind, item))
        # The item of a call that the length limit cut is closed too, with this status.
        piece.is_whole = item.get("status") != "incomplete"
        yield piece
        if kept := _wanted_back(kind, item):
            yield PartData("tool_call", kept, index=call.index)

    @staticmethod
    def _piece(call: _Call, item: Mapping[str, Any], name: str | None = None) -> ToolCallPiece:
        """A piece with the id, the name and the like, where they have not been said."""
        piece = ToolCallPiece(call.index, type=call.type)
        if call.id is None:
            call.id = piece.id = _id_of(item)
        if call.name is None:
            call.name = piece.name = name or as_string(item.get("name"))
        kept = {key: item[key] for key in KEPT_OF_CALLS if item.get(key)}
        if kept and not call.has_extra:
            call.has_extra = True
            piece.extra = kept
        return piece


def is_call(item: Mapping[str, Any]) -> bool:
    """Whether the caller is to run this item.

    A shell call in the provider's own container is not, nor a search that the provider does; a
    shell call on the caller's machine names no container.
    """
    if item.get("type") == "tool_search_call":
        return item.get("execution") == "client"
    where = text_at(object_at(item, "environment"), "type")
    return _kind_of(item) is not None and not where.startswith("container")


def _wanted_back(kind: _Kind, item: Mapping[str, Any]) -> dict[str, Any]:
    """What of a call the next request has beside its name and arguments: its item's identifier.

    All of a call that is no function: it says more than its arguments.
    """
    if not kind.is_streamed:
        return {"raw": dict(item)}
    item_id = as_string(item.get("id"))
    return {"id": item_id} if item_id and as_string(item.get("call_id")) else {}


def _arguments_of(kind: _Kind, item: Mapping[str, Any]) -> str:
    found = [item[key] for key in kind.arguments if item.get(key) is not None]
    # Of several actions the list has all, where it is not left empty.
    return json_text(next(filter(None, found), found[0] if found else None))


def _kind_of(item: Mapping[str, Any]) -> _Kind | None:
    return CALL_ITEMS.get(text_at(item, "type"))


def _id_of(item: Mapping[str, Any]) -> str | None:
    """The id under which the answer is sent back; a copy that knows but one id uses that."""
    return as_string(item.get("call_id")) or as_string(item.get("id"))
