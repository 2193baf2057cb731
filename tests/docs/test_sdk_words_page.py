"""The page of the SDKs' words is what a run gives, and no word is unknown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.sdk_words import FAMILIES, UNKNOWN

PAGE = Path(__file__).parents[2] / "docs" / "sdk-words.md"


@pytest.mark.parametrize("family", FAMILIES)
def test_no_word_of_the_official_sdk_is_unknown(family: str) -> None:
    unknown = [row for row in FAMILIES[family]().splitlines() if row.endswith(f"| {UNKNOWN} |")]

    assert unknown == []


@pytest.mark.parametrize("family", FAMILIES)
def test_the_page_shows_what_the_run_gives(family: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(f"<!-- {family} -->\n")
    _, end, after = rest.partition(f"<!-- /{family} -->")
    assert begin
    assert end

    written = f"{before}{begin}{FAMILIES[family]()}\n{end}{after}"
    if os.environ.get("STEER_WRITE_DOCS"):
        PAGE.write_text(written, encoding="utf-8")
        page = written

    assert page == written, "docs/sdk-words.md: run this test with STEER_WRITE_DOCS=1, and look"
