from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk import SyncSteerLLMClient
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.errors import CallbackError, RateLimitError, StreamCancelledError
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.testing import ScriptedProvider


def test_each_ending_is_counted_as_what_it_was() -> None:
    stats = ClientStats(streams=5)

    stats.note_end(StreamingResponse(), retries=2, fallbacks=1)
    stats.note_end(StreamingResponse(error=RateLimitError("slow")), retries=0, fallbacks=0)
    stats.note_end(StreamingResponse(error=RateLimitError("slow")), retries=1, fallbacks=0)
    stats.note_end(StreamingResponse(error=StreamCancelledError("left")), retries=0, fallbacks=0)

    assert (stats.completed, stats.failed, stats.cancelled, stats.running) == (1, 2, 1, 1)
    assert (stats.retries, stats.fallbacks) == (3, 1)
    assert stats.errors == {"RateLimitError": 2}


def test_recoveries_are_counted_by_what_the_response_tells() -> None:
    stats = ClientStats()

    stats.note_end(StreamingResponse(metadata={"recovered": [{}, {}]}), retries=2, fallbacks=0)

    assert stats.recoveries == 2


def test_a_response_without_callback_errors_does_not_speak_of_them() -> None:
    stats, response = ClientStats(), StreamingResponse()

    stats.note_callback_errors(response, 0)

    assert stats.callback_errors == 0
    assert response.metadata == {}


@pytest.mark.parametrize("raises", [False, True])
def test_the_blocking_client_counts_too(raises: bool) -> None:
    from steer_llm_sdk.models.streaming import StreamingOptions

    def fail(_event: Any) -> None:
        raise ValueError

    options = StreamingOptions(raise_callback_errors=raises)
    with SyncSteerLLMClient("test", transport=ScriptedProvider("a", "b", "c")) as client:
        try:
            response = client.stream_with_usage(
                "Hi", "gpt-4o", streaming_options=options, on_delta=fail
            )
            assert response.metadata["callback_errors"] == 3
        except CallbackError:
            assert raises

    assert client.stats.streams == 1
    assert client.stats.callback_errors == (1 if raises else 3)
