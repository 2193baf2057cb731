"""What was given up and asked again may come to Redis after all, and late: it changes nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from steer_llm_sdk import RateLimitError
from steer_llm_sdk.journal import RedisJournal
from steer_llm_sdk.journal.desk import Desk
from steer_llm_sdk.journal.store import Append, Claim
from steer_llm_sdk.models.events import StreamCompleteEvent, StreamDeltaEvent, StreamErrorEvent
from support.cut_proxy import CutProxy
from support.journals import STREAM, said
from support.valkey import Valkey

CLAIM = Claim(STREAM, "k", "request")
OTHER = Claim("stream-2", "k", "request")
WORDS = [StreamDeltaEvent(delta=f"{number} ", sequence=number) for number in range(4)]

ENDS = {
    "well": Append(STREAM, 4, [StreamCompleteEvent(sequence=4, finish_reason="stop")], True),
    "badly": Append(STREAM, 4, [StreamErrorEvent(sequence=4, error=RateLimitError())], True, True),
}

# What becomes of a generation, in order, before its end.
STEPS: dict[str, Callable[[Desk], Awaitable[object]]] = {
    "claim": lambda desk: desk.claim(CLAIM),
    "words": lambda desk: desk.write(Append(STREAM, 0, WORDS[:2])),
    "beat": lambda desk: desk.ask(lambda: desk._store.beat([STREAM])),
    "stop": lambda desk: desk.ask_to_stop(STREAM, "enough"),
    "more words": lambda desk: desk.write(Append(STREAM, 2, WORDS[2:])),
    "end": lambda desk: desk.write(ENDS["well"]),
}


async def send_again(port: int, commands: bytes) -> None:
    """Send these commands once more, and wait until all are done."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(commands + b"*2\r\n$4\r\nECHO\r\n$11\r\nall-is-done\r\n")
    await reader.readuntil(b"all-is-done")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize(("late", "until"), [*itertools.combinations_with_replacement(STEPS, 2)])
async def test_what_comes_a_second_time_and_late_changes_nothing(
    redis_url: str, redis_server: Valkey, late: str, until: str, how: str
) -> None:
    commands = b""
    steps = STEPS | {"end": lambda desk: desk.write(ENDS[how])}
    async with (
        CutProxy(redis_server.port) as proxy,
        RedisJournal(f"redis://127.0.0.1:{proxy.port}") as journal,
    ):
        for name, step in steps.items():
            proxy.sent.clear()
            assert await step(journal.here()) is not False, name
            if name == late:
                commands = bytes(proxy.sent)
            if name == until:
                await send_again(redis_server.port, commands)

    async with RedisJournal(redis_url) as journal:
        desk = journal.here()
        page = await desk.read(STREAM, -1)
        silent = await desk.ask(lambda: desk._store.silent({STREAM: 0}))
        holder = await desk.claim(OTHER)

    assert said([*page.events]) == "0 1 2 3 "
    assert (len(page.events), page.is_last) == (5, True)
    assert silent == []
    assert holder == (OTHER if how == "badly" else CLAIM)
    assert all(redis_server.ask("PTTL", key) > 0 for key in redis_server.ask("KEYS", "*"))
