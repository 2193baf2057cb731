"""The embedded model for tests that need a real one: the fixture `embedded`.

One server per test process, through the package's own code. The weights are fetched once when they
are not in the cache; `make test` has done so before.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pytest

from steer_llm_sdk.local import local_endpoint_sync
from steer_llm_sdk.local.pull import pull_weights
from steer_llm_sdk.providers.base import Endpoint


@pytest.fixture(scope="session")
def embedded() -> Endpoint:
    """The endpoint of the embedded model; its server ends with the process."""
    pull_weights()
    return local_endpoint_sync()


@dataclass(frozen=True)
class Answer:
    """A whole HTTP response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(
    endpoint: Endpoint,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
) -> Answer:
    """Ask the server without the library: what does it say to anybody?"""
    root = endpoint.base_url.removesuffix("/v1")
    data = None if body is None else json.dumps(body).encode()
    authorization = {"authorization": f"Bearer {key}"} if key else {}
    sent = {"content-type": "application/json", **authorization, **(headers or {})}
    request = urllib.request.Request(root + path, data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return Answer(response.status, _lower(response.headers.items()), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _lower(error.headers.items()), error.read())


def _lower(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}
