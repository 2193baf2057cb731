"""Fixtures for pytest: ``pytest_plugins = ["steer_llm_sdk.testing.plugin"]`` in a conftest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from steer_llm_sdk.testing.clock import ManualClock
from steer_llm_sdk.testing.server import LoopbackServer


@pytest.fixture
def steer_server() -> Iterator[LoopbackServer]:
    """A server that is listening; say by `answer_with` what it answers.

    It runs in a thread of its own, so it serves blocking and asynchronous tests alike.
    """
    with LoopbackServer().in_thread() as server:
        yield server


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()
