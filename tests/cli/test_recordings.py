from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.cli.main import main
from steer_llm_sdk.cli.recordings import who_answered
from steer_llm_sdk.config import ProviderSettings
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.recording import read_recording
from steer_llm_sdk.testing import Close, LoopbackServer, Script
from support.every_format import FORMATS

Serve = Callable[..., LoopbackServer]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return tmp_path / "stream.jsonl"


def test_what_was_recorded_is_played_back_without_a_server(
    serve: Serve, recording: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(Script(["Hello", " there"], reasoning=["hm"], usage=(3, 2)))
    assert main(["record", str(recording), "Say", "hello", "-m", "openai:gpt-4o", "-R"]) == 0
    assert capsys.readouterr().out == "Hello there\n"
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")

    assert main(["replay", str(recording), "--speed", "0"]) == 0
    out, err = capsys.readouterr()
    assert out == "Hello there\n"
    assert "hm" in err
    assert "3 tokens in · 2 tokens out" in err
    assert "sk-of-a-test" not in recording.read_text()


def test_what_failed_fails_again(serve: Serve, recording: Path, capsys: Captured) -> None:
    serve(Script(["Hello"] * 3, faults=(Close(after=2),)))
    assert main(["record", str(recording), "hi", "-m", "openai:gpt-4o"]) == 1
    first = capsys.readouterr().err

    assert main(["replay", str(recording), "--speed", "0"]) == 1
    assert capsys.readouterr().err == first


def test_events_are_those_of_the_stream(serve: Serve, recording: Path, capsys: Captured) -> None:
    serve(Script(["a", "b"]))
    main(["record", str(recording), "hi", "-m", "openai:gpt-4o", "--events"])
    kinds = [line.split()[1] for line in capsys.readouterr().out.splitlines()]

    main(["replay", str(recording), "--speed", "0", "--events"])
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == kinds


def test_a_timeline_is_a_page(serve: Serve, recording: Path, tmp_path: Path) -> None:
    serve(Script())
    main(["record", str(recording), "hi", "-m", "openai:gpt-4o"])

    page = tmp_path / "stream.html"
    assert main(["replay", str(recording), "--timeline", str(page)]) == 0
    assert page.read_text("utf-8").lstrip().startswith("<!doctype html>")


@pytest.mark.parametrize("provider", FORMATS)
async def test_every_wire_format_is_known_by_its_address(provider: str, recording: Path) -> None:
    async with LoopbackServer(Script(["Hi"])) as server:
        settings = {provider: ProviderSettings(api_key="none", base_url=server.base_url(provider))}
        async with SteerLLMClient(providers=settings) as client:
            options = StreamingOptions(record=recording)
            await client.generate("hi", "m-1", provider=provider, streaming_options=options)

    (exchange,) = read_recording(recording)
    assert who_answered(exchange)[0] == provider


def test_an_address_of_nobody_is_named() -> None:
    class Foreign:
        url = "https://example.com/other"

    with pytest.raises(ConfigurationError, match=r"https://example\.com/other"):
        who_answered(Foreign())  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "no recording\n", "{}\n"])
def test_a_file_that_is_no_recording_is_one_line(
    recording: Path, capsys: Captured, text: str
) -> None:
    recording.write_text(text)

    assert main(["replay", str(recording)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
