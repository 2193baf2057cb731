"""Limits on this side: how many streams run at once, and how much is asked for in a minute.

Each attempt passes the lane of its provider, and then that of its client (`engine.lanes`). An
`Admission` belongs to one client in one event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from steer_llm_sdk.answer.budget import count_prompt
from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.lanes import Asking, Lane, OnWait, Owner, Slot
from steer_llm_sdk.engine.plan import Limits, Target


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
        self._numbers = count()

    def is_needed(self, target: Target) -> bool:
        """Whether anything limits the attempts at this target."""
        return self._max_streams is not None or target.limits.are_set

    async def enter(
        self,
        target: Target,
        clock: Clock,
        owner: Owner | None,
        seconds: float | None,
        on_wait: OnWait | None = None,
    ) -> Places:
        """Wait for one's turn, at the provider and then at the client.

        Args:
            target: Who is to be asked.
            clock: What time it is.
            owner: The task that pulls the stream.
            seconds: How many to wait at the most, for all; None for no limit.
            on_wait: Is told when there is a wait.

        Raises:
            ConfigurationError: It could never come.
            RequestTimeoutError: It did not come in time.
        """
        tokens = 0 if target.limits.tokens_per_minute is None else count_prompt(target.chat)
        asking = Asking(tokens, owner, target.account, next(self._numbers), on_wait, seconds)
        provider, begun = self._lane(target.provider, target.limits, clock), clock.monotonic()
        while True:
            left = None if seconds is None else seconds - (clock.monotonic() - begun)
            places = await self._enter_once(provider, asking, clock, left)
            if not provider.is_paused(target.account):
                return places
            # It has asked for a pause while this one waited for the client.
            places.give_back()

    async def _enter_once(
        self, provider: Lane, asking: Asking, clock: Clock, seconds: float | None
    ) -> Places:
        begun, places = clock.monotonic(), Places()
        try:
            places.add(await provider.enter(asking, seconds))
            if self._max_streams is not None:
                client = self._lane("", Limits(self._max_streams), clock)
                left = None if seconds is None else seconds - (clock.monotonic() - begun)
                places.add(await client.enter(asking, left))
        except BaseException:
            places.give_back()
            raise
        return places

    def slow_down(self, target: Target, seconds: float, clock: Clock) -> None:
        """Let nobody ask a provider with this key for so long: it has asked for it."""
        if self.is_needed(target):
            self._lane(target.provider, target.limits, clock).block(seconds, target.account)

    def _lane(self, name: str, limits: Limits, clock: Clock) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name or "this client", limits, clock)
        return lane
