"""A daemon thread that still waits when the interpreter ends is left by its client in silence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from steer_llm_sdk.testing import LoopbackServer, Script, Stall

BEGIN = """
import atexit, sys, threading
# Called last, since registered first: what the thread has to say is said before the end.
atexit.register(lambda: thread.join(20))
from steer_llm_sdk import *
settings = ProviderSettings(api_key="x", base_url=sys.argv[1])
client = SyncSteerLLMClient(providers={"openai": settings})

def call():
    try:
        begin()
        WAY
        print("it has ended")
    except Exception as error:
        print(repr(error))
        raise
    finally:
        print("left")

thread = threading.Thread(target=call, daemon=True)
"""

# Each waits for the other thread, where something of the interpreter has ended or not.
MOMENTS = {
    "in its first request": """
def begin():
    pass
thread.start()
sys.stdin.read()  # until the request has come
""",
    "before its first request": """
def begin():
    threading.main_thread().join()
thread.start()
atexit.register(lambda: thread.join(2))  # called first: the client is not closed yet
""",
}

WAYS = {
    "generate": 'client.generate("Hi", "gpt-4o")',
    "stream": 'list(client.stream("Hi", "gpt-4o"))',
    "stream_events": 'list(client.stream_events("Hi", "gpt-4o"))',
    "stream_with_usage": 'client.stream_with_usage("Hi", "gpt-4o", on_delta=print)',
    "run": 'client.run("Hi", "gpt-4o", tools=[])',
    "gather": 'client.gather(["Hi"], "gpt-4o")',
}


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(Script(["Hello"], faults=[Stall("request")])).in_thread() as running:
        yield running


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_daemon_thread_ends_with_the_interpreter_without_a_word(
    moment: str, way: str, server: LoopbackServer
) -> None:
    program = BEGIN.replace("WAY", way) + MOMENTS[moment]
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, server.base_url()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        if moment == "in its first request":
            # On a busy machine a new interpreter takes its time.
            server.wait_until(lambda: server.requests, timeout=60)
        told, complained = child.communicate(timeout=60)

    assert (child.returncode, complained) == (0, "")
    assert told == "left\n"
    server.wait_until(lambda: server.connections.open == 0)
