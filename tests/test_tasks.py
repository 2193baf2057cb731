"""Tasks of the library's own begin later, and see the context they are told to."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from steer_llm_sdk.tasks import start_sharing_task, start_task, until_ended

_VARIABLE: ContextVar[str] = ContextVar("variable", default="unset")


def traced(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **how: Any
) -> asyncio.Task[Any]:
    return asyncio.Task(work, loop=loop, **how)


FACTORIES: list[Any] = [None, traced]
if sys.version_info >= (3, 12):
    FACTORIES.append(asyncio.eager_task_factory)


@pytest.fixture(params=FACTORIES, ids=lambda made: getattr(made, "__name__", "none"))
async def factory(request: pytest.FixtureRequest) -> Any:
    asyncio.get_running_loop().set_task_factory(request.param)
    return request.param


async def change() -> str:
    seen = _VARIABLE.get()
    _VARIABLE.set("changed")
    return seen


@pytest.mark.parametrize("start", [start_task, start_sharing_task])
async def test_a_task_begins_when_its_maker_has_gone_on(factory: Any, start: Any) -> None:
    log: list[str] = []

    async def work() -> None:
        log.append("work")

    task = start(work())
    log.append("maker")
    await task

    assert log == ["maker", "work"]


async def test_a_task_has_a_copy_of_the_context_and_its_name(factory: Any) -> None:
    _VARIABLE.set("set")

    task = start_task(change(), name="a name")

    assert task.get_name() == "a name"
    assert await task == "set"
    assert _VARIABLE.get() == "set"


async def test_a_task_that_shares_the_context_changes_it(factory: Any) -> None:
    _VARIABLE.set("set")

    assert await start_sharing_task(change()) == "set"
    # Python 3.11 gives a task a copy of the context.
    assert _VARIABLE.get() == ("changed" if sys.version_info >= (3, 12) else "set")


# --- waiting for one, however it ends -------------------------------------------------------------


async def end_when(opened: asyncio.Event, error: BaseException | None = None) -> None:
    await opened.wait()
    if error is not None:
        raise error


def callbacks_of(task: Any) -> int:
    """How many are called when it ends."""
    return len(task._callbacks or ())


async def waiting_for(task: asyncio.Task[Any]) -> asyncio.Task[None]:
    """A task that has begun to wait for another."""
    waiting = start_task(until_ended(task))
    await asyncio.sleep(0)
    return waiting


@pytest.mark.parametrize("error", [None, LookupError("it"), asyncio.CancelledError()])
async def test_a_task_is_waited_for_however_it_ends(error: BaseException | None) -> None:
    opened = asyncio.Event()
    task = start_task(end_when(opened, error))
    waiting = await waiting_for(task)
    assert not waiting.done()

    opened.set()
    await waiting

    assert task.done()
    with pytest.raises(type(error)) if error is not None else contextlib.nullcontext():
        task.result()


async def test_a_task_that_was_cancelled_from_without_has_ended() -> None:
    task = start_task(end_when(asyncio.Event()))
    waiting = await waiting_for(task)

    task.cancel()
    await waiting
    assert task.cancelled()


async def test_a_task_that_has_ended_already_is_not_waited_for() -> None:
    task = start_task(change())
    await task

    coroutine = until_ended(task)
    with pytest.raises(StopIteration):
        coroutine.send(None)


async def test_giving_up_the_wait_leaves_the_task_and_nothing_at_it() -> None:
    opened = asyncio.Event()
    task = start_task(end_when(opened))
    first, second = await waiting_for(task), await waiting_for(task)
    assert callbacks_of(task) == 2

    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert callbacks_of(task) == 1
    assert not task.done()

    opened.set()
    await second
    assert not task.cancelled()


async def test_a_wait_that_is_given_up_as_the_task_ends_is_given_up() -> None:
    opened = asyncio.Event()
    task = start_task(end_when(opened))
    waiting = await waiting_for(task)

    task.add_done_callback(lambda _: waiting.cancel())
    opened.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert task.done()
