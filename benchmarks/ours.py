"""Our client, in each of the ways it is used. See `_worker` for how it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from _worker import Job, Seen, Way, main

from steer_llm_sdk import ProviderSettings, SteerLLMClient, SyncSteerLLMClient
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import create_event_processor

_PROVIDERS = {
    "openai": ("openai", "/v1"),
    "responses": ("openai-responses", "/v1"),
    "anthropic": ("anthropic", ""),
    "gemini": ("gemini", ""),
}

_clients: dict[tuple[type, str, str], Any] = {}


def _client(job: Job, kind: type = SteerLLMClient) -> Any:
    """One client an endpoint, kept."""
    provider, path = _PROVIDERS[job.wire]
    key = (kind, provider, job.base)
    client = _clients.get(key)
    if client is None:
        settings = ProviderSettings(api_key="none", base_url=job.base + path)
        client = _clients[key] = kind(providers={provider: settings})
    return client


def _asked(job: Job) -> dict[str, Any]:
    return {"messages": "Hello", "model": "bench-1", "provider": _PROVIDERS[job.wire][0]}


async def typed(event: StreamEvent) -> None:
    """A callback that takes the event."""


async def untyped(event) -> None:  # type: ignore[no-untyped-def]
    """A callback as they were written before there were events."""


def _five(callback: Callable[[Any], Any]) -> dict[str, Callable[[Any], Any]]:
    kinds = ("on_start", "on_delta", "on_usage", "on_complete", "on_error")
    return dict.fromkeys(kinds, callback)


def _count(response: Any) -> int:
    response.raise_for_error()
    calls = response.tool_calls
    return len(calls[0]["arguments"]) if calls else len(response.get_text())


async def callbacks(job: Job, seen: Seen | None) -> int:
    """``stream_with_usage`` with five typed asynchronous callbacks."""
    given = _five(typed)
    if seen is not None:

        async def on_delta(event: StreamDeltaEvent) -> None:
            seen(event.get_text())

        given["on_delta"] = on_delta
    return _count(await _client(job).stream_with_usage(**_asked(job), **given))


async def untyped_callbacks(job: Job, seen: Seen | None) -> int:
    """The same, without annotations."""
    return _count(await _client(job).stream_with_usage(**_asked(job), **_five(untyped)))


async def lambdas(job: Job, seen: Seen | None) -> int:
    """Five lambdas that read the delta."""
    given = _five(lambda event: None) | {"on_delta": lambda event: event.delta}
    return _count(await _client(job).stream_with_usage(**_asked(job), **given))


async def dicts(job: Job, seen: Seen | None) -> int:
    """An untyped callback that reads the event as the dict it once was."""
    given = _five(lambda data: None) | {"on_delta": lambda data: data["text"]}
    return _count(await _client(job).stream_with_usage(**_asked(job), **given))


_PROCESSED = StreamingOptions(
    event_processor=create_event_processor(
        event_types=[StreamEvent], add_correlation=True, add_timestamp=True, add_metrics=True
    )
)


async def processor(job: Job, seen: Seen | None) -> int:
    """Five typed callbacks behind a processor of one filter and three transformers."""
    given = _five(typed)
    return _count(
        await _client(job).stream_with_usage(**_asked(job), streaming_options=_PROCESSED, **given)
    )


async def iterator(job: Job, seen: Seen | None) -> int:
    """``async for event in stream_events(…)``."""
    async with _client(job).stream_events(**_asked(job)) as stream:
        async for event in stream:
            if seen is not None and event.type == "delta":
                seen(event.get_text())
    return _count(stream.response)


async def texts(job: Job, seen: Seen | None) -> int:
    """``async for text in stream(…)``."""
    found = 0
    async for text in _client(job).stream(**_asked(job)):
        found += len(text)
    return found


async def json_mode(job: Job, seen: Seen | None) -> int:
    """JSON mode: the value so far is read at every delta."""
    wanted = {"type": "json_object"}
    async with _client(job).stream_events(**_asked(job), response_format=wanted) as stream:
        async for _ in stream:
            stream.partial_json()
    response = stream.response
    response.get_json()
    return _count(response)


async def json_callbacks(job: Job, seen: Seen | None) -> int:
    """JSON mode with five typed callbacks; the value is read at the end."""
    wanted = {"type": "json_object"}
    response = await _client(job).stream_with_usage(
        **_asked(job), response_format=wanted, **_five(typed)
    )
    response.get_json()
    return _count(response)


async def metrics(job: Job, seen: Seen | None) -> int:
    """Five typed callbacks; then the figures are read."""
    response = await _client(job).stream_with_usage(**_asked(job), **_five(typed))
    assert response.metrics["chunks"] == job.chunks
    return _count(response)


def sync_callbacks(job: Job, seen: Seen | None) -> int:
    """The blocking client, with five plain callbacks."""

    def plain(event: StreamEvent) -> None:
        pass

    client = _client(job, SyncSteerLLMClient)
    return _count(client.stream_with_usage(**_asked(job), **_five(plain)))


def sync_iterator(job: Job, seen: Seen | None) -> int:
    """``for event in stream_events(…)`` of the blocking client."""
    with _client(job, SyncSteerLLMClient).stream_events(**_asked(job)) as stream:
        for _ in stream:
            pass
    return _count(stream.response)


WAYS: dict[str, Way] = {
    "callbacks": callbacks,
    "untyped": untyped_callbacks,
    "lambdas": lambdas,
    "dicts": dicts,
    "processor": processor,
    "iterator": iterator,
    "texts": texts,
    "json": json_mode,
    "json-callbacks": json_callbacks,
    "metrics": metrics,
    "sync": sync_callbacks,
    "sync-iterator": sync_iterator,
}


def load(way: str) -> Way:
    """The function of a way."""
    return WAYS[way]


if __name__ == "__main__":
    main(load, uvloop="--uvloop" in sys.argv)
