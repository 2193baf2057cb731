"""What is generic in the type of an answer may be a field of pydantic models, parameter and all."""

from __future__ import annotations

import pickle
from typing import Any, Generic, TypeVar, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from steer_llm_sdk import RateLimitError, RunResult, StreamingResponse
from steer_llm_sdk.models.bulk import PromptResult

_Shape = TypeVar("_Shape")


class City(BaseModel):
    name: str


class Keeping(StreamingResponse[_Shape]):
    """As somebody may write it who has methods to add."""


class Page(BaseModel, Generic[_Shape]):
    answer: StreamingResponse[_Shape] | None = None


ANSWER: StreamingResponse[Any] = StreamingResponse.from_dict(
    {
        "text": '{"name": "Rome"}',
        "json": {"name": "Rome"},
        "metrics": {"chunks": 3},
        "parts": [{"type": "text", "text": '{"name": "Rome"}'}],
        "is_finished": True,
    }
)
FAILED = RateLimitError("slow", retry_after=7.0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (StreamingResponse[City], ANSWER),
        (StreamingResponse[dict[str, Any]], ANSWER),
        (list[StreamingResponse[City]], [ANSWER]),
        (Keeping[City], Keeping.from_dict(ANSWER.to_dict())),
        (Page[City], Page[City](answer=ANSWER)),
        (RunResult, RunResult(responses=[ANSWER], messages=[{"role": "user", "content": "?"}])),
        (RunResult[City], RunResult(responses=[ANSWER], error=FAILED)),
        (PromptResult, PromptResult(index=1, response=ANSWER)),
        (PromptResult[City], PromptResult(index=1, error=FAILED)),
    ],
    ids=str,
)
def test_pydantic_writes_and_reads_what_is_generic(kind: Any, value: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    assert adapter.validate_python(value) == value
    assert adapter.validate_json(adapter.dump_json(value)) == value
    assert adapter.json_schema(mode="serialization")


def test_an_answer_is_written_alike_with_a_parameter_and_without() -> None:
    plain, generic = TypeAdapter(StreamingResponse), TypeAdapter(StreamingResponse[City])

    assert generic.dump_python(ANSWER) == plain.dump_python(ANSWER) == ANSWER.to_dict()
    assert generic.json_schema() == plain.json_schema()


@pytest.mark.parametrize(
    "part", ["x", None, {"type": "text", "text": 5}, {"type": "text", "citations": {}}, {}]
)
def test_what_is_no_part_of_an_answer_is_refused_as_pydantic_refuses(part: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(StreamingResponse).validate_python({"text": "a", "parts": [part]})


def test_the_parameter_can_be_read_as_of_any_generic_class() -> None:
    kind = StreamingResponse[City]

    assert (get_origin(kind), get_args(kind)) == (StreamingResponse, (City,))
    assert pickle.loads(pickle.dumps(kind)) == kind
    assert kind(text="Hi").text == "Hi"
    with pytest.raises(TypeError, match="Too many"):
        StreamingResponse[int, str]  # type: ignore[misc]
