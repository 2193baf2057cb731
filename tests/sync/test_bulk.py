"""Many prompts in the blocking client."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError, StreamCancelledError, SyncSteerLLMClient
from steer_llm_sdk.models.bulk import Progress
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import HTTPError, RecordedRequest, Script, ScriptedProvider

MODEL = "gpt-4o"
NO_RETRIES = StreamingOptions(max_retries=0)


def echo(request: RecordedRequest) -> Script:
    words = request.json["messages"][-1]["content"]
    return Script(faults=[HTTPError(500)]) if words == "fail" else Script([f"re: {words}"])


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider(echo)


@pytest.fixture
def client(provider: ScriptedProvider) -> Any:
    with SyncSteerLLMClient("key", transport=provider) as running:
        yield running


def test_gathered_results_are_in_order_and_progress_is_told_in_the_callers_thread(
    client: SyncSteerLLMClient,
) -> None:
    seen: list[tuple[int, int, threading.Thread]] = []

    def note(progress: Progress) -> None:
        seen.append((progress.done, progress.failed, threading.current_thread()))

    results = client.gather(
        ["a", "fail", "b"], MODEL, streaming_options=NO_RETRIES, on_progress=note
    )

    assert [str(each.response or type(each.error).__name__) for each in results] == [
        "re: a",
        "ServerError",
        "re: b",
    ]
    here = threading.current_thread()
    assert [each[0] for each in seen] == [1, 2, 3]
    assert seen[-1] == (3, 1, here)


def test_results_can_be_left_in_the_middle(
    client: SyncSteerLLMClient, provider: ScriptedProvider
) -> None:
    with client.map((f"p{n}" for n in range(10**9)), MODEL, concurrency=2) as results:
        for result in results:
            assert str(result.response).startswith("re: p")
            if results.progress.done == 3:
                break

    assert len(provider.requests) < 20
    assert list(results) == []


def test_results_that_are_dropped_end_the_work(
    client: SyncSteerLLMClient, provider: ScriptedProvider
) -> None:
    next(client.map((f"p{n}" for n in range(10**9)), MODEL, concurrency=2))
    gc.collect()

    assert client.generate("still here", MODEL).text == "re: still here"
    assert len(provider.requests) < 20


def test_an_asynchronous_progress_callback_runs_and_one_that_raises_ends_nothing(
    client: SyncSteerLLMClient, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    async def note(progress: Progress) -> None:
        await asyncio.sleep(0)
        seen.append(progress.done)
        raise KeyError("mine")

    def fail(progress: Progress) -> None:
        raise KeyError("mine")

    client.gather(["a", "b"], MODEL, on_progress=note)
    results = client.gather(["a", "b"], MODEL, on_progress=fail)

    assert (seen, len(results)) == ([1, 2], 2)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_a_closed_client_says_so() -> None:
    client = SyncSteerLLMClient("key", transport=ScriptedProvider(echo))
    results = client.map((f"p{n}" for n in range(10**9)), MODEL, concurrency=2)
    next(results)

    client.close()

    with pytest.raises(StreamCancelledError, match="was closed"):
        for _ in results:
            pass


def test_cancelling_from_outside_says_so(client: SyncSteerLLMClient) -> None:
    results = client.map((f"p{n}" for n in range(10**9)), MODEL, concurrency=2)
    next(results)

    results.cancel("enough")

    with pytest.raises(StreamCancelledError, match="enough"):
        for _ in results:
            pass


def test_a_bar_is_drawn_and_left(
    client: SyncSteerLLMClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")

    client.gather(["a", "b"], MODEL, on_progress="bar")

    assert "2/2" in capsys.readouterr().err


def test_what_cannot_be_called_is_refused(client: SyncSteerLLMClient) -> None:
    with pytest.raises(ConfigurationError, match="on_progress"):
        client.map(["a"], MODEL, on_progress="yes")  # type: ignore[call-overload]


def test_tokens_are_counted(client: SyncSteerLLMClient) -> None:
    count = client.count_tokens("Hello there", MODEL)

    assert (count.is_estimated, count.tokens > 2) == (True, True)
