"""Each fault, in each wire format, through the real client over real sockets.

The table of it in the documentation is made here: ``STEER_WRITE_DOCS=1 pytest`` writes it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.error_codes import code_tables
from support.every_format import MODELS
from support.fault_table import ROWS, TEXT, Row, fault_table, outcome_of

PAGE = Path(__file__).parent.parent.parent / "docs" / "errors.md"

# Faults that leave the answer as it is: everything else must not be called complete.
WHOLE = {
    "429, then fine",
    "usage may not be asked for",
    "the same, then fine",
    "byte by byte",
    "cut at odd places",
    "compressed",
    "keep-alives, then the answer",
    "closed after the answer, announced",
    "closed after the answer, unannounced",
}
# A finish reason and a clean end suffice in this format: see docs/terminal-markers.md. (Gemini's
# finish reason stands in its last frame: without that there is none.)
WHOLE_BY_FINISH = {("a finish reason, no end marker", name) for name in ("openai", "bedrock")}


@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
async def test_a_fault_ends_in_one_honest_event(row: Row, provider: str) -> None:
    outcome = await outcome_of(row, provider)  # the order of its events is checked there

    summary = outcome.summary
    is_whole = row.name in WHOLE or (row.name, provider) in WHOLE_BY_FINISH
    assert summary.is_complete == is_whole
    assert "".join(TEXT).startswith(summary.text)
    assert not is_whole or summary.text == "".join(TEXT)
    assert outcome.requests == 1 or not summary.text or is_whole


async def test_the_documentation_shows_what_the_run_gives() -> None:
    made = {"faults": await fault_table(), "codes": code_tables()}
    page = PAGE.read_text(encoding="utf-8")

    written = page
    for name, table in made.items():
        before, begin, rest = written.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        assert begin
        assert end
        written = f"{before}{begin}{table}\n{end}{after}"
    if os.environ.get("STEER_WRITE_DOCS"):
        PAGE.write_text(written, encoding="utf-8")
        page = written

    assert page == written, "docs/errors.md: run this test with STEER_WRITE_DOCS=1, and look at it"
