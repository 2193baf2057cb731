"""The items of a response, when they come whole, and what of them has been said already.

An item is streamed in deltas, then closed part by part and as a whole, and repeated once more in
the final response. What the deltas said counts. A text that came without deltas is taken from
whatever closes it first, and never again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.models.fragments import Extras, Fragment, Reasoning, Refusal
from steer_llm_sdk.providers.openai_responses.calls import ItemKey, OpenCalls, is_call
from steer_llm_sdk.providers.reading import objects_at, text_at

# The lists of a reasoning item that hold its words.
THOUGHTS = ("summary", "content")

# What a reasoning item has for the next request, beside its words.
_OPAQUE = ("encrypted_content", "signature")
_KEPT_WITH_OPAQUE = ("id", "format", *_OPAQUE)


class Items:
    """What has been said of each item.

    An item is found again by its number (``output_index``); its id is the key only where a server
    numbers nothing (llama.cpp), because others send a new id with each event (GitHub Copilot).
    """

    def __init__(self) -> None:
        self.calls = OpenCalls()
        self._said: set[tuple[str, ItemKey, int | None]] = set()  # (kind, item, part)
        self._settled: frozenset[str] = frozenset()

    def mark(self, kind: str, item_key: ItemKey, part: int | None) -> None:
        """Note that this has been said; a part without a number stands for all of them."""
        self._said.add((kind, item_key, part))

    def has(self, kind: str) -> bool:
        """Whether anything of this kind has been said."""
        return any(said == kind for said, _, _ in self._said)

    def whole_item(self, item_key: ItemKey, item: Mapping[str, Any]) -> Iterator[Fragment]:
        """What is new in an item that is closed.

        An item that is neither words nor a call for the caller is something that the provider ran
        itself, or keeps for the next request: it passes as it is.
        """
        kind = item.get("type")
        if kind == "message":
            for index, part in enumerate(objects_at(item, "content")):
                yield from self.whole_part(item_key, index, part)
        elif kind == "reasoning":
            yield from self._whole_reasoning(item_key, item)
        elif is_call(item):
            if "call" not in self._settled:
                yield from self.calls.close(item_key, item)
        elif kind and self._is_news("item", item_key, 0):
            yield Extras({"output_items": [item]})

    def whole_part(
        self, item_key: ItemKey, index: int | None, part: Mapping[str, Any]
    ) -> Iterator[Fragment]:
        """What is new in a part of a message that is closed."""
        annotations = part.get("annotations")
        if annotations and self._is_news("annotations", item_key, index):
            yield Extras({"annotations": annotations})
        text = text_at(part, "text") if part.get("type") == "output_text" else ""
        if text and self._is_news("text", item_key, index):
            yield text
        refusal = text_at(part, "refusal")
        if refusal and self._is_news("refusal", item_key, index):
            yield Refusal(refusal)

    def whole_thought(
        self, item_key: ItemKey, kind: str, index: int | None, text: str
    ) -> Iterator[Fragment]:
        """A part of the reasoning that is closed, if it is new; `kind` is its list in the item."""
        if text and self._is_news(kind, item_key, index):
            yield Reasoning(text, thought_part(item_key, kind, index))

    def remaining(self, response: Mapping[str, Any], *, is_whole: bool) -> Iterator[Fragment]:
        """Give what only the final response says.

        A kind of content is taken from it only where nothing of that kind came before: its items
        need not have the numbers under which they were streamed.

        Args:
            response: The final response.
            is_whole: Whether it was completed, so that a call left open is whole too.
        """
        output = objects_at(response, "output")
        yield from self.calls.close_all(output, is_whole=is_whole)
        said = {kind for kind, _, _ in self._said}
        reasoning = set(THOUGHTS) if said & set(THOUGHTS) else set()
        calls = {"call"} if len(self.calls) else set()
        self._settled = frozenset(said | reasoning | calls)
        for index, item in enumerate(output):
            yield from self.whole_item(index, item)

    def _whole_reasoning(self, item_key: ItemKey, item: Mapping[str, Any]) -> Iterator[Fragment]:
        for kind in THOUGHTS:
            for index, part in enumerate(objects_at(item, kind)):
                yield from self.whole_thought(item_key, kind, index, text_at(part, "text"))
        is_opaque = any(item.get(key) for key in _OPAQUE)
        if is_opaque and self._is_news("opaque", item_key, 0):
            kept = {key: item[key] for key in _KEPT_WITH_OPAQUE if item.get(key)}
            yield Reasoning(part=thought_part(item_key, "opaque", 0), extra=kept)

    def _is_news(self, kind: str, item_key: ItemKey, part: int | None) -> bool:
        """Whether this has not been said yet; from now on it has."""
        place, all_of_it = (kind, item_key, part), (kind, item_key, None)
        if kind in self._settled or place in self._said or all_of_it in self._said:
            return False
        self._said.add(place)
        return True


def thought_part(item_key: ItemKey, kind: str, index: int | None) -> str:
    """What tells the parts of the reasoning apart."""
    return f"{item_key}.{kind}.{index}"
