"""What an answer rests on reaches the browser, wherever its provider names it."""

from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk.models.parts import TextPart
from steer_llm_sdk.web.sources import address_of
from steer_llm_sdk.web.vercel import VercelEncoder
from support.corpus import corpus_folder, recorded
from support.encoded import DONE, parse, values_of
from support.fuzzed import WIRES
from support.pure_road import travel
from support.web_sources import turn

URL = "https://example.org/"

NAMED: dict[str, dict[str, Any]] = {
    "a citation": {"citations": [{"url": URL, "title": "Example"}]},
    "an address alone": {"citations": [URL]},
    "an annotation": {"annotations": [{"url_citation": {"url": URL, "title": "Example"}}]},
    "a result of a search": {"search_results": [{"url": URL, "title": "Example"}]},
    "a result and its address": {"search_results": [{"url": URL}], "citations": [URL]},
    "Gemini's": {"groundingMetadata": {"groundingChunks": [{"web": {"uri": URL}}]}},
    "Gemini's own": {"citationMetadata": {"citationSources": [{"uri": URL}]}},
    "Bedrock's": {"citations": [{"location": {"web": {"url": URL}}}]},
    "Azure's": {"context": {"citations": [{"url": URL, "title": "Example"}]}},
    "Alibaba's": {"search_info": {"search_results": [{"url": URL, "title": "Example"}]}},
    "Z.ai's": {"web_search": [{"link": URL, "title": "Example"}]},
    "beside what has no address": {"citations": [{"n": 1}, None, 5, URL]},
}


async def sources_of(*metadata: dict[str, Any], at: int = 1) -> list[str]:
    events = turn("Hello", " world")
    for number, each in enumerate(metadata):
        events[at + number].metadata.update(each)
    values = await values_of(events, "vercel")
    return [one["url"] for one in values if one != DONE and one["type"] == "source-url"]


@pytest.mark.parametrize("metadata", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("at", [1, 2, 3, 4], ids=["first word", "word", "usage", "end"])
async def test_a_source_is_told_wherever_it_is_named(metadata: dict[str, Any], at: int) -> None:
    assert await sources_of(metadata, at=at) == [URL]


async def test_a_source_that_every_chunk_names_is_told_once() -> None:
    assert await sources_of({"citations": [URL]}, {"citations": [URL, "https://b.example/"]}) == [
        URL,
        "https://b.example/",
    ]


@pytest.mark.parametrize(
    "metadata",
    [{"citations": URL}, {"citations": 5}, {"annotations": None}, {"citations": [{"url": 5}]}],
)
async def test_what_names_no_source_is_passed_by(metadata: dict[str, Any]) -> None:
    assert await sources_of(metadata) == []


async def test_a_source_without_an_address_goes_to_those_who_take_any() -> None:
    events = turn("Hello")
    events[1].metadata["citations"] = [{"n": 1}, URL]

    values = await values_of(events, "ag-ui")

    told = [one["value"] for one in values if one["type"] == "CUSTOM"]
    assert told == [{"n": 1}, {"url": URL}]


@pytest.mark.skipif(corpus_folder() is None, reason="set STEER_CORPUS to run")
@pytest.mark.parametrize("name", WIRES)
def test_every_source_of_a_recorded_stream_is_told(name: str) -> None:
    for stream in recorded(name):
        travelled = travel(WIRES[name].wire(), [stream.body])
        encoder = VercelEncoder(str)
        written = b"".join([*map(encoder.feed, travelled.events), encoder.end()])

        parts = [part for part in travelled.response.parts if isinstance(part, TextPart)]
        cited = [address_of(one) for part in parts for one in part.citations]
        told = [one for one in parse(written, "vercel") if one != DONE]
        urls = {one["url"] for one in told if one["type"] == "source-url"}
        assert urls >= {address[0] for address in cited if address is not None}, stream.id
