"""Errors as values: every class of the tree is copied, pickled and stored with all its fields."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from steer_llm_sdk import errors
from steer_llm_sdk.errors import (
    ConnectionLostError,
    InvalidJSONError,
    ProviderError,
    RateLimitError,
    SchemaError,
    SteerError,
)
from steer_llm_sdk.models.responses import StreamingResponse


def tree(kind: type[SteerError] = SteerError) -> Iterator[type[SteerError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from tree(below)


VALUES: dict[str, Any] = {
    "status": 429,
    "code": "slow_down",
    "provider": "openai",
    "request_id": "req_1",
    "retry_after": 7.5,
    "body": '{"error": "slow"}',
    "limit": "idle_timeout",
    "seconds": 300.0,
    "text": '{"a": ',
    "position": 6,
    "path": "$.a",
    "reason": "expected a number",
    "budget": "budget_tokens",
    "spent": 7.5,
}


def whole(kind: type[SteerError]) -> SteerError:
    """An error of this class with a value in each of its fields, none of them the default."""
    taken = inspect.signature(kind).parameters.keys() - {"message", "is_retryable"}
    error = kind("it went wrong", **{name: VALUES[name] for name in taken})
    error.is_retryable = not kind.is_retryable
    error.add_note("while testing")
    return error


def by_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


WAYS = [copy.copy, copy.deepcopy, by_pickle]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", list(tree()))
def test_an_error_is_copied_with_all_its_fields(
    kind: type[SteerError], way: Callable[[Any], Any]
) -> None:
    error = whole(kind)

    copied = way(error)

    assert copied is not error
    assert type(copied) is kind
    assert (str(copied), copied.args, vars(copied)) == (str(error), error.args, vars(error))
    assert copied == error
    assert hash(copied) == hash(error)


@pytest.mark.parametrize("kind", list(tree()))
def test_a_stored_error_comes_back_as_its_class(kind: type[SteerError]) -> None:
    error = whole(kind)

    stored = json.loads(error.to_json())
    back = SteerError.from_dict(stored)

    assert stored.items() >= {"type": kind.__name__, "message": "it went wrong"}.items()
    assert stored == error.to_dict() | {"version": 1}
    assert type(back) is kind
    assert back == error
    assert back.is_retryable is error.is_retryable is not kind.is_retryable


@pytest.mark.parametrize("kind", list(tree()))
def test_an_error_that_was_stored_before_it_had_fields_has_their_defaults(
    kind: type[SteerError],
) -> None:
    back = SteerError.from_dict({"type": kind.__name__, "message": "old"})

    fresh = kind("old")
    assert (type(back), str(back), back.is_retryable) == (kind, "old", fresh.is_retryable)
    assert {name: getattr(back, name) for name in vars(fresh)} == vars(fresh)


def test_an_error_of_an_unknown_class_keeps_what_was_stored() -> None:
    stored = {"type": "QuantumError", "message": "flux", "is_retryable": True, "qubits": [1, 2]}

    back = SteerError.from_dict(stored | {"version": 7})

    assert type(back) is SteerError
    assert (str(back), back.is_retryable) == ("flux", True)
    assert back.to_dict() == stored
    assert by_pickle(back).to_dict() == stored


def test_a_stored_key_hides_no_method_and_no_argument() -> None:
    back = SteerError.from_dict({"message": "x", "to_dict": 1, "args": 2, "_class_name": 3})

    assert type(back) is SteerError
    assert back.args == ("x",)
    assert back.to_dict() == {"type": "SteerError", "message": "x", "is_retryable": False}


class OwnError(SteerError):
    """Of somebody's program, with arguments of its own."""

    def __init__(self, place: str, when: int) -> None:
        super().__init__(f"{place} at {when}")
        self.place = place


def test_an_error_of_ones_own_comes_back_too() -> None:
    error = OwnError("here", 5)

    for back in (by_pickle(error), SteerError.from_dict(error.to_dict())):
        assert type(back) is OwnError
        assert (str(back), back.place) == ("here at 5", "here")


def test_errors_are_equal_when_their_dicts_are() -> None:
    error = ProviderError("no", status=500)

    assert error == ProviderError("no", status=500)
    assert error != ProviderError("no", status=502)
    assert error != ProviderError("yes", status=500)
    assert error != RateLimitError("no", status=500)
    assert error != "no"
    assert len({error, ProviderError("no", status=500)}) == 1


def test_errors_of_two_classes_with_one_name_differ() -> None:
    one, other = (type("OwnError", (SteerError,), {})("no") for _ in range(2))

    assert one.to_dict() == other.to_dict()
    assert one != other


@pytest.mark.parametrize("way", WAYS)
def test_what_had_arrived_is_copied_with_the_error(way: Callable[[Any], Any]) -> None:
    error = ConnectionLostError("gone")
    error.partial_response = StreamingResponse(text="Hel", error=error, is_finished=True)

    copied = way(error)

    assert copied.partial_response.get_text() == "Hel"
    assert copied.partial_response == error.partial_response
    assert "partial_response" not in error.to_dict()


def test_the_dict_holds_what_json_can_hold() -> None:
    error = SchemaError("bad", text="x", path="$.a", reason="no")
    error.extra = {"at": {1, 2}, 3: b"\x00"}  # type: ignore[attr-defined]

    assert json.loads(error.to_json())["extra"] == {"at": [1, 2], "3": "AA=="}


def test_an_exception_of_somebody_elses_is_told_by_its_name() -> None:
    assert errors.error_as_dict(KeyError("k")) == {
        "type": "KeyError", "message": "'k'", "is_retryable": False,
    }  # fmt: skip
    assert errors.error_as_dict({"type": "X"}) == {"type": "X"}


def test_half_a_character_can_be_stored() -> None:
    error = InvalidJSONError("bad", text="half \ud83c")

    stored = error.to_json()

    assert stored.isascii()
    assert SteerError.from_dict(json.loads(stored)) == error
