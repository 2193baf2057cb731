"""Lists of models, in each provider's spelling: the answers to ``GET …/models`` and the like."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from steer_llm_sdk.testing.formats import FORMATS
from steer_llm_sdk.testing.formats.base import CREATED
from steer_llm_sdk.testing.plan import Exchange, Piece, Plan, RecordedRequest
from steer_llm_sdk.testing.scripts import Script

DEFAULT_MODELS = ("scripted-model",)

_WHEN = datetime.fromtimestamp(CREATED, UTC).isoformat().replace("+00:00", "Z")
_WINDOW, _OUTPUT = 128_000, 16_000


@dataclass(frozen=True, slots=True)
class _Page:
    """A part of all models, and where it stands among them."""

    names: Sequence[str]
    end: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How a provider writes a list.

    Attributes:
        format: The wire format in whose spelling errors are written.
        write: Writes a page.
        size: The query's name for how many are on a page.
        usual: How many are, where that is not said; None for all.
        after: The query's name for what is behind the page before.
    """

    format: str
    write: Callable[[_Page], Any]
    size: str = ""
    usual: int | None = None
    after: str = ""


def plan_list(script: Script, request: RecordedRequest, models: Sequence[str]) -> Plan | None:
    """Write the list that a request asks for, and apply a script's faults; None: it asks for none.

    Args:
        script: What goes wrong, and further headers.
        request: The request.
        models: All models.
    """
    spelling = _spelling(request)
    if spelling is None:
        return None
    query = {name: values[-1] for name, values in parse_qs(request.query).items()}
    document = spelling.write(_page(query, spelling, models))
    plan = Plan(
        status=script.status,
        headers={"content-type": "application/json"} | dict(script.headers),
        pieces=(Piece(json.dumps(document, ensure_ascii=False).encode(), is_delta=True),),
    )
    exchange = Exchange(request, FORMATS[spelling.format], is_streamed=False)
    for fault in script.faults:
        plan = fault.apply(plan, exchange)
    return plan


def asks_for_list(request: RecordedRequest) -> bool:
    """Tell whether a request asks which models there are."""
    return _spelling(request) is not None


def _page(query: Mapping[str, str], spelling: _Spelling, models: Sequence[str]) -> _Page:
    said = query.get(spelling.size, "")
    size = int(said) if said.isdigit() else spelling.usual or len(models)
    after = query.get(spelling.after, "")
    start = models.index(after) + 1 if after in models else int(after) if after.isdigit() else 0
    end = start + size
    return _Page(models[start:end], end, end >= len(models))


def _spelling(request: RecordedRequest) -> _Spelling | None:
    if request.method != "GET":
        return None
    if request.path.endswith("/v1/models"):  # several providers have this one
        marks = {**request.headers, **parse_qs(request.query)}
        return next((value for mark, value in _BY_MARK.items() if mark in marks), _OPENAI)
    found = (value for ending, value in _BY_PATH.items() if request.path.endswith(ending))
    return next(found, None)


# --- each in its own spelling ---------------------------------------------------------------------


def _openai(page: _Page) -> Any:
    entry = {"object": "model", "created": CREATED, "owned_by": "scripted"}
    return {"object": "list", "data": [{"id": name, **entry} for name in page.names]}


def _anthropic(page: _Page) -> Any:
    entry = {"type": "model", "created_at": _WHEN, "max_input_tokens": _WINDOW}
    return {
        "data": [
            {"id": name, "display_name": name.title(), "max_tokens": _OUTPUT, **entry}
            for name in page.names
        ],
        "has_more": not page.is_last,
        "first_id": page.names[0] if page.names else None,
        "last_id": page.names[-1] if page.names else None,
    }


def _gemini(page: _Page) -> Any:
    entry = {
        "inputTokenLimit": _WINDOW,
        "outputTokenLimit": _OUTPUT,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
    models = [
        {"name": f"models/{name}", "displayName": name.title(), **entry} for name in page.names
    ]
    return {"models": models, **_following(page, "nextPageToken")}


def _vertex(page: _Page) -> Any:
    models = [{"name": f"publishers/google/models/{name}"} for name in page.names]
    return {"publisherModels": models, **_following(page, "nextPageToken")}


def _cohere(page: _Page) -> Any:
    entry = {"endpoints": ["chat"], "finetuned": False, "context_length": _WINDOW}
    models = [{"name": name, **entry} for name in page.names]
    return {"models": models, **_following(page, "next_page_token")}


def _following(page: _Page, name: str) -> dict[str, str]:
    return {} if page.is_last else {name: str(page.end)}


def _ollama(page: _Page) -> Any:
    entry = {"modified_at": _WHEN, "size": 1, "digest": "0", "details": {"family": "scripted"}}
    return {"models": [{"name": name, "model": name, **entry} for name in page.names]}


def _bedrock(page: _Page) -> Any:
    entry = {"providerName": "Scripted", "responseStreamingSupported": True}
    arn = "arn:aws:bedrock:us-east-1::foundation-model/"
    return {
        "modelSummaries": [
            {"modelId": name, "modelArn": arn + name, "modelName": name.title(), **entry}
            for name in page.names
        ]
    }


_OPENAI = _Spelling("openai", _openai)
_GEMINI = _Spelling("gemini", _gemini, "pageSize", 50, "pageToken")

# What tells whose list is asked for, among headers and in the query.
_BY_MARK: Mapping[str, _Spelling] = {
    "anthropic-version": _Spelling("anthropic", _anthropic, "limit", 20, "after_id"),
    "page_size": _Spelling("cohere", _cohere, "page_size", 20, "page_token"),
    "x-goog-api-key": _GEMINI,
}

# How a path ends, the longer first.
_BY_PATH: Mapping[str, _Spelling] = {
    "/publishers/google/models": _Spelling("gemini", _vertex, "pageSize", 50, "pageToken"),
    "/v1beta/models": _GEMINI,
    "/api/tags": _Spelling("ollama", _ollama),
    "/foundation-models": _Spelling("bedrock", _bedrock),
    "/models": _OPENAI,
}
