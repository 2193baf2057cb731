"""Whether a function yields, and whether it is asynchronous, is told in one place for all rooms."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from steer_llm_sdk import ConfigurationError, SteerLLMClient, Tool
from steer_llm_sdk.checks import PATH, TEXT, is_asynchronous, refuse_yielding, yields
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.streaming import refuse_no_transformer
from steer_llm_sdk.pipeline import filters
from steer_llm_sdk.pipeline.transformers import EventTransformer
from steer_llm_sdk.sinks.base import Sink, check_sinks
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.testing import ScriptedProvider


def plain(*_: Any) -> None: ...


async def awaited(*_: Any) -> None: ...


def yielding(*_: Any) -> Iterator[int]:
    yield 1


async def yielding_too(*_: Any) -> AsyncIterator[int]:
    yield 1


def as_method(function: Any) -> Any:
    holder: Any = type("Holder", (), {"run": function})()
    return holder.run


def as_object(function: Any) -> Any:
    return type("Called", (), {"__call__": function})()


def around(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*given: Any) -> Any:
        return function(*given)

    return wrapper


def with_attribute(function: Any) -> Callable[..., Any]:
    copied = FunctionType(function.__code__, globals())
    copied.__dict__["note"] = "it might be a mark"
    return copied


SHAPES: dict[str, Callable[[Any], Any]] = {
    "the function": lambda function: function,
    "a partial": functools.partial,
    "a partial of a partial": lambda function: functools.partial(functools.partial(function, 1), 2),
    "a method": as_method,
    "a static method": lambda function: as_method(staticmethod(function)),
    "a class's method": lambda function: as_method(classmethod(function)),
    "a partial method": lambda function: as_method(functools.partialmethod(function, 1)),
    "an object": as_object,
    "a partial of an object": lambda function: functools.partial(as_object(function)),
    "an object's __call__": lambda function: as_object(function).__call__,
    "with an attribute": with_attribute,
}
KINDS: list[tuple[Any, bool, bool]] = [
    (plain, False, False),
    (awaited, False, True),
    (yielding, True, False),
    (yielding_too, True, True),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("function", "does_yield", "is_async"), KINDS)
def test_a_function_is_known_in_every_shape(
    shape: str, function: Any, does_yield: bool, is_async: bool
) -> None:
    given = SHAPES[shape](function)

    assert yields(given) is does_yield
    assert is_asynchronous(given) is is_async


@pytest.mark.parametrize("function", [awaited, yielding, yielding_too])
def test_a_decorated_function_is_judged_by_what_was_put_around_it(function: Any) -> None:
    assert not yields(around(function))
    assert not is_asynchronous(around(function))


@pytest.mark.parametrize("given", [MagicMock(), str, int, len, "".join, None, 3, object()])
def test_what_has_no_code_neither_yields_nor_is_asynchronous(given: object) -> None:
    assert not yields(given)
    assert not is_asynchronous(given)


def test_a_mock_of_a_coroutine_function_is_asynchronous() -> None:
    assert is_asynchronous(AsyncMock())
    assert not yields(AsyncMock())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 marks none")
def test_a_function_that_is_marked_as_asynchronous_is_it() -> None:
    marked = inspect.markcoroutinefunction(around(awaited))  # type: ignore[attr-defined,unused-ignore]

    assert is_asynchronous(marked)
    assert is_asynchronous(functools.partial(marked))


@pytest.mark.parametrize(
    ("function", "kind"),
    [(yielding, "the generator function"), (yielding_too, "the asynchronous generator function")],
)
@pytest.mark.parametrize("shape", ["the function", "a partial", "a method", "a partial method"])
def test_a_generator_function_is_refused_with_its_name(
    shape: str, function: Any, kind: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"what: .*found {kind} {function.__name__}: "):
        refuse_yielding("what", SHAPES[shape](function))


def with_method(kind: type, name: str, function: Any) -> Any:
    made = kind()
    made.__dict__[name] = function
    return made


class Idle(EventTransformer):
    """A transformer that changes nothing."""

    def transform(self, event: StreamEvent) -> StreamEvent:
        return event


# Whoever takes a function that must not yield, and what it says.
ROOMS: dict[str, Callable[[Any], object]] = {
    "on_delta: expected a function": lambda given: EventManager().add("delta", given),
    "text_transformers: expected a transform that returns": lambda given: refuse_no_transformer(
        "text_transformers", with_method(Idle, "transform", given)
    ),
    "tools: expected a function that returns": lambda given: Tool(given, name="run"),
    "stream_filter: expected a function": lambda given: filters.refuse_coroutine(
        "stream_filter", given
    ),
    r"sinks\[0\].stream_ended: expected a function": lambda given: check_sinks(
        [with_method(Sink, "stream_ended", given)]
    ),
}


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("function", [yielding, yielding_too])
def test_every_room_refuses_what_yields_in_every_shape(
    room: str, shape: str, function: Any
) -> None:
    with pytest.raises(ConfigurationError, match=room):
        ROOMS[room](SHAPES[shape](function))


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_key_is_asked_for_in_every_shape(shape: str) -> None:
    async def key(*_: Any) -> str:
        return "key-of-one-call"

    provider = ScriptedProvider("Hello")
    async with SteerLLMClient("other", transport=provider) as client:
        await client.generate("Hi", "gpt-4o", api_key=SHAPES[shape](key))

    assert provider.requests[0].headers["authorization"] == "Bearer key-of-one-call"


def test_none_may_stand_for_what_need_not_be_given() -> None:
    TEXT.check_given("key", None)
    TEXT.check_given("key", "a")

    with pytest.raises(ConfigurationError, match="key: expected a str, or None, found 3"):
        TEXT.check_given("key", 3)


@pytest.mark.parametrize("wrong", ["", "\0", "a\0b", "\ud800", b"a", 5, None, Path("a\0b")])
def test_what_no_file_can_be_called_is_no_path(wrong: Any) -> None:
    assert not PATH.accepts(wrong)


@pytest.mark.parametrize("right", ["a", "a\nb", "\udc80", Path("a")])
def test_whatever_a_file_can_be_called_is_a_path(right: Any) -> None:
    assert PATH.accepts(right)
