"""What a place must be able to do to hold a journal: `Store`; what is said to it, and by it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

from steer_llm_sdk.errors import ConnectionLostError, JournalGapError
from steer_llm_sdk.models.events import StreamEvent

# How many events are read at once.
PAGE_EVENTS = 500

# How many heartbeats may fail to come before a producer is taken for lost.
MISSED_BEATS = 3


class StoreUnreachableError(ConnectionLostError):
    """The store does not answer now. What was asked of it may be asked again."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long, and how much, a store keeps. Times are in seconds.

    Attributes:
        ttl: How long a stream is kept after its end.
        max_events: How many events of a stream are kept at least.
        lost_after: How long a producer may be silent.
    """

    ttl: float
    max_events: int
    lost_after: float


@dataclass(frozen=True, slots=True)
class Claim:
    """That a generation is begun.

    Attributes:
        stream_id: Where its events go.
        key: Begins it once; None begins it always.
        request: A digest of what is asked: another request by the same key is refused. Empty
            without a key.
    """

    stream_id: str
    key: str | None
    request: str


class Append(NamedTuple):
    """Events to be written, if those before them are there and no others in their place.

    Attributes:
        stream_id: Whose they are.
        first: The sequence of the first; where there is none, of the next that is to be written.
        events: The events, in order.
        ends: Whether they are the last ones.
        frees_key: Whether the key of the generation may begin another one.
    """

    stream_id: str
    first: int
    events: Sequence[StreamEvent]
    ends: bool = False
    frees_key: bool = False

    def is_followed_by(self, other: Append) -> bool:
        """Whether another one begins in the same stream where this one ends."""
        return not self.ends and other.first == self.first + len(self.events)


class Page(NamedTuple):
    """Events that were read.

    Attributes:
        first: The sequence of the first; where there is none, of the next that is to be written.
        events: The events, in order.
        is_last: Whether none will come after them.
    """

    first: int
    events: Sequence[StreamEvent]
    is_last: bool = False


@dataclass(slots=True)
class News:
    """What has come of streams that are followed or produced here.

    Attributes:
        pages: New events, by stream.
        stops: Why they are to be stopped, by stream.
    """

    pages: dict[str, Page] = field(default_factory=dict)
    stops: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.pages or self.stops)


class Store(Protocol):
    """Holds streams for several processes. What one event loop has of it; used there alone.

    Every method but `interrupt` may raise `StoreUnreachableError`, and may be called again then.

    Attributes:
        write_pause: Seconds between two writes at least; what comes meanwhile is written together.
    """

    write_pause: float

    async def claim(self, claim: Claim) -> Claim:
        """Begin a stream, unless its key is held; the claim that holds the key is returned."""
        ...

    async def release(self, claim: Claim) -> None:
        """Free the key that a claim holds, whose stream is not kept any more."""
        ...

    async def write(self, appends: Sequence[Append]) -> list[bool]:
        """Write events, all of them in one round trip; none twice, when it is asked again.

        Returns:
            Of each, whether it is written; False where others stand in its place, or its end was
            written before.
        """
        ...

    async def beat(self, stream_ids: Collection[str]) -> None:
        """Note that the producers of these streams live."""
        ...

    async def silent(self, followed: Mapping[str, int]) -> list[str]:
        """Return those whose end will not come by itself.

        They have not ended, and their producers were not heard of for too long; or they are not
        kept any more, or not as far as they were read.

        Args:
            followed: Streams, and which sequence is to come next.
        """
        ...

    async def read(self, stream_id: str, after: int) -> Page:
        """Read what is there after a sequence, up to `PAGE_EVENTS`.

        Raises:
            JournalGapError: There is no such stream, or what is asked for is not kept any more.
        """
        ...

    async def news(self, followed: Mapping[str, int], produced: Collection[str]) -> News:
        """Wait until something has come; nothing may have, when it returns.

        Args:
            followed: Streams, and after which sequence they are read.
            produced: Streams that may have to be stopped.
        """
        ...

    def interrupt(self) -> None:
        """Have `news` return now: it is to be asked about other streams."""
        ...

    async def ask_to_stop(self, stream_id: str, reason: str) -> bool:
        """Ask the producer of a stream to stop; False where none runs."""
        ...

    async def close(self) -> None:
        """Give back what is open."""
        ...

    def give_up(self) -> None:
        """Give back what can be given back without the event loop, which has ended."""
        ...


# Writes the next events of one stream, from this sequence on: one at least, and not the last ones.
# False where others stand in their place, or the end was written before.
WriteNext: TypeAlias = Callable[[int, Sequence[StreamEvent]], bool]


@runtime_checkable
class Immediate(Protocol):
    """A store that writes without waiting, for it need not leave the process."""

    def write_at_once(self, append: Append) -> bool:
        """Write events; False where others stand in their place, or the end was written before."""
        ...

    def writer(self, stream_id: str) -> WriteNext:
        """How a stream that was begun goes on: what each write needs is looked up once."""
        ...


def given_up(error: StoreUnreachableError) -> ConnectionLostError:
    """What is told of a store that is asked no more, to whom its own error says nothing.

    It may be told in another process, or in a browser, which go by the names of errors.
    """
    return ConnectionLostError(str(error))


def unknown_stream(stream_id: str) -> JournalGapError:
    """The error of a stream that is not there."""
    return JournalGapError(
        f"the journal has no stream {stream_id!r}: none was begun by that name, or it has expired"
    )


def trimmed(stream_id: str, first: int, after: int) -> JournalGapError:
    """The error of events that are not kept any more."""
    return JournalGapError(
        f"stream {stream_id!r} is kept from event {first} on, and was asked for from {after + 1} on"
    )


def fallen_back(stream_id: str, following: int, after: int) -> JournalGapError:
    """The error of events that were read, and are not there any more."""
    return JournalGapError(
        f"stream {stream_id!r} was read up to event {after}, and goes on with event {following} "
        "now: the store has lost what was between, as after a failover"
    )
