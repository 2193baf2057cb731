"""Other libraries, each used as its documentation says to stream. See `_worker` for how it runs.

Each runs in an environment of its own (``.venv-peers/<name>``; `requirements/` says what is in it),
so that none holds another back at an old version, and imports nothing of ours but the harness.
"""

from __future__ import annotations

import functools
import os
from typing import Any

from _worker import Job, Seen, Way, main

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import goes to the network
os.environ.setdefault("OPENAI_API_KEY", "none")

_MESSAGES: Any = [{"role": "user", "content": "Hello"}]


def _openai() -> Way:
    import openai

    @functools.cache
    def client(base: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(api_key="none", base_url=base + "/v1")

    async def run(job: Job, seen: Seen | None) -> int:
        stream = await client(job.base).chat.completions.create(
            model="bench-1",
            messages=_MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
        )
        found = 0
        async for chunk in stream:
            text = (chunk.choices[0].delta.content or "") if chunk.choices else ""
            found += len(text)
            if text and seen is not None:
                seen(text)
        return found

    return run


def _openai_events() -> Way:
    import openai

    @functools.cache
    def client(base: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(api_key="none", base_url=base + "/v1")

    async def run(job: Job, seen: Seen | None) -> int:
        found = 0
        async with client(job.base).chat.completions.stream(
            model="bench-1", messages=_MESSAGES, stream_options={"include_usage": True}
        ) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    found += len(event.delta)
                    if seen is not None:
                        seen(event.delta)
        return found

    return run


def _openai_responses() -> Way:
    import openai

    @functools.cache
    def client(base: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(api_key="none", base_url=base + "/v1")

    async def run(job: Job, seen: Seen | None) -> int:
        stream = await client(job.base).responses.create(
            model="bench-1", input="Hello", stream=True
        )
        found = 0
        async for event in stream:
            if event.type == "response.output_text.delta":
                found += len(event.delta)
                if seen is not None:
                    seen(event.delta)
        return found

    return run


def _anthropic() -> Way:
    import anthropic

    @functools.cache
    def client(base: str) -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(api_key="none", base_url=base)

    async def run(job: Job, seen: Seen | None) -> int:
        stream = await client(job.base).messages.create(
            model="bench-1", max_tokens=1024, messages=_MESSAGES, stream=True
        )
        found = 0
        async for event in stream:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                found += len(event.delta.text)
                if seen is not None:
                    seen(event.delta.text)
        return found

    return run


def _anthropic_events() -> Way:
    import anthropic

    @functools.cache
    def client(base: str) -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(api_key="none", base_url=base)

    async def run(job: Job, seen: Seen | None) -> int:
        found = 0
        async with client(job.base).messages.stream(
            model="bench-1", max_tokens=1024, messages=_MESSAGES
        ) as stream:
            async for text in stream.text_stream:
                found += len(text)
                if seen is not None:
                    seen(text)
        return found

    return run


def _litellm() -> Way:
    import litellm

    async def run(job: Job, seen: Seen | None) -> int:
        stream: Any = await litellm.acompletion(
            model="openai/gpt-4o",
            messages=_MESSAGES,
            api_base=job.base + "/v1",
            api_key="none",
            stream=True,
            stream_options={"include_usage": True},
        )
        found = 0
        async for chunk in stream:
            text = (chunk.choices[0].delta.content or "") if chunk.choices else ""
            found += len(text)
            if text and seen is not None:
                seen(text)
        return found

    return run


def _langchain() -> Way:
    from langchain_openai import ChatOpenAI

    @functools.cache
    def model(base: str) -> ChatOpenAI:
        return ChatOpenAI(model="gpt-4o", base_url=base + "/v1", api_key="none", stream_usage=True)

    async def run(job: Job, seen: Seen | None) -> int:
        found = 0
        async for chunk in model(job.base).astream("Hello"):
            text = str(chunk.text)
            found += len(text)
            if text and seen is not None:
                seen(text)
        return found

    return run


def _pydantic_ai() -> Way:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    @functools.cache
    def agent(base: str) -> Agent:
        provider = OpenAIProvider(base_url=base + "/v1", api_key="none")
        return Agent(OpenAIChatModel("gpt-4o", provider=provider))

    async def run(job: Job, seen: Seen | None) -> int:
        found = 0
        async with agent(job.base).run_stream("Hello") as result:
            # Its default gathers the deltas of 0.1 s; where each counts, they are asked for.
            debounce = 0.1 if seen is None else None
            async for text in result.stream_text(delta=True, debounce_by=debounce):
                found += len(text)
                if text and seen is not None:
                    seen(text)
        return found

    return run


def _any_llm() -> Way:
    from any_llm import acompletion

    async def run(job: Job, seen: Seen | None) -> int:
        stream: Any = await acompletion(
            model="gpt-4o",
            provider="openai",
            messages=_MESSAGES,
            api_base=job.base + "/v1",
            api_key="none",
            stream=True,
            stream_options={"include_usage": True},
        )
        found = 0
        async for chunk in stream:
            text = (chunk.choices[0].delta.content or "") if chunk.choices else ""
            found += len(text)
            if text and seen is not None:
                seen(text)
        return found

    return run


WAYS = {
    "openai": _openai,
    "openai-events": _openai_events,
    "openai-responses": _openai_responses,
    "anthropic": _anthropic,
    "anthropic-events": _anthropic_events,
    "litellm": _litellm,
    "langchain": _langchain,
    "pydantic-ai": _pydantic_ai,
    "any-llm": _any_llm,
}


def load(way: str) -> Way:
    """Import the library."""
    return WAYS[way]()


if __name__ == "__main__":
    main(load)
