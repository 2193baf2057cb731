"""What Gemini's words rest on, and what it looked up for them.

https://ai.google.dev/api/generate-content#GroundingMetadata: sources (``groundingChunks``), and the
segments of the answer that rest on them (``groundingSupports``), by their numbers. A citation is a
segment with its sources; a source that no segment names is one too.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.fragments import PartData, ProviderItem
from steer_llm_sdk.providers.gemini.turns import BESIDE
from steer_llm_sdk.providers.reading import JSONObject, as_list, object_at, objects_at

_LOOKED_UP = ("groundingMetadata", "urlContextMetadata")
_SOURCES = "groundingChunks"


class Grounding:
    """Reads what stands beside the parts of a candidate; each thing once.

    Args:
        provider: The name that errors carry.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._seen: set[bytes] = set()

    def read(self, candidate: JSONObject) -> Iterator[PartData | ProviderItem]:
        """The fragments of what is new.

        Raises:
            ProtocolError: It is nested too deeply.
        """
        cited = [each for each in _citations(candidate) if self._is_new(each)]
        if cited:
            yield PartData("text", {}, cited, is_earlier=True)
        for key in _LOOKED_UP:
            item = {key: found} if (found := object_at(candidate, key)) else {}
            if item and self._is_new(item):
                yield ProviderItem(item, {BESIDE: True})

    def _is_new(self, value: JSONObject) -> bool:
        try:
            mark = msgspec.json.encode(value)
        except RecursionError:
            raise ProtocolError(f"{self._provider}: a chunk is nested too deeply") from None
        is_new = mark not in self._seen
        self._seen.add(mark)
        return is_new


def _citations(candidate: JSONObject) -> Iterator[JSONObject]:
    grounding = object_at(candidate, "groundingMetadata")
    sources = objects_at(grounding, _SOURCES)
    supports = objects_at(grounding, "groundingSupports")
    named: set[int] = set()
    for support in supports:
        places = [at for at in as_list(support.get("groundingChunkIndices")) if _is_in(at, sources)]
        named.update(places)
        yield {**support, _SOURCES: [sources[at] for at in places]}
    yield from ({_SOURCES: [each]} for at, each in enumerate(sources) if at not in named)
    written = object_at(candidate, "citationMetadata")
    yield from (*objects_at(written, "citationSources"), *objects_at(written, "citations"))


def _is_in(place: object, sources: list[JSONObject]) -> bool:
    return isinstance(place, int) and 0 <= place < len(sources)
