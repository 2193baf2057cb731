"""What the methods of a client stand on, for those that live in files of their own."""

from __future__ import annotations

from typing import Protocol

from steer_llm_sdk.calls import CallKeywords, Planner
from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.plan import Plan
from steer_llm_sdk.engine.threads import ToolThreads
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.pools import Pool
from steer_llm_sdk.sinks.feed import SinkFeed
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.streaming.stream import EventStream


class Wired(Protocol):
    """A client, as its own methods see it."""

    _planner: Planner
    _clock: Clock
    _tool_threads: ToolThreads
    _sinks: SinkFeed

    def _plan(
        self,
        messages: object,
        model: str,
        temperature: float | None,
        max_tokens: int | None,
        streaming_options: StreamingOptions | None,
        arguments: CallKeywords,
    ) -> Plan:
        """Make the plan of one call.

        Raises:
            ConfigurationError: It cannot be made as it was asked for.
        """
        ...

    def _stream(self, plan: Plan, manager: EventManager | None, *, raises: bool) -> EventStream:
        """Make the stream of a plan."""
        ...

    def _here(self) -> Pool:
        """What the client has in the running loop."""
        ...
