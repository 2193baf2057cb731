from __future__ import annotations

import io
from typing import Any

import pytest

from steer_llm_sdk.cli.main import main
from steer_llm_sdk.cli.screen import EventLines, TextScreen, figures
from steer_llm_sdk.errors import ServerError
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.responses import StreamingResponse, set_measure
from steer_llm_sdk.models.shapes import TokenUsage
from steer_llm_sdk.testing import HTTPError, LoopbackServer

USAGE: TokenUsage = {"prompt_tokens": 36, "completion_tokens": 80, "total_tokens": 116}


def usage_of(counts: Any, **fields: Any) -> StreamUsageEvent:
    return StreamUsageEvent(usage=counts, **fields)


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(*events: StreamEvent, terminal: bool = False) -> tuple[str, str]:
    """What the text screen writes, to the output and aside."""
    out, aside = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    screen = TextScreen(out, aside)
    for event in events:
        screen.show(event)
    screen.close()
    return out.getvalue(), aside.getvalue()


def line(event: StreamEvent) -> str:
    """The one line of an event."""
    out = io.StringIO()
    screen = EventLines(out, io.StringIO())
    screen.show(event)
    screen.close()
    return out.getvalue()


def reasoning(text: str) -> StreamDeltaEvent:
    return StreamDeltaEvent(delta={"type": "reasoning", "text": text})


def test_only_the_text_goes_to_the_output() -> None:
    events = [
        StreamStartEvent(),
        StreamDeltaEvent(delta="Hello"),
        StreamDeltaEvent(delta=" you"),
        StreamDeltaEvent(delta={"type": "tool_call", "index": 0, "arguments": "{}"}),
        StreamUsageEvent(),
        StreamCompleteEvent(),
    ]

    assert shown(*events) == ("Hello you\n", "")


def test_a_line_that_is_ended_is_not_ended_again() -> None:
    assert shown(StreamDeltaEvent(delta="Hello\n")) == ("Hello\n", "")


def test_reasoning_goes_aside_and_ends_its_line_before_the_text() -> None:
    events = [reasoning("Let me"), reasoning(" think"), StreamDeltaEvent(delta="42")]

    assert shown(*events) == ("42\n", "Let me think\n")


def test_a_refusal_goes_aside() -> None:
    assert shown(StreamDeltaEvent(delta={"type": "refusal", "text": "No."})) == ("", "No.\n")


def test_reasoning_is_dim_on_a_terminal() -> None:
    assert shown(reasoning("hm\n"), terminal=True)[1] == "\x1b[2mhm\n\x1b[0m"


@pytest.mark.parametrize(
    "delta", ["a\x1b[2Jb", "a\x1b]0;title\x07b", "a\x9b2Jb", "a\rb", "a\x00b", "a\x7fb"]
)
def test_a_terminal_gets_no_control_characters(delta: str) -> None:
    out, _ = shown(StreamDeltaEvent(delta=delta), terminal=True)

    assert out.isprintable() or out[:-1].isprintable()


def test_a_pipe_gets_the_text_as_it_is() -> None:
    assert shown(StreamDeltaEvent(delta="a\x1b[2Jb\n"))[0] == "a\x1b[2Jb\n"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            StreamStartEvent(provider="local", model="m", request_id="r1"),
            "   0  start     local/m request_id=r1\n",
        ),
        (StreamDeltaEvent(sequence=1, delta="a\nb"), "   1  delta     'a\\nb'\n"),
        (
            StreamDeltaEvent(delta={"type": "reasoning", "text": "hm"}),
            "   0  delta     kind='reasoning' text='hm'\n",
        ),
        (
            usage_of({"prompt_tokens": 3, "cached_tokens": None}),
            "   0  usage     prompt_tokens=3\n",
        ),
        (
            usage_of({"prompt_tokens": 3}, is_estimated=True, confidence=0.9),
            "   0  usage     prompt_tokens=3 (estimated, confidence 0.90)\n",
        ),
        (
            StreamCompleteEvent(finish_reason="stop", total_chunks=2, duration_ms=10.4),
            "   0  complete  finish_reason=stop chunks=2 duration_ms=10\n",
        ),
        (StreamCompleteEvent(), "   0  complete  finish_reason=not told chunks=0 duration_ms=0\n"),
        (
            StreamErrorEvent(error=ServerError("two\nlines")),
            "   0  error     ServerError: two lines\n",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_event_is_one_line(event: StreamEvent, expected: str) -> None:
    assert line(event) == expected


def test_no_word_of_an_event_is_broken_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = Terminal()

    EventLines(out, Terminal()).show(usage_of({**USAGE, "cached_tokens": 0}))

    assert out.getvalue() == (
        "   0  usage     prompt_tokens=36 completion_tokens=80\n"
        "                total_tokens=116 cached_tokens=0\n"
    )


def test_the_figures_say_what_was_measured() -> None:
    response = StreamingResponse(usage=USAGE)
    set_measure(response, lambda: {"ttft_ms": 187.4, "tokens_per_second": 104.56})

    assert figures(response) == (
        "time to first token 0.19 s · 104.6 tokens/s · 36 tokens in · 80 tokens out"
    )


def test_figures_that_are_estimated_are_marked() -> None:
    response = StreamingResponse(usage=USAGE, usage_is_estimated=True)

    assert figures(response) == "≈36 tokens in · ≈80 tokens out"


@pytest.mark.parametrize("words", ["a\x1b]0;title\x07b", "a\x1b[2Jb", "a\x9bb", "a\x00b"])
def test_an_error_is_told_without_the_control_characters_of_a_server(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with LoopbackServer(HTTPError(400, message=words)).in_thread() as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url("openai"))
        code = main(["stream", "hi", "-m", "gpt-4o"])

    told = capsys.readouterr().err
    assert code == 1
    assert told.rstrip("\n").isprintable()
    assert told.startswith("Error: ")
    assert "b" in told
