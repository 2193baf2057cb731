"""What measures time or memory must not count lines at the same time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def uncounted_here() -> Iterator[None]:
    """Count no lines within, neither in this thread nor in those that begin.

    Asking ``coverage`` itself to stop is not enough: under xdist two of it run in a worker.
    """
    here, threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        yield
    finally:
        sys.settrace(here)
        threading.settrace(threads)


@pytest.fixture
def uncounted() -> Iterator[None]:
    """The tracing by which coverage counts lines stands still for one test, in any worker."""
    with uncounted_here():
        yield
