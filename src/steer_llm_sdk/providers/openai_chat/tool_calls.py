"""Which call a piece of a tool call belongs to.

OpenAI numbers the calls and names each one once, in its first piece; the servers that copy it do
not. Seen: no index at all; the same index for all calls; an index that starts at 1, or that drifts
between the pieces of one call; the id and the name repeated in every piece; whole calls in one
chunk; no ids; one id for several calls; a name in pieces. So the order of belief is: the id, then
the index, then the order of arrival.
"""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.models.fragments import ToolCallPiece, ToolCallType


class _Call:
    """What is known so far of one call."""

    __slots__ = ("end", "id", "name", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.id: str | None = None
        self.name: str | None = None
        self.end = ""  # the last character of its arguments

    def may_be(self, name: str | None) -> bool:
        """Whether nothing in a name speaks against this call."""
        return not name or self.name in {None, name}

    def takes(self, name: str | None) -> bool:
        """Whether a name is this call's: the same, or a piece of one, before there are arguments.

        A call without an id may be followed by another at the same index, before it has arguments.
        """
        return self.may_be(name) or (self.id is not None and not self.end)

    def is_followed_by(self, arguments: str) -> bool:
        """Whether arguments are of another call: these were an object, and there begins another."""
        return self.end == "}" and arguments.startswith("{")

    def add_name(self, name: str) -> str | None:
        """Add a name or a piece of it; gives what the call is called now, None where it was before.

        What begins with all that is known is the whole, as far as it has come.
        """
        earlier = self.name or ""
        self.name = name if name.startswith(earlier) else earlier + name
        return None if self.name == earlier else self.name


class ToolCallIndexes:
    """Settles the numbers of the tool calls of one answer: 0, 1, 2 … in order of appearance."""

    __slots__ = ("_again", "_by_id", "_by_index", "_count", "_last")

    def __init__(self) -> None:
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._last: _Call | None = None
        # The index of a piece that repeated the name and the id of a call which seems whole:
        # another call may begin there, as its arguments will tell.
        self._again: int | None = None
        self._count = 0

    def __len__(self) -> int:
        """How many calls have begun."""
        return self._count

    def settle(
        self,
        index: int | None,
        id: str | None,  # noqa: A002 - the word of the wire
        name: str | None,
        arguments: str,
        *,
        kind: ToolCallType = "function",
        extra: dict[str, Any] | None = None,
    ) -> ToolCallPiece | None:
        """The piece under its call's number; None when it says nothing.

        The id and the name are given out once, with the first piece that has them: what a server
        repeats is not part of the call a second time. A name in pieces is given as far as it goes.
        """
        if id or name:
            call = self._call_of(index, id, name, arguments)
        elif arguments or extra:
            # Arguments alone continue something: where the index is unknown, it has drifted.
            call = self._last if index is None else self._by_index.get(index, self._last)
            if call is not None and index == self._again and call.is_followed_by(arguments):
                id, name, call = call.id, call.name, None  # noqa: A001
        else:
            return None
        if call is None:
            call = _Call(self._count)
            self._count += 1
        if index is not None:
            self._by_index[index] = call
        self._last = call
        new_id = new_name = None
        if id and call.id is None:
            call.id = new_id = id
            self._by_id[id] = call
        if name:
            new_name = call.add_name(name)
        call.end = arguments[-1:] or call.end
        if not (new_id or new_name or arguments or extra):
            return None  # a repetition of what is known
        return ToolCallPiece(call.number, new_id, new_name, arguments, kind, extra=extra)

    def _call_of(
        self,
        index: int | None,
        id: str | None,  # noqa: A002
        name: str | None,
        arguments: str,
    ) -> _Call | None:
        """The call that a piece with an id or a name continues; None when it begins another."""
        at_index = self._last if index is None else self._by_index.get(index)
        if id:
            has_id = at_index is not None and at_index.id == id
            known = at_index if has_id else self._by_id.get(id)
            if known is None:
                return self._of_new_id(at_index, index, name)
            # An id that another function's call has is no name for this one; nor is one that comes
            # back at another index with arguments of its own.
            if name and not has_id and known.is_followed_by(arguments):
                return None
            self._again = index if name and not has_id and known.end == "}" else None
            is_here = has_id and index is not None
            is_same = known.takes(name) if is_here else known.may_be(name)
            return known if is_same else None
        if index is None or at_index is None or at_index.is_followed_by(arguments):
            # A name without an id and without a known place begins a call; so it does where
            # arguments begin behind those that were whole.
            return None
        is_same = at_index.takes(name) if at_index is self._last else at_index.may_be(name)
        return at_index if is_same else None

    @staticmethod
    def _of_new_id(call: _Call | None, index: int | None, name: str | None) -> _Call | None:
        """The call at the index, where a new id does not mean a new call.

        It does, but for two cases: the id of a call that began without one; and the servers (vLLM
        did it) that invent an id for every piece: those name the call in the first one only.
        """
        if call is None:
            return None
        if not name and index is not None and call.name is not None:
            return call
        is_waiting = call.id is None and call.may_be(name)
        return call if is_waiting else None
