"""A test kit for programs that stream: scripted answers, faults, checks, and a clock to move.

Everything here is used by this library's own tests. Nothing here is imported by the library.
"""

from __future__ import annotations

from steer_llm_sdk.testing.checks import StreamSummary, check_stream
from steer_llm_sdk.testing.clock import ManualClock
from steer_llm_sdk.testing.connection import ConnectionRecord
from steer_llm_sdk.testing.faults import (
    AnnounceClose,
    Close,
    CloseIdle,
    CutAt,
    Delay,
    Drip,
    EndEarly,
    EndlessLine,
    ErrorInStream,
    GarbageBody,
    GarbageStatus,
    Gzip,
    GzipBomb,
    HTTPError,
    KeepAlives,
    Pace,
    ProxyAuthRequired,
    Raise,
    Redirect,
    Reset,
    Stall,
    UsageRefused,
)
from steer_llm_sdk.testing.plan import Fault, RecordedRequest
from steer_llm_sdk.testing.scripted import ScriptedProvider, ScriptedResponse
from steer_llm_sdk.testing.scripts import Script, ScriptedToolCall
from steer_llm_sdk.testing.server import LoopbackServer
from steer_llm_sdk.testing.sinks import check_sink

__all__ = [
    "AnnounceClose",
    "Close",
    "CloseIdle",
    "ConnectionRecord",
    "CutAt",
    "Delay",
    "Drip",
    "EndEarly",
    "EndlessLine",
    "ErrorInStream",
    "Fault",
    "GarbageBody",
    "GarbageStatus",
    "Gzip",
    "GzipBomb",
    "HTTPError",
    "KeepAlives",
    "LoopbackServer",
    "ManualClock",
    "Pace",
    "ProxyAuthRequired",
    "Raise",
    "RecordedRequest",
    "Redirect",
    "Reset",
    "Script",
    "ScriptedProvider",
    "ScriptedResponse",
    "ScriptedToolCall",
    "Stall",
    "StreamSummary",
    "UsageRefused",
    "check_sink",
    "check_stream",
]
