"""The page of a recording: what happened when, without a word of it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk.errors import ProtocolError, RateLimitError
from steer_llm_sdk.recording import timeline
from steer_llm_sdk.recording.reading import format_of, read_answer
from steer_llm_sdk.recording.recorder import read_recording
from steer_llm_sdk.wire.recording import Chunk, Exchange, line
from support.pages import BACKGROUND, FITS, look_at, needs_browser

URL = "https://api.openai.com/v1/chat/completions"


def frame(**delta: Any) -> str:
    import json

    choice: dict[str, Any] = {"index": 0, "delta": delta}
    return f"data: {json.dumps({'id': 'x', 'choices': [choice]})}\n\n"


def lines() -> list[str]:
    def chunk(at: float, data: str) -> str:
        return line("chunk", exchange=1, at=at, data=data)

    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    error = RateLimitError("slow down").to_dict()
    finish = 'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    return [
        line("recording", version=1, recorded_at=1_760_000_000.0),
        line("request", exchange=0, at=0.0, method="POST", url=URL, body="{}"),
        line("response", exchange=0, at=0.1, status=429),
        line("error", exchange=0, at=0.2, error=error),
        line("request", exchange=1, at=1.0, method="POST", url=URL, body="{}"),
        line("response", exchange=1, at=1.5, status=200),
        chunk(2.0, frame(reasoning_content="secret-word")),
        chunk(2.1, frame(reasoning_content="secret-word")),
        chunk(2.2, frame(content="secret-word")),
        chunk(4.7, frame(content="0123456789")),
        chunk(4.8, frame(tool_calls=[call])),
        chunk(4.9, finish + "data: [DONE]\n\n"),
        line("end", exchange=1, at=5.0),
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "stream.jsonl"
    made.write_text("".join(lines()), encoding="utf-8")
    return made


class Page(HTMLParser):
    """The rows of tables, the bars' titles, and whether anything is loaded from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads = False
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads = self.loads or tag in {"script", "link", "img", "iframe"}
        if tag not in {"meta", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(path: Path) -> None:
    text = timeline(path)

    page = Page(text)
    assert page.open == []
    assert not page.loads
    assert "http-equiv" not in text
    assert "secret-word" not in text


def test_the_bars_tell_what_happened_when(path: Path) -> None:
    titles = re.findall(r"<rect[^>]*><title>([^<]*)</title>", timeline(path))

    assert titles == [
        "request: 0.000 to 0.100 s (0.100 s)",
        "head: 0.100 to 0.200 s (0.100 s)",
        "request: 1.000 to 1.500 s (0.500 s)",
        "head: 1.500 to 2.000 s (0.500 s)",
        "reasoning: 2.000 to 2.200 s (0.200 s)",
        "stall: 2.200 to 4.700 s (2.500 s)",
        "text: 4.700 to 4.800 s (0.100 s)",
        "rest: 4.800 to 5.000 s (0.200 s)",
    ]


def test_the_figures_are_those_of_the_recording(path: Path) -> None:
    text = timeline(path)
    figures = dict(re.findall(r"<tr><th>([^<]*)</th><td>([^<]*)</td></tr>", text))

    assert "429 failed: RateLimitError" in text
    assert "200 ended" in text
    assert figures["first delta after"] == "1.000 s"
    assert figures["deltas"] == "5"
    assert (figures["longest gap"], figures["stalls"]) == ("2.500 s", "1")
    assert figures["characters a second"] == "12"  # 11 + 11 + 10 + 2 in 2.8 s
    assert figures["finish reason"] == "tool_calls"


def test_of_two_gaps_the_shorter_is_in_the_middle(path: Path) -> None:
    """By nearest rank, as everywhere else."""
    said = [each for each in lines() if '"at":2.0' not in each and '"at":4.8' not in each]
    path.write_text("".join(said), encoding="utf-8")

    figures = dict(re.findall(r"<tr><th>([^<]*)</th><td>([^<]*)</td></tr>", timeline(path)))

    assert (figures["gap p50"], figures["gap p99"]) == ("0.100 s", "2.500 s")


def test_a_last_line_without_an_end_is_read() -> None:
    last = b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":true}'
    url = "http://127.0.0.1:11434/api/chat"
    asked = Exchange(0.0, "POST", url, {}, None, head_at=0.5, status=200)
    asked.chunks.append(Chunk(1.0, last))

    answer = read_answer(asked)

    assert [(piece.at, piece.characters) for piece in answer.pieces] == [(1.0, 2)]


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (line("left", exchange=1, at=5.0), "left by its consumer"),
        ("", "cut: the recording ends here"),
    ],
)
def test_other_endings_are_named(path: Path, last: str, said: str) -> None:
    path.write_text("".join([*lines()[:-1], last]), encoding="utf-8")

    assert f"200 {said}" in timeline(path)


@pytest.mark.parametrize(("status", "said"), [(299, "ended"), (300, "failed: by its status")])
def test_an_answer_that_is_no_success_has_failed(path: Path, status: int, said: str) -> None:
    told = [each.replace('"status":200', f'"status":{status}') for each in lines()]
    path.write_text("".join(told), encoding="utf-8")

    assert f"{status} {said}" in timeline(path)


def test_an_answer_that_never_came_has_one_bar(path: Path) -> None:
    path.write_text("".join([*lines()[:2], line("left", exchange=0, at=3.0)]), encoding="utf-8")

    text = timeline(path)

    assert re.findall(r"<title>(request[^<]*)</title>", text) == [
        "request: 0.000 to 3.000 s (3.000 s)"
    ]


def test_it_is_written_where_it_is_asked_for(path: Path, tmp_path: Path) -> None:
    text = timeline(path, tmp_path / "page.html")

    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("{}\n")

    with pytest.raises(ProtocolError):
        timeline(tmp_path / "x")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/responses", "openai-responses"),
        ("/v1/messages", "anthropic"),
        ("/v1beta/models/g:streamGenerateContent", "gemini"),
        ("/api/chat", "ollama"),
        ("/model/x/converse-stream", "bedrock"),
        ("/other", None),
    ],
)
def test_formats_are_known_by_their_paths(path: str, name: str | None) -> None:
    assert format_of(f"https://host{path}") == name


def test_an_unknown_format_has_no_deltas_and_a_broken_one_its_failure(path: Path) -> None:
    path.write_text("".join(lines()).replace("/v1/chat/completions", "/other"), encoding="utf-8")
    assert read_answer(read_recording(path)[1]).pieces == ()

    broken = [*lines()[:6], line("chunk", exchange=1, at=2.0, data="data: {no\n\n")]
    path.write_text("".join(broken), encoding="utf-8")
    failure = read_answer(read_recording(path)[1]).failure
    assert type(failure).__name__ == "ProtocolError"


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1000, False), (1000, True), (390, True)])
async def test_a_browser_draws_it(path: Path, tmp_path: Path, *, width: int, dark: bool) -> None:
    timeline(path, tmp_path / "page.html")

    bars, fits, background = await look_at(
        tmp_path / "page.html",
        [
            "[...document.querySelectorAll('rect')].map(e => getComputedStyle(e).fill)",
            FITS,
            BACKGROUND,
        ],
        tmp_path / "page.png",
        width=width,
        dark=dark,
    )

    assert len(bars) == 8
    assert len(set(bars)) == 6  # a colour for each kind
    assert fits
    assert (background == "rgb(255, 255, 255)") is not dark
