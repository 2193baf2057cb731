"""The wire formats that a script can be written in, and which one a path asks for."""

from __future__ import annotations

from collections.abc import Mapping

from steer_llm_sdk.testing.formats.anthropic import Anthropic
from steer_llm_sdk.testing.formats.base import Format
from steer_llm_sdk.testing.formats.bedrock import Bedrock, BedrockAnthropic
from steer_llm_sdk.testing.formats.cohere import Cohere
from steer_llm_sdk.testing.formats.gemini import Gemini
from steer_llm_sdk.testing.formats.interactions import GeminiInteractions
from steer_llm_sdk.testing.formats.ollama import Ollama
from steer_llm_sdk.testing.formats.openai_chat import OpenAIChat
from steer_llm_sdk.testing.formats.openai_responses import OpenAIResponses

__all__ = ["FORMATS", "Format", "format_of_path"]

FORMATS: Mapping[str, Format] = {
    known.name: known
    for known in (
        OpenAIChat(),
        OpenAIResponses(),
        Anthropic(),
        Gemini(),
        Ollama(),
        Bedrock(),
        BedrockAnthropic(),
        Cohere(),
        GeminiInteractions(),
    )
}

# How a path ends.
_BY_PATH: Mapping[str, str] = {
    "/chat/completions": "openai",
    "/responses": "openai-responses",
    "/messages": "anthropic",
    ":streamGenerateContent": "gemini",
    ":generateContent": "gemini",
    ":streamRawPredict": "anthropic",
    "/api/chat": "ollama",
    "/v2/chat": "cohere",
    "/interactions": "gemini-interactions",
    "/converse-stream": "bedrock",
    "/converse": "bedrock",
    "/invoke-with-response-stream": "bedrock-anthropic",
    "/invoke": "bedrock-anthropic",
}


def format_of_path(path: str) -> Format | None:
    """The format that a request's path asks for; None where it is nobody's."""
    names = (name for ending, name in _BY_PATH.items() if path.endswith(ending))
    name = next(names, None)
    return FORMATS[name] if name else None
