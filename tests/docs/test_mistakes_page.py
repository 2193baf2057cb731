"""The page of mistakes is what is told today: each of them is made again."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from steer_llm_sdk.providers.base import Endpoint

DOCS = Path(__file__).parent.parent.parent / "docs"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mistakes", DOCS / "generate_mistakes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mistakes"] = module
    spec.loader.exec_module(module)
    return module


GENERATOR = load()
PAGE = (DOCS / "mistakes.md").read_text("utf-8")
ALL = [each for mistakes in GENERATOR.CHAPTERS.values() for each in mistakes]

# Words that only a program can follow.
_PYTHON = ("ProviderSettings", "StreamingOptions", "SteerLLMClient", "providers=", "pass provider=")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded: Endpoint) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEER_STATE_DIR", str(tmp_path))


@pytest.mark.parametrize("mistake", ALL, ids=lambda mistake: mistake.made)
def test_a_mistake_is_told_as_the_page_says(mistake: Any) -> None:
    (row,) = list(GENERATOR.rows([mistake]))[2:]

    assert row in PAGE.splitlines()
    if mistake in GENERATOR.SHELL:
        assert not any(words in GENERATOR.told(mistake) for words in _PYTHON)


def test_no_row_shows_a_mistake_of_the_generator() -> None:
    of_the_generator = [row for row in PAGE.splitlines() if "NameError" in row]

    assert of_the_generator == []


def test_the_page_has_no_other_rows() -> None:
    assert PAGE.count("\n| `") == len(ALL)
    assert len(ALL) > 100
