"""What a ledger tells: figures over the rows that a `SQLiteSink` has written."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steer_llm_sdk.cli.load import is_good, summary
from steer_llm_sdk.errors import ConfigurationError

VERSION = 1  # of the report

_DAY = 86_400.0

_COLUMNS = (
    "provider", "model", "outcome", "error_type", "started_at", "ended_at", "prompt_tokens",
    "completion_tokens", "cost_usd", "retries", "ttft_ms", "itl_ms", "tpot_ms", "duration_ms",
    "decode_tokens_per_second",
)  # fmt: skip

# Where the bars of the distributions end: times in milliseconds, rates in tokens a second.
TTFT_ENDS = (100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800)
RATE_ENDS = (5, 10, 20, 40, 80, 160, 320, 640)


def read_report(
    path: Path, objective: Mapping[str, float], days: float | None = None, *, now: float
) -> dict[str, Any]:
    """Read the figures of a ledger.

    Args:
        path: The ledger.
        objective: What a good stream keeps to, in seconds: ``ttft``, ``itl``, ``tpot``, ``e2e``.
        days: Only streams that began so many days ago, or later.
        now: The Unix time.

    Raises:
        ConfigurationError: It is no ledger.
    """
    since = 0.0 if days is None else now - days * _DAY
    rows = _read_rows(path, since)
    return {
        "version": VERSION,
        "ledger": str(path),
        **_totals(rows),
        "outcomes": _counts(row["outcome"] for row in rows),
        "errors": _counts(row["error_type"] for row in rows if row["outcome"] == "failed"),
        "models": [_of_model(*each) for each in sorted(_by(rows, _model_of).items())],
        "days": [_of_day(*each) for each in sorted(_by(rows, _day_of).items())],
        **({"goodput": _goodput(rows, objective)} if objective else {}),
    }


def _read_rows(path: Path, since: float) -> list[dict[str, Any]]:
    if not path.is_file():
        raise ConfigurationError(
            f"there is no ledger at {path}: programs write one with a SQLiteSink"
        )
    query = f"SELECT {', '.join(_COLUMNS)} FROM streams WHERE started_at >= ?"  # noqa: S608
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            return [
                dict(row) for row in connection.execute(f"{query} ORDER BY started_at", [since])
            ]
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"{path} is no ledger: {error}") from None


def _totals(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "from": rows[0]["started_at"] if rows else None,
        "to": max((row["ended_at"] or row["started_at"] for row in rows), default=None),
        **_sums(rows),
        "retries": sum(row["retries"] or 0 for row in rows),
    }


def _sums(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "streams": len(rows),
        "prompt_tokens": sum(row["prompt_tokens"] or 0 for row in rows),
        "completion_tokens": sum(row["completion_tokens"] or 0 for row in rows),
        "cost_usd": sum(row["cost_usd"] or 0.0 for row in rows),
    }


def _of_model(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    ttft, rates = _known(rows, "ttft_ms"), _known(rows, "decode_tokens_per_second")
    return {
        "model": name,
        **_sums(rows),
        "completed": sum(row["outcome"] == "completed" for row in rows),
        "failed": sum(row["outcome"] == "failed" for row in rows),
        "ttft_ms": summary(ttft),
        "decode_tokens_per_second": summary(rates),
        "ttft_distribution": _distribution(ttft, TTFT_ENDS),
        "rate_distribution": _distribution(rates, RATE_ENDS),
    }


def _of_day(day: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    failed = sum(row["outcome"] == "failed" for row in rows)
    return {"day": day, **_sums(rows), "failed": failed}


def _goodput(rows: Sequence[Mapping[str, Any]], objective: Mapping[str, float]) -> dict[str, Any]:
    """How many streams kept to the objective. What failed did not; what was cancelled is apart."""
    counted = [row for row in rows if row["outcome"] != "cancelled"]
    good = sum(row["outcome"] == "completed" and is_good(_timed(row), objective) for row in counted)
    begun = [row["started_at"] for row in counted]
    ended = [row["ended_at"] or row["started_at"] for row in counted]
    seconds = max(ended) - min(begun) if counted else 0.0
    return {
        "objective": dict(objective),
        "streams": len(counted),
        "good": good,
        "share": good / len(counted) if counted else None,
        "per_second": good / seconds if seconds else None,
    }


def _timed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "e2e_ms": row["duration_ms"]}


def _known(rows: Iterable[Mapping[str, Any]], column: str) -> list[float]:
    return sorted(row[column] for row in rows if row[column] is not None)


def _distribution(values: Iterable[float], ends: Sequence[int]) -> list[int]:
    """How many values are in each bar; the last one has all that are beyond."""
    counts = [0] * (len(ends) + 1)
    for value in values:
        counts[sum(value > end for end in ends)] += 1
    return counts


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    found: defaultdict[str, int] = defaultdict(int)
    for value in values:
        found[value or "unknown"] += 1
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))


def _by(rows: Iterable[dict[str, Any]], name: Any) -> dict[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[name(row)].append(row)
    return found


def _model_of(row: Mapping[str, Any]) -> str:
    return f"{row['provider']}:{row['model']}"


def _day_of(row: Mapping[str, Any]) -> str:
    return datetime.fromtimestamp(row["started_at"], UTC).date().isoformat()
