from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from steer_llm_sdk.cli.bench import histogram
from steer_llm_sdk.cli.main import main
from steer_llm_sdk.testing import HTTPError, LoopbackServer, Script

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
    assert "1 × InvalidRequestError" in out
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
