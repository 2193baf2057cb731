"""The ledger: a row for each stream, whoever writes it and whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError, SyncSteerLLMClient
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.sinks import SQLiteSink
from steer_llm_sdk.sinks.sqlite import COLUMNS, VERSION, _of_parents, connect
from steer_llm_sdk.testing import Script, ScriptedProvider, check_sink
from support.sinks import record

DAY = 86_400.0


def rows_of(path: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute("SELECT * FROM streams ORDER BY rowid").fetchall()
    return [dict(row) for row in found]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.mark.parametrize("content", [False, True])
def test_the_ledger_is_a_sink(path: Path, *, content: bool) -> None:
    told = check_sink(SQLiteSink(path, content=content))

    found = rows_of(path)
    assert [(row["stream_id"], row["outcome"]) for row in found] == [
        (each.stream_id, each.outcome) for each in told
    ]
    assert any("Hello" in str(row.values()) for row in found) is content


def test_a_row_has_what_the_record_has(path: Path) -> None:
    told = record(
        metadata={"user": "ä"}, retries=({"wait": 1},), error_type="ServerError", is_retryable=True
    )
    sink = SQLiteSink(path)
    sink.stream_ended(told)
    sink.flush()
    sink.close()

    (row,) = rows_of(path)
    assert list(row) == list(COLUMNS)
    for name in ("stream_id", "model", "started_at", "outcome", "finish_reason", "cost_usd"):
        assert row[name] == getattr(told, name)
    assert (row["prompt_tokens"], row["completion_tokens"], row["cached_tokens"]) == (10, 21, None)
    assert (row["ttft_ms"], row["duration_ms"], row["gap_max_ms"]) == (500.0, 2000.0, None)
    assert (row["retries"], row["error_type"], row["is_retryable"]) == (1, "ServerError", 1)
    assert (json.loads(row["metadata"]), row["content"]) == ({"user": "ä"}, None)


def test_a_stream_is_one_row_however_often_it_is_told_of(path: Path) -> None:
    sink = SQLiteSink(path)
    for cost in (0.1, 0.2):
        sink.stream_ended(record(cost_usd=cost))
        sink.flush()
    sink.close()

    assert [row["cost_usd"] for row in rows_of(path)] == [0.2]


def test_rows_that_are_too_old_go(path: Path) -> None:
    now = time.time()
    ages = {"new": 1.0, "old": 8.0}
    sink = SQLiteSink(path, keep_days=7)
    for name, days in ages.items():
        sink.stream_ended(record(stream_id=name, started_at=now - days * DAY))
    sink.flush()
    sink.close()

    assert [row["stream_id"] for row in rows_of(path)] == ["new"]


def test_without_a_limit_all_rows_stay(path: Path) -> None:
    sink = SQLiteSink(path)
    sink.stream_ended(record(started_at=0.0))
    sink.flush()
    sink.close()

    assert len(rows_of(path)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"path": None}, "path: expected a path"),
        ({"path": ""}, "path: expected a path"),
        ({"path": "x", "keep_days": 0}, "keep_days: expected a number of days above 0"),
        ({"path": "x", "keep_days": True}, "keep_days"),
        ({"path": "x", "content": 1}, "content: expected"),
    ],
)
def test_what_a_ledger_cannot_be_made_of_is_refused(arguments: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        SQLiteSink(**arguments)


# --- several processes ------------------------------------------------------------------------

_WRITER = """
import sys
from steer_llm_sdk import SyncSteerLLMClient
from steer_llm_sdk.sinks import SQLiteSink
from steer_llm_sdk.testing import Script, ScriptedProvider

sink = SQLiteSink(sys.argv[1])
provider = ScriptedProvider(*[Script(["Hi"])] * 40)
client = SyncSteerLLMClient("k", transport=provider, sinks=[sink])
for _ in range(40):
    client.generate("Hi", "gpt-4o")
print(client.stats.sink_errors, sink.lost)
"""

_ENDLESS = """
import sys
from steer_llm_sdk import SyncSteerLLMClient
from steer_llm_sdk.sinks import SQLiteSink
from support.sinks import record

sink = SQLiteSink(sys.argv[1])
for number in range(10**9):
    sink.stream_ended(record(stream_id=str(number)))
    sink.flush()
    if number == 50:
        print("written", flush=True)
"""


def start(program: str, path: Path) -> subprocess.Popen[str]:
    source = os.pathsep.join([*sys.path, os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": source},
    )


def test_ten_processes_write_at_once_and_no_row_is_lost(path: Path) -> None:
    ready, go_on = os.pipe()
    children = []
    for process in range(10):
        child = os.fork()
        if child == 0:
            os.close(go_on)
            os.read(ready, 1)  # until all are there
            sink = SQLiteSink(path)
            for number in range(40):
                sink.stream_ended(record(stream_id=f"{process}-{number}"))
                sink.flush()
            sink.close()
            os._exit(sink.lost)
        children.append(child)
    os.close(go_on)
    os.close(ready)

    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 10
    assert len(rows_of(path)) == 400


def test_a_process_that_is_killed_leaves_a_readable_ledger(path: Path) -> None:
    with start(_ENDLESS, path) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        writer.send_signal(signal.SIGKILL)

    found = rows_of(path)
    assert [row["stream_id"] for row in found] == [str(number) for number in range(len(found))]
    assert len(found) >= 50
    sink = SQLiteSink(path)
    sink.stream_ended(record(stream_id="after"))
    sink.flush()
    sink.close()
    assert rows_of(path)[-1]["stream_id"] == "after"


def test_a_fork_shares_no_connection_and_writes_nothing_twice(path: Path) -> None:
    sink = SQLiteSink(path)
    sink.stream_ended(record(stream_id="before"))
    sink.flush()
    sink.stream_ended(record(stream_id="waiting"))
    child = os.fork()
    if child == 0:
        has_connection = sink._connection is not None or bool(_of_parents)
        sink.stream_ended(record(stream_id="child"))
        sink.flush()
        sink.close()
        os._exit(int(has_connection))
    _, status = os.waitpid(child, 0)
    sink.flush()
    sink.close()

    assert status == 0
    assert [row["stream_id"] for row in rows_of(path)] == ["before", "child", "waiting"]


def test_workers_that_were_forked_off_with_a_client_write_each_their_own(path: Path) -> None:
    """As gunicorn does with `preload_app`: the client is made, and used, before the fork."""
    provider = ScriptedProvider(*[Script(["Hi"])] * 20)
    client = SyncSteerLLMClient("k", transport=provider, sinks=[SQLiteSink(path)])
    client.generate("Hi", "gpt-4o")
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            client.generate("Hi", "gpt-4o")
            client.close()
            os._exit(client.stats.sink_errors)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    client.generate("Hi", "gpt-4o")
    client.close()

    assert statuses == [0] * 4
    found = rows_of(path)
    assert len({row["stream_id"] for row in found}) == len(found) == 6


def test_what_waits_is_written_when_the_process_ends(path: Path) -> None:
    program = (
        _WRITER.replace("with SyncSteer", "if client := SyncSteer")
        .replace(") as client:", "):")
        .replace("    client.close()\n", "")
    )

    writer = start(program, path)

    assert writer.communicate(timeout=30)[0].strip() == "0 0"
    assert len(rows_of(path)) == 40


# --- what goes wrong --------------------------------------------------------------------------


def test_a_full_disk_loses_rows_counts_them_and_touches_no_stream(path: Path) -> None:
    with closing(connect(path)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    sink = SQLiteSink(path)
    provider = ScriptedProvider(*[Script(["Hi"])] * 3)
    with SyncSteerLLMClient("k", transport=provider, sinks=[sink]) as client:
        client.generate("Hi", "gpt-4o")
        client.close()
        sink._connection = connect(path)
        sink._connection.execute(f"PRAGMA max_page_count={pages + 1}")
        metadata = {"much": "x" * 50_000}
        response = client.generate("Hi", "gpt-4o", metadata=metadata)
        client.close()
        assert (response.ok, sink.lost, client.stats.sink_errors) == (True, 1, 1)

        client.generate("Hi", "gpt-4o")  # there is room again: another connection

    assert (sink.lost, len(rows_of(path))) == (1, 2)


def test_after_a_write_that_failed_another_connection_is_opened(path: Path) -> None:
    with closing(connect(path)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    sink = SQLiteSink(path)
    sink._connection = connect(path)
    sink._connection.execute(f"PRAGMA max_page_count={pages + 1}")
    large = {"much": "x" * 50_000}
    sink.stream_ended(record(stream_id="lost", metadata=large))
    with pytest.raises(sqlite3.Error):
        sink.flush()
    sink.stream_ended(record(stream_id="kept", metadata=large))
    sink.flush()
    sink.close()

    assert [row["stream_id"] for row in rows_of(path)] == ["kept"]


@pytest.mark.parametrize(
    ("unfit", "error"), [({"model": "\ud83d"}, ValueError), ({"attempts": 2**63}, OverflowError)]
)
def test_a_row_that_no_database_holds_is_lost_alone(
    path: Path, unfit: dict[str, Any], error: type[Exception]
) -> None:
    sink = SQLiteSink(path)
    for name, more in (("before", {}), ("unfit", unfit), ("after", {})):
        sink.stream_ended(record(stream_id=name, **more))

    with pytest.raises(error):
        sink.flush()
    sink.close()

    assert [row["stream_id"] for row in rows_of(path)] == ["before", "after"]
    assert sink.lost == 1


# What a stream may have nothing of, and what it has else.
_OPTIONAL: Mapping[str, Any] = {
    "finish_reason": "stop",
    "error_type": "ServerError",
    "error_status": 500,
    "is_retryable": True,
    "cost_usd": 0.5,
    "run_id": "r",
    "turn": 3,
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


@pytest.mark.parametrize("most", [None, 999, len(COLUMNS)], ids=["", "of_old", "one_row"])
def test_rows_with_and_without_this_and_that_are_all_written_as_they_are(
    path: Path, monkeypatch: pytest.MonkeyPatch, most: int | None
) -> None:
    def limited(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        if most is not None:
            connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, most)
        return connection

    monkeypatch.setattr("steer_llm_sdk.sinks.sqlite.connect", limited)
    random, sink, told = Random(7), SQLiteSink(path), dict[str, StreamRecord]()
    for number in range(700):
        nothing = random.sample(sorted(_OPTIONAL), random.choice([0, 0, 0, 1, 3]))
        has = {name: None if name in nothing else value for name, value in _OPTIONAL.items()}
        told[str(number)] = record(stream_id=str(number), **has)
        sink.stream_ended(told[str(number)])
        if number % 97 == 0:
            sink.flush()
    sink.flush()
    sink.close()

    rows = {row["stream_id"]: row for row in rows_of(path)}
    assert len(rows) == len(told)
    for name, each in told.items():
        found, usage = rows[name], each.usage or {}
        assert [found[key] for key in _OPTIONAL if key in found] == [
            getattr(each, key) for key in _OPTIONAL if key in found
        ]
        assert found["completion_tokens"] == usage.get("completion_tokens")
        assert (found["usage_is_estimated"], found["gap_p50_ms"]) == (0, None)


def test_rows_that_are_alike_take_one_statement(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []

    def traced(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.set_trace_callback(lambda sql: statements.append(sql.partition("(")[0]))
        return connection

    monkeypatch.setattr("steer_llm_sdk.sinks.sqlite.connect", traced)
    sink = SQLiteSink(path)
    for number in range(250):
        sink.stream_ended(record(stream_id=str(number)))
    sink.flush()
    sink.close()

    assert statements == ["INSERT OR REPLACE INTO streams "]
    assert len(rows_of(path)) == 250


def test_what_waits_behind_a_write_that_failed_is_counted_and_what_was_written_is_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steer_llm_sdk.sinks.sqlite._AT_ONCE", 4)

    def short(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 2}")
        return connection

    monkeypatch.setattr("steer_llm_sdk.sinks.sqlite.connect", short)
    sink = SQLiteSink(path)
    for number in range(100):
        sink.stream_ended(record(stream_id=str(number), metadata={"user": "x" * 200}))
    with pytest.raises(sqlite3.Error, match="full"):
        sink.flush()
    sink.close()

    written = len(rows_of(path))
    assert written > 0
    assert (written % 4, written + sink.lost) == (0, 100)


def test_half_a_character_of_a_prompt_is_kept_as_json(path: Path) -> None:
    words = {"text": "ä\ud83d"}
    sink = SQLiteSink(path, content=True)
    sink.stream_ended(record(metadata=words, content=words))
    sink.flush()
    sink.close()

    (row,) = rows_of(path)
    assert json.loads(row["metadata"]) == json.loads(row["content"]) == words


def test_a_ledger_that_cannot_be_opened_touches_no_stream(tmp_path: Path) -> None:
    sink = SQLiteSink(tmp_path / "no" / "folder" / "ledger.db")
    provider = ScriptedProvider(Script(["Hi"]))
    with SyncSteerLLMClient("k", transport=provider, sinks=[sink]) as client:
        assert client.generate("Hi", "gpt-4o").ok

    assert (sink.lost, client.stats.sink_errors) == (1, 1)


def test_a_ledger_of_a_newer_version_is_left_as_it_is(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    sink = SQLiteSink(path)
    sink.stream_ended(record())

    with pytest.raises(sqlite3.DatabaseError, match=f"the ledger is of version {VERSION + 1}"):
        sink.flush()

    assert rows_of(path) == []


def test_a_writer_waits_for_another(path: Path) -> None:
    sink = SQLiteSink(path)
    sink.stream_ended(record(stream_id="first"))
    sink.flush()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        sink.stream_ended(record(stream_id="second"))
        import threading

        writing = threading.Thread(target=sink.flush)
        writing.start()
        writing.join(0.05)
        assert writing.is_alive()
        other.execute("COMMIT")
        writing.join()
    sink.close()

    assert [row["stream_id"] for row in rows_of(path)] == ["first", "second"]
