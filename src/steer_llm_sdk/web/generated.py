"""An application's own async generator as a source: `Generated`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from steer_llm_sdk.checks import type_found
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.tasks import start_task, until_ended


class Generated:
    """Takes the events of an async generator, whose waits must not be given up.

    A generator in which a wait is cancelled has ended, and what it waited for is lost; so it runs
    in a task of its own. That is one task for all of it: a stream belongs to the task that iterates
    it.

    Args:
        generator: Gives events.
    """

    def __init__(self, generator: AsyncGenerator[StreamEvent, None]) -> None:
        self._generator = generator
        self._made: asyncio.Queue[StreamEvent | Exception] = asyncio.Queue(1)
        self._making: asyncio.Task[None] | None = None

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._making is None:
            self._making = start_task(self._make())
        made = await self._made.get()
        if isinstance(made, Exception):
            raise made
        return made

    async def _make(self) -> None:
        ending: Exception = StopAsyncIteration()
        try:
            async for event in self._generator:
                if not isinstance(event, StreamEvent):
                    ending = ConfigurationError(
                        f"source: expected a generator of events, found {type_found(event)} in it"
                    )
                    break
                await self._made.put(event)
        except Exception as error:  # noqa: BLE001 - the application's; whoever reads gets it
            ending = error
        await self._made.put(ending)

    async def aclose(self) -> None:
        """Leave the generator."""
        if self._making is not None:
            self._making.cancel()
            await until_ended(self._making)
        await self._generator.aclose()
