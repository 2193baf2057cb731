"""`SteerLLMClient`: chooses a provider, wires the layers, and owns what outlives a call."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack, overload

from steer_llm_sdk.bulk import ManyPrompts
from steer_llm_sdk.calls import (
    METHODS,
    CallArguments,
    CallKeywords,
    ItemKeywords,
    Planner,
    place_in_client,
    read_options,
)
from steer_llm_sdk.catalog import ModelLists
from steer_llm_sdk.checks import NUMBER, POSITIVE, with_advice, with_hints
from steer_llm_sdk.clock import CLOCK, Clock, SystemClock
from steer_llm_sdk.config import ProviderSettings
from steer_llm_sdk.engine.plan import Plan
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.engine.threads import ToolThreads
from steer_llm_sdk.journal.base import Journal
from steer_llm_sdk.models.callbacks import (
    CompleteCallback,
    DeltaCallback,
    ErrorCallback,
    StartCallback,
    UsageCallback,
)
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.shapes import Answer, Item
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.opening import Opener
from steer_llm_sdk.pools import DEFAULT_MAX_GENERATIONS, Pool, Pools
from steer_llm_sdk.sinks.base import Sink
from steer_llm_sdk.sinks.feed import SinkFeed
from steer_llm_sdk.stored import Shared
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.streaming.views import ItemsStream, TextStream
from steer_llm_sdk.structured import ItemStream, read_item_type
from steer_llm_sdk.tools import ToolRuns
from steer_llm_sdk.transport.base import Transport


@with_advice(place_in_client)
@with_hints(METHODS)
class SteerLLMClient(Shared, ManyPrompts, ModelLists, ToolRuns):
    """Streams from language models, whoever serves them, as typed events.

    A client may be made outside of an event loop, and used from several loops one after another. It
    keeps its connections alive and shares them among its streams; `close` closes them, and so does
    the end of the event loop.

    ::

        async with SteerLLMClient() as client:
            response = await client.stream_with_usage("Hello", "gpt-4o", on_delta=print)

    Args:
        openai_api_key: Else ``OPENAI_API_KEY`` is read.
        anthropic_api_key: Else ``ANTHROPIC_API_KEY`` is read.
        xai_api_key: Else ``XAI_API_KEY`` is read.
        providers: How providers are reached, by name: keys, endpoints, headers, proxies.
        transport: What sends requests, in place of the network (`steer_llm_sdk.testing`).
        clock: What time it is, in place of the real one (`steer_llm_sdk.testing`).
        sinks: Who is told of every stream (`steer_llm_sdk.sinks`).
        max_generations: How many of `start` may run at once, in each event loop.
        max_streams: How many streams may run at once, in each event loop; others wait for their
            turn.

    Attributes:
        stats: What became of its streams, in numbers.

    Raises:
        UnknownProviderError: A name in `providers` is not known and has no ``kind``.
        ConfigurationError: What is in `sinks` is no sink.
    """

    def __init__(
        self,
        openai_api_key: str | None = None,
        anthropic_api_key: str | None = None,
        xai_api_key: str | None = None,
        *,
        providers: Mapping[str, ProviderSettings] | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        sinks: Sequence[Sink] = (),
        max_generations: int = DEFAULT_MAX_GENERATIONS,
        max_streams: int | None = None,
    ) -> None:
        POSITIVE.check("max_generations", max_generations)
        POSITIVE.check_given("max_streams", max_streams)
        CLOCK.check_given("clock", clock)
        keys = {"openai": openai_api_key, "anthropic": anthropic_api_key, "xai": xai_api_key}
        self.stats = ClientStats()
        self._planner = Planner(keys, {} if providers is None else providers)
        self._clock = clock or SystemClock()
        self._sinks = SinkFeed(sinks, self.stats, self._clock)
        self._pools = Pools(transport, self.stats, max_generations, max_streams)
        self._opener = Opener(self._pools, self._sinks, self._clock, self.stats)
        self._tool_threads = ToolThreads()

    # --- streaming ----------------------------------------------------------------------------

    @overload
    async def stream_with_usage(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        on_start: StartCallback | None = None,
        on_delta: DeltaCallback | None = None,
        on_usage: UsageCallback | None = None,
        on_complete: CompleteCallback | None = None,
        on_error: ErrorCallback | None = None,
        *,
        response_format: type[Answer],
        **arguments: Unpack[ItemKeywords],
    ) -> StreamingResponse[Answer]: ...

    @overload
    async def stream_with_usage(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        on_start: StartCallback | None = None,
        on_delta: DeltaCallback | None = None,
        on_usage: UsageCallback | None = None,
        on_complete: CompleteCallback | None = None,
        on_error: ErrorCallback | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> StreamingResponse: ...

    async def stream_with_usage(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        on_start: StartCallback | None = None,
        on_delta: DeltaCallback | None = None,
        on_usage: UsageCallback | None = None,
        on_complete: CompleteCallback | None = None,
        on_error: ErrorCallback | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> StreamingResponse:
        """Stream an answer, with a callback for each kind of event.

        Callbacks may be plain or asynchronous; each is finished before the next event. One that
        raises is logged, and does not end the stream.

        Args:
            messages: A string, or a list of ``{"role", "content"}``.
            model: The model, such as ``"gpt-4o"``, ``"ollama:llama3.2"`` or ``"local:smollm2"``.
            temperature: How freely the model chooses its words.
            max_tokens: The longest answer, in tokens.
            streaming_options: How the stream is run: limits, retries, the event processor.
            on_start: Called with the `StreamStartEvent`.
            on_delta: Called with each `StreamDeltaEvent`.
            on_usage: Called with the `StreamUsageEvent`.
            on_complete: Called with the `StreamCompleteEvent`.
            on_error: Called with the `StreamErrorEvent`.
            **arguments: `response_format`, `tools`, `tool_choice`, `system`, `stop`, `seed`,
                `top_p`, `reasoning`, `provider`, `request_id`, `metadata`, `extra_body`,
                `extra_headers` and `api_key`: see `CallKeywords`.

        Returns:
            The response; with `on_error`, also that of a failed stream: see its `error`.

        Raises:
            ConfigurationError: The call cannot be made as it was asked for.
            SteerError: The stream failed, and there is no `on_error`.
        """
        plan = self._plan(messages, model, temperature, max_tokens, streaming_options, arguments)
        options = plan.options
        callbacks = (on_start, on_delta, on_usage, on_complete, on_error)
        manager = EventManager(
            *callbacks,
            request_id=plan.request_id,
            stream_id=plan.stream_id,
            raise_errors=options.raise_callback_errors,
            slow_warning_ms=options.slow_callback_warning_ms,
        )
        raises = on_error is None if options.raise_on_error is None else options.raise_on_error
        return await self._stream(plan, manager, raises=raises).run()

    @overload
    def stream_events(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        response_format: type[Answer],
        **arguments: Unpack[ItemKeywords],
    ) -> EventStream[Answer]: ...

    @overload
    def stream_events(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> EventStream: ...

    def stream_events(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> EventStream:
        """Stream an answer as an async iterator of events; use it in an ``async with``.

        The error event of a failed stream is yielded, and then its error is raised.

        Args:
            messages: As in `stream_with_usage`.
            model: As in `stream_with_usage`.
            temperature: As in `stream_with_usage`.
            max_tokens: As in `stream_with_usage`.
            streaming_options: As in `stream_with_usage`.
            **arguments: As in `stream_with_usage`.

        Raises:
            ConfigurationError: The call cannot be made as it was asked for.
        """
        plan = self._plan(messages, model, temperature, max_tokens, streaming_options, arguments)
        wanted = plan.options.raise_on_error
        return self._stream(plan, None, raises=True if wanted is None else wanted)

    def stream(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> TextStream:
        """Stream the words of an answer: ``async for text in client.stream(…)``.

        The arguments are those of `stream_with_usage`, without callbacks.

        Raises:
            ConfigurationError: The call cannot be made as it was asked for.
        """
        events = self.stream_events(
            messages, model, temperature, max_tokens, streaming_options, **arguments
        )
        return TextStream(events)

    @overload
    def stream_items(
        self,
        messages: object,
        item_type: type[Item],
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[ItemKeywords],
    ) -> ItemsStream[Item]: ...

    @overload
    def stream_items(
        self,
        messages: object,
        item_type: Any,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[ItemKeywords],
    ) -> ItemsStream: ...

    def stream_items(
        self,
        messages: object,
        item_type: Any,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[ItemKeywords],
    ) -> ItemsStream:
        """Stream a list: ``async for row in client.stream_items(…)``.

        Each element is yielded as soon as it is complete and valid, while the next ones still
        arrive.

        Args:
            messages: As in `stream_with_usage`.
            item_type: What an element is: a msgspec Struct, a dataclass, a TypedDict, a pydantic
                model, a plain type such as ``str``, or a JSON Schema as a mapping.
            model: As in `stream_with_usage`.
            temperature: As in `stream_with_usage`.
            max_tokens: As in `stream_with_usage`.
            streaming_options: As in `stream_with_usage`.
            **arguments: As in `stream_with_usage`, without `response_format`.

        Raises:
            ConfigurationError: The call cannot be made as it was asked for.
        """
        options = read_options(streaming_options)
        if "response_format" in arguments:
            raise TypeError(
                "unexpected keyword argument 'response_format': item_type says what an item is"
            )
        wanted = read_item_type(item_type, validate_schema=options.validate_schema)
        events = self.stream_events(
            messages, model, temperature, max_tokens, options, response_format=wanted, **arguments
        )
        return ItemsStream(events, ItemStream(wanted, json_extract=options.json_extract))

    @overload
    async def generate(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        response_format: type[Answer],
        **arguments: Unpack[ItemKeywords],
    ) -> StreamingResponse[Answer]: ...

    @overload
    async def generate(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> StreamingResponse: ...

    async def generate(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> StreamingResponse:
        """Get a whole answer. It comes by the same road, so limits and errors are the same.

        The arguments are those of `stream_with_usage`, without callbacks.

        Raises:
            ConfigurationError: The call cannot be made as it was asked for.
            SteerError: The stream failed.
        """
        plan = self._plan(messages, model, temperature, max_tokens, streaming_options, arguments)
        wanted = plan.options.raise_on_error
        return await self._stream(plan, None, raises=True if wanted is None else wanted).run()

    # --- apart from the caller ------------------------------------------------------------------

    async def start(
        self,
        messages: object,
        model: str,
        temperature: float | None = None,
        max_tokens: int | None = None,
        streaming_options: StreamingOptions | None = None,
        *,
        journal: Journal,
        key: str | None = None,
        **arguments: Unpack[CallKeywords],
    ) -> str:
        """Begin an answer apart from the caller, who may leave: its events go into a journal.

        It runs in this event loop, as long as the client: `close` stops it, and the journal says
        so. ``journal.attach(stream_id)`` follows it from any process, ``journal.stop(stream_id)``
        stops it.

        Args:
            messages: As in `stream_with_usage`.
            model: As in `stream_with_usage`.
            temperature: As in `stream_with_usage`.
            max_tokens: As in `stream_with_usage`.
            streaming_options: As in `stream_with_usage`.
            journal: Where the events go: a `MemoryJournal`, `SQLiteJournal` or `RedisJournal`.
            key: Begins the answer once: asked again by the same key, it is the same stream, until
                that fails or is not kept any more.
            **arguments: As in `stream_with_usage`.

        Returns:
            The stream's identifier, its first event being in the journal.

        Raises:
            ConfigurationError: The call cannot be made as it was asked for; the key has begun
                another request; or `max_generations` run already.
            ConnectionLostError: The journal cannot be reached.
        """
        from steer_llm_sdk.journal.starting import start

        plan = self._plan(messages, model, temperature, max_tokens, streaming_options, arguments)
        return await start(
            plan, lambda: self._stream(plan, None, raises=False), self._pools.here(), journal, key
        )

    # --- its life -----------------------------------------------------------------------------

    async def close(self, grace: float = 0.0) -> None:
        """End the streams that still run in this loop, and close its connections.

        Waits for what cancelled streams still have to deliver, and for the sinks to write it down.
        Plain functions of tools that still run are not waited for, but counted in `stats`.
        The client may be used again after.

        Args:
            grace: How many seconds the answers that `start` began have to end by themselves; then
                they are stopped, and their journals say so.
        """
        NUMBER.check("grace", grace)
        await self._pools.here().close(grace)
        self.stats.note_functions_left(self._tool_threads.tell_left())
        await self._sinks.flush()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # --- wiring -------------------------------------------------------------------------------

    def _plan(
        self,
        messages: object,
        model: str,
        temperature: float | None,
        max_tokens: int | None,
        streaming_options: StreamingOptions | None,
        arguments: CallKeywords,
    ) -> Plan:
        given = {
            **arguments,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "streaming_options": streaming_options,
        }
        return self._planner.plan(messages, model, CallArguments.read(given))

    def _stream(self, plan: Plan, manager: EventManager | None, *, raises: bool) -> EventStream:
        structured = plan.structured if plan.is_json else None
        return EventStream(
            partial(self._opener.open, plan),
            self._keep,
            plan.options,
            manager,
            structured=structured,
            raises=raises,
        )

    def _here(self) -> Pool:
        return self._pools.here()

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._pools.here().keep(work)
