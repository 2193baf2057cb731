"""`encode`: one ending in every protocol, heartbeats, what is refused, and who closes what."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk import (
    ConfigurationError,
    ConnectionLostError,
    MissingAPIKeyError,
    RateLimitError,
    SteerLLMClient,
)
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import ScriptedProvider, Stall
from steer_llm_sdk.web import Protocol, encode, headers
from support.encoded import parse, values_of
from support.journals import Fed
from support.web_sources import SHAPES, STREAM, Listed, turn

PROTOCOLS: list[Protocol] = ["sse", "ag-ui", "vercel", "openai", "ndjson"]

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
every_shape = pytest.mark.parametrize("shape", SHAPES)


def endings(values: list[Any], protocol: Protocol) -> list[int]:
    """Where something stands that ends a stream of the protocol."""
    ends: dict[str, Callable[[Any], bool]] = {
        "sse": lambda value: value["type"] in {"complete", "error"},
        "ndjson": lambda value: value["type"] in {"complete", "error"},
        "ag-ui": lambda value: value["type"] in {"RUN_FINISHED", "RUN_ERROR"},
        "vercel": lambda value: value == "[DONE]",
        "openai": lambda value: value == "[DONE]" or "error" in value,
    }
    return [at for at, value in enumerate(values) if ends[protocol](value)]


@every_protocol
@every_shape
async def test_there_is_one_ending_and_nothing_after_it(protocol: Protocol, shape: str) -> None:
    values = await values_of(SHAPES[shape], protocol)

    ends = endings(values, protocol)
    if shape == "a run" and protocol in {"sse", "ndjson"}:
        ends = ends[1:]  # each turn is told as it is
    assert ends == [len(values) - 1]


@every_protocol
async def test_an_error_that_a_source_raises_after_its_error_event_is_told_once(
    protocol: Protocol,
) -> None:
    error = RateLimitError("slow down")
    source = Listed(turn("Hel", end=error), raises=error)

    raw = b"".join([piece async for piece in encode(source, protocol)])

    assert endings(values := parse(raw, protocol), protocol) == [len(values) - 1]
    assert raw.count(b"slow down") == 1
    assert source.was_left


@every_protocol
async def test_a_source_that_breaks_without_an_event_ends_in_an_error(protocol: Protocol) -> None:
    source = Listed(turn("Hel")[:2], raises=ConnectionLostError("the journal is away"))

    raw = b"".join([piece async for piece in encode(source, protocol)])

    assert endings(values := parse(raw, protocol), protocol) == [len(values) - 1]
    assert b"the journal is away" in raw


@every_protocol
async def test_a_source_that_cannot_begin_raises(protocol: Protocol) -> None:
    source = Listed([], raises=MissingAPIKeyError("no key"))

    with pytest.raises(MissingAPIKeyError):
        await anext(encode(source, protocol))
    assert source.was_left


class Breaking:
    """A source that says nothing for a while, and then raises."""

    def __init__(self) -> None:
        self._silence = asyncio.get_running_loop().create_future()

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        await asyncio.shield(self._silence)
        raise ConnectionLostError("the journal is away")

    def end_silence(self) -> None:
        self._silence.set_result(None)

    async def aclose(self) -> None:
        pass


@every_protocol
async def test_what_fails_before_its_first_event_but_after_a_heartbeat_ends_in_an_error(
    protocol: Protocol,
) -> None:
    source = Breaking()
    pieces = encode(source, protocol, heartbeat=0.01)
    raw = await anext(pieces)

    source.end_silence()
    raw += b"".join([piece async for piece in pieces])

    values = parse(raw, protocol)
    assert endings(values, protocol) == [len(values) - 1]
    assert "the journal is away" in str(values)


@pytest.mark.parametrize("heartbeats", [True, False])
async def test_an_error_that_is_no_event_of_the_stream_moves_no_reader_on(
    *, heartbeats: bool
) -> None:
    source: Any = Listed(turn("Hel")[:2], raises=ConnectionLostError("the journal is away"))
    if heartbeats:
        source = Breaking()
        asyncio.get_running_loop().call_later(0.05, source.end_silence)

    raw = b"".join([piece async for piece in encode(source, "sse", heartbeat=0.01)])

    assert b"id:" not in raw.split(b"\n\n")[-2]
    assert parse(raw, "sse")[-1]["sequence"] == (-1 if heartbeats else 1)


@pytest.mark.parametrize("protocol", ["ag-ui", "vercel"])
async def test_a_delta_without_words_writes_nothing(protocol: Protocol) -> None:
    """AG-UI's own readers refuse one."""

    async def written(*deltas: str) -> list[Any]:
        pieces = encode(Listed(turn(*deltas)), protocol)
        return parse(b"".join([piece async for piece in pieces]), protocol)

    assert len(await written("", "Hel", "", "lo", "")) == len(await written("Hel", "lo"))


@pytest.mark.parametrize("protocol", ["sse", "ndjson"])
async def test_it_has_the_names_of_the_stream_nevertheless(protocol: Protocol) -> None:
    events = turn("Hel")[:2]
    for event in events:
        event.request_id, event.timestamp = "r1", 1_700_000_000.0
    source = Listed(events, raises=ConnectionLostError("the journal is away"))

    values = parse(b"".join([piece async for piece in encode(source, protocol)]), protocol)

    names = ("provider", "model", "request_id", "stream_id", "timestamp")
    said, failed = ([value[name] for name in names] for value in values[-2:])
    assert failed == said
    assert values[-1]["is_retryable"]


@every_protocol
async def test_what_is_said_of_an_error_can_be_chosen(protocol: Protocol) -> None:
    events = turn("Hel", end=RateLimitError("quota of account 7"))

    raw = b"".join(
        [p async for p in encode(Listed(events), protocol, error_text=lambda _: "try again later")]
    )

    assert b"account 7" not in raw
    assert raw.count(b"try again later") == 1


# --- heartbeats ---------------------------------------------------------------------------------


@every_protocol
async def test_a_silence_is_filled_and_nothing_is_lost(protocol: Protocol) -> None:
    source = Fed(STREAM)
    source.say("Hel")
    pieces: list[bytes] = []
    beats = 0
    async for piece in encode(source, protocol, heartbeat=0.02):
        pieces.append(piece)
        if piece in {b": \n\n", b"\n"}:
            beats += 1
            if beats == 2:
                source.say("lo")
            if beats == 4:
                source.complete()

    assert beats >= 4
    everything = parse(b"".join(pieces), protocol)
    assert endings(everything, protocol) == [len(everything) - 1]
    words = json.dumps(everything)
    assert words.count('"Hel"') == words.count('"lo"') == 1


async def test_a_stream_that_speaks_has_no_heartbeats() -> None:
    pieces = []
    source = Fed(STREAM)
    source.say("0")
    async for piece in encode(source, "sse", heartbeat=0.5):
        pieces.append(piece)
        if len(pieces) < 40:
            source.say(str(len(pieces)))
        elif len(pieces) == 40:
            source.complete()

    assert b": \n\n" not in pieces


async def test_without_a_heartbeat_nothing_fills_a_silence() -> None:
    source = Fed(STREAM)
    source.say("Hel")
    pieces = encode(source, "sse", heartbeat=None)
    await anext(pieces)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(pieces), 0.05)


async def test_who_is_cancelled_between_two_heartbeats_is_cancelled() -> None:
    source = Fed(STREAM)
    source.say()

    async def read() -> None:
        async for _ in encode(source, "sse", heartbeat=0.01):
            pass

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.035)
    reading.cancel()
    await asyncio.wait((reading,))

    assert reading.cancelled()
    assert source.was_left


@given(gaps=st.lists(st.integers(0, 4), max_size=12), heartbeat=st.sampled_from([0.002, 0.004]))
def test_heartbeats_lose_no_event_whenever_they_come(gaps: list[int], heartbeat: float) -> None:
    async def run() -> bytes:
        source = Fed(STREAM)
        source.say()

        async def feed() -> None:
            for number, gap in enumerate(gaps):
                await asyncio.sleep(gap / 1000)
                source.say(f"<{number}>")
            source.complete()

        feeding = asyncio.create_task(feed())
        raw = b"".join([piece async for piece in encode(source, "ndjson", heartbeat=heartbeat)])
        await feeding
        return raw

    values = parse(asyncio.run(run()), "ndjson")

    assert [value["sequence"] for value in values] == list(range(len(gaps) + 2))


@every_protocol
async def test_what_is_left_of_a_source_that_has_failed_is_not_said(protocol: Protocol) -> None:
    class Breaking(Fed):
        has_begun = False

        async def __anext__(self) -> StreamEvent:
            if self.has_begun:
                self.say("left over")
                raise ConnectionLostError("gone")
            self.has_begun = True
            return await super().__anext__()

    source = Breaking(STREAM)
    source.say()
    raw = b"".join([piece async for piece in encode(source, protocol)])

    assert b"gone" in raw
    assert b"left over" not in raw


# --- with a client ------------------------------------------------------------------------------


async def test_what_has_come_at_once_shares_a_write() -> None:
    async with SteerLLMClient(
        "key", transport=ScriptedProvider(*(f"{n} " for n in range(200)))
    ) as client:
        pieces = [p async for p in encode(client.stream_events("Hi", "gpt-4o"), "ndjson")]

    values = parse(b"".join(pieces), "ndjson")
    assert [value["sequence"] for value in values] == list(range(203))
    assert len(pieces) < 203


@every_protocol
async def test_leaving_the_bytes_closes_the_stream(protocol: Protocol) -> None:
    provider = ScriptedProvider("Hel", "lo", then=Stall(2))
    async with SteerLLMClient("key", transport=provider) as client:
        stream = client.stream_events("Hi", "gpt-4o")
        pieces = encode(stream, protocol)
        await anext(pieces)
        while b"lo" not in await anext(pieces):
            pass

        await pieces.aclose()

        assert provider.responses[0].was_aborted
        assert stream.response.error is not None


@every_protocol
async def test_an_observer_is_a_source(protocol: Protocol) -> None:
    async with SteerLLMClient("key", transport=ScriptedProvider("Hel", "lo")) as client:
        stream = client.stream_events("Hi", "gpt-4o")
        observers = [stream.subscribe(), stream.subscribe()]
        first, second = [
            b"".join([piece async for piece in encode(one, protocol)]) for one in observers
        ]

    values = parse(first, protocol)
    assert endings(values, protocol) == [len(values) - 1]
    assert second == first


async def test_leaving_the_bytes_of_an_observer_leaves_the_stream_to_the_others() -> None:
    async with SteerLLMClient("key", transport=ScriptedProvider("Hel", "lo")) as client:
        stream = client.stream_events("Hi", "gpt-4o")
        observer = stream.subscribe(maxsize=1)
        pieces = encode(observer, "sse")
        await anext(pieces)
        await pieces.aclose()

        rest = [event.type async for event in stream]

    assert observer.is_closed
    assert rest[-1] == "complete"


async def test_a_stream_that_raises_nothing_is_encoded_all_the_same() -> None:
    options = StreamingOptions(raise_on_error=False, max_retries=0)
    async with SteerLLMClient("key", transport=ScriptedProvider("Hel", then=500)) as client:
        stream = client.stream_events("Hi", "gpt-4o", streaming_options=options)
        values = parse(b"".join([p async for p in encode(stream, "vercel")]), "vercel")

    assert [value["type"] for value in values[-3:-1]] == ["message-metadata", "error"]


# --- what it refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"protocol": "websocket"},
        {"protocol": "sse", "heartbeat": 0},
        {"protocol": "sse", "thread_id": "t"},
        {"protocol": "vercel", "run_id": "r"},
        {"protocol": "ag-ui", "run_id": 7},
    ],
)
def test_what_cannot_be_is_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        encode(Listed([]), **arguments)


@every_protocol
def test_headers_are_those_of_the_protocol(protocol: Protocol) -> None:
    found = headers(protocol)

    expected = "application/x-ndjson" if protocol == "ndjson" else "text/event-stream"
    assert found["content-type"] == expected
    assert found["x-accel-buffering"] == "no"
    assert found["cache-control"] == "no-cache, no-transform"
    assert ("x-vercel-ai-ui-message-stream" in found) is (protocol == "vercel")
    with pytest.raises(ConfigurationError):
        headers("smoke signals")  # type: ignore[arg-type]


# --- our own events -----------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["sse", "ndjson"])
@every_shape
async def test_our_events_are_read_as_they_were(protocol: Protocol, shape: str) -> None:
    values = await values_of(SHAPES[shape], protocol)

    assert [StreamEvent.from_dict(value) for value in values] == SHAPES[shape]


async def test_an_identifier_is_the_sequence() -> None:
    raw = b"".join([piece async for piece in encode(Listed(SHAPES["text"]), "sse")])

    assert [line for line in raw.splitlines() if line.startswith(b"id")] == [
        b"id: %d" % number for number in range(5)
    ]


_TEXTS = SteerLLMClient("key", transport=ScriptedProvider()).stream("Hi", "gpt-4o")


@pytest.mark.parametrize(
    "source", [None, "words", [StreamDeltaEvent(delta="a")], StreamDeltaEvent, _TEXTS]
)
def test_what_is_no_source_is_refused(source: Any) -> None:
    with pytest.raises(ConfigurationError, match="source: expected a stream, a run or what"):
        encode(source, "sse")
