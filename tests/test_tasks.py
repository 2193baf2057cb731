"""Tasks of the library's own begin later, and see the context they are told to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from steer_llm_sdk.tasks import start_sharing_task, start_task

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
