"""What a caller passes wrongly is refused by every method that takes it, in the same words."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError, SteerLLMClient, SyncSteerLLMClient
from steer_llm_sdk.journal import MemoryJournal
from steer_llm_sdk.testing import ScriptedProvider

# What each method needs beside the arguments that all of them take.
METHODS: dict[str, dict[str, Any]] = {
    "generate": {"messages": "Hi", "model": "gpt-4o"},
    "stream": {"messages": "Hi", "model": "gpt-4o"},
    "stream_events": {"messages": "Hi", "model": "gpt-4o"},
    "stream_with_usage": {"messages": "Hi", "model": "gpt-4o"},
    "stream_items": {"messages": "Hi", "model": "gpt-4o", "item_type": str},
    "run": {"messages": "Hi", "model": "gpt-4o"},
    "run_events": {"messages": "Hi", "model": "gpt-4o"},
    "start": {"messages": "Hi", "model": "gpt-4o"},
    "start_run": {"messages": "Hi", "model": "gpt-4o"},
    "map": {"prompts": ["Hi"], "model": "gpt-4o"},
    "gather": {"prompts": ["Hi"], "model": "gpt-4o"},
    "count_tokens": {"messages": "Hi", "model": "gpt-4o"},
}

WRONG: list[tuple[str, Any]] = [
    ("streaming_options", 5),
    ("streaming_options", {}),
    ("streaming_options", {"max_retries": 1}),
    ("metadata", "tenant"),
    ("metadata", [("tenant", 1)]),
    ("extra_body", "x"),
    ("extra_headers", ["x"]),
    ("model", None),
    ("provider", 5),
    ("tools", 5),
    ("tool_choice", 5),
    ("stop", 5),
    ("seed", "x"),
]


def arguments(method: str, name: str, value: Any) -> dict[str, Any]:
    journal = {"journal": MemoryJournal()} if method.startswith("start") else {}
    return {**METHODS[method], **journal, name: value}


async def use(made: Any) -> None:
    """Do with it what a caller does."""
    if inspect.isawaitable(made):
        await made
    elif hasattr(made, "__aiter__"):
        async for _ in made:
            pass


@pytest.mark.parametrize(("name", "value"), WRONG)
@pytest.mark.parametrize("method", METHODS)
async def test_a_wrong_value_is_refused_by_every_method(method: str, name: str, value: Any) -> None:
    provider = ScriptedProvider("Hi")

    async with SteerLLMClient("k", transport=provider) as client:
        with pytest.raises(ConfigurationError, match=name):
            await use(getattr(client, method)(**arguments(method, name, value)))

    assert not provider.requests


@pytest.mark.parametrize(("name", "value"), WRONG)
@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_value_is_refused_by_every_blocking_method(
    method: str, name: str, value: Any
) -> None:
    provider = ScriptedProvider("Hi")

    with (
        SyncSteerLLMClient("k", transport=provider) as client,
        pytest.raises(ConfigurationError, match=name),
    ):
        list(getattr(client, method)(**arguments(method, name, value)) or ())

    assert not provider.requests


@pytest.mark.parametrize("client", [SteerLLMClient("k"), SyncSteerLLMClient("k")])
def test_items_have_their_type_and_no_other_format(client: Any) -> None:
    with pytest.raises(TypeError, match="'response_format': item_type says what"):
        client.stream_items("Hi", str, "gpt-4o", response_format=dict)
