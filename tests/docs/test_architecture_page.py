from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = sorted(
    f"{path.name}/" if path.is_dir() else path.stem
    for path in (ROOT / "src" / "steer_llm_sdk").iterdir()
    if not path.name.startswith(("_", ".")) and path.suffix in {"", ".py"}
)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_described(room: str) -> None:
    assert f"`{room}`" in PAGE


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_its_place_in_the_order_of_imports(room: str) -> None:
    order = PAGE.partition("## Who may import whom")[2]

    assert room.rstrip("/") in order
