from __future__ import annotations

import subprocess
import sys
import urllib.request

import pytest

from steer_llm_sdk.testing import LoopbackServer, ManualClock, Script
from support.raw_http import PATHS, RawClient

pytest_plugins = ["steer_llm_sdk.testing.plugin"]


def test_the_server_serves_a_blocking_test(steer_server: LoopbackServer) -> None:
    steer_server.answer_with(Script(["for you"]))

    request = urllib.request.Request(steer_server.url + PATHS["ollama"], data=b"{}")
    with urllib.request.urlopen(request) as answer:
        assert b"for you" in answer.read()


async def test_the_server_serves_an_asynchronous_test(steer_server: LoopbackServer) -> None:
    async with RawClient(steer_server) as raw:
        raw.ask()
        status, _, _ = await raw.answer()
    await steer_server.wait_for(lambda: steer_server.connections.open == 0)

    assert status == "HTTP/1.1 200 OK"


def test_the_clock_stands_still(manual_clock: ManualClock) -> None:
    before = manual_clock.monotonic()
    manual_clock.jump(1)

    assert manual_clock.monotonic() == before + 1


@pytest.mark.parametrize("module", ["aiohttp", "pytest"])
def test_the_test_kit_itself_loads_neither_the_http_library_nor_pytest(module: str) -> None:
    program = f"import sys, steer_llm_sdk.testing; print({module!r} in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout.strip() == b"False"
