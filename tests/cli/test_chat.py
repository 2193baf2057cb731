from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from steer_llm_sdk.cli.main import main
from steer_llm_sdk.testing import HTTPError, LoopbackServer, Script, Stall

Serve = Callable[..., LoopbackServer]
Captured = pytest.CaptureFixture[str]
Type = Callable[..., int]
MODEL = ("-m", "openai:gpt-4o")


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Type:
    """Run a chat in which these lines are typed."""

    def run(*lines: str, options: Sequence[str] = MODEL) -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        return main(["chat", *options])

    return run


def contents(server: LoopbackServer, request: int) -> list[str]:
    return [message["content"] for message in server.requests[request].json["messages"]]


def test_each_question_has_all_before_it(serve: Serve, chat: Type, capsys: Captured) -> None:
    server = serve([Script(["one"]), Script(["two"])])

    assert chat("first", "second") == 0
    assert contents(server, 1) == ["first", "one", "second"]
    assert capsys.readouterr().out == "one\ntwo\n"


def test_a_line_may_go_on_in_the_next(serve: Serve, chat: Type) -> None:
    server = serve(Script())

    chat("one\\", "two", "/quit", "not asked")
    assert contents(server, 0) == ["one\ntwo"]
    assert len(server.requests) == 1


def test_another_model_and_system_prompt_hold_from_then_on(serve: Serve, chat: Type) -> None:
    server = serve(Script())

    chat("a", "/model openai:gpt-4o-mini", "/system Be brief.", "b", "/system", "c")
    bodies = [request.json for request in server.requests]
    assert [body["model"] for body in bodies] == ["gpt-4o", "gpt-4o-mini", "gpt-4o-mini"]
    systems = [body["messages"][0]["role"] == "system" for body in bodies]
    assert systems == [False, True, False]


def test_what_is_saved_can_be_loaded(serve: Serve, chat: Type, tmp_path: Path) -> None:
    server = serve(Script(["fine"]))
    path = tmp_path / "talk.json"
    chat("how are you?", f"/save {path}")

    chat("and now?", options=["--load", str(path)])
    assert contents(server, 1) == ["how are you?", "fine", "and now?"]


def test_it_begins_anew(serve: Serve, chat: Type) -> None:
    server = serve(Script())

    chat("a", "/clear", "b")
    assert contents(server, 1) == ["b"]


def test_an_error_ends_no_chat_and_its_question_can_be_asked_again(
    serve: Serve, chat: Type, capsys: Captured
) -> None:
    server = serve([HTTPError(400), Script(["ok"])])

    assert chat("a", "b") == 0
    assert contents(server, 1) == ["b"]
    assert "Error: " in capsys.readouterr().err


@pytest.mark.parametrize("line", ["/nonsense", "/help"])
def test_what_can_be_said_is_told(chat: Type, serve: Serve, capsys: Captured, line: str) -> None:
    serve(Script())

    chat(line)
    assert "/model NAME" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["/save", "/save /dev/null/folder/file.json", '/save "open'])
def test_what_cannot_be_saved_is_said(
    chat: Type, serve: Serve, capsys: Captured, line: str
) -> None:
    serve(Script())

    assert chat(line) == 0
    assert "Error: " in capsys.readouterr().err


def test_ctrl_c_stops_the_answer_and_not_the_chat(serve: Serve, shell: Path) -> None:
    serve([Script(["word "] * 8, faults=(Stall(after=6),)), Script(["still here"])])
    with subprocess.Popen(
        [sys.executable, "-m", "steer_llm_sdk.cli.main", "chat", *MODEL],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
        text=True,
        bufsize=0,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("count\n")
        process.stdout.read(len("word "))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate("again\n", timeout=20)

    assert process.returncode == 0
    assert out.endswith("still here\n")
    assert "(stopped)" in err
    assert "Traceback" not in err
