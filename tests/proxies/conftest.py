"""What the tests of all proxies share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from steer_llm_sdk.testing import LoopbackServer, Script
from support.through import TEXT, Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def plain() -> AsyncIterator[LoopbackServer]:
    """A provider without TLS."""
    async with LoopbackServer(Script(TEXT)) as server:
        yield server


@pytest.fixture
async def secure(authority: Authority) -> AsyncIterator[LoopbackServer]:
    """A provider with TLS."""
    async with LoopbackServer(Script(TEXT), ssl=authority.server()) as server:
        yield server
