"""Everything that can go wrong with an answer.

Faults compose: each changes the plan that the one before it left.

``after`` says where: ``"request"`` (the request has been read, the status line not sent),
``"headers"``, or a number of deltas (0: after whatever the format sends before the first).
"""

from __future__ import annotations

from steer_llm_sdk.testing.faults.bodies import (
    CutAt,
    EndEarly,
    EndlessLine,
    ErrorInStream,
    GarbageBody,
    Gzip,
    GzipBomb,
)
from steer_llm_sdk.testing.faults.connections import (
    AnnounceClose,
    Close,
    CloseIdle,
    GarbageStatus,
    Raise,
    Reset,
)
from steer_llm_sdk.testing.faults.statuses import (
    HTTPError,
    ProxyAuthRequired,
    Redirect,
    UsageRefused,
)
from steer_llm_sdk.testing.faults.waiting import (
    Delay,
    Drip,
    KeepAlives,
    Pace,
    Stall,
)

__all__ = [
    "AnnounceClose",
    "Close",
    "CloseIdle",
    "CutAt",
    "Delay",
    "Drip",
    "EndEarly",
    "EndlessLine",
    "ErrorInStream",
    "GarbageBody",
    "GarbageStatus",
    "Gzip",
    "GzipBomb",
    "HTTPError",
    "KeepAlives",
    "Pace",
    "ProxyAuthRequired",
    "Raise",
    "Redirect",
    "Reset",
    "Stall",
    "UsageRefused",
]
