"""A process of its own that produces into a journal, or follows one: for tests that kill it.

Run as a program: ``python -m support.journal_process produce|follow PLACE STREAM …``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steer_llm_sdk.journal import Journal, RedisJournal, SQLiteJournal
from support.journals import Producing

ROOT = Path(__file__).parent.parent.parent
_PATH = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])


def open_journal(place: str, **options: Any) -> Journal:
    """A journal of the place that a word names: a URL, or the path of a file."""
    if "://" in place:
        return RedisJournal(place, **options)
    return SQLiteJournal(place, **options)


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run this program; killed when the block is left."""
    running = subprocess.Popen(
        [sys.executable, "-m", "support.journal_process", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": _PATH},
    )
    try:
        yield running
    finally:
        kill(running)


def kill(running: subprocess.Popen[str]) -> None:
    """``kill -9``, and wait until it is gone."""
    running.send_signal(signal.SIGKILL)
    running.communicate()


def read_line(running: subprocess.Popen[str]) -> str:
    """Wait for a line of its output."""
    assert running.stdout is not None
    return running.stdout.readline().strip()


async def produce(place: str, stream_id: str, count: int, heartbeat: float) -> None:
    """Say the numbers up to `count` and print each when it is written; then live on."""
    journal = open_journal(place, heartbeat=heartbeat)
    async with Producing(journal, stream_id) as producing:
        following = journal.attach(stream_id)
        for number in range(count):
            producing.source.say(f"{number} ")
            if number == 0:
                await anext(following)
            await anext(following)
            print(number, flush=True)
        if count == 0:
            producing.source.say()
        await producing.finished()


async def follow(place: str, stream_id: str, after: int) -> None:
    """Print the sequence of each event."""
    journal = open_journal(place)
    async for event in journal.attach(stream_id, after):
        print(event.sequence, flush=True)
    await journal.close()


if __name__ == "__main__":
    kind, where, which, number, *rest = sys.argv[1:]
    if kind == "produce":
        asyncio.run(produce(where, which, int(number), float(rest[0])))
    else:
        asyncio.run(follow(where, which, int(number)))
