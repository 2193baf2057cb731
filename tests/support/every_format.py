"""One provider for each wire format: what holds in every format is tried with these.

`tests/testing/test_formats.py` shows that none is missing, so that a new format is tried everywhere
from its first day on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from steer_llm_sdk import ProviderSettings
from steer_llm_sdk.testing import LoopbackServer

MODELS: Mapping[str, str] = {
    "openai": "gpt-4o",
    "openai-responses": "gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
    "ollama": "llama3.2",
    "cohere": "command-a-03-2025",
    "gemini-interactions": "gemini-2.5-flash",
    "bedrock": "amazon.nova-lite-v1:0",
    "bedrock-anthropic": "anthropic.claude-sonnet-4-5-v1:0",
}
FORMATS = tuple(MODELS)

# Those whose calls come in pieces; the others send whole ones.
WHOLE_CALLS = frozenset({"gemini", "ollama"})
CALLS_IN_PIECES = tuple(name for name in FORMATS if name not in WHOLE_CALLS)

# Those whose bodies are no text.
BINARY = frozenset({"bedrock", "bedrock-anthropic"})


def no_address(name: str) -> str | None:
    """An address for those that else look for a region; where a transport is scripted."""
    return "https://bedrock.invalid" if name in BINARY else None


def settings_of(
    names: Iterable[str] = FORMATS,
    address: Callable[[str], str | None] = no_address,
    api_key: str = "key",
) -> dict[str, ProviderSettings]:
    """Settings for a provider of each format."""
    return {name: ProviderSettings(api_key=api_key, base_url=address(name)) for name in names}


def settings_at(server: LoopbackServer) -> dict[str, ProviderSettings]:
    """Settings that send each format's requests to a server."""
    return settings_of(address=server.base_url)
