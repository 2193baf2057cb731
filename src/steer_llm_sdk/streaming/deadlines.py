"""The time limits of one stream: arithmetic only, in monotonic seconds.

Only the time spent waiting for the provider counts. Whoever drives the stream says when a wait
begins and ends; one timer for the whole stream asks `expired` now and then, so that a chunk costs
two additions and no timer.

Four limits watch a body, because one cannot serve: a dead peer sends nothing (idle); a proxy's
heartbeat keeps a dead answer's socket alive (stall); a reasoning model is silent for minutes before
its first event, and heartbeats then must not kill it (first event).
"""

from __future__ import annotations

from steer_llm_sdk.errors import RequestTimeoutError, StreamStalledError
from steer_llm_sdk.models.streaming import StreamingOptions

_NEVER = float("inf")


class Deadlines:
    """Which limit of a stream runs out first, and when.

    Args:
        options: The limits.

    Attributes:
        waiting_since: When the wait that is under way began; None while nothing is awaited. To be
            set when nothing is left to do but to wait for the provider; `end_wait` clears it.
    """

    def __init__(self, options: StreamingOptions) -> None:
        self._first_event = options.first_event_timeout or _NEVER
        self._idle = options.idle_timeout or _NEVER
        self._stall = options.stall_timeout or _NEVER
        self._total = options.total_timeout or _NEVER
        self.waiting_since: float | None = None
        self._waited = 0.0  # in all, by waits that are over
        self._waited_without_progress = 0.0
        self._has_begun = False  # the provider's first event has come
        self._in_body = False

    @property
    def waited(self) -> float:
        """The seconds that have been waited in all."""
        return self._waited

    def begin_attempt(self) -> None:
        """A request is about to be sent."""
        self._waited_without_progress = 0.0
        self._has_begun = False
        self._in_body = False

    def begin_pause(self) -> None:
        """Nothing is asked of the provider until the next attempt: only the total still runs."""
        self._waited_without_progress = 0.0
        self._has_begun = True
        self._in_body = False

    def begin_body(self) -> None:
        """The response's headers have come."""
        self._in_body = True

    def end_wait(self, now: float) -> None:
        """The wait is over: something came, or failed."""
        since = self.waiting_since
        if since is not None:
            self._waited += now - since
            self._waited_without_progress += now - since
            self.waiting_since = None

    def note_progress(self) -> None:
        """The answer went on: more than a keep-alive came."""
        self._has_begun = True
        self._waited_without_progress = 0.0

    def remaining(self, now: float) -> float:
        """Seconds until the first limit runs out, if nothing comes; not above 0 when one has."""
        return min(left for _, _, left in self._left(now))

    def expired(self, now: float) -> RequestTimeoutError | None:
        """The error of the limit that has run out; None while all hold, or nothing is awaited."""
        if self.waiting_since is None:
            return None
        name, limit, left = min(self._left(now), key=lambda row: row[2])
        if left > 0:
            return None
        kind = StreamStalledError if name == "stall_timeout" else RequestTimeoutError
        return kind(f"{_WHAT[name]} within {limit:g} s ({name})", limit=name, seconds=limit)

    def _left(self, now: float) -> list[tuple[str, float, float]]:
        current = 0.0 if self.waiting_since is None else now - self.waiting_since
        silent = self._waited_without_progress + current
        rows = [("total_timeout", self._total, self._total - self._waited - current)]
        if not self._has_begun:
            rows.append(("first_event_timeout", self._first_event, self._first_event - silent))
        if self._in_body:
            rows.append(("idle_timeout", self._idle, self._idle - current))
            if self._has_begun:
                rows.append(("stall_timeout", self._stall, self._stall - silent))
        return rows


_WHAT = {
    "total_timeout": "the answer was not whole",
    "first_event_timeout": "no event came from the provider",
    "idle_timeout": "no byte came from the provider",
    "stall_timeout": "only keep-alives came from the provider, and nothing of the answer",
}
