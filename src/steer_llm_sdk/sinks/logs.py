"""A line in the log for each stream: `LoggingSink`."""

from __future__ import annotations

import logging

from steer_llm_sdk.checks import COUNT, having
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.sinks.base import Sink

_LOGGER = having("a logger, such as logging.getLogger('name')", "isEnabledFor", "log").or_none()


class LoggingSink(Sink):
    """Logs how each stream ended; the whole record is the log record's ``stream`` attribute.

    Args:
        logger: Where to; the logger ``steer_llm_sdk.streams`` by default.
        level: For streams that completed or were cancelled; those that failed are warnings.

    Raises:
        ConfigurationError: It is no logger, or the level is no number.
    """

    def __init__(self, logger: logging.Logger | None = None, level: int = logging.INFO) -> None:
        _LOGGER.check("logger", logger)
        COUNT.check("level", level)
        self._logger = logger or logging.getLogger("steer_llm_sdk.streams")
        self._level = level

    def stream_ended(self, record: StreamRecord) -> None:
        """Log the stream."""
        level = logging.WARNING if record.outcome == "failed" else self._level
        if self._logger.isEnabledFor(level):
            told = ", ".join(filter(None, _details(record)))
            self._logger.log(
                level,
                "%s %s %s (%s)",
                record.provider,
                record.model,
                _outcome(record),
                told,
                extra={"stream": record},
            )


def _outcome(record: StreamRecord) -> str:
    if record.outcome == "failed":
        said = f": {record.error_message}" if record.error_message else ""
        return f"failed in {record.error_type}{said}"
    return record.outcome


def _details(record: StreamRecord) -> list[str | None]:
    metrics, usage = record.metrics, record.usage or {}
    return [
        _milliseconds("duration", metrics.get("duration_ms")),
        _milliseconds("first token", metrics.get("ttft_ms")),
        _tokens(usage.get("prompt_tokens"), usage.get("completion_tokens")),
        f"{len(record.retries)} retries" if record.retries else None,
        None if record.cost_usd is None else f"${record.cost_usd:.6f}",
        f"request {record.request_id}",
    ]


def _milliseconds(name: str, value: float | None) -> str | None:
    return None if value is None else f"{name} {value:.0f} ms"


def _tokens(prompt: int | None, completion: int | None) -> str | None:
    if prompt is None and completion is None:
        return None
    return f"{_count(prompt)} + {_count(completion)} tokens"


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)
