"""Opens the streams of a client: makes what drives each of them."""

from __future__ import annotations

import random
from collections.abc import Coroutine
from typing import Any

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.budgets import find_allowances, has_budget
from steer_llm_sdk.engine.plan import Plan
from steer_llm_sdk.engine.pump import Pump
from steer_llm_sdk.engine.retrying import Attempts
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.engine.watching import make_pump
from steer_llm_sdk.pools import Leavable, Pool, Pools
from steer_llm_sdk.sinks.feed import SinkFeed
from steer_llm_sdk.transport.base import Transport


class Opener:
    """Opens the streams of one client.

    Args:
        pools: What the client has in each event loop.
        sinks: Who is told of the streams.
        clock: What time it is.
        stats: Where the ends of streams are counted.
    """

    def __init__(self, pools: Pools, sinks: SinkFeed, clock: Clock, stats: ClientStats) -> None:
        self._pools = pools
        self._sinks = sinks
        self._clock = clock
        self._stats = stats
        self._without_usage: set[str] = set()  # targets that refuse to be asked for usage

    def open(self, plan: Plan, stream: Leavable) -> Pump | Coroutine[Any, Any, Pump]:
        """Make what drives a stream, in the running loop; to be awaited where that takes time.

        Mostly it takes none, and then it costs no task of the stream's.

        Args:
            plan: What the stream is to do.
            stream: The stream, which closing the client ends.

        Raises:
            ConfigurationError: The request cannot be made; also when it is awaited.
        """
        here = self._pools.here()
        here.streams.add(stream)
        transport, first = here.ready_transport(), plan.targets[0]
        if transport is None or first.endpoint is None or has_budget(plan.options):
            return self._prepare(plan, here)
        first.spell()
        return self._make(plan, here, transport)

    async def _prepare(self, plan: Plan, here: Pool) -> Pump:
        await plan.targets[0].prepare()
        await find_allowances(plan)
        return self._make(plan, here, await here.transport())

    def _make(self, plan: Plan, here: Pool, transport: Transport) -> Pump:
        plan.account = self._sinks.account(plan)
        if plan.options.record is not None:
            from steer_llm_sdk.recording.recorder import recorded

            transport = recorded(transport, self._clock, plan.options, plan.stream_id)
        attempts = Attempts(plan, random.random, self._without_usage)
        return make_pump(plan, transport, self._clock, attempts, self._stats, here.admission)
