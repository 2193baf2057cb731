"""Limits on this side: never more than allowed, first come, first served, nobody left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.engine.admission import Admission
from steer_llm_sdk.engine.lanes import Asking, Lane, Slot
from steer_llm_sdk.engine.plan import Limits, Target
from steer_llm_sdk.errors import ConfigurationError, RateLimitError, RequestTimeoutError
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.registry import provider_row, wire_format
from steer_llm_sdk.testing import (
    HTTPError,
    ManualClock,
    Pace,
    Script,
    ScriptedProvider,
    Stall,
)
from support.leaving import rounds


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class CountingClock(ManualClock):
    """A clock that counts the timers that were set."""

    timers = 0

    def call_later(self, delay: float, callback: Callable[[], object]) -> Any:
        self.timers += 1
        return super().call_later(delay, callback)


def lane(clock: ManualClock, **limits: int) -> Lane:
    return Lane("here", Limits(**limits), clock)


def target(provider: str, **limits: int) -> Target:
    async def nowhere() -> Endpoint:
        raise AssertionError("nothing is sent")

    wire = wire_format(provider_row("openai"))
    return Target(provider, ChatRequest("m", ()), wire, nowhere, limits=Limits(**limits))


def begun(work: Coroutine[Any, Any, Slot]) -> asyncio.Task[Slot]:
    return asyncio.get_running_loop().create_task(work)


# --- one lane -------------------------------------------------------------------------------------


async def test_places_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    here = lane(ManualClock(), max_streams=1)
    first = await here.enter(Asking(), None)
    others = [begun(here.enter(Asking(), None)) for _ in range(3)]
    await settled()

    assert (len(here), [task.done() for task in others]) == (3, [False] * 3)
    for at, task in enumerate(others):
        first.leave()
        await settled()
        assert [other.done() for other in others] == [True] * (at + 1) + [False] * (2 - at)
        first = task.result()


async def test_a_place_is_left_once() -> None:
    here = lane(ManualClock(), max_streams=2)
    one, _two = [await here.enter(Asking(), None) for _ in range(2)]
    waiting = [begun(here.enter(Asking(), None)) for _ in range(2)]
    await settled()

    one.leave()
    one.leave()
    one.give_back()
    await settled()
    assert [task.done() for task in waiting] == [True, False]
    waiting[1].cancel()
    await asyncio.wait(waiting)


async def test_whoever_is_cancelled_leaves_no_place_behind() -> None:
    here = lane(ManualClock(), max_streams=1, requests_per_minute=2)
    held = await here.enter(Asking(), None)
    cancelled, last = begun(here.enter(Asking(), None)), begun(here.enter(Asking(), None))
    await settled()

    held.leave()  # it is the turn of the one that is cancelled in the same moment
    cancelled.cancel()
    await settled()
    assert cancelled.cancelled()
    assert last.done()
    assert len(here) == 0


async def test_whoever_was_cancelled_before_its_turn_does_not_get_it() -> None:
    here = lane(ManualClock(), max_streams=1)
    held = await here.enter(Asking(), None)
    cancelled, last = begun(here.enter(Asking(), None)), begun(here.enter(Asking(), None))
    await settled()

    cancelled.cancel()
    held.leave()  # before the cancelled one could run
    await settled()

    assert cancelled.cancelled()
    assert last.done()


async def test_a_minute_has_no_more_requests_than_allowed() -> None:
    clock = ManualClock()
    here = lane(clock, requests_per_minute=2)
    await here.enter(Asking(), None)
    await clock.advance(20)
    await here.enter(Asking(), None)
    waiting = [begun(here.enter(Asking(), None)) for _ in range(2)]
    await settled()

    await clock.advance(39.5)
    assert [task.done() for task in waiting] == [False, False]
    await clock.advance(0.5)
    await settled()
    assert [task.done() for task in waiting] == [True, False]
    await clock.advance(20)
    await settled()
    assert waiting[1].done()


async def test_the_last_moment_of_a_minute_is_waited_for_too() -> None:
    clock = ManualClock()
    here = lane(clock, requests_per_minute=1)
    await here.enter(Asking(), None)
    await clock.advance(59.5)
    waiting = begun(here.enter(Asking(), None))
    await settled()

    assert not waiting.done()
    await clock.advance(0.5)
    await settled()
    assert waiting.done()


async def test_tokens_are_counted_before_and_settled_after() -> None:
    clock = ManualClock()
    here = lane(clock, tokens_per_minute=100)
    slot = await here.enter(Asking(40), None)
    await clock.advance(30)
    slot.leave(90)
    waiting = begun(here.enter(Asking(20), None))
    await settled()

    assert not waiting.done()
    await clock.advance(30)  # the prompt of the first is a minute ago; its answer is not
    await settled()
    assert waiting.done()
    late = begun(here.enter(Asking(40), None))
    await settled()
    assert not late.done()
    await clock.advance(30)
    await settled()
    assert late.done()


async def test_what_was_not_sent_counts_for_nothing() -> None:
    here = lane(ManualClock(), requests_per_minute=1, tokens_per_minute=50)

    (await here.enter(Asking(50), None)).give_back()
    await here.enter(Asking(50), None)


async def test_a_stream_that_took_less_than_was_counted_makes_no_room() -> None:
    """What was asked for is a guess; what a provider counts against its limit may be more."""
    here = lane(ManualClock(), tokens_per_minute=50)
    (await here.enter(Asking(50), None)).leave(20)
    waiting = begun(here.enter(Asking(30), None))
    await settled()

    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_the_waits_at_the_provider_and_at_the_client_share_their_limit() -> None:
    clock, admission = ManualClock(), Admission(max_streams=2)
    limited, free = target("a", max_streams=1), target("b")
    first = await admission.enter(limited, clock, None, None)
    await admission.enter(free, clock, None, None)
    others = asyncio.ensure_future(admission.enter(free, clock, None, None))
    late = asyncio.ensure_future(admission.enter(limited, clock, None, 7.0))
    await clock.advance(5)
    first.leave()  # its place at the client is that of those who came before
    await clock.advance(2)

    assert others.done()
    with pytest.raises(RequestTimeoutError):
        await asyncio.wait_for(late, 1)


async def test_what_was_not_sent_makes_no_room_either() -> None:
    clock = ManualClock()
    here = lane(clock, tokens_per_minute=50)
    (await here.enter(Asking(50), None)).give_back()
    await here.enter(Asking(50), None)
    waiting = begun(here.enter(Asking(50), None))
    await settled()

    assert not waiting.done()
    await clock.advance(60)
    await settled()
    assert waiting.done()


async def test_what_could_never_be_sent_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="about 51 tokens, more than the 50"):
        await lane(ManualClock(), tokens_per_minute=50).enter(Asking(51), None)


async def test_whoever_waits_too_long_is_told() -> None:
    clock = ManualClock()
    here = lane(clock, max_streams=1)
    held = await here.enter(Asking(), None)
    waiting = begun(here.enter(Asking(), 7.0))
    await settled()
    await clock.advance(7)

    with pytest.raises(RequestTimeoutError, match=r"within 7 s \(queue_timeout\)") as caught:
        await waiting
    assert (caught.value.limit, caught.value.is_retryable) == ("queue_timeout", False)
    held.leave()
    await here.enter(Asking(), 7.0)


async def test_a_limit_of_which_some_has_passed_is_told_as_a_whole() -> None:
    clock = ManualClock()
    here = lane(clock, max_streams=1)
    await here.enter(Asking(), None)

    late = begun(here.enter(Asking(limit=7), 2.5))
    await settled()
    await clock.advance(2.5)

    with pytest.raises(RequestTimeoutError, match=r"within 7 s \(queue_timeout\)"):
        await late


async def test_a_provider_that_asks_for_time_gets_it_from_all() -> None:
    clock = ManualClock()
    here = lane(clock, max_streams=5)
    here.block(30)
    here.block(10)
    waiting = begun(here.enter(Asking(), None))
    await settled()

    await clock.advance(29)
    assert not waiting.done()
    await clock.advance(1)
    await settled()
    assert waiting.done()


async def test_a_pause_is_for_one_account_and_the_others_go_on() -> None:
    clock = ManualClock()
    here = lane(clock, max_streams=2)
    here.block(30, "mine")
    paused = [begun(here.enter(Asking(account="mine"), None)) for _ in range(2)]
    await settled()
    other = await here.enter(Asking(account="yours"), None)

    assert (len(here), [task.done() for task in paused]) == (2, [False, False])
    assert (here.is_paused("mine"), here.is_paused("yours")) == (True, False)
    await clock.advance(30)
    await settled()
    assert [task.done() for task in paused] == [True, False]
    other.leave()
    await settled()
    assert paused[1].done()


async def test_whoever_was_held_by_a_pause_has_their_old_place_after_it() -> None:
    clock = ManualClock()
    here = lane(clock, max_streams=1)
    slot = await here.enter(Asking(), None)
    names = ["mine", "yours", "mine", "yours"]
    waiting = [begun(here.enter(Asking(account=name), None)) for name in names]
    await settled()

    here.block(30, "mine")
    slot.leave()  # the first is held: it is the turn of the second
    await settled()
    assert [task.done() for task in waiting] == [False, True, False, False]
    await clock.advance(30)
    order = [1]
    while len(order) < len(names):
        waiting[order[-1]].result().leave()
        await settled()
        order += [at for at, task in enumerate(waiting) if task.done() and at not in order]
    assert order == [1, 0, 2, 3]


async def test_whoever_gives_up_in_a_pause_is_forgotten() -> None:
    clock = CountingClock()
    here = lane(clock, max_streams=1)
    here.block(30)
    waiting = begun(here.enter(Asking(), None))
    await settled()
    waiting.cancel()
    await asyncio.wait((waiting,))

    assert len(here) == 0
    await clock.advance(30)
    await here.enter(Asking(), None)
    assert clock.timers == 1


async def test_whoever_gives_up_holds_up_nobody_who_needs_less() -> None:
    here = lane(ManualClock(), tokens_per_minute=100)
    await here.enter(Asking(60), None)
    large, small = begun(here.enter(Asking(90), None)), begun(here.enter(Asking(30), None))
    await settled()
    assert not small.done()

    large.cancel()
    await settled()

    assert small.done()


async def test_ten_thousand_in_a_pause_cost_one_timer() -> None:
    clock = CountingClock()
    here = lane(clock, max_streams=10_000)
    here.block(30)
    waiting = [begun(here.enter(Asking(), None)) for _ in range(10_000)]
    await settled()

    assert (len(here), clock.timers) == (10_000, 1)
    await clock.advance(30)
    await settled()
    assert all(task.done() for task in waiting)
    assert clock.timers == 1


async def test_whoever_has_to_wait_is_told_how_many_wait_before() -> None:
    told: list[int] = []
    here = lane(ManualClock(), max_streams=1)
    held = await here.enter(Asking(on_wait=told.append), None)
    waiting = [begun(here.enter(Asking(on_wait=told.append), None)) for _ in range(2)]
    await settled()

    assert told == [0, 1]
    held.leave()
    for task in waiting:
        (await task).leave()


async def test_a_task_does_not_wait_for_itself() -> None:
    here = lane(ManualClock(), max_streams=1)
    me = asyncio.current_task()
    await here.enter(Asking(owner=me), None)

    with pytest.raises(ConfigurationError, match="would wait for itself"):
        await here.enter(Asking(owner=me), None)


async def test_ten_thousand_that_wait_cost_one_timer() -> None:
    clock = CountingClock()
    here = lane(clock, requests_per_minute=1)
    await here.enter(Asking(), None)
    waiting = [begun(here.enter(Asking(), None)) for _ in range(10_000)]
    await settled()

    assert len(here) == 10_000
    assert clock.timers == 1
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert len(here) == 0


# --- any order of events --------------------------------------------------------------------------


@dataclass
class Model:
    """What has been let in, and when."""

    lane: Lane
    clock: ManualClock
    limits: Limits
    tasks: list[asyncio.Task[Slot]] = field(default_factory=list)
    let_in: list[tuple[int, float, int]] = field(default_factory=list)
    inside: dict[int, Slot] = field(default_factory=dict)
    accounts: int = 1
    pauses: dict[int, float] = field(default_factory=dict)  # until when

    async def ask(self, tokens: int) -> None:
        number = len(self.tasks)
        account = number % self.accounts

        async def enter() -> Slot:
            slot = await self.lane.enter(Asking(tokens, account=account), None)
            assert self.clock.monotonic() >= self.pauses.get(account, 0.0)
            self.let_in.append((number, self.clock.monotonic(), tokens))
            self.inside[number] = slot
            return slot

        self.tasks.append(begun(enter()))
        await settled()

    async def leave(self, which: int) -> None:
        if self.inside:
            number = sorted(self.inside)[which % len(self.inside)]
            self.inside.pop(number).leave()
            await settled()

    async def cancel(self, which: int) -> None:
        waiting = [task for task in self.tasks if not task.done()]
        if waiting:
            waiting[which % len(waiting)].cancel()
            await settled()

    async def pause(self, seconds: int) -> None:
        account = seconds % self.accounts
        self.lane.block(seconds, account)
        until = self.clock.monotonic() + seconds
        self.pauses[account] = max(until, self.pauses.get(account, 0.0))

    async def wait(self, seconds: int) -> None:
        await self.clock.advance(seconds)
        await settled()

    def check(self) -> None:
        assert len(self.inside) <= (self.limits.max_streams or 10**9)
        for account in range(self.accounts):
            numbers = [number for number, _, _ in self.let_in if number % self.accounts == account]
            assert numbers == sorted(numbers), "first come, first served"
        for _, begin, _ in self.let_in:
            within = [entry for entry in self.let_in if begin <= entry[1] < begin + 60]
            assert len(within) <= (self.limits.requests_per_minute or 10**9)
            tokens = sum(entry[2] for entry in within)
            assert tokens <= (self.limits.tokens_per_minute or 10**9)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "leave", "cancel", "wait", "pause"]), st.integers(0, 25)
    ),
    max_size=30,
)
_LIMITS = st.builds(
    Limits,
    max_streams=st.none() | st.integers(1, 3),
    requests_per_minute=st.none() | st.integers(1, 4),
    tokens_per_minute=st.none() | st.integers(25, 60),
)


@settings(max_examples=60, deadline=None)
@given(_LIMITS, _STEPS, st.integers(1, 3))
def test_never_more_than_allowed_in_order_and_nobody_starves(
    limits: Limits, steps: list[tuple[str, int]], accounts: int
) -> None:
    async def run() -> None:
        clock = ManualClock()
        model = Model(Lane("here", limits, clock), clock, limits, accounts=accounts)
        for name, value in steps:
            await getattr(model, name)(value)
            model.check()
        while any(not task.done() for task in model.tasks):
            await model.leave(0)
            await model.wait(60)
            model.check()
        assert len(model.lane) == 0

    asyncio.run(asyncio.wait_for(run(), 30))


# --- through the client ---------------------------------------------------------------------------


def client_of(provider: ScriptedProvider, clock: ManualClock, **given: Any) -> SteerLLMClient:
    settings = {"openai": ProviderSettings(api_key="test-key", **given.pop("limits", {}))}
    return SteerLLMClient(providers=settings, transport=provider, clock=clock, **given)


@pytest.mark.parametrize("where", [{"max_streams": 1}, {"limits": {"max_streams": 1}}])
async def test_streams_wait_for_their_turn_and_tell_how_long(where: dict[str, Any]) -> None:
    clock = ManualClock()
    provider = ScriptedProvider(Script(["a", "b"], faults=[Pace(1.0)]), clock=clock)
    async with client_of(provider, clock, **where) as client:
        tasks = [asyncio.ensure_future(client.generate("Hi", "gpt-4o")) for _ in range(2)]
        while not all(task.done() for task in tasks):
            await clock.advance(clock.next_in or 0)
        first, second = [task.result() for task in tasks]

    assert first.metrics["queued_ms"] == 0
    assert second.metrics["queued_ms"] == pytest.approx(first.metrics["duration_ms"])


async def test_streams_that_wait_set_no_timer_and_wake_nobody() -> None:
    clock = CountingClock()
    provider = ScriptedProvider(Script(["a"], faults=[Stall(1)]), Script(["b"]), clock=clock)
    options = StreamingOptions(queue_timeout=None)
    async with client_of(provider, clock, max_streams=1) as client:
        held = client.stream_events("Hi", "gpt-4o")
        await anext(held)
        await anext(held)
        set_before = clock.timers
        waiting = [
            asyncio.ensure_future(client.generate("Hi", "gpt-4o", streaming_options=options))
            for _ in range(300)
        ]
        await settled()

        assert clock.timers == set_before
        assert not any(task.done() for task in waiting)
        await held.aclose()
        assert {(await task).get_text() for task in waiting} == {"b"}


async def test_a_generation_within_the_loop_of_a_stream_is_told_not_hung() -> None:
    clock = ManualClock()
    async with client_of(ScriptedProvider("a", "b"), clock, max_streams=1) as client:
        async with client.stream_events("Hi", "gpt-4o") as stream:
            async for event in stream:
                if event.type == "delta":
                    with pytest.raises(ConfigurationError, match="would wait for itself"):
                        await client.generate("Hi", "gpt-4o")
                    break
        assert (await client.generate("Hi", "gpt-4o")).get_text() == "ab"


async def test_a_call_from_a_callback_is_told_not_hung() -> None:
    told: list[str] = []
    async with client_of(ScriptedProvider("a"), ManualClock(), max_streams=1) as client:

        async def ask_again(_event: object) -> None:
            try:
                await client.generate("Hi", "gpt-4o")
            except ConfigurationError as error:
                told.append(str(error))

        await client.stream_with_usage("Hi", "gpt-4o", on_delta=ask_again)

    assert "would wait for itself" in told[0]


async def test_a_place_spans_an_attempt_and_not_the_pause_after_it() -> None:
    clock = ManualClock()
    provider = ScriptedProvider([HTTPError(500)], Script(["ok"]), clock=clock)
    async with client_of(provider, clock, max_streams=1) as client:
        first = asyncio.ensure_future(client.generate("Hi", "gpt-4o"))
        while not clock.sleepers:  # in the pause before its second attempt
            await clock.advance(0)
        second = await client.generate("Hi", "gpt-4o")
        while not first.done():
            await clock.advance(clock.next_in or 0)

    assert second.metrics["queued_ms"] == 0
    assert first.result().ok


async def test_whoever_waits_can_be_cancelled_and_leaves_the_others_their_place() -> None:
    clock = ManualClock()
    provider = ScriptedProvider(Script(["a"], faults=[Stall(1)]), Script(["b"]), clock=clock)
    async with client_of(provider, clock, max_streams=1) as client:
        held = client.stream_events("Hi", "gpt-4o")
        await anext(held)
        await anext(held)
        waiting = [asyncio.ensure_future(client.generate("Hi", "gpt-4o")) for _ in range(2)]
        await rounds(50)
        waiting[0].cancel()
        await held.aclose()
        response = await waiting[1]

    assert response.get_text() == "b"
    assert len(provider.requests) == 2


async def test_the_wait_ends_after_queue_timeout_and_nothing_is_sent() -> None:
    clock = ManualClock()
    provider = ScriptedProvider(Script(["a"], faults=[Stall(1)]), clock=clock)
    options = StreamingOptions(queue_timeout=5.0)
    async with client_of(provider, clock, max_streams=1) as client:
        held = client.stream_events("Hi", "gpt-4o")
        await anext(held)
        await anext(held)
        waiting = asyncio.ensure_future(client.generate("Hi", "gpt-4o", streaming_options=options))
        while not waiting.done():
            await clock.advance(1)
        with pytest.raises(RequestTimeoutError, match="queue_timeout"):
            waiting.result()
        await held.aclose()

    assert len(provider.requests) == 1


# --- what the provider asks for -------------------------------------------------------------------

NO_RETRIES = StreamingOptions(max_retries=0)
LIMITED: list[dict[str, Any]] = [{"max_streams": 9}, {"limits": {"requests_per_minute": 900}}]


async def finished(clock: ManualClock, *tasks: asyncio.Future[Any]) -> None:
    while not all(task.done() for task in tasks):
        await clock.advance(clock.next_in or 0)


async def refused(client: SteerLLMClient, **given: Any) -> None:
    with pytest.raises(RateLimitError):
        await client.generate("Hi", "gpt-4o", streaming_options=NO_RETRIES, **given)


@pytest.mark.parametrize("where", LIMITED)
async def test_a_retry_after_slows_down_the_others_that_wait(where: dict[str, Any]) -> None:
    clock = ManualClock()
    busy = [HTTPError(429, headers={"retry-after": "40"})]
    provider = ScriptedProvider(busy, Script(["ok"]), clock=clock)
    async with client_of(provider, clock, **where) as client:
        await refused(client)
        later = [asyncio.ensure_future(client.generate("Hi", "gpt-4o")) for _ in range(3)]
        await finished(clock, *later)

    assert [task.result().metrics["queued_ms"] for task in later] == [pytest.approx(40_000)] * 3


@pytest.mark.parametrize("where", [{"max_streams": 1}, {"limits": {"max_streams": 1}}])
async def test_whoever_waits_while_the_provider_asks_for_a_pause_does_not_slip_through(
    where: dict[str, Any],
) -> None:
    clock = ManualClock()
    busy = [HTTPError(429, headers={"retry-after": "40"})]
    provider = ScriptedProvider(busy, Script(["ok"]), clock=clock)
    async with client_of(provider, clock, **where) as client:
        first = asyncio.ensure_future(refused(client))
        later = [asyncio.ensure_future(client.generate("Hi", "gpt-4o")) for _ in range(3)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert (first.done(), len(provider.requests)) == (True, 1)
        await finished(clock, *later)

    waits = [task.result().metrics["queued_ms"] for task in later]
    assert waits[0] == pytest.approx(40_000)
    assert waits == sorted(waits)


async def test_a_pause_changes_no_order_wherever_somebody_waits() -> None:
    clock = ManualClock()
    busy = [HTTPError(429, headers={"retry-after": "40"})]
    provider = ScriptedProvider(busy, Script(["ok"]), clock=clock)
    places = {"max_streams": 1, "limits": {"max_streams": 2}}  # one waits here, one there
    async with client_of(provider, clock, **places) as client:
        first = asyncio.ensure_future(refused(client))
        later = [asyncio.ensure_future(client.generate(word, "gpt-4o")) for word in "abc"]
        await finished(clock, first, *later)

    assert [request.json["messages"][0]["content"] for request in provider.requests[1:]] == [*"abc"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12s"}, 12.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m30s"}, 60.0),
        ({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "12s"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0"}, 0.0),
    ],
)
async def test_what_an_answer_says_is_used_up_slows_down_the_others_too(
    headers: dict[str, str], seconds: float
) -> None:
    clock = ManualClock()
    provider = ScriptedProvider(Script(["a"], headers=headers), Script(["b"]), clock=clock)
    async with client_of(provider, clock, max_streams=9) as client:
        await client.generate("Hi", "gpt-4o")
        second = asyncio.ensure_future(
            client.generate("Hi", "gpt-4o", streaming_options=StreamingOptions(queue_timeout=99))
        )
        await finished(clock, second)

    assert second.result().metrics["queued_ms"] == pytest.approx(seconds * 1000)


async def test_a_pause_is_for_whoever_asks_the_provider_with_the_same_key() -> None:
    clock = ManualClock()
    busy = [HTTPError(429, headers={"retry-after": "40"})]
    provider = ScriptedProvider(busy, Script(["ok"]), clock=clock)
    settings = {name: ProviderSettings(api_key="test-key") for name in ("openai", "groq")}
    options = {"max_streams": 9, "transport": provider, "clock": clock}
    async with SteerLLMClient(providers=settings, **options) as client:  # type: ignore[arg-type]
        await refused(client, api_key="somebody-elses")
        own = await client.generate("Hi", "gpt-4o")
        other = await client.generate("Hi", "groq:llama")
        same = asyncio.ensure_future(client.generate("Hi", "gpt-4o", api_key="somebody-elses"))
        await finished(clock, same)

    waits = [each.metrics["queued_ms"] for each in (own, other, same.result())]
    assert waits == [0.0, 0.0, pytest.approx(40_000)]


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        (StreamingOptions(total_timeout=5), "total_timeout"),
        (StreamingOptions(queue_timeout=5), "queue_timeout"),
    ],
)
async def test_a_pause_is_waited_for_no_longer_than_the_limits_allow(
    options: StreamingOptions, limit: str
) -> None:
    clock = ManualClock()
    busy = [HTTPError(429, headers={"retry-after": "4000"})]
    provider = ScriptedProvider(busy, Script(["ok"]), clock=clock)
    async with client_of(provider, clock, max_streams=9) as client:
        await refused(client)
        begun_at = clock.monotonic()
        late = asyncio.ensure_future(client.generate("Hi", "gpt-4o", streaming_options=options))
        await finished(clock, late)
        with pytest.raises(RequestTimeoutError) as caught:
            late.result()

    assert caught.value.limit == limit
    assert clock.monotonic() - begun_at == pytest.approx(5)
    assert limit == "total_timeout" or "asked for a longer pause" in str(caught.value)
    assert len(provider.requests) == 1


async def test_where_nothing_is_limited_nobody_waits_for_another() -> None:
    busy = [HTTPError(429, headers={"retry-after": "40"})]
    async with client_of(ScriptedProvider(busy, Script(["ok"])), ManualClock()) as client:
        await refused(client)

        assert (await client.generate("Hi", "gpt-4o")).metrics["queued_ms"] == 0


@pytest.mark.parametrize("name", ["max_streams", "requests_per_minute", "tokens_per_minute"])
async def test_a_limit_that_is_none_is_refused(name: str) -> None:
    async with client_of(ScriptedProvider("a"), ManualClock(), limits={name: 0}) as client:
        with pytest.raises(ConfigurationError, match=f"openai: {name}: expected a whole number"):
            await client.generate("Hi", "gpt-4o")
    given: dict[str, Any] = {name: 7}
    assert f"{name}=7" in repr(ProviderSettings(**given))
