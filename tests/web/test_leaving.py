"""Who ends a response, and what becomes of its tasks: by ASGI itself."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from starlette.requests import Request

from steer_llm_sdk.web import respond
from support.journals import Fed, until

SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}


class Exchange:
    """One request: what it has sent, and when its browser goes away."""

    def __init__(self, fails_after: int = 1000) -> None:
        self.source = Fed()
        self.sent: list[MutableMapping[str, Any]] = []
        self.writers: set[asyncio.Task[Any] | None] = set()
        self.gone = asyncio.Event()
        self._fails_after = fails_after
        self.task = asyncio.create_task(self._answer())

    async def _answer(self) -> int:
        await respond(Request(SCOPE), self.source)(SCOPE, self._receive, self._send)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if len(self.sent) == self._fails_after:
            raise ConnectionResetError("nobody reads")
        self.sent.append(message)
        self.writers.add(asyncio.current_task())


async def test_a_response_is_written_by_one_task_that_ends_with_it() -> None:
    exchange = Exchange()
    exchange.source.say("Hello")
    exchange.source.complete()

    assert await exchange.task == 0
    assert len(exchange.writers) == 1
    assert exchange.sent[-1]["more_body"] is False
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_browser_that_goes_away_leaves_the_task_as_it_was() -> None:
    exchange = Exchange()
    exchange.source.say("Hello")
    await until(lambda: len(exchange.sent) >= 2)
    exchange.gone.set()

    assert await exchange.task == 0
    assert exchange.source.was_left
    assert exchange.sent[-1]["more_body"] is True
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("is_gone", [False, True])
async def test_whoever_cancels_the_request_is_obeyed(*, is_gone: bool) -> None:
    exchange = Exchange()
    exchange.source.say("Hello")
    await until(lambda: len(exchange.sent) >= 2)
    if is_gone:
        exchange.gone.set()
    exchange.task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await exchange.task
    assert exchange.source.was_left
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_response_is_not_woken_through_the_coroutines_of_a_framework() -> None:
    """Each of them takes time for each chunk: what writes is a task that knows none of them."""
    exchange = Exchange()
    exchange.source.say("Hello")
    await until(lambda: len(exchange.sent) >= 2)

    (writer,) = exchange.writers
    assert writer is not None
    assert writer is not exchange.task
    assert writer.get_coro().__name__ == "_write"  # type: ignore[union-attr]

    exchange.gone.set()
    await exchange.task


async def test_a_server_that_tells_that_nobody_reads_ends_the_response() -> None:
    exchange = Exchange(fails_after=2)
    exchange.source.say("Hello")
    await until(lambda: len(exchange.sent) == 2)
    exchange.source.say(" world")

    assert await exchange.task == 0
    assert exchange.source.was_left
