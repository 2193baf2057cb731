"""Gemini and Claude on Vertex AI.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference and
https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude: the formats
are Gemini's and Anthropic's own. What differs is the address, in which the publisher and the model
stand; Claude's body has a version in place of the model.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from steer_llm_sdk.errors import ProviderError
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from steer_llm_sdk.providers.anthropic.request import build_body as build_anthropic_body
from steer_llm_sdk.providers.base import Endpoint, ErrorAnswer
from steer_llm_sdk.providers.failures import read_json_body
from steer_llm_sdk.providers.gemini.decoder import Gemini
from steer_llm_sdk.providers.gemini.errors import read_gemini_error
from steer_llm_sdk.providers.gemini.request import build_body as build_gemini_body
from steer_llm_sdk.providers.reading import as_object, as_string, object_at
from steer_llm_sdk.providers.writing import (
    build_headers,
    encode_body,
    google_key,
)

API_VERSION = "vertex-2023-10-16"


class VertexGemini(Gemini):
    """The wire format ``gemini``, at Vertex AI's addresses."""

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request that asks `endpoint` for a stream.

        Raises:
            ConfigurationError: As for Gemini.
        """
        body = build_gemini_body(chat, endpoint.provider)
        if "contents" not in chat.extra_body:
            body["contents"] = [_without_ids(content) for content in body["contents"]]
        url = f"{_model_url(endpoint, chat.model, 'google')}:streamGenerateContent?alt=sse"
        return _request(url, body, chat, endpoint)


class VertexAnthropic(AnthropicMessages):
    """The wire format ``anthropic``, at Vertex AI's addresses."""

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request that asks `endpoint` for a stream.

        Raises:
            ConfigurationError: As for Anthropic's own API.
        """
        body = build_anthropic_body(chat, endpoint.provider)
        del body["model"]
        url = f"{_model_url(endpoint, chat.model, 'anthropic')}:streamRawPredict"
        return _request(url, {"anthropic_version": API_VERSION, **body}, chat, endpoint)

    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the error out of a response: Google's, or Anthropic's that it passes on."""
        found = read_json_body(answer)
        error = object_at(as_object(found), "error")
        is_googles = isinstance(found, list) or as_string(error.get("status")) is not None
        return read_gemini_error(answer) if is_googles else super().read_error(answer)


def _without_ids(content: dict[str, Any]) -> dict[str, Any]:
    """A turn whose calls and answers have no identifiers: their names and their order tell.

    Google's other API takes them, and this one refuses the field:
    https://github.com/pydantic/pydantic-ai/issues/5081
    """
    return {**content, "parts": [_without_id(part) for part in content["parts"]]}


def _without_id(part: dict[str, Any]) -> dict[str, Any]:
    named = {
        key: {name: value for name, value in part[key].items() if name != "id"}
        for key in ("functionCall", "functionResponse")
        if isinstance(part.get(key), dict)
    }
    return {**part, **named}


def _model_url(endpoint: Endpoint, model: str, publisher: str) -> str:
    """The address of a model: a publisher's, or any that its name has the path of (endpoints)."""
    base_url = endpoint.base_url.rstrip("/")
    if model.startswith("projects/"):  # a whole path, as the console shows it
        return f"{base_url.partition('/projects/')[0]}/{quote(model)}"
    if model.startswith(("publishers/", "endpoints/")):
        return f"{base_url}/{quote(model)}"
    return f"{base_url}/publishers/{publisher}/models/{quote(model, safe='@')}"


def _request(url: str, body: dict[str, Any], chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
    # A key of the "express mode"; everyone else is proved by a token.
    headers = build_headers(endpoint, chat.extra_headers, google_key(endpoint))
    return HTTPRequest(url, encode_body(body, endpoint.provider), headers)
