"""What a client has in each event loop: it goes with the loop, the client and the process."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError, ProviderSettings, SteerError, SteerLLMClient
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.pools import Pools
from steer_llm_sdk.sinks import Sink
from steer_llm_sdk.testing import LoopbackServer, Script, ScriptedProvider, Stall
from support.tls import make_contexts

MODEL = "gpt-4o"


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(Script(["Hello"])).in_thread() as running:
        yield running


def client_of(
    server: LoopbackServer, *, verify: bool = True, sinks: Sequence[Sink] = ()
) -> SteerLLMClient:
    settings = ProviderSettings(api_key="x", base_url=server.base_url(), verify=verify)
    return SteerLLMClient(providers={"openai": settings}, sinks=sinks)


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def closed_loops() -> int:
    """Those of other tests too."""
    gc.collect()
    found = gc.get_objects()
    return sum(isinstance(one, asyncio.AbstractEventLoop) and one.is_closed() for one in found)


def by_run(client: SteerLLMClient) -> None:
    assert asyncio.run(client.generate("Hi", MODEL)).ok


def by_a_loop_that_is_closed(client: SteerLLMClient) -> None:
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(client.generate("Hi", MODEL)).ok
    loop.close()


def by_a_loop_that_closes_its_generators(client: SteerLLMClient) -> None:
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(client.generate("Hi", MODEL)).ok
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


WAYS = [by_run, by_a_loop_that_is_closed, by_a_loop_that_closes_its_generators]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
def test_closed_loops_are_forgotten_with_what_they_held(
    way: Callable[[SteerLLMClient], None], server: LoopbackServer
) -> None:
    client = client_of(server)
    for _ in range(3):
        way(client)
    files, loops = descriptors(), closed_loops()
    for _ in range(30):
        way(client)

    assert descriptors() < files + 10  # the server's are counted, too
    assert closed_loops() <= loops
    assert len(client._pools) <= 1
    server.wait_until(lambda: server.connections.open <= 1)


def test_over_tls_too(tmp_path: Path) -> None:
    serving, _ = make_contexts(tmp_path)
    with LoopbackServer(Script(["Hello"]), ssl=serving).in_thread() as server:
        client = client_of(server, verify=False)
        by_a_loop_that_is_closed(client)
        files = descriptors()
        for _ in range(30):
            by_a_loop_that_is_closed(client)
        assert descriptors() < files + 10
        del client
        gc.collect()
        server.wait_until(lambda: server.connections.open == 0)


def test_a_loop_goes_while_its_client_stays(server: LoopbackServer) -> None:
    client = client_of(server)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.generate("Hi", MODEL))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    ended = weakref.ref(loop)
    del loop
    gc.collect()

    assert ended() is None
    assert len(client._pools) == 0


@pytest.mark.parametrize("asked", ["events", "words", "run", "observer", "prompts"])
@pytest.mark.filterwarnings("error::ResourceWarning")
def test_what_a_consumer_left_behind_ends_with_the_loop(
    asked: str, server: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a ``break``, or Ctrl-C, where the frame that read the stream is still held."""
    server.answer_with(Script(["Hello", " world"], faults=[Stall(after=1)]))
    told: list[StreamRecord] = []
    client = client_of(server, sinks=[Listening(told)])
    held: list[object] = []

    async def read() -> None:
        held.append(reader := reader_of(client, asked, held))
        async for _ in reader:
            pass

    async def leave() -> None:
        held.append(asyncio.ensure_future(read()))
        await server.wait_for(lambda: server.requests)

    asyncio.run(leave())
    asyncio.run(client.close())

    assert [record.outcome for record in told] == ["cancelled"]
    assert client.stats.cancelled == client.stats.streams == 1
    server.wait_until(lambda: server.connections.open == 0)
    assert [each.message for each in caplog.records if "destroyed" in each.message] == []


@pytest.mark.parametrize("asked", ["events", "words", "run", "observer", "prompts"])
@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
def test_what_is_read_in_another_loop_says_so(asked: str, server: LoopbackServer) -> None:
    """As where a program that is not asynchronous asks for each event by a loop of its own."""
    server.answer_with(Script(["Hello", " world"], faults=[Stall(after=1)]))
    client = client_of(server)
    held: list[object] = []
    reader = reader_of(client, asked, held)
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()

    async def begin_reading() -> None:
        held.append(asyncio.ensure_future(rest_of(reader)))
        await server.wait_for(lambda: server.requests)

    first.run_until_complete(begin_reading())
    with pytest.raises(ConfigurationError, match="was begun in another event loop"):
        second.run_until_complete(anext(reader))
    first.run_until_complete(client.close())
    first.close()
    second.close()


@pytest.mark.parametrize("asked", ["events", "words", "run", "observer", "prompts"])
def test_what_is_read_on_in_the_next_loop_has_ended_and_says_so(
    asked: str, server: LoopbackServer
) -> None:
    server.answer_with(Script(["Hello", " world"], faults=[Stall(after=1)]))
    held: list[object] = []
    reader = reader_of(client_of(server), asked, held)

    async def begin_reading() -> None:
        held.append(asyncio.ensure_future(rest_of(reader)))
        await server.wait_for(lambda: server.requests)

    asyncio.run(begin_reading())
    with pytest.raises(
        SteerError, match=r"event loop (that has )?ended|task that read .* was cancelled"
    ):
        asyncio.run(rest_of(reader))


@pytest.mark.parametrize("asked", ["events", "words", "run", "observer", "prompts"])
def test_a_reader_may_be_made_an_iterator_before_a_loop_runs(
    asked: str, server: LoopbackServer
) -> None:
    client = client_of(server)
    held: list[object] = []
    iterator = aiter(reader_of(client, asked, held))

    with asyncio.Runner() as runner:
        got = runner.run(rest_of(iterator))
        runner.run(client.close())

    assert got


async def rest_of(reader: Any) -> list[Any]:
    return [each async for each in reader]


def reader_of(client: SteerLLMClient, asked: str, held: list[object]) -> Any:
    if asked == "words":
        return client.stream("Hi", MODEL)
    if asked == "run":
        return client.run_events("Hi", MODEL)
    if asked == "prompts":
        return client.map(["Hi"], MODEL)
    held.append(stream := client.stream_events("Hi", MODEL))
    return stream if asked == "events" else stream.subscribe()


class Listening(Sink):
    """Keeps the records of all streams that have ended."""

    def __init__(self, told: list[StreamRecord]) -> None:
        self._told = told

    def stream_ended(self, record: StreamRecord) -> None:
        self._told.append(record)


def test_a_client_that_is_dropped_closes_what_its_closed_loop_held(server: LoopbackServer) -> None:
    client = client_of(server)
    by_a_loop_that_is_closed(client)
    assert server.connections.open == 1

    del client
    gc.collect()

    server.wait_until(lambda: server.connections.open == 0)


def test_a_client_that_is_dropped_leaves_nothing_to_do_for_its_idle_loop(
    server: LoopbackServer,
) -> None:
    """What is left for a loop that never runs again, Python warns of."""
    client = client_of(server)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.generate("Hi", MODEL))
    del client
    gc.collect()
    begun: list[object] = []

    def begin(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
        begun.append(work)
        return asyncio.Task(work, loop=loop, **more)

    loop.set_task_factory(begin)
    own = asyncio.sleep(0)
    loop.run_until_complete(own)
    loop.close()

    assert begun == [own]


def test_what_a_closed_loop_did_not_deliver_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    stats = ClientStats()
    pools = Pools(ScriptedProvider(), stats)
    loop = asyncio.new_event_loop()
    waits = asyncio.Event()

    async def keep() -> None:
        async def wait() -> None:
            await waits.wait()

        pools.here().keep(wait())

    loop.run_until_complete(keep())
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is what is tested
    loop.close()

    async def look() -> None:
        pools.here()

    with caplog.at_level(logging.WARNING, "steer_llm_sdk"):
        asyncio.run(look())

    assert stats.undelivered == 1
    assert "not delivered" in caplog.text


async def test_a_pool_is_that_of_its_loop() -> None:
    pools = Pools(ScriptedProvider(), ClientStats())
    here = pools.here()

    def elsewhere() -> bool:
        async def look() -> bool:
            return pools.here() is here

        return asyncio.run(look())

    assert pools.here() is here
    assert not await asyncio.to_thread(elsewhere)
    await here.close()
    assert pools.here() is here


# --- programs ---------------------------------------------------------------------------------

BEGIN = """
import asyncio, gc, logging, os, signal, sys, warnings
logging.getLogger("asyncio").setLevel(logging.ERROR)
# Python 3.12 and newer warn of every fork beside a thread, and an event loop looks up hosts in one.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
from steer_llm_sdk import ConfigurationError, ProviderSettings, SteerError, SteerLLMClient
settings = ProviderSettings(api_key="x", base_url=sys.argv[1])
client = SteerLLMClient(providers={"openai": settings})

async def ask():
    response = await client.generate("Hi", "gpt-4o")
    return response.get_text()

def in_child(work, leave=os._exit):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        code = 1
        try:
            code = 0 if work() in (None, "Hello") else 2
        except BaseException as error:
            print("child:", repr(error), file=sys.stderr)
        leave(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(program: str, server: LoopbackServer, *flags: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, *flags, "-c", BEGIN + program, server.base_url()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


UNCLOSED = {
    "a loop for each task": """
for _ in range(3):
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(ask()) == "Hello"
    loop.close()
""",
    "dropped before the end": """
loop = asyncio.new_event_loop()
assert loop.run_until_complete(ask()) == "Hello"
loop.close()
del client
gc.collect()
""",
    "dropped in its loop": """
async def main():
    global client
    assert await ask() == "Hello"
    del client
    gc.collect()
asyncio.run(main())
""",
}


@pytest.mark.parametrize("program", UNCLOSED.values(), ids=UNCLOSED.keys())
def test_a_client_that_is_never_closed_says_nothing(program: str, server: LoopbackServer) -> None:
    assert run(program, server, "-X", "dev", "-W", "error") == (0, "")
    server.wait_until(lambda: server.connections.open == 0)


IDLE = {
    "at the end of the process": "",
    "when it is dropped": "del client; gc.collect()",
    "when it is dropped, and the loop closed later": "del client; gc.collect(); loop.close()",
    "when it is dropped, and the loop runs on": (
        "del client; gc.collect(); loop.run_until_complete(asyncio.sleep(0))"
    ),
}


@pytest.mark.parametrize("end", IDLE.values(), ids=IDLE.keys())
def test_nor_does_one_whose_loop_is_left_as_it_is(end: str, server: LoopbackServer) -> None:
    """Python itself warns of such a loop, in its development mode."""
    program = "loop = asyncio.new_event_loop()\nassert loop.run_until_complete(ask()) == 'Hello'\n"

    assert run(program + end, server) == (0, "")
    server.wait_until(lambda: server.connections.open == 0)


FORKS = {
    "after asyncio.run": """
assert asyncio.run(ask()) == "Hello"
assert in_child(lambda: asyncio.run(ask()), sys.exit) == 0
assert asyncio.run(ask()) == "Hello"
""",
    "with an idle loop": """
loop = asyncio.new_event_loop()
assert loop.run_until_complete(ask()) == "Hello"
assert in_child(lambda: asyncio.run(ask())) == 0
assert in_child(lambda: asyncio.run(client.close())) == 0
assert in_child(gc.collect and (lambda: None)) == 0
assert loop.run_until_complete(ask()) == "Hello"
loop.run_until_complete(client.close())
loop.close()
""",
    "the child ends as any program does": """
loop = asyncio.new_event_loop()
assert loop.run_until_complete(ask()) == "Hello"
assert in_child(lambda: asyncio.run(ask()), sys.exit) == 0
assert loop.run_until_complete(ask()) == "Hello"
loop.run_until_complete(client.close())
loop.close()
""",
    "within a running loop": """
async def main():
    assert await ask() == "Hello"
    assert in_child(lambda: asyncio.run(ask())) == 0
    assert await ask() == "Hello"
asyncio.run(main())
""",
    "in the middle of a stream": """
async def main():
    async with client.stream_events("Hi", "gpt-4o") as stream:
        kinds = [(await anext(stream)).type]
        kinds += [(await anext(stream)).type]
        assert in_child(lambda: asyncio.run(ask())) == 0
        kinds += [event.type async for event in stream]
    assert kinds == ["start", "delta", "usage", "complete"], kinds
asyncio.run(main())
""",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("program", FORKS.values(), ids=FORKS.keys())
def test_a_child_process_shares_no_connection_with_its_parent(
    program: str, server: LoopbackServer
) -> None:
    assert run(program, server) == (0, "")
    server.wait_until(lambda: server.connections.open == 0)


def test_the_parent_s_connection_is_kept_through_a_fork(server: LoopbackServer) -> None:
    assert run(FORKS["with an idle loop"], server) == (0, "")

    assert server.connections.opened == 2
    assert len(server.requests) == 3
