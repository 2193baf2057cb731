"""`error_text`: what an application has chosen to say of errors, and what else is not said then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError, RateLimitError, SteerLLMClient
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import HTTPError, Script, ScriptedProvider
from steer_llm_sdk.web import Protocol, encode
from support.encoded import parse
from support.web_sources import Listed, turn

PROTOCOLS: list[Protocol] = ["sse", "ag-ui", "vercel", "openai", "ndjson"]

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)

_AT_ONCE = {"retry-after": "0"}


async def _coroutine(_: Exception) -> str:
    return "words"


def _generator(_: Exception) -> Iterator[str]:
    yield "words"


@pytest.mark.parametrize("error_text", ["try again later", None, 7, _coroutine, _generator])
def test_what_is_no_plain_function_is_refused_before_anything_fails(error_text: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^error_text: expected "):
        encode(Listed([]), "sse", error_text=error_text)


def _raises(_: Exception) -> str:
    raise KeyError("account 7")


def _awaitable(error: Exception) -> Any:
    return _coroutine(error)


@every_protocol
@pytest.mark.parametrize("error_text", [_raises, lambda _: None, _awaitable])
async def test_who_says_nothing_of_an_error_costs_no_stream_its_ending(
    protocol: Protocol, error_text: Callable[[Exception], Any], caplog: pytest.LogCaptureFixture
) -> None:
    events = turn("Hel", end=RateLimitError("account 7 is over its quota"))

    pieces = [p async for p in encode(Listed(events), protocol, error_text=error_text)]

    last = [value for value in parse(b"".join(pieces), protocol) if value != "[DONE]"][-1]
    assert "RateLimitError" in str(last)
    assert b"account 7" not in b"".join(pieces)
    assert "error_text" in caplog.text


@every_protocol
@pytest.mark.parametrize("ends_well", [False, True])
async def test_where_words_are_chosen_no_event_has_those_of_the_provider(
    protocol: Protocol, *, ends_well: bool
) -> None:
    refusal = HTTPError(429, message="account 7 is over its quota", headers=_AT_ONCE)
    options = StreamingOptions(max_retries=1, notices=True)
    provider = ScriptedProvider(refusal, Script(["Hello"]) if ends_well else refusal)
    async with SteerLLMClient("key", transport=provider) as client:
        stream = client.stream_events("Hi", "gpt-4o", streaming_options=options)
        pieces = encode(stream, protocol, error_text=lambda _: "try again later")
        raw = b"".join([piece async for piece in pieces])

    assert b"account 7" not in raw
    assert stream.response.metadata["retries"][0]["message"]  # the application has them all


async def test_what_an_application_has_written_in_the_place_of_retries_is_passed_on() -> None:
    events = turn("Hel", end=RateLimitError("slow"))
    for event, own in zip(events, (3, ["a"]), strict=False):
        event.metadata["retries"] = own

    pieces = [p async for p in encode(Listed(events), "ndjson", error_text=lambda _: "later")]

    values = parse(b"".join(pieces), "ndjson")
    assert [value["metadata"].get("retries") for value in values[:2]] == [3, ["a"]]
