"""What may be passed as a callback, for type checkers.

A callback takes its kind of event (or a base of it), or the dict that old callbacks were called
with. What it returns does not matter: what can be awaited, is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamStartEvent,
    StreamUsageEvent,
)

_OldCallback: TypeAlias = Callable[[dict[str, Any]], object]

StartCallback: TypeAlias = Callable[[StreamStartEvent], object] | _OldCallback
DeltaCallback: TypeAlias = Callable[[StreamDeltaEvent], object] | _OldCallback
UsageCallback: TypeAlias = Callable[[StreamUsageEvent], object] | _OldCallback
CompleteCallback: TypeAlias = Callable[[StreamCompleteEvent], object] | _OldCallback
ErrorCallback: TypeAlias = Callable[[StreamErrorEvent], object] | _OldCallback
