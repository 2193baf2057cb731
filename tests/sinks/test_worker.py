"""The thread in which sinks are told: it begins when needed, and loses nothing at its end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
import weakref

import pytest

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.sinks.forking import ForkSafe
from steer_llm_sdk.sinks.worker import Worker, _finish, _running, tell
from steer_llm_sdk.testing import Script, ScriptedProvider
from support.sinks import Remembering


def worker_of(sink: Remembering, max_waiting: int = 100) -> Worker:
    return Worker((sink,), ClientStats(), max_waiting)


def wait_until_told(worker: Worker) -> None:
    told = threading.Event()
    worker.when_told(told.set)
    assert told.wait(10)


def test_calls_are_made_in_their_order_and_then_flushed() -> None:
    sink, told = Remembering(), list[int]()
    worker = worker_of(sink)
    for number in range(50):
        worker.submit(lambda number=number: told.append(number))  # type: ignore[misc]
    wait_until_told(worker)

    assert told == list(range(50))
    assert [what for what, _ in sink.calls] == ["flush", "close"]


def test_what_comes_without_a_pause_is_flushed_after_each_thousand() -> None:
    sink, go_on = Remembering(), threading.Event()
    worker = worker_of(sink, max_waiting=3_000)
    worker.submit(lambda: go_on.wait(10))
    for _ in range(2_499):
        worker.submit(lambda: None)
    go_on.set()
    wait_until_told(worker)

    assert [what for what, _ in sink.calls] == ["flush", "flush", "flush", "close"]


def test_calls_gather_so_that_the_thread_wakes_up_once_for_many() -> None:
    sink, told = Remembering(), list[int]()
    worker = worker_of(sink, max_waiting=1_000)
    for number in range(4):
        worker.submit_end(lambda number=number: told.append(number))  # type: ignore[misc]
        time.sleep(0.005)
    before = list(told)
    wait_until_told(worker)

    assert before == []
    assert told == [0, 1, 2, 3]
    assert [what for what, _ in sink.calls] == ["flush", "close"]


def test_what_fills_half_of_the_room_is_told_without_a_moment_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steer_llm_sdk.sinks.worker._LINGER", 30)
    worker, told = worker_of(Remembering(), max_waiting=20), threading.Semaphore(0)
    for _ in range(12):
        worker.submit(told.release)

    assert all(told.acquire(timeout=10) for _ in range(10))


def test_who_waits_for_the_sinks_waits_for_nothing_to_gather(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steer_llm_sdk.sinks.worker._LINGER", 30)
    worker, told = worker_of(Remembering()), list[str]()
    worker.submit(lambda: told.append("first"))
    wait_until_told(worker)
    worker.submit(lambda: told.append("second"))
    worker.stop()
    worker.join(10)

    assert told == ["first", "second"]
    assert worker._thread is None


def test_a_cancellation_that_a_sink_raises_is_none_of_its_callers() -> None:
    stats, sink = ClientStats(), Remembering()

    def give_up() -> None:
        raise asyncio.CancelledError

    tell(stats, sink, "stream_started", give_up)

    assert stats.sink_errors == 1


def test_events_make_room_for_ends_and_ends_for_what_is_still_to_begin() -> None:
    go_on, told = threading.Event(), list[str]()
    worker = worker_of(Remembering(), max_waiting=2)
    worker.submit_end(lambda: go_on.wait(10))
    while worker._ends.qsize():  # until it is at it
        threading.Event().wait(0.001)
    for number in range(4):
        worker.submit(lambda number=number: told.append(f"event {number}"))  # type: ignore[misc]
    begun = [worker.may_begin()]
    for number in range(4):
        worker.submit_end(lambda number=number: told.append(f"end {number}"))  # type: ignore[misc]
        begun.append(worker.may_begin())
    go_on.set()
    wait_until_told(worker)

    assert told == ["event 0", "event 1", "end 0", "end 1", "end 2", "end 3"]
    assert begun == [True, True, False, False, False]
    assert worker._stats.sink_drops == 2 + 3
    assert worker.may_begin()


def test_there_is_no_thread_before_there_is_something_to_tell() -> None:
    worker = worker_of(Remembering())
    called: list[bool] = []

    worker.when_told(lambda: called.append(True))

    assert called == [True]
    assert worker._thread is None


def test_a_worker_that_was_stopped_tells_the_rest_and_begins_again() -> None:
    sink, told = Remembering(), list[str]()
    worker = worker_of(sink)
    worker.submit(lambda: told.append("first"))
    worker.stop()
    worker.join(10)
    assert worker not in _running
    worker.submit(lambda: told.append("second"))
    wait_until_told(worker)

    assert told == ["first", "second"]


def test_what_comes_while_the_thread_ends_is_told_by_another() -> None:
    ending, go_on, told = threading.Event(), threading.Event(), threading.Event()

    class Slow(Remembering):
        def close(self) -> None:
            ending.set()
            go_on.wait(10)

    worker = worker_of(Slow())
    worker.submit(lambda: None)
    worker.stop()
    assert ending.wait(10)
    worker.submit_end(told.set)
    go_on.set()

    assert told.wait(10)
    worker.stop()
    worker.join(10)


def test_when_nothing_more_comes_what_was_told_is_flushed_without_being_asked_to() -> None:
    flushed = threading.Event()

    class Flushed(Remembering):
        def flush(self) -> None:
            flushed.set()

    worker = worker_of(Flushed())
    worker.submit(lambda: None)

    assert flushed.wait(10)


def test_the_end_of_the_process_waits_for_what_waits() -> None:
    sink, told = Remembering(), list[int]()
    worker = worker_of(sink)
    for number in range(20):
        worker.submit(lambda number=number: told.append(number))  # type: ignore[misc]

    _finish()

    assert told == list(range(20))
    assert not _running


def test_where_no_thread_can_be_had_the_caller_is_not_touched(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    worker = worker_of(Remembering())
    monkeypatch.setattr(threading.Thread, "start", refuse)

    with caplog.at_level(logging.WARNING):
        worker.submit(lambda: None)

    assert "no thread can be started" in caplog.text
    assert worker._stats.sink_drops == 1


async def test_a_client_that_nobody_closes_leaves_no_thread() -> None:
    sink = Remembering()
    client = SteerLLMClient("k", transport=ScriptedProvider(Script(["Hi"])), sinks=[sink])
    await client.generate("Hi", "gpt-4o")
    (worker,) = client._sinks._workers.values()
    gone = weakref.ref(client)
    del client
    gc.collect()
    worker.join(10)

    assert gone() is None
    assert [record.outcome for record in sink.ended] == ["completed"]
    assert worker._thread is None


def test_a_fork_waits_for_the_call_that_is_being_made() -> None:
    """What the call has locked, an import or a library, would stay locked in the child."""
    locked, has_begun = threading.Lock(), threading.Event()

    def call() -> None:
        with locked:
            has_begun.set()
            threading.Event().wait(0.05)

    worker = worker_of(Remembering())
    worker.submit(call)
    assert has_begun.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(0 if locked.acquire(blocking=False) else 1)
    _, status = os.waitpid(child, 0)
    wait_until_told(worker)

    assert status == 0


def test_a_fork_holds_nothing_that_the_call_it_waits_for_needs() -> None:
    sinks, has_begun = [ForkSafe() for _ in range(20)], threading.Event()

    def call() -> None:
        has_begun.set()
        threading.Event().wait(0.1)  # until the fork waits
        for sink in sinks:
            with sink.lock:
                pass

    worker = worker_of(Remembering())
    worker.submit(call)
    assert has_begun.wait(10)
    before = time.monotonic()
    child = os.fork()
    if child == 0:
        os._exit(0)
    took = time.monotonic() - before
    os.waitpid(child, 0)
    wait_until_told(worker)

    assert took < 4  # a lock that cannot be had is waited for five seconds
