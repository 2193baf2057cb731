from __future__ import annotations

import importlib.util
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from steer_llm_sdk.answer.metrics import StreamMetrics
from steer_llm_sdk.models.streaming import StreamingOptions

API = Path(__file__).parent.parent.parent / "docs" / "api"
NAMES = (
    "events",
    "parts",
    "processor",
    "manager",
    "recording",
    "sinks",
    "journal",
    "web",
    "streaming",
)


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_api", API.parent / "generate_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for their module there
    spec.loader.exec_module(module)
    return module


generator = load_generator()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_of_the_reference_is_what_the_docstrings_say(name: str) -> None:
    page = (API / f"{name}.md").read_text(encoding="utf-8")

    assert page == generator.render(generator.PAGES[name]), "run `make docs`"


@pytest.mark.parametrize("option", [field.name for field in fields(StreamingOptions)])
def test_every_option_is_explained(option: str) -> None:
    page = (API / "streaming.md").read_text(encoding="utf-8")

    assert f"* `{option}`: " in page


@pytest.mark.parametrize("key", StreamMetrics().summary())
def test_every_metric_has_its_formula_in_the_guide(key: str) -> None:
    guide = (API.parent / "guides" / "streaming-events.md").read_text(encoding="utf-8")
    short = key.removeprefix("time_to_first")

    assert f"`{key}`" in guide or f"`…{short}`" in guide


def test_an_entry_of_several_lines_is_whole() -> None:
    def function(one: int) -> None:
        """Does it.

        Args:
            one: This begins here
                and ends here.

        Raises:
            ValueError: Too
                long.
        """

    made = "\n".join(generator.described(function))

    assert made == (
        "Does it.\n**Arguments**\n* `one`: This begins here and ends here.\n"
        "**Raises**\n* `ValueError`: Too long."
    )


def test_there_is_no_other_page() -> None:
    assert {page.stem for page in API.glob("*.md")} == set(NAMES) == set(generator.PAGES)
