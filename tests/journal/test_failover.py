"""A server of Redis that has less than was written: it was a copy, and took over."""

from __future__ import annotations

import asyncio

import pytest

from steer_llm_sdk.errors import JournalGapError
from steer_llm_sdk.journal import RedisJournal
from support.journals import QUICK, STREAM, Producing, read, said, until
from support.valkey import Valkey

EVENTS, META, ALIVE = (f"steer:{{{STREAM}}}:{kind}" for kind in ("events", "meta", "alive"))


class Copy:
    """What a server has now, to be all that it has later."""

    def __init__(self, server: Valkey) -> None:
        self._server = server
        self._held = {name: server.ask("DUMP", name) for name in (EVENTS, META)}

    def take_over(self) -> None:
        """Have the server forget what came after; its producer is not heard of there."""
        for name, held in self._held.items():
            self._server.ask("RESTORE", name, 60_000, held, "REPLACE")
        self._server.ask("DEL", ALIVE)


@pytest.mark.parametrize("has_ended", [False, True])
async def test_who_has_read_what_the_server_has_lost_waits_no_longer(
    redis_url: str, redis_server: Valkey, *, has_ended: bool
) -> None:
    async with (
        RedisJournal(redis_url, heartbeat=60) as journal,
        RedisJournal(redis_url, heartbeat=QUICK) as other,
        Producing(journal) as producing,
    ):
        producing.source.say("Hel")
        await until(lambda: producing.written == 2)
        copy = Copy(redis_server)
        producing.source.say("l", "o")
        following = other.attach(STREAM)
        seen = [await anext(following) for _ in range(4)]
        copy.take_over()
        if has_ended:  # somebody who had read less has written the end
            async with RedisJournal(redis_url, heartbeat=QUICK) as third:
                events = await asyncio.wait_for(read(third), 10)
            assert said(events) == "Hel"
            assert [event.sequence for event in events] == [0, 1, 2]

        with pytest.raises(JournalGapError, match=r"up to event 3, .* with event [23] now: .*lost"):
            await asyncio.wait_for(anext(following), 10)
    assert said(seen) == "Hello"
