"""The wire formats that recorded streams are read in, by the corpus's names for them."""

from __future__ import annotations

from collections.abc import Mapping

from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from steer_llm_sdk.providers.base import WireFormat
from steer_llm_sdk.providers.bedrock.decoder import Converse
from steer_llm_sdk.providers.bedrock.invoke import InvokeAnthropic
from steer_llm_sdk.providers.cohere.decoder import Cohere
from steer_llm_sdk.providers.gemini.decoder import Gemini
from steer_llm_sdk.providers.interactions.decoder import Interactions
from steer_llm_sdk.providers.ollama.decoder import Ollama
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.openai_chat.mistral import Mistral
from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses

WIRES: Mapping[str, type[WireFormat]] = {
    "openai-chat": OpenAIChat,
    "mistral": Mistral,
    "openai-responses": OpenAIResponses,
    "anthropic": AnthropicMessages,
    "gemini": Gemini,
    "ollama": Ollama,
    "bedrock": Converse,
    "bedrock-anthropic": InvokeAnthropic,
    "cohere": Cohere,
    "gemini-interactions": Interactions,
}
