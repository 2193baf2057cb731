from __future__ import annotations

import pytest

from steer_llm_sdk.errors import ConfigurationError, ProtocolError
from steer_llm_sdk.models.messages import ToolCall
from steer_llm_sdk.providers.call_arguments import arguments_object, arguments_text


def test_arguments_are_written_with_sorted_keys_and_their_own_letters() -> None:
    assert arguments_text({"b": [1, None], "a": "ü"}, "p") == '{"a": "ü", "b": [1, null]}'


def test_arguments_nested_too_deeply_are_a_protocol_error() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]

    with pytest.raises(ProtocolError, match="p: the arguments of a function call are nested"):
        arguments_text(nested, "p")


def test_no_arguments_are_an_empty_object() -> None:
    assert arguments_object(ToolCall("c1", "f", ""), "p") == {}


@pytest.mark.parametrize("text", ["1", "{", "[" * 100_000])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="the call of 'f' to be a JSON object"):
        arguments_object(ToolCall("c1", "f", text), "p")
