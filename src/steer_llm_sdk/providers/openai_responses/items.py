"""The items of a response, when they come whole, and what of them is news.

An item is streamed in deltas, then closed part by part and as a whole, and repeated once more in
the final response: `steer_llm_sdk.providers.openai_responses.said` knows what has been given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

from steer_llm_sdk.models.fragments import (
    Commentary,
    Extras,
    Fragment,
    MessageBreak,
    PartData,
    PartEnd,
    PartKind,
    Reasoning,
    Refusal,
    Text,
)
from steer_llm_sdk.providers.openai_responses.calls import OpenCalls
from steer_llm_sdk.providers.openai_responses.item_parts import ItemParts, ran_by_provider
from steer_llm_sdk.providers.openai_responses.said import THOUGHTS, ItemKey, Said
from steer_llm_sdk.providers.openai_responses.unknown import News, about_item, about_part
from steer_llm_sdk.providers.reading import objects_at, text_at

_Object: TypeAlias = Mapping[str, Any]

# What a reasoning item has for the next request, beside its words.
_OPAQUE = ("encrypted_content", "signature")
_KEPT_WITH_OPAQUE = ("id", "format", *_OPAQUE)

_COMMENTARY = "commentary"
_TEXT_TYPES = frozenset({"output_text", "text"})


class Items:
    """What has been said of each item.

    An item is found again by its number (``output_index``); its id is the key only where a server
    numbers nothing (llama.cpp), because others send a new id with each event (GitHub Copilot).
    """

    def __init__(self) -> None:
        self.calls = OpenCalls()
        self.said = Said()
        self._parts = ItemParts()
        self._asides: set[ItemKey] = set()  # messages that are commentary
        self._speaking: tuple[ItemKey] | None = None  # the message whose words came last
        self._speaking_aside: tuple[ItemKey] | None = None  # the commentary whose words came last
        self._places: set[tuple[str, ItemKey, int | None]] = set()  # of what has no words
        self._thinking = ""  # the part of the reasoning whose words came last
        self._news = News()
        self._cited: dict[ItemKey, list[Any]] = {}  # annotations whose words may be yet to come

    def is_aside(self, item_key: ItemKey) -> bool:
        """Whether the words of this message are commentary."""
        return item_key in self._asides

    def begin_words(self, item_key: ItemKey) -> tuple[Fragment, ...]:
        """What stands before the words of this message: a break, where another one has spoken."""
        if item_key in self._asides:
            return self._begin_aside(item_key)
        if self._speaking == (item_key,):
            return ()
        is_first = self._speaking is None
        self._speaking = (item_key,)
        return () if is_first else (MessageBreak(),)

    def _begin_aside(self, item_key: ItemKey) -> tuple[Fragment, ...]:
        if self._speaking_aside == (item_key,):
            return ()
        is_first = self._speaking_aside is None
        self._speaking_aside = (item_key,)
        return () if is_first else (MessageBreak("commentary"),)

    def words(
        self, item_key: ItemKey, index: int | None, text: str, logprobs: object = None
    ) -> Iterator[Fragment]:
        """Words of a message, in its voice."""
        yield from self.begin_words(item_key)
        yield from self._parts.begin(self._voice(item_key), item_key, index)
        yield from _spoken(text, logprobs, is_aside=item_key in self._asides)

    def refuse(self, item_key: ItemKey, index: int | None, text: str) -> Iterator[Fragment]:
        """Words of a refusal."""
        yield from self._parts.begin("refusal", item_key, index)
        yield Refusal(text)

    def _voice(self, item_key: ItemKey) -> PartKind:
        return "commentary" if item_key in self._asides else "text"

    def has_answer(self) -> bool:
        """Whether any message has said words, commentary apart."""
        return self._speaking is not None

    def opened(self, item_key: ItemKey, item: _Object) -> Iterator[Fragment]:
        """An item has appeared; its words will be streamed."""
        for kind in ("text", "refusal", *THOUGHTS):
            self.said.leave(kind, item_key)
        self._thinking = ""
        yield from self._about(item_key, item)
        yield from self.calls.open(item_key, item)

    def whole_item(self, item_key: ItemKey, item: _Object) -> Iterator[Fragment]:
        """What is new in an item that is closed.

        An item that is neither words nor a call for the caller is something that the provider ran
        itself, or keeps for the next request: it passes as it is.
        """
        yield from self._about(item_key, item)
        kind = item.get("type")
        if kind == "message":
            yield from self._whole_message(item_key, item)
        elif kind == "reasoning":
            yield from self._whole_reasoning(item_key, item)
        elif self.calls.tools.is_call(item):
            yield from self.calls.close(item_key, item)
        elif kind:
            yield from self._ran(item)

    def _ran(self, item: _Object) -> Iterator[Fragment]:
        for kept in self._news.whole_item(item):
            yield ran_by_provider(item)
            yield kept

    def whole_part(
        self, item_key: ItemKey, index: int | None, part: _Object, closing: str
    ) -> Iterator[Fragment]:
        """What is new in a part of a message that an event of the kind `closing` closes."""
        yield from self._beside_words(item_key, index, part)
        if rest := self.said.rest_of_part("text", item_key, index, _text_of(part), closing):
            yield from self.words(item_key, index, rest, part.get("logprobs"))
        refusal = text_at(part, "refusal")
        if rest := self.said.rest_of_part("refusal", item_key, index, refusal, closing):
            yield from self.refuse(item_key, index, rest)
        yield from self._cite(item_key)

    def whole_thought(
        self, item_key: ItemKey, kind: str, index: int | None, text: str
    ) -> Iterator[Fragment]:
        """A part of the reasoning that is closed, if it is new; `kind` is its list in the item."""
        if rest := self.said.rest_of_part(kind, item_key, index, text, "done"):
            yield from self.think(item_key, kind, index, rest)

    def think(
        self, item_key: ItemKey, kind: str, index: int | None, text: str
    ) -> tuple[Fragment, ...]:
        """Words of a part of the reasoning; `kind` is its list in the item."""
        part = f"{item_key}.{kind}.{index}"
        if part == self._thinking:
            return (Reasoning(text, part),)
        self._thinking = part
        before = self._parts.begin("reasoning", item_key, part)
        place: tuple[Fragment, ...] = ()
        if kind == "content":  # a summary otherwise
            place = (PartData("reasoning", {"list": kind}),)
        return (*before, *place, Reasoning(text, part))

    def whole_thought_part(self, part: _Object) -> Iterator[Fragment]:
        """What a part of the reasoning has beside its words."""
        yield from self._news.once("content_parts", about_part(part))

    def remaining(self, response: _Object, *, is_whole: bool) -> Iterator[Fragment]:
        """Give what only the final response says.

        Words are taken from it where they go on behind what was said: its items need not have the
        numbers under which they were streamed. Of anything else, a kind is taken from it only
        where nothing of that kind came before.

        Args:
            response: The final response.
            is_whole: Whether it was completed, so that a call left open is whole too.
        """
        output = objects_at(response, "output") or _message_in(response)
        had_calls = len(self.calls) > 0
        yield from self.calls.close_all(output, is_whole=is_whole)
        if not had_calls and not self.said.has_words:
            for index, item in enumerate(output):
                yield from self.whole_item(index, item)
            return
        yield from self._remaining_thoughts(output)
        yield from self._remaining_words(output)
        seen = frozenset(kind for kind, _, _ in self._places)
        for index, item in enumerate(output):
            yield from self._remaining_item(f"final-{index}", item, seen, has_calls=had_calls)

    def _remaining_item(
        self, item_key: ItemKey, item: _Object, seen: AbstractSet[str], *, has_calls: bool
    ) -> Iterator[Fragment]:
        """What an item of the final response has beside words."""
        kind = item.get("type")
        is_closed = self._parts.is_closed(item)
        yield from self._about(item_key, item)
        if kind == "reasoning":
            yield from self._opaque(item_key, item, seen)
            yield from () if is_closed else self._parts.close_reasoning(item_key, item)
        elif kind == "message":
            for index, part in enumerate(_content(item)):
                yield from self._beside_words(item_key, index, part, seen)
            yield from () if is_closed else self._close_message(item_key, item)
            yield from self._cite(item_key)
        elif not self.calls.tools.is_call(item):
            yield from self._ran(item) if kind else ()
        elif not has_calls:
            yield from self.calls.close(item_key, item)

    # --- words ----------------------------------------------------------------------------------

    def _whole_message(self, item_key: ItemKey, item: _Object) -> Iterator[Fragment]:
        parts = _content(item)
        for index, part in enumerate(parts):
            yield from self._beside_words(item_key, index, part)
        key, said = text_at(item, "id") or None, self.said
        texts = [_text_of(part) for part in parts]
        for index, rest in said.rest_of_item("text", item_key, key, texts):
            yield from self.words(item_key, index, rest, parts[index].get("logprobs"))
        refusals = [text_at(part, "refusal") for part in parts]
        for index, rest in said.rest_of_item("refusal", item_key, key, refusals):
            yield from self.refuse(item_key, index, rest)
        yield from self._close_message(item_key, item)
        yield from self._cite(item_key)

    def _close_message(self, item_key: ItemKey, item: _Object) -> Iterator[PartEnd | PartData]:
        return self._parts.close_message(item_key, item, self._voice(item_key))

    def _whole_reasoning(self, item_key: ItemKey, item: _Object) -> Iterator[Fragment]:
        item_id = text_at(item, "id") or None
        for kind in THOUGHTS:
            parts = objects_at(item, kind)
            for part in parts:
                yield from self.whole_thought_part(part)
            texts = [text_at(part, "text") for part in parts]
            for index, rest in self.said.rest_of_item(kind, item_key, item_id, texts):
                yield from self.think(item_key, kind, index, rest)
        yield from self._opaque(item_key, item, set())
        yield from self._parts.close_reasoning(item_key, item)

    def _remaining_thoughts(self, output: Sequence[_Object]) -> Iterator[Fragment]:
        came = [kind for kind in THOUGHTS if self.said.has(kind)]
        for kind in came or THOUGHTS:
            lists = [objects_at(item, kind) for item in output if item.get("type") == "reasoning"]
            places = [
                (at, index) for at, parts in enumerate(lists) for index, _ in enumerate(parts)
            ]
            texts = [text_at(part, "text") for parts in lists for part in parts]
            for number, rest in self.said.rest_of_all(kind, texts):
                at, index = places[number]
                if rest == texts[number]:
                    yield from self.think(f"final-{at}", kind, index, rest)
                else:  # it goes on behind what was said last
                    yield Reasoning(rest, self._thinking)

    def _remaining_words(self, output: Sequence[_Object]) -> Iterator[Fragment]:
        messages = [item for item in output if item.get("type") == "message"]
        places = [(at, part) for at, item in enumerate(messages) for part in _content(item)]
        texts = [_text_of(part) for _, part in places]
        for number, rest in self.said.rest_of_all("text", texts):
            at, part = places[number]
            yield from self._final_words(
                messages[at], at, rest, part, is_begun=rest != texts[number]
            )
        refusals = [text_at(part, "refusal") for _, part in places]
        for number, rest in self.said.rest_of_all("refusal", refusals):
            if rest == refusals[number]:
                yield from self._begin_final("refusal", messages[places[number][0]], number)
            yield Refusal(rest)

    def _final_words(
        self, message: _Object, at: int, rest: str, part: _Object, *, is_begun: bool
    ) -> Iterator[Fragment]:
        is_aside = message.get("phase") == _COMMENTARY
        if not is_aside and (not is_begun or self._speaking is None):
            yield from self.begin_words(f"final-{at}")
        if not is_begun:
            yield from self._begin_final("commentary" if is_aside else "text", message, at)
        yield from _spoken(rest, part.get("logprobs"), is_aside=is_aside)

    def _begin_final(
        self, kind: PartKind, message: _Object, place: int
    ) -> Iterator[PartEnd | PartData]:
        """What stands before words that only the final response has."""
        item_key = f"final-{kind}-{place}"
        self._parts.note(item_key, message)
        yield from self._parts.begin(kind, item_key, place)

    # --- what stands beside the words -------------------------------------------------------------

    def _about(self, item_key: ItemKey, item: _Object) -> Iterator[Extras]:
        """What an item has beside what is said of it elsewhere: its id, its phase."""
        if item.get("phase") == _COMMENTARY:
            self._asides.add(item_key)
        self._parts.note(item_key, item)
        yield from self._news.once("items", about_item(item))

    def mark(self, kind: str, item_key: ItemKey, index: int | None) -> bool:
        """Note that this has been said; whether it is new. Without a number: all of the parts."""
        place, all_of_it = (kind, item_key, index), (kind, item_key, None)
        if place in self._places or all_of_it in self._places:
            return False
        self._places.add(place)
        return True

    def _beside_words(
        self,
        item_key: ItemKey,
        index: int | None,
        part: _Object,
        seen: AbstractSet[str] = frozenset(),
    ) -> Iterator[Extras]:
        annotations = part.get("annotations")
        if annotations and "annotations" not in seen and self.mark("annotations", item_key, index):
            cited = annotations if isinstance(annotations, list) else [annotations]
            yield from self.annotate(item_key, cited)
        yield from self._news.once("content_parts", about_part(part))

    def annotate(self, item_key: ItemKey, annotations: list[Any]) -> Iterator[Extras]:
        """Keep what words rest on: they may be yet to come."""
        self._cited.setdefault(item_key, []).extend(annotations)
        yield Extras({"annotations": annotations})

    def _cite(self, item_key: ItemKey) -> Iterator[PartData]:
        """The words are there: what they rest on belongs to their part."""
        cited = self._cited.pop(item_key, ())
        yield from self._parts.cite(self._voice(item_key), item_key, cited)

    def about_response(self, response: _Object) -> Iterator[Extras]:
        """What the response has beside its items and the end."""
        self.calls.tools.note(response)
        return self._news.about_response(response)

    def _opaque(
        self, item_key: ItemKey, item: _Object, seen: AbstractSet[str]
    ) -> Iterator[Fragment]:
        if not any(item.get(key) for key in _OPAQUE) or "opaque" in seen:
            return
        if self.mark("opaque", item_key, 0):
            kept = {key: item[key] for key in _KEPT_WITH_OPAQUE if item.get(key)}
            part = f"{item_key}.opaque.0"
            if self._parts.has_thought(item_key):
                part = self._thinking
            else:
                yield from self._parts.begin("reasoning", item_key, part)
            yield Reasoning(part=part, extra=kept)
            yield PartData("reasoning", {"item": self._parts.note(item_key, item)})


def _message_in(response: _Object) -> list[dict[str, Any]]:
    """The answer of a copy that has no items: a message with all the words."""
    text = text_at(response, "output_text")
    part = {"type": "output_text", "text": text}
    return [{"type": "message", "content": [part]}] if text else []


def _spoken(text: str, logprobs: object, *, is_aside: bool) -> Iterator[Fragment]:
    if not is_aside:
        yield Text(text, {"logprobs": logprobs}) if logprobs else text
        return
    if logprobs:
        yield Extras({"logprobs": logprobs})
    yield Commentary(text)


def _content(message: _Object) -> list[dict[str, Any]]:
    """The parts of a message; a copy may write its words alone."""
    words = text_at(message, "content")
    return [{"type": "output_text", "text": words}] if words else objects_at(message, "content")


def _text_of(part: _Object) -> str:
    return text_at(part, "text") if text_at(part, "type") in _TEXT_TYPES else ""
