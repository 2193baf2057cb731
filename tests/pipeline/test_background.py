"""The queue of a processor that works in the background, and its one worker."""

from __future__ import annotations

import asyncio

import pytest

from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.pipeline.background import BackgroundQueue
from support.events import delta, texts


def test_each_event_loop_has_a_worker_of_its_own() -> None:
    """A second `asyncio.run` without `stop` in the first."""
    done: list[StreamEvent] = []
    complaints: list[object] = []

    async def process(event: StreamEvent) -> None:
        done.append(event)
        event.metadata["processed"].set()

    queue = BackgroundQueue(process)

    async def submit(text: str) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        event = delta(text)
        event.metadata["processed"] = asyncio.Event()
        await queue.put(event)
        await event.metadata["processed"].wait()

    async def submit_and_stop(text: str) -> None:
        await submit(text)
        await queue.stop()

    asyncio.run(submit("a"))
    asyncio.run(submit("b"))
    asyncio.run(queue.stop())  # another loop's worker is not waited for
    asyncio.run(submit_and_stop("c"))

    assert texts(done) == ["a", "b", "c"]
    assert complaints == []


async def test_stop_waits_for_what_was_submitted_and_may_be_called_again() -> None:
    done: list[StreamEvent] = []

    async def process(event: StreamEvent) -> None:
        await asyncio.sleep(0)
        done.append(event)

    queue = BackgroundQueue(process, max_size=2)
    for text in "abcde":
        await queue.put(delta(text))
    await queue.stop()
    await queue.stop()

    assert texts(done) == list("abcde")


async def test_the_worker_cannot_stop_itself() -> None:
    raised: list[BaseException] = []

    async def process(_: StreamEvent) -> None:
        try:
            await queue.stop()
        except RuntimeError as error:
            raised.append(error)

    queue = BackgroundQueue(process)
    await queue.put(delta("a"))
    await queue.stop()

    with pytest.raises(RuntimeError, match="while processing"):
        raise raised[0]


async def test_a_worker_that_was_cancelled_does_not_hold_up_the_end() -> None:
    """As whoever cancels all tasks of a loop does."""
    reached = asyncio.Event()

    async def process(event: StreamEvent) -> None:
        if event.metadata:
            reached.set()
            await asyncio.Event().wait()

    queue = BackgroundQueue(process)
    stuck = delta("a")
    stuck.metadata["waits"] = True
    await queue.put(stuck)
    await reached.wait()
    assert queue._running is not None
    worker = queue._running[1]
    worker.cancel()
    await asyncio.wait([worker])

    await queue.put(delta("b"))
    async with asyncio.timeout(5):
        await queue.stop()


async def test_a_worker_has_ended_when_its_queue_is_stopped() -> None:
    async def process(event: StreamEvent) -> None: ...

    queue = BackgroundQueue(process)
    await queue.put(delta("a"))

    await queue.stop()

    assert asyncio.all_tasks() == {asyncio.current_task()}
