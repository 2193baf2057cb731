"""`steer stats`: the figures are those that SQL finds in the ledger, on the page too."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk.cli.ledger import read_report
from steer_llm_sdk.cli.ledger_page import make_page
from steer_llm_sdk.cli.main import main
from steer_llm_sdk.cli.stats import _table
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.sinks import SQLiteSink
from support.pages import BACKGROUND, FITS, look_at, needs_browser
from support.sinks import record

NOW = 1_760_000_000.0
DAY = 86_400.0
ERRORS = ("ServerError", "RateLimitError")
BY_DAY = "SELECT count(*), date(started_at, 'unixepoch') FROM streams GROUP BY 2 ORDER BY 2"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Forty streams over four days, of two models: some failed, were cancelled, were slow."""
    path = tmp_path / "ledger.db"
    sink = SQLiteSink(path)
    for number in range(40):
        outcome = "failed" if number % 8 == 0 else "cancelled" if number % 13 == 1 else "completed"
        has_answer = outcome != "failed"
        metrics = {
            "ttft_ms": 50.0 * (number + 1),
            "tpot_ms": 10.0 + number,
            "duration_ms": 2_000.0,
            "decode_tokens_per_second": 5.0 * (number + 1),
        }
        sink.stream_ended(
            record(
                stream_id=f"s{number}",
                model="gpt-4o" if number % 3 else "<b>mini</b>",
                started_at=NOW - (number % 4) * DAY,
                ended_at=NOW - (number % 4) * DAY + 2,
                outcome=outcome,
                error_type=None
                if has_answer
                else ("ServerError", "RateLimitError")[number % 16 == 0],
                usage={"prompt_tokens": 10, "completion_tokens": number} if has_answer else None,
                cost_usd=0.001 * number if has_answer else None,
                metrics=metrics if has_answer else {"duration_ms": 100.0},
                retries=({},) * (number % 2),
            )
        )
    sink.flush()
    sink.close()
    return path


def ask(ledger: Path, query: str) -> Any:
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute(query).fetchall()


def report_of(ledger: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["stats", str(ledger), "--json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_figures_are_those_of_the_ledger(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(ledger, capsys)

    ((streams, tokens_in, tokens_out, cost, retries),) = ask(
        ledger,
        "SELECT count(*), sum(prompt_tokens), sum(completion_tokens), sum(cost_usd), sum(retries)"
        " FROM streams",
    )
    assert (report["streams"], report["prompt_tokens"]) == (streams, tokens_in)
    assert (report["completion_tokens"], report["retries"]) == (tokens_out, retries)
    assert report["cost_usd"] == pytest.approx(cost)
    counted = dict(ask(ledger, "SELECT outcome, count(*) FROM streams GROUP BY outcome"))
    assert report["outcomes"] == counted
    failed = "SELECT error_type, count(*) FROM streams WHERE outcome = 'failed' GROUP BY error_type"
    assert report["errors"] == dict(ask(ledger, failed))
    by_model = "SELECT provider || ':' || model, count(*) FROM streams GROUP BY model"
    assert {each["model"]: each["streams"] for each in report["models"]} == dict(
        ask(ledger, by_model)
    )
    by_day = "SELECT date(started_at, 'unixepoch'), count(*), sum(cost_usd) FROM streams GROUP BY 1"
    assert [(each["day"], each["streams"], each["cost_usd"]) for each in report["days"]] == [
        (day, count, pytest.approx(spent)) for day, count, spent in ask(ledger, by_day)
    ]


def test_distributions_count_every_stream_that_is_known_of(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (first, second) = report_of(ledger, capsys)["models"]

    known = ask(ledger, "SELECT count(ttft_ms), max(ttft_ms) FROM streams WHERE model = 'gpt-4o'")
    assert second["model"] == "openai:gpt-4o"
    assert (sum(second["ttft_distribution"]), second["ttft_ms"]["max"]) == known[0]
    assert second["ttft_distribution"][0] == 1  # up to 100 ms: the second stream
    assert sum(first["rate_distribution"]) > 0


def test_goodput_counts_failures_as_misses_and_leaves_cancellations_out(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    goodput = report_of(ledger, capsys, "--slo", "ttft=1.0,tpot=0.025")["goodput"]

    ((good, counted, seconds),) = ask(
        ledger,
        "SELECT sum(outcome = 'completed' AND ttft_ms <= 1000 AND tpot_ms <= 25), count(*),"
        " max(ended_at) - min(started_at) FROM streams WHERE outcome <> 'cancelled'",
    )
    assert (goodput["good"], goodput["streams"]) == (good, counted)
    assert goodput["share"] == pytest.approx(good / counted)
    assert goodput["per_second"] == pytest.approx(good / seconds)
    assert goodput["objective"] == {"ttft": 1.0, "tpot": 0.025}


def test_only_the_last_days_are_counted_where_that_is_asked_for(ledger: Path) -> None:
    report = read_report(ledger, {}, 1.5, now=NOW)

    expected = ask(ledger, f"SELECT count(*) FROM streams WHERE started_at >= {NOW - 1.5 * DAY}")
    assert report["streams"] == expected[0][0]
    assert len(report["days"]) == 2


def test_the_table_is_for_eyes(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(ledger), "--slo", "ttft=1.0"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("40 streams: ")
    assert "× RateLimitError" in said
    assert re.search(r"goodput \(ttft ≤ 1 s\): \d+ of \d+, \d+%, ", said)
    assert re.search(r"^openai:gpt-4o +26 ", said, re.MULTILINE)
    assert datetime.fromtimestamp(NOW, UTC).date().isoformat() in said


def test_the_ledger_may_be_named_by_the_environment(
    ledger: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEER_LEDGER", str(ledger))

    assert main(["stats"]) == 0
    assert capsys.readouterr().out.startswith("40 streams")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "there is no ledger at"), (b"no database " * 99, "is no ledger")]
)
def test_what_is_no_ledger_is_named(
    tmp_path: Path, content: bytes | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.db"
    if content is not None:
        path.write_bytes(content)

    assert main(["stats", str(path)]) == 1
    assert said in capsys.readouterr().err
    with pytest.raises(ConfigurationError):
        read_report(path, {}, now=time.time())


def test_a_ledger_without_streams_has_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "empty.db"
    sink = SQLiteSink(path)
    sink.stream_ended(record(started_at=0.0))
    sink.flush()
    sink.close()

    report = read_report(path, {"ttft": 1.0}, 1, now=NOW)

    assert (report["streams"], report["models"], report["goodput"]["share"]) == (0, [], None)
    assert "has no streams of this time" in make_page(report)
    assert main(["stats", str(path), "--days", "1"]) == 0
    assert capsys.readouterr().out.startswith("0 streams")


# --- the page ---------------------------------------------------------------------------------


class Page(HTMLParser):
    """The text of each element, by its tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "img", "iframe"}, "the page needs nothing else"
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))


def test_the_page_has_the_figures_and_needs_nothing_else(ledger: Path, tmp_path: Path) -> None:
    assert main(["stats", str(ledger), "--html", str(tmp_path / "page.html")]) == 0

    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.open == []
    tiles = {
        name: value
        for (tag, value), (_, name) in zip(page.texts, page.texts[1:], strict=False)
        if tag == "b"
    }
    ((streams, tokens),) = ask(ledger, "SELECT count(*), sum(completion_tokens) FROM streams")
    assert (tiles["streams"], tiles["tokens out"]) == (str(streams), str(tokens))
    cells = [text for tag, text in page.texts if tag == "td"]
    assert "openai:<b>mini</b>" in cells  # a model's name is no markup
    days = [text for tag, text in page.texts if tag == "span"]
    assert datetime.fromtimestamp(NOW, UTC).date().isoformat() in days


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1000, False), (1000, True), (390, False)])
async def test_a_browser_draws_the_page(
    ledger: Path, tmp_path: Path, *, width: int, dark: bool
) -> None:
    page = tmp_path / "page.html"
    text = make_page(read_report(ledger, {"ttft": 1.0}, now=NOW))
    page.write_text(text, encoding="utf-8")
    first_chart = "[...document.querySelector('ol').querySelectorAll('i')]"

    heights, fits, background, values = await look_at(
        page,
        [
            f"{first_chart}.map(e => e.getBoundingClientRect().height)",
            FITS,
            BACKGROUND,
            "[...document.querySelector('ol').querySelectorAll('.value')].map(e => +e.textContent)",
        ],
        tmp_path / "page.png",
        width=width,
        dark=dark,
    )

    counts = [count for count, _ in ask(ledger, BY_DAY)]
    assert values == counts
    tallest = max(counts)
    assert heights == pytest.approx([count / tallest * 120 for count in counts], abs=1)
    assert fits
    assert (background == "rgb(255, 255, 255)") is not dark


def test_a_table_that_is_too_wide_for_the_terminal_has_its_names_on_lines_of_their_own() -> None:
    rows: list[tuple[str, ...]] = [
        ("MODEL", "STREAMS", "COST"),
        ("provider:a-long-name", "12", "$0.1"),
    ]

    assert (
        list(_table(rows, 35))
        == list(_table(rows, None))
        == [
            "MODEL                 STREAMS  COST",
            "provider:a-long-name       12  $0.1",
        ]
    )
    assert list(_table(rows, 34)) == [
        "MODEL",
        "  STREAMS  COST",
        "provider:a-long-name",
        "       12  $0.1",
    ]
