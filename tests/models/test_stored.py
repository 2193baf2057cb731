"""Events, responses and errors leave the process and come back: copies, pickles, JSON, pydantic."""

from __future__ import annotations

import asyncio
import collections
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import json
import multiprocessing
import numbers
import operator
import pickle
import sqlite3
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, TypeAdapter, ValidationError

from steer_llm_sdk import (
    ConfigurationError,
    ConnectionLostError,
    RateLimitError,
    SteerError,
    SteerLLMClient,
)
from steer_llm_sdk.journal import MemoryJournal, RedisJournal, SQLiteJournal
from steer_llm_sdk.models import events as events_module
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.models.responses import StreamingResponse, set_json
from steer_llm_sdk.models.shapes import TokenUsage
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.sinks import JSONLinesSink, OpenTelemetrySink, PrometheusSink, SQLiteSink
from steer_llm_sdk.stored import plain
from steer_llm_sdk.testing import (
    HTTPError,
    Raise,
    Script,
    ScriptedProvider,
    ScriptedToolCall,
)

SCRIPTS = {
    "text": Script(["Grüße ", "🌍"], reasoning=["Hm"], cached_tokens=2),
    "tool call": Script([], tool_calls=[ScriptedToolCall("find", ['{"place": "Kö', 'ln"}'])]),
    "cut": Script(["one", "two", "three"], faults=[Raise(ConnectionLostError("cut"), 2)]),
}


async def told(script: Script) -> tuple[list[StreamEvent], StreamingResponse]:
    """What a real stream gives."""
    found: list[StreamEvent] = []
    async with SteerLLMClient("k", transport=ScriptedProvider(script)) as client:
        listeners = dict.fromkeys(
            ("on_start", "on_delta", "on_usage", "on_complete", "on_error"), found.append
        )
        response = await client.stream_with_usage(  # type: ignore[call-overload]
            "Hi",
            "gpt-4o",
            streaming_options=StreamingOptions(max_retries=0),
            **listeners,
        )
    return found, response


def by_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def by_json(value: Any) -> Any:
    return type(value).from_dict(json.loads(value.to_json()))


def by_dict(value: Any) -> Any:
    return type(value).from_dict(value.to_dict())


USAGE: TokenUsage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
WAYS = [copy.copy, copy.deepcopy, by_pickle, by_json, by_dict]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_everything_that_a_stream_gives_comes_back_equal(
    script: Script, way: Callable[[Any], Any]
) -> None:
    found, response = await told(script)

    for value in (*found, response):
        back = way(value)
        assert back is not value
        assert type(back) is type(value)
        assert back == value
        assert by_json(back) == value

    back = way(response)
    assert (back.text, back.ok, back.usage) == (response.text, response.ok, response.usage)
    assert back.metrics == pytest.approx(response.metrics)
    if response.error is not None:
        assert type(back.error) is type(response.error)
        assert back.error.partial_response is not None
        assert back.error.partial_response.get_text() == "onetwo"
        with pytest.raises(type(response.error)):
            _ = back.parsed


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_dataclasses_can_take_apart_what_a_stream_gives(script: Script) -> None:
    found, response = await told(script)

    values: list[Any] = [*found, response]
    for value in values:
        parts = dataclasses.asdict(value)
        assert parts.keys() == value.to_dict().keys() - {"type", "metrics"}
        error = parts.pop("error", None)
        assert json.loads(json.dumps(parts)) == parts
        assert (error is None) == (getattr(value, "error", None) is None)
    assert dataclasses.asdict(response)["text"] == response.text


async def test_arguments_that_had_arrived_stay_with_a_copy() -> None:
    found, _ = await told(SCRIPTS["tool call"])
    calls = [event for event in found if isinstance(event, StreamDeltaEvent)]
    last = calls[-1]
    assert last.partial_arguments == {"place": "Köln"}

    for way in (copy.copy, copy.deepcopy, by_pickle):
        assert way(last).partial_arguments == {"place": "Köln"}
    assert by_json(last).partial_arguments is None


def test_a_copy_of_a_response_is_a_value_of_its_own() -> None:
    response = StreamingResponse(text="a", stream_id="s")
    copied = copy.copy(response)

    copied.text = "b"

    assert (response.text, copied.text) == ("a", "b")
    assert response != copied
    assert hash(response) == hash(copied)
    assert response != "a"


@dataclasses.dataclass
class City:
    name: str


def test_json_that_was_found_in_the_text_is_stored() -> None:
    response = StreamingResponse(text='```json\n{"name": "Köln"}\n```', is_finished=True)
    set_json(response, {"name": "Köln"}, City("Köln"))

    assert by_pickle(response).parsed == City("Köln")
    back = by_json(response)
    assert back == response
    assert back.parsed == back.get_json() == {"name": "Köln"}


def test_looking_at_the_json_of_a_text_changes_nothing_of_its_value() -> None:
    response = StreamingResponse(text="[1]", is_finished=True)
    before = response.to_dict()

    assert response.get_json() == [1]
    assert response.to_dict() == before


def test_the_object_of_a_failed_answer_does_not_keep_it_from_being_pickled() -> None:
    error = RateLimitError("slow")
    response = StreamingResponse(text="{}", is_finished=True, error=error)
    set_json(response, {}, lambda: None)

    assert by_pickle(response) == response


# --- older and newer versions -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [getattr(events_module, name) for name in events_module.__all__])
def test_what_was_stored_without_a_field_has_its_default_and_what_is_unknown_is_passed_over(
    kind: type[StreamEvent],
) -> None:
    back = kind.from_dict({"type": kind.type, "stream_id": "s", "version": 99, "new": 1})

    assert back == kind(stream_id="s")


@pytest.mark.parametrize(
    "kind", [StreamEvent, StreamDeltaEvent, StreamingResponse, SteerError, StreamRecord]
)
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{}", r"found str: json.loads\(…\) parses it"),
        (b"{}", "found bytes: json"),
        (None, "found NoneType$"),
        ([], "found list$"),
    ],
)
def test_what_is_not_yet_parsed_is_told_so(kind: Any, given: object, told: str) -> None:
    with pytest.raises(TypeError, match=f"expected a mapping, as to_dict gives it, {told}"):
        kind.from_dict(given)


def test_a_row_of_a_database_may_be_what_was_stored() -> None:
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row

    row = database.execute("SELECT 'delta' AS type, 'Hello' AS delta").fetchone()

    assert StreamEvent.from_dict(row) == StreamDeltaEvent(delta="Hello")
    database.close()


def test_a_stored_event_comes_back_as_its_class_and_no_other() -> None:
    stored = StreamUsageEvent(usage=USAGE).to_dict()

    assert isinstance(StreamEvent.from_dict(stored), StreamUsageEvent)
    with pytest.raises(ValueError, match="expected that of a StreamDeltaEvent, found 'usage'"):
        StreamDeltaEvent.from_dict(stored)
    with pytest.raises(ValueError, match="found 'quantum'"):
        StreamEvent.from_dict({"type": "quantum"})


class _Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def test_what_cannot_be_shown_is_told_by_its_type() -> None:
    event = StreamDeltaEvent(delta="Hi", metadata={"mine": _Unspeakable()})

    assert json.loads(event.to_json())["metadata"] == {"mine": "<_Unspeakable>"}
    with pytest.raises(ConfigurationError, match="stream_id: expected a str, found <_Unspeakable>"):
        MemoryJournal().attach(_Unspeakable())  # type: ignore[arg-type]


def test_what_has_no_bottom_is_told_by_its_repr_and_takes_nothing_from_the_rest() -> None:
    deep: Any = "find"
    for _ in range(900):
        deep = [deep]
    endless: dict[str, Any] = {}
    endless["me"] = endless
    event = StreamDeltaEvent(delta="Hi", metadata={"a": {"b": [deep, 1]}, "c": endless, "d": 2})

    stored = json.loads(event.to_json())["metadata"]

    assert stored["a"]["b"][1] == 1
    assert "[find]" in str(stored["a"]["b"][0]).replace("'", "")
    assert stored["d"] == 2
    assert isinstance(stored["c"], dict)


@pytest.mark.parametrize("number", [10**400, 10**5000], ids=["400 digits", "5000 digits"])
def test_a_number_that_no_clock_has_is_refused(number: int) -> None:
    with pytest.raises(ConfigurationError, match="ttl: expected a number of seconds above 0"):
        MemoryJournal(ttl=number)
    with pytest.raises(ConfigurationError, match="total_timeout: expected a number of seconds"):
        StreamingOptions(total_timeout=number)


def test_a_dict_shares_nothing_with_its_event() -> None:
    event = StreamDeltaEvent(delta={"type": "reasoning", "text": "a"}, metadata={"n": [1]})
    stored = event.to_dict()
    back = StreamDeltaEvent.from_dict(stored)

    stored["metadata"]["n"].append(2)
    stored["delta"]["text"] = "b"

    assert event.metadata == back.metadata == {"n": [1]}
    assert event == back


@pytest.mark.parametrize("kind", [StreamStartEvent, StreamDeltaEvent, StreamErrorEvent])
def test_events_are_equal_when_their_dicts_are(kind: type[StreamEvent]) -> None:
    assert kind(stream_id="s") == kind(stream_id="s")
    assert kind(stream_id="s") != kind(stream_id="t")
    assert kind() != StreamCompleteEvent()
    assert kind() != {"type": kind.type}


def test_a_response_that_was_stored_early_reads_as_far_as_it_goes() -> None:
    back = StreamingResponse.from_dict({"text": "Hi", "new": 1})

    assert (back.text, back.error, dict(back.metrics)) == ("Hi", None, {})


# --- plain data -------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Point(msgspec.Struct):
    x: int


class Model(BaseModel):
    city: str


class Told:
    def to_dict(self) -> dict[str, Any]:
        return {"a": (1,)}


class Word(str):
    __slots__ = ()


class Numbers:
    """As an array or a number of NumPy's tells what it is."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def tolist(self) -> Any:
        return self._values


class Whole:
    """A whole number of another library's."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __int__(self) -> int:
        return self._value


numbers.Integral.register(Whole)


@attrs.define
class Plant:
    name: str


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1: "a", "b": (1, 2), Colour.RED: None}, {"1": "a", "b": [1, 2], "red": None}),
        ({(1, 2): "pair"}, {"[1, 2]": "pair"}),
        ({2, 1}, [1, 2]),
        (1.5, 1.5),
        (float("nan"), None),
        (float("inf"), None),
        (Word("w"), "w"),
        (Level.LOW, 1),
        (b"\xff", "/w=="),
        (dt.date(2026, 11, 25), "2026-11-25"),
        (Point(3), {"x": 3}),
        (Model(city="Köln"), {"city": "Köln"}),
        (City("Köln"), {"name": "Köln"}),
        (Told(), {"a": [1]}),
        (City, repr(City)),
        (Told, repr(Told)),
        (1j, "1j"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.50"), "1.50"),
        ({decimal.Decimal(2): 1}, {"2": 1}),
        (fractions.Fraction(1, 2), 0.5),
        (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
        (Path("a/b"), "a/b"),
        (dt.timedelta(days=1, seconds=3), "P1DT3S"),
        (collections.deque([1, Path("a")]), [1, "a"]),
        (collections.UserString("a"), "a"),
        (range(3), [0, 1, 2]),
        ({"a": 1}.values(), [1]),
        (Numbers([1, 2]), [1, 2]),
        (Whole(3), 3),
        (Plant("fern"), {"name": "fern"}),
    ],
)
def test_what_json_has_no_word_for_becomes_what_comes_nearest(value: Any, expected: Any) -> None:
    found = plain(value)

    assert found == expected
    assert json.loads(json.dumps(found)) == expected


def test_other_mappings_are_dicts() -> None:
    import types

    assert plain(types.MappingProxyType({"a": 1})) == {"a": 1}


# --- what is shared ---


def make_sinks(folder: Path) -> list[Any]:
    return [
        JSONLinesSink(folder / "streams.jsonl"),
        SQLiteSink(folder / "ledger.db"),
        OpenTelemetrySink(TracerProvider(), MeterProvider()),
        PrometheusSink(CollectorRegistry()),
        MemoryJournal(),
    ]


def test_a_copy_of_what_holds_files_or_locks_is_itself(tmp_path: Path) -> None:
    shared = make_sinks(tmp_path)

    for each in shared:
        assert copy.copy(each) is each
        with pytest.raises(
            TypeError, match=f"{type(each).__name__}: it holds .* cannot be pickled"
        ):
            pickle.dumps(each)
    assert all(map(operator.is_, copy.deepcopy(shared), shared))


async def test_a_journal_goes_to_other_processes_with_nothing_that_is_open(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path / "journal.db", ttl=60)
    assert copy.deepcopy({"of": journal})["of"] is journal
    async with SteerLLMClient("key", transport=ScriptedProvider("Hello")) as client:
        stream_id = await client.start("Hi", "gpt-4o", journal=journal)
        followed = [event async for event in journal.attach(stream_id)]
        async with pickle.loads(pickle.dumps(journal)) as elsewhere:
            assert [event async for event in elsewhere.attach(stream_id)] == followed
    await journal.close()


def test_a_journal_in_redis_is_made_in_another_process_of_its_url() -> None:
    journal = RedisJournal("redis://127.0.0.1:1/0", prefix="mine:")

    made = pickle.loads(pickle.dumps(journal))

    assert vars(made).keys() == vars(journal).keys()
    assert made._prefix == "mine:"
    assert made._connect().connection_pool.connection_kwargs["port"] == 1


# --- pydantic ---------------------------------------------------------------------------------


class LogLine(BaseModel):
    event: StreamDeltaEvent | StreamErrorEvent | StreamCompleteEvent
    response: StreamingResponse | None = None
    error: SteerError | None = None


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_what_a_stream_gives_can_be_in_a_pydantic_model(script: Script) -> None:
    found, response = await told(script)

    line = LogLine(event=found[-1], response=response, error=response.error)  # type: ignore[arg-type]
    assert line.event is found[-1]

    back = LogLine.model_validate_json(line.model_dump_json())
    assert back == line
    assert json.loads(line.model_dump_json())["event"] == found[-1].to_dict()
    assert LogLine.model_validate(line.model_dump()) == line


@pytest.mark.parametrize("mode", ["validation", "serialization"])
@pytest.mark.parametrize("name", events_module.__all__)
def test_pydantic_knows_the_fields_of_every_event(name: str, mode: Any) -> None:
    kind = getattr(events_module, name)

    schema = TypeAdapter(kind).json_schema(mode=mode)

    assert schema["properties"].keys() == kind().to_dict().keys()


def test_pydantic_refuses_what_is_no_such_event() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(StreamDeltaEvent).validate_python({"type": "usage"})
    with pytest.raises(ValidationError):
        TypeAdapter(StreamDeltaEvent).validate_python({"chunk_index": "many"})
    with pytest.raises(ValidationError):
        TypeAdapter(SteerError).validate_python("no")


def test_pydantic_reads_any_event_as_its_class() -> None:
    read = TypeAdapter(StreamEvent).validate_python

    assert read({"type": "usage", "usage": USAGE}) == StreamUsageEvent(usage=USAGE)


def _giving(value: Any) -> Callable[[], Any]:
    return lambda: value


def test_fastapi_can_answer_with_events_and_responses() -> None:
    fastapi = pytest.importorskip("fastapi")
    testclient = pytest.importorskip("fastapi.testclient")
    app = fastapi.FastAPI()
    failed = StreamErrorEvent(error=RateLimitError("slow", retry_after=7.0))

    async def echo(event: StreamDeltaEvent) -> str:
        return event.get_text()

    answers: dict[type, Any] = {
        StreamDeltaEvent: StreamDeltaEvent(delta="Hi"),
        StreamErrorEvent: failed,
        StreamingResponse: StreamingResponse(text="Hi"),
    }
    for kind, found in answers.items():
        app.get(f"/{kind.__name__}", response_model=kind)(_giving(found))
    app.post("/echo")(echo)

    client = testclient.TestClient(app)
    assert client.get("/StreamDeltaEvent").json() == StreamDeltaEvent(delta="Hi").to_dict()
    assert client.get("/StreamErrorEvent").json() == failed.to_dict()
    assert client.get("/StreamingResponse").json()["text"] == "Hi"
    assert client.post("/echo", json={"type": "delta", "delta": "Ho"}).json() == "Ho"
    assert client.get("/openapi.json").status_code == 200


# --- other processes --------------------------------------------------------------------------


def fail(status: int) -> None:
    async def ask() -> None:
        provider = ScriptedProvider(HTTPError(status, headers={"retry-after": "7"}))
        async with SteerLLMClient("k", transport=provider) as client:
            options = StreamingOptions(max_retries=0)
            await client.generate("Hi", "gpt-4o", streaming_options=options)

    asyncio.run(ask())


def answer(script: Script) -> tuple[list[StreamEvent], StreamingResponse]:
    return asyncio.run(told(script))


def test_what_a_process_pool_gives_is_what_was_raised_and_returned() -> None:
    # The modules of the tests have no names that another process could import: so it is forked.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        with pytest.raises(RateLimitError) as caught:
            pool.submit(fail, 429).result(timeout=60)
        found, response = pool.submit(answer, SCRIPTS["text"]).result(timeout=60)

    assert (caught.value.status, caught.value.retry_after) == (429, 7.0)
    assert caught.value.is_retryable
    assert caught.value.partial_response is not None
    assert response.text == "Grüße 🌍"
    assert [event.type for event in found][-2:] == ["usage", "complete"]
