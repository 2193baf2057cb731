"""A shell for the command line: no keys, nothing piped in, a state folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk.providers.registry import PROVIDERS
from steer_llm_sdk.testing import LoopbackServer


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No provider's variable is set, nothing is piped in; gives where conversations are kept."""
    for row in PROVIDERS.values():
        for name in (*row.key_env, *row.base_url_env):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", None)
    folder = tmp_path / "conversations"
    monkeypatch.setenv("STEER_STATE_DIR", str(folder))
    return folder


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LoopbackServer]]:
    """Start a server that is OpenAI's for this shell."""
    with ExitStack() as stack:

        def start(answers: Any) -> LoopbackServer:
            server = stack.enter_context(LoopbackServer(answers).in_thread())
            monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test-0123456789")
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url("openai"))
            return server

        yield start
