"""The lanes in which streams wait for their turn.

A `Lane` is one place that is limited: a provider, or the whole client. Whoever has to wait there
waits in a queue, first come, first served; only the first of it looks at the limits, and one timer
a lane wakes it, so that ten thousand that wait cost nothing. What was sent is remembered for a
minute: in no sixty seconds is more sent than is allowed.

A provider that asks for a pause (`Lane.block`) gets it from whoever asks it with the same key:
those are held apart, so that others go on, and take their old places in the queue after it.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

from steer_llm_sdk.clock import Clock, Timer
from steer_llm_sdk.engine.plan import Limits
from steer_llm_sdk.errors import ConfigurationError, RequestTimeoutError

_WINDOW = 60.0
_NEVER = float("inf")

# A timer is not set finer than this, so that rounding cannot make it fire without end.
_LEAST_DELAY = 0.001

Owner = asyncio.Task[Any]

# Is told how many wait before, when a wait begins.
OnWait: TypeAlias = Callable[[int], object]


@dataclass(frozen=True, slots=True, eq=False)
class Asking:
    """What is asked for.

    Attributes:
        tokens: How many tokens.
        owner: The task that pulls the stream.
        account: Whose pauses it has to wait out.
        number: The smaller, the earlier it was asked for; None: now.
        on_wait: Is told when it has to wait.
        limit: How many seconds it may wait in all, of which some may have passed; None: as many as
            this lane is given.
    """

    tokens: int = 0
    owner: Owner | None = None
    account: Hashable = None
    number: int | None = None
    on_wait: OnWait | None = None
    limit: float | None = None


@dataclass(slots=True, eq=False)
class _Waiter:
    """Somebody who waits in a queue."""

    asking: Asking
    number: int
    turn: asyncio.Future[Slot]


_Queue: TypeAlias = OrderedDict[_Waiter, None]


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
        self._waiting: _Queue = OrderedDict()
        self._held: dict[Hashable, _Queue] = {}  # by the account whose pause they wait out
        self._pauses: dict[Hashable, float] = {}  # until when
        self._numbers = count()
        self._timer: Timer | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting) + sum(map(len, self._held.values()))

    async def enter(self, asking: Asking, seconds: float | None) -> Slot:
        """Wait until it is one's turn.

        Args:
            asking: What is asked for.
            seconds: How many to wait at the most; None for no limit.

        Raises:
            ConfigurationError: It could never be one's turn: more tokens are asked for than are
                allowed in a minute, or the same task holds all places.
            RequestTimeoutError: It was not in time.
        """
        self._refuse_too_many(asking.tokens)
        is_paused = self.is_paused(asking.account)
        if not self._waiting and not is_paused and self._delay(asking.tokens) <= 0:
            return self._admit(asking)
        self._refuse_own_places(asking.owner)
        if asking.on_wait is not None:
            asking.on_wait(len(self))
        waiter = self._queue(asking, is_held=is_paused)
        timer = self._expire_later(waiter, seconds)
        try:
            return await waiter.turn
        except BaseException:
            self._give_up(waiter)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _queue(self, asking: Asking, *, is_held: bool) -> _Waiter:
        number = next(self._numbers) if asking.number is None else asking.number
        waiter = _Waiter(asking, number, asyncio.get_running_loop().create_future())
        queue = self._held_for(asking.account) if is_held else self._waiting
        queue[waiter] = None
        if len(queue) == 1:
            self._wake()
        return waiter

    def _give_up(self, waiter: _Waiter) -> None:
        """Forget somebody who does not wait any more."""
        was_first = next(iter(self._waiting), None) is waiter
        self._waiting.pop(waiter, None)
        if (held := self._held.get(waiter.asking.account)) is not None:
            held.pop(waiter, None)
        turn = waiter.turn
        if turn.done() and not turn.cancelled() and not turn.exception():
            turn.result().give_back()  # it came in the moment of the cancellation
        if was_first:
            self._wake()

    def leave(self, slot: Slot, used: int | None) -> None:
        """Free the place of a stream, and count what it came to."""
        self._inside.discard(slot)
        if used is not None and used > slot.tokens:
            self._count(used - slot.tokens, self._clock.monotonic())
        self._wake()

    def take_back(self, slot: Slot) -> None:
        """Free a place from which nothing was sent: it counts for nothing."""
        self._inside.discard(slot)
        if slot.at in self._sent:
            self._sent.remove(slot.at)
        if (slot.at, slot.tokens) in self._spent:
            self._spent.remove((slot.at, slot.tokens))
            self._tokens -= slot.tokens
        self._wake()

    def block(self, seconds: float, account: Hashable = None) -> None:
        """Let nobody of an account in for so long: the provider has asked for it."""
        now = self._clock.monotonic()
        until = max(self._pauses.get(account, -_NEVER), now + seconds)
        self._pauses = {other: end for other, end in self._pauses.items() if end > now}
        self._pauses[account] = until

    def is_paused(self, account: Hashable = None) -> bool:
        """Whether nobody of an account is let in."""
        return self._pauses.get(account, -_NEVER) > self._clock.monotonic()

    # --- whose turn it is -----------------------------------------------------------------------

    def _wake(self) -> None:
        """Let in whoever may go on, in their order; set the timer for the first who may not yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._end_pauses()
        while self._waiting:
            first = next(iter(self._waiting))
            asking = first.asking
            if self.is_paused(asking.account):
                del self._waiting[first]
                self._held_for(asking.account)[first] = None
                continue
            if (delay := self._delay(asking.tokens)) > 0:
                self._look_later(delay)
                return
            del self._waiting[first]
            if not first.turn.done():
                first.turn.set_result(self._admit(asking))
        self._look_later(_NEVER)

    def _held_for(self, account: Hashable) -> _Queue:
        return self._held.setdefault(account, OrderedDict())

    def _end_pauses(self) -> None:
        """Give those whose pause is over their places in the queue."""
        over = [account for account in self._held if not self.is_paused(account)]
        if over:
            back = (waiter for account in over for waiter in self._held.pop(account))
            in_order = sorted([*self._waiting, *back], key=lambda waiter: waiter.number)
            self._waiting = OrderedDict.fromkeys(in_order)

    def _look_later(self, delay: float) -> None:
        if self._held:
            end = min(self._pauses[account] for account in self._held)
            delay = min(delay, end - self._clock.monotonic())
        if delay < _NEVER:  # else whoever leaves wakes it
            self._timer = self._clock.call_later(max(delay, _LEAST_DELAY), self._wake)

    def _delay(self, tokens: int) -> float:
        """Seconds until so many tokens may be asked for; 0 when they may now."""
        limits, now = self._limits, self._clock.monotonic()
        if limits.max_streams is not None and len(self._inside) >= limits.max_streams:
            return _NEVER
        self._forget(now)
        delay = 0.0
        if limits.requests_per_minute is not None:
            over = len(self._sent) - limits.requests_per_minute
            delay = self._sent[over] + _WINDOW - now if over >= 0 else 0.0
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

    def _admit(self, asking: Asking) -> Slot:
        now = self._clock.monotonic()
        slot = Slot(self, asking.tokens, asking.owner, now)
        self._inside.add(slot)
        if self._limits.requests_per_minute is not None:
            self._sent.append(now)
        if asking.tokens:
            self._count(asking.tokens, now)
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
                asking = waiter.asking
                limit = seconds if asking.limit is None else asking.limit
                late = _late(self._name, limit, has_asked=self.is_paused(asking.account))
                waiter.turn.set_exception(late)

        return self._clock.call_later(seconds, expire)


def _late(name: str, seconds: float, *, has_asked: bool) -> RequestTimeoutError:
    why = ": the provider has asked for a longer pause" if has_asked else ""
    error = RequestTimeoutError(
        f"{name}: it was not this call's turn within {seconds:g} s (queue_timeout){why}",
        limit="queue_timeout",
        seconds=seconds,
    )
    error.is_retryable = False
    return error
