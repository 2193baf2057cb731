"""What was recorded is played back: the same events, the same failures, and no key in any file."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk import (
    ConfigurationError,
    ProviderSettings,
    SteerError,
    SteerLLMClient,
    SyncSteerLLMClient,
)
from steer_llm_sdk.cli.recordings import who_answered
from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.recording import RecordingTransport, ReplayTransport, read_recording
from steer_llm_sdk.recording.reading import read_answer
from steer_llm_sdk.streaming.processor import RedactTransformer
from steer_llm_sdk.testing import (
    ErrorInStream,
    HTTPError,
    ManualClock,
    Pace,
    Script,
    ScriptedProvider,
    ScriptedToolCall,
    Stall,
    check_stream,
)
from steer_llm_sdk.testing.formats import FORMATS
from support.canary import KEY, assert_nothing_tells
from support.every_format import MODELS
from support.fault_table import ROWS, Row

MODEL = "gpt-4o"
QUIET = StreamingOptions(max_retries=0, raise_on_error=False)
HELLO = Script(["Hello", " wörld"], reasoning=["Hm."], usage=(3, 5))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def told(events: list[StreamEvent]) -> list[dict[str, Any]]:
    """What events say, but for times and names that differ from stream to stream."""
    return [_told(event.to_dict()) for event in events]


def _told(data: dict[str, Any]) -> dict[str, Any]:
    gone = {"timestamp", "request_id", "stream_id", "duration_ms", "metadata"}
    if isinstance(delta := data.get("delta"), dict) and "id" in delta:
        data["delta"] = delta | {"id": None}  # made of the stream's own, where none came
    return {key: value for key, value in data.items() if key not in gone}


async def events_of(client: SteerLLMClient, options: StreamingOptions, model: str = MODEL) -> Any:
    events: list[StreamEvent] = []
    async with client, client.stream_events("Hi", model, streaming_options=options) as stream:
        try:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - what came before an error is kept
        except SteerError:
            pass
    return events


def replaying(path: Path, speed: float = 0, cut: Any = None, **more: Any) -> SteerLLMClient:
    return SteerLLMClient(
        "other", anthropic_api_key="other", transport=ReplayTransport(path, speed, cut), **more
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stream.jsonl"


@pytest.fixture
async def recorded(path: Path) -> list[StreamEvent]:
    client = SteerLLMClient("key", transport=ScriptedProvider(HELLO))
    events: list[StreamEvent] = await events_of(client, QUIET.replace(record=path))
    return events


# Without the one that takes four minutes by the real clock.
QUICK_ROWS = [row for row in ROWS if row.name != "keep-alives, then the answer"]

CUTS = [None, 1, 7, [3, 50, 51]]


@pytest.mark.parametrize("cut", CUTS)
async def test_a_recording_gives_the_same_events(
    recorded: list[StreamEvent], path: Path, cut: Any
) -> None:
    events = await events_of(replaying(path, cut=cut), QUIET)

    assert check_stream(recorded).text == check_stream(events).text == "Hello wörld"
    assert told(events) == told(recorded)


async def test_it_is_played_at_the_speed_that_was_asked_for(path: Path) -> None:
    clock = ManualClock()
    script = Script(["a", "b", "c"], faults=[Pace(10.0)])
    provider = ScriptedProvider(script, clock=clock)
    client = SteerLLMClient("key", transport=provider, clock=clock)
    recording = asyncio.create_task(events_of(client, QUIET.replace(record=path)))
    await clock.advance(60)
    before = await recording

    for speed, seconds in ((1.0, 30.0), (2.0, 15.0)):
        transport = ReplayTransport(path, speed, clock=clock)
        replay = SteerLLMClient("other", transport=transport, clock=clock)
        task = asyncio.create_task(events_of(replay, QUIET))
        await clock.advance(60)
        events = await task
        assert told(events) == told(before)
        stamps = [event.timestamp - events[0].timestamp for event in events]
        assert stamps[-1] == pytest.approx(seconds, abs=0.01)


async def test_it_can_be_played_again_and_left_and_given_up(
    recorded: list[StreamEvent], path: Path
) -> None:
    clock = ManualClock()
    client = replaying(path)
    async with client:
        assert (await client.generate("Hi", MODEL)).ok
        assert (await client.generate("Hi", MODEL)).ok
    script = Script(["a", "b"], faults=[Pace(10.0)])
    provider = ScriptedProvider(script, clock=clock)
    recording = asyncio.create_task(
        events_of(
            SteerLLMClient("key", transport=provider, clock=clock), QUIET.replace(record=path)
        )
    )
    await clock.advance(60)
    await recording

    transport = ReplayTransport(path, clock=clock)
    slow = SteerLLMClient("other", transport=transport, clock=clock)
    stream = slow.stream_events("Hi", MODEL)
    assert (await anext(stream)).type == "start"
    for _ in range(3):  # heartbeats: what is waited for is not lost
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    task = asyncio.ensure_future(anext(stream))
    await clock.advance(60)
    event: Any = await task
    assert event.get_text() == "a"
    await stream.aclose()
    assert stream.response.error is not None


ASKED = {
    **MODELS,
    "bedrock-anthropic": "anthropic.claude-sonnet-4-5-v1:0",
    "gemini-interactions": "gemini-2.5-flash",
}
# In three formats every fault; in the others those that their own bytes tell of.
WHOLE = ("openai", "anthropic", "bedrock")
FAULTS = [
    (provider, row)
    for provider in ASKED
    for row in QUICK_ROWS
    if provider in WHOLE or "the first delta" in row.name or "marker" in row.name
]


@pytest.mark.parametrize(
    ("provider", "row"), [pytest.param(*each, id=f"{each[1].name}-{each[0]}") for each in FAULTS]
)
async def test_every_fault_of_the_kit_is_replayed_as_it_was(
    provider: str, row: Row, path: Path
) -> None:
    """… at once, byte by byte, and as slowly as it came; and the canary is in no file."""
    limits = {"idle_timeout": 5.0, "first_event_timeout": 5.0, "stall_timeout": 5.0}
    options = QUIET.replace(**limits if row.stalls_with is not None else {}, **row.options)
    model, clock = f"{provider}:{ASKED[provider]}", ManualClock()
    recording = ScriptedProvider(*row.answers(), clock=clock)
    before = await in_time(clock, client_of(recording, clock), options.replace(record=path), model)

    assert_nothing_tells([text_of(path)])
    for speed, cut in ((0, None), (0, 4_096 if "without an end" in row.name else 1), (1, None)):
        clock = ManualClock()
        transport = ReplayTransport(path, speed, cut, clock=clock)
        after = await in_time(clock, client_of(transport, clock), options, model)
        assert told_of_fault(after) == told_of_fault(before), (speed, cut)
        if speed:  # as long as it took
            assert span_of(after) == pytest.approx(span_of(before), abs=0.01)


# More than a body has bytes.
_MOST_TURNS = 5_000


def told_of_fault(events: list[StreamEvent]) -> list[dict[str, Any]]:
    """… but for what an error says beside its class, and when requests were sent again.

    Nor for notices, where they are on: they tell of time, and time is another when it is replayed.
    """
    gone = {"error", "retry_after", "sequence"}
    kept = [event for event in events if getattr(event, "kind", None) != "notice"]
    return [{k: v for k, v in each.items() if k not in gone} for each in told(kept)]


def span_of(events: list[StreamEvent]) -> float:
    return events[-1].timestamp - events[0].timestamp


async def in_time(
    clock: ManualClock, client: SteerLLMClient, options: StreamingOptions, model: str
) -> list[StreamEvent]:
    """The events of a stream, while a clock is moved to whatever is due next.

    A limit alone is due only where nothing else has gone on for some turns of the loop.
    """
    running = asyncio.create_task(events_of(client, options, model))
    idle = 0
    while not running.done():
        idle = 0 if clock.sleepers else idle + 1
        if clock.sleepers or idle > _MOST_TURNS:
            await clock.advance(clock.next_in or 0)
            idle = 0
        else:
            await asyncio.sleep(0)
    events: list[StreamEvent] = await running
    return events


def client_of(transport: Any, clock: ManualClock) -> SteerLLMClient:
    there = ("openai", "openai-responses", "anthropic", "gemini", "gemini-interactions", "cohere")
    settings = {name: ProviderSettings(api_key=KEY) for name in there}
    for name in ("bedrock", "bedrock-anthropic", "ollama"):
        settings[name] = ProviderSettings(api_key=KEY, base_url=f"https://{name}.invalid")
    return SteerLLMClient(providers=settings, transport=transport, clock=clock)


@pytest.mark.parametrize("provider", FORMATS)
async def test_a_recording_of_each_format_is_read_by_its_decoder(provider: str, path: Path) -> None:
    """… by the page and by the command, too: a new format has to be known to them."""
    script = Script(["Hello", " wörld"], tool_calls=[ScriptedToolCall("f", {"a": 1})])
    client = client_of(ScriptedProvider(script), ManualClock())
    model = f"{provider}:{ASKED[provider]}"
    await events_of(client, QUIET.replace(record=path), model)

    (exchange,) = read_recording(path)
    answer = read_answer(exchange)
    assert answer.failure is None
    words = sum(each.characters for each in answer.pieces if each.kind == "text")
    assert words == len("Hello wörld")
    assert "tool call" in {each.kind for each in answer.pieces}
    assert who_answered(exchange)[0] == provider


@pytest.mark.parametrize("speed", [0.0, 1.0])
async def test_the_embedded_models_stream_is_replayed(
    embedded: Endpoint, speed: float, path: Path
) -> None:
    options = QUIET.replace(record=path)
    settings = {"openai": ProviderSettings(base_url=embedded.base_url, api_key=embedded.api_key)}
    async with SteerLLMClient(providers=settings) as client:
        stream = client.stream_events(
            "Say hello.", "openai:smollm2", max_tokens=12, streaming_options=options
        )
        before: list[StreamEvent] = [event async for event in stream]
    clock = ManualClock()
    for cut in (None, 1):
        replay = SteerLLMClient(
            "other", transport=ReplayTransport(path, speed, cut, clock=clock), clock=clock
        )
        after = await in_time(clock, replay, QUIET, "openai:smollm2")

        assert check_stream(after).text == check_stream(before).text != ""
        assert told(after) == told(before)
    assert str(embedded.api_key) not in text_of(path)


# --- what is written --------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [None, 1])
async def test_a_key_that_the_provider_quotes_is_in_no_recording(path: Path, cut: Any) -> None:
    quoting = HTTPError(401, message=f"Incorrect API key provided: {KEY}. Find yours.")
    provider = ScriptedProvider(quoting, ErrorInStream(1, message=f"key {KEY} is wrong"))
    client = SteerLLMClient(KEY, transport=provider)
    async with client:
        for _ in range(2):
            await client.generate("Hi", MODEL, streaming_options=QUIET.replace(record=path))
            text = text_of(path)
            assert_nothing_tells([text])
            assert "Incorrect" in text or "is wrong" in text


async def test_a_prompt_can_be_left_out(path: Path) -> None:
    client = SteerLLMClient("key", transport=ScriptedProvider(HELLO))
    async with client:
        options = QUIET.replace(record=path, record_body=False)
        await client.generate("prompt-word", MODEL, streaming_options=options)

    assert "prompt-word" not in text_of(path)
    assert read_recording(path)[0].body is None
    assert (await replaying(path).generate("anything", MODEL)).ok


async def test_each_attempt_is_an_exchange(path: Path) -> None:
    provider = ScriptedProvider(HTTPError(503, headers={"retry-after": "0"}), HELLO)
    options = StreamingOptions(max_retries=1, record=path)
    async with SteerLLMClient("key", transport=provider) as client:
        await client.generate("Hi", MODEL, streaming_options=options)

    assert [exchange.status for exchange in read_recording(path)] == [503, 200]
    response = await replaying(path).generate("Hi", MODEL)
    assert response.metadata["attempt"] == 2


@pytest.mark.parametrize("name", ["", "new/", "new/deep/"])
async def test_a_folder_gets_a_file_for_each_stream(tmp_path: Path, name: str) -> None:
    client = SteerLLMClient("key", transport=ScriptedProvider(HELLO, HELLO))
    async with client:
        options = QUIET.replace(record=f"{tmp_path}/{name}")
        names = [
            (await client.generate("Hi", MODEL, streaming_options=options)).stream_id
            for _ in range(2)
        ]

    assert set(os.listdir(tmp_path / name)) == {f"{name}.jsonl" for name in names}  # noqa: PTH208


async def test_a_file_is_its_owners_alone_and_has_a_version(
    recorded: list[StreamEvent], path: Path
) -> None:
    assert os.stat(path).st_mode & 0o777 == 0o600  # noqa: PTH116
    head = json.loads(text_of(path).splitlines()[0])
    assert (head["type"], head["version"]) == ("recording", 1)


async def test_a_stream_that_was_left_is_told_as_that(path: Path) -> None:
    provider = ScriptedProvider(Script(["a", "b"], faults=[Stall(after=1)]))
    client = SteerLLMClient("key", transport=provider)
    options = QUIET.replace(record=path)
    async with client, client.stream_events("Hi", MODEL, streaming_options=options) as stream:
        async for event in stream:
            if event.type == "delta":
                break

    assert read_recording(path)[0].was_left


def test_the_blocking_client_records_too(path: Path) -> None:
    with SyncSteerLLMClient("key", transport=ScriptedProvider(HELLO)) as client:
        client.generate("Hi", MODEL, streaming_options=QUIET.replace(record=path))
    with SyncSteerLLMClient("other", transport=ReplayTransport(path, speed=0)) as client:
        assert client.generate("Hi", MODEL).get_text() == "Hello wörld"


async def test_several_streams_at_once_share_a_transport_that_records(path: Path) -> None:
    provider = ScriptedProvider(*[HELLO] * 5)
    transport = RecordingTransport(path, provider)
    async with SteerLLMClient("key", transport=transport) as client:
        await asyncio.gather(*(client.generate(f"Hi {n}", MODEL) for n in range(5)))
    await transport.close()

    assert len(read_recording(path)) == 5
    async with replaying(path) as client:
        responses = await asyncio.gather(*(client.generate(f"Hi {n}", MODEL) for n in range(5)))
    assert [response.get_text() for response in responses] == ["Hello wörld"] * 5


# --- what is refused --------------------------------------------------------------------------


def test_recording_before_redaction_has_to_be_meant() -> None:
    transformers = [RedactTransformer(["secret"])]

    with pytest.raises(ConfigurationError, match="record_raw=True says that this is meant"):
        StreamingOptions(record="x", text_transformers=transformers)
    StreamingOptions(record="x", text_transformers=transformers, record_raw=True)


async def test_a_recording_that_cannot_be_made_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    provider = ScriptedProvider(HELLO)
    client = SteerLLMClient("key", transport=provider)
    (tmp_path / "file").write_text("")
    options = QUIET.replace(record=tmp_path / "file" / "stream.jsonl")

    with pytest.raises(ConfigurationError, match="record: the file cannot be written"):
        await client.generate("Hi", MODEL, streaming_options=options)
    assert provider.requests == []


async def test_a_disk_that_is_full_ends_the_recording_and_not_the_stream(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> Any:
        raise OSError(28, "No space left on device")

    client = SteerLLMClient("key", transport=ScriptedProvider(HELLO))
    async with client.stream_events(
        "Hi", MODEL, streaming_options=QUIET.replace(record=path)
    ) as stream:
        await anext(stream)
        monkeypatch.setattr(Path, "open", refuse)
        with caplog.at_level(logging.WARNING):
            async for _ in stream:
                pass

    assert stream.response.ok
    assert "a recording ends here" in caplog.text


async def test_a_recording_that_has_ended_is_not_gone_on_with(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """There may be room again; what came meanwhile would be missing in the middle."""

    def refuse(*_: object, **__: object) -> Any:
        raise OSError(28, "No space left on device")

    transport = RecordingTransport(path, ScriptedProvider(HELLO, HELLO))
    async with SteerLLMClient("key", transport=transport) as client:
        with monkeypatch.context() as full, caplog.at_level(logging.WARNING):
            full.setattr(Path, "open", refuse)
            await client.generate("Hi", MODEL)
        await client.generate("Hi", MODEL)

    assert read_recording(path) == []
    assert len(caplog.records) == 1


async def test_a_key_that_a_server_sends_back_in_a_header_is_not_written(path: Path) -> None:
    answer = Script(["Hi"], headers={"x-request-id": "req sk-secret-key-1234"})
    transport = RecordingTransport(path, ScriptedProvider(answer))
    async with SteerLLMClient("sk-secret-key-1234", transport=transport) as client:
        await client.generate("Hi", MODEL)

    assert "req [key]" in text_of(path)
    assert "sk-secret-key" not in text_of(path)


@pytest.mark.parametrize(
    ("text", "error"), [("", ProtocolError), ("{}\n", ProtocolError), (None, ConfigurationError)]
)
def test_what_is_no_recording_is_not_played(path: Path, text: str | None, error: Any) -> None:
    if text is not None:
        path.write_text(text)

    with pytest.raises(error):
        ReplayTransport(path)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe\0", '{"type":"recording"}\n'.encode("utf-16"), b"[" * 100_000 + b"\n", b"\n \n"],
)
def test_what_is_no_text_of_a_recording_is_told_with_its_file(path: Path, data: bytes) -> None:
    path.write_bytes(data)

    with pytest.raises(ProtocolError, match=path.name):
        read_recording(path)


async def test_what_an_editor_adds_to_a_recording_changes_nothing(path: Path) -> None:
    async with SteerLLMClient(
        "key", transport=RecordingTransport(path, ScriptedProvider("Hi"))
    ) as c:
        await c.generate("Hi", MODEL)
    recorded = read_recording(path)
    edited = text_of(path).replace("\n", "\r\n\r\n")
    await asyncio.to_thread(path.write_text, edited, "utf-8-sig", newline="")

    assert read_recording(path) == recorded
    async with SteerLLMClient("key", transport=ReplayTransport(path)) as client:
        assert (await client.generate("Hi", MODEL)).text == "Hi"


# --- the fixture ------------------------------------------------------------------------------

_TEST = """
import pytest
from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.testing import LoopbackServer, Script

pytest_plugins = ["steer_llm_sdk.testing.plugin"]


def test_hello(steer_recording, steer_server):
    steer_server.answer_with(Script(["Hello"]))
    settings = {"openai": ProviderSettings(api_key="k", base_url=steer_server.base_url("openai"))}
    import asyncio

    async def ask():
        async with SteerLLMClient(providers=settings, transport=steer_recording) as client:
            response = await client.generate("Hi", "gpt-4o")
        await steer_recording.close()
        return response

    assert asyncio.run(ask()).get_text() == "Hello"
    print("requests:", len(steer_server.requests))
"""


def run_pytest(folder: Path, mode: str) -> str:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "-rs", "-p", "no:cacheprovider", str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"STEER_RECORD": mode},
        check=False,
    )
    return done.stdout


def test_the_fixture_records_once_and_replays_after(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(_TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope=function\n")

    assert "1 skipped" in run_pytest(tmp_path, "none")
    assert "requests: 1" in run_pytest(tmp_path, "once")
    assert (tmp_path / "recordings" / "test_it" / "test_hello.jsonl").exists()
    assert "requests: 0" in run_pytest(tmp_path, "none")
