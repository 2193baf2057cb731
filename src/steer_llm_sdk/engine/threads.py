"""Threads in which the plain functions of a client's tools run.

A plain function cannot be cancelled, and nobody waits for one whose result is not wanted any more:
its thread is a daemon, which holds up neither the client nor the end of the process. How many were
left so is known, and told when the client is closed.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Protocol, TypeAlias

# What a function gave, and what it raised.
Outcome: TypeAlias = tuple[Any, BaseException | None]

# How many functions of a client run at once; others wait for their turn. A model may call hundreds.
MOST_THREADS = 64


class Job(Protocol):
    """What a thread does.

    Attributes:
        is_left: Whether nobody wants its result any more.
        is_told: Whether that has been told.
    """

    is_left: bool
    is_told: bool

    def run(self) -> None:
        """Do it. What goes wrong is kept for whoever waits."""
        ...


class _Job:
    """One call of a function."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._call = copy_context().run
        self._function = function
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Outcome] = self._loop.create_future()
        self.is_left = False  # nobody wants its result any more
        self.is_told = False  # and its client has told of that

    def run(self) -> None:
        """Call the function, and hand its outcome to the loop. In a thread of its own."""
        if self.is_left:
            return
        outcome: Outcome
        try:
            outcome = self._call(self._function), None
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the function's
            outcome = None, error
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._tell, outcome)

    def _tell(self, outcome: Outcome) -> None:
        if not self.done.done():
            self.done.set_result(outcome)


class ProcessThreads:
    """Threads of one process: daemons, begun as they are needed, which end with their work.

    Args:
        most: How many there are at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._running: set[Job] = set()
        self._threads = 0

    def begin(self, job: Job) -> None:
        """Run a job in a thread, as soon as there is one."""
        with self._lock:
            if self._threads == self._most:
                self._waiting.append(job)
                return
            self._threads += 1
        threading.Thread(
            target=self._work, args=(job,), name="steer_llm_sdk tool", daemon=True
        ).start()

    def left(self) -> int:
        """How many functions run whose results nobody wants any more."""
        with self._lock:
            return sum(job.is_left for job in self._running)

    def tell_left(self) -> int:
        """How many of these have not been told of; now they have."""
        with self._lock:
            news = [job for job in self._running if job.is_left and not job.is_told]
        for job in news:
            job.is_told = True
        return len(news)

    def _work(self, job: Job) -> None:
        following: Job | None = job
        while following is not None:
            with self._lock:
                self._running.add(following)
            following.run()
            with self._lock:
                self._running.discard(following)
                following = self._waiting.popleft() if self._waiting else None
                if following is None:
                    self._threads -= 1


class ToolThreads:
    """The threads of one client. They are begun as they are needed, and end with their function.

    Args:
        most: How many functions run at once.
    """

    def __init__(self, most: int = MOST_THREADS) -> None:
        self._most = most
        # To add to a dictionary needs no lock, which a thread of the parent's could have taken.
        self._by_process: dict[int, ProcessThreads] = {}

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Outcome]:
        """Call a function in a thread, in a copy of this context; a future of its outcome.

        Cancelling the future leaves the function: one that has not begun never will.
        """
        job = _Job(function)
        job.done.add_done_callback(lambda done: setattr(job, "is_left", done.cancelled()))
        self._here().begin(job)
        return job.done

    def tell_left(self) -> int:
        """How many functions were left since this was last asked, and still run."""
        return self._here().tell_left()

    @property
    def left(self) -> int:
        """How many functions run in this process whose results nobody wants any more."""
        return self._here().left()

    def _here(self) -> ProcessThreads:
        found = self._by_process.get(os.getpid())
        if found is None:
            found = self._by_process.setdefault(os.getpid(), ProcessThreads(self._most))
        return found
