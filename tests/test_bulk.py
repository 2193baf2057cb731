"""Many prompts: as they finish, in order, with a limit, and left in the middle."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from steer_llm_sdk import (
    ConfigurationError,
    ProviderSettings,
    ServerError,
    SteerError,
    SteerLLMClient,
    StreamCancelledError,
)
from steer_llm_sdk.models.bulk import Progress, PromptResult
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import HTTPError, RecordedRequest, Script, ScriptedProvider
from support.leaving import until

MODEL = "gpt-4o"
NO_RETRIES = StreamingOptions(max_retries=0)


def asked(request: RecordedRequest) -> str:
    found: str = request.json["messages"][-1]["content"]
    return found


class Gated:
    """A provider that answers each prompt with its own words, once it is let."""

    def __init__(self, *open_ones: str) -> None:
        self.gates: dict[str, asyncio.Event] = {}
        self.running = 0
        self.most = 0
        self._open = set(open_ones)
        self.provider = ScriptedProvider(self.answer)

    async def answer(self, request: RecordedRequest) -> Script:
        words = asked(request)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if words not in self._open:
                await self.gates.setdefault(words, asyncio.Event()).wait()
        finally:
            self.running -= 1
        if words == "fail":
            return Script(faults=[HTTPError(500)])
        return Script([f"re: {words}"])

    def let(self, words: str) -> None:
        self.gates.setdefault(words, asyncio.Event()).set()

    async def begun(self, *words: str) -> None:
        await until(lambda: set(words) <= self.gates.keys())


def echo(request: RecordedRequest) -> Script:
    words = asked(request)
    return Script(faults=[HTTPError(500)]) if words == "fail" else Script([f"re: {words}"])


def client_of(provider: ScriptedProvider) -> SteerLLMClient:
    return SteerLLMClient(
        "key",
        transport=provider,
        providers={name: ProviderSettings(api_key="key") for name in ("anthropic", "gemini")},
    )


def words_of(results: list[PromptResult]) -> list[str]:
    return [str(each.response) if each.ok else type(each.error).__name__ for each in results]


# --- results ---


async def test_results_come_as_they_finish() -> None:
    gated = Gated()
    async with client_of(gated.provider) as client, client.map(["a", "b", "c"], MODEL) as results:
        first = asyncio.ensure_future(anext(results))
        await gated.begun("a", "b", "c")
        gated.let("b")
        taken = [await first]
        gated.let("c")
        taken.append(await anext(results))
        gated.let("a")
        taken += [each async for each in results]

    assert [each.index for each in taken] == [1, 2, 0]
    assert words_of(taken) == ["re: b", "re: c", "re: a"]


async def test_gathered_results_are_in_the_order_of_the_prompts_and_a_failure_ends_nothing() -> (
    None
):
    async with client_of(ScriptedProvider(echo)) as client:
        results = await client.gather(
            ["a", "fail", "b", [{"role": "user", "content": "c"}]],
            MODEL,
            streaming_options=NO_RETRIES,
        )

    assert [each.index for each in results] == [0, 1, 2, 3]
    assert words_of(results) == ["re: a", "ServerError", "re: b", "re: c"]
    assert results[0].unwrap() is results[0].response
    with pytest.raises(ServerError):
        results[1].unwrap()


async def test_a_prompt_that_is_none_fails_alone() -> None:
    async with client_of(ScriptedProvider(echo)) as client:
        results = await client.gather(["a", 7, "b"], MODEL)

    assert words_of(results) == ["re: a", "ConfigurationError", "re: b"]


async def test_arguments_are_those_of_every_call() -> None:
    provider = ScriptedProvider(Script(['{"n": 1}']))
    async with client_of(provider) as client:
        results = await client.gather(
            ["a", "b"], MODEL, 0.5, 10, response_format={"type": "json_object"}, system="Be brief."
        )

    assert [each.unwrap().get_json() for each in results] == [{"n": 1}, {"n": 1}]
    assert [r.json["temperature"] for r in provider.requests] == [0.5, 0.5]
    assert provider.requests[0].json["messages"][0]["content"] == "Be brief."


async def test_no_prompts_are_no_results() -> None:
    provider = ScriptedProvider(echo)
    async with client_of(provider) as client:
        assert await client.gather([], MODEL) == []
    assert provider.requests == []


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_limit_that_is_none_takes_no_more_than_the_prompts(is_known: bool) -> None:
    async with client_of(ScriptedProvider("Hi")) as client:
        prompts = ["a", "b"] if is_known else (each for each in "ab")
        async with asyncio.timeout(60):
            results = await client.gather(prompts, MODEL, concurrency=10**9)

    assert [result.unwrap().text for result in results] == ["Hi", "Hi"]


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_no_more_are_asked_at_a_time_than_may_be(concurrency: int) -> None:
    prompts = [f"p{n}" for n in range(20)]
    gated = Gated()

    async def let_them() -> None:
        for number in range(20):
            await gated.begun(f"p{number}")
            gated.let(f"p{number}")

    async with client_of(gated.provider) as client:
        helper = asyncio.ensure_future(let_them())
        results = await client.gather(prompts, MODEL, concurrency=concurrency)
        await helper

    assert gated.most == concurrency
    assert words_of(results) == [f"re: {words}" for words in prompts]


async def test_prompts_are_taken_as_there_is_room() -> None:
    taken: list[int] = []

    def endless() -> Iterator[str]:
        for number in range(10**9):
            taken.append(number)
            yield f"p{number}"

    client = client_of(ScriptedProvider(echo))
    async with client, client.map(endless(), MODEL, concurrency=2) as results:
        for _ in range(5):
            await anext(results)

    # 5 were taken; 2 wait, 2 are being asked or wait for room.
    assert len(taken) <= 9


async def test_prompts_may_come_asynchronously() -> None:
    async def prompts() -> AsyncIterator[str]:
        for words in ("a", "b"):
            await asyncio.sleep(0)
            yield words

    async with client_of(ScriptedProvider(echo)) as client:
        assert words_of(await client.gather(prompts(), MODEL)) == ["re: a", "re: b"]


async def test_what_the_prompts_raise_is_raised_and_ends_the_rest() -> None:
    gated = Gated("a")
    is_taken = asyncio.Event()

    async def prompts() -> AsyncIterator[str]:
        yield "a"
        yield "b"
        await is_taken.wait()
        raise KeyError("the database")

    async with client_of(gated.provider) as client:
        results = client.map(prompts(), MODEL)
        assert str((await anext(results)).response) == "re: a"
        is_taken.set()
        with pytest.raises(KeyError, match="the database"):
            await anext(results)
        assert [each async for each in results] == []

    assert gated.running == 0


# --- refused ---


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a prompt", MODEL), "prompts: expected a list of prompts, found str"),
        (({"role": "user"}, MODEL), "prompts: expected a list of prompts, found dict"),
        ((7, MODEL), "prompts: expected a list of prompts, found int"),
        ((["a"], "no-such-model"), "no-such-model"),
    ],
)
async def test_what_is_wrong_with_every_call_is_refused_at_once(arguments: Any, words: str) -> None:
    async with client_of(ScriptedProvider(echo)) as client:
        with pytest.raises(ConfigurationError, match=words):
            client.map(*arguments)
        with pytest.raises(ConfigurationError, match=words):
            await client.gather(*arguments)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"concurrency": 0}, "concurrency: expected a whole number above 0"),
        ({"concurrency": "8"}, "concurrency: expected a whole number above 0"),
        ({"on_progress": "yes"}, 'on_progress: expected a function or "bar"'),
    ],
)
async def test_keywords_that_are_not_what_they_should_be_are_refused(
    keywords: Any, words: str
) -> None:
    async with client_of(ScriptedProvider(echo)) as client:
        with pytest.raises(ConfigurationError, match=words):
            client.map(["a"], MODEL, **keywords)
        with pytest.raises(TypeError, match="did you mean 'temperature'"):
            client.map(["a"], MODEL, temprature=1.0)  # type: ignore[call-overload]


# --- leaving ---


async def test_leaving_ends_what_is_being_asked() -> None:
    gated = Gated("a")
    async with client_of(gated.provider) as client:
        async with client.map(["a", "b", "c"], MODEL) as results:
            async for _ in results:
                await gated.begun("b", "c")
                break
        assert gated.running == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert [each async for each in results] == []


async def test_leaving_before_anything_was_asked_asks_nothing() -> None:
    provider = ScriptedProvider(echo)
    async with client_of(provider) as client:
        async with client.map(["a"], MODEL) as results:
            pass
        assert [each async for each in results] == []
    assert provider.requests == []


async def test_results_that_nobody_holds_any_more_end_the_work() -> None:
    gated = Gated("a")
    async with client_of(gated.provider) as client:
        async for _ in client.map(["a", "b"], MODEL):
            await gated.begun("b")
            break
        gc.collect()
        await until(lambda: not gated.running)


async def test_the_end_of_the_task_that_takes_the_results_ends_the_work() -> None:
    gated = Gated("a")
    kept: list[Any] = []

    async def take(client: SteerLLMClient) -> None:
        results = client.map(["a", "b"], MODEL)
        kept.append(results)
        async for _ in results:
            await gated.begun("b")
            raise KeyError

    async with client_of(gated.provider) as client:
        with pytest.raises(KeyError):
            await asyncio.ensure_future(take(client))
        await until(lambda: not gated.running)
        assert [each async for each in kept[0]] == []


async def test_a_cancelled_gather_asks_nothing_more() -> None:
    gated = Gated()
    async with client_of(gated.provider) as client:
        gathering = asyncio.ensure_future(client.gather(["a", "b"], MODEL))
        await gated.begun("a", "b")
        gathering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gathering
        assert gated.running == 0


async def test_a_wait_that_is_given_up_loses_nothing() -> None:
    gated = Gated()
    async with client_of(gated.provider) as client:
        results = client.map(["a"], MODEL)
        waiting = asyncio.ensure_future(anext(results))
        await gated.begun("a")
        waiting.cancel()
        gated.let("a")

        assert words_of([await anext(results)]) == ["re: a"]
        assert len(gated.provider.requests) == 1


@pytest.mark.parametrize("how", ["the client is closed", "cancel"])
async def test_ended_by_others_it_says_so(how: str) -> None:
    gated = Gated("a")
    client = client_of(gated.provider)
    results = client.map(["a", "b", *(f"p{n}" for n in range(50))], MODEL, concurrency=2)
    assert words_of([await anext(results)]) == ["re: a"]
    await gated.begun("b")

    if how == "cancel":
        results.cancel("enough")
    else:
        await client.close()

    with pytest.raises(StreamCancelledError, match="enough" if how == "cancel" else "was closed"):
        async for _ in results:
            pass
    await client.close()
    assert gated.running == 0
    assert len(gated.provider.requests) < 5


# --- progress ---


async def test_progress_tells_of_each_prompt_and_adds_up_what_they_took() -> None:
    seen: list[Progress] = []
    async with client_of(ScriptedProvider(echo)) as client:
        results = client.map(
            ["a", "fail", "b"],
            MODEL,
            concurrency=1,
            streaming_options=NO_RETRIES,
            on_progress=seen.append,
        )
        taken = [each async for each in results]

    assert [(each.done, each.failed, each.total) for each in seen] == [
        (1, 0, 3),
        (2, 1, 3),
        (3, 1, 3),
    ]
    assert (seen[-1].prompt_tokens, seen[-1].completion_tokens) == (24, 14)
    costs = [each.response.cost_usd for each in taken if each.response is not None]
    assert seen[-1].cost_usd == pytest.approx(sum(filter(None, costs)))
    assert results.progress == seen[-1]


def test_what_a_failed_answer_took_counts_too_and_an_unknown_price_is_none() -> None:
    usage: Any = {"prompt_tokens": 5}
    error = SteerError("cut")
    error.partial_response = StreamingResponse(usage=usage)

    after = Progress(total=1).after(PromptResult(0, error=error))

    assert after == Progress(done=1, failed=1, total=1, prompt_tokens=5)
    assert Progress().after(PromptResult(0, error=SteerError())) == Progress(done=1, failed=1)


async def test_how_many_there_are_is_none_where_that_is_not_known() -> None:
    seen: list[Progress] = []
    async with client_of(ScriptedProvider(echo)) as client:
        await client.gather((words for words in "ab"), MODEL, on_progress=seen.append)

    assert [each.total for each in seen] == [None, None]


async def test_an_asynchronous_progress_callback_is_awaited() -> None:
    seen: list[int] = []

    async def note(progress: Progress) -> None:
        await asyncio.sleep(0)
        seen.append(progress.done)

    async with client_of(ScriptedProvider(echo)) as client:
        await client.gather(["a", "b"], MODEL, on_progress=note)

    assert seen == [1, 2]


async def test_a_progress_callback_that_raises_is_logged_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(progress: Progress) -> None:
        raise KeyError("mine")

    async def fail_later(progress: Progress) -> None:
        raise KeyError("mine")

    async with client_of(ScriptedProvider(echo)) as client:
        for callback in (fail, fail_later):
            with caplog.at_level(logging.ERROR):
                results = await client.gather(["a", "b"], MODEL, on_progress=callback)
            assert words_of(results) == ["re: a", "re: b"]

    assert [record.message for record in caplog.records] == [
        f"callback {fail.__qualname__} raised; the prompts go on",
        f"callback {fail_later.__qualname__} raised; the prompts go on",
    ]


async def test_a_bar_is_drawn_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")

    async with client_of(ScriptedProvider(echo)) as client:
        await client.gather(["a", "fail"], MODEL, streaming_options=NO_RETRIES, on_progress="bar")

    shown = capsys.readouterr()
    assert shown.out == ""
    assert "2/2" in shown.err
    assert "19 tokens" in shown.err
    assert "1 failed" in shown.err


async def test_where_there_is_no_terminal_there_is_no_bar(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with client_of(ScriptedProvider(echo)) as client:
        await client.gather(["a"], MODEL, on_progress="bar")

    assert capsys.readouterr() == ("", "")


async def test_a_bar_without_its_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)

    async with client_of(ScriptedProvider(echo)) as client:
        with pytest.raises(ConfigurationError, match=r"steer-llm-sdk\[progress\]"):
            client.map(["a"], MODEL, on_progress="bar")


async def test_results_can_be_pickled() -> None:
    async with client_of(ScriptedProvider(echo)) as client:
        results = await client.gather(["a", "fail"], MODEL, streaming_options=NO_RETRIES)

    assert words_of(pickle.loads(pickle.dumps(results))) == ["re: a", "ServerError"]
