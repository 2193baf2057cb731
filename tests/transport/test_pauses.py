"""Reading a body that comes faster than it is read, and one that does not."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.client_proto import ResponseHandler

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.testing import LoopbackServer, Script


def client_of(server: LoopbackServer) -> SteerLLMClient:
    return SteerLLMClient(providers={"openai": ProviderSettings(base_url=server.base_url())})


async def test_nothing_is_parsed_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []
    received = ResponseHandler.data_received

    def counted(self: ResponseHandler, data: bytes) -> None:
        parsed.append(len(data))
        received(self, data)

    monkeypatch.setattr(ResponseHandler, "data_received", counted)
    async with LoopbackServer(Script(["a", "b", "c"])) as server, client_of(server) as client:
        response = await client.stream_with_usage("Hello", model="gpt-4o")

    assert response.get_text() == "abc"
    assert parsed
    assert 0 not in parsed


async def test_a_body_that_comes_too_fast_is_paused_and_read_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = [f"{number:07d} " * 512 for number in range(2_000)]  # 8 MB
    pauses: list[bool] = []
    pause = ResponseHandler.pause_reading

    def counted(self: ResponseHandler) -> None:
        pauses.append(True)
        pause(self)

    monkeypatch.setattr(ResponseHandler, "pause_reading", counted)
    async with LoopbackServer(Script(words)) as server, client_of(server) as client:
        found: list[str] = []
        async for text in client.stream("Hello", model="gpt-4o"):
            found.append(text)
            if len(found) % 100 == 0:
                await asyncio.sleep(0.01)

    assert found == words
    assert pauses
