"""The items of a response, when they come whole, and what of them has been said already.

An item is streamed in deltas, then closed part by part and as a whole, and repeated once more in
the final response. What the deltas said counts. A text that came without deltas is taken from
whatever closes it first, and never again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.models.fragments import Extras, Fragment, Reasoning, Refusal
from steer_llm_sdk.providers.openai_responses_calls import OpenCalls, is_call

# What a reasoning item has for the next request, beside its words.
_OPAQUE = ("encrypted_content", "signature")
_KEPT_WITH_OPAQUE = ("id", "format", *_OPAQUE)


class Items:
    """What has been said of each item, found again by the item's number.

    Items are not told apart by their ids: some servers send a new id with each event.
    """

    def __init__(self) -> None:
        self.calls = OpenCalls()
        self._said: set[tuple[str, object, object]] = set()  # (kind, output index, part)
        self._settled: frozenset[str] = frozenset()

    def mark(self, kind: str, output_index: object, part: object) -> None:
        """Note that this has been said."""
        self._said.add((kind, output_index, part))

    def has(self, kind: str) -> bool:
        """Whether anything of this kind has been said."""
        return any(said == kind for said, _, _ in self._said)

    def whole_item(self, output_index: int | None, item: Mapping[str, Any]) -> Iterator[Fragment]:
        """What is new in an item that is closed.

        An item that is neither words nor a call for the caller is something that the provider ran
        itself, or keeps for the next request: it passes as it is.
        """
        kind = item.get("type")
        if kind == "message":
            for index, part in enumerate(mappings_at(item, "content")):
                yield from self.whole_part(output_index, index, part)
        elif kind == "reasoning":
            yield from self._whole_reasoning(output_index, item)
        elif is_call(item):
            if "call" not in self._settled:
                yield from self.calls.close(output_index, item)
        elif kind and self._is_news("item", output_index, 0):
            yield Extras({"output_items": [item]})

    def whole_part(
        self, output_index: int | None, index: int | None, part: Mapping[str, Any]
    ) -> Iterator[Fragment]:
        """What is new in a part of a message that is closed."""
        annotations = part.get("annotations")
        if annotations and self._is_news("annotations", output_index, index):
            yield Extras({"annotations": annotations})
        text = text_at(part, "text") if part.get("type") == "output_text" else ""
        if text and self._is_news("text", output_index, index):
            yield text
        refusal = text_at(part, "refusal")
        if refusal and self._is_news("refusal", output_index, index):
            yield Refusal(refusal)

    def whole_thought(
        self, output_index: int | None, kind: str, index: int | None, text: str
    ) -> Iterator[Fragment]:
        """A part of the reasoning that is closed, if it is new; `kind` is its list in the item."""
        part = thought_part(output_index, kind, index)
        if text and self._is_news("reasoning", output_index, part):
            yield Reasoning(text, part)

    def unsaid(self, response: Mapping[str, Any], *, is_whole: bool) -> Iterator[Fragment]:
        """What only the final response says.

        A kind of content is taken from it only where nothing of that kind came before: its items
        need not have the numbers under which they were streamed.

        Args:
            response: The final response.
            is_whole: Whether it was completed, so that a call left open is whole too.
        """
        output = mappings_at(response, "output")
        yield from self.calls.close_all(output, is_whole=is_whole)
        said = {kind for kind, _, _ in self._said}
        self._settled = frozenset(said | ({"call"} if len(self.calls) else set()))
        for index, item in enumerate(output):
            yield from self.whole_item(index, item)

    def _whole_reasoning(
        self, output_index: int | None, item: Mapping[str, Any]
    ) -> Iterator[Fragment]:
        for kind in ("summary", "content"):
            for index, part in enumerate(mappings_at(item, kind)):
                yield from self.whole_thought(output_index, kind, index, text_at(part, "text"))
        is_opaque = any(item.get(key) for key in _OPAQUE)
        if is_opaque and self._is_news("opaque", output_index, 0):
            kept = {key: item[key] for key in _KEPT_WITH_OPAQUE if item.get(key)}
            yield Reasoning(part=thought_part(output_index, "opaque", 0), extra=kept)

    def _is_news(self, kind: str, output_index: object, part: object) -> bool:
        """Whether this has not been said yet; from now on it has."""
        place = (kind, output_index, part)
        if kind in self._settled or place in self._said:
            return False
        self._said.add(place)
        return True


def thought_part(output_index: int | None, kind: str, index: int | None) -> str:
    """What tells the parts of the reasoning apart."""
    return f"{output_index}.{kind}.{index}"


def text_at(value: Mapping[str, Any], key: str) -> str:
    """The string at a key; empty where there is none."""
    found = value.get(key)
    return found if isinstance(found, str) else ""


def mapping_at(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping at a key; empty where there is none."""
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def mappings_at(value: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The mappings in the list at a key; empty where there is none."""
    found = value.get(key)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []
