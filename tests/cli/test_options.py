from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk.cli.options import read_options, read_schema
from steer_llm_sdk.errors import ConfigurationError


def schema_of(text: str) -> dict[str, Any]:
    schema: dict[str, Any] = read_schema(text)["json_schema"]["schema"]
    return schema


def test_values_are_json_where_they_are_some() -> None:
    found = read_options(["temperature=0.5", "stop=END", 'stop=["a","b"]', "seed=7"])

    assert found == {"temperature": 0.5, "stop": ["a", "b"], "seed": 7}


def test_what_only_the_provider_knows_goes_into_the_body() -> None:
    found = read_options(["top_k=5", "min_p=0.1", "provider=ollama", "name=a=b"])

    assert found == {"provider": "ollama", "extra_body": {"top_k": 5, "min_p": 0.1, "name": "a=b"}}


@pytest.mark.parametrize("pair", ["temperature", "=1", " =1", ""])
def test_what_is_no_pair_is_refused_with_what_was_found(pair: str) -> None:
    with pytest.raises(ConfigurationError, match="-o: expected key=value, found " + repr(pair)):
        read_options([pair])


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("temprature=1", "'temprature' is no option: did you mean 'temperature'"),
        ("max_token=5", "did you mean 'max_tokens'"),
        ("model=gpt-4o", "'model' is said by -m"),
        ("response_format=json", "'response_format' is said by --schema"),
        ("api_key=sk-x", "'api_key' is said by the provider's variable"),
        ("base_url=http://x", "'base_url' is said by the provider's variable, such as OPENAI_BASE"),
        ("total_timeout=5", "'total_timeout' is no option of a model; only programs can say it"),
        ("max_retries=0", "'max_retries' is no option of a model"),
    ],
)
def test_a_slip_of_the_pen_does_not_go_to_the_provider(pair: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_options([pair])


def test_fields_make_a_schema() -> None:
    schema = schema_of("name, age:int, height : float, alive:bool, tags:str[]")

    assert schema["properties"] == {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "height": {"type": "number"},
        "alive": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
    }
    assert schema["required"] == ["name", "age", "height", "alive", "tags"]
    assert schema["additionalProperties"] is False


def test_a_file_and_json_itself_are_schemas(tmp_path: Path) -> None:
    wanted = {"title": "city", "type": "object", "properties": {}}
    path = tmp_path / "city.json"
    path.write_text(json.dumps(wanted))

    assert schema_of(str(path)) == schema_of(json.dumps(wanted)) == wanted
    assert read_schema(str(path))["json_schema"]["name"] == "city"
    path.write_text(json.dumps(wanted), "utf-16")  # as PowerShell writes it
    assert schema_of(str(path)) == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name:strr", "found 'name:strr'"),
        ("a b", "found 'a b'"),
        ("name,,age", "found ''"),
        ("absent.json", "absent.json cannot be read: No such file"),
        ("{not json", "it is not JSON"),
    ],
)
def test_a_schema_that_is_none_is_named(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        read_schema(text)


def test_a_file_without_an_object_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text("[1]")

    with pytest.raises(ConfigurationError, match=r"expected an object, found '\[1\]'"):
        read_schema(str(path))
