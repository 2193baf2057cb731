"""What every journal does, whatever holds it: `attach`, `stop`, keys, heartbeats, what is kept."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from steer_llm_sdk import (
    ConfigurationError,
    JournalGapError,
    ProducerLostError,
    RateLimitError,
    StreamCancelledError,
)
from steer_llm_sdk.errors import StreamInUseError
from steer_llm_sdk.journal import Journal
from steer_llm_sdk.journal.store import Append, Claim
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
)
from support.journals import QUICK, STREAM, Fed, Place, Producing, read, said, until

# --- following ----------------------------------------------------------------------------------


async def test_a_stream_is_followed_from_its_beginning_to_its_end(journal: Journal) -> None:
    async with Producing(journal) as producing:
        producing.source.say("Hello", " world")
        following = asyncio.create_task(read(journal))
        producing.source.complete()

        events = await following

    assert said(events) == "Hello world"
    assert [event.type for event in events] == ["start", "delta", "delta", "complete"]


async def test_whoever_waits_for_each_event_gets_each(journal: Journal) -> None:
    async with Producing(journal) as producing:
        following = journal.attach(STREAM)
        producing.source.say("0")
        seen = [(await anext(following)).sequence for _ in range(2)]
        for number in range(1, 6):
            waiting = asyncio.ensure_future(anext(following))
            for _ in range(5):
                await asyncio.sleep(0)
            producing.source.say(str(number))
            seen.append((await asyncio.wait_for(waiting, 10)).sequence)

    assert seen == [*range(7)]


async def test_half_a_character_is_held_as_it_is(place: Place) -> None:
    journal, elsewhere = place.open(), place.open()
    async with Producing(journal) as producing:
        producing.source.say("a\ud83d", "\ude00b")
        producing.source.complete()
        await producing.finished()

        assert said(await read(elsewhere)) == "a\ud83d\ude00b"


async def test_what_is_past_is_read_after_the_end(place: Place) -> None:
    journal = place.open()
    async with Producing(journal) as producing:
        producing.source.say("Hello")
        producing.source.complete()
        await producing.finished()

    events = await read(place.open())

    assert said(events) == "Hello"
    assert isinstance(events[-1], StreamCompleteEvent)
    assert events[-1].finish_reason == "stop"


@pytest.mark.parametrize("after", [-1, 0, 2, 5, 6, 99, 2**53])
async def test_events_come_from_behind_the_one_that_is_known(journal: Journal, after: int) -> None:
    async with Producing(journal) as producing:
        producing.source.say("a", "b", "c", "d", "e")
        producing.source.complete()
        await producing.finished()

    assert [event.sequence for event in await read(journal, after=after)] == list(
        range(after + 1, 7)
    )


async def test_a_follower_may_come_before_the_event_that_it_asks_for(journal: Journal) -> None:
    async with Producing(journal) as producing:
        producing.source.say("a")
        following = asyncio.create_task(read(journal, after=3))
        producing.source.say("b", "c", "d", "e")
        producing.source.complete()

        events = await following

    assert [event.sequence for event in events] == [4, 5, 6]


async def test_a_follower_who_asks_for_what_is_far_away_keeps_nothing_from_the_others(
    place: Place,
) -> None:
    journal, elsewhere = place.open(), place.open()
    async with Producing(journal) as producing:
        producing.source.say("a")
        ahead = [elsewhere.attach(STREAM, after=99), journal.attach(STREAM, after=99)]
        waiting = [asyncio.create_task(anext(follower)) for follower in ahead]
        await until(lambda: all(follower._tail is not None for follower in ahead))
        following = [asyncio.create_task(read(one)) for one in (journal, elsewhere)]
        producing.source.say("b", "c")
        producing.source.complete()

        found = [said(await events) for events in following]

        assert found == ["abc", "abc"]
        for nothing in waiting:
            with pytest.raises(StopAsyncIteration):
                await nothing


async def test_followers_who_come_at_any_time_get_the_same(place: Place) -> None:
    journal, elsewhere = place.open(), place.open()
    async with Producing(journal) as producing:
        readers = []
        for text in "abcdefgh":
            producing.source.say(text)
            readers += [asyncio.create_task(read(journal)), asyncio.create_task(read(elsewhere))]
            await asyncio.sleep(0)
        producing.source.complete()

        all_events = await asyncio.gather(*readers)

    assert {said(events) for events in all_events} == {"abcdefgh"}
    assert {tuple(event.sequence for event in events) for events in all_events} == {
        tuple(range(10))
    }


async def test_a_follower_who_is_slow_loses_nothing(place: Place) -> None:
    # More than is held for those who keep up.
    journal, elsewhere = place.open(), place.open()
    async with Producing(journal) as producing:
        producing.source.say("0 ")
        slow = [journal.attach(STREAM), elsewhere.attach(STREAM)]
        first = [await anext(follower) for follower in slow]
        for number in range(1, 3001):
            producing.source.say(f"{number} ")
        producing.source.complete()
        await producing.finished()

        rest = [[event async for event in follower] for follower in slow]

    expected = "".join(f"{number} " for number in range(3001))
    for event, events in zip(first, rest, strict=True):
        assert said([event, *events]) == expected
        assert [each.sequence for each in events] == list(range(1, 3003))


async def test_an_anext_that_is_given_up_loses_nothing(place: Place) -> None:
    journal, elsewhere = place.open(), place.open()
    async with Producing(journal) as producing:
        following = elsewhere.attach(STREAM)
        events: list[StreamEvent] = []
        for number in itertools.count():
            if number % 3 == 0 and number < 30:
                producing.source.say(str(number))
            if number == 30:
                producing.source.complete()
            try:
                events.append(await asyncio.wait_for(anext(following), 0.003))
            except TimeoutError:
                continue
            except StopAsyncIteration:
                break

    assert said(events) == "".join(map(str, range(0, 30, 3)))
    assert [event.sequence for event in events] == list(range(12))


async def test_a_second_reader_of_one_follower_is_refused(journal: Journal) -> None:
    async with Producing(journal) as producing:
        producing.source.say()
        following = journal.attach(STREAM)
        assert isinstance(await anext(following), StreamStartEvent)
        waiting = asyncio.create_task(anext(following))
        await asyncio.sleep(0)

        with pytest.raises(StreamInUseError, match="attach once more"):
            await anext(following)

        producing.source.say("Hello")
        assert isinstance(await waiting, StreamDeltaEvent)


async def test_leaving_stops_nothing(journal: Journal) -> None:
    async with Producing(journal) as producing:
        producing.source.say("Hello")
        async with journal.attach(STREAM) as following:
            async for _ in following:
                break
        assert [event async for event in following] == []
        producing.source.complete()
        await producing.finished()

    assert producing.source.cancelled is None


async def test_who_leaves_while_another_task_waits_ends_that_wait(journal: Journal) -> None:
    async with Producing(journal) as producing:
        producing.source.say()
        following = journal.attach(STREAM, after=0)
        waiting = asyncio.create_task(anext(following, None))
        await asyncio.sleep(0.05)

        await following.aclose()

        assert await waiting is None


async def test_a_follower_that_nobody_holds_is_followed_no_more(journal: Journal) -> None:
    async with Producing(journal) as producing:
        producing.source.say()
        following = journal.attach(STREAM)
        await anext(following)
        waiting = asyncio.create_task(anext(following))
        await until(lambda: bool(journal.here()._tails))
        waiting.cancel()
        await asyncio.wait((waiting,))

        del following, waiting
        await asyncio.sleep(0)

        assert not journal.here()._tails


async def test_a_follower_begins_once(journal: Journal) -> None:
    async with Producing(journal) as producing:
        producing.source.say("a", "b")
        producing.source.complete()
        following = journal.attach(STREAM)
        following.resume_after(1)
        assert [event.sequence async for event in following] == [2, 3]

        with pytest.raises(ConfigurationError, match="being read already"):
            following.resume_after(0)


async def test_a_stream_that_is_not_there_is_a_gap(journal: Journal) -> None:
    with pytest.raises(JournalGapError, match="no stream 'nowhere'"):
        await anext(journal.attach("nowhere"))
    assert await journal.stop("nowhere") is False
    with pytest.raises(ConfigurationError, match="stream_id: expected a str"):
        await journal.stop(None)  # type: ignore[arg-type]


async def test_what_was_trimmed_is_a_gap(place: Place) -> None:
    journal = place.open(max_events=100)
    async with Producing(journal) as producing:
        for number in range(2000):
            producing.source.say(f"{number} ")
            if number % 50 == 0:
                await asyncio.sleep(0)
        producing.source.complete()
        await producing.finished()

    with pytest.raises(JournalGapError, match="kept from event"):
        await anext(journal.attach(STREAM, after=3))

    rest = await read(journal, after=2001 - 100)
    assert [event.sequence for event in rest] == list(range(1902, 2002))


async def test_what_has_expired_is_a_gap_and_frees_its_key(place: Place) -> None:
    journal = place.open(ttl=0.05)
    async with Producing(journal, key="k") as producing:
        producing.source.say("Hello")
        producing.source.complete()
        await producing.finished()

    while True:  # as long as it is kept
        try:
            assert said(await read(journal)) == "Hello"
        except JournalGapError:
            break

    other = Claim("stream-2", "k", "another request")
    assert await journal.here().claim(other) == other


async def test_a_journal_that_is_closed_leaves_nobody_waiting(place: Place) -> None:
    journal = place.open()
    async with Producing(journal) as producing:
        producing.source.say()
        following = journal.attach(STREAM)
        await anext(following)
        waiting = asyncio.create_task(anext(following))
        await until(lambda: bool(journal.here()._tails))

        await journal.close()

        with pytest.raises(ConfigurationError, match="was closed"):
            await waiting
        producing.source.complete()
        await producing.finished()

    assert producing.source.was_left


# --- stopping -----------------------------------------------------------------------------------


async def test_a_stream_is_stopped_from_elsewhere(place: Place) -> None:
    journal, elsewhere = place.open(), place.open()
    async with Producing(journal) as producing:
        producing.source.say("Hello")
        following = asyncio.create_task(read(elsewhere))

        assert await elsewhere.stop(STREAM, "enough") is True

        events = await following
        assert await elsewhere.stop(STREAM) is False

    assert producing.source.cancelled == "enough"
    assert isinstance(events[-1], StreamErrorEvent)
    assert events[-1].error == StreamCancelledError("enough")


async def test_a_follower_may_stop_what_it_follows(journal: Journal) -> None:
    async with Producing(journal) as producing:
        producing.source.say("Hello")
        async with journal.attach(STREAM) as following:
            async for event in following:
                if isinstance(event, StreamDeltaEvent):
                    await following.stop()

    assert isinstance(event, StreamErrorEvent)
    assert producing.source.cancelled == "the stream was stopped by a follower"


# --- keys ---------------------------------------------------------------------------------------


async def test_a_key_is_held_by_one(place: Place) -> None:
    first, second = Claim("a", "k", "request"), Claim("b", "k", "request")

    holders = await asyncio.gather(*(place.open().here().claim(claim) for claim in (first, second)))

    assert holders[0] == holders[1]
    assert holders[0] in {first, second}


@pytest.mark.parametrize("error", [RateLimitError("later"), StreamCancelledError("enough")])
async def test_a_failure_frees_its_key(journal: Journal, error: Any) -> None:
    async with Producing(journal, key="k") as producing:
        producing.source.say("Hello")
        producing.source.fail(error)
        await producing.finished()

    again = Claim("stream-2", "k", "request")
    assert await journal.here().claim(again) == again
    assert (await read(journal))[-1].to_dict()["error"] == error.to_dict()


async def test_what_has_ended_well_keeps_its_key(journal: Journal) -> None:
    async with Producing(journal, key="k") as producing:
        producing.source.say("Hello")
        producing.source.complete()
        await producing.finished()

    holder = await journal.here().claim(Claim("stream-2", "k", "request"))

    assert holder.stream_id == STREAM


# --- heartbeats ---------------------------------------------------------------------------------


async def lose(journal: Journal, *texts: str, key: str | None = None) -> Fed:
    """Begin a stream whose producer falls silent after some words."""
    source = Fed()
    source.say(*texts)
    desk = journal.here()
    await desk.claim(Claim(STREAM, key, "request"))
    events = []
    while (event := source.take_ready()) is not None:
        events.append(event)
    assert await desk.write(Append(STREAM, 0, events))
    return source


async def test_a_producer_that_is_not_heard_of_is_lost(place: Place) -> None:
    journal, elsewhere = place.open(heartbeat=QUICK), place.open()
    await lose(journal, "Hel")

    both = await asyncio.gather(read(journal), read(journal))

    for events in both:
        assert said(events) == "Hel"
        assert isinstance(events[-1], StreamErrorEvent)
        assert isinstance(events[-1].error, ProducerLostError)
        assert events[-1].is_retryable
        assert (events[-1].provider, events[-1].sequence) == ("openai", 2)
    assert both[0] == both[1]
    if place.name != "memory":
        assert await read(elsewhere) == both[0]


async def test_a_producer_that_lives_is_not_lost_however_long_it_says_nothing(
    place: Place,
) -> None:
    journal = place.open(heartbeat=QUICK)
    async with Producing(journal) as producing:
        producing.source.say("Hello")
        following = asyncio.create_task(read(journal))
        await asyncio.sleep(8 * QUICK)  # what is shown is that nothing comes

        producing.source.complete()

        assert [event.type for event in await following] == ["start", "delta", "complete"]


async def test_a_lost_producer_frees_its_key(place: Place) -> None:
    journal = place.open(heartbeat=QUICK)
    await lose(journal, "Hel", key="k")
    again = Claim("stream-2", "k", "request")

    while (holder := await journal.here().claim(again)) != again:
        assert holder.stream_id == STREAM

    assert (await read(journal))[-1].to_dict()["error_type"] == "ProducerLostError"


async def test_who_was_taken_for_lost_writes_nothing_more(place: Place) -> None:
    journal = place.open(heartbeat=QUICK)
    source = await lose(journal, "Hel")
    events = await read(journal)
    source.say("lo")
    late = source.take_ready()
    assert late is not None

    assert await journal.here().write(Append(STREAM, 2, [late])) is False
    assert await journal.here().write(Append(STREAM, 3, [late])) is False

    assert await read(journal) == events


async def test_a_generation_that_was_taken_for_lost_is_left(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    journal = place.open()
    async with Producing(journal) as producing:
        producing.source.say("Hel")
        async for event in journal.attach(STREAM):
            if isinstance(event, StreamDeltaEvent):
                break
        lost = StreamErrorEvent(error=ProducerLostError("silent"), sequence=2)
        assert await journal.here().write(Append(STREAM, 2, [lost], ends=True))

        producing.source.say("lo")
        await producing.finished()

    assert producing.source.was_left
    assert "taken for lost" in caplog.text
    assert said(await read(journal)) == "Hel"


async def test_what_is_written_together_is_judged_apart(place: Place) -> None:
    desk = place.open().here()
    for name in ("first", "second", "third", "ended"):
        await desk.claim(Claim(name, None, "request"))
    assert await desk.write(Append("second", 0, _words("one", "two")))
    assert await desk.write(Append("ended", 0, (), ends=True))

    written = await asyncio.gather(
        desk.write(Append("first", 0, _words("Hello"))),
        desk.write(Append("second", 1, _words("another"))),
        desk.write(Append("third", 0, _words("all"), ends=True)),
        desk.write(Append("third", 1, _words("late"))),
        desk.write(Append("ended", 0, _words("late"))),
        desk.write(Append("nowhere", 0, _words("late"))),
    )

    assert list(written) == [True, False, True, False, False, False]
    pages = [await desk.read(name, -1) for name in ("first", "second", "third")]
    assert [said([*page.events]) for page in pages] == ["Hello", "onetwo", "all"]
    assert [page.is_last for page in pages] == [False, False, True]


async def test_a_stream_ends_where_it_has_come_to(place: Place) -> None:
    desk = place.open().here()
    await desk.claim(Claim(STREAM, None, "request"))
    await desk.write(Append(STREAM, 0, _words("Hello")))

    assert await desk.write(Append(STREAM, 7, (), ends=True)) is False
    assert (await desk.read(STREAM, -1)).is_last is False
    assert await desk.write(Append(STREAM, 1, (), ends=True))
    assert (await desk.read(STREAM, 0)).is_last


def _words(*texts: str) -> list[StreamEvent]:
    return [StreamDeltaEvent(delta=text, sequence=number) for number, text in enumerate(texts)]


# --- what it refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"ttl": 0}, {"max_events": 0}, {"heartbeat": -1}, {"patience": "long"}]
)
def test_options_that_cannot_be_are_refused(place: Place, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(options))}: expected"):
        place.open(**options)


@pytest.mark.parametrize(
    ("stream_id", "after"),
    [(7, -1), ("a\ud83d", 0), ("s", "0"), ("s", None), ("s", -2), ("s", 2**53 + 1), ("s", 10**400)],
    ids=["7", "half a character", "text", "None", "-2", "too many", "far too many"],
)
async def test_attach_refuses_what_names_no_place(
    journal: Journal, stream_id: Any, after: Any
) -> None:
    with pytest.raises(ConfigurationError, match=r"expected .*, found"):
        journal.attach(stream_id, after)
