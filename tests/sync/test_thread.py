"""The loop of a blocking client: begun, ended and replaced as a whole, from whichever thread."""

from __future__ import annotations

import asyncio
import inspect
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from steer_llm_sdk import (
    ConfigurationError,
    ProviderSettings,
    SteerError,
    StreamCancelledError,
    SyncSteerLLMClient,
)
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.processor import (
    EventProcessor,
    EventTransformer,
    PredicateFilter,
    create_event_processor,
)
from steer_llm_sdk.sync.thread import LoopThread
from steer_llm_sdk.testing import LoopbackServer, Script, ScriptedProvider, Stall

MODEL = "gpt-4o"
THREAD = "steer-llm-sdk"


def scripted() -> SyncSteerLLMClient:
    return SyncSteerLLMClient("test", transport=ScriptedProvider("Hello"))


def client_of(server: LoopbackServer) -> SyncSteerLLMClient:
    settings = ProviderSettings(api_key="x", base_url=server.base_url("openai"))
    return SyncSteerLLMClient(providers={"openai": settings})


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(Script(["Hello"])).in_thread() as running:
        yield running


# --- closed, and used again -------------------------------------------------------------------


def test_a_client_is_closed_again_while_a_stream_of_before_is_held() -> None:
    client = scripted()
    held = client.stream_events("Hi", MODEL)
    list(held)
    for _ in range(3):
        client.close()
        assert loop_threads() == []
        assert client.generate("Hi", MODEL).ok
    client.close()

    assert loop_threads() == []
    held.close()
    held.cancel()
    assert list(held) == []


def test_threads_call_while_others_close() -> None:
    client = scripted()
    errors: list[BaseException] = []
    rounds = iter(range(600))
    lock = threading.Lock()

    def work(call: Callable[[], object]) -> None:
        while True:
            with lock:
                if next(rounds, None) is None:
                    return
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - whatever it is, is looked at
                errors.append(error)

    calls: list[Callable[[], object]] = [
        lambda: client.generate("Hi", MODEL),
        lambda: client.stream_with_usage("Hi", MODEL, on_delta=lambda _: None),
        lambda: list(client.stream("Hi", MODEL)),
        lambda: client.generate("Hi", MODEL),
        client.close,
        client.close,
    ]
    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()

    assert [error for error in errors if not isinstance(error, SteerError)] == []
    assert loop_threads() == []


def test_whoever_closes_second_waits_for_the_end_too(server: LoopbackServer) -> None:
    server.answer_with(Script(["Hello"], faults=[Stall(1)]))
    client = client_of(server)
    stream = client.stream_events("Hi", MODEL)
    next(stream)
    alive: list[int] = []

    def close() -> None:
        client.close()
        alive.append(len(loop_threads()))

    closers = [threading.Thread(target=close) for _ in range(4)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()

    assert alive == [0] * 4
    assert isinstance(stream.response.error, StreamCancelledError)


def test_a_call_that_is_cut_off_by_the_end_says_so() -> None:
    thread = LoopThread()
    begun = threading.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def nothing() -> None:
        pass

    def close() -> None:
        begun.wait()
        thread.shut_down(nothing)

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(StreamCancelledError, match="client was closed"):
        thread.run(hang())
    closer.join()


def test_an_exit_in_the_loop_ends_it_and_the_next_call_gets_another() -> None:
    def leave(_: StreamEvent) -> bool:
        raise SystemExit(3)

    options = StreamingOptions(event_processor=EventProcessor([PredicateFilter(leave)]))
    with scripted() as client:
        client.generate("Hi", MODEL)
        (left,) = loop_threads()
        with pytest.raises(SystemExit):
            client.stream_with_usage("Hi", MODEL, streaming_options=options)

        assert client.generate("Hi", MODEL).ok
        left.join(10)
        (running,) = loop_threads()
        assert running is not left


def test_where_no_thread_can_be_had_the_caller_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with scripted() as client:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="new thread"):
                client.generate("Hi", MODEL)

        assert client.generate("Hi", MODEL).ok


def test_where_no_loop_can_be_had_the_caller_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> asyncio.AbstractEventLoop:
        raise OSError(24, "Too many open files")

    with scripted() as client:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "new_event_loop", refuse)
            with pytest.raises(OSError, match="Too many open files"):
                client.generate("Hi", MODEL)

        assert client.generate("Hi", MODEL).ok


# --- from within its own loop -----------------------------------------------------------------


Blocking = Callable[[SyncSteerLLMClient], object]
CALLS: dict[str, Blocking] = {
    "generate": lambda client: client.generate("?", MODEL),
    "stream_with_usage": lambda client: client.stream_with_usage("?", MODEL),
    "stream_events": lambda client: list(client.stream_events("?", MODEL)),
    "stream": lambda client: list(client.stream("?", MODEL)),
    "stream_items": lambda client: list(client.stream_items("?", int, MODEL)),
}


class Calling(EventTransformer):
    """Calls something for each complete event."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call

    def transform(self, event: StreamEvent) -> StreamEvent:
        if event.type == "complete":
            self._call()
        return event


def in_a_handler(call: Callable[[], object]) -> EventProcessor:
    return create_event_processor(batch_size=100, batch_handler=lambda _: call())


def in_a_transformer(call: Callable[[], object]) -> EventProcessor:
    return EventProcessor(transformers=[Calling(call)])


def in_a_filter(call: Callable[[], object]) -> EventProcessor:
    def look(event: StreamEvent) -> bool:
        if event.type == "complete":
            call()
        return True

    return EventProcessor([PredicateFilter(look)])


@pytest.mark.parametrize("place", [in_a_handler, in_a_transformer, in_a_filter])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_from_within_its_own_loop_is_refused_at_once(
    call: Blocking, place: Callable[[Callable[[], object]], EventProcessor]
) -> None:
    errors: list[Exception] = []

    def try_it() -> None:
        try:
            call(client)
        except ConfigurationError as error:
            errors.append(error)

    with scripted() as client:
        options = StreamingOptions(event_processor=place(try_it))
        client.generate("Hi", MODEL, streaming_options=options)

        assert len(errors) == 1
        assert "use another client" in str(errors[0])


def test_another_client_may_be_called_there() -> None:
    answers: list[str] = []
    with scripted() as client, scripted() as other:
        ask = in_a_handler(lambda: answers.append(other.generate("?", MODEL).get_text()))
        client.generate("Hi", MODEL, streaming_options=StreamingOptions(event_processor=ask))

    assert answers == ["Hello"]


def test_a_stream_is_left_there_without_waiting() -> None:
    with scripted() as client:
        stream = client.stream_events("?", MODEL)
        next(stream)
        leave = in_a_handler(stream.close)
        client.generate("Hi", MODEL, streaming_options=StreamingOptions(event_processor=leave))

        assert [event.type for event in stream][-1] in {"complete", "error"}


# --- Ctrl-C -----------------------------------------------------------------------------------


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Python's own handler: what runs in the background has none."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_when(server: LoopbackServer, condition: Callable[[], object]) -> threading.Thread:
    """Send this process SIGINT once something holds."""

    def send() -> None:
        server.wait_until(condition)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def iterate(client: SyncSteerLLMClient) -> None:
    with client.stream("?", MODEL) as texts:
        for _ in texts:
            pass


def wait_in_a_callback(client: SyncSteerLLMClient) -> None:
    async def wait_for_ever(_: StreamEvent) -> None:
        await asyncio.Event().wait()

    client.stream_with_usage("?", MODEL, on_delta=wait_for_ever)


WAITING: dict[str, Blocking] = {
    "generate": CALLS["generate"],
    "stream_with_usage": CALLS["stream_with_usage"],
    "stream": iterate,
    "an asynchronous callback": wait_in_a_callback,
}


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals go elsewhere"
)
@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("call", WAITING.values(), ids=WAITING.keys())
def test_ctrl_c_ends_the_request(call: Blocking, server: LoopbackServer) -> None:
    server.answer_with(Script(["Hello"], faults=[Stall(1)]))
    client = client_of(server)
    sender = interrupt_when(server, lambda: server.requests)

    with pytest.raises(KeyboardInterrupt):
        call(client)
    sender.join()
    server.wait_until(lambda: server.connections.open == 0)

    client.close()
    assert loop_threads() == []


def test_an_interruption_while_work_is_handed_over_cancels_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def hang() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def submit(work: Any, loop: asyncio.AbstractEventLoop) -> Any:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
        loop.call_soon_threadsafe(loop.create_task, work)
        begun.wait()
        raise KeyboardInterrupt

    with scripted() as client:
        assert client.generate("Hi", MODEL).ok
        with monkeypatch.context() as patch:
            patch.setattr("steer_llm_sdk.sync.thread._submit", submit)
            with pytest.raises(KeyboardInterrupt):
                client._thread.run(hang())

        assert ended.wait(10)
        assert client.generate("Hi", MODEL).ok


def test_an_interruption_before_work_is_handed_over_closes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing() -> None:
        pass

    def submit(*_: object) -> Any:
        raise KeyboardInterrupt

    work = nothing()
    with scripted() as client:
        assert client.generate("Hi", MODEL).ok
        with monkeypatch.context() as patch:
            patch.setattr("steer_llm_sdk.sync.thread._submit", submit)
            with pytest.raises(KeyboardInterrupt):
                client._thread.run(work)
        assert client.generate("Hi", MODEL).ok  # the loop has seen to what came before

        assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


# --- fork -------------------------------------------------------------------------------------


BEGIN = """
import gc, logging, os, signal, sys, threading, warnings
warnings.filterwarnings("ignore", ".*multi-threaded.*", DeprecationWarning)
logging.getLogger("asyncio").setLevel(logging.ERROR)
from steer_llm_sdk import *
settings = ProviderSettings(api_key="x", base_url=sys.argv[1])
client = SyncSteerLLMClient(providers={"openai": settings})

def ask(prompt="Hi"):
    return client.generate(prompt, "gpt-4o").get_text()

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
    return pid

def codes(*pids):
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
"""

FORKS = {
    "after use": """
assert ask() == "Hello"
assert codes(in_child(ask), in_child(ask)) == [0, 0]
assert ask() == "Hello"
""",
    "the child ends as any program does": """
assert ask() == "Hello"
assert codes(in_child(ask, sys.exit)) == [0]
assert codes(in_child(lambda: None, sys.exit)) == [0]
assert codes(in_child(client.close, sys.exit)) == [0]
assert ask() == "Hello"
""",
    "a child of a child": """
assert ask() == "Hello"
def work():
    assert ask() == "Hello"
    assert codes(in_child(ask)) == [0]
    return ask()
assert codes(in_child(work, sys.exit)) == [0]
assert ask() == "Hello"
""",
    "in the middle of a stream": """
stream = client.stream_events("Hi", "gpt-4o")
kinds = [next(stream).type]
def work():
    try:
        while True:
            next(stream)
    except ConfigurationError as error:
        assert "before the fork" in str(error)
    stream.cancel()
    stream.close()
    return ask()
assert codes(in_child(work), in_child(ask)) == [0, 0]
kinds += [event.type for event in stream]
assert kinds[0] == "start" and kinds[-1] == "complete", kinds
""",
    "a stream is dropped in the child": """
stream = client.stream_events("long", "gpt-4o")
next(stream)
def work():
    global stream
    stream = None
    gc.collect()
assert codes(in_child(work)) == [0]
assert [event.type for event in stream][-1] == "complete"
""",
    "every way of streaming": """
assert ask() == "Hello"
def work():
    seen = []
    async def show(event):
        seen.append(event.get_text())
    client.stream_with_usage("Hi", "gpt-4o", on_delta=show)
    assert seen == ["Hello"], seen
    assert list(client.stream("Hi", "gpt-4o")) == ["Hello"]
    client.close()
    return ask()
assert codes(in_child(work)) == [0]
assert ask() == "Hello"
""",
    "while threads call and close": """
assert ask() == "Hello"  # in the middle of an import, Python itself cannot be forked
is_over = False
def call():
    while not is_over:
        try:
            ask()
        except StreamCancelledError:
            pass
def close():
    while not is_over:
        client.close()
threads = [threading.Thread(target=call) for _ in range(3)] + [threading.Thread(target=close)]
for thread in threads:
    thread.start()
try:
    for _ in range(10):
        assert codes(in_child(ask)) == [0]
finally:
    is_over = True
for thread in threads:
    thread.join()
assert ask() == "Hello"
""",
    "multiprocessing": """
import multiprocessing
def work(_):
    return ask()
assert ask() == "Hello"
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(work, range(6)) == ["Hello"] * 6
assert ask() == "Hello"
""",
}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("program", FORKS.values(), ids=FORKS.keys())
def test_a_client_works_in_a_child_process_and_goes_on_in_the_parent(
    program: str, server: LoopbackServer
) -> None:
    def answer(request: Any) -> Script:
        is_long = "long" in str(request.json["messages"])
        return Script(["Hello"] * (3000 if is_long else 1))

    server.answer_with(answer)
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", BEGIN + program, server.base_url()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    server.wait_until(lambda: server.connections.open == 0)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_child_has_a_connection_of_its_own(server: LoopbackServer) -> None:
    program = "ask(); ask(); assert codes(in_child(lambda: (ask(), ask()) and None)) == [0]; ask()"
    subprocess.run(
        [sys.executable, "-c", BEGIN + program, server.base_url()],
        check=True,
        timeout=60,
    )

    assert server.connections.opened == 2
    assert len(server.requests) == 5
