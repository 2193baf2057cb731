"""What the command line does not understand, and what it takes a clumsy line for."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator

import pytest

from steer_llm_sdk.cli.counts import at_least_0, objective
from steer_llm_sdk.cli.main import _with_command, main, make_parser, parse
from steer_llm_sdk.cli.streams import show_warnings
from steer_llm_sdk.testing import LoopbackServer, Script

Captured = pytest.CaptureFixture[str]
Serve = Callable[..., LoopbackServer]


@pytest.fixture
def kept_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        yield


def left(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


def test_wrong_usage_is_told_in_two_lines(capsys: Captured) -> None:
    assert left("hi", "--modle", "x") == 2

    usage, error = capsys.readouterr().err.splitlines()
    assert usage == "usage: steer stream [OPTIONS] [PROMPT ...]"
    assert error == (
        "Error: unrecognized arguments: --modle; did you mean --model? "
        "(`steer stream --help` tells more)"
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("hi --modle=x there", "--modle=x; did you mean --model?"),
        ("stream --modle x hi", "--modle; did you mean --model?"),
        ("chat --zzz 3 you", "--zzz (`"),
        ("chat hello you", "hello you (`"),
        ("local serve --zzz 1", "--zzz (`"),
        ("local serve --prot 8080", "--prot; did you mean --port?"),
        ("--verison", "--verison; did you mean --version?"),
        ("--modle", "--modle; did you mean --model?"),
    ],
)
def test_unknown_options_are_told_without_what_may_be_their_values(
    capsys: Captured, line: str, told: str
) -> None:
    assert left(*line.split()) == 2
    assert f"Error: unrecognized arguments: {told}" in capsys.readouterr().err


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser, and those of its commands, however deep."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from parsers(command)


OPTIONS = [
    (parser.prog, option)
    for parser in parsers(make_parser())
    for option in parser._option_string_actions
    if option.startswith("--")
]
# What must be there besides, or else that is told first.
NEEDED = {"batch": "-O a.jsonl p.jsonl", "record": "a.jsonl", "replay": "a.jsonl", "local": "pull"}


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_every_option_of_every_command_is_found_by_a_slip_of_the_pen(
    capsys: Captured, command: str, option: str
) -> None:
    slip = option[:-2] + option[-1] + option[-2]
    words = command.split()[1:]

    assert left(*words, slip, *NEEDED.get(" ".join(words), "").split()) == 2
    usage, error = capsys.readouterr().err.splitlines()
    assert usage.startswith(f"usage: {command} [OPTIONS]")
    assert error == (
        f"Error: unrecognized arguments: {slip}; did you mean {option}? "
        f"(`{command} --help` tells more)"
    )


def test_an_option_alone_is_a_prompts_if_there_is_such_a_one() -> None:
    for command, option in OPTIONS:
        if command == "steer stream" and option != "--help":
            assert _with_command([option], make_parser())[0] == "stream"


def test_the_usage_of_a_refusal_has_what_is_needed(capsys: Captured) -> None:
    left("batch", "prompts.jsonl")

    assert "[OPTIONS] -O ANSWERS.jsonl PROMPTS.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["--zzz", "-v"])
def test_an_option_that_is_like_no_other_gets_no_advice(capsys: Captured, word: str) -> None:
    assert left("hi", word) == 2
    assert "did you mean" not in capsys.readouterr().err


def test_nothing_at_all_shows_what_there_is(capsys: Captured) -> None:
    assert left() == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert "put a load on a model" in err
    assert err.endswith("Error: expected a command, or a prompt; found nothing\n")


def test_help_and_version_as_words_are_what_they_say(capsys: Captured) -> None:
    assert left("help") == 0
    assert "usage: steer" in capsys.readouterr().out
    assert left("help", "chat") == 0
    assert "usage: steer chat" in capsys.readouterr().out
    assert left("version") == 0
    assert capsys.readouterr().out.startswith("steer-llm-sdk ")


def test_every_command_has_its_line_on_a_terminal_of_80_columns(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    left("-V")
    assert capsys.readouterr().out.startswith("steer-llm-sdk ")
    left("help")
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["providers", "list"] in [line[:2] for line in words]


def test_more_words_than_these_are_a_prompt() -> None:
    assert parse(["help", "me"]).prompt == ["help", "me"]
    assert parse(["version", "control"]).prompt == ["version", "control"]


@pytest.mark.parametrize("word", ["pull", "serve"])
def test_a_command_of_local_is_told_where_it_is(capsys: Captured, word: str) -> None:
    assert left(word) == 2
    assert f"did you mean 'local {word}'?" in capsys.readouterr().err


@pytest.mark.parametrize(("word", "meant"), [("serv", "serve"), ("pul", "pull")])
def test_a_command_within_a_command_is_found_by_a_slip_of_the_pen(
    capsys: Captured, word: str, meant: str
) -> None:
    assert left("local", word) == 2
    assert f"{word!r} is no command: did you mean {meant!r}?" in capsys.readouterr().err


def test_the_kind_of_events_may_be_the_last_word() -> None:
    assert parse(["hi", "--events", "json"]).events == "json"
    assert parse(["--events", "json", "schema"]).events == "lines"
    assert parse(["--events", "json", "schema"]).prompt == ["json", "schema"]


@pytest.mark.parametrize("text", ["hot", "-1", "nan", "inf", ""])
def test_a_number_of_at_least_0_is_one(text: str) -> None:
    assert at_least_0("0.5") == 0.5
    with pytest.raises(argparse.ArgumentTypeError, match="expected a number of at least 0"):
        at_least_0(text)


@pytest.mark.parametrize("text", ["ttft=nan", "ttft=0", "ttft=-1", "ttft=inf", "ttft", "ttft=1,"])
def test_an_objective_is_a_number_of_seconds(text: str) -> None:
    assert objective("ttft=1,e2e=2.5") == {"ttft": 1.0, "e2e": 2.5}
    with pytest.raises(argparse.ArgumentTypeError, match="SECONDS, found"):
        objective(text)


@pytest.mark.usefixtures("kept_warnings")
def test_a_warning_is_one_line(capsys: Captured) -> None:
    warnings.simplefilter("always")

    show_warnings()
    warnings.warn("plain http to somewhere", stacklevel=1)
    assert capsys.readouterr().err == "Warning: plain http to somewhere\n"


def test_a_chat_with_nobody_is_refused_at_once(serve: Serve, capsys: Captured) -> None:
    serve(Script())

    assert main(["chat", "-m", "nonsense"]) == 1
    assert "'nonsense' does not say which provider" in capsys.readouterr().err
