"""The wire formats that recorded streams are read in, by the corpus's names for them."""

from __future__ import annotations

from collections.abc import Mapping

from steer_llm_sdk.providers.anthropic import AnthropicMessages
from steer_llm_sdk.providers.base import WireFormat
from steer_llm_sdk.providers.gemini import Gemini
from steer_llm_sdk.providers.mistral import Mistral
from steer_llm_sdk.providers.ollama import Ollama
from steer_llm_sdk.providers.openai_chat import OpenAIChat
from steer_llm_sdk.providers.openai_responses import OpenAIResponses

WIRES: Mapping[str, type[WireFormat]] = {
    "openai-chat": OpenAIChat,
    "mistral": Mistral,
    "openai-responses": OpenAIResponses,
    "anthropic": AnthropicMessages,
    "gemini": Gemini,
    "ollama": Ollama,
}
