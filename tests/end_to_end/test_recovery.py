"""An answer that was cut goes on where it stands: no character twice, none lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import ConnectionLostError, OverloadedError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.pipeline.transformers import EventTransformer
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.testing import (
    Close,
    ErrorInStream,
    HTTPError,
    LoopbackServer,
    ManualClock,
    RecordedRequest,
    Script,
    ScriptedProvider,
    ScriptedToolCall,
    StreamSummary,
    check_stream,
)
from steer_llm_sdk.testing.plan import Ending, Exchange, Piece, Plan

# Multi-byte characters, a character of several code points, white space of all kinds, repetition.
TEXT = "no no Grüße, 世界! 👩‍🚀  \n\n no no \t end. "
WITH_KEY = ProviderSettings(api_key="test")
SETTINGS = {
    "anthropic": WITH_KEY,
    "ollama": ProviderSettings(),
    "mistral": WITH_KEY,
    "vllm": ProviderSettings(base_url="http://127.0.0.1:1/v1"),
    "llamacpp": ProviderSettings(base_url="http://127.0.0.1:1/v1"),
    "openai": WITH_KEY,
    "gemini": WITH_KEY,
}
RESUMING = ("anthropic", "ollama", "mistral", "vllm", "llamacpp")
ECHOING = frozenset({"mistral", "llamacpp"})
CONTINUE = StreamingOptions(recovery="continue")

Answer = Callable[[RecordedRequest], Script]


@dataclass(frozen=True)
class CutBody:
    """The connection is lost after so many bytes of the body, wherever that is."""

    offset: int

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        body = b"".join(piece.data for piece in plan.pieces)[: self.offset]
        return replace(plan, pieces=(Piece(body, is_delta=True),), ending=Ending.CLOSE)


def pieces_of(text: str) -> list[str]:
    return [text[at : at + 5] for at in range(0, len(text), 5)]


def written_in(request: RecordedRequest) -> str:
    """The beginning of the answer that a request sends along."""
    last = request.json["messages"][-1]
    if last["role"] != "assistant":
        return ""
    content = last["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def model_that_is_cut(provider: str, *offsets: int) -> Answer:
    """A model that says TEXT, goes on with what it is given, and is cut once for each offset."""

    def answer(request: RecordedRequest) -> Script:
        written = written_in(request)
        assert TEXT.startswith(written)
        said = TEXT if provider in ECHOING else TEXT[len(written) :]
        cut = request.number <= len(offsets)
        return Script(pieces_of(said), faults=[CutBody(offsets[request.number - 1])] if cut else [])

    return answer


@dataclass
class Run:
    events: list[StreamEvent]
    summary: StreamSummary
    requests: list[RecordedRequest]

    @property
    def metadata(self) -> dict[str, Any]:
        return self.events[-1].metadata


async def run(
    provider: str,
    answer: Any,
    options: StreamingOptions = CONTINUE,
    arguments: Mapping[str, Any] | None = None,
) -> Run:
    clock = ManualClock()
    network = ScriptedProvider(answer, clock=clock)
    events: list[StreamEvent] = []
    async with SteerLLMClient(
        openai_api_key="test",
        providers=SETTINGS,
        transport=network,
        clock=_Hurried(clock),
    ) as client:
        await client.stream_with_usage(
            "Say it", "m", None, None, options, *([events.append] * 5),
            provider=provider, **(arguments or {}),
        )  # fmt: skip
    return Run(events, check_stream(events), network.requests)


class _Hurried:
    """A clock whose sleepers are woken at once."""

    def __init__(self, clock: ManualClock) -> None:
        self.monotonic, self.time, self.call_later = clock.monotonic, clock.time, clock.call_later

    async def sleep(self, delay: float) -> None:
        del delay


def length_of_body(provider: str) -> int:
    """More than any answer of the model takes."""
    return {"ollama": 1400, "anthropic": 1900}.get(provider, 2600)


# --- wherever it is cut -----------------------------------------------------------------------


@pytest.mark.parametrize("provider", RESUMING)
async def test_wherever_an_answer_is_cut_its_text_comes_whole_and_once(provider: str) -> None:
    for offset in range(0, length_of_body(provider), 17):  # shorter than any frame
        done = await run(provider, model_that_is_cut(provider, offset))

        assert done.summary.text == TEXT, offset
        assert len(done.requests) <= 2
        assert ("recovered" in done.metadata) == (
            len(done.requests) == 2 and written_in(done.requests[1]) != ""
        )


@pytest.mark.parametrize("provider", RESUMING)
async def test_a_second_cut_is_taken_up_like_the_first(provider: str) -> None:
    for offset in range(0, length_of_body(provider), 83):
        done = await run(provider, model_that_is_cut(provider, 700, offset))

        assert done.summary.text == TEXT, offset
        # Cut behind the finish reason, there is nothing to go on with.
        assert done.summary.is_complete or done.metadata["provider_finish_reason"] is not None


async def test_an_answer_that_was_finished_is_not_taken_up_for_its_marker() -> None:
    finished = Script(["All of it"], has_end=False, faults=[Close(1)])

    done = await run("anthropic", replace(finished, faults=[]))

    assert len(done.requests) == 1
    assert done.summary.text == "All of it"
    assert not done.summary.is_complete


async def test_white_space_that_could_not_be_sent_along_is_not_doubled_nor_lost() -> None:
    def answer(request: RecordedRequest) -> Script:
        if request.number == 1:
            return Script(["one \n ", "two"], faults=[Close(1)])
        assert written_in(request) == "one"
        return Script(continuations.pop())

    continuations = [["two"], [" \n two"], [" ", "\n", " two"], [" \n", " two"]]
    while continuations:
        done = await run("anthropic", answer)
        assert done.summary.text == "one \n two"


# --- what is told -----------------------------------------------------------------------------


async def test_a_recovery_is_told_and_its_usage_added_up() -> None:
    done = await run(
        "ollama",
        ScriptAnswers(
            Script(["Hello", " world"], faults=[Close(1)]), Script([" world"], usage=(20, 4))
        ),
    )

    (cut,) = done.metadata["recovered"]
    usage = done.events[-2]
    assert cut["error_type"] == "ConnectionLostError"
    assert cut["chunks"] == 1
    assert cut["usage"]["prompt_tokens"] > 0
    assert done.summary.usage is not None
    assert done.summary.usage["prompt_tokens"] == 20 + cut["usage"]["prompt_tokens"]
    assert done.summary.usage["completion_tokens"] == 4 + cut["usage"]["completion_tokens"]
    assert usage.type == "usage"
    assert usage.is_estimated  # type: ignore[attr-defined]
    assert done.metadata["attempt"] == 2
    assert done.metadata["retries"][0]["error_type"] == "ConnectionLostError"


async def test_an_error_that_the_provider_reports_inside_is_taken_up_too() -> None:
    done = await run(
        "ollama",
        ScriptAnswers(Script(["Hello", " world"], faults=[ErrorInStream(1)]), Script([" world"])),
    )

    assert done.summary.text == "Hello world"
    assert done.metadata["recovered"][0]["error_type"] == "OverloadedError"


class ScriptAnswers:
    """Answers in turn."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    def __call__(self, _request: RecordedRequest) -> Any:
        return self._answers.pop(0)


# --- where the error stands -------------------------------------------------------------------


def cut_script(**fields: Any) -> Script:
    return Script(["Hello", " world"], faults=[Close(1)], **fields)


async def test_a_resumption_that_is_refused_lets_the_first_error_stand() -> None:
    done = await run("anthropic", ScriptAnswers(cut_script(), HTTPError(400)))

    assert isinstance(done.summary.error, ConnectionLostError)
    assert done.summary.text == "Hello"
    assert "recovered" not in done.metadata
    assert len(done.requests) == 2


async def test_a_resumption_that_brings_nothing_lets_the_first_error_stand() -> None:
    overloaded = Script(["x"], faults=[ErrorInStream(0)])

    done = await run("anthropic", ScriptAnswers(cut_script(), overloaded, overloaded))

    assert isinstance(done.summary.error, ConnectionLostError)
    assert "recovered" not in done.metadata
    assert len(done.requests) == 3


async def test_a_cut_after_a_recovery_is_an_error_of_its_own() -> None:
    again = Script([" wor", "ld"], faults=[ErrorInStream(1)])
    options = replace_options(max_retries=1)

    done = await run("ollama", ScriptAnswers(cut_script(), again), options)

    assert isinstance(done.summary.error, OverloadedError)
    assert done.summary.text == "Hello wor"
    assert len(done.metadata["recovered"]) == 1


def replace_options(**changes: Any) -> StreamingOptions:
    return CONTINUE.replace(**changes)


class Shout(EventTransformer):
    """Changes every delta."""

    def transform(self, event: StreamEvent) -> StreamEvent:
        return event


@pytest.mark.parametrize(
    ("provider", "script", "options"),
    [
        pytest.param("openai", cut_script(), CONTINUE, id="a provider that cannot"),
        pytest.param("gemini", cut_script(), CONTINUE, id="another that cannot"),
        pytest.param("openai-responses", cut_script(), CONTINUE, id="a response nobody keeps"),
        pytest.param("ollama", cut_script(), StreamingOptions(), id="not asked for"),
        pytest.param(
            "ollama", cut_script(reasoning=["Hm."]), CONTINUE, id="the answer has reasoning"
        ),
        pytest.param(
            "anthropic",
            Script([], tool_calls=[ScriptedToolCall("f", ['{"a"', ":1}"])], faults=[Close(1)]),
            CONTINUE,
            id="the answer has a tool call",
        ),
        pytest.param(
            "ollama",
            cut_script(),
            replace_options(text_transformers=[Shout()]),
            id="text transformers stand before the response",
        ),
        pytest.param(
            "ollama", cut_script(), replace_options(max_retries=0), id="no retries are allowed"
        ),
    ],
)
async def test_an_answer_is_not_taken_up_when(
    provider: str, script: Script, options: StreamingOptions
) -> None:
    done = await run(provider, ScriptAnswers(script), options)

    assert isinstance(done.summary.error, ConnectionLostError)
    assert len(done.requests) == 1
    assert "recovered" not in done.metadata


# --- OpenAI's responses: the server keeps the answer -------------------------------------------


@dataclass(frozen=True)
class After:
    """Only the events behind a number, as ``starting_after`` asks for."""

    number: int

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        kept = [piece for piece in plan.pieces if _number_of(piece.data) > self.number]
        return replace(plan, pieces=tuple(kept))


def _number_of(data: bytes) -> int:
    payload = json.loads(data.partition(b"data: ")[2])
    number: int = payload["sequence_number"]
    return number


def response_that_is_cut(offset: int) -> Answer:
    def answer(request: RecordedRequest) -> Script:
        script = Script(pieces_of(TEXT), response_id="resp_1", reasoning=["Hm."])
        if request.method != "GET":
            return replace(script, faults=[CutBody(offset)] if request.number == 1 else [])
        assert request.path.endswith("/responses/resp_1")
        after = int(request.query.rpartition("starting_after=")[2])
        return replace(script, faults=[After(after)])

    return answer


async def test_a_response_made_in_the_background_is_taken_up_where_its_events_broke_off() -> None:
    for offset in range(0, 6000, 79):
        clock = ManualClock()
        network = ScriptedProvider(
            response_that_is_cut(offset), format="openai-responses", clock=clock
        )
        events: list[StreamEvent] = []
        async with SteerLLMClient("test", transport=network, clock=_Hurried(clock)) as client:
            response = await client.stream_with_usage(
                "Say it", "gpt-5", None, None, CONTINUE, *([events.append] * 5),
                provider="openai-responses", extra_body={"background": True},
            )  # fmt: skip

        assert check_stream(events).text == TEXT, offset
        assert response.reasoning == "Hm."
        assert response.ok


# --- the embedded model -----------------------------------------------------------------------


async def test_the_embedded_model_goes_on_with_an_answer_that_was_cut(embedded: Endpoint) -> None:
    arguments: dict[str, Any] = {"temperature": 0, "max_tokens": 40, "seed": 1}
    asked = "Count from one to ten in words."
    settings = ProviderSettings(base_url=embedded.base_url, api_key=embedded.api_key)
    async with SteerLLMClient(providers={"llamacpp": settings}) as client:
        whole = await client.generate(asked, "m", provider="llamacpp", **arguments)

    said = whole.get_text()
    cut = Script([said[:20], "lost"], faults=[Close(1)])
    async with LoopbackServer(cut) as broken:
        relay = _Relay(broken.base_url("llamacpp"), embedded)
        providers = {"llamacpp": replace(settings, base_url=broken.base_url("llamacpp"))}
        async with SteerLLMClient(providers=providers, transport=relay) as client:
            response = await client.generate(
                asked, "m", streaming_options=CONTINUE, provider="llamacpp", **arguments
            )

    assert response.get_text().startswith(said[:20])
    assert len(response.get_text()) > 20
    assert said[:20] not in response.get_text()[20:]
    assert len(response.metadata["recovered"]) == 1


class _Relay:
    """Sends the first request to a server that breaks off, and the next to the model."""

    def __init__(self, broken_url: str, endpoint: Endpoint) -> None:
        from steer_llm_sdk.transport.http import HTTPTransport

        self._http = HTTPTransport()
        self._broken_url = broken_url
        self._endpoint = endpoint
        self._is_first = True

    async def open(self, request: Any, *, connect_timeout: float | None) -> Any:
        if not self._is_first:
            url = request.url.replace(self._broken_url, self._endpoint.base_url)
            request = replace(request, url=url)
        self._is_first = False
        return await self._http.open(request, connect_timeout=connect_timeout)

    async def close(self) -> None:
        await self._http.close()
