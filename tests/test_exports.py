"""The public names. One that goes is a breaking change; one that comes is a promise."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import steer_llm_sdk

ERRORS = {
    "AuthenticationError",
    "BudgetExceededError",
    "CallbackError",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "ContentFilterError",
    "ContextLengthError",
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
    "QuotaExceededError",
    "RateLimitError",
    "RefusalError",
    "RequestTimeoutError",
    "SchemaError",
    "ServerError",
    "SteerError",
    "StreamCancelledError",
    "StreamStalledError",
    "ToolError",
    "TransportError",
    "TruncatedJSONError",
    "UnknownModelError",
    "UnknownProviderError",
}

PUBLIC = {
    "steer_llm_sdk": {
        "AnyEvent",
        "EventStream",
        "ProviderSettings",
        "RunResult",
        "StopRun",
        "SteerLLMClient",
        "StreamCompleteEvent",
        "StreamDeltaEvent",
        "StreamErrorEvent",
        "StreamEvent",
        "StreamStartEvent",
        "StreamUsageEvent",
        "StreamingOptions",
        "StreamingResponse",
        "SyncSteerLLMClient",
        "Tool",
        "__version__",
        "tool_result",
        *ERRORS,
    },
    "steer_llm_sdk.models.events": {
        "StreamCompleteEvent",
        "StreamDeltaEvent",
        "StreamErrorEvent",
        "StreamEvent",
        "StreamStartEvent",
        "StreamUsageEvent",
    },
    "steer_llm_sdk.models.listing": {"ModelInfo"},
    "steer_llm_sdk.models.streaming": {"StreamingOptions"},
    "steer_llm_sdk.streaming.processor": {
        "BatchedEventProcessor",
        "CompositeFilter",
        "CorrelationTransformer",
        "EventFilter",
        "EventProcessor",
        "EventTransformer",
        "MetricsTransformer",
        "PredicateFilter",
        "ProcessorMetrics",
        "ProviderFilter",
        "TimestampTransformer",
        "TypeFilter",
        "create_event_processor",
    },
    "steer_llm_sdk.streaming.manager": {"EventManager"},
    "steer_llm_sdk.rates": {"Quota", "RateLimit"},
    "steer_llm_sdk.recording": {
        "Exchange",
        "RecordingTransport",
        "ReplayTransport",
        "read_recording",
        "timeline",
    },
    "steer_llm_sdk.sinks": {
        "JSONLinesSink",
        "LoggingSink",
        "OpenTelemetrySink",
        "PrometheusSink",
        "RunRecord",
        "SQLiteSink",
        "Sink",
        "StreamRecord",
        "ToolRecord",
    },
    "steer_llm_sdk.web": {"Protocol", "encode", "headers", "respond"},
    "steer_llm_sdk.journal": {
        "Attached",
        "Journal",
        "MemoryJournal",
        "RedisJournal",
        "SQLiteJournal",
    },
}

# What a bare `import steer_llm_sdk` must not load: the HTTP library, the event loop, any provider.
HEAVY = ("aiohttp", "asyncio", "msgspec", "ssl", "steer_llm_sdk.client", "steer_llm_sdk.providers")


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_there(module: str) -> None:
    found = import_module(module)

    assert [name for name in sorted(PUBLIC[module]) if not hasattr(found, name)] == []


@pytest.mark.parametrize(
    "module", ["steer_llm_sdk", "steer_llm_sdk.models.events", "steer_llm_sdk.sinks"]
)
def test_a_star_import_gives_exactly_the_public_names(module: str) -> None:
    assert set(import_module(module).__all__) == PUBLIC[module]


def test_the_package_lists_its_names_to_those_who_explore() -> None:
    assert set(dir(steer_llm_sdk)) >= PUBLIC["steer_llm_sdk"]


@pytest.mark.parametrize(
    "module", ["steer_llm_sdk", "steer_llm_sdk.recording", "steer_llm_sdk.sinks"]
)
def test_a_name_that_is_imported_when_it_is_asked_for_is_there_the_first_time(module: str) -> None:
    program = (
        f"import {module} as found; "
        "print([name for name in found.__all__ if getattr(found, name) is None])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout.strip() == b"[]"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'SteerClient'"):
        _ = steer_llm_sdk.SteerClient


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = f"import sys, steer_llm_sdk; print([m for m in {HEAVY} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout.strip() == b"[]"
