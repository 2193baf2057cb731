"""Threads that call a client after the main thread has ended: a script that starts them does so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from steer_llm_sdk.testing import LoopbackServer

BEGIN = """
import sys, threading
from steer_llm_sdk import *
settings = ProviderSettings(api_key=KEY, base_url=sys.argv[1])
client = SyncSteerLLMClient(providers={"openai": settings})

def print(*words):  # in one write: two threads print
    sys.stdout.write(" ".join(words) + "\\n")

def call():
    threading.main_thread().join()
    WAY

for _ in range(2):
    threading.Thread(target=call).start()
"""

WAYS = {
    "generate": 'print(client.generate("Hi", "gpt-4o").text)',
    "stream": 'print("".join(client.stream("Hi", "gpt-4o")))',
    "gather": 'print(*(each.response.text for each in client.gather(["Hi"], "gpt-4o")))',
    "run": 'print(client.run("Hi", "gpt-4o", tools=[]).response.text)',
}


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with LoopbackServer().in_thread() as server:
        yield server.base_url()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("host", "key"), [("127.0.0.1", '"x"'), ("localhost", 'lambda: "x"')])
def test_a_client_is_first_called_when_the_main_thread_has_ended(
    way: str, host: str, key: str, base_url: str
) -> None:
    program = BEGIN.replace("WAY", WAYS[way]).replace("KEY", key)
    url = base_url.replace("127.0.0.1", host)

    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ran.stdout, ran.stderr) == ("Hello world\n" * 2, "")
