"""Sends deltas through the text transformers, before even the response has them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from steer_llm_sdk.answer.intake import Intake
from steer_llm_sdk.answer.parts import Parts
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.fragments import Finish, Usage
from steer_llm_sdk.models.ports import Transformer
from steer_llm_sdk.pipeline.chain import TransformerChain, resolve
from steer_llm_sdk.pipeline.cleaning import Cleaner, has_beside
from steer_llm_sdk.pipeline.user_errors import UserErrorLog


class TextStage:
    """Runs one stream's text transformers. They are made afresh for each attempt.

    Args:
        transformers: In the order in which deltas pass them.

    Attributes:
        errors: How often they have raised (``errors.count``).
        is_needed: Whether there are any.
        redacts: Whether one of them may take words away. Then nothing that the provider says
            beside the answer passes unread, and what none of them can read does not pass.
    """

    def __init__(self, transformers: Sequence[Transformer]) -> None:
        self._transformers = transformers
        self._chain: TransformerChain | None = None
        self._cleaner: Cleaner | None = None
        self.errors = UserErrorLog()
        self.is_needed = bool(transformers)
        self.redacts = any(map(_redacts, transformers))

    def begin_attempt(self) -> None:
        """Forget what an earlier attempt left."""
        if not self._transformers:
            return
        self._chain = TransformerChain(self._transformers, self.errors, is_strict=True)
        if self.redacts and self._cleaner is None:
            pairs = zip(self._transformers, self._chain.instances, strict=True)
            self._cleaner = Cleaner([pair for pair in pairs if _redacts(pair[0])])

    def process(
        self, events: Iterable[StreamEvent]
    ) -> list[StreamDeltaEvent] | Awaitable[list[StreamDeltaEvent]]:
        """Send deltas through the transformers.

        Returns:
            Those that still say something: a plain list where every transformer was synchronous
            and the deltas have words alone; otherwise something to await.
        """
        assert self._chain is not None  # noqa: S101 - every attempt begins before its first delta
        processed: list[StreamDeltaEvent] = []
        waiting = iter(events)
        for event in waiting:
            if self._cleaner is not None and has_beside(event):
                return self._process_rest(self._chain, processed, chain((event,), waiting))
            kept = self._chain.process(event)
            if not isinstance(kept, list):
                return self._process_rest(self._chain, processed, waiting, kept)
            processed += _deltas(kept)
        return processed

    async def _process_rest(
        self,
        transformers: TransformerChain,
        processed: list[StreamDeltaEvent],
        waiting: Iterator[StreamEvent],
        begun: Awaitable[list[StreamEvent]] | None = None,
    ) -> list[StreamDeltaEvent]:
        if begun is not None:
            processed += _deltas(await begun)
        for event in waiting:
            if self._cleaner is not None and isinstance(event, StreamDeltaEvent):
                await self._cleaner.clean_event(event)
            processed += _deltas(await resolve(transformers.process(event)))
        return processed

    async def finish(self) -> list[StreamDeltaEvent]:
        """Take what the transformers hold; once."""
        transformers, self._chain = self._chain, None
        held = [] if transformers is None else await resolve(transformers.finish())
        return list(_deltas(held))

    async def clean_error(self, error: SteerError) -> None:
        """Redact an error that ends an attempt: its message, and whatever it quotes."""
        if self._cleaner is not None:
            await self._cleaner.clean_error(error)

    async def clean(self, values: dict[str, Any]) -> dict[str, Any]:
        """Redact the strings of a mapping."""
        if self._cleaner is None:
            return values
        cleaned: dict[str, Any] = await self._cleaner.clean_value(values)
        return cleaned

    async def clean_beside(self, intake: Intake) -> None:
        """Redact what the provider said beside the answer, before the last events tell of it."""
        if self._cleaner is None:
            return
        clean = self._cleaner.clean_value
        intake.metadata = await clean(intake.metadata)
        pending = intake.take_pending()
        intake.put_pending(pending)  # not lost when this is cancelled while it waits
        intake.put_pending(await clean(pending))
        if (usage := intake.usage) is not None:
            intake.usage = Usage(usage.counts, await clean(usage.raw))
        if (finish := intake.finish) is not None:
            intake.finish = Finish(finish.reason, await clean(finish.provider_reason))
        await self._check_parts(intake.parts, clean)

    @staticmethod
    async def _check_parts(parts: Parts, clean: Callable[[Any], Awaitable[Any]]) -> None:
        """Leave out what the provider wants back with a part, where it would have to be changed."""
        for number, data in list(parts.stored_data()):
            if await clean(data) != data:
                parts.drop_data(number)
        parts.note_checked()


def _redacts(one: Transformer) -> bool:
    return bool(getattr(one, "redacts", True))


def _deltas(events: Iterable[StreamEvent]) -> Iterable[StreamDeltaEvent]:
    """Pick the deltas that say something: an empty one is never emitted."""
    return (event for event in events if isinstance(event, StreamDeltaEvent) and _has_said(event))


def _has_said(event: StreamDeltaEvent) -> bool:
    delta = event.delta
    if not isinstance(delta, dict):
        return bool(delta)
    return any(value for key, value in delta.items() if key not in {"type", "index"})
