"""A stream gives its events once; who iterates it again is told."""

from __future__ import annotations

import logging

import pytest

from steer_llm_sdk import SteerLLMClient, SyncSteerLLMClient
from steer_llm_sdk.testing import ScriptedProvider


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "after its end" in r.getMessage()]


async def test_a_stream_that_is_iterated_again_says_that_it_has_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "steer_llm_sdk")
    async with SteerLLMClient(
        openai_api_key="-", transport=ScriptedProvider("Hello", "Hello")
    ) as client:
        async with client.stream_events("Hi", "gpt-4o-mini") as stream:
            assert [event.type async for event in stream][-1] == "complete"
            assert told(caplog) == []
            assert [event async for event in stream] == []
        assert len(told(caplog)) == 1
        async with client.stream("Hi", "gpt-4o-mini") as texts:
            assert [text async for text in texts]
            assert [text async for text in texts] == []

    assert len(told(caplog)) == 2


def test_so_does_one_of_the_blocking_client(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "steer_llm_sdk")
    with (
        SyncSteerLLMClient(openai_api_key="-", transport=ScriptedProvider("Hello")) as client,
        client.stream("Hi", "gpt-4o-mini") as texts,
    ):
        assert list(texts)
        assert told(caplog) == []
        assert list(texts) == []

    assert len(told(caplog)) == 1
