"""What a caller passes for JSON becomes plain dicts and lists, and a copy."""

from __future__ import annotations

from collections import ChainMap, OrderedDict, UserDict, UserList
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.plain_json import plain_json, plain_mapping

MAPPINGS = (dict, MappingProxyType, UserDict, OrderedDict, ChainMap)
SEQUENCES = (list, tuple, UserList)

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: (
        st.builds(lambda make, items: make(items), st.sampled_from(SEQUENCES), st.lists(inner))
        | st.builds(
            lambda make, items: make(items),
            st.sampled_from(MAPPINGS),
            st.dictionaries(st.text(max_size=3), inner),
        )
    ),
    max_leaves=15,
)


def is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(map(is_plain, value.values()))
    if type(value) is list:
        return all(map(is_plain, value))
    return value is None or type(value) in {str, int, bool}


@given(values)
def test_any_mappings_and_sequences_become_what_json_knows(value: Any) -> None:
    plain = plain_json(value, "it")

    assert is_plain(plain)
    assert msgspec.json.decode(msgspec.json.encode(plain)) == plain


def test_it_is_a_copy_all_the_way_down() -> None:
    inner = {"a": [1]}
    given = {"inner": inner}

    plain = plain_mapping(given, "it")
    inner["a"].append(2)

    assert plain == {"inner": {"a": [1]}}


def test_what_is_neither_is_left_as_it_is() -> None:
    value = object()

    assert plain_json([value, b"bytes"], "it") == [value, b"bytes"]


def test_what_holds_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless

    with pytest.raises(ConfigurationError, match=r"^tools\[0\]: it is nested too deeply"):
        plain_json(endless, "tools[0]")
