"""The five events: what they hold, and what stands in a delta."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from steer_llm_sdk.errors import OverloadedError
from steer_llm_sdk.models import events
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)

CLASSES = {
    "start": StreamStartEvent,
    "delta": StreamDeltaEvent,
    "usage": StreamUsageEvent,
    "complete": StreamCompleteEvent,
    "error": StreamErrorEvent,
}


def test_a_star_import_brings_all_events() -> None:
    assert set(events.__all__) == {"StreamEvent", *(one.__name__ for one in CLASSES.values())}


@pytest.mark.parametrize("name", CLASSES)
def test_every_event_is_made_without_arguments_and_knows_its_type(name: str) -> None:
    event = CLASSES[name]()

    assert isinstance(event, StreamEvent)
    assert event.type == name
    assert (event.provider, event.model, event.request_id, event.stream_id) == ("", "", "", "")
    assert (event.timestamp, event.sequence, event.metadata) == (0.0, 0, {})


@pytest.mark.parametrize("kind", CLASSES.values())
def test_events_share_no_metadata_and_take_no_stray_attributes(kind: type[StreamEvent]) -> None:
    first, second = kind(), kind()
    first.metadata["n"] = 1

    assert second.metadata == {}
    with pytest.raises(AttributeError):
        first.no_such_field = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", CLASSES.values())
def test_an_event_as_a_dict_has_its_type_first_and_all_its_fields(kind: type[StreamEvent]) -> None:
    data = kind(provider="test", sequence=3).to_dict()

    assert next(iter(data.items())) == ("type", kind.type)
    assert (data["provider"], data["sequence"]) == ("test", 3)
    assert kind(**{key: value for key, value in data.items() if key != "type"}).provider == "test"


def test_events_can_be_changed_copied_and_pickled() -> None:
    event = StreamDeltaEvent(delta="Hi", chunk_index=2)
    event.delta = "Ho"

    assert copy.deepcopy(event) == event
    assert pickle.loads(pickle.dumps(event)) == event


@pytest.mark.parametrize(
    ("delta", "kind", "text"),
    [
        ("Hi", "text", "Hi"),
        ({"type": "reasoning", "text": "Hm"}, "reasoning", ""),
        ({"type": "refusal", "text": "No"}, "refusal", ""),
        ({"type": "tool_call", "arguments": "{}"}, "tool_call", ""),
        ({"text": "a", "content": "b"}, "text", "a"),
        ({"content": "b", "chunk": "c"}, "text", "b"),
        ({"chunk": "c"}, "text", "c"),
        ({"delta": "d"}, "text", "d"),
        ({"text": None, "delta": "d"}, "text", "d"),
        ({}, "text", ""),
        ({"words": "x"}, "text", ""),
    ],
)
def test_a_delta_says_what_it_is_and_gives_the_words_for_the_reader(
    delta: str | dict[str, Any], kind: str, text: str
) -> None:
    event = StreamDeltaEvent(delta=delta)

    assert (event.kind, event.get_text()) == (kind, text)


def test_an_error_event_names_the_class_of_its_error() -> None:
    assert StreamErrorEvent(error=OverloadedError("busy")).error_type == "OverloadedError"
    assert StreamErrorEvent(error=ValueError("no"), error_type="Mine").error_type == "Mine"
    assert StreamErrorEvent().error_type == "Exception"
