"""Which item of a response each part of the answer is of, and what of it goes back.

The next request has the items as they were: a reasoning item with all parts of its summary, its
identifier and its encrypted content; a message with its phase; so every part names its item by a
number, under ``item``, and the parts of one item make one again.
https://platform.openai.com/docs/guides/reasoning#keeping-reasoning-items-in-context
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from steer_llm_sdk.models.fragments import File, PartData, PartEnd, PartKind, ProviderItem
from steer_llm_sdk.providers.openai_responses.said import ItemKey
from steer_llm_sdk.providers.reading import text_at

_Object = Mapping[str, Any]

_MESSAGE_KINDS: tuple[PartKind, ...] = ("text", "commentary", "refusal")
_ABOUT = ("id", "phase")


class ItemParts:
    """Numbers the items, and tells of which one the next part is."""

    def __init__(self) -> None:
        self._numbers: dict[ItemKey, int] = {}
        self._by_id: dict[str, int] = {}
        self._about: dict[int, dict[str, Any]] = {}  # what is known of an item, by its number
        self._places: dict[str, tuple[ItemKey, object]] = {}  # by kind: the part that came last
        self._told: dict[str, dict[str, Any]] = {}  # by kind: what has been told of it
        self._begun: set[int] = set()  # the items that have a part
        self._closed: set[int] = set()
        self._types: set[str] = set()  # of the items that have a part

    def note(self, item_key: ItemKey, item: _Object) -> int:
        """Note what an item says of itself; return its number."""
        item_id = text_at(item, "id")
        number = self._numbers.get(item_key)
        if number in self._closed and item_id and item_id not in self._by_id:
            number = None  # another item under the same key
            self._places = {k: place for k, place in self._places.items() if place[0] != item_key}
        if number is None:
            number = self._by_id.get(item_id, len(self._about))
            self._numbers[item_key] = number
        if item_id:
            self._by_id.setdefault(item_id, number)
        about = self._about.setdefault(number, {})
        about.update((key, item[key]) for key in _ABOUT if item.get(key))
        return number

    def begin(
        self, kind: PartKind, item_key: ItemKey, place: object
    ) -> tuple[PartEnd | PartData, ...]:
        """What stands before words of another part than the words before."""
        if self._places.get(kind) == (item_key, place):
            return ()
        self._places[kind] = (item_key, place)
        number = self.note(item_key, {})
        self._begun.add(number)
        self._types.add("reasoning" if kind == "reasoning" else "message")
        told = self._told[kind] = {"item": number, **self._about[number]}
        return PartEnd(kind), PartData(kind, dict(told))

    def close_message(
        self, item_key: ItemKey, item: _Object, voice: PartKind
    ) -> Iterator[PartEnd | PartData]:
        """A message is closed: what of it its parts do not say yet; one without words is a part."""
        number = self.note(item_key, item)
        self._closed.add(number)
        if number not in self._begun:
            yield from self.begin(voice, item_key, None)
        for kind in _MESSAGE_KINDS:
            yield from self._news_of(kind, number)

    def close_reasoning(self, item_key: ItemKey, item: _Object) -> Iterator[PartEnd | PartData]:
        """Reasoning is closed; it is a part even where the provider keeps its words to itself."""
        number = self.note(item_key, item)
        self._closed.add(number)
        if not self.has_thought(item_key):
            yield from self.begin("reasoning", item_key, None)
        yield from self._news_of("reasoning", number)

    def has_thought(self, item_key: ItemKey) -> bool:
        """Whether the last part of the reasoning is of this item."""
        return self._number_of_last("reasoning") == self.note(item_key, {})

    def is_closed(self, item: _Object) -> bool:
        """Whether an item of the final response has been closed, or may be one that has parts."""
        number = self._by_id.get(text_at(item, "id"))
        if number is not None:
            return number in self._closed
        return text_at(item, "type") in self._types

    def cite(
        self, kind: PartKind, item_key: ItemKey, annotations: Sequence[_Object]
    ) -> Iterator[PartData]:
        """What the words of a message rest on."""
        cited = [dict(each) for each in annotations if isinstance(each, dict)]
        if cited:
            is_earlier = self._number_of_last(kind) == self.note(item_key, {})
            yield PartData(kind, {}, cited, is_earlier=is_earlier)

    def _number_of_last(self, kind: str) -> int | None:
        place = self._places.get(kind)
        return None if place is None else self._numbers[place[0]]

    def _news_of(self, kind: PartKind, number: int) -> Iterator[PartData]:
        if self._number_of_last(kind) != number:
            return
        told = self._told[kind]
        news = {k: v for k, v in self._about[number].items() if told.get(k) != v}
        if news:
            told |= news
            yield PartData(kind, news, is_earlier=True)


def ran_by_provider(item: _Object) -> ProviderItem | File:
    """What the provider did itself, as a part; an image that it made is a file."""
    result = item.get("result")
    if item.get("type") != "image_generation_call" or not isinstance(result, str) or not result:
        return ProviderItem(dict(item))
    media_type = f"image/{text_at(item, 'output_format') or 'png'}"
    kept = {key: value for key, value in item.items() if key != "result"}
    return File(media_type, result, extra={"raw": kept})
