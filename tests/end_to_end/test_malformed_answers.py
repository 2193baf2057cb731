"""An answer that the model itself malformed is asked for again, while nothing of it was said."""

from __future__ import annotations

import asyncio

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import ServerError
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import ManualClock, Script, ScriptedProvider

MALFORMED = "MALFORMED_FUNCTION_CALL"


async def asked(*scripts: Script) -> tuple[StreamingResponse | BaseException, int]:
    """What one call gives that may be tried twice, and how many requests it took."""
    clock = ManualClock()
    waiting = iter(scripts)
    network = ScriptedProvider(lambda _request: next(waiting), clock=clock)
    settings = {"gemini": ProviderSettings(api_key="k")}
    async with SteerLLMClient(providers=settings, transport=network, clock=clock) as client:
        call = client.stream_with_usage(
            "hi", "gemini-2.5-flash", streaming_options=StreamingOptions(max_retries=1)
        )
        task = asyncio.ensure_future(call)
        while not task.done():
            await clock.advance(clock.next_in or 0)
        return task.exception() or task.result(), len(network.requests)


async def test_a_malformed_call_is_asked_for_again() -> None:
    response, requests = await asked(Script([], finish=MALFORMED), Script(["Hello"]))

    assert isinstance(response, StreamingResponse)
    assert (response.get_text(), response.finish_reason) == ("Hello", "stop")
    assert requests == 2


async def test_words_that_were_said_are_not_said_again() -> None:
    error, requests = await asked(Script(["I call"], finish=MALFORMED), Script(["Hello"]))

    assert isinstance(error, ServerError)
    assert error.code == MALFORMED
    assert error.partial_response is not None
    assert error.partial_response.get_text() == "I call"
    assert requests == 1
