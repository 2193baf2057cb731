"""What an answer rests on, as the metadata of its events tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.providers.openai_chat.beside import CITED

# Gemini's lists, Azure's, Alibaba's and Tencent's, and what each is in.
_INNER_LISTS = (
    ("context", "citations"),
    ("search_info", "search_results"),
    ("groundingMetadata", "groundingChunks"),
    ("citationMetadata", "citationSources"),
    ("citationMetadata", "citations"),
)

# Where an event names sources, if it names any: few do.
_PLACES = frozenset({*CITED, *(outer for outer, _ in _INNER_LISTS)})

# Where a citation has its address, if it is not beside its other fields: OpenAI's, Gemini's (of the
# web, of an own store), and Bedrock's, which has a web within it.
_HOLDERS = ("url_citation", "web", "retrievedContext", "location")


def sources_in(metadata: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield each source that an event names; an address alone is a source, too."""
    if _PLACES.isdisjoint(metadata):
        return
    inner = [_get(metadata.get(outer), name) for outer, name in _INNER_LISTS]
    for found in (*map(metadata.get, CITED), *inner):
        for source in found if isinstance(found, list) else ():
            if isinstance(source, str):
                yield {"url": source}
            elif isinstance(source, Mapping):
                yield source


def address_of(source: Mapping[str, Any]) -> tuple[str, str | None] | None:
    """The URL and the title of a source; None where it has no URL."""
    inner = [source.get(holder) for holder in _HOLDERS]
    for named in (source, *inner, *(_get(each, "web") for each in inner)):
        url = _get(named, "url") or _get(named, "uri") or _get(named, "link")
        if isinstance(url, str) and url:
            title = _get(named, "title")
            return url, title if isinstance(title, str) and title else None
    return None


def _get(holder: object, name: str) -> object:
    return holder.get(name) if isinstance(holder, Mapping) else None
