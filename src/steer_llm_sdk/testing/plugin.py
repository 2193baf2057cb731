"""Fixtures for pytest: ``pytest_plugins = ["steer_llm_sdk.testing.plugin"]`` in a conftest."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from steer_llm_sdk.recording import RecordingTransport, ReplayTransport
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


@pytest.fixture
def steer_recording(request: pytest.FixtureRequest) -> RecordingTransport | ReplayTransport:
    """A transport that records the first time, and plays the recording back from then on.

    The recording is ``recordings/<module>/<test>.jsonl`` beside the test. With
    ``STEER_RECORD=all`` in the environment it is made anew, and with ``STEER_RECORD=none`` a test
    without one is skipped, rather than sent to the provider.
    """
    test = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    path = request.path.parent / "recordings" / request.path.stem / f"{test}.jsonl"
    return _recording(path, os.environ.get("STEER_RECORD", "once"))


def _recording(path: Path, mode: str) -> RecordingTransport | ReplayTransport:
    if path.exists() and mode != "all":
        return ReplayTransport(path, speed=0)
    if mode == "none":
        pytest.skip(f"there is no recording {path.name}, and STEER_RECORD is 'none'")
    return RecordingTransport(path)
