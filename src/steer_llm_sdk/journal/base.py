"""`Journal`: what all journals are, whatever holds them."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from steer_llm_sdk.checks import (
    NUMBER,
    POSITIVE,
    SECONDS,
    TEXT,
    WHOLE,
    WHOLE_TEXT,
    Kind,
    type_found,
)
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.journal.attached import Attached
from steer_llm_sdk.journal.desk import Desk
from steer_llm_sdk.journal.store import MISSED_BEATS, Keeping, Store
from steer_llm_sdk.stored import ItsOwnCopy

DEFAULT_TTL = 3600.0
DEFAULT_MAX_EVENTS = 100_000
DEFAULT_HEARTBEAT = 5.0
DEFAULT_PATIENCE = 30.0

_KINDS: Mapping[str, Kind] = {
    "ttl": SECONDS,
    "max_events": POSITIVE,
    "heartbeat": SECONDS,
    "patience": NUMBER,
}


# No stream has so many events, and none is kept for so many seconds. A number that a database
# cannot hold would be its error, and some write `sys.maxsize` for "always".
_MOST_EVENTS = 2**53
_LONGEST_KEPT = 100 * 365 * 86_400.0

_AFTER = Kind(
    f"a whole number from -1 to {_MOST_EVENTS}",
    lambda value: WHOLE.accepts(value) and -1 <= value <= _MOST_EVENTS,
)


class Journal(ItsOwnCopy, ABC):
    """Holds the events of generations that outlive their callers: see `SteerLLMClient.start`.

    It may be used from several event loops, and after a ``fork``: each has a part of its own.

    Args:
        ttl: How many seconds a stream is kept after its end.
        max_events: How many events of a stream are kept at least; older ones are trimmed.
        heartbeat: Every how many seconds a producer says that it lives. One that has not for three
            times as long is lost: its stream ends in a `ProducerLostError`.
        patience: For how many seconds a store that cannot be reached is asked again.

    Raises:
        ConfigurationError: One of these is not what it has to be.
    """

    def __init__(
        self,
        *,
        ttl: float = DEFAULT_TTL,
        max_events: int = DEFAULT_MAX_EVENTS,
        heartbeat: float = DEFAULT_HEARTBEAT,
        patience: float = DEFAULT_PATIENCE,
    ) -> None:
        given = {
            "ttl": ttl,
            "max_events": max_events,
            "heartbeat": heartbeat,
            "patience": patience,
        }
        for name, kind in _KINDS.items():
            kind.check(name, given[name])
        self._keeping = Keeping(
            min(ttl, _LONGEST_KEPT),
            min(max_events, _MOST_EVENTS),
            min(MISSED_BEATS * heartbeat, _LONGEST_KEPT),
        )
        self._heartbeat = heartbeat
        self._patience = patience
        # A child process has none of its parent's, and keeps those from being collected: a
        # connection that is closed in the child ends its parent's.
        self._by_process: dict[int, dict[asyncio.AbstractEventLoop, Desk]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: where the streams are, and nothing that is open here."""
        return {**vars(self), "_by_process": {}}

    @abstractmethod
    def _open_store(self) -> Store:
        """Make what the running loop has of the store; nothing is connected yet."""

    def attach(self, stream_id: str, after: int = -1) -> Attached:
        """Follow a stream from any process: the past from the journal, then the rest as it comes.

        Args:
            stream_id: What `SteerLLMClient.start` gave.
            after: The sequence of the last event that is known already.

        Returns:
            An async iterator of events. It raises a `JournalGapError` where the stream is not
            there, or does not have what was asked for any more; and a `ConnectionLostError` where
            the store cannot be reached for too long.

        Raises:
            ConfigurationError: An argument is not what it has to be.
        """
        TEXT.check("stream_id", stream_id)
        WHOLE_TEXT.check("stream_id", stream_id)
        _AFTER.check("after", after)
        return Attached(self, stream_id, after)

    async def stop(self, stream_id: str, reason: str = "the stream was stopped") -> bool:
        """Stop the generation of a stream, in whichever process it runs.

        Its followers get the usage and a `StreamErrorEvent` with a `StreamCancelledError`.

        Args:
            stream_id: What `SteerLLMClient.start` gave.
            reason: What the error says.

        Returns:
            Whether it was asked to stop; False where it has ended, or is not known.

        Raises:
            ConnectionLostError: The store cannot be reached.
            ConfigurationError: An argument is no text.
        """
        TEXT.check("stream_id", stream_id)
        WHOLE_TEXT.check("stream_id", stream_id)
        TEXT.check("reason", reason)
        whole = reason.encode("utf-8", "replace").decode()  # it may have been cut in a character
        return await self.here().ask_to_stop(stream_id, whole)

    def here(self) -> Desk:
        """What the journal has in the running event loop; for the library itself."""
        desks = self._by_process.setdefault(os.getpid(), {})
        loop = asyncio.get_running_loop()
        if (desk := desks.get(loop)) is None:
            for other in [each for each in tuple(desks) if each.is_closed()]:
                if (ended := desks.pop(other, None)) is not None:
                    ended.give_up()
            desk = desks[loop] = Desk(self._open_store(), self._heartbeat, self._patience)
        return desk

    async def close(self) -> None:
        """Close what the journal has open in this event loop. It may be used again after."""
        desks = self._by_process.get(os.getpid())
        desk = None if desks is None else desks.pop(asyncio.get_running_loop(), None)
        if desk is not None:
            await desk.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def check_journal(journal: Journal) -> Journal:
    """Refuse what is no journal.

    Raises:
        ConfigurationError: It is something else.
    """
    if not isinstance(journal, Journal):
        raise ConfigurationError(
            f"journal: expected a journal, such as MemoryJournal(), found {type_found(journal)}"
        )
    return journal
