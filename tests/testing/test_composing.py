"""Faults compose: each changes the plan that the one before it left, and forgets nothing of it."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import ConnectionLostError, OverloadedError, SteerError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.testing import (
    AnnounceClose,
    Close,
    CutAt,
    Delay,
    Drip,
    EndEarly,
    EndlessLine,
    ErrorInStream,
    Fault,
    Gzip,
    HTTPError,
    KeepAlives,
    LoopbackServer,
    ManualClock,
    Pace,
    Raise,
    RecordedRequest,
    Reset,
    Script,
    ScriptedProvider,
    Stall,
)
from steer_llm_sdk.testing.formats import FORMATS
from steer_llm_sdk.testing.picking import plan_script
from steer_llm_sdk.testing.plan import Plan
from steer_llm_sdk.testing.rendering import body_writes, render
from support.raw_http import PATHS, REQUEST, RawClient

ABC = ("a1", "b2", "c3")


def planned(*faults: Fault) -> Plan:
    request = RecordedRequest("POST", PATHS["openai"], json=REQUEST)
    return plan_script(Script(ABC, faults=faults), request, FORMATS["openai"])


def orders(faults: Sequence[Fault]) -> Iterator[tuple[Fault, ...]]:
    return itertools.permutations(faults)


def waits(plan: Plan) -> float:
    return sum(write.wait for write in render(plan))


def body(plan: Plan) -> bytes:
    return b"".join(write.data for write in body_writes(plan))


def before(plan: Plan, text: bytes) -> float:
    """How long a reader of the body waits for a text."""
    waited, read = 0.0, b""
    for write in body_writes(plan):
        waited, read = waited + write.wait, read + write.data
        if text in read:
            return waited
    raise AssertionError(f"expected {text!r} in the body, found {read!r}")


# --- the waits ----------------------------------------------------------------------------------

WAITING = st.one_of(
    st.builds(Delay, st.integers(1, 9), st.sampled_from(["request", "headers", 0, 1, 2, 3, 9])),
    st.builds(Pace, st.integers(1, 9)),
)
HARMLESS = st.one_of(
    st.builds(CutAt, st.lists(st.integers(0, 900), max_size=6).map(tuple)),
    st.builds(Drip, st.integers(1, 400)),
    st.just(Gzip()),
    st.just(AnnounceClose()),
)


@given(st.lists(st.one_of(WAITING, HARMLESS), max_size=7).flatmap(st.permutations))
def test_in_any_order_every_wait_is_waited_for_and_no_byte_changes(faults: list[Fault]) -> None:
    plan = planned(*faults)

    assert waits(plan) == sum(asked_wait(fault) for fault in faults)
    assert body(plan) == body(planned())


def asked_wait(fault: Fault) -> float:
    if isinstance(fault, Pace):
        return len(ABC) * fault.interval
    return fault.seconds if isinstance(fault, Delay) else 0


@pytest.mark.parametrize("after", [3, 9])
def test_a_delay_behind_the_last_delta_delays_what_is_left_and_not_the_status_line(
    after: int,
) -> None:
    plan = planned(EndEarly(after=3), Delay(5, after=after))

    assert plan.head_wait == 0
    assert before(plan, b"c3") == 0
    assert waits(plan) == 5


def test_a_pace_is_added_to_a_delay() -> None:
    for faults in orders([Pace(1), Delay(5, after=1)]):
        plan = planned(*faults)

        assert [before(plan, text.encode()) for text in ABC] == [1, 7, 8]


@pytest.mark.parametrize(
    "ends", [EndEarly(1), Reset(1), Close(1), Stall(1), ErrorInStream(1), KeepAlives(1, 0)]
)
def test_a_delay_at_the_point_where_the_answer_ends_comes_before_the_end(ends: Fault) -> None:
    for faults in orders([ends, Delay(5, after=1)]):
        plan = planned(*faults)

        assert before(plan, b"a1") == 0
        first_waits = itertools.takewhile(lambda write: b"error" not in write.data, render(plan))
        assert sum(write.wait for write in itertools.islice(first_waits, 20)) == 5


def test_a_delay_before_half_a_chunk_is_kept() -> None:
    for faults in orders([Reset(1, mid_chunk=True), Delay(5, after=1)]):
        writes = list(body_writes(planned(*faults)))

        assert sum(write.wait for write in writes) == 5
        assert writes[-1].data
        assert b"b2" not in b"".join(write.data for write in writes)


def test_a_chunk_waits_for_as_long_as_all_that_is_in_it() -> None:
    whole = body(planned())
    cut = whole.index(b"b2") + 1

    plan = planned(Delay(5, after=1), CutAt((cut,)))

    assert [(len(write.data), write.wait) for write in body_writes(plan)] == [
        (cut, 5),
        (len(whole) - cut, 0),
    ]


async def test_both_players_wait_before_the_end_of_the_body() -> None:
    async def read(clock: ManualClock, provider: ScriptedProvider) -> None:
        request = HTTPRequest("https://api.test/v1/chat/completions", b"", {})
        response = await provider.open(request, connect_timeout=None)
        while await response.read():
            pass

    async def ask(server: LoopbackServer) -> None:
        async with RawClient(server) as raw:
            raw.ask()
            await raw.answer()

    clock = ManualClock()
    script = Script(ABC, faults=[EndEarly(3), Delay(5, after=3)])
    async with LoopbackServer(script, clock=clock) as server:
        tasks = [
            asyncio.create_task(read(clock, ScriptedProvider(script, clock=clock))),
            asyncio.create_task(ask(server)),
        ]
        await clock.until_sleeping()
        await clock.advance(4.9)
        assert not any(task.done() for task in tasks)
        await clock.advance(0.1)
        await asyncio.wait_for(asyncio.gather(*tasks), 5)


async def test_a_delay_before_a_reset_without_a_status_line_is_waited_for() -> None:
    clock = ManualClock()
    async with (
        LoopbackServer([[Delay(5), Reset("request")]], clock=clock) as server,
        RawClient(server) as raw,
    ):
        raw.ask()
        await clock.until_sleeping()
        assert server.connections.open == 1
        await clock.advance(5)
        await server.wait_for(lambda: server.connections.open == 0)

    assert server.connections[0].closed_by == "server"


# --- the rest -----------------------------------------------------------------------------------


def test_the_smaller_writes_and_all_cuts_count() -> None:
    for faults in orders([Drip(5), Drip(60, 1)]):
        plan = planned(*faults)
        assert (plan.drip, plan.drip_wait) == (5, 1)
    assert planned(CutAt((9, 3)), CutAt((5, 9))).cuts == (3, 5, 9)


def test_an_endless_line_is_cut_and_goes_on() -> None:
    writes = body_writes(planned(EndlessLine(), CutAt((2, 100_000))))

    sizes = [len(write.data) for write in itertools.islice(writes, 5)]
    assert sizes[:2] == [2, 99_998]
    assert all(sizes)


async def answer_to(*faults: Fault) -> tuple[str, dict[str, str], bytes]:
    async with LoopbackServer(Script(ABC, faults=faults)) as server, RawClient(server) as raw:
        raw.ask()
        return await raw.answer()


@pytest.mark.parametrize("faults", [[Gzip(), HTTPError(500)], [HTTPError(500), Gzip()]])
async def test_an_error_is_compressed_in_either_order(faults: Sequence[Fault]) -> None:
    status, headers, packed = await asyncio.wait_for(answer_to(*faults), 5)

    assert status == "HTTP/1.1 500 Internal Server Error"
    assert headers["content-encoding"] == "gzip"
    assert "error" in json.loads(gzip.decompress(packed))


@pytest.mark.parametrize("ends", [Reset("headers"), Close("headers"), Reset(1), Close(1)])
async def test_an_error_that_is_cut_does_not_look_whole(ends: Fault) -> None:
    for faults in orders([HTTPError(500), ends]):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await asyncio.wait_for(answer_to(*faults), 5)


async def test_an_error_after_half_a_chunk_is_still_http() -> None:
    faults: list[Fault] = [Close(1, mid_chunk=True), HTTPError(500)]
    async with LoopbackServer(Script(ABC, faults=faults)) as server, RawClient(server) as raw:
        raw.ask()
        await raw.head()
        chunk = await raw.chunk()

    assert "error" in json.loads(chunk)


async def failure_of(*faults: Fault) -> SteerError | None:
    request = HTTPRequest("https://api.test/v1/chat/completions", b"", {})
    try:
        response = await ScriptedProvider(Script(ABC, faults=faults)).open(
            request, connect_timeout=None
        )
        while await response.read():
            pass
    except SteerError as error:
        return error
    return None


async def test_the_last_ending_counts() -> None:
    mine = OverloadedError("mine")

    assert await failure_of(Reset(2), Raise(mine, 1)) is mine
    assert await failure_of(Raise(mine, 2), EndEarly(1)) is None
    assert isinstance(await failure_of(Raise(mine, 2), Reset(1)), ConnectionLostError)
