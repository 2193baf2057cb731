"""What a follower that waits is given: the next events, or nothing where it has to look."""

from __future__ import annotations

from steer_llm_sdk.errors import ConnectionLostError
from steer_llm_sdk.journal.store import Page
from steer_llm_sdk.journal.tail import Tail
from steer_llm_sdk.models.events import StreamDeltaEvent


def _words(*words: str) -> list[StreamDeltaEvent]:
    return [StreamDeltaEvent(delta=word) for word in words]


async def test_who_waits_is_given_what_is_next_and_what_comes_later_is_held() -> None:
    tail = Tail(Page(0, _words("a")))
    first = tail.grown()

    tail.add(_words("b", "c"))
    tail.grow(Page(3, _words("d"), is_last=True))

    assert await first == _words("b", "c")
    assert tail.events_after(2) == _words("d")
    assert not tail.goes_on


async def test_what_is_here_already_is_given_to_nobody() -> None:
    tail = Tail(Page(0, _words("a", "b")))
    waiter = tail.grown()

    tail.grow(Page(0, _words("a", "b")))
    assert not waiter.done()
    tail.grow(Page(1, _words("b", "c")))

    assert await waiter == _words("c")
    assert tail.next == 3


async def test_who_waits_for_events_that_are_not_kept_is_not_given_later_ones() -> None:
    tail = Tail(Page(0, _words("a")))
    waiter = tail.grown()

    tail.grow(Page(5, _words("f")))

    assert await waiter == ()
    assert tail.events_after(0) is None
    assert tail.events_after(4) == _words("f")


async def test_an_end_without_events_and_a_failure_wake_who_waits() -> None:
    ended, failed = Tail(Page(0, ())), Tail(Page(0, ()))
    waiters = ended.grown(), failed.grown()

    ended.grow(Page(0, (), is_last=True))
    failed.fail(ConnectionLostError("gone"))

    assert [await waiter for waiter in waiters] == [(), ()]
    assert ended.is_over
    assert not ended.goes_on
    assert not failed.goes_on


async def test_a_wait_that_was_given_up_is_told_nothing() -> None:
    tail = Tail(Page(0, ()))
    given_up, waiter = tail.grown(), tail.grown()
    given_up.cancel()

    tail.add(_words("a"))

    assert await waiter == _words("a")
    assert given_up.cancelled()
