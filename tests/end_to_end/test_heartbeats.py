"""An ``anext`` that is given up, in whatever state, loses nothing and sends nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import (
    BatchedEventProcessor,
    EventProcessor,
    EventTransformer,
)
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.testing import CutAt, Delay, Drip, HTTPError, LoopbackServer, Pace, Script, Stall
from support.every_format import MODELS, settings_at
from support.heartbeats import Manner, QuickClock, read_with_heartbeats

# Of a provider that goes on with an answer which was cut.
CONTINUES = "llama:m"
MODELS_OF_ALL = [CONTINUES, *(f"{provider}:{model}" for provider, model in MODELS.items())]

WORDS = [f"w{number} " for number in range(8)]


class Wait(EventTransformer):
    """Lets an event pass after some rounds of the event loop, in a scope of its own."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    async def transform(self, event: StreamEvent) -> StreamEvent:
        async with asyncio.timeout(60):  # which minds in which task it is left
            for _ in range(self._rounds):
                await asyncio.sleep(0)
        return event


class Hoard(EventTransformer):
    """Holds every second delta back until the next, and waits before it lets go of the last."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._held: list[StreamEvent] = []

    def for_stream(self) -> Hoard:
        return Hoard(self._rounds)

    async def transform(self, event: StreamEvent) -> list[StreamEvent]:
        await asyncio.sleep(0)
        if not isinstance(event, StreamDeltaEvent):
            return [event]
        self._held.append(event)
        return self._release() if len(self._held) == 2 else []

    async def finish(self) -> list[StreamEvent]:
        for _ in range(self._rounds):
            await asyncio.sleep(0)
        return self._release()

    def _release(self) -> list[StreamEvent]:
        held, self._held = self._held, []
        return held


@dataclass
class Outcome:
    """What a reader has seen, and what it took."""

    events: list[tuple[Any, ...]]
    text: str
    error: str | None
    requests: int
    waits: list[float]
    batched: list[str] = field(default_factory=list)


Answers = list[Any]
MakeOptions = Callable[[list[str]], StreamingOptions]


async def outcome_of(
    answers: Answers,
    make_options: MakeOptions,
    read: Callable[[EventStream], Any],
    model: str = CONTINUES,
) -> Outcome:
    batched: list[str] = []
    async with LoopbackServer(list(answers)) as server:
        llama = ProviderSettings(api_key="x", kind="llamacpp", base_url=server.base_url())
        client = SteerLLMClient(
            providers=settings_at(server) | {"llama": llama}, clock=QuickClock()
        )
        options = make_options(batched).replace(raise_on_error=False)
        async with client, client.stream_events("?", model, streaming_options=options) as stream:
            events = await read(stream)
        response = stream.response
        return Outcome(
            [_seen(event) for event in events],
            response.get_text(),
            type(response.error).__name__ if response.error else None,
            len(server.requests),
            [retry["wait"] >= 2 for retry in response.metadata.get("retries", ())],
            batched,
        )


def _seen(event: StreamEvent) -> tuple[Any, ...]:
    said = (event.delta, event.chunk_index) if isinstance(event, StreamDeltaEvent) else ()
    return (event.type, event.sequence, *said)


async def read_undisturbed(stream: EventStream) -> list[StreamEvent]:
    return [event async for event in stream]


ANSWERS = st.one_of(
    st.just([Script(WORDS)]),
    st.just([Script(WORDS, faults=[Delay(0.003), Pace(0.0005)])]),
    st.just([HTTPError(429, headers={"retry-after": "2"}), Script(WORDS)]),
    st.just([HTTPError(503, headers={"retry-after": "2"})] * 2 + [Script(WORDS, faults=[Drip(7)])]),
    st.integers(40, 400).map(lambda at: [Script(WORDS, faults=[CutAt((at,))])]),
    st.just([HTTPError(401)]),
)


def _processors(rounds: int) -> list[MakeOptions]:
    def batching(batched: list[str]) -> EventProcessor:
        async def keep(events: list[StreamEvent]) -> None:
            for _ in range(rounds):
                await asyncio.sleep(0)
            batched.extend(event.type for event in events)

        return BatchedEventProcessor(batch_size=3, batch_handler=keep)

    def waiting() -> EventProcessor:
        return EventProcessor(transformers=[Wait(rounds), Hoard(rounds)])

    return [
        lambda _: StreamingOptions(),
        lambda _: StreamingOptions(event_processor=waiting()),
        lambda _: StreamingOptions(text_transformers=[Wait(rounds), Hoard(rounds)]),
        lambda batched: StreamingOptions(event_processor=batching(batched)),
        lambda batched: StreamingOptions(
            event_processor=batching(batched), text_transformers=[Hoard(rounds)]
        ),
    ]


@settings(max_examples=80, deadline=None)
@given(
    model=st.sampled_from(MODELS_OF_ALL),
    answers=ANSWERS,
    make_options=st.integers(0, 30).flatmap(lambda rounds: st.sampled_from(_processors(rounds))),
    patience=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    manner=st.sampled_from(["own task", "same task"]),
)
def test_reading_with_heartbeats_is_as_reading_undisturbed(
    model: str,
    answers: Answers,
    make_options: MakeOptions,
    patience: list[int],
    manner: Manner,
) -> None:
    patience = [*patience, 40]  # with none at all nothing is ever read

    def unlimited(batched: list[str]) -> StreamingOptions:
        # A clock so quick would take a busy machine for a provider that is silent.
        return make_options(batched).replace(
            first_event_timeout=None, idle_timeout=None, stall_timeout=None
        )

    async def compare() -> None:
        expected = await outcome_of(answers, unlimited, read_undisturbed, model)
        found = await outcome_of(
            answers,
            unlimited,
            lambda stream: read_with_heartbeats(stream, patience, manner),
            model,
        )
        assert found == expected

    asyncio.run(compare())


@pytest.mark.parametrize("manner", ["own task", "same task"])
async def test_a_cut_answer_is_taken_up_under_heartbeats(manner: Manner) -> None:
    whole = "".join(WORDS)
    answers: Answers = [
        Script(WORDS, faults=[Stall(after=3)]),
        Script(WORDS[:3] + WORDS[3:]),
    ]

    def options(_: list[str]) -> StreamingOptions:
        return StreamingOptions(recovery="continue", idle_timeout=30)

    found = await outcome_of(
        answers, options, lambda stream: read_with_heartbeats(stream, [1, 0, 7], manner)
    )

    assert found.error is None
    assert found.text == whole
    assert found.requests == 2


@pytest.mark.parametrize("manner", ["own task", "same task"])
async def test_the_words_of_a_stream_are_read_under_heartbeats(manner: Manner) -> None:
    script = Script(WORDS, faults=[Delay(0.002), Pace(0.0005)])
    async with LoopbackServer(script) as server:
        settings = ProviderSettings(api_key="x", base_url=server.base_url())
        async with (
            SteerLLMClient(providers={"openai": settings}) as client,
            client.stream("?", "gpt-4o") as texts,
        ):
            seen = await read_with_heartbeats(texts, [3, 0, 11], manner)

    assert "".join(seen) == "".join(WORDS) == texts.response.get_text()
    assert len(server.requests) == 1


async def test_limits_count_on_while_nobody_waits_for_the_headers() -> None:
    options = StreamingOptions(first_event_timeout=20, max_retries=0, raise_on_error=False)
    async with LoopbackServer(Script(WORDS, faults=[Stall("request")])) as server:
        settings = ProviderSettings(api_key="x", base_url=server.base_url())
        client = SteerLLMClient(providers={"openai": settings}, clock=QuickClock())
        async with client, client.stream_events("?", "gpt-4o", streaming_options=options) as stream:
            seen = await read_with_heartbeats(stream, [2], "own task")

    assert [event.type for event in seen] == ["start", "error"]
    assert "first_event_timeout" in str(stream.response.error)
