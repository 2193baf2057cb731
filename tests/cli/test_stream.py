from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from steer_llm_sdk.cli.main import main
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.testing import HTTPError, LoopbackServer, Script, ScriptedToolCall

Serve = Callable[..., LoopbackServer]
Captured = pytest.CaptureFixture[str]
MODEL = ("-m", "openai:gpt-4o")


def test_bare_words_are_a_prompt(serve: Serve, capsys: Captured) -> None:
    server = serve(Script(["Hi"]))

    assert main(["tell", "me", *MODEL, "a", "story"]) == 0
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "tell me a story"}]
    assert capsys.readouterr().out == "Hi\n"


@pytest.mark.parametrize(
    ("words", "prompt"),
    [
        ([*MODEL, "--", "--help"], "--help"),
        ([*MODEL, "--", "-m=x", "is", "an", "option"], "-m=x is an option"),
        ([*MODEL, "what", "is", "--", "--events"], "what is --events"),
        (["stream", *MODEL, "--", "a", "--", "b"], "a -- b"),
        ([*MODEL, "--", "stats"], "stats"),
    ],
)
def test_words_behind_two_dashes_are_the_prompt(
    words: list[str], prompt: str, serve: Serve
) -> None:
    server = serve(Script(["Hi"]))

    assert main(words) == 0
    assert server.requests[0].json["messages"] == [{"role": "user", "content": prompt}]


def test_options_reach_the_provider(serve: Serve) -> None:
    server = serve(Script())

    main([*MODEL, "hello", "-o", "temperature=0.25", "-o", "top_k=3", "-s", "Be brief."])

    body = server.requests[0].json
    assert (body["temperature"], body["top_k"]) == (0.25, 3)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_schema_is_asked_for_and_checked(serve: Serve, capsys: Captured) -> None:
    server = serve([Script(['{"age": 3}']), Script(['{"age": "old"}'])])
    ask = [*MODEL, "hello", "--schema", "age:int"]

    assert main(ask) == 0
    assert json.loads(capsys.readouterr().out) == {"age": 3}
    assert server.requests[0].json["response_format"]["type"] == "json_schema"
    assert main(ask) == 1
    assert "Error: " in capsys.readouterr().err


def test_json_is_the_whole_response(serve: Serve, capsys: Captured) -> None:
    serve(Script(["Hello"], reasoning=["hm"]))

    assert main([*MODEL, "hello", "--json"]) == 0
    stored = json.loads(capsys.readouterr().out)
    response = StreamingResponse.from_dict(stored)
    assert (response.get_text(), response.reasoning) == ("Hello", "hm")


def test_events_as_json_are_one_line_each(serve: Serve, capsys: Captured) -> None:
    serve(Script(["one\n", "two"]))

    main([*MODEL, "hello", "--events=json"])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["type"] for event in events] == ["start", "delta", "delta", "usage", "complete"]
    assert [event["sequence"] for event in events] == [0, 1, 2, 3, 4]


def test_events_before_a_prompt_take_no_word_of_it(serve: Serve, capsys: Captured) -> None:
    server = serve(Script())

    main(["--events", "hello", *MODEL])
    assert server.requests[0].json["messages"][0]["content"] == "hello"
    assert capsys.readouterr().out.split()[1] == "start"


def test_reasoning_is_aside_or_hidden(serve: Serve, capsys: Captured) -> None:
    serve(Script(["Yes"], reasoning=["let me think"]))

    main([*MODEL, "hello"])
    out, err = capsys.readouterr()
    assert (out, "let me think" in err) == ("Yes\n", True)
    main([*MODEL, "hello", "-R"])
    out, err = capsys.readouterr()
    assert (out, "let me think" in err) == ("Yes\n", False)


def test_quiet_is_the_answer_alone(serve: Serve, capsys: Captured) -> None:
    serve(Script(["Yes"], finish="length"))

    main([*MODEL, "hello", "-q"])
    assert capsys.readouterr() == ("Yes\n", "")


def test_a_cut_answer_is_said_to_be(serve: Serve, capsys: Captured) -> None:
    serve([Script(["Yes"], usage=(9, 4), finish="length"), Script(["Yes"])])

    main([*MODEL, "hello"])
    assert "The answer was cut, after 4 tokens" in capsys.readouterr().err
    main([*MODEL, "hello"])
    assert "cut" not in capsys.readouterr().err


def test_a_conversation_goes_on(serve: Serve, capsys: Captured) -> None:
    server = serve([Script(["I am Ada."]), Script(["Ada."])])
    main([*MODEL, "Who", "are", "you?"])

    main(["-c", "Your", "name?"])  # the model of the last answer

    messages = server.requests[1].json["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert [message["content"] for message in messages] == [
        "Who are you?",
        "I am Ada.",
        "Your name?",
    ]


@pytest.mark.usefixtures("shell")
def test_nothing_is_kept_where_that_is_asked(serve: Serve, capsys: Captured) -> None:
    serve(Script())
    main([*MODEL, "hello", "-n"])

    assert main(["-c", "again"]) == 1
    assert "-c: there is no conversation yet" in capsys.readouterr().err


def test_a_question_that_failed_is_not_kept(serve: Serve, capsys: Captured) -> None:
    serve(HTTPError(400))
    main([*MODEL, "hello"])

    assert main(["-c", "again"]) == 1
    assert "there is no conversation yet" in capsys.readouterr().err


def test_functions_are_run_for_the_model(
    serve: Serve, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weather_of_a_test.py").write_text(
        'def rain(city: str) -> str:\n    "Whether it rains."\n    return f"sunny in {city}"\n'
    )
    monkeypatch.chdir(tmp_path)
    call = ScriptedToolCall("rain", {"city": "Ulm"})
    server = serve([Script([], tool_calls=[call]), Script(["No rain."]), Script(["Yes."])])

    assert main([*MODEL, "Rain in Ulm?", "--tools", "weather_of_a_test:rain"]) == 0
    out, err = capsys.readouterr()
    assert out == "No rain.\n"
    assert "sunny in Ulm" in err
    assert server.requests[0].json["tools"][0]["function"]["name"] == "rain"
    main(["-c", "Sure?"])
    roles = [message["role"] for message in server.requests[2].json["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("json", "expected module:function, found 'json'"),
        ("absent_module:f", "'absent_module' cannot be imported"),
        ("json:dump,nothing", "json has no function 'nothing'; it has detect_encoding, dump"),
    ],
)
def test_functions_that_are_not_there_are_named(
    serve: Serve, capsys: Captured, name: str, reason: str
) -> None:
    serve(Script())

    assert main([*MODEL, "hello", "--tools", name]) == 1
    assert reason in capsys.readouterr().err
