"""Typed streaming events from any language model.

Importing the package opens nothing and imports next to nothing: each name is loaded when it is
first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steer_llm_sdk._version import __version__

if TYPE_CHECKING:
    from steer_llm_sdk.client import SteerLLMClient
    from steer_llm_sdk.config import ProviderSettings
    from steer_llm_sdk.errors import (
        AuthenticationError,
        BudgetExceededError,
        CallbackError,
        ConfigurationError,
        ConnectError,
        ConnectionLostError,
        ContentFilterError,
        ContextLengthError,
        FrameTooLargeError,
        IncompleteStreamError,
        IncompleteToolCallError,
        InvalidJSONError,
        InvalidRequestError,
        JournalGapError,
        MissingAPIKeyError,
        NotFoundError,
        OverloadedError,
        PermissionDeniedError,
        ProducerLostError,
        ProtocolError,
        ProviderError,
        QuotaExceededError,
        RateLimitError,
        RefusalError,
        RequestTimeoutError,
        SchemaError,
        ServerError,
        SteerError,
        StreamCancelledError,
        StreamStalledError,
        ToolError,
        TransportError,
        TruncatedJSONError,
        UnknownModelError,
        UnknownProviderError,
    )
    from steer_llm_sdk.models.events import (
        AnyEvent,
        StreamCompleteEvent,
        StreamDeltaEvent,
        StreamErrorEvent,
        StreamEvent,
        StreamStartEvent,
        StreamUsageEvent,
    )
    from steer_llm_sdk.models.responses import StreamingResponse
    from steer_llm_sdk.models.streaming import StreamingOptions
    from steer_llm_sdk.models.turns import tool_result
    from steer_llm_sdk.streaming.stream import EventStream
    from steer_llm_sdk.structured.functions import Tool
    from steer_llm_sdk.sync import SyncSteerLLMClient
    from steer_llm_sdk.tools import RunResult, StopRun

__all__ = [
    "AnyEvent",
    "AuthenticationError",
    "BudgetExceededError",
    "CallbackError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "ContentFilterError",
    "ContextLengthError",
    "EventStream",
    "FrameTooLargeError",
    "IncompleteStreamError",
    "IncompleteToolCallError",
    "InvalidJSONError",
    "InvalidRequestError",
    "JournalGapError",
    "MissingAPIKeyError",
    "NotFoundError",
    "OverloadedError",
    "PermissionDeniedError",
    "ProducerLostError",
    "ProtocolError",
    "ProviderError",
    "ProviderSettings",
    "QuotaExceededError",
    "RateLimitError",
    "RefusalError",
    "RequestTimeoutError",
    "RunResult",
    "SchemaError",
    "ServerError",
    "SteerError",
    "SteerLLMClient",
    "StopRun",
    "StreamCancelledError",
    "StreamCompleteEvent",
    "StreamDeltaEvent",
    "StreamErrorEvent",
    "StreamEvent",
    "StreamStalledError",
    "StreamStartEvent",
    "StreamUsageEvent",
    "StreamingOptions",
    "StreamingResponse",
    "SyncSteerLLMClient",
    "Tool",
    "ToolError",
    "TransportError",
    "TruncatedJSONError",
    "UnknownModelError",
    "UnknownProviderError",
    "__version__",
    "tool_result",
]

# Where the names live that are no errors.
_HOMES = {
    "AnyEvent": "models.events",
    "EventStream": "streaming.stream",
    "ProviderSettings": "config",
    "SteerLLMClient": "client",
    "StreamCompleteEvent": "models.events",
    "StreamDeltaEvent": "models.events",
    "StreamErrorEvent": "models.events",
    "StreamEvent": "models.events",
    "StreamStartEvent": "models.events",
    "StreamUsageEvent": "models.events",
    "StreamingOptions": "models.streaming",
    "StreamingResponse": "models.responses",
    "RunResult": "tools",
    "StopRun": "tools",
    "SyncSteerLLMClient": "sync",
    "Tool": "structured.functions",
    "tool_result": "models.turns",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = import_module(f"{__name__}.{_HOMES.get(name, 'errors')}")
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
