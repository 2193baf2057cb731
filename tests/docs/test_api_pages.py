from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

API = Path(__file__).parent.parent.parent / "docs" / "api"
NAMES = ("events", "processor", "manager", "streaming")


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


def test_there_is_no_other_page() -> None:
    assert {page.stem for page in API.glob("*.md")} == set(NAMES) == set(generator.PAGES)
