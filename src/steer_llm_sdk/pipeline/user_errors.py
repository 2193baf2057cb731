"""Reports what the user's own code raises; the stream goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import AsyncGeneratorType, GeneratorType
from typing import Any

_logger = logging.getLogger("steer_llm_sdk.streaming")

# What a plain function of the user's may raise by itself. The task's own cancellation is never
# raised inside plain code, which awaits nothing: a `CancelledError` from there has another cause.
USER_ERRORS = (Exception, asyncio.CancelledError)


class UserErrorLog:
    """Logs and counts what the user's code raises in one stream.

    The first error of each source is logged with its traceback; the ones after it are only
    counted, so that a filter that always raises does not write one traceback for each token.

    Args:
        on_error: Called with the kind of each source that raised, to count it elsewhere too.

    Attributes:
        count: How many errors have been reported.
    """

    __slots__ = ("_on_error", "_reported", "_silences", "_silent", "count")

    def __init__(self, on_error: Callable[[str], None] | None = None) -> None:
        self.count = 0
        self._on_error = on_error
        self._reported: set[tuple[str, int]] = set()
        self._silent: object = None  # what dropped events by returning None, and how many
        self._silences = 0

    def report(self, kind: str, source: object, consequence: str, error: BaseException) -> None:
        """Count an error, and log it when it is the first of its source.

        Args:
            kind: ``"filter"``, ``"transformer"``, ``"handler"`` or ``"callback"``.
            source: The object that raised; alive as long as the stream, so that its identity holds.
            consequence: What happens to the event, as the end of the message.
            error: What it raised.
        """
        self.count += 1
        if self._on_error is not None:
            self._on_error(kind)
        key = (kind, id(source))
        if key in self._reported:
            return
        self._reported.add(key)
        _logger.error("%s %s raised; %s", kind, _name(source), consequence, exc_info=error)

    def note_silence(self, source: object) -> None:
        """Note that a filter or a transformer dropped an event by returning None."""
        is_one = self._silent is None or self._silent is source
        self._silent = source if is_one else self  # more than one: none is to be named
        self._silences += 1

    def warn_of_silence(self) -> None:
        """Warn when one source alone dropped all that came: a ``return`` may be missing."""
        if self._silences > 1 and self._silent is not self:
            _logger.warning(
                "%s returned None for every event of a stream, so that all were dropped: "
                "is a return missing?",
                _name(self._silent),
            )


def to_await(result: object) -> Awaitable[Any] | None:
    """Find what is to be awaited of what user code returned; None where it is done.

    Raises:
        TypeError: It is a generator, whose code nobody would run.
    """
    if hasattr(result, "__await__"):
        return result
    if isinstance(result, GeneratorType | AsyncGeneratorType):
        raise TypeError(
            f"expected a result, or something to await; found {type(result).__name__}, of which "
            "nothing would ever run"
        )
    return None


async def await_user_code(awaitable: Awaitable[Any]) -> tuple[Any, BaseException | None]:
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
