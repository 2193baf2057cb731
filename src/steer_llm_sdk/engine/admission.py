"""Limits on this side: how many streams run at once, and how much is asked for in a minute.

A `Lane` is one place that is limited: a provider, or the whole client. Whoever has to wait there
waits in a queue, first come, first served; only the first of it looks at the limits, and one timer
a lane wakes it, so that ten thousand that wait cost nothing. What was sent is remembered for a
minute: in no sixty seconds is more sent than is allowed.

An `Admission` belongs to one client in one event loop.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steer_llm_sdk.answer.budget import count_prompt
from steer_llm_sdk.clock import Clock, Timer
from steer_llm_sdk.engine.plan import Limits, Target
from steer_llm_sdk.errors import ConfigurationError, RequestTimeoutError

_WINDOW = 60.0
_NEVER = float("inf")

# A timer is not set finer than this, so that rounding cannot make it fire without end.
_LEAST_DELAY = 0.001

Owner = asyncio.Task[Any]


@dataclass(slots=True, eq=False)
class _Waiter:
    """Somebody who waits in a queue."""

    turn: asyncio.Future[Slot]
    tokens: int
    owner: Owner | None


class Slot:
    """A place in a lane; it is left once.

    Args:
        lane: The lane.
        tokens: The tokens that were counted for it.
        owner: The task that pulls the stream.
        at: Since when it is taken.
    """

    __slots__ = ("_lane", "_owner", "at", "tokens")

    def __init__(self, lane: Lane, tokens: int, owner: Owner | None, at: float) -> None:
        self._lane: Lane | None = lane
        self._owner = None if owner is None else weakref.ref(owner)
        self.tokens = tokens
        self.at = at

    def is_of(self, owner: Owner) -> bool:
        """Whether this task pulls the stream that has the place."""
        return self._owner is not None and self._owner() is owner

    def leave(self, used: int | None = None) -> None:
        """Leave the place.

        Args:
            used: The tokens that the stream came to; None where that is not known.
        """
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.leave(self, used)

    def give_back(self) -> None:
        """Leave the place, from which nothing was sent."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.take_back(self)


class Lane:
    """One place that is limited.

    Args:
        name: What is limited, for errors.
        limits: How.
        clock: What time it is.
    """

    def __init__(self, name: str, limits: Limits, clock: Clock) -> None:
        self._name = name
        self._limits = limits
        self._clock = clock
        self._inside: set[Slot] = set()
        self._sent: deque[float] = deque()  # when, in the last minute
        self._spent: deque[tuple[float, int]] = deque()  # tokens, and when
        self._tokens = 0  # their sum
        self._waiting: OrderedDict[_Waiter, None] = OrderedDict()
        self._blocked_until = -_NEVER
        self._timer: Timer | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def enter(self, tokens: int, owner: Owner | None, seconds: float | None) -> Slot:
        """Wait until it is one's turn.

        Args:
            tokens: How many tokens are asked for.
            owner: The task that pulls the stream.
            seconds: How many to wait at the most; None for no limit.

        Raises:
            ConfigurationError: It could never be one's turn: more tokens are asked for than are
                allowed in a minute, or the same task holds all places.
            RequestTimeoutError: It was not in time.
        """
        self._refuse_too_many(tokens)
        if not self._waiting and self._delay(tokens) <= 0:
            return self._admit(tokens, owner)
        self._refuse_own_places(owner)
        waiter = _Waiter(asyncio.get_running_loop().create_future(), tokens, owner)
        self._waiting[waiter] = None
        if len(self._waiting) == 1:
            self._wake()
        timer = self._expire_later(waiter, seconds)
        try:
            return await waiter.turn
        except BaseException:
            was_first = next(iter(self._waiting), None) is waiter
            self._waiting.pop(waiter, None)
            if waiter.turn.done() and not waiter.turn.cancelled() and not waiter.turn.exception():
                waiter.turn.result().give_back()  # it came in the moment of the cancellation
            if was_first:
                self._wake()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def leave(self, slot: Slot, used: int | None) -> None:
        """Free the place of a stream, and count what it came to."""
        self._inside.discard(slot)
        if used is not None and used > slot.tokens:
            self._count(used - slot.tokens, self._clock.monotonic())
        self._wake()

    def take_back(self, slot: Slot) -> None:
        """Free a place from which nothing was sent: it counts for nothing."""
        self._inside.discard(slot)
        self._forget(self._clock.monotonic())
        if slot.at in self._sent:
            self._sent.remove(slot.at)
        if (slot.at, slot.tokens) in self._spent:
            self._spent.remove((slot.at, slot.tokens))
            self._tokens -= slot.tokens
        self._wake()

    def block(self, seconds: float) -> None:
        """Let nobody in for so long: the provider has asked for it."""
        self._blocked_until = max(self._blocked_until, self._clock.monotonic() + seconds)

    # --- whose turn it is -----------------------------------------------------------------------

    def _wake(self) -> None:
        """Let in whoever may go on, in their order; set the timer for the first who may not yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            first = next(iter(self._waiting))
            delay = self._delay(first.tokens)
            if delay > 0:
                self._look_later(delay)
                return
            del self._waiting[first]
            if not first.turn.done():
                first.turn.set_result(self._admit(first.tokens, first.owner))

    def _look_later(self, delay: float) -> None:
        if delay < _NEVER:  # else whoever leaves wakes it
            self._timer = self._clock.call_later(max(delay, _LEAST_DELAY), self._wake)

    def _delay(self, tokens: int) -> float:
        """Seconds until so many tokens may be asked for; 0 when they may now."""
        limits, now = self._limits, self._clock.monotonic()
        if limits.max_streams is not None and len(self._inside) >= limits.max_streams:
            return _NEVER
        self._forget(now)
        delay = max(0.0, self._blocked_until - now)
        if limits.requests_per_minute is not None:
            over = len(self._sent) - limits.requests_per_minute
            delay = max(delay, self._sent[over] + _WINDOW - now if over >= 0 else 0.0)
        return max(delay, self._delay_of_tokens(tokens, now))

    def _delay_of_tokens(self, tokens: int, now: float) -> float:
        allowed = self._limits.tokens_per_minute
        if allowed is None:
            return 0.0
        over = self._tokens + tokens - allowed
        for when, spent in self._spent:
            if over <= 0:
                break
            over -= spent
            if over <= 0:
                return when + _WINDOW - now
        return 0.0

    def _forget(self, now: float) -> None:
        while self._sent and self._sent[0] + _WINDOW <= now:
            self._sent.popleft()
        while self._spent and self._spent[0][0] + _WINDOW <= now:
            self._tokens -= self._spent.popleft()[1]

    def _admit(self, tokens: int, owner: Owner | None) -> Slot:
        now = self._clock.monotonic()
        slot = Slot(self, tokens, owner, now)
        self._inside.add(slot)
        if self._limits.requests_per_minute is not None:
            self._sent.append(now)
        if tokens:
            self._count(tokens, now)
        return slot

    def _count(self, tokens: int, now: float) -> None:
        if self._limits.tokens_per_minute is not None:
            self._spent.append((now, tokens))
            self._tokens += tokens

    # --- what is refused ------------------------------------------------------------------------

    def _refuse_too_many(self, tokens: int) -> None:
        allowed = self._limits.tokens_per_minute
        if allowed is not None and tokens > allowed:
            raise ConfigurationError(
                f"{self._name}: the prompt is about {tokens} tokens, more than the {allowed} that "
                "tokens_per_minute allows"
            )

    def _refuse_own_places(self, owner: Owner | None) -> None:
        """Refuse to wait for places that the same task holds: it would wait for itself."""
        limit = self._limits.max_streams
        if owner is None or limit is None or len(self._inside) < limit:
            return
        if all(slot.is_of(owner) for slot in self._inside):
            raise ConfigurationError(
                f"{self._name}: this call is made from within a stream that holds the last of "
                f"{limit} places (max_streams), and would wait for itself: end that stream first, "
                "make the call in a task of its own, or allow more"
            )

    def _expire_later(self, waiter: _Waiter, seconds: float | None) -> Timer | None:
        if seconds is None:
            return None

        def expire() -> None:
            if not waiter.turn.done():
                waiter.turn.set_exception(_late(self._name, seconds))

        return self._clock.call_later(seconds, expire)


def _late(name: str, seconds: float) -> RequestTimeoutError:
    error = RequestTimeoutError(
        f"{name}: it was not this call's turn within {seconds:g} s (queue_timeout)",
        limit="queue_timeout",
        seconds=seconds,
    )
    error.is_retryable = False
    return error


class Places:
    """The places of one attempt, in all lanes that it has to pass."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: list[Slot] = []

    def add(self, slot: Slot) -> None:
        """Hold one more."""
        self._slots.append(slot)

    def leave(self, usage: Mapping[str, Any] | None = None) -> None:
        """Leave them all. Only the first time counts.

        Args:
            usage: What the stream has come to, as its response has it.
        """
        used = usage.get("total_tokens") if usage else None
        slots, self._slots = self._slots, []
        for slot in slots:
            slot.leave(used)

    def give_back(self) -> None:
        """Leave them all, before anything was sent."""
        slots, self._slots = self._slots, []
        for slot in slots:
            slot.give_back()


class Admission:
    """The lanes of one client in one event loop.

    Args:
        max_streams: How many streams of the client may run at once; None for no limit.
    """

    def __init__(self, max_streams: int | None = None) -> None:
        self._max_streams = max_streams
        self._lanes: dict[str, Lane] = {}

    def is_needed(self, target: Target) -> bool:
        """Whether anything limits the attempts at this target."""
        return self._max_streams is not None or target.limits.are_set

    async def enter(
        self, target: Target, clock: Clock, owner: Owner | None, seconds: float | None
    ) -> Places:
        """Wait for one's turn, at the provider and then at the client.

        Raises:
            ConfigurationError: It could never come.
            RequestTimeoutError: It did not come in time.
        """
        tokens = 0 if target.limits.tokens_per_minute is None else count_prompt(target.chat)
        begun, places = clock.monotonic(), Places()
        try:
            for lane, asked in self._lanes_of(target, tokens, clock):
                left = None if seconds is None else seconds - (clock.monotonic() - begun)
                places.add(await lane.enter(asked, owner, left))
        except BaseException:
            places.give_back()
            raise
        return places

    def slow_down(self, target: Target, seconds: float, clock: Clock) -> None:
        """Let nobody ask a provider for so long: it has asked for it."""
        if target.limits.are_set:
            self._lane(target.provider, target.limits, clock).block(seconds)

    def _lanes_of(self, target: Target, tokens: int, clock: Clock) -> list[tuple[Lane, int]]:
        lanes: list[tuple[Lane, int]] = []
        if target.limits.are_set:
            lanes.append((self._lane(target.provider, target.limits, clock), tokens))
        if self._max_streams is not None:
            lanes.append((self._lane("", Limits(self._max_streams), clock), 0))
        return lanes

    def _lane(self, name: str, limits: Limits, clock: Clock) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name or "this client", limits, clock)
        return lane
