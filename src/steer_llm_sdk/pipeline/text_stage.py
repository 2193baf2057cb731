"""Text transformers: between the provider and everything else, the response included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.ports import Transformer
from steer_llm_sdk.pipeline.transformers import TransformerChain
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
        self._finishing: asyncio.Future[list[StreamEvent]] | None = None
        self.faults = FaultLog()
        self.is_needed = bool(transformers)
        self.conceals = any(getattr(one, "fails_closed", False) for one in transformers)

    def begin_attempt(self) -> None:
        """Forget what an earlier attempt left."""
        if self._transformers:
            self._chain = TransformerChain(self._transformers, self.faults)

    async def process(self, events: Iterable[StreamEvent]) -> list[StreamDeltaEvent]:
        """What becomes of these deltas."""
        assert self._chain is not None  # noqa: S101 - every attempt begins before its first delta
        passed: list[StreamDeltaEvent] = []
        for event in events:
            kept = self._chain.process(event)
            passed += _deltas(kept if isinstance(kept, list) else await kept)
        return passed

    async def finish(self) -> list[StreamDeltaEvent]:
        """What was held back; once.

        Where that takes time it is not cancelled with whoever waits for it: called again, this goes
        on to wait.
        """
        chain, self._chain = self._chain, None
        held: list[StreamEvent] | Awaitable[list[StreamEvent]] = []
        if chain is not None:
            held = chain.finish()
        if not isinstance(held, list):
            self._finishing = asyncio.ensure_future(held)
        if self._finishing is not None:
            held = await asyncio.shield(self._finishing)
            self._finishing = None
        assert isinstance(held, list)  # noqa: S101 - narrows the type
        return list(_deltas(held))


def _deltas(events: Iterable[StreamEvent]) -> Iterable[StreamDeltaEvent]:
    """The deltas that say something: an empty one is never emitted."""
    return (event for event in events if isinstance(event, StreamDeltaEvent) and event.delta)
