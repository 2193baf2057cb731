"""The page of the SDKs' words is what a run gives, and no word is unknown."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from support.sdk_words import FAMILIES
from support.sdk_words.measuring import UNKNOWN, Row, table

PAGE = Path(__file__).parents[2] / "docs" / "sdk-words.md"


@functools.cache
def rows(family: str) -> tuple[Row, ...]:
    return tuple(FAMILIES[family]())


def on_the_page(family: str) -> tuple[str, str, str]:
    """What stands before the table of a family, the table, and what stands behind it."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(f"<!-- {family} -->\n")
    written, end, after = rest.partition(f"<!-- /{family} -->")
    assert begin
    assert end
    return before + begin, written, end + after


@pytest.mark.parametrize("family", FAMILIES)
def test_no_word_of_the_official_sdk_is_unknown(family: str) -> None:
    unknown = [f"{what} {word}" for what, word, outcome in rows(family) if outcome == UNKNOWN]

    assert unknown == []


@pytest.mark.parametrize("family", FAMILIES)
def test_no_word_is_new_since_the_page_was_looked_at(family: str) -> None:
    """A new SDK fails here by the names of what it brings: see what becomes of them."""
    _, written, _ = on_the_page(family)
    new = [
        f"{what} {word}"
        for what, word, _ in rows(family)
        if f"| {what} | `{word}` |" not in written
    ]

    assert new == [] or os.environ.get("STEER_WRITE_DOCS")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_page_shows_what_the_run_gives(family: str) -> None:
    before, written, after = on_the_page(family)

    given = f"{table(rows(family))}\n"
    if os.environ.get("STEER_WRITE_DOCS"):
        PAGE.write_text(before + given + after, encoding="utf-8")
        written = given

    assert written == given, "docs/sdk-words.md: run this test with STEER_WRITE_DOCS=1, and look"


class Event(BaseModel):
    type: Literal["response.of_the_future"]
    delta: str


class Delta(BaseModel):
    type: Literal["delta_of_the_future"]
    text: str


class Item(BaseModel):
    type: Literal["item_of_the_future"]
    id: str


def test_a_word_of_the_future_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from anthropic.types import beta
    from openai.types import responses as openai

    monkeypatch.setattr(openai, "ResponseStreamEvent", openai.ResponseStreamEvent | Event)
    monkeypatch.setattr(openai, "ResponseOutputItem", openai.ResponseOutputItem | Item)
    monkeypatch.setattr(beta, "BetaRawContentBlockDelta", beta.BetaRawContentBlockDelta | Delta)

    found = [*FAMILIES["responses"](), *FAMILIES["anthropic"]()]

    assert ("event", "response.of_the_future", UNKNOWN) in found
    assert ("delta", "delta_of_the_future", UNKNOWN) in found
    assert ("output item", "item_of_the_future", "metadata `output_items`") in found
    assert "item_of_the_future" not in on_the_page("responses")[1]
