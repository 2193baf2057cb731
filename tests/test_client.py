"""The client: what it refuses, what it sends, and that all of its ways give the same."""

from __future__ import annotations

import asyncio
import copy
import enum
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from steer_llm_sdk import (
    ConfigurationError,
    InvalidRequestError,
    MissingAPIKeyError,
    ProviderSettings,
    SteerLLMClient,
    StreamCancelledError,
    StreamingResponse,
    SyncSteerLLMClient,
    UnknownModelError,
    UnknownProviderError,
)
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.registry import PROVIDERS
from steer_llm_sdk.structured import read_item_type
from steer_llm_sdk.testing import (
    HTTPError,
    LoopbackServer,
    RecordedRequest,
    Script,
    ScriptedProvider,
    ScriptedToolCall,
    Stall,
    check_stream,
)

MODEL = "gpt-4o"
KINDS = ("on_start", "on_delta", "on_usage", "on_complete", "on_error")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no address is set from outside."""
    for row in PROVIDERS.values():
        for name in (*row.key_env, *row.base_url_env):
            monkeypatch.delenv(name, raising=False)


def client_of(transport: ScriptedProvider, **settings: ProviderSettings) -> SteerLLMClient:
    return SteerLLMClient("key-o", "key-a", "key-x", transport=transport, providers=settings)


async def sent(model: str = MODEL, *, messages: object = "Hi", **arguments: Any) -> RecordedRequest:
    """The request that a call makes."""
    provider = ScriptedProvider("Hello")
    settings = {
        name.replace("-", "_"): ProviderSettings(api_key="key")
        for name in ("gemini", "mistral", "groq")
    }
    await client_of(provider, **settings).generate(messages, model, **arguments)
    (request,) = provider.requests
    return request


def listeners(events: list[StreamEvent]) -> dict[str, Any]:
    return dict.fromkeys(KINDS, events.append)


# --- all ways are one -------------------------------------------------------------------------


async def test_all_ways_of_streaming_give_the_same() -> None:
    call = ScriptedToolCall("weather", {"city": "Paris"}, id="call_1")
    script = Script(["Hello", " world"], reasoning=["Hm."], tool_calls=[call], usage=(9, 5))
    client = client_of(ScriptedProvider(script))
    heard: list[StreamEvent] = []

    with_callbacks = await client.stream_with_usage("Hi", MODEL, **listeners(heard))
    async with client.stream_events("Hi", MODEL) as stream:
        pulled = [event async for event in stream]
    async with client.stream("Hi", MODEL) as texts:
        words = [text async for text in texts]
    whole = await client.generate("Hi", MODEL)

    assert check_stream(heard).text == check_stream(pulled).text == "Hello world"
    assert [(e.type, e.sequence) for e in heard] == [(e.type, e.sequence) for e in pulled]
    assert words == ["Hello", " world"]
    responses = [with_callbacks, stream.response, texts.response, whole]
    assert all(response.ok for response in responses)
    assert {response.get_text() for response in responses} == {"Hello world"}
    assert {response.reasoning for response in responses} == {"Hm."}
    assert {response.finish_reason for response in responses} == {"tool_calls"}
    assert all(response.usage == whole.usage for response in responses)
    assert all(response.tool_calls == whole.tool_calls for response in responses)


async def test_words_come_without_an_async_with() -> None:
    client = client_of(ScriptedProvider("Hello", " world"))

    assert [text async for text in client.stream("Hi", MODEL)] == ["Hello", " world"]


async def test_a_response_names_who_answered() -> None:
    script = Script(["Hello"], model="gpt-4o-2024-08-06", headers={"x-request-id": "req-1"})
    response = await client_of(ScriptedProvider(script)).generate("Hi", f"openai/{MODEL}")

    assert (response.provider, response.model) == ("openai", MODEL)
    assert response.metadata["response_model"] == "gpt-4o-2024-08-06"
    assert response.metadata["provider_request_id"] == "req-1"


async def test_the_callers_request_id_and_metadata_are_on_the_events() -> None:
    client = client_of(ScriptedProvider("Hello"))
    events: list[StreamEvent] = []

    response = await client.stream_with_usage(
        "Hi", MODEL, request_id="mine-1", metadata={"user": 7}, **listeners(events)
    )

    assert {event.request_id for event in events} == {"mine-1"}
    assert response.request_id == "mine-1"
    assert events[0].metadata["user"] == 7


async def test_a_request_id_is_made_where_none_is_passed() -> None:
    client = client_of(ScriptedProvider("Hello"))

    responses = [await client.generate("Hi", MODEL) for _ in range(2)]

    assert all(response.request_id for response in responses)
    assert len({response.request_id for response in responses}) == 2
    assert len({response.stream_id for response in responses}) == 2


# --- refused before any event -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"temprature": 0}, "did you mean 'temperature'"),
        ({"max_token": 5}, "did you mean 'max_tokens'"),
        ({"tool_choise": "auto"}, "did you mean 'tool_choice'"),
        ({"frequency_penalty": 1}, r"extra_body=\{'frequency_penalty': …\}"),
    ],
)
@pytest.mark.parametrize("way", ["stream_with_usage", "stream_events", "stream", "generate"])
async def test_an_unknown_keyword_is_a_type_error_that_says_what_would_work(
    way: str, arguments: dict[str, Any], hint: str
) -> None:
    client = client_of(ScriptedProvider())

    async def call() -> None:
        await getattr(client, way)("Hi", MODEL, **arguments)

    with pytest.raises(TypeError, match=hint):
        await call()


@dataclass(frozen=True)
class Refused:
    """A call that cannot be made: the error's class, and what its message says."""

    error: type[Exception]
    message: str
    model: Any = MODEL
    arguments: tuple[tuple[str, Any], ...] = ()
    messages: Any = "Hi"


WITHOUT_NAME = {"type": "function", "function": {}}
REFUSED = {
    "missing key": Refused(MissingAPIKeyError, "GROQ_API_KEY", "groq:llama"),
    "unknown model": Refused(UnknownModelError, "ollama:my-model", "my-model"),
    "mistyped provider": Refused(UnknownModelError, "anthropic:claude", "antropic:claude"),
    "two readings": Refused(UnknownModelError, "two readings", "mistral:7b"),
    "no model": Refused(UnknownModelError, "no model", "openai:"),
    "model of no text": Refused(ConfigurationError, "expected a name", 4),
    "unknown provider": Refused(
        UnknownProviderError, "did you mean 'openai'", MODEL, (("provider", "opnai"),)
    ),
    "unknown fallback": Refused(
        UnknownModelError,
        "my-model",
        arguments=(("streaming_options", StreamingOptions(fallback_models=["my-model"])),),
    ),
    "options of another kind": Refused(
        ConfigurationError, "StreamingOptions", arguments=(("streaming_options", {}),)
    ),
    "no messages": Refused(ConfigurationError, "messages", messages=[]),
    "messages of no kind": Refused(ConfigurationError, "messages", messages=7),
    "tool without a name": Refused(
        ConfigurationError, "needs a name", arguments=(("tools", [WITHOUT_NAME]),)
    ),
    "unspellable": Refused(ConfigurationError, "seed", "claude-sonnet-4-5", (("seed", 1),)),
    "not JSON": Refused(ConfigurationError, "JSON", arguments=(("extra_body", {"x": object()}),)),
    "no address": Refused(ConfigurationError, "base_url", "azure:deployed"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
async def test_a_call_that_cannot_be_made_raises_before_any_event(case: Refused) -> None:
    transport = ScriptedProvider()
    client = client_of(transport)
    events: list[StreamEvent] = []

    with pytest.raises(case.error, match=case.message):
        await client.stream_with_usage(
            case.messages, case.model, **dict(case.arguments), **listeners(events)
        )
    with pytest.raises(case.error, match=case.message):
        async with client.stream_events(
            case.messages, case.model, **dict(case.arguments)
        ) as stream:
            events += [event async for event in stream]

    assert events == []
    assert transport.requests == []


def test_a_new_provider_without_a_kind_is_refused_when_the_client_is_made() -> None:
    with pytest.raises(UnknownProviderError, match="kind="):
        SteerLLMClient(providers={"mine": ProviderSettings(base_url="http://localhost:1")})
    with pytest.raises(UnknownProviderError, match="vllm"):
        SteerLLMClient(providers={"mine": ProviderSettings(kind="vlm")})


# --- who is asked -----------------------------------------------------------------------------


async def test_provider_decides_and_leaves_the_name_untouched() -> None:
    request = await sent("meta/llama:7b", provider="openai")

    assert request.path == "/v1/chat/completions"
    assert request.model == "meta/llama:7b"


async def test_a_provider_of_ones_own_has_the_ways_of_its_kind() -> None:
    transport = ScriptedProvider("Hello")
    mine = ProviderSettings(
        kind="anthropic",
        base_url="http://localhost:9/base/",
        api_key="secret",
        headers={"X-Mine": "1"},
    )
    client = client_of(transport, mine=mine)

    response = await client.generate("Hi", "mine:model-1")

    (request,) = transport.requests
    assert (request.path, request.model) == ("/base/v1/messages", "model-1")
    assert request.headers["x-api-key"] == "secret"
    assert request.headers["x-mine"] == "1"
    assert (response.provider, response.get_text()) == ("mine", "Hello")


async def test_an_address_of_ones_own_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LoopbackServer(Script(["Hello"])) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url("openai"))
        async with SteerLLMClient() as client:
            response = await client.generate("Hi", MODEL)

    assert response.get_text() == "Hello"
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("model", "header", "expected"),
    [
        (MODEL, "authorization", "Bearer key-o"),
        ("openai-responses:gpt-4o", "authorization", "Bearer key-o"),
        ("claude-sonnet-4-5", "x-api-key", "key-a"),
        ("grok-4", "authorization", "Bearer key-x"),
    ],
)
async def test_each_provider_gets_its_own_key(model: str, header: str, expected: str) -> None:
    request = await sent(model)

    assert request.headers[header] == expected
    keys = {"key-o", "key-a", "key-x"} - {expected.rpartition(" ")[2]}
    assert not any(key in value for key in keys for value in request.headers.values())


# --- what is sent -----------------------------------------------------------------------------

WEATHER = {
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
SCHEMA = WEATHER["parameters"]
FUNCTION = {"type": "function", "function": WEATHER}
CHAT_CHOICE = {"type": "function", "function": {"name": "weather"}}

# By provider: the path, and how each argument arrives; None where it has no spelling there.
SPELLINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": (
        "/v1/chat/completions",
        {
            "system": {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Hi"},
                ]
            },
            "stop": {"stop": ["END"]},
            "seed": {"seed": 7},
            "top_p": {"top_p": 0.5},
            "temperature": {"temperature": 0.25},
            "max_tokens": {"max_completion_tokens": 50},
            "tools": {"tools": [FUNCTION]},
            "tool_choice": {"tool_choice": CHAT_CHOICE},
        },
    ),
    "mistral": (
        "/v1/chat/completions",
        {
            "stop": {"stop": ["END"]},
            "seed": {"random_seed": 7},
            "max_tokens": {"max_tokens": 50},
            "tools": {"tools": [FUNCTION]},
            "tool_choice": {"tool_choice": CHAT_CHOICE},
        },
    ),
    "openai-responses": (
        "/v1/responses",
        {
            "system": {"instructions": "Be brief."},
            "stop": None,
            "seed": None,
            "top_p": {"top_p": 0.5},
            "temperature": {"temperature": 0.25},
            "max_tokens": {"max_output_tokens": 50},
            "tools": {"tools": [{"type": "function", **WEATHER}]},
            "tool_choice": {"tool_choice": {"type": "function", "name": "weather"}},
        },
    ),
    "anthropic": (
        "/v1/messages",
        {
            "system": {"system": "Be brief."},
            "stop": {"stop_sequences": ["END"]},
            "seed": None,
            "top_p": {"top_p": 0.5},
            "temperature": {"temperature": 0.25},
            "max_tokens": {"max_tokens": 50},
            "tools": {
                "tools": [
                    {
                        "name": "weather",
                        "description": "Tells the weather.",
                        "input_schema": SCHEMA,
                    }
                ]
            },
            "tool_choice": {"tool_choice": {"type": "tool", "name": "weather"}},
        },
    ),
    "gemini": (
        "/v1beta/models/m:streamGenerateContent",
        {
            "system": {"systemInstruction": {"parts": [{"text": "Be brief."}]}},
            "stop": {"generationConfig": {"stopSequences": ["END"]}},
            "seed": {"generationConfig": {"seed": 7}},
            "top_p": {"generationConfig": {"topP": 0.5}},
            "temperature": {"generationConfig": {"temperature": 0.25}},
            "max_tokens": {"generationConfig": {"maxOutputTokens": 50}},
            "tools": {
                "tools": [
                    {
                        "functionDeclarations": [
                            {
                                "name": "weather",
                                "description": "Tells the weather.",
                                "parametersJsonSchema": SCHEMA,
                            }
                        ]
                    }
                ]
            },
            "tool_choice": {
                "toolConfig": {
                    "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}
                }
            },
        },
    ),
    "ollama": (
        "/api/chat",
        {
            "stop": {"options": {"stop": ["END"]}},
            "seed": {"options": {"seed": 7}},
            "top_p": {"options": {"top_p": 0.5}},
            "temperature": {"options": {"temperature": 0.25}},
            "max_tokens": {"options": {"num_predict": 50}},
            "tools": {"tools": [FUNCTION]},
            "tool_choice": None,
        },
    ),
}
GIVEN: dict[str, Any] = {
    "system": "Be brief.",
    "stop": "END",
    "seed": 7,
    "top_p": 0.5,
    "temperature": 0.25,
    "max_tokens": 50,
    "tools": [WEATHER],
    "tool_choice": "weather",
}


@pytest.mark.parametrize(
    ("provider", "argument"),
    [(provider, name) for provider, (_, spelled) in SPELLINGS.items() for name in spelled],
)
async def test_an_argument_arrives_in_the_providers_spelling(provider: str, argument: str) -> None:
    path, spellings = SPELLINGS[provider]
    given = {argument: GIVEN[argument]}
    if argument == "tool_choice":
        given["tools"] = GIVEN["tools"]
    expected = spellings[argument]

    if expected is None:
        with pytest.raises(ConfigurationError):
            await sent("m", provider=provider, **given)
        return
    request = await sent("m", provider=provider, **given)

    assert request.path == path
    assert {key: request.json[key] for key in expected} == expected


@pytest.mark.parametrize("provider", SPELLINGS)
async def test_extra_fields_and_headers_go_to_the_provider_unchanged(provider: str) -> None:
    request = await sent(
        "m",
        provider=provider,
        extra_body={"x_new": {"deep": [1, None]}},
        extra_headers={"X-Extra": "yes"},
    )

    assert request.json["x_new"] == {"deep": [1, None]}
    assert request.headers["x-extra"] == "yes"


@pytest.mark.parametrize("provider", SPELLINGS)
async def test_nothing_is_sent_that_was_not_said(provider: str) -> None:
    request = await sent("m", provider=provider)

    unsaid = {"temperature", "top_p", "seed", "stop", "tools", "tool_choice", "system", "options"}
    assert not unsaid & request.json.keys()
    assert "generationConfig" not in request.json


async def test_extra_fields_win_over_the_librarys() -> None:
    request = await sent(temperature=0.1, extra_body={"temperature": 0.9})

    assert request.json["temperature"] == 0.9


async def test_messages_may_be_objects() -> None:
    @dataclass
    class Said:
        role: str
        content: str

    request = await sent(messages=[Said("system", "Be brief."), Said("user", "Hi")])

    assert request.json["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


async def test_usage_is_not_asked_for_where_that_is_not_wanted() -> None:
    request = await sent(streaming_options=StreamingOptions(include_usage=False))

    assert not request.asks_for_usage
    assert (await sent()).asks_for_usage


# --- failures ---------------------------------------------------------------------------------


async def outcome(way: str, options: StreamingOptions, **more: Any) -> str:
    client = client_of(ScriptedProvider(HTTPError(400)))
    try:
        if way == "stream_events":
            async with client.stream_events("Hi", MODEL, streaming_options=options) as stream:
                kinds = [event.type async for event in stream]
            assert kinds == ["start", "error"]
            response = stream.response
        elif way == "stream":
            texts = client.stream("Hi", MODEL, streaming_options=options)
            assert [text async for text in texts] == []
            response = texts.response
        else:
            call = getattr(client, way)
            response = await call("Hi", MODEL, streaming_options=options, **more)
    except InvalidRequestError as error:
        return "raised" if error.partial_response is not None else "raised without a response"
    assert isinstance(response.error, InvalidRequestError)
    assert not response.ok
    return "returned"


@pytest.mark.parametrize("way", ["stream_with_usage", "stream_events", "stream", "generate"])
@pytest.mark.parametrize(
    ("raises", "expected"), [(None, "raised"), (True, "raised"), (False, "returned")]
)
async def test_a_failed_stream_raises_unless_it_is_asked_not_to(
    way: str, raises: bool | None, expected: str
) -> None:
    assert await outcome(way, StreamingOptions(raise_on_error=raises)) == expected


@pytest.mark.parametrize(
    ("raises", "expected"), [(None, "returned"), (True, "raised"), (False, "returned")]
)
async def test_a_listener_for_errors_decides_unless_it_is_overruled(
    raises: bool | None, expected: str
) -> None:
    errors: list[StreamEvent] = []
    options = StreamingOptions(raise_on_error=raises)

    assert await outcome("stream_with_usage", options, on_error=errors.append) == expected
    assert [event.type for event in errors] == ["error"]


# --- cost -------------------------------------------------------------------------------------


async def priced(asked: str, **script: Any) -> StreamingResponse:
    provider = ScriptedProvider(Script(["Hello"], **script))
    return await client_of(provider).generate("Hi", asked)


async def test_the_cost_is_by_the_price_list() -> None:
    pytest.importorskip("genai_prices")
    whole = await priced(MODEL, usage=(1000, 100))
    cached = await priced(MODEL, usage=(1000, 100), cached_tokens=500)

    assert whole.cost_usd == pytest.approx(0.0035)
    assert cached.cost_usd == pytest.approx(0.002875)


async def test_the_model_that_answered_is_the_one_that_is_paid() -> None:
    pytest.importorskip("genai_prices")
    response = await priced(MODEL, usage=(1000, 100), model="gpt-4o-mini")

    assert response.cost_usd == pytest.approx(0.00021)


@pytest.mark.parametrize("model", ["ollama:llama3.2", "openai:gpt-of-my-own"])
async def test_the_cost_of_an_unknown_model_is_not_known(model: str) -> None:
    assert (await priced(model)).cost_usd is None


async def test_without_the_price_list_there_is_no_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    response = await priced(MODEL)
    monkeypatch.setitem(sys.modules, "genai_prices", None)

    assert response.cost_usd is None


def test_a_response_without_usage_has_no_cost() -> None:
    assert StreamingResponse(provider="openai", model=MODEL).cost_usd is None


# --- its life ---------------------------------------------------------------------------------


async def test_closing_the_client_ends_its_streams() -> None:
    async with LoopbackServer(Script(["Hello"], faults=[Stall(1)])) as server:
        settings = ProviderSettings(base_url=server.base_url())
        client = SteerLLMClient(providers={"openai": settings})
        stream = client.stream_events("Hi", MODEL)
        kinds = [(await anext(stream)).type for _ in range(2)]
        await client.close()
        kinds += [event.type async for event in stream]
        await server.wait_for(lambda: server.connections.open == 0)

    assert kinds == ["start", "delta", "usage", "error"]
    assert isinstance(stream.response.error, StreamCancelledError)


# What shows no event, and so not how it ended.
def words_of(client: SteerLLMClient) -> Any:
    return client.stream("Hi", MODEL)


def items_of(client: SteerLLMClient) -> Any:
    return client.stream_items("Hi", int, MODEL)


@pytest.mark.parametrize("view_of", [words_of, items_of])
async def test_whoever_sees_no_events_is_told_that_somebody_else_has_ended_the_stream(
    view_of: Callable[[SteerLLMClient], Any],
) -> None:
    client = SteerLLMClient(
        "k", transport=ScriptedProvider(Script(["[1, ", "2]"], faults=[Stall(1)]))
    )
    view = view_of(client)
    await anext(view)
    await client.close()

    with pytest.raises(StreamCancelledError, match="client was closed"):
        await anext(view)
    assert [each async for each in view] == []  # it is told once


@pytest.mark.parametrize("leave", ["cancel", "aclose", "async with"])
@pytest.mark.parametrize("view_of", [words_of, items_of])
async def test_whoever_ends_a_stream_is_not_told_of_it(
    view_of: Callable[[SteerLLMClient], Any], leave: str
) -> None:
    provider = ScriptedProvider(Script(["[1, ", "2]"], faults=[Stall(1)]))
    async with SteerLLMClient("k", transport=provider) as client:
        view = view_of(client)
        if leave == "async with":
            async with view:
                await anext(view)
        else:
            await anext(view)
            done = getattr(view, leave)()
            if done is not None:
                await done

        assert [each async for each in view] == []


async def test_where_errors_are_not_raised_a_cut_stream_ends() -> None:
    provider = ScriptedProvider(Script(["Hello", " world"], faults=[Stall(1)]))
    client = SteerLLMClient("k", transport=provider)
    options = StreamingOptions(raise_on_error=False)
    texts = client.stream("Hi", MODEL, streaming_options=options)
    await anext(texts)
    await client.close()

    assert [text async for text in texts] == []
    assert isinstance(texts.response.error, StreamCancelledError)


async def test_a_closed_client_may_be_used_again() -> None:
    async with LoopbackServer(Script(["Hello"])) as server:
        client = SteerLLMClient(providers={"openai": ProviderSettings(base_url=server.base_url())})
        for _ in range(2):
            assert (await client.generate("Hi", MODEL)).get_text() == "Hello"
            await client.close()

        assert server.connections.opened == 2


async def test_streams_that_begin_at_once_share_one_pool() -> None:
    async with LoopbackServer(Script(["Hello"])) as server:
        client = SteerLLMClient(providers={"openai": ProviderSettings(base_url=server.base_url())})
        await asyncio.gather(*(client.generate("Hi", MODEL) for _ in range(5)))

        assert len(client._pools) == 1
        await client.close()
        await server.wait_for(lambda: server.connections.open == 0)


def run(program: str, server: LoopbackServer) -> tuple[int, str, str]:
    # asyncio's debug mode tells of every step above 0.1 s: a busy machine makes that of any.
    begin = f"""
import asyncio, logging
from steer_llm_sdk import ProviderSettings, SteerLLMClient
logging.getLogger("asyncio").setLevel(logging.ERROR)
settings = ProviderSettings(api_key="x", base_url={server.base_url()!r})
client = SteerLLMClient(providers={{"openai": settings}})
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", begin + program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


PROGRAMS = {
    "three loops": """
async def main():
    responses = await asyncio.gather(*(client.generate("Hi", "gpt-4o") for _ in range(3)))
    print(*{response.get_text() for response in responses})
for _ in range(3):
    asyncio.run(main())
""",
    "never used": """
print("Hello\\nHello\\nHello")
""",
    "a loop of one's own": """
loop = asyncio.new_event_loop()
for _ in range(3):
    print(loop.run_until_complete(client.generate("Hi", "gpt-4o")).get_text())
loop.run_until_complete(loop.shutdown_asyncgens())
loop.run_until_complete(loop.shutdown_default_executor())
loop.close()
""",
    "closed": """
async def main():
    async with client:
        for _ in range(3):
            print((await client.generate("Hi", "gpt-4o")).get_text())
asyncio.run(main())
""",
    "cancelled": """
async def main():
    task = asyncio.create_task(client.generate("Hi", "gpt-4o"))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("Hello")
for _ in range(3):
    asyncio.run(main())
""",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_client_says_nothing_at_exit(program: str) -> None:
    with LoopbackServer(Script(["Hello"])).in_thread() as server:
        done = run(program, server)
        server.wait_until(lambda: server.connections.open == 0)

    assert done == (0, "Hello\n" * 3, "")


def test_items_need_a_type_that_can_be_read() -> None:
    assert read_item_type(int) is not None
    with pytest.raises(ConfigurationError):
        client_of(ScriptedProvider()).stream_items("Hi", object(), MODEL)


@pytest.mark.parametrize("make", [SteerLLMClient, SyncSteerLLMClient])
def test_a_copy_of_a_client_is_the_client(make: Any) -> None:
    client = make(MODEL)

    assert copy.copy(client) is client
    assert copy.deepcopy({"of": [client]}) == {"of": [client]}
    with pytest.raises(TypeError, match=f"{make.__name__}: it holds connections and keys"):
        pickle.dumps(client)


async def test_any_text_of_a_call_may_be_a_member_of_an_enum() -> None:
    """Such a member has other words where it is formatted: ``Told.TENANT``."""

    class Told(str, enum.Enum):  # noqa: UP042 - its `str` is another than that of a `StrEnum`
        MINE = "mine"
        TENANT = "acme"
        SECOND = "mine:second"
        KIND = "vllm"

    async with LoopbackServer([HTTPError(400), Script(["Hello"])]) as server:
        settings = ProviderSettings(
            kind=Told.KIND,
            base_url=server.base_url("openai"),
            headers={"x-setting": Told.TENANT},
        )
        async with SteerLLMClient(providers={Told.MINE: settings}) as client:
            response = await client.generate(
                "Hi",
                "first",
                provider=Told.MINE,
                request_id=Told.TENANT,
                extra_headers={"x-call": Told.TENANT},
                streaming_options=StreamingOptions(fallback_models=[Told.SECOND]),
            )

    told = [response.provider, response.model, response.request_id]
    assert [f"{each}" for each in told] == ["mine", "second", "acme"]
    for request in server.requests:
        assert request.headers["x-setting"] == request.headers["x-call"] == "acme"


async def test_a_model_may_be_a_member_of_an_enum() -> None:
    class Model(str, enum.Enum):  # noqa: UP042 - its `str` is another than that of a `StrEnum`
        SMALL = "gpt-4o-mini"

    class Newer(enum.StrEnum):
        SMALL = "gpt-4o-mini"

    for model in (Model.SMALL, Newer.SMALL):
        provider = ScriptedProvider("Hi")
        response = await client_of(provider).generate("?", model)

        assert provider.requests[0].json["model"] == "gpt-4o-mini"
        assert type(response.model) is str
