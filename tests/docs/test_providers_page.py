from __future__ import annotations

import re
from pathlib import Path

import pytest

from steer_llm_sdk.providers.registry import PROVIDERS

PAGE = Path(__file__).parent.parent.parent / "docs" / "providers.md"
TABLE = PAGE.read_text(encoding="utf-8").partition("\n## ")[0]
ROWS = dict(re.findall(r"^\| `([\w-]+)`(?: \*)? \| (.*) \|$", TABLE, re.MULTILINE))


def test_the_page_has_every_provider_and_no_other() -> None:
    assert ROWS.keys() == PROVIDERS.keys()


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_page_names_the_variables_that_are_read(name: str) -> None:
    row = PROVIDERS[name]
    named = set(re.findall(r"`([A-Z_]{6,})`", ROWS[name]))

    of_query = [name for names in row.query_env.values() for name in names]
    assert named == {*row.key_env, *row.base_url_env, *of_query}


@pytest.mark.parametrize("name", [name for name, row in PROVIDERS.items() if not row.needs_key])
def test_the_page_says_where_no_key_is_needed(name: str) -> None:
    assert "not needed" in ROWS[name] or "none" in ROWS[name]


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_page_marks_what_was_not_tried(name: str) -> None:
    assert (f"| `{name}` * |" in TABLE) is not PROVIDERS[name].is_tried
