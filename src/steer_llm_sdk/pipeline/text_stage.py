"""Text transformers: between the provider and everything else, the response included."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator, Sequence

from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import Transformer
from steer_llm_sdk.pipeline.chain import TransformerChain, settle
from steer_llm_sdk.pipeline.user_errors import FaultLog


class TextStage:
    """One stream's text transformers. They are made afresh for each attempt.

    Args:
        transformers: In the order in which deltas pass them.

    Attributes:
        faults: How often they have raised (``faults.count``).
        is_needed: Whether there are any.
        conceals: Whether one of them lets nothing unseen pass: then what none of them can check,
            such as log probabilities, which repeat the words, must not pass either.
    """

    def __init__(self, transformers: Sequence[Transformer]) -> None:
        self._transformers = transformers
        self._chain: TransformerChain | None = None
        self.faults = FaultLog()
        self.is_needed = bool(transformers)
        self.conceals = any(getattr(one, "fails_closed", False) for one in transformers)

    def begin_attempt(self) -> None:
        """Forget what an earlier attempt left."""
        if self._transformers:
            self._chain = TransformerChain(self._transformers, self.faults)

    def process(
        self, events: Iterable[StreamEvent]
    ) -> list[StreamDeltaEvent] | Awaitable[list[StreamDeltaEvent]]:
        """Pass deltas through the transformers.

        Returns:
            A plain list where every transformer was synchronous; otherwise something to await.
        """
        assert self._chain is not None  # noqa: S101 - every attempt begins before its first delta
        passed: list[StreamDeltaEvent] = []
        waiting = iter(events)
        for event in waiting:
            kept = self._chain.process(event)
            if not isinstance(kept, list):
                return self._process_later(self._chain, passed, kept, waiting)
            passed += _deltas(kept)
        return passed

    async def _process_later(
        self,
        chain: TransformerChain,
        passed: list[StreamDeltaEvent],
        kept: Awaitable[list[StreamEvent]],
        waiting: Iterator[StreamEvent],
    ) -> list[StreamDeltaEvent]:
        passed += _deltas(await kept)
        for event in waiting:
            passed += _deltas(await settle(chain.process(event)))
        return passed

    async def finish(self) -> list[StreamDeltaEvent]:
        """Give what the transformers held back; once."""
        chain, self._chain = self._chain, None
        return [] if chain is None else list(_deltas(await settle(chain.finish())))


def _deltas(events: Iterable[StreamEvent]) -> Iterable[StreamDeltaEvent]:
    """The deltas that say something: an empty one is never emitted."""
    return (event for event in events if isinstance(event, StreamDeltaEvent) and event.delta)
