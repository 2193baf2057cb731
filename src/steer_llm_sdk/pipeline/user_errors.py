"""When code of the user's raises: it is logged once and counted, and the stream goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

_logger = logging.getLogger("steer_llm_sdk.streaming")

# What plain code of the user's may raise as a fault of its own. A cancellation of the task never
# arises in plain code, which awaits nothing: a `CancelledError` there comes of something else.
FAULTS = (Exception, asyncio.CancelledError)


class FaultLog:
    """The faults of one stream.

    The first fault of each source is logged with its traceback; the ones after it are only
    counted, so that a filter that always raises does not write one traceback for each token.

    Args:
        on_fault: Called with the kind of each fault, to count it elsewhere too.
    """

    __slots__ = ("_on_fault", "_reported", "count")

    def __init__(self, on_fault: Callable[[str], None] | None = None) -> None:
        self.count = 0
        self._on_fault = on_fault
        self._reported: set[tuple[str, int]] = set()

    def report(self, kind: str, source: object, consequence: str, error: BaseException) -> None:
        """Count a fault, and log it when it is the first of its source.

        Args:
            kind: ``"filter"``, ``"transformer"`` or ``"handler"``.
            source: The object that raised; alive as long as the stream, so that its identity holds.
            consequence: What becomes of the event, as the end of the message.
            error: What it raised.
        """
        self.count += 1
        if self._on_fault is not None:
            self._on_fault(kind)
        key = (kind, id(source))
        if key in self._reported:
            return
        self._reported.add(key)
        _logger.error("%s %s raised; %s", kind, _name(source), consequence, exc_info=error)


async def outcome_of(awaitable: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    """Await what user code returned.

    Returns:
        Its result and None, or None and what it raised. A `CancelledError` counts as raised by the
        user's code (it awaited something that was cancelled) unless this task is being cancelled.

    Raises:
        asyncio.CancelledError: This task is being cancelled.
    """
    try:
        return await awaitable, None
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return None, error
    except Exception as error:  # noqa: BLE001 - the user's code
        return None, error


def _name(source: object) -> str:
    return getattr(source, "__qualname__", None) or type(source).__qualname__
