from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from steer_llm_sdk.cli.streams import can_style, decode, is_piped, read_text, wrapped
from steer_llm_sdk.testing import LoopbackServer, Script

STEER = f"{sys.executable} -W error -m steer_llm_sdk.cli.main"
Serve = Callable[..., LoopbackServer]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shell(command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", command], input=stdin, capture_output=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("environment", "is_styled"),
    [
        ({}, True),
        ({"TERM": "xterm-256color"}, True),
        ({"NO_COLOR": ""}, True),  # empty is as if it were not set
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_styles_are_for_terminals_where_nobody_declined_them(
    environment: dict[str, str], is_styled: bool
) -> None:
    assert can_style(Terminal(), environment) is is_styled
    assert not can_style(io.StringIO(), environment)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-mark", "utf-16-be-mark", "cp1252"]
)
def test_text_is_read_in_whatever_encoding_it_is(encoding: str) -> None:
    data = {
        "utf-16-le-mark": "\ufeffcafé".encode("utf-16-le"),
        "utf-16-be-mark": "\ufeffcafé".encode("utf-16-be"),
    }.get(encoding)

    assert decode(data or "café".encode(encoding)) == "café"


def test_no_byte_is_too_strange_to_be_read() -> None:
    assert decode(bytes(range(256)))


def test_a_line_is_broken_between_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    text = "Error: gpt-4o-mini is not there, did you mean another?"

    lines = wrapped(text, Terminal()).splitlines()
    assert " ".join(lines) == text
    assert max(map(len, lines)) < 20
    assert wrapped(text, io.StringIO()) == wrapped(text, None) == text


def test_a_terminal_of_one_column_has_a_word_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1")

    assert wrapped("a word a line", Terminal()) == "a\nword\na\nline"


@pytest.mark.parametrize("word", ["\x1b]0;title\x07", "\x1b[2J", "\x9b31m", "a\x08b", "\x7f"])
def test_a_line_for_a_terminal_has_nothing_that_moves_the_cursor(word: str) -> None:
    told = f"Error: No such file or directory: {word}"

    assert wrapped(told, Terminal()).replace("\n", " ").isprintable()
    assert wrapped(told, None) == told


def test_a_closed_or_absent_input_is_no_pipe() -> None:
    closed = open(os.devnull)  # noqa: SIM115, PTH123
    closed.close()

    assert not is_piped(None)
    assert not is_piped(closed)
    assert read_text(None) == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", ["hello -m openai:gpt-4o", "providers", "local pull"])
def test_a_full_device_is_one_line(serve: Serve, embedded: object, command: str) -> None:
    serve(Script(["word "] * 20_000))

    done = shell(f"{STEER} {command} > /dev/full")

    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == "Error: No space left on device"
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_errors_that_cannot_be_told_are_still_an_exit_code() -> None:
    done = shell(f"{STEER} providers > /dev/full 2> /dev/full")

    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


@pytest.mark.parametrize(
    ("redirection", "out"), [("2>&-", b"Hello world\n"), ("<&-", b"Hello world\n"), (">&-", b"")]
)
def test_a_closed_stream_costs_only_what_it_would_have_shown(
    serve: Serve, redirection: str, out: bytes
) -> None:
    serve(Script())

    done = shell(f"{STEER} hello -m openai:gpt-4o {redirection}")

    assert (done.returncode, done.stdout) == (0, out)
    assert b"Traceback" not in done.stderr


def test_what_is_piped_in_need_not_be_utf_8(serve: Serve) -> None:
    server = serve(Script())

    done = shell(f"{STEER} -m openai:gpt-4o -q", "déjà".encode("latin-1"))

    assert done.returncode == 0
    assert server.requests[0].json["messages"][-1]["content"] == "déjà"
