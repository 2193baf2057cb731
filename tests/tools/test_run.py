"""The loop around tools: what is run when, what the model is told, and where it ends."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import pickle
import threading
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec
import pytest

from steer_llm_sdk import (
    BudgetExceededError,
    CallbackError,
    ConfigurationError,
    OverloadedError,
    ProviderSettings,
    RunResult,
    ServerError,
    SteerError,
    SteerLLMClient,
    StopRun,
    StreamCancelledError,
    Tool,
    ToolError,
    tool_result,
)
from steer_llm_sdk.errors import StreamInUseError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamErrorEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.ownership import GRACE
from steer_llm_sdk.streaming.processor import RedactTransformer, create_event_processor
from steer_llm_sdk.testing import (
    ErrorInStream,
    GarbageBody,
    HTTPError,
    ManualClock,
    RecordedRequest,
    Script,
    ScriptedProvider,
    ScriptedToolCall,
    Stall,
)
from steer_llm_sdk.testing.formats.base import sse
from support.every_format import FORMATS, WHOLE_CALLS, settings_of
from support.leaving import until


class Point(msgspec.Struct):
    x: int


MODEL = "gpt-4o"
NO_RETRIES = StreamingOptions(max_retries=0)


def calls(*named: tuple[str, dict[str, Any]], says: str = "", **more: Any) -> Script:
    """An answer that calls tools."""
    made = [ScriptedToolCall(name, arguments, id=f"call_{name}") for name, arguments in named]
    return Script([says] if says else [], tool_calls=made, **more)


def client_of(provider: ScriptedProvider, **more: Any) -> SteerLLMClient:
    settings = settings_of()
    return SteerLLMClient(providers=settings, transport=provider, **more)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def shout(words: str) -> dict[str, str]:
    """Say it loudly."""
    return {"said": words.upper()}


def told(request: RecordedRequest) -> list[tuple[str, str]]:
    """The results in a request of chat completions."""
    return told_of(request.json["messages"])


def told_of(messages: list[Any]) -> list[tuple[str, str]]:
    """The results among messages."""
    return [(m["tool_call_id"], m["content"]) for m in messages if m["role"] == "tool"]


# --- what is run, and what the model is told ---


@pytest.mark.parametrize("wire", FORMATS)
async def test_functions_are_run_and_the_model_is_told_in_every_format(wire: str) -> None:
    provider = ScriptedProvider(
        calls(("add", {"a": 1, "b": 2}), ("shout", {"words": "hi"}), says="Let me see."),
        Script(["It is", " 3."]),
    )

    async with client_of(provider) as client:
        result = await client.run("1 + 2?", f"{wire}:m", tools=[add, shout])

    assert (result.text, str(result), len(result.responses)) == ("It is 3.", "It is 3.", 2)
    assert (result.ok, result.pending_calls, result.is_stopped) == (True, [], False)
    sent = provider.requests[1].body.decode()
    assert all(words in sent for words in ("1 + 2?", "Let me see.", "HI"))
    assert result.usage["prompt_tokens"] == 24
    assert [message["role"] for message in result.messages] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]
    assert [m["content"] for m in result.messages if m["role"] == "tool"] == [
        "3",
        '{"said": "HI"}',
    ]


async def test_the_history_goes_on_and_is_json() -> None:
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})), Script(["3"]), Script(["Yes."]))

    async with client_of(provider) as client:
        first = await client.run("1 + 2?", MODEL, tools=[add])
        history = json.loads(json.dumps(first.messages))
        second = await client.run(
            [*history, {"role": "user", "content": "Sure?"}], MODEL, tools=[add]
        )

    assert second.text == "Yes."
    assert told(provider.requests[2]) == [("call_add", "3")]
    assert [message["role"] for message in second.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
    ]


class Untold:
    def to_dict(self, depth: int) -> dict[str, int]:
        return {"depth": depth}


def untold() -> Untold:
    """Give what cannot be told."""
    return Untold()


def listed() -> list[dict[str, str]]:
    """List a folder."""
    return [{"type": "file", "path": "/etc/hostname"}]


async def test_what_a_function_gives_and_cannot_be_told_ends_no_run() -> None:
    provider = ScriptedProvider(calls(("untold", {}), ("listed", {})), Script(["Done."]))
    async with client_of(provider) as client:
        result = await client.run("Hi", MODEL, tools=[untold, listed])

    assert result.text == "Done."
    (_, first), (_, second) = told(provider.requests[1])
    assert first.startswith("what it gave cannot be told: TypeError: ")
    assert second == '[{"type": "file", "path": "/etc/hostname"}]'


@dataclasses.dataclass
class Said:
    role: str
    content: Any


@pytest.mark.parametrize("wire", ["openai", "anthropic", "openai-responses", "gemini"])
@pytest.mark.parametrize(
    "content",
    [
        lambda path: ["What is it?", path],
        lambda path: (path.read_bytes(),),
        lambda path: path,
        lambda path: [{"type": "image", "data": path.read_bytes(), "media_type": "image/png"}],
        lambda path: [{"type": "text", "text": "a"}, {"type": "image", "source": path}],
    ],
)
async def test_a_history_with_files_is_json_and_reads_them_once(
    wire: str, content: Any, tmp_path: Path
) -> None:
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    given = [{"role": "user", "content": content(picture)}]
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})), Script(["A cat."]))
    async with client_of(provider) as client:
        await client.generate(given, f"{wire}:m")
        result = await client.run(given, f"{wire}:m", tools=[add])
        picture.unlink()
        stored = json.loads(json.dumps(result.messages))
        await client.generate(stored[:1], f"{wire}:m")

    plain, *_, again = provider.requests
    assert again.json == plain.json


async def test_messages_may_be_objects_and_come_one_by_one() -> None:
    given = (Said("user", words) for words in ("Hi", "again"))
    async with client_of(ScriptedProvider("Hello")) as client:
        result = await client.run(given, MODEL)

    assert json.loads(json.dumps(result.messages[:2])) == [
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": "again"},
    ]


async def test_without_calls_there_is_one_turn() -> None:
    async with client_of(ScriptedProvider("Hello")) as client:
        result = await client.run("Hi", MODEL)

    assert (result.text, len(result.responses)) == ("Hello", 1)
    assert result.messages[0] == {"role": "user", "content": "Hi"}
    assert result.cost_usd == result.response.cost_usd


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("temprature", "temperature"),
        ("max_token", "max_tokens"),
        ("streaming_option", "streaming_options"),
        ("resonse_format", "response_format"),
        ("max_turn", "max_turns"),
    ],
)
async def test_a_slip_of_the_pen_is_told_what_was_meant(slip: str, meant: str) -> None:
    client = SteerLLMClient(openai_api_key="-", transport=ScriptedProvider("Bern."))
    given: Any = {slip: 1}

    with pytest.raises(TypeError, match=rf"'{slip}': did you mean '{meant}'\?"):
        await client.run("Which?", "gpt-4o-mini", tools=[], **given)


async def test_usage_and_cost_are_those_of_all_turns() -> None:
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2}), usage=(10, 5)), Script(["3"]))
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[add])

    assert (result.usage["prompt_tokens"], result.usage["completion_tokens"]) == (22, 12)
    assert result.cost_usd == pytest.approx(sum(r.cost_usd or 0 for r in result.responses))
    result.responses[0].model = "nobody-knows"
    result.responses[0].metadata.clear()
    assert result.cost_usd is None
    assert RunResult().cost_usd is None


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        (add, {"a": "one", "b": 2}, r"do not fit: at \$\.a: Expected `int`"),
        (add, {"a": 1}, "missing required field `b`"),
        (lambda a: a / 0, {"a": 1}, "ZeroDivisionError: division by zero"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_model_and_logged(
    function: Any, arguments: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider = ScriptedProvider(calls(("add", arguments)), Script(["Sorry."]))
    tool = Tool(function, "add")

    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[tool])

    message = result.messages[2]
    assert message["is_error"]
    assert msgspec.json.encode(message["content"]) in provider.requests[1].body
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(message["content"])
    assert [record.name for record in caplog.records] == ["steer_llm_sdk.tools"]
    assert result.text == "Sorry."


async def test_an_asynchronous_function_that_raises_or_is_cancelled_by_itself_is_told() -> None:
    async def fail() -> None:
        raise KeyError("x" * 5_000)

    async def give_up() -> None:
        raise asyncio.CancelledError

    provider = ScriptedProvider(calls(("fail", {}), ("give_up", {})), Script(["Sorry."]))
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[fail, give_up])

    contents = [m["content"] for m in result.messages if m["role"] == "tool"]
    assert (len(contents[0]), contents[0][:10], contents[0][-1]) == (2001, "KeyError: ", "…")
    assert contents[1].startswith("CancelledError")


class WordlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    def to_dict(self) -> None:
        raise self


@pytest.mark.parametrize("is_async", [False, True])
async def test_what_is_raised_without_words_is_told_by_its_name(*, is_async: bool) -> None:
    def fail() -> None:
        raise WordlessError

    async def fail_later() -> None:
        raise WordlessError

    async def give() -> WordlessError:
        return WordlessError()

    first = fail_later if is_async else fail
    provider = ScriptedProvider(calls((first.__name__, {}), ("give", {})), Script(["Sorry."]))
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[first, give])

    contents = [m["content"] for m in result.messages if m["role"] == "tool"]
    assert contents == ["WordlessError: ", "what it gave cannot be told: WordlessError: "]
    assert result.text == "Sorry."


async def test_what_nobody_has_read_is_told_so_and_what_nobody_has_awaited_is_awaited(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def wait() -> int:
        return 7

    async def forget_to_await() -> Any:
        return wait()

    def give_iterator() -> Any:
        return map(str, [1, 2])

    provider = ScriptedProvider(
        calls(("forget_to_await", {}), ("give_iterator", {})), Script(["Sorry."])
    )
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[forget_to_await, give_iterator])

    contents = [m["content"] for m in result.messages if m["role"] == "tool"]
    assert contents[0] == "7"
    assert "found map, of which nothing was read: return a list" in contents[1]
    assert "what the tool give_iterator gave cannot be told" in caplog.text


@pytest.mark.parametrize("limit", [None, 5.0])
async def test_a_function_whose_task_somebody_cancelled_is_told_and_the_run_goes_on(
    limit: float | None,
) -> None:
    async def give_up() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()

    provider = ScriptedProvider(calls(("give_up", {})), Script(["Sorry."]))
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[Tool(give_up, timeout=limit)])

    assert told_of(result.messages) == [("call_give_up", "CancelledError: ")]
    assert result.text == "Sorry."


async def test_a_tool_that_does_not_exist_is_told_so() -> None:
    provider = ScriptedProvider(calls(("multiply", {"a": 1})), Script(["Sorry."]))
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[add])

    assert told(provider.requests[1]) == [
        ("call_multiply", "there is no tool 'multiply'; there are: 'add'")
    ]
    assert result.text == "Sorry."


async def test_a_function_that_takes_too_long_is_told_and_cancelled() -> None:
    clock = ManualClock()
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("wait")

    async def quick() -> str:
        return "done"

    provider = ScriptedProvider(calls(("wait", {}), ("quick", {})), Script(["Sorry."]), clock=clock)
    tools = [Tool(wait, timeout=30), Tool(quick, timeout=30)]
    async with client_of(provider, clock=clock) as client:
        running = asyncio.ensure_future(client.run("?", MODEL, tools=tools))
        while not running.done():
            await clock.advance(10)
        await running

    assert told(provider.requests[1]) == [
        ("call_wait", "the tool 'wait' took longer than 30 s"),
        ("call_quick", "done"),
    ]
    assert ended == ["wait"]


async def test_arguments_are_of_their_types_and_results_of_any() -> None:
    def move(point: Point) -> Point:
        return Point(point.x + 1)

    async def nothing() -> None: ...

    def later() -> Any:
        return nothing()

    provider = ScriptedProvider(
        calls(("move", {"point": {"x": 1}}), ("nothing", {}), ("later", {})), Script(["Done."])
    )
    async with client_of(provider) as client:
        await client.run("?", MODEL, tools=[move, nothing, later])

    assert told(provider.requests[1]) == [
        ("call_move", '{"x": 2}'),
        ("call_nothing", "null"),
        ("call_later", "null"),
    ]


async def test_plain_functions_run_in_threads_with_the_callers_context() -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")
    seen: list[tuple[str, bool]] = []

    def note() -> None:
        seen.append((who.get(), threading.current_thread() is threading.main_thread()))

    async def note_too() -> None:
        note()

    provider = ScriptedProvider(calls(("note", {}), ("note_too", {})), Script(["Done."]))
    async with client_of(provider) as client:
        who.set("Ada")
        await client.run("?", MODEL, tools=[note, note_too])

    assert sorted(seen) == [("Ada", False), ("Ada", True)]


# --- side by side, and while it streams ---


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_calls_run_side_by_side(kind: str) -> None:
    meeting = threading.Barrier(2, timeout=5)
    here = asyncio.Barrier(2)

    def meet_a() -> str:
        meeting.wait()
        return "a"

    def meet_b() -> str:
        meeting.wait()
        return "b"

    async def wait_a() -> str:
        await here.wait()
        return "a"

    async def wait_b() -> str:
        await here.wait()
        return "b"

    functions: list[Callable[..., Any]] = [meet_a, meet_b] if kind == "plain" else [wait_a, wait_b]
    names = [function.__name__ for function in functions]
    provider = ScriptedProvider(calls(*((name, {}) for name in names)), Script(["Done."]))

    async with client_of(provider) as client:
        async with asyncio.timeout(5):
            await client.run("?", MODEL, tools=functions)

    assert [content for _, content in told(provider.requests[1])] == ["a", "b"]


@pytest.mark.parametrize("wire", FORMATS)
async def test_a_call_begins_while_its_answer_still_streams(wire: str) -> None:
    begun, begun_with = asyncio.Event(), list[int]()

    async def first(x: int) -> int:
        begun_with.append(x)
        begun.set()
        return x

    async def second(city: str) -> str:
        return city

    script = Script(
        [],
        tool_calls=[
            ScriptedToolCall("first", {"x": 1}, id="call_1"),
            ScriptedToolCall("second", ['{"city"', ': "Ulm"}'], id="call_2"),
        ],
        faults=[Stall(after=1 if wire in WHOLE_CALLS else 3)],
    )
    provider = ScriptedProvider(script)
    client = client_of(provider)
    async with client, client.run_events("?", f"{wire}:m", tools=[first, second]) as run:
        reading = asyncio.ensure_future(_read(run))
        async with asyncio.timeout(5):
            await begun.wait()
        assert not reading.done()
        run.cancel()
        events = await reading

    assert begun_with == [1]
    assert isinstance(events[-1], StreamErrorEvent)


async def _read(run: Any) -> list[StreamEvent]:
    return [event async for event in run]


async def test_where_arguments_may_be_rewritten_nothing_begins_before_the_answer_ends() -> None:
    seen: list[str] = []

    def note(word: str) -> None:
        seen.append(word)

    options = StreamingOptions(text_transformers=[RedactTransformer(patterns=["secret"])])
    provider = ScriptedProvider(
        calls(("note", {"word": "a secret"}), ("note2", {"word": "b"})), Script(["Done."])
    )
    tools = [note, Tool(note, "note2")]
    async with client_of(provider) as client:
        await client.run("?", "anthropic:m", tools=tools, streaming_options=options)

    assert len(seen) == 2
    assert not any("secret" in word for word in seen)


async def test_a_processor_that_drops_the_deltas_changes_nothing_of_what_is_run() -> None:
    options = StreamingOptions(
        event_processor=create_event_processor(event_types=["complete"], add_correlation=False)
    )
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})), Script(["3"]))
    seen: list[StreamEvent] = []

    async with client_of(provider) as client:
        result = await client.run(
            "?", MODEL, tools=[add], streaming_options=options, on_complete=seen.append
        )

    assert (result.text, told(provider.requests[1])) == ("3", [("call_add", "3")])
    assert [(event.sequence, event.metadata["turn"]) for event in seen] == [(0, 1), (1, 2)]


# --- events and callbacks ---


async def test_the_events_of_all_turns_are_numbered_through_and_name_their_turn() -> None:
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})), Script(["3"]))
    client = client_of(provider)
    async with client, client.run_events("?", MODEL, tools=[add], metadata={"user": 7}) as run:
        events = [event async for event in run]

    assert [event.sequence for event in events] == list(range(len(events)))
    shown = [(event.type, event.metadata["turn"]) for event in events if event.type != "delta"]
    assert shown == [
        ("start", 1),
        ("usage", 1),
        ("complete", 1),
        ("start", 2),
        ("usage", 2),
        ("complete", 2),
    ]
    first, second = (event for event in events if event.type == "start")
    assert (first.metadata["tool_results"], first.metadata["user"]) == ([], 7)
    assert second.metadata["tool_results"] == [
        {
            "id": "call_add",
            "name": "add",
            "arguments": '{"a": 1, "b": 2}',
            "content": "3",
            "is_error": False,
        }
    ]
    assert len({event.stream_id for event in events}) == 2
    assert (run.result.text, run.response.text) == ("3", "3")


async def test_callbacks_get_the_events_of_all_turns() -> None:
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})), Script(["3"]))
    seen: list[tuple[str, int]] = []

    async def note(event: StreamEvent) -> None:
        await asyncio.sleep(0)
        seen.append((event.type, event.sequence))

    async with client_of(provider) as client:
        await client.run(
            "?",
            MODEL,
            tools=[add],
            on_start=note,
            on_delta=note,
            on_usage=note,
            on_complete=note,
        )

    assert [number for _, number in seen] == list(range(len(seen)))
    assert [kind for kind, _ in seen if kind != "delta"] == ["start", "usage", "complete"] * 2


async def test_an_anext_that_is_given_up_loses_nothing() -> None:
    gate = asyncio.Event()

    async def wait() -> str:
        await gate.wait()
        return "done"

    provider = ScriptedProvider(calls(("wait", {})), Script(["Hello", " world"]))
    events: list[StreamEvent] = []
    async with client_of(provider) as client, client.run_events("?", MODEL, tools=[wait]) as run:
        while True:
            waiting = asyncio.ensure_future(anext(run, None))
            for _ in range(3):
                await asyncio.sleep(0)
            if not waiting.done():
                waiting.cancel()
                gate.set()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                continue
            event = waiting.result()
            if event is None:
                break
            events.append(event)

    assert [event.sequence for event in events] == list(range(len(events)))
    assert (run.result.text, len(provider.requests)) == ("Hello world", 2)


async def test_two_tasks_cannot_pull_one_run() -> None:
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    provider = ScriptedProvider(calls(("wait", {})), Script(["Hello"]))
    async with client_of(provider) as client, client.run_events("?", MODEL, tools=[wait]) as run:
        reading = asyncio.ensure_future(_read(run))
        await until(lambda: run.result.responses)
        with pytest.raises(StreamInUseError, match="one task pulls a run"):
            await anext(run)
        gate.set()
        assert (await reading)[-1].type == "complete"


# --- what waits for somebody ---

ASK_USER = {"name": "ask_user", "parameters": {"type": "object", "properties": {}}}


async def test_a_tool_without_a_function_ends_the_run_and_it_goes_on_with_its_result() -> None:
    provider = ScriptedProvider(
        calls(("ask_user", {}), ("add", {"a": 1, "b": 2})), Script(["Thanks."])
    )
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[add, ASK_USER])
        assert result.pending_calls == [
            {"id": "call_ask_user", "name": "ask_user", "arguments": "{}"}
        ]
        assert len(provider.requests) == 1
        answered = [*result.messages, tool_result("call_ask_user", "blue")]
        result = await client.run(answered, MODEL, tools=[add, ASK_USER])

    assert (result.text, result.pending_calls) == ("Thanks.", [])
    assert sorted(told(provider.requests[1])) == [("call_add", "3"), ("call_ask_user", "blue")]


async def test_a_call_that_needs_approval_is_run_once_it_is_approved() -> None:
    deleted: list[str] = []

    def delete(path: str) -> str:
        deleted.append(path)
        return "gone"

    tool = Tool(delete, needs_approval=True)
    provider = ScriptedProvider(calls(("delete", {"path": "/tmp/x"})), Script(["Done."]))
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[tool])
        assert (deleted, [call["name"] for call in result.pending_calls]) == ([], ["delete"])
        stored = json.loads(json.dumps(result.messages))
        ids = [call["id"] for call in result.pending_calls]
        result = await client.run(stored, MODEL, tools=[tool], approved=ids)

    assert (deleted, result.text) == (["/tmp/x"], "Done.")
    assert told(provider.requests[1]) == [("call_delete", "gone")]


async def test_what_is_not_approved_still_waits_and_nothing_is_asked() -> None:
    tools = [
        Tool(add, "one", needs_approval=True),
        Tool(add, "two", needs_approval=True),
    ]
    numbers = {"a": 1, "b": 2}
    provider = ScriptedProvider(calls(("one", numbers), ("two", numbers)), Script(["Done."]))
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=tools)
        result = await client.run(result.messages, MODEL, tools=tools, approved=["call_two"])
        assert [call["id"] for call in result.pending_calls] == ["call_one"]
        assert (result.responses, result.text, len(provider.requests)) == ([], "", 1)
        with pytest.raises(ConfigurationError, match="the run has no answer"):
            _ = result.response
        denied = [*result.messages, tool_result("call_one", "no", is_error=True)]
        result = await client.run(denied, MODEL, tools=tools)

    assert result.text == "Done."
    assert sorted(told(provider.requests[1])) == [("call_one", "no"), ("call_two", "3")]


@pytest.mark.parametrize(
    ("approved", "words"),
    [
        (["call_x"], "'call_x' is no call that waits .* there are: 'call_add'"),
        ("call_add", "approved: expected a list with the ids of calls"),
        ([7], "approved: expected a list with the ids of calls"),
    ],
)
async def test_what_cannot_be_approved_is_refused(approved: Any, words: str) -> None:
    tool = Tool(add, needs_approval=True)
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})))
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[tool])
        with pytest.raises(ConfigurationError, match=words):
            await client.run(result.messages, MODEL, tools=[tool], approved=approved)
        with pytest.raises(ConfigurationError, match="there are: none"):
            await client.run("?", MODEL, tools=[tool], approved=["call_add"])


async def test_calls_that_nobody_answered_are_run_first_when_a_stored_history_goes_on() -> None:
    provider = ScriptedProvider(Script(["3"]))
    history = [
        {"role": "user", "content": "1 + 2?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'},
                }
            ],
        },
    ]
    async with client_of(provider) as client, client.run_events(history, MODEL, tools=[add]) as run:
        events = [event async for event in run]

    assert told(provider.requests[0]) == [("call_1", "3")]
    assert events[0].metadata["tool_results"][0]["content"] == "3"
    assert len(history) == 2


async def test_a_tool_ends_the_run_and_the_calls_beside_it_are_still_answered() -> None:
    def submit(answer: str) -> None:
        raise StopRun({"answer": answer})

    provider = ScriptedProvider(calls(("submit", {"answer": "42"}), ("add", {"a": 1, "b": 2})))
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[submit, add])

    assert (result.is_stopped, result.value, result.ok) == (True, {"answer": "42"}, True)
    assert [m["content"] for m in result.messages if m["role"] == "tool"] == [
        '{"answer": "42"}',
        "3",
    ]
    assert len(provider.requests) == 1


async def test_custom_calls_are_for_the_caller() -> None:
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})))
    async with client_of(provider) as client:
        result = await client.run(
            "?", MODEL, tools=[{"type": "custom", "custom": {"name": "other"}}]
        )

    assert [call["name"] for call in result.pending_calls] == ["add"]


# --- limits ---


async def test_too_many_turns_are_an_error_whose_history_goes_on() -> None:
    provider = ScriptedProvider(*([calls(("add", {"a": 1, "b": 2}))] * 3), Script(["3"]))
    async with client_of(provider) as client:
        with pytest.raises(
            ToolError, match=r"after 3 turns \(max_turns\).* still calls add"
        ) as caught:
            await client.run("?", MODEL, tools=[add], max_turns=3)
        run: RunResult = caught.value.run
        assert ([call["name"] for call in run.pending_calls], len(run.responses)) == (["add"], 3)
        assert (run.error, run.ok) == (caught.value, False)

        result = await client.run(run.messages, MODEL, tools=[add], max_turns=3)

    assert result.text == "3"


async def test_in_the_last_turn_an_approval_is_no_error() -> None:
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})))
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[Tool(add, needs_approval=True)], max_turns=1)

    assert len(result.pending_calls) == 1


@pytest.mark.parametrize("max_turns", [0, -1, "2", None])
async def test_a_number_of_turns_that_is_none_is_refused(max_turns: Any) -> None:
    async with client_of(ScriptedProvider("Hello")) as client:
        with pytest.raises(ConfigurationError, match="max_turns: expected a whole number above 0"):
            await client.run("?", MODEL, max_turns=max_turns)


@pytest.mark.parametrize(
    "choice", ["add", "required", {"type": "function", "function": {"name": "add"}}]
)
async def test_a_forced_choice_holds_for_the_first_turn(choice: Any) -> None:
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})), Script(["3"]))
    async with client_of(provider) as client:
        await client.run("?", MODEL, tools=[add], tool_choice=choice)

    assert "tool_choice" in provider.requests[0].json
    assert "tool_choice" not in provider.requests[1].json


async def test_a_choice_that_forces_nothing_holds_for_every_turn() -> None:
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})), Script(["3"]))
    async with client_of(provider) as client:
        await client.run("?", MODEL, tools=[add], tool_choice="auto")

    assert [request.json["tool_choice"] for request in provider.requests] == ["auto", "auto"]


async def test_json_is_asked_for_beside_tools() -> None:
    class City(msgspec.Struct):
        name: str

    provider = ScriptedProvider(
        calls(("add", {"a": 1, "b": 2}), says="Let me see."), Script(['{"name": "Ulm"}'])
    )
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[add], response_format=City)

    assert result.response.parsed == City("Ulm")
    assert all("response_format" in request.json for request in provider.requests)


@pytest.mark.parametrize(
    ("usage", "words", "requests"),
    [
        ((100, 30), "130 of 120 are spent by the turns so far: nothing more is asked", 1),
        ((80, 30), "budget_tokens: about .* tokens of 10 are spent, by the prompt alone", 1),
        ((20, 10), None, 2),
    ],
)
async def test_a_budget_is_one_for_all_turns(
    usage: tuple[int, int], words: str | None, requests: int
) -> None:
    options = StreamingOptions(budget_tokens=120)
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2}), usage=usage), Script(["3"]))

    async with client_of(provider) as client:
        running = client.run("?", MODEL, tools=[add], streaming_options=options)
        if words is None:
            assert (await running).text == "3"
        else:
            with pytest.raises(BudgetExceededError, match=words) as caught:
                await running
            assert [m["role"] for m in caught.value.run.messages[:3]] == [
                "user",
                "assistant",
                "tool",
            ]

    assert len(provider.requests) == requests


async def test_a_budget_of_money_is_one_for_all_turns() -> None:
    provider = ScriptedProvider(
        calls(("add", {"a": 1, "b": 2}), usage=(1_000_000, 1_000)), Script(["3"])
    )
    async with client_of(provider) as client:
        with pytest.raises(
            BudgetExceededError, match=r"budget_usd: .* of 0\.5 are spent"
        ) as caught:
            await client.run(
                "?", MODEL, tools=[add], streaming_options=StreamingOptions(budget_usd=0.5)
            )

    assert caught.value.spent == caught.value.run.cost_usd
    assert len(provider.requests) == 1


# --- failures and leaving ---


async def test_a_turn_that_fails_is_raised_with_what_was_done_before_it() -> None:
    provider = ScriptedProvider(
        calls(("add", {"a": 1, "b": 2})), Script(["It"], faults=[ErrorInStream(1)])
    )
    async with client_of(provider) as client:
        with pytest.raises(OverloadedError) as caught:
            await client.run("?", MODEL, tools=[add])

    run = caught.value.run
    assert [m["content"] for m in run.messages if m["role"] == "tool"] == ["3"]
    assert [response.ok for response in run.responses] == [True, False]
    assert run.error is caught.value


@pytest.mark.parametrize("way", ["run", "run_events"])
async def test_a_turn_that_cannot_be_asked_for_is_raised_with_what_was_done_before_it(
    way: str,
) -> None:
    keys = iter(["key", None])
    settings = {"openai": ProviderSettings(api_key=lambda: next(keys))}
    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})))
    async with SteerLLMClient(providers=settings, transport=provider) as client:
        events = client.run_events("?", MODEL, tools=[add])
        with pytest.raises(SteerError) as caught:
            await (client.run("?", MODEL, tools=[add]) if way == "run" else _read(events))

    assert caught.value.run is not None
    assert told_of(caught.value.run.messages) == [("call_add", "3")]


async def test_calls_that_share_an_id_are_each_run_and_answered() -> None:
    made = [ScriptedToolCall("add", {"a": n, "b": n}, id="call_same") for n in (1, 2)]
    provider = ScriptedProvider(Script([], tool_calls=made), Script(["4"]))
    async with client_of(provider) as client:
        await client.run("?", MODEL, tools=[add])

    asked = provider.requests[-1].json["messages"][-3]["tool_calls"]
    answered = dict(told(provider.requests[-1]))
    assert [answered[call["id"]] for call in asked] == ["2", "4"]


async def test_half_a_character_in_a_result_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "steer_llm_sdk")  # what was raised is logged as it is

    def name(kind: str) -> Any:
        """A name of a file that is not UTF-8, as `os.listdir` gives it."""
        broken = b"caf\xe9".decode("utf-8", "surrogateescape")
        if kind == "raised":
            raise OSError(broken)
        return {"text": broken, "list": [{"type": "text", "text": broken}], "map": {broken: 1}}[
            kind
        ]

    kinds = ("text", "list", "map", "raised")
    made = [ScriptedToolCall("name", {"kind": kind}, id=kind) for kind in kinds]
    provider = ScriptedProvider(Script([], tool_calls=made), Script(["ok"]))
    async with client_of(provider) as client:
        result = await client.run("?", MODEL, tools=[name])

    assert result.response.ok
    assert "caf\ufffd" in str(told(provider.requests[-1]))


async def test_what_a_cut_turn_has_done_is_told() -> None:
    done: list[str] = []

    def act(what: str) -> str:
        done.append(what)
        return "done"

    script = calls(("act", {"what": "a"}), ("act2", {"what": "b"}), faults=[ErrorInStream(2)])
    async with client_of(ScriptedProvider(script)) as client:
        with pytest.raises(OverloadedError) as caught:
            await client.run("?", "anthropic:m", tools=[act, Tool(act, "act2")])

    run = caught.value.run
    answered = [m["tool_call_id"] for m in run.messages if m["role"] == "tool"]
    assert len(answered) == len(done)
    assert [r.ok for r in run.responses] == [False]


@pytest.mark.parametrize("is_left", [False, True])
@pytest.mark.parametrize("wire", FORMATS)
async def test_a_history_has_each_call_that_was_run_and_its_result_whoever_ended_the_turn(
    wire: str, *, is_left: bool
) -> None:
    done = asyncio.Event()

    async def act(what: str) -> str:
        done.set()
        return what

    script = calls(("act", {"what": "a"}), ("other", {"what": "b" * 80}))
    broken = dataclasses.replace(script, faults=[ErrorInStream(4)])
    client = client_of(ScriptedProvider(script if is_left else broken))
    tools = [act, Tool(act, "other", needs_approval=True)]
    run = client.run_events("?", f"{wire}:m", tools=tools, streaming_options=NO_RETRIES)
    async with client:
        with contextlib.suppress(OverloadedError):
            async with run:
                async for event in run:
                    if is_left and event.type == "delta" and done.is_set():
                        break
                    await asyncio.sleep(0)

    made = [p["id"] for m in run.result.messages if m["role"] == "assistant" for p in m["content"]]
    told = [call_id for call_id, _ in told_of(run.result.messages)]
    assert told == (["call_act"] if done.is_set() else [])
    assert set(told) <= set(made)


async def test_what_ends_the_program_passes_and_what_was_done_beside_it_is_told() -> None:
    class Halt(BaseException):
        pass

    async def halt() -> None:
        raise Halt

    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2}), ("halt", {})))
    async with client_of(provider) as client:
        run = client.run_events("?", MODEL, tools=[add, halt])
        with pytest.raises(Halt):
            async with run:
                await _read(run)

    assert told_of(run.result.messages) == [("call_add", "3")]


def paused(stop_reason: str) -> GarbageBody:
    """What Anthropic sends of an answer in the middle of which its own tools search on."""
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": search},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {}},
        {"type": "message_stop"},
    ]
    return GarbageBody(b"".join(sse(each, each["type"]) for each in events), after="headers")


@pytest.mark.parametrize("reason", ["pause_turn", "compaction"])
async def test_an_answer_that_the_provider_has_paused_is_sent_back_and_goes_on(reason: str) -> None:
    provider = ScriptedProvider([paused(reason)], [paused(reason)], Script(["Found."]))

    async with client_of(provider) as client:
        result = await client.run("Search.", "anthropic:m", tools=[add])

    assert (result.text, len(result.responses)) == ("Found.", 3)
    sent = [request.json["messages"] for request in provider.requests]
    assert [m["role"] for m in sent[1]] == ["user", "assistant"]
    assert [block["type"] for block in sent[2][1]["content"]] == ["server_tool_use"] * 2


async def test_a_paused_answer_in_the_last_turn_is_the_end() -> None:
    provider = ScriptedProvider([paused("pause_turn")])

    async with client_of(provider) as client:
        result = await client.run("Search.", "anthropic:m", tools=[add], max_turns=1)

    assert (result.ok, result.response.finish_reason) == (True, "length")
    assert len(provider.requests) == 1


async def test_with_on_error_a_failed_run_is_returned() -> None:
    provider = ScriptedProvider(Script(faults=[HTTPError(500)]))
    seen: list[StreamErrorEvent] = []
    async with client_of(provider) as client:
        result = await client.run(
            "?", MODEL, tools=[add], streaming_options=NO_RETRIES, on_error=seen.append
        )

    assert isinstance(result.error, ServerError)
    assert (result.response.error, len(seen)) == (result.error, 1)


async def test_events_end_in_the_error_event_and_then_raise() -> None:
    provider = ScriptedProvider(Script(faults=[HTTPError(500)]))
    events: list[StreamEvent] = []
    async with (
        client_of(provider) as client,
        client.run_events("?", MODEL, tools=[add], streaming_options=NO_RETRIES) as run,
    ):
        events += [await anext(run), await anext(run)]
        with pytest.raises(ServerError):
            await anext(run)
        assert [event async for event in run] == []

    assert [event.type for event in events] == ["start", "error"]


async def test_a_callback_may_end_the_run() -> None:
    def fail(event: StreamDeltaEvent) -> None:
        raise KeyError("mine")

    provider = ScriptedProvider(calls(("add", {"a": 1, "b": 2})), Script(["3"]))
    options = StreamingOptions(raise_callback_errors=True)
    async with client_of(provider) as client:
        with pytest.raises(CallbackError) as caught:
            await client.run("?", MODEL, tools=[add], streaming_options=options, on_delta=fail)

    assert len(caught.value.run.responses) == 1


@pytest.mark.parametrize("moment", ["while it streams", "while a function runs"])
async def test_a_cancelled_run_leaves_no_task(moment: str) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait(x: int) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    faults = [Stall(after=3)] if moment == "while it streams" else []
    provider = ScriptedProvider(calls(("wait", {"x": 1}), ("wait2", {"x": 2}), faults=faults))
    tools = [wait, Tool(wait, "wait2")]
    async with client_of(provider) as client:
        before = asyncio.all_tasks()
        running = asyncio.ensure_future(client.run("?", "anthropic:m", tools=tools))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert ended.is_set()
        assert asyncio.all_tasks() == before


@pytest.mark.parametrize("how", ["leave", "cancel", "close"])
async def test_leaving_while_functions_run_cancels_them(how: str) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    client = client_of(ScriptedProvider(calls(("wait", {}))))
    async with client.run_events("?", MODEL, tools=[wait]) as run:
        reading = asyncio.ensure_future(_read(run))
        await begun.wait()
        if how == "cancel":
            run.cancel("enough")
        elif how == "close":
            await client.close()
        else:
            await run.aclose()
        events = await reading

    await client.close()
    assert ended.is_set()
    assert events[-1].type == "complete"
    assert (await _read(run)) == []
    if how != "leave":
        assert isinstance(run.result.error, StreamCancelledError)


async def test_a_closed_client_ends_a_run_of_callbacks_in_an_error() -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    client = client_of(ScriptedProvider(calls(("wait", {}))))
    running = asyncio.ensure_future(client.run("?", MODEL, tools=[wait]))
    await begun.wait()
    await client.close()

    with pytest.raises(StreamCancelledError) as caught:
        await running
    assert len(caught.value.run.responses) == 1


async def test_a_plain_function_that_still_runs_is_left_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun, gate = threading.Event(), threading.Event()

    def block() -> None:
        begun.set()
        gate.wait(10)

    client = client_of(ScriptedProvider(calls(("block", {}))))
    running = asyncio.ensure_future(client.run("?", MODEL, tools=[block]))
    await until(begun.is_set)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await client.close()
    await client.close()

    assert client.stats.functions_left == 1
    assert any("1 function(s) of tools still run" in each.message for each in caplog.records)
    gate.set()


async def test_the_end_of_the_task_that_iterates_a_run_ends_it() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    kept: list[Any] = []

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def take(client: SteerLLMClient) -> None:
        run = client.run_events("?", "anthropic:m", tools=[wait, add])
        kept.append(run)
        async for event in run:
            await asyncio.sleep(0)
            if begun.is_set() or event.type == "complete":
                return

    script = calls(("wait", {}), ("add", {"a": 1, "b": 2}))
    async with client_of(ScriptedProvider(script)) as client:
        await asyncio.ensure_future(take(client))
        async with asyncio.timeout(2):
            await ended.wait()
        await until(lambda: kept[0].result.responses)


async def test_a_run_can_be_pickled() -> None:
    provider = ScriptedProvider(*([calls(("add", {"a": 1, "b": 2}))] * 2))
    async with client_of(provider) as client:
        with pytest.raises(ToolError) as caught:
            await client.run("?", MODEL, tools=[add], max_turns=1)

    error = pickle.loads(pickle.dumps(caught.value))
    assert error.run.messages == caught.value.run.messages
    assert "run" not in error.to_dict()


async def test_what_cannot_be_run_is_refused_before_anything_is_sent() -> None:
    provider = ScriptedProvider("Hello")
    async with client_of(provider) as client:
        with pytest.raises(ConfigurationError, match="messages"):
            await client.run(7, MODEL)
        with pytest.raises(ConfigurationError):
            client.run_events("?", "no-such-model", tools=[add])
        with pytest.raises(TypeError, match="did you mean 'max_turns'"):
            await client.run("?", MODEL, max_turn=1)  # type: ignore[call-overload]

    assert provider.requests == []


# --- reasoning that was changed ---


@pytest.mark.parametrize("pattern", [None, "nothing of it", "secret"])
async def test_reasoning_goes_back_as_it_was_or_the_run_says_why_it_cannot(
    pattern: str | None,
) -> None:
    provider = ScriptedProvider(
        calls(("add", {"a": 1, "b": 2}), reasoning=["the secret", " plan"]), Script(["It is 3."])
    )
    redact = [] if pattern is None else [RedactTransformer([pattern])]
    options = StreamingOptions(text_transformers=redact)

    async with client_of(provider) as client:
        running = client.run("?", "anthropic:m", tools=[add], streaming_options=options)
        if pattern == "secret":
            with pytest.raises(ConfigurationError, match="they changed the reasoning") as caught:
                await running
            assert [m["role"] for m in caught.value.run.messages] == ["user", "assistant", "tool"]
            assert len(provider.requests) == 1
            return
        assert (await running).text == "It is 3."

    (_, answer, _) = provider.requests[1].json["messages"]
    thought = answer["content"][0]
    assert (thought["type"], thought["thinking"]) == ("thinking", "the secret plan")
    assert thought["signature"]


async def test_where_nobody_wants_reasoning_back_it_may_be_changed() -> None:
    provider = ScriptedProvider(
        calls(("add", {"a": 1, "b": 2}), reasoning=["the secret plan"]), Script(["It is 3."])
    )
    options = StreamingOptions(text_transformers=[RedactTransformer(["secret"])])

    async with client_of(provider) as client:
        result = await client.run("?", "ollama:m", tools=[add], streaming_options=options)

    assert result.text == "It is 3."


async def test_in_a_block_a_run_may_be_read_by_one_task_after_another() -> None:
    provider = ScriptedProvider(Script(["Hello", " world"]))

    async def read_one(run: Any) -> str:
        async for event in run:
            return str(event.type)
        return "none"

    async with (
        SteerLLMClient("key", transport=provider) as client,
        client.run_events("Hi", MODEL) as run,
    ):
        first = await asyncio.create_task(read_one(run))
        await asyncio.sleep(2 * GRACE)  # what was to end with that task has ended
        rest = [event.type async for event in run]

    assert [first, *rest] == ["start", "delta", "delta", "usage", "complete"]
    assert run.result.text == "Hello world"
