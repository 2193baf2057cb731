from __future__ import annotations

from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "steer_llm_sdk"
LIMIT = 500  # a question that is torn into three files to stay short is worse than a long file


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=str(path.relative_to(SOURCE))) for path in SOURCE.rglob("*.py")]
)
def test_a_file_fits_into_one_head(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")

    assert lines <= LIMIT
