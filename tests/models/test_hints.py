"""What is said of attributes and arguments that other libraries have."""

from __future__ import annotations

import copy
import pickle
import pydoc
import time
from dataclasses import dataclass

import pytest

from steer_llm_sdk import (
    ProviderSettings,
    RunResult,
    SteerLLMClient,
    StreamDeltaEvent,
    StreamingOptions,
    StreamingResponse,
    StreamStartEvent,
    StreamUsageEvent,
    SyncSteerLLMClient,
    Tool,
)
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.bulk import PromptResult
from steer_llm_sdk.streaming.processor import (
    CoalesceTransformer,
    CompositeFilter,
    EventProcessor,
    RateLimiter,
    RedactTransformer,
    SamplingFilter,
)
from steer_llm_sdk.testing import ManualClock


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("content", "response.text"),
        ("choices", "response.text"),
        ("message", r"response.to_message\(\)"),
        ("model_dump", r"response.to_dict\(\)"),
        ("stop_reason", "response.finish_reason"),
    ],
)
def test_a_response_says_what_another_librarys_name_is_here(name: str, words: str) -> None:
    with pytest.raises(
        AttributeError, match=f"'StreamingResponse' object has no attribute '{name}': .*{words}"
    ):
        getattr(StreamingResponse(), name)


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        (StreamStartEvent(), "get_text", "'StreamStartEvent' .* look at event.type first"),
        (StreamDeltaEvent(delta="a"), "text", "'StreamDeltaEvent' .* are event.get_text()"),
        (StreamUsageEvent(), "content", "a delta's words are event.get_text()"),
        (PromptResult(0), "text", "'PromptResult' .* result.unwrap()"),
        (RunResult(), "final_output", "'RunResult' .* the words are result.text"),
        (RunResult(), "all_messages", "result.messages is the whole history"),
    ],
)
def test_what_events_and_results_do_not_have_is_told_where_it_is(
    given: object, name: str, words: str
) -> None:
    with pytest.raises(AttributeError, match=words) as caught:
        getattr(given, name)

    assert (caught.value.name, caught.value.obj) == (name, given)
    assert getattr(given, name, None) is None
    assert copy.deepcopy(given) == pickle.loads(pickle.dumps(given)) == given
    assert "has no attribute" not in pydoc.render_doc(given)


def test_a_class_of_ones_own_may_have_what_events_have_not() -> None:
    @dataclass(slots=True, eq=False)
    class Quoted(StreamDeltaEvent):
        text: str = "a"
        content: str = ""

    assert (Quoted().text, Quoted(content="b").content) == ("a", "b")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (RunResult(messages=[]), "found RunResult: pass its messages"),
        (StreamingResponse(), r"found StreamingResponse: its to_message\(\) is one"),
        ([StreamingResponse()], r"messages\[0\]: .* found StreamingResponse: its to_message\(\)"),
        ([RunResult(messages=[])], r"messages\[0\]: .* found RunResult: pass its messages"),
        (5, "found int$"),
    ],
)
async def test_a_result_in_the_place_of_its_messages_is_told_so(given: object, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        await SteerLLMClient("k").generate(given, "gpt-4o")


def test_a_name_that_nobody_has_is_told_plainly_and_asked_for_politely() -> None:
    response = StreamingResponse()

    with pytest.raises(AttributeError, match=r"no attribute 'zzz'$") as caught:
        response.zzz  # type: ignore[attr-defined]  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("zzz", response)
    assert not hasattr(response, "content")
    assert getattr(response, "content", None) is None
    assert copy.deepcopy(response) == pickle.loads(pickle.dumps(response)) == response


@pytest.mark.parametrize("client", [SteerLLMClient, SyncSteerLLMClient])
def test_a_client_says_how_it_is_asked(client: type) -> None:
    for name in ("chat", "messages", "responses", "ainvoke"):
        with pytest.raises(AttributeError, match=rf"'{name}': client.generate\(messages, model\)"):
            getattr(client(), name)


def test_no_hint_is_of_a_name_that_exists() -> None:
    from steer_llm_sdk.calls import METHODS
    from steer_llm_sdk.models.responses import _HINTS

    assert [name for name in METHODS if hasattr(SteerLLMClient, name)] == []
    assert [name for name in _HINTS if hasattr(StreamingResponse(), name)] == []


def test_an_argument_without_its_name_is_told_which_names_there_are() -> None:
    with pytest.raises(TypeError, match=r"by their names \(api_key=, base_url=, kind=, …\)") as of:
        ProviderSettings("sk-secret")  # type: ignore[call-arg]
    assert "secret" not in str(of.value)
    with pytest.raises(TypeError, match="StreamingOptions: expected arguments by their names"):
        StreamingOptions(5)  # type: ignore[call-arg, arg-type]
    with pytest.raises(TypeError, match=r"SteerLLMClient: .* \(providers=, transport=, clock="):
        SteerLLMClient("a", "b", "c", {})  # type: ignore[call-arg]


@pytest.mark.parametrize("client", [SteerLLMClient, SyncSteerLLMClient])
@pytest.mark.parametrize("clock", [5, time, ManualClock])
def test_what_is_no_clock_is_refused(client: type, clock: object) -> None:
    with pytest.raises(ConfigurationError, match=r"clock: expected a clock .* ManualClock"):
        client(clock=clock)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("func", "function"),
        ("args_schema", "parameters"),
        ("requires_approval", "needs_approval"),
        ("descripton", "description"),
    ],
)
def test_an_argument_of_a_tool_is_told_what_it_is_called(name: str, meant: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}': did you mean '{meant}'"):
        Tool(len, **{name: None})  # type: ignore[arg-type]


@pytest.mark.parametrize("client", [SteerLLMClient, SyncSteerLLMClient])
@pytest.mark.parametrize("transport", ["http", object(), SteerLLMClient, SteerLLMClient()])
def test_what_is_no_transport_is_refused(client: type, transport: object) -> None:
    with pytest.raises(ConfigurationError, match="transport: expected a transport"):
        client(transport=transport)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: EventProcessor(filters=len), r"write filters=\[…\]"),  # type: ignore[arg-type]
        (lambda: EventProcessor(transformers=len), r"write transformers=\[…\]"),  # type: ignore[arg-type]
        (lambda: CompositeFilter(5), "filters: expected a list, found int"),  # type: ignore[arg-type]
        (lambda: EventProcessor(filters=[len]), "write PredicateFilter"),  # type: ignore[list-item]
        (lambda: RedactTransformer("("), r"expected a regular expression, found '\('"),
        (lambda: RedactTransformer(5), "expected a pattern or a function, found 5"),  # type: ignore[arg-type]
        (lambda: RedactTransformer("a", replacement=5), "replacement: expected a str"),  # type: ignore[arg-type]
        (lambda: RedactTransformer("a", max_length="5"), "max_length: expected"),  # type: ignore[arg-type]
        (lambda: CoalesceTransformer("word", max_length="5"), "max_length: expected"),  # type: ignore[arg-type]
        (lambda: CoalesceTransformer(interval_ms="5"), "interval_ms: expected milliseconds"),  # type: ignore[arg-type]
        (lambda: RateLimiter("5"), "per_second: expected a number above 0, found '5'"),  # type: ignore[arg-type]
        (lambda: RateLimiter(5, burst=1.5), "burst: expected a whole number"),  # type: ignore[arg-type]
        (lambda: SamplingFilter("all"), "share: expected above 0 and up to 1, found 'all'"),  # type: ignore[arg-type]
    ],
)
def test_what_a_processor_cannot_work_with_says_what_was_expected(wrong, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigurationError, match=words):
        wrong()


def test_settings_that_are_wrong_can_be_shown() -> None:
    assert "base_url='5'" in repr(ProviderSettings(base_url=5))  # type: ignore[arg-type]
