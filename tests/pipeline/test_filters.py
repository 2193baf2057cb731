from __future__ import annotations

import functools
from collections.abc import AsyncIterator
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
from steer_llm_sdk.pipeline.redaction import RedactTransformer
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


@pytest.mark.parametrize("wrong", [5, None, len, [5], [None]])
@pytest.mark.parametrize(
    ("name", "make"),
    [("types", TypeFilter), ("providers", ProviderFilter), ("filters", CompositeFilter)],
)
def test_a_filter_of_what_it_cannot_know_is_refused_when_it_is_made(
    name: str, make: Any, wrong: Any
) -> None:
    if make is CompositeFilter and wrong is None:
        wrong = [wrong]  # of itself it stands for none

    with pytest.raises(ConfigurationError, match="expected") as of:
        make(wrong)
    assert name in str(of.value)


@pytest.mark.parametrize("wrong", [5, None, "delta", [len]])
def test_a_predicate_that_cannot_be_called_is_refused_when_it_is_made(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="predicate: expected a function of the event"):
        PredicateFilter(wrong)


async def finds_later(_: str) -> list[tuple[int, int]]:
    return []


async def yields_later(_: str) -> AsyncIterator[tuple[int, int]]:
    yield (0, 1)


@pytest.mark.parametrize("find", [finds_later, yields_later, functools.partial(finds_later)])
def test_a_finder_that_would_have_to_be_awaited_is_refused_when_it_is_made(find: Any) -> None:
    with pytest.raises(ConfigurationError, match="patterns: expected a plain function"):
        RedactTransformer(find, max_length=5)
