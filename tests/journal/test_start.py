"""`client.start`: answers apart from their callers, in both clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from steer_llm_sdk import (
    ConfigurationError,
    InvalidRequestError,
    MissingAPIKeyError,
    SteerLLMClient,
    StreamCancelledError,
    SyncSteerLLMClient,
)
from steer_llm_sdk.journal import Journal
from steer_llm_sdk.models.events import StreamCompleteEvent, StreamDeltaEvent, StreamErrorEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import create_event_processor
from steer_llm_sdk.testing import HTTPError, Script, ScriptedProvider, Stall, check_stream
from support.journals import Place, read, until

MODEL = "gpt-4o"
CALL: Any = {"messages": "Hi", "model": MODEL}


def client_of(provider: ScriptedProvider, **options: Any) -> SteerLLMClient:
    return SteerLLMClient("key", transport=provider, **options)


@pytest.fixture
async def stalled() -> AsyncIterator[SteerLLMClient]:
    """A client whose answers begin and do not end by themselves."""
    async with client_of(ScriptedProvider("Hel", then=Stall(1))) as client:
        yield client


async def test_an_answer_goes_on_without_its_caller(place: Place) -> None:
    journal = place.open()
    async with client_of(ScriptedProvider("Hello", " world")) as client:
        stream_id = await client.start("Hi", MODEL, journal=journal)

        events = await read(place.open(), stream_id)

    summary = check_stream(events)
    assert summary.text == "Hello world"
    assert {event.stream_id for event in events} == {stream_id}
    assert (events[0].provider, events[0].model) == ("openai", MODEL)


async def test_a_key_begins_an_answer_once(journal: Journal) -> None:
    provider = ScriptedProvider("Hello", " world")
    async with client_of(provider) as client:
        begun = await asyncio.gather(
            *(client.start(**CALL, journal=journal, key="message-7") for _ in range(5))
        )
        for stream_id in begun:
            await read(journal, stream_id)
        again = await client.start(**CALL, journal=journal, key="message-7")

    assert {*begun, again} == {begun[0]}
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "other",
    [{"messages": "Ho"}, {"model": "gpt-4o-mini"}, {"temperature": 0.5}, {"system": "Be brief."}],
)
async def test_a_key_is_of_one_request(journal: Journal, other: dict[str, Any]) -> None:
    async with client_of(ScriptedProvider("Hello")) as client:
        await client.start(**CALL, journal=journal, key="k")

        with pytest.raises(ConfigurationError, match="'k' has begun another request"):
            await client.start(**CALL | other, journal=journal, key="k")


async def test_what_does_not_change_the_request_is_the_same_by_its_key(journal: Journal) -> None:
    async with client_of(ScriptedProvider("Hello")) as client:
        first = await client.start(**CALL, journal=journal, key="k")

        again = await client.start(
            **CALL, journal=journal, key="k", request_id="r", extra_headers={"x-token": "other"}
        )

    assert again == first


async def test_an_answer_that_failed_is_begun_again_by_its_key(journal: Journal) -> None:
    refusal = HTTPError(400)
    async with client_of(ScriptedProvider(refusal, Script(["Hello"]))) as client:
        first = await client.start(**CALL, journal=journal, key="k")
        failed = (await read(journal, first))[-1]
        second = await client.start(**CALL, journal=journal, key="k")
        done = await read(journal, second)

    assert isinstance(failed, StreamErrorEvent)
    assert isinstance(failed.error, InvalidRequestError)
    assert second != first
    assert check_stream(done).text == "Hello"


async def test_an_answer_whose_end_a_filter_drops_keeps_its_key(journal: Journal) -> None:
    deltas = create_event_processor(event_types=["delta"])
    call: Any = {**CALL, "streaming_options": StreamingOptions(event_processor=deltas)}
    async with client_of(
        ScriptedProvider(Script(["Hello"]), HTTPError(400), Script(["Ho"]))
    ) as client:
        first = await client.start(**call, journal=journal, key="k")
        answer = await read(journal, first)
        again = await client.start(**call, journal=journal, key="k")
        failed = await client.start(**call, journal=journal, key="other")
        await read(journal, failed)
        anew = await client.start(**call, journal=journal, key="other")

    assert [event.type for event in answer] == ["delta"]
    assert again == first
    assert anew != failed


async def test_a_call_that_cannot_be_made_begins_nothing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    client = SteerLLMClient()

    with pytest.raises(MissingAPIKeyError):
        await client.start(**CALL, journal=journal, key="k")
    with pytest.raises(ConfigurationError, match="journal: expected a journal"):
        await client_of(ScriptedProvider()).start(**CALL, journal="redis://x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="journal"):
        await client.start(**CALL)


async def test_what_cannot_be_begun_is_told_to_the_caller_and_to_the_journal(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConfigurationError("the model cannot be loaded")

    monkeypatch.setattr("steer_llm_sdk.engine.plan.Target.spell", refuse)
    client = client_of(ScriptedProvider())
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        await client.start(**CALL, journal=journal, key="k")
    monkeypatch.undo()

    stream_id = await client.start(**CALL, journal=journal, key="k")  # its key is free

    assert check_stream(await read(journal, stream_id)).text
    await client.close()


async def test_a_stop_closes_the_socket(place: Place) -> None:
    provider = ScriptedProvider("Hel", then=Stall(1))
    async with client_of(provider) as client:
        stream_id = await client.start(**CALL, journal=place.open())
        async for event in place.open().attach(stream_id):
            if isinstance(event, StreamDeltaEvent):
                break

        assert await place.open().stop(stream_id, "enough")
        events = await read(place.open(), stream_id)

        assert provider.responses[0].was_aborted
    assert check_stream(events).error == StreamCancelledError("enough")
    assert [event.type for event in events][-2:] == ["usage", "error"]


async def test_a_client_that_closes_stops_what_it_began_and_says_so(place: Place) -> None:
    journal = place.open()
    async with client_of(ScriptedProvider("Hel", then=Stall(1))) as client:
        streams = [await client.start(**CALL, journal=journal) for _ in range(3)]

    for stream_id in streams:
        end = (await read(journal, stream_id))[-1]
        assert isinstance(end, StreamErrorEvent)
        assert end.error == StreamCancelledError("the client was closed while the stream ran")


async def test_a_client_that_closes_lets_answers_end_within_its_grace(journal: Journal) -> None:
    # The first ends by itself, the second does not.
    provider = ScriptedProvider(Script(["Hello"]), Script(["Hel"], faults=[Stall(1)]))
    client = client_of(provider)
    good = await client.start("Hi", MODEL, journal=journal)
    bad = await client.start("Hi", MODEL, journal=journal)

    await client.close(grace=0.2)

    assert isinstance((await read(journal, good))[-1], StreamCompleteEvent)
    assert isinstance((await read(journal, bad))[-1], StreamErrorEvent)


async def test_a_grace_that_is_no_number_is_refused(stalled: SteerLLMClient) -> None:
    with pytest.raises(ConfigurationError, match="grace: expected"):
        await stalled.close(grace="long")  # type: ignore[arg-type]


async def test_there_are_so_many_generations_and_no_more(journal: Journal) -> None:
    async with client_of(ScriptedProvider("Hel", then=Stall(1)), max_generations=2) as client:
        first, second = [await client.start(**CALL, journal=journal) for _ in range(2)]
        with pytest.raises(ConfigurationError, match="2 generations run already") as refused:
            await client.start(**CALL, journal=journal)
        await journal.stop(first)
        await read(journal, first)
        await until(lambda: len(client._pools.here().generations) == 1)  # soon after its last event

        third = await client.start(**CALL, journal=journal)

    assert refused.value.is_retryable
    assert len({first, second, third}) == 3


async def test_a_caller_who_is_cancelled_stops_nothing(journal: Journal) -> None:
    async with client_of(ScriptedProvider("Hello")) as client:
        starting = asyncio.create_task(client.start(**CALL, journal=journal, key="k"))
        await until(lambda: bool(client._pools.here().generations))
        starting.cancel()
        await asyncio.wait((starting,))

        stream_id = await client.start(**CALL, journal=journal, key="k")

        assert check_stream(await read(journal, stream_id)).text == "Hello"


# --- without an event loop ----------------------------------------------------------------------


@pytest.fixture
def blocking() -> Iterator[SyncSteerLLMClient]:
    provider = ScriptedProvider(Script(["Hello", " world"]), Script(["Hel"], faults=[Stall(1)]))
    with SyncSteerLLMClient("key", transport=provider) as client:
        yield client


def test_a_blocking_client_starts_follows_and_stops(
    place: Place, blocking: SyncSteerLLMClient
) -> None:
    journal = place.open()
    first = blocking.start("Hi", MODEL, journal=journal)
    whole = list(blocking.attach(first, journal=journal))
    second = blocking.start("Ho", MODEL, journal=journal)
    with blocking.attach(second, journal=journal, after=0) as following:
        seen = [next(following)]
        assert blocking.stop(second, journal=journal, reason="enough") is True
        seen += following

    assert check_stream(whole).text == "Hello world"
    assert [event.sequence for event in seen] == list(range(1, len(seen) + 1))
    assert isinstance(seen[-1], StreamErrorEvent)
    assert seen[-1].error == StreamCancelledError("enough")
    assert blocking.stop(second, journal=journal) is False


def test_a_blocking_client_that_closes_stops_what_it_began(place: Place) -> None:
    journal = place.open()
    with SyncSteerLLMClient("key", transport=ScriptedProvider("Hel", then=Stall(1))) as client:
        stream_id = client.start("Hi", MODEL, journal=journal)

    with SyncSteerLLMClient() as other:
        end = list(other.attach(stream_id, journal=journal))[-1]
    assert isinstance(end, StreamErrorEvent)
    assert "closed" in str(end.error)


def test_leaving_a_blocking_follower_stops_nothing(
    place: Place, blocking: SyncSteerLLMClient
) -> None:
    journal = place.open()
    stream_id = blocking.start("Hi", MODEL, journal=journal)
    with blocking.attach(stream_id, journal=journal) as following:
        next(following)

    assert check_stream(list(blocking.attach(stream_id, journal=journal))).text == "Hello world"


@pytest.mark.parametrize("method", ["start", "start_run", "attach", "stop"])
def test_a_blocking_client_refuses_what_is_no_journal(method: str) -> None:
    arguments = ("Hi", MODEL) if method.startswith("start") else ("stream",)
    with (
        SyncSteerLLMClient("key", transport=ScriptedProvider()) as client,
        pytest.raises(ConfigurationError, match="journal: expected a journal"),
    ):
        getattr(client, method)(*arguments, journal="redis://localhost")
