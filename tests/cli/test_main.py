"""The command line with the real model: in this process, and as the program that users start."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from steer_llm_sdk._version import __version__
from steer_llm_sdk.cli.main import main
from steer_llm_sdk.local.weights import weights_path
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.testing import LoopbackServer, Script, Stall

FIGURES = re.compile(
    r"time to first token \d+\.\d\d s · \d+\.\d tokens/s · \d+ tokens in · \d+ tokens out"
)
STEER = [sys.executable, "-W", "error", "-m", "steer_llm_sdk.cli.main"]


@pytest.fixture(autouse=True)
def weights(embedded: Endpoint) -> None:
    """The weights are there."""


@pytest.fixture
def serving() -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """`steer local serve`, and the variables that it tells to export."""
    with subprocess.Popen(
        [*STEER, "local", "serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(2)]
        yield process, dict(line.removeprefix("export ").split("=", 1) for line in lines)
        process.kill()


def test_a_stream_is_text_then_figures(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["stream", "Say hello", "--max-tokens", "30", "--temperature", "0"])

    out, err = capsys.readouterr()
    assert code == 0
    assert out.strip()
    assert out.endswith("\n")
    notice, *_, last = err.splitlines()
    assert "local:smollm2 answers" in notice
    assert FIGURES.fullmatch(last)


def test_events_are_lines_from_start_to_complete(capsys: pytest.CaptureFixture[str]) -> None:
    main(["stream", "Say hello", "-m", "local:smollm2", "--events", "--max-tokens", "4"])

    kinds = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert kinds[0] == "start"
    assert kinds[-2:] == ["usage", "complete"]
    assert set(kinds[1:-2]) == {"delta"}


def test_the_system_prompt_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    def ask(*more: str) -> str:
        main(["stream", "Hello", "--max-tokens", "12", "--temperature", "0", *more])
        return capsys.readouterr().err.splitlines()[-1]

    tokens = [
        int(line.split(" tokens in")[0].split()[-1]) for line in (ask(), ask("-s", "Be a cat."))
    ]
    assert tokens[0] != tokens[1]


def test_another_file_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model-path", str(weights_path()), "--max-tokens", "3"]

    assert main(["stream", "Say hello", *arguments]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["stream", "hi", "-m", "nonsense"], "'nonsense' does not say which provider"),
        (["stream", "hi", "-m", "gpt-4o-mini"], "OPENAI_API_KEY"),
        (["stream", "hi", "--model-path", "/absent.gguf"], "cannot be read"),
        (["stream"], "there is no prompt"),
        (["local", "serve", "--model-path", "/absent.gguf"], "cannot be read"),
    ],
)
def test_what_cannot_begin_is_one_line_and_exit_1(
    capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    code = main(arguments)

    out, err = capsys.readouterr()
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert reason in err
    assert err.count("\n") == 1


def test_a_stream_that_fails_is_one_line_and_exit_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, embedded: Endpoint
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", embedded.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-key-0123456789")

    code = main(["stream", "hi", "-m", "gpt-4o-mini"])

    err = capsys.readouterr().err
    assert code == 1
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert "0123456789" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["streem"],
        ["local"],
        ["stream", "hi", "--max-tokens", "x"],
        ["stream", "hi", "--events=xml"],
        ["local", "serve", "--port", "99999"],
        ["local", "serve", "--port", "-1"],
        ["bench", "-n", "0"],
        ["bench", "--slo", "speed=1"],
    ],
)
def test_wrong_usage_is_exit_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert "usage: steer" in capsys.readouterr().err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert caught.value.code == 0
    assert capsys.readouterr().out == f"steer-llm-sdk {__version__}\n"


def test_providers_tells_which_keys_are_set_and_never_what_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAI_API_KEY", "xai-secret-value")

    assert main(["providers"]) == 0

    out = capsys.readouterr().out
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert re.fullmatch(r"xai +XAI_API_KEY +set", rows["xai"])
    assert rows["groq"].endswith("not set")
    assert rows["ollama"].endswith("not needed")
    assert rows["local:smollm2"].endswith("weights are here")
    assert "xai-secret-value" not in out


def test_pull_says_where_the_weights_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["local", "pull"]) == 0
    assert capsys.readouterr().out == f"Already here: {weights_path()}\n"


def test_piped_text_is_part_of_the_prompt() -> None:
    done = subprocess.run(
        [*STEER, "stream", "--max-tokens", "3"],
        input="Say hello",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0
    assert done.stdout.strip()
    assert FIGURES.fullmatch(done.stderr.splitlines()[-1])


def test_ctrl_c_ends_the_stream_with_130_and_no_traceback() -> None:
    endless = Script(["word "] * 8, faults=(Stall(after=6),))
    with (
        LoopbackServer(endless).in_thread() as server,
        subprocess.Popen(
            [*STEER, "stream", "Count to one thousand", "-m", "openai:gpt-4o", "--events"],
            env={
                **os.environ,
                "OPENAI_API_KEY": "key",
                "OPENAI_BASE_URL": server.base_url("openai"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Error" not in err


def test_a_reader_that_goes_away_is_no_drama() -> None:
    with subprocess.Popen(
        [*STEER, "stream", "Count to one thousand", "--events"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=20)

    assert process.returncode == 141
    assert err == "No model is named and no key is set: local:smollm2 answers.\n"


def test_serve_prints_what_another_program_needs(
    serving: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    _, exported = serving
    request = urllib.request.Request(
        f"{exported['OPENAI_BASE_URL']}/chat/completions",
        json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}).encode(),
        {"authorization": f"Bearer {exported['OPENAI_API_KEY']}"},
    )

    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_well_when_it_is_told_to(
    serving: tuple[subprocess.Popen[str], dict[str, str]], number: signal.Signals
) -> None:
    process, _ = serving

    process.send_signal(number)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (0, "")
    assert err == "Serving local:smollm2 until Ctrl-C.\n"


def test_serve_says_when_its_server_died(
    serving: tuple[subprocess.Popen[str], dict[str, str]],
) -> None:
    process, _ = serving
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell a process's children")

    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 1
    assert err.endswith("Error: the server ended by itself\n")
