"""What chunks say beside the words, and belongs to the answer: citations, files, tools that ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from steer_llm_sdk.models.fragments import File, PartData, ProviderItem
from steer_llm_sdk.models.inputs import read_data_url
from steer_llm_sdk.providers.reading import (
    as_list,
    as_object,
    as_string,
    listed,
    object_at,
    objects_at,
    text_at,
)

# Where servers put what the words rest on, lists with titles first: OpenAI and OpenRouter beside
# the words, Perplexity, xAI, Z.ai and Volcengine beside the choices.
CITED = ("annotations", "search_results", "citations", "web_search", "references")
# Objects that some hold these in: Azure (https://learn.microsoft.com/azure/ai-foundry/openai/references/on-your-data),
# and Alibaba and Tencent.
_HOLDERS = ("context", "search_info")
# Tools that the server ran itself: Groq's, Writer's.
_RAN = ("executed_tools", "graph_data")
# Parts of Mistral's content that name a source.
_REFERENCES = frozenset({"reference", "tool_reference"})
# Parts that are no item of the server's: these, and what words have beside them.
_READ = _REFERENCES | {"text", "output_text"}
_IMAGE = "image_url"
# All that is read here.
_FIELDS = frozenset({*CITED, *_HOLDERS, *_RAN, "images", "content_parts"})


class Beside:
    """Makes fragments of what stands beside the words; each thing once, as many repeat all."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def read(self, news: Mapping[str, Any]) -> list[PartData | File | ProviderItem]:
        """The fragments of what is new in a chunk."""
        found: list[PartData | File | ProviderItem] = []
        if _FIELDS.isdisjoint(news):
            return found
        if cited := list(self._cited(news)):
            found.append(PartData("text", {}, cited, is_earlier=True))
        files = [*objects_at(news, "images"), *_parts(news, is_image=True)]
        found += [file for each in files if (file := _file(each)) is not None]
        ran = [item for key in _RAN for item in listed(news.get(key))]
        ran += [part for part in _parts(news) if text_at(part, "type") not in _READ]
        found += [ProviderItem(item) for item in ran if any(item.values()) and self._is_new(item)]
        return found

    def _cited(self, news: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for holder in (news, *(object_at(news, key) for key in _HOLDERS), *_parts(news)):
            for citation in (each for key in CITED for each in as_list(holder.get(key))):
                named = {"url": citation} if isinstance(citation, str) else citation
                if isinstance(named, dict) and self._is_new(as_string(named.get("url")) or named):
                    yield named
        yield from (part for part in _parts(news) if text_at(part, "type") in _REFERENCES)

    def _is_new(self, value: object) -> bool:
        mark = msgspec.json.encode(value)
        is_new = mark not in self._seen
        self._seen.add(mark)
        return is_new


def _parts(news: Mapping[str, Any], *, is_image: bool = False) -> list[dict[str, Any]]:
    parts = objects_at(news, "content_parts")
    return [part for part in parts if (part.get("type") == _IMAGE) == is_image]


def _file(image: dict[str, Any]) -> File | None:
    """An image as OpenRouter sends it: ``{"type": "image_url", "image_url": {"url": …}}``."""
    given = image.get("image_url")
    url = given if isinstance(given, str) else text_at(as_object(given), "url")
    if not url:
        return None
    data = read_data_url(url)
    extra = {"field": "images"}
    return File("", url=url, extra=extra) if data is None else File(*data, extra=extra)
