"""The embedded model behind a small proxy that makes it answer briefly and always the same.

A guide's calls set no limit, and a model this small may go on for thousands of tokens. The proxy
adds what a request leaves open: a length, a seed, no chance in the choice of words. Everything else
goes to the model and comes back as it is.
"""

from __future__ import annotations

import ast
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from steer_llm_sdk.providers.base import Endpoint

# A JSON answer is cut less soon than any other: one that is cut is an error.
_LIMIT = 60
_JSON_LIMIT = 300
_LIMITS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
_STEADY = {"seed": 7, "temperature": 0}
_KEPT = frozenset({"content-type", "authorization", "x-api-key", "anthropic-version"})


@pytest.fixture(scope="session")
def steady(embedded: Endpoint) -> Iterator[Endpoint]:
    """The endpoint of the embedded model, with steady answers."""
    with _serving(embedded) as address:
        yield Endpoint("openai", f"{address}/v1", embedded.api_key)


@contextmanager
def _serving(model: Endpoint) -> Iterator[str]:
    server = _Proxy(("127.0.0.1", 0), _Handler)
    server.upstream = urlsplit(model.base_url).netloc
    thread = threading.Thread(target=server.serve_forever, name="steady-model")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client may keep its connection open for longer than the tests
    upstream = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        body = json.dumps(_steadied(json.loads(self.rfile.read(length)))).encode()
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        try:
            kept = {name: value for name, value in self.headers.items() if name.lower() in _KEPT}
            upstream.request("POST", self.path, body, kept)
            self._pass_on(upstream.getresponse())
        except (BrokenPipeError, ConnectionResetError):  # the client has left, and so do we
            self.close_connection = True
        finally:
            upstream.close()

    def _pass_on(self, response: http.client.HTTPResponse) -> None:
        self.send_response(response.status)
        self.send_header("content-type", response.headers["content-type"])
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while piece := response.read1(65536):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _steadied(request: Mapping[str, Any]) -> dict[str, Any]:
    limit = _JSON_LIMIT if "response_format" in request else _LIMIT
    has_limit = not _LIMITS.isdisjoint(request)
    length = {} if has_limit else {"max_tokens": limit}
    return {**_STEADY, **length, **request}


# --- code that asks the model itself --------------------------------------------------------------

_EMBEDDED = "local:smollm2"
_ASKING = frozenset({"generate", "stream", "stream_events", "stream_with_usage"})


def steadied_code(code: ast.Module) -> ast.Module:
    """Code whose calls ask the embedded model for what the proxy would: it starts its own server.

    Without it, a poem has 40 words or 2,000, and on a busy machine no time limit is long enough.
    """
    for node in ast.walk(code):
        if isinstance(node, ast.Call) and _asks_embedded(node):
            given = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            added = {name: value for name, value in _steadied(given).items() if name not in given}
            node.keywords += [
                ast.keyword(name, ast.Constant(value)) for name, value in added.items()
            ]
    return ast.fix_missing_locations(code)


def _asks_embedded(call: ast.Call) -> bool:
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    is_named = any(isinstance(value, ast.Constant) and value.value == _EMBEDDED for value in values)
    return is_named and isinstance(call.func, ast.Attribute) and call.func.attr in _ASKING
