"""The page on errors says of wrong keywords what the errors say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steer_llm_sdk.calls import CallArguments

PAGE = (Path(__file__).parent.parent.parent / "docs" / "errors.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("<!-- places -->")[2].partition("<!-- /places -->")[0]
ROWS = [
    (name, re.findall("`(.+?)`", place)[0])
    for names, place in re.findall(r"^\| (`.+?) \| (.+?) \|$", TABLE, re.MULTILINE)
    for name in re.findall(r"`(\w+)`(?!\s+or)", names.partition(" of ")[0])
]


def test_there_is_a_table() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize(("name", "place"), ROWS)
def test_the_table_says_what_the_error_says(name: str, place: str) -> None:
    place = place.replace("event_processor=", f"{name}=") if "event_processor" in place else place

    with pytest.raises(TypeError) as caught:
        CallArguments.read({name: 1})

    assert place in str(caught.value)
