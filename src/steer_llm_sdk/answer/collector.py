"""Puts a response together from the deltas that have been delivered so far."""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.answer.deltas import CALL_NAMES
from steer_llm_sdk.answer.said_once import said_once
from steer_llm_sdk.models.events import StreamDeltaEvent, set_arguments
from steer_llm_sdk.models.parts import ToolCallPart
from steer_llm_sdk.models.responses import StreamingResponse, growing_texts
from steer_llm_sdk.models.strict_json import strict_loads
from steer_llm_sdk.models.text import TextPieces
from steer_llm_sdk.structured.partial import PartialJSON


class CallInProgress:
    """One tool call while its pieces arrive."""

    __slots__ = ("arguments", "extra", "id", "name", "partial", "type")

    def __init__(self, identifier: str, name: str, kind: str) -> None:
        self.id = identifier
        self.name = name
        self.type = kind
        self.arguments = TextPieces()
        self.extra: dict[str, Any] = {}
        self.partial = PartialJSON(self.arguments) if kind != "custom" else None

    def as_dict(self) -> dict[str, Any]:
        """The call as `StreamingResponse.tool_calls` shows it."""
        call: dict[str, Any] = {"id": self.id, "name": self.name}
        call["arguments"] = str(self.arguments)
        if self.type != "function":
            call["type"] = self.type
        return call | self.extra


class Collector:
    """Puts one stream's deltas together into a `StreamingResponse`.

    Words that nothing rewrites are added to the text by the `Intake`; everything else here.
    """

    def __init__(self, response: StreamingResponse) -> None:
        self.response = response
        self.calls: dict[int, CallInProgress] = {}
        self._closed: set[int] = set()  # by the provider; perhaps before their pieces are added
        self._withdrawn: set[int] = set()  # the answer is whole without them
        self._has_ended = False
        self._has_finished = False
        self._was_cut = False
        texts = growing_texts(response)
        self._text = texts["text"]
        self._reasoning = texts["reasoning"]
        self._refusal = texts["refusal"]
        self._commentary = texts["commentary"]

    def add(self, event: StreamDeltaEvent) -> None:
        """Add one delta."""
        delta = event.delta
        if isinstance(delta, str):
            self._text.append(delta)
            return
        kind = delta.get("type")
        if kind == "reasoning":
            self._reasoning.append(_words(delta, "text"))
        elif kind == "refusal":
            self._refusal.append(_words(delta, "text"))
        elif kind == "commentary":
            self._commentary.append(_words(delta, "text"))
        elif kind == "tool_call":
            set_arguments(event, self._add_call(delta))

    def close_call(self, index: int) -> None:
        """Note that the provider closed this call: it is among the response's from now on."""
        self._closed.add(index)
        if index in self.calls:
            self._list_finished()

    def withdraw_call(self, index: int) -> None:
        """Note that the provider gave a whole answer without this call."""
        self._withdrawn.add(index)

    def _add_call(self, delta: dict[str, Any]) -> PartialJSON | None:
        index = delta.get("index")
        index = index if isinstance(index, int) else 0
        call = self.calls.get(index)
        if call is None:
            kind = _words(delta, "call_type") or "function"
            call = self.calls[index] = CallInProgress("", "", kind)
        call.id = _words(delta, "id") or call.id
        call.name = _words(delta, "name") or call.name
        call.arguments.append(_words(delta, "arguments"))
        call.extra.update((key, value) for key, value in delta.items() if key not in CALL_NAMES)
        return call.partial

    def settle(self, *, has_finished: bool, was_cut: bool) -> None:
        """Write what has been put together into the response.

        Args:
            has_finished: The provider said that the answer had finished, by a reason or by its
                terminal marker: calls without a close are closed.
            was_cut: It stopped in the middle (for length, by a filter): the last call may be cut.
        """
        self._has_ended = True
        self._has_finished = has_finished
        self._was_cut = was_cut
        incomplete = self._list_finished()
        calls: list[Any] = [call.as_dict() for call in incomplete]
        self.response.incomplete_tool_calls = calls

    def part(self, index: int) -> ToolCallPart:
        """Make the part of a call as it stands."""
        call = self.calls.get(index)
        if call is None:  # text transformers still hold it, or have dropped it
            return ToolCallPart()
        done = self._finished(index)
        arguments = str(call.arguments) if done is None else done["arguments"]
        return ToolCallPart(call.id, call.name, arguments, done is not None, call.type)

    def _list_finished(self) -> list[CallInProgress]:
        """Write the finished calls into the response, in order; return the others."""
        incomplete: list[CallInProgress] = []
        finished: list[Any] = []
        for index in sorted(self.calls):
            done = self._finished(index)
            if done is None:
                incomplete.append(self.calls[index])
            else:
                finished.append(done)
        self.response.tool_calls = finished
        return incomplete

    def _finished(self, index: int) -> dict[str, Any] | None:
        if index in self._withdrawn:
            return None
        is_cut = self._was_cut and index == max(self.calls)
        is_closed = index in self._closed or (self._has_finished and not is_cut)
        return _finished(
            self.calls[index],
            is_closed=is_closed,
            has_finished=self._has_finished,
            is_followed=self._has_ended and index < max(self.calls),
        )


_NO_ARGUMENTS = frozenset({"", "null", '""'})


def _finished(
    call: CallInProgress, *, is_closed: bool, has_finished: bool, is_followed: bool
) -> dict[str, Any] | None:
    """Return the call when it may be run, else None.

    A JSON object shows its own end, so one that parses is whole even where the answer was cut just
    after it; so is one that another call followed before the answer broke off, unless it is empty,
    which may be what a server begins every call with. Free text and bare values do not, so they
    need the provider's close. Nothing at all stands for an object without members, and so does
    ``null``, as some models write it.
    """
    done = call.as_dict()
    if not call.name:
        return None
    if call.type == "custom":
        return done if is_closed else None
    if done["arguments"].strip() in _NO_ARGUMENTS:
        return {**done, "arguments": "{}"} if is_closed else None
    value = _parsed(done["arguments"])
    if isinstance(value, str) and isinstance(_parsed(value), dict):  # written as JSON twice
        done, value = done | {"arguments": value}, _parsed(value)
    if value is None:
        once = said_once(done["arguments"])
        return (
            None if once is None or not (is_closed or has_finished) else done | {"arguments": once}
        )
    is_whole = isinstance(value, dict) and (has_finished or (is_followed and bool(value)))
    return done if is_closed or is_whole else None


def _parsed(arguments: str) -> Any:
    """Parse the arguments; None where they are not JSON."""
    try:
        return strict_loads(arguments)
    except (ValueError, RecursionError):
        return None


def _words(delta: dict[str, Any], key: str) -> str:
    """The text at a key of a delta; empty where a transformer left something else there."""
    found = delta.get(key)
    return found if isinstance(found, str) else ""
