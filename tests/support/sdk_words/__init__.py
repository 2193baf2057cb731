"""What becomes of every word that the official SDKs know of streams: tables for the documentation.

Each family has a function that reads the words out of the SDK's own types and tries each on the
decoder, so that a new SDK shows what it brings by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from support.sdk_words.anthropic import anthropic
from support.sdk_words.bedrock import bedrock
from support.sdk_words.chat_completions import chat_completions
from support.sdk_words.cohere import cohere
from support.sdk_words.gemini import gemini
from support.sdk_words.interactions import interactions
from support.sdk_words.measuring import Row
from support.sdk_words.ollama import ollama
from support.sdk_words.responses import responses

FAMILIES: Mapping[str, Callable[[], Iterator[Row]]] = {
    "chat-completions": chat_completions,
    "responses": responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "ollama": ollama,
    "bedrock": bedrock,
    "cohere": cohere,
    "gemini-interactions": interactions,
}
