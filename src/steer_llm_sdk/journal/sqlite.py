"""A journal in a file of SQLite: `SQLiteStore`, for several processes of one machine.

One thread has the connection, so that the event loop never waits for the disk. What others have
written is found by ``PRAGMA data_version``, looked at every 20 ms, or every 100 where they can only
have asked for a stop: it changes when another connection has committed. Who writes has looked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from steer_llm_sdk.journal.sqlite_file import File
from steer_llm_sdk.journal.sqlite_thread import FileThread
from steer_llm_sdk.journal.store import Append, Claim, Keeping, News, Page

# How often the file is looked at, in seconds: for events, and where only a stop may have come.
_LOOK = 0.02
_LOOK_FOR_STOPS = 0.1

# The pause between two transactions, in seconds: each costs as much as writing many events. With
# what they take it is less than a fiftieth of a second: so one of the events that come as often is
# written before the next one comes.
_WRITE_PAUSE = 0.016


class SQLiteStore:
    """What one event loop has of the file.

    Args:
        path: The file.
        keeping: How long and how much is kept.
    """

    write_pause = _WRITE_PAUSE

    def __init__(self, path: str, keeping: Keeping) -> None:
        self._file = File(path, keeping)
        self._thread = FileThread()  # calls are few and short; one at a time keeps their order
        self._run = self._thread.run
        self._woken: asyncio.Event = asyncio.Event()
        self._is_interrupted = False
        self._looked_at = 0.0  # by the loop's clock
        self._produced: frozenset[str] | None = None  # whose stops `news` was asked for last

    async def claim(self, claim: Claim) -> Claim:
        """Begin a stream, unless its key is held: see `Store`."""
        return await self._run(self._file.claim, claim)

    async def release(self, claim: Claim) -> None:
        """Free a key: see `Store`."""
        await self._run(self._file.release, claim)

    async def write(self, appends: Sequence[Append]) -> list[bool]:
        """Write events in one transaction: see `Store`."""
        prepared = self._file.prepare(appends)
        try:
            written = await self._run(self._file.write, prepared)
        except BaseException:  # perhaps it was not even begun
            self._file.doubt()
            raise
        self._looked_at = asyncio.get_running_loop().time()
        if self._file.is_stirred:
            self._woken.set()
        return written

    async def beat(self, stream_ids: Collection[str]) -> None:
        """Note that producers live: see `Store`."""
        await self._run(self._file.beat, stream_ids)

    async def silent(self, stream_ids: Collection[str]) -> list[str]:
        """Return those whose producers are lost: see `Store`."""
        return await self._run(self._file.silent, stream_ids)

    async def read(self, stream_id: str, after: int) -> Page:
        """Read what is there after a sequence: see `Store`."""
        return await self._run(self._file.read, stream_id, after)

    async def news(self, followed: Mapping[str, int], produced: Collection[str]) -> News:
        """Wait until something has come: see `Store`."""
        self._is_interrupted = False
        found = self._find_stops(produced)
        if self._produced is None or not self._file.follows(followed):
            found = await self._run(self._file.news, followed, produced)
        self._produced = frozenset(produced)
        pause = _LOOK if followed else _LOOK_FOR_STOPS
        while not found and not self._is_interrupted:
            if self._file.is_stirred or await self._look(pause):
                found = await self._run(self._file.news, followed, produced)
        return found

    def _find_stops(self, produced: Collection[str]) -> News:
        """What was known of streams before they were produced here: the file need not be asked."""
        stops, asked = self._file.stops, self._produced or ()
        return News(
            stops={id: stops[id] for id in produced if id in stops and id not in asked}  # noqa: A001
        )

    async def _look(self, pause: float) -> bool:
        """Whether others have written: looked at when it is time, or known from a write."""
        loop = asyncio.get_running_loop()
        self._woken.clear()
        left = self._looked_at + pause - loop.time()
        if left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._woken.wait()
        elif await self._run(self._file.has_changed):
            return True
        else:
            self._looked_at = loop.time()
        return self._file.is_stirred

    def interrupt(self) -> None:
        """Have `news` return now: see `Store`."""
        self._is_interrupted = True
        self._woken.set()

    async def ask_to_stop(self, stream_id: str, reason: str) -> bool:
        """Ask the producer of a stream to stop: see `Store`."""
        return await self._run(self._file.ask_to_stop, stream_id, reason)

    async def close(self) -> None:
        """Close the file, and end the thread."""
        self.interrupt()
        await self._run(self._file.close)
        self._thread.end()

    def give_up(self) -> None:
        """Close the file: see `Store`."""
        self._thread.end(self._file.close)
