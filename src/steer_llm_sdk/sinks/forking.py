"""What a sink holds when its process forks: `ForkSafe`.

A fork copies memory and descriptors, but no thread. So a lock that another thread holds (the
sink's, a library's, that of a module which is being imported) would stay locked in the child, a
half-written batch would be written twice, and a shared connection would be used by two. Before a
fork, therefore, the workers finish the call that they are at, and each sink lets go of what cannot
be shared; after it, the child's sinks hold nothing of their parent's.
"""

from __future__ import annotations

import os
import threading
import weakref

from steer_llm_sdk.stored import Shared

# How long a fork waits for each of them, in seconds.
_PATIENCE = 5.0


class ForkSafe(Shared):
    """Something that a fork waits for. A subclass says what it lets go of, and what it forgets.

    Attributes:
        lock: Held by whoever must not be interrupted by a fork.
        comes_first: Whether it is waited for before others, whose locks it takes in its own.
    """

    comes_first = False

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
    ordered = sorted(_all, key=lambda each: not each.comes_first)
    _held.ones = [each for each in ordered if each.lock.acquire(timeout=_PATIENCE)]
    for each in _held.ones:
        each.let_go()


def _in_parent() -> None:
    for each in _held.ones:
        each.lock.release()
    _held.ones = []


def _in_child() -> None:
    for each in tuple(_all):
        each.lock = threading.RLock()
        each.forget()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
