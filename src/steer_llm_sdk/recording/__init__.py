"""Recordings of streams: what went over the wire, and when; without keys.

``StreamingOptions(record=path)`` writes one, `ReplayTransport` plays it back through the same
decoders, and `timeline` draws it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steer_llm_sdk.recording.recorder import RecordingTransport, read_recording
    from steer_llm_sdk.recording.timeline import timeline
    from steer_llm_sdk.transport.replay import ReplayTransport
    from steer_llm_sdk.wire.recording import Exchange

__all__ = ["Exchange", "RecordingTransport", "ReplayTransport", "read_recording", "timeline"]

_HOMES = {
    "Exchange": "wire.recording",
    "RecordingTransport": "recording.recorder",
    "ReplayTransport": "transport.replay",
    "read_recording": "recording.recorder",
    "timeline": "recording.timeline",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = import_module(f"steer_llm_sdk.{_HOMES[name]}")
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
