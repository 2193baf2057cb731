"""What has been said of a response, so that nothing is said twice and nothing is lost.

The words of an item are streamed in deltas, then said again by what closes the part, the item and
the response. What the deltas said counts; where a closing event goes on behind it, the rest is
news. Servers number their items and parts as they like (vLLM closes an item under the number of the
next one, and counted the deltas as parts), so words that were said under another number are known
by themselves: each counts once for each kind of closing event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

ItemKey: TypeAlias = int | str | None

# The lists of a reasoning item that hold its words: one may be streamed, the other closed.
THOUGHTS = ("summary", "content")


class _Words:
    """Some words, and under which place each kind of closing event has said them again."""

    __slots__ = ("closed_by", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.closed_by: dict[str, object] = {}

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class _Item:
    """The words of one kind of one item, part by part."""

    __slots__ = ("closed_by", "id", "parts")

    def __init__(self) -> None:
        self.parts: dict[int | None, _Words] = {}
        self.closed_by: dict[str, object] = {}
        self.id: str | None = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts.values())

    def part(self, index: int | None) -> _Words:
        return self.parts.setdefault(index, _Words())

    def find(self, index: int | None) -> _Words | None:
        """The part of that number; a part without a number stands for all of them."""
        return self.parts.get(index) or self.parts.get(None)

    def units(self) -> Iterator[_Words | _Item]:
        yield from self.parts.values()
        if len(self.parts) > 1:
            yield self


class Said:
    """The words that have been given, by their kind (text, refusal, …), item and part."""

    def __init__(self) -> None:
        self._items: dict[str, list[_Item]] = {}
        self._by_key: dict[tuple[str, ItemKey], _Item] = {}

    def has(self, kind: str) -> bool:
        """Whether anything of this kind has been said."""
        return kind in self._items

    @property
    def has_words(self) -> bool:
        """Whether anything has been said at all."""
        return bool(self._items)

    def begin(self, kind: str, item_key: ItemKey, index: int | None) -> list[str]:
        """Where the words of this part are noted, piece by piece, as they are given."""
        item = self._by_key.get((kind, item_key)) or self._open(kind, item_key)
        return item.part(index).pieces

    def leave(self, kind: str, item_key: ItemKey) -> None:
        """Another item begins under this number: what was closed under it is another one's."""
        item = self._by_key.get((kind, item_key))
        if item is not None and item.closed_by:
            del self._by_key[kind, item_key]

    def rest_of_part(
        self, kind: str, item_key: ItemKey, index: int | None, text: str, closing: str
    ) -> str:
        """What is new in the words of a part that is closed by an event of the kind `closing`."""
        item = self._by_key.get((kind, item_key))
        part = None if item is None else item.find(index)
        if part is None:
            if not text or self._is_known(kind, text, closing, (item_key, index)):
                return ""
            item = item or self._open(kind, item_key)
            part = item.part(index)
        elif item is not None and item.text == text:
            return ""
        part.closed_by[closing] = (item_key, index)
        return add_rest(part.pieces, text)

    def rest_of_item(
        self, kind: str, item_key: ItemKey, item_id: str | None, texts: Sequence[str]
    ) -> Iterator[tuple[int, str]]:
        """The parts of a closed item, by their numbers, as far as they are new."""
        whole = "".join(texts)
        item = self._by_key.get((kind, item_key))
        if item is None or (_is_another(item, item_id) and not whole.startswith(item.text)):
            if not whole or self._is_known_item(kind, whole, item_key):
                return
            item = self._open(kind, item_key)
        item.closed_by["item"] = item_key
        item.id = item_id
        for index, rest in _rests(item.text, texts):
            item.part(index).pieces.append(rest)
            yield index, rest

    def rest_of_all(self, kind: str, texts: Sequence[str]) -> Iterator[tuple[int, str]]:
        """All words of a kind in the final response, as far as they go on behind what was said."""
        return _rests("".join(item.text for item in self._items.get(kind, ())), texts)

    def _open(self, kind: str, item_key: ItemKey) -> _Item:
        item = self._by_key[kind, item_key] = _Item()
        self._items.setdefault(kind, []).append(item)
        return item

    def _known(self, kind: str) -> Iterator[_Item]:
        for each in THOUGHTS if kind in THOUGHTS else (kind,):
            yield from self._items.get(each, ())

    def _is_known(self, kind: str, text: str, closing: str, place: object) -> bool:
        return any(
            _claim(unit, text, closing, place)
            for item in self._known(kind)
            for unit in item.units()
        )

    def _is_known_item(self, kind: str, text: str, item_key: ItemKey) -> bool:
        return any(_claim(item, text, "item", item_key) for item in self._known(kind))


def _is_another(item: _Item, item_id: str | None) -> bool:
    return item.id is not None and item_id is not None and item.id != item_id


def _claim(unit: _Words | _Item, text: str, closing: str, place: object) -> bool:
    """Whether these are the words that are closed, and no other closing event has said them."""
    if unit.closed_by.get(closing, place) != place or unit.text != text:
        return False
    unit.closed_by[closing] = place
    return True


def add_rest(pieces: list[str], whole: str) -> str:
    """Add what a text says behind its pieces; nothing where it says something else."""
    said = "".join(pieces)
    rest = whole[len(said) :] if whole.startswith(said) else ""
    pieces.append(rest)
    return rest


def _rests(said: str, texts: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Each text with its number, without what was said; nothing where something else was said."""
    if not "".join(texts).startswith(said):
        return
    left = len(said)
    for index, text in enumerate(texts):
        if len(text) > left:
            yield index, text[left:]
        left = max(0, left - len(text))
