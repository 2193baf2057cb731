"""The turn of one stream, attempt by attempt, where streams are limited (`engine.admission`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.admission import Admission, Places
from steer_llm_sdk.engine.heads import Head
from steer_llm_sdk.engine.lanes import OnWait, Owner
from steer_llm_sdk.engine.plan import Target
from steer_llm_sdk.engine.timeouts import Deadlines, Supervisor
from steer_llm_sdk.errors import SteerError

# How long others wait, at the most, where a provider says that something is used up: it may be
# there again long before all of it is, and limits of a day are no reason to ask nothing for hours.
MOST_INFERRED = 60.0


class Turn:
    """Waits for the places of a stream's attempts, and leaves them.

    Args:
        admission: What lets streams begin.
        clock: What time it is.
        deadlines: The stream's limits: the wait counts against its total only.
        supervisor: Interrupts the wait.
        seconds: How long one may wait; None for no limit.
        note: Is told how long it took.

    Attributes:
        is_waiting: Whether it waits just now.
        on_wait: Is told when a wait begins: how many wait before.
        on_turn: Is told when it is over.
    """

    def __init__(
        self,
        admission: Admission,
        clock: Clock,
        deadlines: Deadlines,
        supervisor: Supervisor,
        seconds: float | None,
        note: Callable[[float], object],
    ) -> None:
        self._admission = admission
        self._clock = clock
        self._deadlines = deadlines
        self._supervisor = supervisor
        self._seconds = seconds
        self._note = note
        self.is_waiting = False
        self.on_wait: OnWait | None = None
        self.on_turn: Callable[[], object] | None = None
        self._puller: Owner | None = None
        self._places: Places | None = None  # of the attempt that is under way

    def begin(self, target: Target) -> None:
        """Note the task that pulls the stream: what it holds already, it cannot wait for."""
        if self._admission.is_needed(target):
            self._puller = asyncio.current_task()

    async def wait(self, target: Target) -> None:
        """Wait until streams that are limited leave room for this one.

        Raises:
            ConfigurationError: It would never be its turn.
            RequestTimeoutError: It was not in time.
            SteerError: What interrupted the wait.
        """
        if not self._admission.is_needed(target):
            return
        self._deadlines.begin_pause()
        begun = self._clock.monotonic()
        asked = target, self._clock, self._puller, self._seconds, self.on_wait
        self.is_waiting = True
        try:
            entering = self._admission.enter(*asked)
            self._places = await self._supervisor.run(entering, Places.give_back)
        finally:
            self.is_waiting = False
            self._puller = None
            if self.on_turn is not None:
                self.on_turn()
            self._note(self._clock.monotonic() - begun)

    def fail(self, target: Target, error: SteerError) -> None:
        """The attempt has failed: others get its place, and wait where the provider asks for it."""
        seconds: float | None = getattr(error, "retry_after", None)
        if seconds is not None:
            self._admission.slow_down(target, seconds, self._clock)
        self.leave()

    def note_head(self, target: Target, head: Head) -> None:
        """An answer has begun: where it says that something is used up, others wait until then."""
        if self._admission.is_needed(target) and (limit := head.rate_limit()) is not None:
            seconds = min(limit.seconds_until_free(self._clock.time()), MOST_INFERRED)
            if seconds > 0:
                self._admission.slow_down(target, seconds, self._clock)

    def leave(self, usage: Mapping[str, Any] | None = None) -> None:
        """Leave the places of the attempt.

        Args:
            usage: What the stream has come to, as its response has it.
        """
        places, self._places = self._places, None
        if places is not None:
            places.leave(usage)
