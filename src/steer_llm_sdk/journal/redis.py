"""A journal in Redis or Valkey: `RedisStore`, for processes on any machines.

Keys (in braces: what decides on a Cluster's slot, so that those of a stream are together):

=====================  ===========================================================================
``{stream}:events``    a stream of Redis: the entry of an event has the identifier ``sequence+1``;
                       ``e`` is the event, ``z`` says that it is the last
``{stream}:meta``      a hash: the key and the digest of the request, ``next``, ``ended``, and
                       ``freed`` where the key may begin another one
``{stream}:alive``     is there as long as the producer is heard of
``{stream}:control``   a stream of Redis: ``word`` is the reason to stop
``key:…``              which claim holds a key
``wake:…``             what ends the wait of one reader, when it is to wait for other streams
=====================  ===========================================================================

Events are written by a script, which writes all or none: none where others stand in their place.
What was given up and asked again may still come to the server, and late: whatever is changed there
is changed so that a second time, later, changes nothing.
One ``XREAD BLOCK`` waits for all streams of a process; on a Cluster, where a command has one slot,
there is one for each stream.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

from steer_llm_sdk.journal.codec import decode_event, encode_event
from steer_llm_sdk.journal.reaching import client_of, close_client, is_cluster, limits, telling
from steer_llm_sdk.journal.store import (
    PAGE_EVENTS,
    Append,
    Claim,
    Keeping,
    News,
    Page,
    StoreUnreachableError,
    trimmed,
    unknown_stream,
)
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.tasks import start_task

# How many connections are used at once, beside that of the reader.
_MOST_CONNECTIONS = 8

# Between two XREADs, for each stream that is read, in seconds: that an event of one of a thousand
# streams does not make the server look at them all at once again.
_PAUSE_PER_STREAM = 2e-6

# Begins a stream that has not begun, and notes that its producer lives.
_BEGIN = """
if redis.call('HSETNX', KEYS[1], 'next', 0) == 1 then
    redis.call('HSET', KEYS[1], 'request', ARGV[1], 'key', ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], 1, 'PX', ARGV[4])
return 1
"""

_APPEND = """
local first, ends, kept = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[4]
local count = #ARGV - 5
local known = redis.call('HMGET', KEYS[2], 'next', 'ended')
if not known[1] then return 0 end
local following = tonumber(known[1])
if known[2] or following ~= first then
    if following ~= first + count or (known[2] and true or false) ~= ends then return 0 end
    local there = redis.call('XRANGE', KEYS[1], string.format('%d-0', first + 1), '+')
    for at = 1, count do
        if not there[at] or there[at][2][2] ~= ARGV[5 + at] then return 0 end
    end
    return 1
end
for at = 1, count do
    local id = string.format('%d-0', first + at)
    if ends and at == count then
        redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], id, 'e', ARGV[5 + at], 'z', '1')
    else
        redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], id, 'e', ARGV[5 + at])
    end
end
redis.call('HSET', KEYS[2], 'next', first + count)
if ends then
    redis.call('HSET', KEYS[2], 'ended', '1')
    if ARGV[5] == '1' then redis.call('HSET', KEYS[2], 'freed', '1') end
    redis.call('DEL', KEYS[3])
    if count == 0 then redis.call('XADD', KEYS[1], string.format('%d-0', first + 1), 'z', '1') end
end
redis.call('PEXPIRE', KEYS[1], kept)
redis.call('PEXPIRE', KEYS[2], kept)
return 1
"""

# Says a word to whoever waits for it.
_TELL = """
redis.call('XADD', KEYS[1], 'MAXLEN', 1, '*', 'word', ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

# Does with a key what is asked, if it is held by this claim.
_IF_HELD = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

# The entries of a stream of Redis: each its identifier and its fields.
_Entries: TypeAlias = Sequence[tuple[Any, Mapping[Any, Any]]]


class RedisStore:
    """What one event loop has of the server.

    Args:
        connect: Makes a client of ``redis.asyncio``, for the running loop.
        prefix: Stands before all keys.
        keeping: How long and how much is kept.
    """

    write_pause = 0.0  # a round trip is one

    def __init__(self, connect: Callable[[], Any], prefix: str, keeping: Keeping) -> None:
        self._redis = client_of(connect)
        self._prefix = prefix
        self._keeping = keeping
        self._connections = asyncio.Semaphore(_MOST_CONNECTIONS)
        self._under_way: set[asyncio.Timeout] = set()
        self._is_closed = False
        self._beginning = asyncio.Lock()
        self._is_new = True
        self._kept_ms = int(1000 * (keeping.ttl + keeping.lost_after))
        self._ttl_ms = int(1000 * keeping.ttl)
        self._lost_ms = int(1000 * keeping.lost_after)
        self._claims: dict[str, Claim] = {}  # those with keys, whose producers are here
        self._reader = _Reader(connect, f"{prefix}wake:{uuid.uuid4().hex}")

    # --- writing ------------------------------------------------------------------------------

    async def claim(self, claim: Claim) -> Claim:
        """Begin a stream, unless its key is held: see `Store`."""
        meta, alive = (self._key(claim.stream_id, kind) for kind in ("meta", "alive"))
        known = (claim.request, claim.key or "", self._kept_ms, self._lost_ms)
        async with self._reaching():
            # Before the key, so that whoever finds the key finds the stream.
            await self._redis.eval(_BEGIN, 2, meta, alive, *known)
            holder = await self._hold(claim)
            if holder != claim:
                await self._together([("DEL", meta), ("DEL", alive)])
        return holder

    async def _hold(self, claim: Claim) -> Claim:
        if claim.key is None:
            return claim
        name = self._index(claim.key)
        while True:
            if await self._redis.set(name, _packed(claim), nx=True, px=self._kept_ms):
                self._claims[claim.stream_id] = claim
                return claim
            if (held := await self._redis.get(name)) is not None:  # it may have expired just now
                holder = _unpacked(held, claim.key)
                if holder == claim:  # as it was asked before, and the answer was lost
                    self._claims[claim.stream_id] = claim
                    return holder
                if not await self._redis.hexists(self._key(holder.stream_id, "meta"), "freed"):
                    return holder
                # Whoever wrote that end did not come to free the key, or it was taken anew late.
                await self._if_held(holder, 0)

    async def release(self, claim: Claim) -> None:
        """Free a key: see `Store`."""
        async with self._reaching():
            await self._if_held(claim, 0)

    async def _if_held(self, claim: Claim, expires_ms: int) -> None:
        if claim.key is not None:
            name = self._index(claim.key)
            await self._redis.eval(_IF_HELD, 1, name, _packed(claim), expires_ms)

    async def write(self, appends: Sequence[Append]) -> list[bool]:
        """Write events: see `Store`."""
        calls = [self._append_call(append) for append in appends]
        async with self._reaching():
            written = [bool(one) for one in await self._together(calls)]
            for append, is_written in zip(appends, written, strict=True):
                if append.ends and is_written:
                    await self._note_end(append)
        return written

    def _append_call(self, append: Append) -> tuple[Any, ...]:
        stream_id = append.stream_id
        return (
            "EVAL",
            _APPEND,
            3,
            *(self._key(stream_id, kind) for kind in ("events", "meta", "alive")),
            append.first,
            int(append.ends),
            self._keeping.max_events,
            self._ttl_ms if append.ends else self._kept_ms,
            int(append.frees_key),
            *map(encode_event, append.events),
        )

    async def _note_end(self, append: Append) -> None:
        """The key of a stream ends with it, or begins another one."""
        stream_id = append.stream_id
        claim = self._claims.pop(stream_id, None)
        if claim is None:  # its producer was elsewhere
            key, request = await self._redis.hmget(self._key(stream_id, "meta"), ["key", "request"])
            claim = Claim(stream_id, _text(key), _text(request))
        await self._if_held(claim, 0 if append.frees_key else self._ttl_ms)

    async def beat(self, stream_ids: Collection[str]) -> None:
        """Note that producers live: see `Store`."""
        calls: list[tuple[Any, ...]] = []
        for stream_id in stream_ids:
            kept = [self._key(stream_id, kind) for kind in ("events", "meta", "control")]
            calls += [("PEXPIRE", name, self._kept_ms) for name in kept]
            calls.append(("SET", self._key(stream_id, "alive"), 1, "PX", self._lost_ms))
            if (claim := self._claims.get(stream_id)) is not None and claim.key is not None:
                calls.append(("PEXPIRE", self._index(claim.key), self._kept_ms))
        async with self._reaching():
            await self._together(calls)

    async def ask_to_stop(self, stream_id: str, reason: str) -> bool:
        """Ask the producer of a stream to stop: see `Store`."""
        meta, control = self._key(stream_id, "meta"), self._key(stream_id, "control")
        async with self._reaching():
            following, ended = await self._redis.hmget(meta, ["next", "ended"])
            if following is None or ended is not None:
                return False
            await self._redis.eval(_TELL, 1, control, reason, self._kept_ms)
        return True

    # --- reading ------------------------------------------------------------------------------

    async def silent(self, followed: Mapping[str, int]) -> list[str]:
        """Return those whose producers are lost: see `Store`.

        After a failover there may be less than was read: what comes then, their ends too, comes
        where their followers are already.
        """
        calls: list[tuple[Any, ...]] = []
        for stream_id in followed:
            calls.append(("HMGET", self._key(stream_id, "meta"), "next", "ended"))
            calls.append(("EXISTS", self._key(stream_id, "alive")))
        async with self._reaching():
            found = await self._together(calls)
        states = zip(followed.items(), found[::2], found[1::2], strict=True)
        return [
            stream_id
            for (stream_id, next_to_come), (following, ended), is_alive in states
            if following is None
            or int(following) < next_to_come
            or (ended is None and not is_alive)
        ]

    async def read(self, stream_id: str, after: int) -> Page:
        """Read what is there after a sequence: see `Store`."""
        meta, events = self._key(stream_id, "meta"), self._key(stream_id, "events")
        async with self._reaching():
            # What is written between the two is in the second alone, and is not the end by then.
            (following, ended), entries = await self._together(
                [
                    ("HMGET", meta, "next", "ended"),
                    ("XRANGE", events, f"{after + 2}-0", "+", "COUNT", PAGE_EVENTS),
                ]
            )
        if following is None:
            raise unknown_stream(stream_id)
        page = _page(after, entries) if entries else Page(int(following), ())
        if page.first > after + 1:
            raise trimmed(stream_id, page.first, after)
        is_last = ended is not None and int(following) <= page.first + len(page.events)
        return Page(page.first, page.events, is_last or page.is_last)

    async def news(self, followed: Mapping[str, int], produced: Collection[str]) -> News:
        """Wait until something has come: see `Store`."""
        asked = {self._key(id, "events"): f"{after + 1}-0" for id, after in followed.items()}  # noqa: A001
        asked |= dict.fromkeys((self._key(id, "control") for id in produced), "0-0")  # noqa: A001
        self._reader.begin()
        try:
            await asyncio.sleep(len(asked) * _PAUSE_PER_STREAM)
            async with telling():
                found = await self._reader.read(asked)
        finally:
            self._reader.end()
        news = News()
        for stream_id, after in followed.items():
            if entries := found.get(self._key(stream_id, "events")):
                news.pages[stream_id] = _page(after, entries)
        for stream_id in produced:
            if entries := found.get(self._key(stream_id, "control")):
                news.stops[stream_id] = _text(next(iter(entries[-1][1].values())))
        return news

    def interrupt(self) -> None:
        """Have `news` return now: see `Store`."""
        self._reader.interrupt()

    async def close(self) -> None:
        """End what is under way, and close the connections."""
        self._is_closed = True
        await self._reader.close()
        now = asyncio.get_running_loop().time()
        for limit in self._under_way:
            if not limit.expired():
                limit.reschedule(now)
        # A client that is closed connects again for whoever uses it: so all have to be done.
        for _ in range(_MOST_CONNECTIONS):
            await self._connections.acquire()
        for _ in range(_MOST_CONNECTIONS):
            self._connections.release()
        await close_client(self._redis)

    def give_up(self) -> None:
        """Drop the connections: see `Store`."""

    # --- what both need -----------------------------------------------------------------------

    @asynccontextmanager
    async def _reaching(self) -> AsyncIterator[None]:
        """Hold one of the few connections, and tell what goes wrong.

        A network that passes nothing on closes no connection either, and a caller's own client may
        have no limit: the time is limited here.
        """
        async with self._connections, telling():
            if self._is_closed:
                raise StoreUnreachableError("the journal in Redis: it was closed")
            async with asyncio.timeout(limits.seconds) as limit:
                self._under_way.add(limit)
                try:
                    if self._is_new:
                        await self._know_cluster()
                    yield
                finally:
                    self._under_way.discard(limit)

    async def _know_cluster(self) -> None:
        """Learn a Cluster's slots once, before many commands would at the same time."""
        async with self._beginning:
            if self._is_new and is_cluster(self._redis):
                await self._redis.initialize()
            self._is_new = False

    def _key(self, stream_id: str, kind: str) -> str:
        return f"{self._prefix}{{{stream_id}}}:{kind}"

    def _index(self, key: str) -> str:
        return f"{self._prefix}key:{key}"

    async def _together(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Ask all of these, in one round trip where there is one server."""
        if is_cluster(self._redis):
            return await asyncio.gather(*(self._redis.execute_command(*call) for call in calls))
        async with self._redis.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.execute_command(*call)
            answers: list[Any] = await pipeline.execute()
        return answers


class _Reader:
    """Waits for entries of many streams at once, on a connection of its own.

    Args:
        connect: Makes a client.
        wake: The key that ends a wait.
    """

    def __init__(self, connect: Callable[[], Any], wake: str) -> None:
        self._redis = client_of(connect)
        self._wake = wake
        self._woken = "0-0"
        self._interrupted = asyncio.Event()
        self._is_reading = False
        self._waking: set[asyncio.Task[None]] = set()
        self._waits: dict[tuple[str, str], asyncio.Task[dict[str, _Entries]]] = {}

    def begin(self) -> None:
        """What is to be read is known: from now on an interruption tells that it has changed."""
        self._interrupted.clear()
        self._is_reading = True

    def end(self) -> None:
        """Nobody reads: there is nothing to interrupt."""
        self._is_reading = False

    async def read(self, asked: Mapping[str, str]) -> dict[str, _Entries]:
        """Wait for entries after these identifiers; there may be none when it returns."""
        if self._interrupted.is_set():
            return {}
        if is_cluster(self._redis):
            async with asyncio.timeout(limits.seconds):
                await self._redis.initialize()
            return await self._read_each(asked)
        found = await self._read_all({**asked, self._wake: self._woken})
        if (woken := found.pop(self._wake, None)) is not None:
            self._woken = _text(woken[-1][0])
        return found

    async def _read_all(self, asked: Mapping[str, str]) -> dict[str, _Entries]:
        async with asyncio.timeout(limits.block_seconds):
            found = await self._redis.xread(dict(asked), count=PAGE_EVENTS, block=limits.block_ms)
        return _by_stream(found)

    async def _read_each(self, asked: Mapping[str, str]) -> dict[str, _Entries]:
        """On a Cluster: one command for each stream, kept from one call to the next."""
        for old in self._waits.keys() - asked.items():
            self._waits.pop(old).cancel()
        for new in asked.items() - self._waits.keys():
            self._waits[new] = asyncio.ensure_future(self._read_all(dict([new])))
        interrupted = asyncio.ensure_future(self._interrupted.wait())
        try:
            await asyncio.wait((*self._waits.values(), interrupted), return_when="FIRST_COMPLETED")
        finally:
            interrupted.cancel()
        done = [one for one, task in self._waits.items() if task.done()]
        results = [self._waits.pop(one) for one in done]
        return {name: entries for task in results for name, entries in task.result().items()}

    def interrupt(self) -> None:
        """End the wait, if there is one."""
        is_new = not self._interrupted.is_set()
        self._interrupted.set()
        if is_new and self._is_reading and not is_cluster(self._redis):
            waking = start_task(self._write_wake())
            self._waking.add(waking)
            waking.add_done_callback(self._waking.discard)

    async def _write_wake(self) -> None:
        # What cannot be reached is not waited for either: the read fails by itself.
        with suppress(Exception):
            async with asyncio.timeout(limits.seconds):
                await self._redis.eval(_TELL, 1, self._wake, "wake", 10 * limits.block_ms)

    async def close(self) -> None:
        """Close the connections."""
        tasks = (*self._waking, *self._waits.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await close_client(self._redis)


def _by_stream(found: Any) -> dict[str, _Entries]:
    """The answer of XREAD, which is a list in one protocol of Redis and a mapping in the other."""
    if isinstance(found, Mapping):
        return {_text(name): entries[0] for name, entries in found.items()}
    return {_text(name): entries for name, entries in found or ()}


def _page(after: int, entries: _Entries) -> Page:
    """What a stream of Redis gave."""
    events: list[StreamEvent] = []
    is_last = False
    for _, fields in entries:
        named = {_text(name): value for name, value in fields.items()}
        is_last = is_last or "z" in named
        if "e" in named:
            events.append(decode_event(named["e"]))
    first = int(_text(entries[0][0]).partition("-")[0]) - 1 if entries else after + 1
    return Page(first, events, is_last)


def _packed(claim: Claim) -> str:
    return json.dumps([claim.stream_id, claim.request])


def _unpacked(packed: Any, key: str) -> Claim:
    stream_id, request = json.loads(packed)
    return Claim(stream_id, key, request)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")
