"""What a client has in each event loop: connections, streams and tasks.

A socket belongs to the loop that opened it, and to its process. So all that a client has in a loop
is one object, which is made when the loop is first used, and given up as a whole: by `close`, when
the loop has been closed, and when the client is collected or the process ends. A child process
begins with none: its parent's objects are neither used nor closed there, as they share the parent's
sockets.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol

from steer_llm_sdk.checks import having
from steer_llm_sdk.engine.admission import Admission
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.tasks import begin_guard, end_guard, start_sharing_task
from steer_llm_sdk.transport.base import Transport

_log = logging.getLogger("steer_llm_sdk")

# How many generations may run apart from their callers: no bound that anybody meets by intention.
DEFAULT_MAX_GENERATIONS = 1000

_TRANSPORT = having(
    "a transport (methods open and close), such as ScriptedProvider(…)", "open", "close"
).or_none()

CLOSED = "the client was closed while the stream ran"
_LOOP_ENDED = "the event loop ended while the stream ran"

# How long the end of an event loop waits for what is still to be delivered, in seconds.
_LOOP_GRACE = 2.0


class Cancellable(Protocol):
    """A stream."""

    def cancel(self, reason: str) -> None:
        """End it."""
        ...


class Leavable(Cancellable, Protocol):
    """A stream that a consumer may leave behind in a loop that ends."""

    def leave_behind(self, reason: str) -> None:
        """End it; what its consumer has not taken is delivered to whoever else is told of it."""
        ...


class Generates(Cancellable, Protocol):
    """A generation that was begun apart from its caller."""

    async def run(self) -> None:
        """Run it to its end. Raises nothing."""
        ...


class Connections(Transport, Protocol):
    """A transport that can be given up without its loop."""

    def give_up(self) -> None:
        """Close what can be closed without the event loop, which does not run any more."""
        ...


class Pool:
    """What a client has in one event loop. Used in the thread of that loop alone.

    Args:
        transport: What sends requests; None for connections of the loop's own.
        stats: Where undelivered streams are counted.
        max_generations: How many generations may run apart from their callers.
        max_streams: How many streams may run at once; None for no limit.

    Attributes:
        admission: Lets streams begin when it is their turn.
        streams: The streams that were begun in the loop.
        tasks: What was left to be done, mostly the last events of streams that were cancelled.
        generations: What was begun apart from its caller, and the tasks that run it.
    """

    def __init__(
        self,
        transport: Transport | None,
        stats: ClientStats,
        max_generations: int,
        max_streams: int | None = None,
    ) -> None:
        self.admission = Admission(max_streams)
        self.streams: weakref.WeakSet[Leavable] = weakref.WeakSet()
        self._transport = transport
        self._stats = stats
        self._connections: Connections | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.generations: dict[Generates, asyncio.Task[None]] = {}
        self._max_generations = max_generations
        self._beginning = 0
        self._guard: AsyncGenerator[None, None] | None = None

    def begin(self) -> None:
        """From now on the end of the running loop is the end of what runs in it."""
        self._guard = _guard_pool(weakref.ref(self))
        begin_guard(self._guard)

    def ready_transport(self) -> Transport | None:
        """What sends requests, where that is loaded already."""
        return self._connections if self._transport is None else self._transport

    async def transport(self) -> Transport:
        """What sends requests."""
        if (ready := self.ready_transport()) is not None:
            return ready
        make = await _load_connections()
        if self._connections is None:  # another stream may have come first
            self._connections = make()
        return self._connections

    def keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` in a task that `close` waits for."""
        task = start_sharing_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    @contextmanager
    def room(self) -> Iterator[None]:
        """Hold the place of one more generation, until it runs.

        Raises:
            ConfigurationError: There is no more.
        """
        if len(self.generations) + self._beginning >= self._max_generations:
            raise ConfigurationError(
                f"start: {self._max_generations} generations run already (max_generations)",
                is_retryable=True,
            )
        self._beginning += 1
        try:
            yield
        finally:
            self._beginning -= 1

    def generate(self, generation: Generates) -> None:
        """Run a generation, until it ends or the client is closed."""
        task = self.generations[generation] = self.keep(generation.run())
        task.add_done_callback(lambda _: self.generations.pop(generation, None))

    async def close(self, grace: float = 0.0) -> None:
        """End the streams, wait for what they still have to deliver, and close the connections.

        Args:
            grace: How many seconds generations have to end by themselves.
        """
        if grace > 0 and self.generations:
            await asyncio.wait(self.generations.values(), timeout=grace)
        for generation in tuple(self.generations):
            generation.cancel(CLOSED)
        for stream in tuple(self.streams):
            stream.cancel(CLOSED)
        # A callback that closes the client from within such a task does not wait for itself.
        others = self.tasks - {asyncio.current_task()}
        if others:
            await asyncio.wait(others)
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close()

    async def end_with_loop(self) -> None:
        """End the streams that were left in the loop, and deliver what is still to be delivered.

        Not for ever: a callback that hangs is given up after some seconds.
        """
        guard, self._guard = self._guard, None  # it knows the loop, which then could not go
        if guard is None:  # all was given up
            return
        for stream in tuple(self.streams):
            stream.leave_behind(_LOOP_ENDED)
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=_LOOP_GRACE)

    def give_up(self) -> None:
        """Let go of everything: the loop does not run any more."""
        guard, self._guard = self._guard, None
        if guard is not None:
            end_guard(guard)
        if self.tasks:
            self._note_undelivered(len(self.tasks))
            self.tasks.clear()
        connections, self._connections = self._connections, None
        if connections is not None:
            connections.give_up()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if task.cancelled():
            self._note_undelivered(1)
        elif (error := task.exception()) is not None:
            _log.error("the last events of a stream could not be delivered", exc_info=error)

    def _note_undelivered(self, streams: int) -> None:
        self._stats.undelivered += streams
        _log.warning("the last events of a stream were not delivered: the event loop ended")


async def _guard_pool(owner: weakref.ref[Pool]) -> AsyncGenerator[None, None]:
    """Stand for a pool among the generators that its loop closes before it ends.

    ``asyncio.run`` has cancelled all tasks by then, and nobody reads what a task had left behind: a
    stream that is left by ``break``, say, of which the client's sinks still have to be told.
    """
    try:
        yield
    finally:
        pool = owner()
        if pool is not None:
            await pool.end_with_loop()


class _ProcessPools:
    """The pools of one process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # taken again when a client is collected under it
        self.by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = (
            weakref.WeakKeyDictionary()
        )

    def give_up(self, is_over: Callable[[asyncio.AbstractEventLoop], bool]) -> None:
        """Give up what is in the loops that are over."""
        with self.lock:
            over = [loop for loop in list(self.by_loop) if is_over(loop)]
            pools = [self.by_loop.pop(loop) for loop in over]
        for pool in pools:
            pool.give_up()


class Pools:
    """The pools of one client.

    Args:
        transport: What sends requests; None for connections of each loop's own.
        stats: Where undelivered streams are counted.
        max_generations: How many generations may run apart from their callers, in each loop.
        max_streams: How many streams may run at once, in each loop; None for no limit.
    """

    def __init__(
        self,
        transport: Transport | None,
        stats: ClientStats,
        max_generations: int = DEFAULT_MAX_GENERATIONS,
        max_streams: int | None = None,
    ) -> None:
        _TRANSPORT.check("transport", transport)
        self._transport = transport
        self._stats = stats
        self._max_generations = max_generations
        self._max_streams = max_streams
        # A dictionary rather than one of them that is replaced: to add to it needs no lock, which
        # could have been taken by a thread that the child process does not have.
        self._by_process: dict[int, _ProcessPools] = {}
        weakref.finalize(self, _give_up_all, self._by_process)

    def here(self) -> Pool:
        """The pool of the running loop in this process; made, when there is none."""
        loop = asyncio.get_running_loop()
        process = self._by_process.get(os.getpid())
        if process is None:
            process = self._by_process.setdefault(os.getpid(), _ProcessPools())
        pool = process.by_loop.get(loop)
        return self._add(process, loop) if pool is None else pool

    def __len__(self) -> int:
        """How many there are in this process."""
        process = self._by_process.get(os.getpid())
        return 0 if process is None else len(process.by_loop)

    def _add(self, process: _ProcessPools, loop: asyncio.AbstractEventLoop) -> Pool:
        process.give_up(lambda other: other.is_closed())
        with process.lock:
            pool = process.by_loop[loop] = Pool(
                self._transport, self._stats, self._max_generations, self._max_streams
            )
        pool.begin()
        return pool


def _give_up_all(by_process: dict[int, _ProcessPools]) -> None:
    """The client is collected, or the process ends."""
    process = by_process.get(os.getpid())
    if process is not None:  # in a loop that runs, the connections close themselves
        process.give_up(lambda loop: not loop.is_running())


async def _load_connections() -> Callable[[], Connections]:
    """The transport over HTTP. Its library takes some tenths of a second to load: a thread does."""
    home = "steer_llm_sdk.transport.http"
    # Half loaded by another thread it would be in `sys.modules`, too, and the loop would wait.
    if home not in _LOADED:
        await asyncio.to_thread(import_module, home)
        _LOADED.add(home)
    make: Callable[[], Connections] = import_module(home).HTTPTransport
    return make


_LOADED: set[str] = set()
