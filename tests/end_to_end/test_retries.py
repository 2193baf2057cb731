"""What is sent again, when, and what is told of it: with a clock that the test moves."""

from __future__ import annotations

import asyncio
import email.utils
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from steer_llm_sdk import ProviderSettings, SteerError, SteerLLMClient
from steer_llm_sdk.errors import (
    AuthenticationError,
    OverloadedError,
    RateLimitError,
    RequestTimeoutError,
)
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import (
    Close,
    CloseIdle,
    ErrorInStream,
    HTTPError,
    LoopbackServer,
    ManualClock,
    RecordedRequest,
    Script,
    ScriptedProvider,
    ScriptedToolCall,
    UsageRefused,
    check_stream,
)

FINE = Script(["Hello"])
BUSY = HTTPError(503)


@dataclass
class Call:
    """One call under way, and when its requests came."""

    client: SteerLLMClient
    clock: ManualClock
    network: ScriptedProvider
    task: asyncio.Task[Any]
    times: list[float]
    events: list[StreamEvent] = field(default_factory=list)

    async def finish(self) -> Any:
        """Move the clock until the call has ended."""
        while not self.task.done():
            await self.clock.advance(self.clock.next_in or 0)
        check_stream(self.events)
        return self.events[-1]

    @property
    def waits(self) -> list[float]:
        pairs = zip(self.times, self.times[1:], strict=False)
        return [round(after - before, 3) for before, after in pairs]


@pytest.fixture
async def client_of() -> AsyncIterator[Any]:
    clients: list[SteerLLMClient] = []

    def begin(*answers: Any, model: str = "gpt-4o", **options: Any) -> Call:
        clock = ManualClock()
        times: list[float] = []
        waiting = list(answers)

        def answer(_request: RecordedRequest) -> Any:
            times.append(clock.monotonic())
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]

        network = ScriptedProvider(answer, clock=clock)
        client = SteerLLMClient("test", "test", "test", transport=network, clock=clock)
        clients.append(client)
        events: list[StreamEvent] = []
        work = client.stream_with_usage(
            "Hi", model, None, None, StreamingOptions(**options), *([events.append] * 5)
        )
        return Call(client, clock, network, asyncio.ensure_future(work), times, events)

    yield begin
    for client in clients:
        await client.close()


# --- the waits --------------------------------------------------------------------------------


async def test_the_waits_double_within_their_jitter(client_of: Any) -> None:
    call = client_of(BUSY, max_retries=6, retry_budget=None)

    terminal = await call.finish()

    assert isinstance(terminal.error, OverloadedError)
    assert len(call.waits) == 6
    for wait, step in zip(call.waits, (0.5, 1.0, 2.0, 4.0, 8.0, 8.0), strict=True):
        assert step / 2 <= wait <= step


@pytest.mark.parametrize("retries", [0, 1, 4])
async def test_a_request_is_sent_again_as_often_as_the_options_say(
    retries: int, client_of: Any
) -> None:
    call = client_of(BUSY, max_retries=retries)

    terminal = await call.finish()

    assert len(call.network.requests) == retries + 1
    assert terminal.is_retryable


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "2500"}, 2.5),
        ({"retry-after-ms": "2500", "retry-after": "9"}, 2.5),
        ({"retry-after": email.utils.formatdate(1_760_000_020, usegmt=True)}, 20.0),
        ({"retry-after": "60"}, 60.0),
        ({"retry-after": email.utils.formatdate(1_759_999_000, usegmt=True)}, 0.0),
    ],
)
async def test_what_the_provider_asks_for_is_waited_and_a_little_jitter(
    headers: dict[str, str], wait: float, client_of: Any
) -> None:
    call = client_of(HTTPError(429, headers=headers), FINE)

    terminal = await call.finish()

    assert terminal.type == "complete"
    assert wait <= call.waits[0] <= wait + 0.25


async def test_a_wait_above_the_limit_is_not_begun(client_of: Any) -> None:
    call = client_of(HTTPError(429, headers={"retry-after": "61"}), FINE)
    begun = call.clock.monotonic()

    terminal = await call.finish()

    assert isinstance(terminal.error, RateLimitError)
    assert terminal.error.retry_after == 61.0
    assert len(call.network.requests) == 1
    assert call.clock.monotonic() == begun


async def test_the_waits_of_one_call_share_a_budget(client_of: Any) -> None:
    slow = HTTPError(429, headers={"retry-after": "20"})
    call = client_of(slow, max_retries=9, retry_budget=50.0)

    await call.finish()

    assert len(call.network.requests) == 3
    assert sum(call.waits) <= 50.0


async def test_an_unreadable_wait_is_as_none(client_of: Any) -> None:
    call = client_of(HTTPError(429, headers={"retry-after": "soon"}), FINE)

    await call.finish()

    assert 0.25 <= call.waits[0] <= 0.5


async def test_the_total_limit_counts_the_waits(client_of: Any) -> None:
    call = client_of(HTTPError(429, headers={"retry-after": "30"}), total_timeout=40.0)
    begun = call.clock.monotonic()

    terminal = await call.finish()

    assert isinstance(terminal.error, RequestTimeoutError)
    assert terminal.error.limit == "total_timeout"
    assert call.clock.monotonic() == begun + 40.0
    assert len(call.network.requests) == 2


# --- never after the first delta ---------------------------------------------------------------


@pytest.mark.parametrize("fault", [Close(1), ErrorInStream(1), ErrorInStream(1, "rate_limit")])
async def test_nothing_is_sent_again_after_the_first_delta(fault: Any, client_of: Any) -> None:
    call = client_of(
        Script(["Hello", "!"], faults=[fault]),
        FINE,
        max_retries=9,
        fallback_models=["anthropic:claude-sonnet-4-5"],
    )

    terminal = await call.finish()

    assert terminal.is_retryable
    assert terminal.error.partial_response.get_text() == "Hello"
    assert len(call.network.requests) == 1


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("reasoning", {"reasoning": ["Hm."]}),
        ("tool_call", {"tool_calls": [ScriptedToolCall("look", {"at": "it"})]}),
        ("refusal", {"refusal": ["No."]}),
    ],
)
async def test_what_else_a_model_says_is_a_delta_too(
    kind: str, said: dict[str, Any], client_of: Any
) -> None:
    cut = Script([], **said, faults=[Close(1)])
    call = client_of(cut, FINE, model="xai:grok-4", max_retries=3)

    await call.finish()

    assert [event.kind for event in call.events if isinstance(event, StreamDeltaEvent)] == [kind]
    assert len(call.network.requests) == 1


async def test_what_an_attempt_said_before_its_first_delta_is_forgotten(client_of: Any) -> None:
    call = client_of(
        Script(["x"], model="first", response_id="r1", faults=[ErrorInStream(0)]),
        Script(["Hello"], model="second", response_id="r2"),
    )

    terminal = await call.finish()

    assert terminal.metadata["response_model"] == "second"
    assert terminal.metadata["response_id"] == "r2"


# --- what is told -----------------------------------------------------------------------------


async def test_a_retry_is_a_log_line_a_counter_and_metadata(
    client_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="steer_llm_sdk")
    call = client_of(BUSY, HTTPError(500), FINE)

    terminal = await call.finish()

    assert terminal.metadata["attempt"] == 3
    assert [row["error_type"] for row in terminal.metadata["retries"]] == [
        "OverloadedError",
        "ServerError",
    ]
    assert [row["wait"] for row in terminal.metadata["retries"]] == pytest.approx(
        call.waits, abs=0.001
    )
    assert [record.message.partition(":")[0][-15:] for record in caplog.records] == [
        "OverloadedError",
        "ter ServerError",
    ]
    assert call.client.stats.retries == 2


async def test_a_stream_without_retries_does_not_speak_of_them(client_of: Any) -> None:
    terminal = await client_of(FINE).finish()

    assert not {"attempt", "retries", "recovered"} & terminal.metadata.keys()


# --- other models -----------------------------------------------------------------------------

OTHERS = ["anthropic:claude-sonnet-4-5", "xai:grok-4"]


async def test_other_models_are_asked_in_order_when_one_has_failed(client_of: Any) -> None:
    call = client_of(BUSY, BUSY, HTTPError(401), FINE, max_retries=1, fallback_models=OTHERS)

    terminal = await call.finish()

    assert [request.model for request in call.network.requests] == [
        "gpt-4o",
        "gpt-4o",
        "claude-sonnet-4-5",
        "grok-4",
    ]
    assert (terminal.provider, terminal.model) == ("xai", "grok-4")
    assert terminal.metadata["attempt"] == 4
    assert [row["model"] for row in terminal.metadata["retries"]] == [
        "gpt-4o",
        "gpt-4o",
        "claude-sonnet-4-5",
    ]
    assert call.events[0].provider == "openai"
    assert {event.provider for event in call.events[1:]} == {"xai"}
    assert (call.client.stats.fallbacks, call.client.stats.retries) == (2, 1)


async def test_the_last_model_s_error_is_the_stream_s(client_of: Any) -> None:
    call = client_of(BUSY, HTTPError(401), max_retries=0, fallback_models=OTHERS[:1])

    terminal = await call.finish()

    assert isinstance(terminal.error, AuthenticationError)
    assert terminal.error.provider == terminal.provider == "anthropic"


async def test_each_model_has_its_own_retries(client_of: Any) -> None:
    call = client_of(BUSY, max_retries=2, fallback_models=OTHERS)

    await call.finish()

    assert len(call.network.requests) == 9


async def test_a_model_that_asks_for_a_long_wait_is_passed_over(client_of: Any) -> None:
    slow = HTTPError(429, headers={"retry-after": "3600"})
    call = client_of(slow, FINE, fallback_models=OTHERS)

    terminal = await call.finish()

    assert terminal.provider == "anthropic"
    assert call.waits == [0.0]


# --- what does not count ----------------------------------------------------------------------


async def test_a_server_that_may_not_be_asked_for_usage_is_asked_without_for_good() -> None:
    async with LoopbackServer(UsageRefused()) as server:
        settings = {"openai": ProviderSettings(base_url=server.base_url())}
        async with SteerLLMClient(providers=settings) as client:
            options = StreamingOptions(max_retries=0)
            first = await client.generate("Hi", "gpt-4o", streaming_options=options)
            second = await client.generate("Hi", "gpt-4o", streaming_options=options)

    assert first.ok
    assert first.usage_is_estimated
    assert "retries" not in first.metadata
    assert second.ok
    assert [r.asks_for_usage for r in server.requests] == [True, False, False]


async def test_a_kept_connection_that_was_closed_meanwhile_is_replaced_at_once() -> None:
    answers = [Script(["one"], faults=[CloseIdle()]), Script(["two"])]
    clock = ManualClock()  # which nobody moves: nothing may be waited for
    async with LoopbackServer(answers) as server:
        settings = {"openai": ProviderSettings(base_url=server.base_url())}
        async with SteerLLMClient(providers=settings, clock=clock) as client:
            options = StreamingOptions(max_retries=0)
            texts = [
                (await client.generate("Hi", "gpt-4o", streaming_options=options)) for _ in range(2)
            ]

    assert [text.get_text() for text in texts] == ["one", "two"]
    assert "retries" not in texts[1].metadata
    assert [request.connection for request in server.requests] == [1, 1, 2]
    assert client.stats.retries == 0


async def test_a_first_connection_that_is_closed_without_an_answer_does_count() -> None:
    async with LoopbackServer(Close()) as server:
        settings = {"openai": ProviderSettings(base_url=server.base_url())}
        async with SteerLLMClient(providers=settings) as client:
            with pytest.raises(SteerError):
                await client.generate(
                    "Hi", "gpt-4o", streaming_options=StreamingOptions(max_retries=0)
                )

    assert len(server.requests) == 1


# --- the client's books -----------------------------------------------------------------------


async def test_a_client_counts_what_became_of_its_streams() -> None:
    def fail(_event: Any) -> None:
        raise ValueError

    network = ScriptedProvider(
        FINE, HTTPError(401), HTTPError(400), Script(["a", "b"]), FINE, Script(["a", "b"])
    )
    async with SteerLLMClient("test", transport=network) as client:
        await client.generate("Hi", "gpt-4o")
        await client.stream_with_usage("Hi", "gpt-4o", on_error=lambda _: None)
        await client.stream_with_usage("Hi", "gpt-4o", on_error=lambda _: None)
        async with client.stream_events("Hi", "gpt-4o") as stream:
            async for event in stream:
                if event.type == "delta":
                    break
        response = await client.stream_with_usage("Hi", "gpt-4o", on_start=fail, on_complete=fail)
        async with client.stream_events("Hi", "gpt-4o") as stream:
            running = client.stats.running

    stats = client.stats
    assert (stats.streams, stats.completed, stats.failed, stats.cancelled) == (6, 2, 2, 2)
    assert stats.errors == {"AuthenticationError": 1, "InvalidRequestError": 1}
    assert stats.callback_errors == response.metadata["callback_errors"] == 2
    assert (running, stats.running) == (1, 0)


async def test_a_call_that_could_not_be_made_is_no_stream() -> None:
    async with SteerLLMClient(transport=ScriptedProvider()) as client:
        with pytest.raises(SteerError):
            await client.generate("Hi", "no-such-model")

    assert client.stats.streams == 0
