"""Tasks of the library's own: work that goes on beside whoever begins it.

They begin later, whatever a loop makes of tasks. `asyncio.eager_task_factory` (from Python 3.12 on)
would run them before `start_task` returns: then nobody has noted yet that there is such a task, and
one that shares its context with the running one cannot be begun at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVar

from steer_llm_sdk.errors import ConfigurationError

_Result = TypeVar("_Result")


def start_task(
    work: Coroutine[Any, Any, _Result],
    *,
    name: str | None = None,
    context: Context | None = None,
) -> asyncio.Task[_Result]:
    """Run a coroutine in a task of the running loop, from the loop's next round on.

    Args:
        work: What to run.
        name: The task's name; made up without one.
        context: The context variables that it sees; without them, a copy of the running task's.
    """
    loop = asyncio.get_running_loop()
    if loop.get_task_factory() is None:
        return loop.create_task(work, name=name, context=context)
    return asyncio.Task(work, loop=loop, name=name, context=context)


def start_sharing_task(work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
    """Run a coroutine in a task that sees the context variables of this one, and changes them.

    Python 3.11 cannot share a context: there the task has a copy.
    """
    return start_task(work, context=current_context())


def current_context() -> Context | None:
    """The context of the running task itself; None where Python gives no more than a copy."""
    task = asyncio.current_task()
    get_context = getattr(task, "get_context", None)  # from Python 3.12 on
    return None if get_context is None else get_context()


async def until_ended(task: asyncio.Task[Any]) -> None:
    """Wait until a task of this loop has ended, however it does; what comes of it is not raised.

    Cancelling whoever waits leaves the task running. `asyncio.wait` does the same for any number,
    and takes longer.
    """
    if task.done():
        return
    waiter: asyncio.Future[None] = task.get_loop().create_future()

    def wake(_task: object) -> None:
        if not waiter.done():
            waiter.set_result(None)

    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        task.remove_done_callback(wake)


def begin_guard(guard: AsyncGenerator[None, None]) -> None:
    """Run a generator to its ``yield``, where it waits for the end of the running loop.

    An event loop closes the generators left in it before it ends, while it still runs.
    """
    with suppress(StopIteration):
        anext(guard).__await__().send(None)


def end_guard(guard: AsyncGenerator[None, None]) -> None:
    """End a guard that has nothing left to wait for, without its loop.

    Dropped as it is, it would be left for its loop to end, and Python 3.14 warns when that loop
    never runs again.
    """
    with suppress(StopIteration, RuntimeError):  # its loop has ended in the middle of it
        guard.aclose().send(None)


def check_loop(begun_in: asyncio.AbstractEventLoop | None, what: str) -> None:
    """Refuse to read what runs in another event loop: it could neither wait there nor be woken.

    Args:
        begun_in: The loop in which it was begun; None before that.
        what: What is read, for the message.

    Raises:
        ConfigurationError: The running loop is another one.
    """
    if begun_in is None or begun_in is asyncio.get_running_loop():
        return
    where = "an event loop that has ended" if begun_in.is_closed() else "another event loop"
    raise ConfigurationError(
        f"{what} was begun in {where}, and can be read there alone: read it to its end within one "
        "asyncio.run(), which makes a loop of its own each time, or use SyncSteerLLMClient"
    )
