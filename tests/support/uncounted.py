"""What measures time or memory must not count lines at the same time."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def uncounted() -> Iterator[None]:
    """The tracing by which coverage counts lines stands still for one test, in any worker.

    Asking ``coverage`` itself to stop is not enough: under xdist two of it run in a worker.
    """
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(trace)
