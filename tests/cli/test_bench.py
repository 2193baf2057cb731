from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk.cli.asking import read_question
from steer_llm_sdk.cli.bench import histogram
from steer_llm_sdk.cli.load import summary
from steer_llm_sdk.cli.main import main
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.recording import read_recording
from steer_llm_sdk.testing import (
    Delay,
    HTTPError,
    LoopbackServer,
    Pace,
    RecordedRequest,
    Script,
)

Serve = Callable[..., LoopbackServer]
Captured = pytest.CaptureFixture[str]
BENCH = ("bench", "hello", "-m", "openai:gpt-4o")


def test_a_load_is_measured(serve: Serve, capsys: Captured) -> None:
    server = serve(Script(["word "] * 5, usage=(3, 5)))

    begun = time.perf_counter()
    assert main([*BENCH, "-n", "12", "-c", "3", "--json", "--slo", "ttft=60"]) == 0
    seconds = time.perf_counter() - begun
    report = json.loads(capsys.readouterr().out)
    assert len(server.requests) == report["requests"] == report["answered"] == 12
    assert (report["prompt_tokens"], report["output_tokens"]) == (36, 60)
    assert 0 < report["seconds"] <= seconds
    assert report["requests_per_second"] == pytest.approx(12 / report["seconds"], rel=0.01)
    assert report["goodput"] == report["requests_per_second"]
    assert 0 < report["ttft_ms"]["p50"] <= report["e2e_ms"]["p50"] <= report["e2e_ms"]["max"]
    assert report["e2e_ms"]["max"] <= seconds * 1000


def test_no_more_than_so_many_are_asked_at_once(serve: Serve) -> None:
    server = serve(Script())

    main([*BENCH, "-n", "20", "-c", "2", "-q", "--json"])
    assert len(server.connections) <= 2


def test_the_table_is_for_eyes(serve: Serve, capsys: Captured) -> None:
    serve([Script(), HTTPError(400), Script()])

    assert main([*BENCH, "-n", "3", "-c", "1", "--plot", "--slo", "ttft=60,e2e=60"]) == 1
    out = capsys.readouterr().out
    assert "2 of 3 answered" in out
    assert "1 × InvalidRequestError\nInvalidRequestError: openai (400)" in out
    assert "goodput (ttft ≤ 60 s, e2e ≤ 60 s)" in out
    for name in ("TTFT", "ITL", "TPOT", "E2E"):
        assert f"\n{name}" in out
    assert "█" in out


def test_a_histogram_has_every_time_once() -> None:
    rows = histogram("TTFT", sorted([1.0, 1.5, 2.0, 10.0]))

    counted = [int(row.split()[-1]) for row in rows[2:] if "█" in row]
    assert sum(counted) == 4
    assert histogram("TTFT", [5.0, 5.0])[2].endswith("2")
    assert histogram("TTFT", []) == []


# --- beside the server's own clock ----------------------------------------------------------------


def test_the_figures_are_those_of_the_servers_own_clock(serve: Serve, capsys: Captured) -> None:
    """The server's delays are known, and it notes when each request came, by the same clock."""
    came: list[float] = []
    takes = 0.18  # seconds: 60 ms, then 20 ms before each of six deltas

    def answer(_: RecordedRequest) -> Script:
        came.append(time.perf_counter())
        return Script(["word "] * 6, usage=(3, 6), faults=(Delay(0.06), Pace(0.02)))

    serve(answer)
    begun = time.perf_counter()
    assert main([*BENCH, "-n", "5", "-c", "1", "-q", "--json"]) == 0
    done = time.perf_counter()
    report = json.loads(capsys.readouterr().out)

    # Nothing is faster than the server was, and what comes first and five gaps are one stream.
    assert report["ttft_ms"]["p50"] >= 80
    assert report["e2e_ms"]["p50"] >= 180
    whole = report["ttft_ms"]["mean"] + 5 * report["itl_ms"]["mean"]
    assert 180 <= whole <= report["e2e_ms"]["mean"] * 1.0001
    # One at a time: a stream begins when the one before it has been answered, and has ended when
    # the next request comes. So it is, however long a busy machine takes in between.
    begins = [begun, *(moment + takes for moment in came[:-1])]
    most = [(end - begin) * 1000 for begin, end in zip(begins, [*came[1:], done], strict=True)]
    for name, of_server in (summary(sorted(most)) or {}).items():
        assert 180 <= report["e2e_ms"][name] <= of_server + 1  # a timer may end a tick early
    assert came[-1] - came[0] + takes - 0.001 <= report["seconds"] <= done - begun


def test_the_figures_of_the_embedded_model_are_its_servers(
    embedded: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """llama.cpp tells with its last chunk how long it took by its own clock."""
    path = tmp_path / "stream.jsonl"
    monkeypatch.setattr(
        "steer_llm_sdk.cli.bench.read_question", _recorded_question(path, read_question)
    )

    wanted = ["-o", "max_tokens=24", "-o", "temperature=0"]
    assert main(["bench", "Count", "-m", "local:smollm2", "-n", "1", "-q", "--json", *wanted]) == 0
    report = json.loads(capsys.readouterr().out)
    (exchange,) = read_recording(path)
    told = b"".join(chunk.data for chunk in exchange.chunks).decode()
    timings = next(
        json.loads(line.removeprefix("data: "))["timings"]
        for line in told.splitlines()
        if '"timings"' in line
    )
    tokens = report["output_tokens"]
    assert report["ttft_ms"]["p50"] >= timings["prompt_ms"]
    assert report["e2e_ms"]["p50"] >= timings["prompt_ms"] + timings["predicted_ms"] * 0.9
    # TPOT counts the tokens after the first; the server divides by all of them.
    assert report["tpot_ms"]["p50"] * (tokens - 1) == pytest.approx(
        timings["predicted_per_token_ms"] * tokens, rel=0.35
    )


def _recorded_question(path: Path, read: Callable[..., Any]) -> Callable[..., Any]:
    def recorded(parsed: Any) -> Any:
        question = read(parsed)
        question.arguments["streaming_options"] = StreamingOptions(record=path)
        return question

    return recorded
