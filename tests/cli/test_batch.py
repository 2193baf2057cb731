from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk.cli.main import main
from steer_llm_sdk.testing import HTTPError, LoopbackServer, RecordedRequest, Script, Stall

Serve = Callable[..., LoopbackServer]
Captured = pytest.CaptureFixture[str]


def echo(request: RecordedRequest) -> Any:
    said = request.json["messages"][-1]["content"]
    return HTTPError(400) if said == "bad" else Script([said.upper()])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in.jsonl").write_text(
        '"one"\n\n{"prompt": "two", "id": "b"}\n'
        '{"messages": [{"role": "user", "content": "three"}]}\n'
    )
    return tmp_path


def run(folder: Path, *more: str) -> int:
    paths = [str(folder / "in.jsonl"), "-O", str(folder / "out.jsonl")]
    return main(["batch", *paths, "-m", "openai:gpt-4o", *more])


def answers(folder: Path) -> dict[int, dict[str, Any]]:
    lines = (folder / "out.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len({record["index"] for record in records}) == len(records)
    return {record["index"]: record for record in records}


def test_each_prompt_has_its_answer(serve: Serve, folder: Path, capsys: Captured) -> None:
    serve(echo)

    assert run(folder, "-c", "2") == 0
    found = answers(folder)
    assert {index: record["text"] for index, record in found.items()} == {
        1: "ONE",
        3: "TWO",
        4: "THREE",
    }
    assert found[3]["id"] == "b"
    assert found[1]["response"]["usage"]
    assert "3 answered · " in capsys.readouterr().err


def test_a_prompt_may_hold_what_unicode_takes_for_the_end_of_a_line(
    serve: Serve, folder: Path
) -> None:
    serve(echo)
    said = [f"a{mark}b" for mark in "\u2028\u2029\x85"]
    lines = (json.dumps(prompt, ensure_ascii=False) for prompt in said)
    (folder / "in.jsonl").write_text("\r\n".join(lines), "utf-8", newline="")

    assert run(folder) == 0
    assert [record["text"] for _, record in sorted(answers(folder).items())] == [
        prompt.upper() for prompt in said
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_prompts_may_be_in_the_encodings_of_windows(
    encoding: str, serve: Serve, folder: Path
) -> None:
    serve(echo)
    (folder / "in.jsonl").write_text('"é"\n', encoding)

    assert run(folder) == 0
    assert answers(folder)[1]["text"] == "É"


def test_what_has_an_answer_is_not_asked_again(serve: Serve, folder: Path) -> None:
    server = serve(echo)
    run(folder)

    assert run(folder) == 0
    assert len(server.requests) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_answers_may_go_into_a_pipe(serve: Serve, folder: Path) -> None:
    """As those of ``-O >(jq .text)`` do: what was answered before cannot be read from it."""
    serve(echo)
    os.mkfifo(folder / "out.jsonl")
    read: list[dict[int, dict[str, Any]]] = []
    reader = threading.Thread(target=lambda: read.append(answers(folder)), daemon=True)
    reader.start()

    assert run(folder, "-q") == 0
    reader.join(10)
    assert [answer["text"] for _, answer in sorted(read[0].items())] == ["ONE", "TWO", "THREE"]


def test_a_line_that_was_not_written_to_its_end_is_asked_again(serve: Serve, folder: Path) -> None:
    server = serve(echo)
    run(folder, "-c", "1")
    output = folder / "out.jsonl"
    output.write_bytes(output.read_bytes()[:-20])  # killed while it wrote

    assert run(folder) == 0
    assert len(answers(folder)) == 3
    assert len(server.requests) == 4


def test_one_that_fails_ends_nothing_and_is_tried_again(
    serve: Serve, tmp_path: Path, capsys: Captured
) -> None:
    server = serve(echo)
    (tmp_path / "in.jsonl").write_text('"bad"\n"good"\n')

    assert run(tmp_path) == 1
    told = capsys.readouterr().err
    assert "1 × InvalidRequestError" in told
    assert "\nInvalidRequestError: openai (400)" in told  # why
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    (failed,) = [record for record in records if "error" in record]
    assert failed["error"]["type"] == "InvalidRequestError"
    run(tmp_path)
    assert [r.json["messages"][0]["content"] for r in server.requests].count("bad") == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", "line 1: this is not JSON"),
        ("5", "line 1: expected a string, or an object"),
        ("{}", "line 1: expected a string, or an object"),
        ('"fine"\n{"prompt": "a", "messages": []}', "line 2: expected a string, or an object"),
    ],
)
def test_a_line_that_is_no_prompt_is_named_and_nothing_is_asked(
    serve: Serve, tmp_path: Path, capsys: Captured, text: str, reason: str
) -> None:
    server = serve(echo)
    (tmp_path / "in.jsonl").write_text(text)

    assert run(tmp_path) == 1
    assert reason in capsys.readouterr().err
    assert server.requests == []


def test_a_file_that_holds_something_else_is_left_alone(
    serve: Serve, folder: Path, capsys: Captured
) -> None:
    serve(echo)
    (folder / "out.jsonl").write_text("my diary\n")

    assert run(folder) == 1
    assert (folder / "out.jsonl").read_text() == "my diary\n"
    assert "'my diary'" in capsys.readouterr().err.replace("b'", "'")


def test_a_file_that_is_not_there_is_named(tmp_path: Path, serve: Serve, capsys: Captured) -> None:
    serve(echo)

    assert run(tmp_path) == 1
    assert "Error: No such file or directory" in capsys.readouterr().err


def test_killed_in_the_middle_and_started_again_it_asks_each_prompt_once(
    serve: Serve, tmp_path: Path
) -> None:
    """SIGKILL leaves no time to tidy up: what is on the disk is all that the second run has."""
    is_in_the_middle, is_first_run = threading.Event(), True

    def answer(request: RecordedRequest) -> Script:
        said = request.json["messages"][-1]["content"]
        if is_first_run and int(said.split()[-1]) > 6:
            is_in_the_middle.set()
            return Script(["never ", "whole"], faults=(Stall(after=1),))
        return Script([said.upper()])

    server = serve(answer)
    (tmp_path / "in.jsonl").write_text("".join(f'"prompt {n}"\n' for n in range(1, 13)))
    command = [sys.executable, "-m", "steer_llm_sdk.cli.main", "batch", "in.jsonl"]
    with subprocess.Popen(
        [*command, "-O", "out.jsonl", "-m", "openai:gpt-4o", "-c", "3"],
        cwd=tmp_path,
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert is_in_the_middle.wait(30)
        process.kill()
    is_first_run = False
    left = (tmp_path / "out.jsonl").read_bytes()
    kept = {json.loads(line)["index"] for line in left.splitlines(True) if line.endswith(b"\n")}
    asked = len(server.requests)

    assert 0 < len(kept) <= 6
    assert run(tmp_path, "-q") == 0
    found = answers(tmp_path)
    assert {index: record["text"] for index, record in found.items()} == {
        n: f"PROMPT {n}" for n in range(1, 13)
    }
    again = {request.json["messages"][-1]["content"] for request in server.requests[asked:]}
    assert again == {f"prompt {n}" for n in range(1, 13) if n not in kept}
    assert len(server.requests) - asked == 12 - len(kept)
