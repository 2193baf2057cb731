"""Tells a client's sinks of a run, and of each function that it calls: `RunAccount`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.errors import StreamCancelledError
from steer_llm_sdk.models.ports import RunOutcome
from steer_llm_sdk.models.records import RunRecord, ToolRecord
from steer_llm_sdk.sinks.base import Sink
from steer_llm_sdk.sinks.worker import Worker, tell


class Feed(Protocol):
    """Whom a run's account tells: the sinks of a client."""

    sinks: tuple[Sink, ...]
    stats: ClientStats
    clock: Clock

    @property
    def worker(self) -> Worker:
        """What tells them."""
        ...


# What a turn's start event tells, beside the caller's own metadata; results of tools are words.
OF_RUN = frozenset({"turn", "tool_results"})


class RunAccount:
    """The account of one run. It never raises, and never waits.

    Args:
        feed: Whom to tell.
        run_id: The run's identifier.

    Attributes:
        run_id: The run's identifier.
    """

    def __init__(self, feed: Feed, run_id: str) -> None:
        self.run_id = run_id
        self._feed = feed
        self._begun: RunRecord | None = None
        self._has_ended = False
        self._tool_calls = 0

    def begin(self, provider: str, model: str) -> None:
        """Tell the sinks, here and now, that the run begins; only the first time."""
        if self._begun is None and self._feed.worker.may_begin():
            now = self._feed.clock.time()
            self._begun = RunRecord(
                run_id=self.run_id, provider=provider, model=model, started_at=now
            )
            self._tell("run_started", self._begun)

    def end(self, result: RunOutcome) -> None:
        """Have the sinks told that the run has ended; only the first time."""
        if self._begun is None or self._has_ended:
            return
        self._has_ended = True
        now, turns = self._feed.clock.time(), len(result.responses)
        self._feed.worker.submit_end(partial(self._tell_end, self._begun, result, turns, now))

    def begin_tool(self, call: Mapping[str, Any]) -> ToolRecord | None:
        """Tell the sinks, in the function's own task, that it is about to be called.

        Returns:
            What `end_tool` takes; None where they are not told.
        """
        self._tool_calls += 1
        if self._begun is None or not self._feed.worker.may_begin():
            return None
        record = ToolRecord(
            run_id=self.run_id,
            call_id=str(call["id"]),
            name=str(call["name"]),
            started_at=self._feed.clock.time(),
            content={"arguments": call["arguments"]},
        )
        self._tell("tool_started", record)
        return record

    def end_tool(
        self, record: ToolRecord | None, error_type: str | None, result: Any = None
    ) -> None:
        """Have the sinks told what became of a call that they know of."""
        if record is None:
            return
        ended = record.replace(
            ended_at=self._feed.clock.time(),
            error_type=error_type,
            content={**(record.content or {}), "result": result},
        )
        self._feed.worker.submit_end(partial(self._tell, "tool_ended", ended))

    def _tell_end(self, begun: RunRecord, result: RunOutcome, turns: int, now: float) -> None:
        error = result.error
        is_cancelled = isinstance(error, StreamCancelledError)
        self._tell(
            "run_ended",
            begun.replace(
                ended_at=now,
                outcome="completed" if error is None else "cancelled" if is_cancelled else "failed",
                error_type=None if error is None else type(error).__name__,
                turns=turns,
                tool_calls=self._tool_calls,
                usage=dict(result.usage),
                cost_usd=result.cost_usd,
            ),
        )

    def _tell(self, what: str, record: RunRecord | ToolRecord) -> None:
        for sink in self._feed.sinks:
            method = getattr(sink, what, None)
            if not callable(method):
                continue
            has_words = bool(getattr(sink, "content", False))
            is_bare = isinstance(record, RunRecord) or has_words
            told = record if is_bare else record.replace(content=None)
            tell(self._feed.stats, sink, what, method, told)
