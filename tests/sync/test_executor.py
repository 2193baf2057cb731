"""The executor of a blocking client's loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from steer_llm_sdk.sync import executor
from steer_llm_sdk.sync.executor import LoopExecutor

SECONDS = 30


def test_what_a_function_gives_or_raises_reaches_whoever_waits() -> None:
    threads = LoopExecutor()

    assert threads.submit(divmod, 7, 2).result(SECONDS) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(divmod, 7, 0).result(SECONDS)


def test_so_many_run_at_once_and_others_wait_for_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(executor, "_MOST_THREADS", 2)
    threads, gate, begun = LoopExecutor(), threading.Event(), threading.Semaphore(0)

    def wait() -> bool:
        begun.release()
        return gate.wait(SECONDS)

    running = [threads.submit(wait) for _ in range(2)]
    waiting = [threads.submit(threading.get_ident) for _ in range(2)]
    assert all(begun.acquire(timeout=SECONDS) for _ in running)

    assert waiting[1].cancel()
    gate.set()

    assert all(each.result(SECONDS) for each in running)
    assert waiting[0].result(SECONDS)
    with pytest.raises(CancelledError):
        waiting[1].result(SECONDS)


def test_a_loop_works_with_it_and_waits_for_nothing_at_its_end() -> None:
    gate, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        gate.wait(SECONDS)

    async def main() -> int:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(LoopExecutor())
        left = loop.run_in_executor(None, wait)
        await asyncio.to_thread(begun.wait, SECONDS)
        left.cancel()
        return await asyncio.to_thread(len, "four")

    try:
        assert asyncio.run(main()) == 4
    finally:
        gate.set()
