"""JSON lines and the log."""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError, SyncSteerLLMClient
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.sinks import JSONLinesSink, LoggingSink
from steer_llm_sdk.testing import HTTPError, Script, ScriptedProvider, check_sink
from support.sinks import record


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("events", [False, True])
@pytest.mark.parametrize("content", [False, True])
def test_json_lines_are_a_sink(tmp_path: Path, *, events: bool, content: bool) -> None:
    path = tmp_path / "streams.jsonl"

    told = check_sink(JSONLinesSink(path, events=events, content=content))

    found = lines_of(path)
    streams = [line for line in found if line["type"] == "stream"]
    assert [StreamRecord.from_dict(line).replace(content=None) for line in streams] == [
        StreamRecord.from_dict(json.loads(each.to_json())).replace(content=None) for each in told
    ]
    assert {line["version"] for line in found} == {1}
    assert any(line["type"] == "delta" for line in found) is events
    assert ("Hello" in path.read_text(encoding="utf-8")) is content


class _Word(str):
    """A string of the caller's own class."""

    __slots__ = ()


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {1: b"bytes", "set": {2, 1}, "word": _Word("w"), None: object}},
        {"metadata": {"half": "\ud800"}, "request_id": "\ud800"},
        {"metrics": {"ttft_ms": float("nan"), "itl_ms": float("inf"), "stall_ms": 1e-7}},
        {"usage": {"prompt_tokens": 2**70}},
        {"parameters": {"temperature": 0.1 + 0.2, "stop": ["\u2028", "ä", "\x00"]}},
        {"retries": ({"provider": "openai", "wait": 1e22},), "gaps": ((0.1, 2), (1.0, 1))},
        {"request_id": _Word("r"), "run_id": "r1", "turn": 2},
    ],
)
def test_a_line_says_what_the_record_says_as_json(tmp_path: Path, changes: dict[str, Any]) -> None:
    told = record(**changes)
    sink = JSONLinesSink(tmp_path / "streams.jsonl")
    sink.stream_ended(told)
    sink.flush()

    assert lines_of(sink.path) == [{"type": "stream", **json.loads(told.to_json())}]


def test_lines_are_appended_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "streams.jsonl"
    for number in range(2):
        sink = JSONLinesSink(path)
        sink.stream_ended(record(stream_id=f"s{number}"))
        sink.flush()

    assert [line["stream_id"] for line in lines_of(path)] == ["s0", "s1"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    sink = JSONLinesSink(tmp_path / "streams.jsonl")

    def write() -> None:
        for _ in range(50):
            sink.stream_ended(record())
            sink.flush()

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lines_of(sink.path)) == 400


def test_a_line_that_was_cut_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = JSONLinesSink(tmp_path / "streams.jsonl")
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:10]))
    sink.stream_ended(record(stream_id="cut"))
    with pytest.raises(OSError, match="wrote 10 bytes of"):
        sink.flush()
    monkeypatch.undo()
    sink.stream_ended(record(stream_id="whole"))
    sink.flush()

    cut, whole = sink.path.read_text(encoding="utf-8").splitlines()
    assert len(cut) == 10
    assert json.loads(whole)["stream_id"] == "whole"


def test_a_child_process_writes_nothing_of_its_parents(tmp_path: Path) -> None:
    sink = JSONLinesSink(tmp_path / "streams.jsonl")
    sink.stream_ended(record(stream_id="parent"))
    child = os.fork()
    if child == 0:
        sink.stream_ended(record(stream_id="child"))
        sink.flush()
        os._exit(0)
    os.waitpid(child, 0)
    sink.flush()

    assert [line["stream_id"] for line in lines_of(sink.path)] == ["child", "parent"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"path": 3}, "path: expected a path"), ({"path": "x", "events": "yes"}, "events: expected")],
)
def test_what_json_lines_cannot_be_made_of_is_refused(arguments: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        JSONLinesSink(**arguments)


# --- the log ----------------------------------------------------------------------------------


def test_the_log_is_a_sink() -> None:
    check_sink(LoggingSink())


def test_a_stream_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "steer_llm_sdk.streams")

    LoggingSink().stream_ended(record(retries=({}, {})))

    (line,) = caplog.records
    assert line.getMessage() == (
        "openai gpt-4o completed (duration 2000 ms, first token 500 ms, 10 + 21 tokens, "
        "2 retries, $0.002000, request r1)"
    )
    assert line.levelno == logging.INFO
    assert vars(line)["stream"] == record(retries=({}, {}))


def test_what_is_not_known_is_left_out_of_the_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "steer_llm_sdk.streams")

    LoggingSink().stream_ended(
        record(outcome="cancelled", usage={"completion_tokens": 2}, metrics={}, cost_usd=None)
    )
    LoggingSink().stream_ended(record(usage=None, metrics={}, cost_usd=None))

    assert caplog.messages == [
        "openai gpt-4o cancelled (? + 2 tokens, request r1)",
        "openai gpt-4o completed (request r1)",
    ]


def test_a_stream_that_failed_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tests.streams")
    with (
        caplog.at_level(logging.WARNING, "tests.streams"),
        SyncSteerLLMClient(
            "key",
            transport=ScriptedProvider(Script(["Hello"]), HTTPError(400)),
            sinks=[LoggingSink(logger)],
        ) as client,
    ):
        client.generate("Hi", "gpt-4o")
        client.stream_with_usage("Hi", "gpt-4o", on_error=lambda event: None)

    (line,) = (record for record in caplog.records if record.name == "tests.streams")
    assert line.levelno == logging.WARNING
    assert line.getMessage().startswith(
        "openai gpt-4o failed in InvalidRequestError: openai (400): "
    )
