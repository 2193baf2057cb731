"""Whether a sink does what sinks have to, checked: `check_sink`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from steer_llm_sdk.client import SteerLLMClient
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.sinks.base import Sink, check_sinks, wants_events
from steer_llm_sdk.testing.faults import EndEarly, HTTPError
from steer_llm_sdk.testing.scripted import ScriptedProvider
from steer_llm_sdk.testing.scripts import Script, ScriptedToolCall

_MODEL = "gpt-4o"

# What the provider answers to the streams of the check, in order.
_ANSWERS = (
    Script(["Hello", " world"], reasoning=["Hm."], usage=(3, 5)),
    Script(tool_calls=[ScriptedToolCall("weather", {"city": "Paris"})]),
    HTTPError(400),
    Script(["Hello", " world"], faults=[EndEarly(after=1)]),
    Script(["Hello"] * 5),  # of which the consumer leaves early
    Script(["Hello"]),  # after the client, and the sink, were closed
)


def check_sink(sink: Sink) -> tuple[StreamRecord, ...]:
    """Check a sink with streams of a scripted provider, those that fail and are left among them.

    It may not raise, nor return what would have to be awaited, nor change what it is told. It is
    closed in between, and has to serve again; then it is closed for good.

    Args:
        sink: The sink; what it writes is written as it would be for real streams.

    Returns:
        The records of the streams that have ended, as the sink was told of them.

    Raises:
        AssertionError: The sink breaks one of these rules; says in which of its methods.
        ConfigurationError: It is no sink.
    """
    check_sinks([sink])
    watched = _Watched(sink)
    _in_a_thread_of_its_own(lambda: asyncio.run(_stream(watched)))
    for violation in watched.violations:
        raise AssertionError(violation)
    ended = {record.stream_id for record in watched.records}
    if len(ended) != len(_ANSWERS):
        raise AssertionError(f"expected {len(_ANSWERS)} streams to be told of, found {len(ended)}")
    return tuple(watched.records)


async def _stream(sink: Sink) -> None:
    provider = ScriptedProvider(*_ANSWERS)
    async with SteerLLMClient("test", transport=provider, sinks=[sink]) as client:
        for _ in _ANSWERS[:-2]:
            await client.generate("Hi", _MODEL, streaming_options=_QUIET)
        async with client.stream_events("Hi", _MODEL) as stream:
            async for event in stream:
                if event.type == "delta":
                    break
        await client.close()
        await client.generate("Hi", _MODEL)


_QUIET = StreamingOptions(max_retries=0, raise_on_error=False)


class _Watched(Sink):
    """Hands everything on to a sink, and notes what it does wrong."""

    def __init__(self, sink: Sink) -> None:
        self.violations: list[str] = []
        self.records: list[StreamRecord] = []
        self.content = getattr(sink, "content", False)
        self.wants_events = wants_events(sink)
        self._sink = sink

    def stream_started(self, record: StreamRecord) -> None:
        self._call("stream_started", record)

    def event(self, event: StreamEvent) -> None:
        self._call("event", event)

    def stream_ended(self, record: StreamRecord) -> None:
        self.records.append(record)
        self._call("stream_ended", record)

    def flush(self) -> None:
        self._call("flush")

    def close(self) -> None:
        self._call("close")

    def _call(self, name: str, *told: Any) -> None:
        method = getattr(self._sink, name, None)
        if method is None and name in {"flush", "close"}:
            return
        before = [each.to_dict() for each in told]
        try:
            returned: object = method(*told) if callable(method) else None
        except Exception as error:  # noqa: BLE001 - a sink is foreign code
            self.violations.append(f"{name} raised {type(error).__name__}: {error}")
            return
        if hasattr(returned, "__await__"):
            self.violations.append(f"{name} returned something to await, which nobody does")
        if [each.to_dict() for each in told] != before:
            self.violations.append(f"{name} changed what it was told")


def _in_a_thread_of_its_own(run: Callable[[], None]) -> None:
    """Run what needs an event loop, where one may be running already."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            run()
        except (SteerError, AssertionError) as error:
            raised.append(error)

    thread = threading.Thread(target=work, name="check-sink")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
