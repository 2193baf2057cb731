"""What type checkers must reject: each line marked `# E`, and no other."""

from __future__ import annotations

from steer_llm_sdk import SteerLLMClient, SyncSteerLLMClient
from steer_llm_sdk.models.events import (
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.manager import EventManager
from steer_llm_sdk.streaming.processor import (
    EventFilter,
    EventProcessor,
    EventTransformer,
    create_event_processor,
)


async def on_delta(event: StreamDeltaEvent) -> None:
    print(event.usage)  # E: a delta has no usage


def on_usage(event: StreamUsageEvent) -> str:
    return event.get_text()  # E: nor has usage a text


def on_error(event: StreamErrorEvent) -> str:
    return event.is_retryable  # E: a bool


def on_number(number: int) -> None:
    print(number)


def on_two(event: StreamDeltaEvent, more: str) -> None:
    print(event, more)


def on_nothing() -> None:
    print()


class Numbers(EventTransformer):
    def transform(self, event: StreamEvent) -> int:  # E: an event, a list of events, or None
        return event.sequence


class Waiting(EventFilter):
    async def should_process(self, event: StreamEvent) -> bool:  # E: a plain function
        return event.sequence == 0


def handle_one(event: StreamEvent) -> None:
    print(event)


async def use(client: SteerLLMClient) -> None:
    ask = client.stream_with_usage
    await ask("Hello", "gpt-4o", on_start=on_delta)  # E: another kind of event
    await ask("Hello", "gpt-4o", on_delta=on_usage)  # E: another kind of event
    await ask("Hello", "gpt-4o", on_complete=on_error)  # E: another kind of event
    await ask("Hello", "gpt-4o", on_delta=on_number)  # E: no event
    await ask("Hello", "gpt-4o", on_delta=on_two)  # E: one argument too many
    await ask("Hello", "gpt-4o", on_delta=on_nothing)  # E: one too few
    await ask("Hello", "gpt-4o", on_delta="print")  # E: nothing to call
    await ask("Hello", "gpt-4o", on_deltas=on_delta)  # E: no such callback
    await ask("Hello", "gpt-4o", max_tokens="many")  # E: no number
    await ask("Hello", "gpt-4o", seed="7")  # E: no number
    await ask("Hello", "gpt-4o", extra_headers={"a": 1})  # E: no text
    await ask("Hello", "gpt-4o", temprature=1.0)  # E: a slip of the pen
    await client.generate("Hello", "gpt-4o", on_delta=on_delta)  # E: it has no callbacks
    client.stream_items("Hello", int, "gpt-4o", response_format=int)  # E: it makes its own
    StreamingOptions(event_processor=Waiting())  # E: no processor
    StreamingOptions(max_retries="two")  # E: no number
    EventProcessor([on_delta])  # E: no filter
    EventManager(on_start=on_delta)  # E: another kind of event
    create_event_processor(batch_handler=handle_one)  # E: not a list of events
    async for text in client.stream("Hello", "gpt-4o"):
        text.get_text()  # E: a str
    response = await client.generate("Hello", "gpt-4o")
    response.content  # E: text, or get_text()  # noqa: B018


def use_blocking(client: SyncSteerLLMClient) -> None:
    client.stream_with_usage("Hello", "gpt-4o", on_usage=on_delta)  # E: another kind of event
    client.generate("Hello", "gpt-4o", stopp="x")  # E: a slip of the pen
