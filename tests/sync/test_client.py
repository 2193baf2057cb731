"""The blocking client: what it calls, in which thread, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from steer_llm_sdk import (
    ConfigurationError,
    InvalidJSONError,
    InvalidRequestError,
    MissingAPIKeyError,
    ProviderSettings,
    SteerError,
    StreamCancelledError,
    StreamingResponse,
    SyncSteerLLMClient,
    UnknownModelError,
)
from steer_llm_sdk.journal import MemoryJournal
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import (
    HTTPError,
    LoopbackServer,
    RecordedRequest,
    Script,
    ScriptedProvider,
    Stall,
    check_stream,
)

MODEL = "gpt-4o"
HELLO = Script(["Hello", " world"])
THREAD = "steer-llm-sdk"
NO_OPTIONS: Any = {}


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(HELLO).in_thread() as running:
        yield running


@pytest.fixture
def client(server: LoopbackServer) -> Iterator[SyncSteerLLMClient]:
    with client_of(server) as running:
        yield running


def client_of(server: LoopbackServer) -> SyncSteerLLMClient:
    settings = ProviderSettings(api_key="x", base_url=server.base_url("openai"))
    return SyncSteerLLMClient(providers={"openai": settings})


def scripted(*says: Any, **more: Any) -> SyncSteerLLMClient:
    return SyncSteerLLMClient("test", transport=ScriptedProvider(*says, **more))


async def hold_after(work: Awaitable[None]) -> None:
    """Do it, and go on for ever."""
    await work
    await asyncio.Event().wait()


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


# --- the ways of streaming --------------------------------------------------------------------


def test_all_ways_of_streaming_give_the_same_answer(client: SyncSteerLLMClient) -> None:
    events: list[StreamEvent] = []
    response = client.stream_with_usage(
        "Hi",
        MODEL,
        on_start=events.append,
        on_delta=events.append,
        on_usage=events.append,
        on_complete=events.append,
    )
    stream = client.stream_events("Hi", MODEL)
    pulled = list(stream)
    texts = client.stream("Hi", MODEL)

    assert check_stream(pulled).text == "Hello world"
    assert [event.type for event in events] == [event.type for event in pulled]
    assert "".join(texts) == response.get_text() == stream.response.get_text() == "Hello world"
    assert client.generate("Hi", MODEL).get_text() == "Hello world"
    assert response.usage == stream.response.usage == texts.response.usage
    assert response.ok


def test_items_are_streamed_one_by_one() -> None:
    with scripted('{"items": [1, ', "2", ", 3]}") as client:
        assert list(client.stream_items("Hi", int, MODEL)) == [1, 2, 3]


def test_an_item_that_does_not_fit_leaves_the_stream() -> None:
    with scripted('{"items": [1, ', '"two"', ", 3]}") as client:
        items = client.stream_items("Hi", int, MODEL)

        with pytest.raises(InvalidJSONError):
            list(items)
        assert items.response.error is not None


def test_a_long_stream_is_taken_as_it_comes() -> None:
    pieces = [f"{at} " for at in range(5000)]
    with scripted(*pieces) as client:
        assert list(client.stream("Hi", MODEL)) == pieces


def test_a_slow_reader_slows_the_reading(server: LoopbackServer) -> None:
    server.answer_with(Script(["x"] * 20_000))
    with client_of(server) as client, client.stream_events("Hi", MODEL) as stream:
        for _ in range(3):
            next(stream)

        assert stream._feed._items.qsize() <= 300
        assert sum(isinstance(event, StreamDeltaEvent) for event in stream) == 20_000 - 2


def test_an_abandoned_stream_warns_and_closes_its_socket(server: LoopbackServer) -> None:
    server.answer_with(Script(["Hello", " world"], faults=[Stall(after=1)]))

    with client_of(server) as client:
        stream = client.stream_events("Hi", MODEL)
        while next(stream).type != "delta":
            pass
        with pytest.warns(ResourceWarning, match="abandoned"):  # noqa: PT031 - its last holder
            del stream
            gc.collect()
        server.wait_until(lambda: server.connections.closed_by_client == 1)


def test_an_abandoned_stream_is_closed_where_its_warning_is_an_error(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    server.answer_with(Script(["Hello", " world"], faults=[Stall(after=1)]))

    with client_of(server) as client:
        stream = client.stream_events("Hi", MODEL)
        while next(stream).type != "delta":
            pass
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del stream
            gc.collect()
        server.wait_until(lambda: server.connections.closed_by_client == 1)

    assert [type(raised.exc_value) for raised in unraisable] == [ResourceWarning]


def test_a_stream_that_was_left_is_dropped_in_silence_while_it_ends(
    server: LoopbackServer, recwarn: pytest.WarningsRecorder
) -> None:
    server.answer_with(Script(["Hello", " world"], faults=[Stall(after=1)]))

    with client_of(server) as client:
        stream = client.stream_events("Hi", MODEL)
        while next(stream).type != "delta":
            pass
        ending = threading.Event()
        stream._feed.call(ending.wait)  # the loop is held up, so that it cannot have ended
        stream._feed.leave("enough", waits=False)
        is_running = stream._feed.is_running
        del stream
        gc.collect()
        ending.set()

    assert is_running
    assert [str(warning.message) for warning in recwarn] == []


def test_a_stream_that_was_read_to_its_end_is_dropped_in_silence(
    client: SyncSteerLLMClient,
) -> None:
    assert list(client.stream_events("Hi", MODEL))[-1].type == "complete"

    gc.collect()


def test_the_end_stays_the_end(client: SyncSteerLLMClient) -> None:
    stream = client.stream("Hi", MODEL)

    assert list(stream) == ["Hello", " world"]
    assert list(stream) == []


# --- failures ---------------------------------------------------------------------------------


def test_a_failed_stream_raises_unless_somebody_listens() -> None:
    events: list[StreamEvent] = []
    with scripted(HTTPError(400)) as client:
        with pytest.raises(InvalidRequestError):
            client.stream_with_usage("Hi", MODEL)
        with pytest.raises(InvalidRequestError):
            client.generate("Hi", MODEL)
        with pytest.raises(InvalidRequestError):
            list(client.stream("Hi", MODEL))
        response = client.stream_with_usage("Hi", MODEL, on_error=events.append)

    assert isinstance(response.error, InvalidRequestError)
    assert [event.type for event in events] == ["error"]


@pytest.mark.parametrize("raises", [True, False])
def test_raise_on_error_decides_over_the_listener(raises: bool) -> None:
    options = StreamingOptions(raise_on_error=raises)
    outcome: StreamingResponse | InvalidRequestError
    with scripted(HTTPError(400)) as client:
        try:
            outcome = client.stream_with_usage(
                "Hi", MODEL, streaming_options=options, on_error=lambda _: None
            )
        except InvalidRequestError as error:
            outcome = error

    assert isinstance(outcome, InvalidRequestError) == raises


def test_the_error_event_comes_before_its_error() -> None:
    with scripted(HTTPError(400)) as client:
        stream = client.stream_events("Hi", MODEL)

        assert [next(stream).type, next(stream).type] == ["start", "error"]
        with pytest.raises(InvalidRequestError):
            next(stream)
        assert list(stream) == []


def test_a_call_that_cannot_be_made_raises_before_any_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    events: list[StreamEvent] = []
    with SyncSteerLLMClient() as client:
        with pytest.raises(MissingAPIKeyError):
            client.stream_with_usage("Hi", MODEL, on_start=events.append, on_error=events.append)
        with pytest.raises(UnknownModelError):
            client.stream("Hi", "nobody-knows")
        with pytest.raises(ConfigurationError, match="StreamingOptions"):
            client.stream_with_usage("Hi", MODEL, streaming_options=NO_OPTIONS)
        with pytest.raises(TypeError, match="temperature"):
            client.generate("Hi", MODEL, temprature=0)  # type: ignore[call-overload]  # a slip of the pen

    assert events == []
    assert loop_threads() == []


# --- leaving ----------------------------------------------------------------------------------


def test_leaving_early_closes_the_socket(server: LoopbackServer) -> None:
    server.answer_with(Script(["Hello"], faults=[Stall(1)]))
    with client_of(server) as client:
        with client.stream("Hi", MODEL) as texts:
            for _ in texts:
                break

        server.wait_until(lambda: server.connections.open == 0)
        assert isinstance(texts.response.error, StreamCancelledError)
        assert texts.response.get_text() == "Hello"


def test_cancelling_from_another_thread_ends_the_stream(server: LoopbackServer) -> None:
    server.answer_with(Script(["Hello"], faults=[Stall(1)]))
    with client_of(server) as client:
        stream = client.stream_events("Hi", MODEL)
        kinds = [next(stream).type, next(stream).type]
        canceller = threading.Thread(target=stream.cancel, args=("enough",))
        canceller.start()
        kinds += [event.type for event in stream]
        canceller.join()

        assert kinds == ["start", "delta", "usage", "error"]
        assert str(stream.response.error) == "enough"
        server.wait_until(lambda: server.connections.open == 0)


def test_a_stream_that_was_cancelled_before_it_began_sends_nothing(
    client: SyncSteerLLMClient, server: LoopbackServer
) -> None:
    stream = client.stream_events("Hi", MODEL)
    stream.cancel()

    assert [event.type for event in stream] == ["start", "error"]
    assert server.requests == []


def test_a_stream_that_was_closed_before_it_began_gives_nothing(
    client: SyncSteerLLMClient, server: LoopbackServer
) -> None:
    with client.stream("Hi", MODEL) as texts:
        pass

    assert list(texts) == []
    assert server.requests == []


def test_a_full_queue_is_no_hindrance_to_leaving(server: LoopbackServer) -> None:
    server.answer_with(Script(["x"] * 5000))
    with client_of(server) as client:
        stream = client.stream_events("Hi", MODEL)
        next(stream)
        stream.close()

        assert isinstance(stream.response.error, StreamCancelledError)


# --- several threads --------------------------------------------------------------------------


def test_threads_share_a_client_and_each_has_its_own_answer(server: LoopbackServer) -> None:
    def answer(request: RecordedRequest) -> Script:
        prompt = request.json["messages"][0]["content"]
        return Script([f"{prompt}.{at} " for at in range(50)])

    server.answer_with(answer)
    answers: dict[str, str] = {}
    with client_of(server) as client:

        def ask(prompt: str) -> None:
            for _ in range(3):
                answers[prompt] = "".join(client.stream(prompt, MODEL))

        threads = [threading.Thread(target=ask, args=(f"p{at}",)) for at in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(loop_threads()) == 1
        assert server.connections.opened <= 12

    assert answers == {f"p{at}": "".join(f"p{at}.{n} " for n in range(50)) for at in range(12)}


async def test_it_works_inside_of_a_running_loop() -> None:
    with scripted("Hello") as client:
        assert client.generate("Hi", MODEL).get_text() == "Hello"
        assert list(client.stream("Hi", MODEL)) == ["Hello"]


# --- its end ----------------------------------------------------------------------------------


def test_closing_ends_the_thread_and_the_connections(server: LoopbackServer) -> None:
    client = client_of(server)
    client.generate("Hi", MODEL)

    client.close()
    client.close()

    server.wait_until(lambda: server.connections.open == 0)
    assert loop_threads() == []


def test_a_closed_client_may_be_used_and_closed_again(server: LoopbackServer) -> None:
    client = client_of(server)
    for _ in range(2):
        assert client.generate("Hi", MODEL).get_text() == "Hello world"
        client.close()
        assert loop_threads() == []


def test_closing_while_another_thread_waits_ends_its_stream(server: LoopbackServer) -> None:
    server.answer_with(Script(["Hello"], faults=[Stall(1)]))
    client = client_of(server)
    arrived = threading.Event()
    kinds: list[str] = []
    failures: list[SteerError] = []

    def read() -> None:
        for event in client.stream_events("Hi", MODEL):
            kinds.append(event.type)
            arrived.set()

    def generate() -> None:
        try:
            client.generate("Hi", MODEL)
        except SteerError as error:
            failures.append(error)

    readers = [threading.Thread(target=read), threading.Thread(target=generate)]
    for reader in readers:
        reader.start()
    arrived.wait()
    server.wait_until(lambda: len(server.requests) == 2)
    client.close()
    for reader in readers:
        reader.join()

    assert kinds[-1] == "error"
    assert [type(error) for error in failures] == [StreamCancelledError]
    server.wait_until(lambda: server.connections.open == 0)


def words_of(client: SyncSteerLLMClient) -> Any:
    return client.stream("Hi", MODEL)


def items_of(client: SyncSteerLLMClient) -> Any:
    return client.stream_items("Hi", int, MODEL)


def followed(client: SyncSteerLLMClient) -> Any:
    journal = MemoryJournal()
    return client.attach(client.start("Hi", MODEL, journal=journal), journal=journal)


@pytest.mark.parametrize("view_of", [words_of, items_of, followed])
def test_whoever_does_not_see_the_end_is_told_that_the_client_was_closed(
    view_of: Callable[[SyncSteerLLMClient], Any], server: LoopbackServer
) -> None:
    server.answer_with(Script(["[1, ", "2]"], faults=[Stall(1)]))
    client = client_of(server)
    view = view_of(client)
    next(view)
    client.close()

    with pytest.raises(StreamCancelledError, match="client was closed"):
        list(view)
    assert list(view) == []


@pytest.mark.parametrize("view_of", [words_of, items_of, followed])
def test_whoever_leaves_a_stream_is_not_told_of_it(
    view_of: Callable[[SyncSteerLLMClient], Any], server: LoopbackServer
) -> None:
    server.answer_with(Script(["[1, ", "2]"], faults=[Stall(1)]))
    with client_of(server) as client:
        view = view_of(client)
        next(view)
        view.close()

        assert list(view) == []


@pytest.mark.parametrize("is_over", [False, True])
def test_what_was_read_ahead_of_a_stream_that_is_left_is_dropped(
    is_over: bool, server: LoopbackServer
) -> None:
    server.answer_with(Script(["word "] * 20, faults=[] if is_over else [Stall(10)]))
    with client_of(server) as client:
        stream = client.stream("Hi", MODEL)
        assert next(stream) == "word "
        said = 100 if is_over else 50
        server.wait_until(lambda: len(stream.response.get_text()) == said)

        stream.close()

        assert list(stream) == []


def test_a_stream_may_be_closed_after_its_client(server: LoopbackServer) -> None:
    server.answer_with(Script(["x"] * 5000))
    with client_of(server) as client:
        stream = client.stream_events("Hi", MODEL)
        next(stream)
    stream.close()
    stream.cancel()

    assert isinstance(stream.response.error, StreamCancelledError)
    assert loop_threads() == []


def test_a_stream_keeps_its_client(server: LoopbackServer) -> None:
    texts = client_of(server).stream("Hi", MODEL)
    gc.collect()

    assert "".join(texts) == "Hello world"

    del texts
    gc.collect()
    server.wait_until(lambda: server.connections.open == 0)
    assert loop_threads() == []


def test_a_client_that_is_forgotten_ends_its_thread(server: LoopbackServer) -> None:
    client_of(server).generate("Hi", MODEL)
    gc.collect()

    server.wait_until(lambda: server.connections.open == 0)
    assert loop_threads() == []


def test_a_client_that_is_collected_in_its_own_thread_does_not_wait_for_itself() -> None:
    client = scripted("Hello")
    client.generate("Hi", MODEL)
    (thread,) = loop_threads()

    async def close() -> None:
        client.close()

    with pytest.raises(StreamCancelledError):
        client._thread.run(hold_after(close()))
    thread.join(5)

    assert not thread.is_alive()
    assert client.generate("Hi", MODEL).ok


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def run(program: str, server: LoopbackServer) -> Ended:
    # asyncio's debug mode tells of every step above 0.1 s: a busy machine makes that of any.
    begin = (
        "import logging, threading\n"
        "from steer_llm_sdk import ProviderSettings, SyncSteerLLMClient\n"
        "logging.getLogger('asyncio').setLevel(logging.ERROR)\n"
    )
    made = (
        "client = SyncSteerLLMClient(providers={'openai': "
        f"ProviderSettings(api_key='x', base_url={server.base_url('openai')!r})}})\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", begin + made + program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


PROGRAMS = {
    "never used": "print('Hello world')",
    "never closed": "print(client.generate('Hi', 'gpt-4o').get_text())",
    "in a loop": "print(''.join(client.stream('Hi', 'gpt-4o')))",
    "in threads": (
        "threads = [threading.Thread(target=client.generate, args=('Hi', 'gpt-4o')) "
        "for _ in range(5)]\n"
        "[thread.start() for thread in threads]\n[thread.join() for thread in threads]\n"
        "print('Hello world')"
    ),
    "left in the middle": (
        "stream = client.stream('Hi', 'gpt-4o')\nnext(stream)\nprint('Hello world')"
    ),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_client_that_is_never_closed_says_nothing_at_exit(
    program: str, server: LoopbackServer
) -> None:
    begin = time.monotonic()
    ended = run(program, server)

    assert ended == Ended(0, "Hello world\n", "")
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize("method", ["stream", "stream_events"])
def test_a_stream_that_is_iterated_after_its_end_gives_nothing_and_says_so(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with SyncSteerLLMClient("test", transport=ScriptedProvider("Hello")) as client:
        stream = getattr(client, method)("Hi", "gpt-4o")
        assert list(stream)
        assert not caplog.records

        assert list(stream) == []

    (record,) = caplog.records
    assert record.message.startswith("a stream is iterated after its end")
