from __future__ import annotations

import functools
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.pipeline.filters import (
    CompositeFilter,
    PredicateFilter,
    ProviderFilter,
    TypeFilter,
)
from support.events import complete, delta, start


class LoudDelta(StreamDeltaEvent):
    pass


@pytest.mark.parametrize("types", [[StreamDeltaEvent], StreamDeltaEvent, "delta", ["delta"]])
def test_a_type_filter_takes_classes_and_names_one_or_more(types: Any) -> None:
    one = TypeFilter(types)

    assert one.should_process(delta())
    assert one.should_process(LoudDelta())
    assert not one.should_process(start())


@pytest.mark.parametrize("types", ["deltas", [int], [StreamDeltaEvent, "?"], [3]])
def test_a_type_filter_refuses_what_is_no_type_of_event(types: Any) -> None:
    with pytest.raises(ConfigurationError, match="'start', 'delta'"):
        TypeFilter(types)


@pytest.mark.parametrize("providers", ["OpenAI", ["anthropic", "OPENAI"]])
def test_a_provider_filter_ignores_case(providers: Any) -> None:
    one = ProviderFilter(providers)

    assert one.should_process(StreamEvent(provider="openAI"))
    assert not one.should_process(StreamEvent(provider="xai"))


def test_a_predicate_filter_takes_any_truth() -> None:
    one = PredicateFilter(lambda event: event.metadata.get("n"))

    assert one.should_process(StreamEvent(metadata={"n": 1})) is True
    assert one.should_process(StreamEvent()) is False


def test_an_async_predicate_is_refused_because_it_would_always_be_true() -> None:
    async def predicate(event: StreamEvent) -> bool:
        return False

    with pytest.raises(ConfigurationError, match="coroutine function"):
        PredicateFilter(predicate)


def test_a_composite_filter_asks_for_all_or_for_any() -> None:
    parts = [TypeFilter("delta"), ProviderFilter("openai")]

    assert CompositeFilter(parts).should_process(delta())
    assert not CompositeFilter(parts).should_process(complete())
    assert CompositeFilter(parts, require_all=False).should_process(complete())
    assert not CompositeFilter(parts, require_all=False).should_process(StreamEvent())


class AsksLater:
    async def __call__(self, event: StreamEvent, wanted: bool = True) -> bool:
        return wanted


async def asks_later(event: StreamEvent, wanted: bool = True) -> bool:
    return wanted


@pytest.mark.parametrize(
    "predicate",
    [
        asks_later,
        AsksLater(),
        functools.partial(asks_later, wanted=False),
        functools.partial(AsksLater(), wanted=False),
        functools.partial(functools.partial(AsksLater()), wanted=False),
    ],
)
def test_a_coroutine_is_refused_however_it_is_wrapped(predicate: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected a plain function, found the coroutine"):
        PredicateFilter(predicate)
