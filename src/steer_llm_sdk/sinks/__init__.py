"""Where streams are told of, beside the streams: ``SteerLLMClient(sinks=[…])``.

Each kind of destination is a small file, and its library is imported when one is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steer_llm_sdk.models.records import RunRecord, StreamRecord, ToolRecord
    from steer_llm_sdk.sinks.base import Sink
    from steer_llm_sdk.sinks.json_lines import JSONLinesSink
    from steer_llm_sdk.sinks.logs import LoggingSink
    from steer_llm_sdk.sinks.otel import OpenTelemetrySink
    from steer_llm_sdk.sinks.prometheus import PrometheusSink
    from steer_llm_sdk.sinks.sqlite import SQLiteSink

__all__ = [
    "JSONLinesSink",
    "LoggingSink",
    "OpenTelemetrySink",
    "PrometheusSink",
    "RunRecord",
    "SQLiteSink",
    "Sink",
    "StreamRecord",
    "ToolRecord",
]

_HOMES = {
    "JSONLinesSink": "sinks.json_lines",
    "LoggingSink": "sinks.logs",
    "OpenTelemetrySink": "sinks.otel",
    "PrometheusSink": "sinks.prometheus",
    "SQLiteSink": "sinks.sqlite",
    "Sink": "sinks.base",
    "RunRecord": "models.records",
    "StreamRecord": "models.records",
    "ToolRecord": "models.records",
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
