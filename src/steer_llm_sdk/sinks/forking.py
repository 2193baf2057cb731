"""What a sink holds when its process forks: `ForkSafe`.

A fork copies memory and descriptors, but no thread. So a lock that another thread holds would stay
locked in the child, a half-written batch would be written twice, and a shared connection would be
used by two. Before a fork, therefore, each sink is waited for and lets go of what cannot be shared;
after it, the child's sinks hold nothing of their parent's.
"""

from __future__ import annotations

import os
import threading
import weakref

# How long a fork waits for a sink that is writing, in seconds.
_PATIENCE = 5.0


class ForkSafe:
    """A sink with something to lock. A subclass says what it lets go of, and what it forgets.

    Attributes:
        lock: Held while the sink's file or connection is used.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        _all.add(self)

    def let_go(self) -> None:
        """Close what must not be shared by two processes. Called with the lock held."""

    def forget(self) -> None:
        """Forget what the parent still has to write: this is the child."""


_all: weakref.WeakSet[ForkSafe] = weakref.WeakSet()
_held = threading.local()


def _before() -> None:
    _held.sinks = [sink for sink in tuple(_all) if sink.lock.acquire(timeout=_PATIENCE)]
    for sink in _held.sinks:
        sink.let_go()


def _in_parent() -> None:
    for sink in _held.sinks:
        sink.lock.release()
    _held.sinks = []


def _in_child() -> None:
    for sink in tuple(_all):
        sink.lock = threading.RLock()
        sink.forget()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
