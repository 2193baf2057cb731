from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from steer_llm_sdk.cli.asking import Question
from steer_llm_sdk.cli.compare import Column, side_by_side
from steer_llm_sdk.cli.main import main
from steer_llm_sdk.cli.prompt import ModelChoice
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.testing import LoopbackServer, RecordedRequest, Script

Serve = Callable[..., LoopbackServer]
Captured = pytest.CaptureFixture[str]


def by_model(request: RecordedRequest) -> Script:
    return Script([f"I am {request.json['model']}."])


def test_each_model_answers_under_its_name(serve: Serve, capsys: Captured) -> None:
    server = serve(by_model)

    code = main(["compare", "who?", "-m", "openai:small", "-m", "openai:large", "-s", "Be brief."])
    out = capsys.readouterr().out
    assert code == 0
    assert out.index("== openai:small\nI am small.") < out.index("== openai:large\nI am large.")
    assert out.count("time to first token") == 2
    assert {request.json["messages"][0]["content"] for request in server.requests} == {"Be brief."}


def test_one_that_fails_keeps_no_other_from_answering(serve: Serve, capsys: Captured) -> None:
    serve(by_model)

    assert main(["compare", "who?", "-m", "openai:small", "-m", "anthropic:large"]) == 1
    out = capsys.readouterr().out
    assert "I am small." in out
    assert "Error: anthropic: no API key" in out


@pytest.mark.parametrize("models", [[], ["-m", "openai:small"]])
def test_fewer_than_two_are_nothing_to_compare(capsys: Captured, models: list[str]) -> None:
    assert main(["compare", "who?", *models]) == 1
    assert "expected -m twice or more" in capsys.readouterr().err


@pytest.mark.parametrize("width", [40, 160])
def test_columns_stand_side_by_side(width: int) -> None:
    rich = pytest.importorskip("rich.console")
    columns = [
        Column(Question(ModelChoice(name), {}), StreamingResponse(text=f"said by {name}"))
        for name in ("small", "large")
    ]
    columns[1].error = "it broke"

    console = rich.Console(file=io.StringIO(), width=width)
    console.print(side_by_side(columns))
    text = console.file.getvalue()
    first = next(line for line in text.splitlines() if "said by" in line)
    assert "small" in first
    assert "large" in first
    assert "Error: it" in text
    assert max(map(len, text.splitlines())) <= width
