"""Events as they are stored: both roads give the same, and what is read is what was written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.journal.codec import decode_event, delta_fields, encode_event
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from support.web_sources import SHAPES

EVENTS = [event for events in SHAPES.values() for event in events]

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("event", EVENTS, ids=range(len(EVENTS)))
def test_what_is_read_is_what_was_written(event: StreamEvent) -> None:
    read = decode_event(encode_event(event))

    assert read == event
    assert type(read) is type(event)


@pytest.mark.parametrize("event", EVENTS, ids=range(len(EVENTS)))
def test_it_is_what_to_json_writes(event: StreamEvent) -> None:
    assert json.loads(encode_event(event)) == json.loads(event.to_json())


@given(delta=st.text() | st.dictionaries(st.text(), _JSON), number=st.integers(0, 2**40))
def test_both_roads_of_a_delta_give_the_same(delta: Any, number: int) -> None:
    event = StreamDeltaEvent(
        delta=delta, chunk_index=number, sequence=number, is_json=bool(number % 2), part=number
    )

    assert json.loads(encode_event(event)) == json.loads(event.to_json())
    assert json.loads(b'{"type":"delta",' + (delta_fields(event) or b"}")) == event.to_dict()
    assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize("strange", [b"bytes", {1, 2}, object])
def test_what_json_has_no_word_for_is_written_as_what_comes_nearest(strange: Any) -> None:
    event = StreamDeltaEvent(delta={"type": "own", "value": strange})

    assert json.loads(encode_event(event)) == json.loads(event.to_json())


def test_fields_of_a_newer_version_are_passed_over() -> None:
    stored = json.dumps({"type": "delta", "delta": "x", "hue": "red", "version": 2})

    assert decode_event(stored) == StreamDeltaEvent(delta="x")
