"""The end of one stream, as far as this event loop has it: `Tail`. All its followers read it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from steer_llm_sdk.journal.store import Page
from steer_llm_sdk.models.events import StreamEvent

# How many of the last events are held at least. Who is further behind reads the store.
_HELD_EVENTS = 512
_MOST_HELD = 2 * _HELD_EVENTS


class Tail:
    """Holds a stream's last events, and wakes those who wait for more.

    Args:
        page: What has been read of it last. Whoever comes for it next finds it here.

    Attributes:
        next: The sequence of the next event to come.
        goes_on: Whether one may come.
        is_over: Whether none will come.
        followers: How many read it.
        error: Why nothing more can be read.
        is_quiet: Whether nothing has come since this was last set.
    """

    def __init__(self, page: Page) -> None:
        self.next = page.first + len(page.events)
        self.goes_on = True
        self.is_over = False
        self.followers = 0
        self.error: Exception | None = None
        self.is_quiet = False
        self._held: list[StreamEvent] = list(page.events)
        self._waiters: list[asyncio.Future[Sequence[StreamEvent]]] = []
        self._make_future = asyncio.get_running_loop().create_future

    @property
    def last(self) -> StreamEvent | None:
        """The last event, if it is held."""
        return self._held[-1] if self._held else None

    def grow(self, page: Page) -> None:
        """Add what has come. What is here already is passed over."""
        if page.first > self.next:  # those between are not kept any more
            self._held = []
            self.next = page.first
            self.wake()  # what comes now is not what they wait for
        if page.is_last and page.first + len(page.events) >= self.next:
            self.is_over = True
            self.goes_on = False
        if (events := page.events[self.next - page.first :]) or self.is_over:
            self.add(events)

    def add(self, events: Sequence[StreamEvent]) -> None:
        """Add the events that are next, and give them to those who wait."""
        held = self._held
        held += events
        self.next += len(events)
        self.is_quiet = False
        if len(held) > _MOST_HELD:
            del held[:-_HELD_EVENTS]
        if waiters := self._waiters:
            self._waiters = []
            for waiter in waiters:
                if not waiter.done():  # who has given up is told nothing
                    waiter.set_result(events)

    def fail(self, error: Exception) -> None:
        """Tell those who wait that nothing more can be read."""
        self.error = error
        self.goes_on = False
        self.wake()

    def events_after(self, after: int) -> Sequence[StreamEvent] | None:
        """The events after a sequence, perhaps none yet; None where they are not held here."""
        start = after + 1 - (self.next - len(self._held))
        return None if start < 0 else self._held[start:]

    def grown(self) -> asyncio.Future[Sequence[StreamEvent]]:
        """Return what is done when there is more, or when there will be nothing more.

        Its result are the events from `next` on, as it is now; none where that is to be looked at.
        """
        waiter: asyncio.Future[Sequence[StreamEvent]] = self._make_future()
        self._waiters.append(waiter)
        return waiter

    def wake(self) -> None:
        """Wake those who wait: they are to look."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(())
