from __future__ import annotations

from pathlib import Path

import pytest

from steer_llm_sdk.providers.registry import PROVIDERS

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_is_in_the_readme(name: str) -> None:
    assert name in README.lower()
