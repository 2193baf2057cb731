"""A journal that is closed while something is under way: all are told, and nothing stays open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError
from steer_llm_sdk.journal import RedisJournal
from steer_llm_sdk.journal.store import Append, Claim
from steer_llm_sdk.models.events import StreamDeltaEvent
from support.journals import STREAM, Place, Producing
from support.valkey import Valkey

TOLD = (ConfigurationError, "the journal was closed in this event loop: attach anew")


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 10, 30])
async def test_who_writes_while_a_journal_is_closed_is_told_what_became_of_it(
    place: Place, turns: int
) -> None:
    journal = place.open()
    desk = journal.here()
    await desk.claim(Claim(STREAM, None, ""))
    append = Append(STREAM, 0, [StreamDeltaEvent(delta="Hello")])
    writing = asyncio.ensure_future(desk.write(append))
    for _ in range(turns):
        await asyncio.sleep(0)

    await journal.close()

    async with asyncio.timeout(10):
        (told,) = await asyncio.gather(writing, return_exceptions=True)
    assert told is True or (type(told), str(told)) == TOLD


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20, 100])
async def test_a_journal_that_is_closed_ends_what_is_under_way_and_keeps_no_connection(
    redis_url: str, redis_server: Valkey, turns: int
) -> None:
    async with RedisJournal(redis_url) as elsewhere, Producing(elsewhere, key="k") as producing:
        producing.source.say("Hello")
        journal = RedisJournal(f"{redis_url}?client_name=closed")
        following = journal.attach(STREAM)
        await anext(following)
        desk = journal.here()
        asked: list[Callable[[], Any]] = [
            lambda: desk.write(Append(STREAM, 9, [])),
            lambda: desk.claim(Claim("other", "k", "request")),
            lambda: desk.ask_to_stop("nobody", "enough"),
            *(lambda after=after: desk.read(STREAM, after) for after in range(1, 20)),
        ]
        await asyncio.gather(*(ask() for ask in asked))  # all are connected
        with redis_server.held_up():
            waiting = [asyncio.ensure_future(ask()) for ask in asked]
            for _ in range(turns):
                await asyncio.sleep(0)
            async with asyncio.timeout(4):  # nothing is waited for until its own limit
                await journal.close()
                told = await asyncio.gather(*waiting, return_exceptions=True)

        connected = redis_server.clients()

    assert {(type(one), str(one)) for one in told} == {TOLD}
    assert [client for client in connected if " name=closed " in client] == []
