"""Azure's addresses, and how it is told who asks; the formats are OpenAI's.

https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle: with an ``api-version``
(a date) in the query of its address, a resource is asked for a deployment by its path; without
one, or with ``preview``, by the newer paths under ``/openai/v1``, which are OpenAI's own. A token
of Entra's is a bearer token, a resource's own key stands in ``api-key``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.providers.base import Decoder, Endpoint, Resumption
from steer_llm_sdk.providers.call_ids import up_to
from steer_llm_sdk.providers.dialects import Dialect
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses

AZURE = Dialect(
    max_tokens_field="max_completion_tokens",
    knows_developer_role=True,
    call_ids=up_to(40),
    shows_in_results=False,
)

_VERSION = "api-version"
_DATED = re.compile(r"\d{4}-\d\d-\d\d.*")

# https://www.rfc-editor.org/rfc/rfc7519: a token is three parts, and its first a JSON object.
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


class AzureChat(OpenAIChat):
    """Chat completions of a deployment."""

    def __init__(self) -> None:
        super().__init__(AZURE)

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request, to the address that Azure has for the deployment."""
        deployment = f"deployments/{quote(chat.model, safe='')}"
        return super().request(chat, _spelled(endpoint, deployment))

    def listing_endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint that is asked for the list of models, which no deployment has."""
        return _spelled(endpoint)


class AzureResponses(OpenAIResponses):
    """Responses of a deployment."""

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request, to the address that Azure has for responses."""
        return super().request(chat, _spelled(endpoint))

    def listing_endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint that is asked for the list of models."""
        return _spelled(endpoint)

    def resume(
        self, chat: ChatRequest, endpoint: Endpoint, written: str | None, decoder: Decoder
    ) -> Resumption | None:
        """Ask for the rest of a response, at the same address."""
        return super().resume(chat, _spelled(endpoint), written, decoder)


def _spelled(endpoint: Endpoint, dated_path: str = "") -> Endpoint:
    """The endpoint with its whole path, and with who asks in the header that is meant for it.

    Args:
        endpoint: As the caller gave it.
        dated_path: What stands behind ``/openai`` where an ``api-version`` is asked for.
    """
    base_url = _base_url(endpoint.base_url, dated_path)
    headers = {**_key_headers(endpoint.api_key), **endpoint.headers}
    return replace(endpoint, base_url=base_url, api_key=None, headers=headers)


def _base_url(base_url: str, dated_path: str) -> str:
    parts = urlsplit(base_url)
    path, query = parts.path.rstrip("/"), parse_qs(parts.query)
    is_dated = any(map(_DATED.fullmatch, query.get(_VERSION, ())))
    if path.endswith("/v1") and is_dated:  # the version of other addresses: here it is an error
        del query[_VERSION]
    if path in {"", "/openai"}:
        path = "/".join(filter(None, ("/openai", dated_path if is_dated else "v1")))
    return urlunsplit(parts._replace(path=path, query=urlencode(query, doseq=True)))


def _key_headers(key: str | None) -> Mapping[str, str]:
    if key is None:
        return {}
    return {"authorization": f"Bearer {key}"} if _TOKEN.fullmatch(key) else {"api-key": key}
