"""How providers list their models: where, in how many pages, and under which keys.

What a list tells of a model has a dozen spellings, which hardly contradict each other: all are
looked for in every list, so that a server that copies another's is read as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit, urlunsplit

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.listing import ModelInfo, ModelPage
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.providers.base import Endpoint, WireFormat
from steer_llm_sdk.providers.writing import anthropic_key, bearer, build_headers, google_key

_Object: TypeAlias = Mapping[str, Any]


def _only_page(_answer: _Object) -> object:
    return None


@dataclass(frozen=True, slots=True)
class Listing:
    """How one wire format lists models.

    Attributes:
        path: The list's path, under the base URL.
        headers: Makes the headers by which it is told who asks.
        query: What is asked with every page.
        after: The query's name for what asks for the next page.
        following: Finds that in a page.
        place: Makes of a base URL the one under which the list is.
    """

    path: str
    headers: Callable[[Endpoint], dict[str, str]] = bearer
    query: Mapping[str, str] = field(default_factory=dict)
    after: str = ""
    following: Callable[[_Object], object] = _only_page
    place: Callable[[str], str] = str

    def request(self, endpoint: Endpoint, after: str | None = None) -> HTTPRequest:
        """Build the request for a page.

        Args:
            endpoint: Who is asked.
            after: What the page before had for it; None for the first.
        """
        parts = urlsplit(self.place(endpoint.base_url))
        more = urlencode({**self.query, **({} if after is None else {self.after: after})})
        path = f"{parts.path.rstrip('/')}/{self.path}"
        query = "&".join(filter(None, (parts.query, more)))
        headers = build_headers(endpoint, {}, self.headers(endpoint), accept="application/json")
        del headers["content-type"]  # there is no content
        url = urlunsplit(parts._replace(path=path, query=query))
        return HTTPRequest(url, b"", headers, method="GET")

    def read(self, answer: object, provider: str) -> ModelPage:
        """Read a page.

        Raises:
            ProtocolError: There is no list in it.
        """
        entries = _entries(answer)
        if entries is None:
            found = sorted(answer) if isinstance(answer, Mapping) else type(answer).__name__
            raise ProtocolError(f"{provider}: expected a list of models, found {found!r:.120}")
        following = self.following(answer) if isinstance(answer, Mapping) else None
        return ModelPage(
            [info for info in _read_all(entries, provider) if info is not None],
            following if isinstance(following, str) and following else None,
        )


def _last_id(answer: _Object) -> object:
    return answer.get("last_id") if answer.get("has_more") is True else None


# https://platform.openai.com/docs/api-reference/models/list, and whoever copies it.
OPENAI = Listing("models")
# https://platform.claude.com/docs/en/api/models/list
ANTHROPIC = Listing(
    "v1/models", anthropic_key, {"limit": "1000"}, after="after_id", following=_last_id
)
# https://ai.google.dev/api/models#method:-models.list
GEMINI = Listing(
    "v1beta/models",
    google_key,
    {"pageSize": "1000"},
    after="pageToken",
    following=lambda answer: answer.get("nextPageToken"),
)
# https://docs.cohere.com/reference/list-models
COHERE = Listing(
    "v1/models",
    query={"page_size": "1000"},
    after="page_token",
    following=lambda answer: answer.get("next_page_token"),
)
# https://docs.ollama.com/api/tags
OLLAMA = Listing("api/tags")


# Amazon's own domains alone: what goes along is a key.
_RUNTIME = re.compile(
    r"^(https?://bedrock)-runtime(?=(?:-fips)?\.[\w-]+\.(?:amazonaws\.(?:com(?:\.cn)?|eu)|api\.aws)"
    r"(?:[:/]|$))"
)


def _control_plane(base_url: str) -> str:
    """The address of Bedrock's own lists, which is another than that of its models.

    A server that is not Amazon's is asked at its own address.
    """
    return _RUNTIME.sub(r"\1", base_url)


# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html
BEDROCK = Listing("foundation-models", place=_control_plane)


def _above_project(base_url: str) -> str:
    """The address of Vertex AI's own models, which stand above every project."""
    parts = urlsplit(base_url)
    return urlunsplit(parts._replace(path=parts.path.partition("/projects/")[0]))


# https://cloud.google.com/vertex-ai/docs/reference/rest/v1beta1/publishers.models/list
VERTEX = Listing(
    "publishers/google/models",
    google_key,
    {"pageSize": "1000"},
    after="pageToken",
    following=lambda answer: answer.get("nextPageToken"),
    place=_above_project,
)


# By the names of the wire formats' classes; what is not here has no list.
_LISTINGS: Mapping[str, Listing] = {
    **dict.fromkeys(("AzureChat", "AzureResponses", "Mistral", "OpenAIChat"), OPENAI),
    "OpenAIResponses": OPENAI,
    "AnthropicMessages": ANTHROPIC,
    "Gemini": GEMINI,
    "Interactions": GEMINI,
    "Cohere": COHERE,
    "Ollama": OLLAMA,
    "Converse": BEDROCK,
    "InvokeAnthropic": BEDROCK,
    "VertexGemini": VERTEX,
}


def listing_of(wire: WireFormat) -> Listing | None:
    """How models are listed where this wire format is spoken; None where they are not."""
    return _LISTINGS.get(type(wire).__name__)


# --- what a list tells of a model -----------------------------------------------------------------

_LISTS = ("data", "models", "modelSummaries", "publisherModels")

_IDS = ("id", "modelId", "model", "name")
_DISPLAY_NAMES = ("display_name", "displayName", "modelName", "name")
_OWNERS = ("owned_by", "providerName", "organization")
_TIMES = ("created", "created_at", "createdAt", "modified_at")
_WINDOWS = (
    "context_window",
    "context_length",
    "max_context_length",
    "inputTokenLimit",
    "max_input_tokens",
    "max_model_len",
    "capabilities.limits.max_context_window_tokens",
    "model_spec.availableContextTokens",
    "metadata.context_length",
    "meta.n_ctx_train",
)
_OUTPUTS = (
    "max_output_tokens",
    "max_completion_tokens",
    "outputTokenLimit",
    "top_provider.max_completion_tokens",
    "capabilities.limits.max_output_tokens",
    "max_tokens",
)

# Where names are paths; a call takes what stands behind them.
_COLLECTIONS = ("models/", "publishers/google/models/")


def _entries(answer: object) -> list[Any] | None:
    if isinstance(answer, list):
        return answer
    if not isinstance(answer, Mapping):
        return None
    lists = (answer[name] for name in _LISTS if isinstance(answer.get(name), list))
    return next(lists, [] if not answer else None)  # Google leaves out a list that is empty


def _read_all(entries: Iterable[object], provider: str) -> Iterator[ModelInfo | None]:
    for entry in entries:
        yield _read(entry, provider) if isinstance(entry, Mapping) else None


def _read(entry: _Object, provider: str) -> ModelInfo | None:
    name = _first(entry, _IDS, _text)
    if name is None:
        return None
    shown = _first(entry, _DISPLAY_NAMES, _text)
    return ModelInfo(
        id=next((name[len(start) :] for start in _COLLECTIONS if name.startswith(start)), name),
        provider=provider,
        display_name=None if shown == name else shown,
        context_window=_first(entry, _WINDOWS, _count),
        max_output_tokens=_first(entry, _OUTPUTS, _count),
        created_at=_first(entry, _TIMES, _instant),
        owner=_first(entry, _OWNERS, _text),
        details=dict(entry),
    )


def _first(entry: _Object, paths: Iterable[str], read: Callable[[object], Any]) -> Any:
    found = (read(_at(entry, path)) for path in paths)
    return next((value for value in found if value is not None), None)


def _at(entry: object, path: str) -> object:
    for name in path.split("."):
        entry = entry.get(name) if isinstance(entry, Mapping) else None
    return entry


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return int(value) if 0 < value < _MOST else None


_MOST = 1e15


def _instant(value: object) -> float | None:
    """A time, in Unix seconds; some servers have none and write 0."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if 0 < value < _MOST else None
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        return aware.timestamp()
    except (ValueError, OverflowError):
        return None
