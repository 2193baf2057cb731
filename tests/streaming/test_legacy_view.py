from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from steer_llm_sdk.models.events import StreamDeltaEvent, StreamErrorEvent
from steer_llm_sdk.streaming.legacy import DeltaView, adapt_callback, as_dict

EVENTS = [
    StreamDeltaEvent("openai", "gpt-4o", "r", "s", 1.5, {"a": 1}, 4, "hi", 3, True),
    StreamDeltaEvent(delta=""),
    StreamDeltaEvent(delta={"type": "reasoning", "text": "hm"}),
    StreamDeltaEvent(delta={"content": "made by hand"}),
]


@pytest.mark.parametrize("event", EVENTS)
def test_a_delta_as_a_dict_has_every_field_of_the_event(event: StreamDeltaEvent) -> None:
    text = {"text": event.get_text()} if event.get_text() else {}

    assert as_dict(event) == event.to_dict() | text
    assert list(as_dict(event))[: len(event.to_dict())] == list(event.to_dict())


def test_a_delta_of_a_class_of_ones_own_has_its_fields_too() -> None:
    class Marked(StreamDeltaEvent):
        pass

    view = DeltaView(Marked(delta="hi"))

    assert view == as_dict(Marked(delta="hi"))
    assert isinstance(view, Marked)


def as_json(view: DeltaView) -> Any:
    return json.loads(json.dumps(view))


def by_c(view: DeltaView) -> Any:
    return msgspec.json.decode(msgspec.json.encode(dict.copy(view)))


def looked_into_by_c(view: DeltaView) -> Any:
    found: dict[str, Any] = {}
    functools.reduce(lambda _, item: found.update((item,)), dict.items(view), None)
    return found


def unpacked(view: DeltaView) -> Any:
    return {**view}


def merged(view: DeltaView) -> Any:
    return {} | view


def matched(view: DeltaView) -> Any:
    match view:
        case {"type": "delta", **rest}:
            return rest | {"type": "delta"}
    return None


@pytest.mark.parametrize("read", [as_json, by_c, looked_into_by_c, unpacked, merged, matched, dict])
def test_whoever_reads_the_view_as_a_dict_finds_all_of_it(read: Callable[[DeltaView], Any]) -> None:
    assert read(DeltaView(EVENTS[0])) == as_dict(EVENTS[0])


def test_every_attribute_of_the_event_is_the_views() -> None:
    event = EVENTS[0]
    view = DeltaView(event)
    names = [name for name in dir(event) if not name.startswith("__") and hasattr(event, name)]

    assert [getattr(view, name) for name in names] == [getattr(event, name) for name in names]


def test_what_a_callback_writes_to_the_delta_is_written_to_the_event() -> None:
    event = StreamDeltaEvent(delta="hi")
    view = DeltaView(event)
    view.delta = "ho"

    assert (event.delta, view.delta, view.get_text()) == ("ho", "ho", "ho")


def test_an_annotation_that_is_shadowed_is_resolved_as_python_does() -> None:
    def local() -> Callable[..., Any]:
        StreamDeltaEvent = dict  # noqa: N806 - a user's own name

        def on_delta(event: StreamDeltaEvent) -> Any:  # type: ignore[valid-type]
            return event

        on_delta.__annotations__["event"] = StreamDeltaEvent
        return on_delta

    assert type(adapt_callback(local(), "delta")(EVENTS[0])) is dict


def test_a_decorated_callback_is_judged_by_what_it_wraps() -> None:
    def typed(event: StreamDeltaEvent) -> Any:
        return event

    @functools.wraps(typed)
    def wrapper(*args: Any) -> Any:
        return typed(*args)

    assert adapt_callback(wrapper, "delta") is wrapper


def test_an_old_callback_gets_the_exception_itself_under_error() -> None:
    error = ValueError("broken")
    event = StreamErrorEvent(stream_id="s", error=error)

    found = as_dict(event)

    assert found["error"] is error
    assert found | {"error": None} == event.to_dict() | {"error": None}
