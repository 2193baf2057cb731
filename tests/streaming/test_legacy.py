from __future__ import annotations
import __future__

import copy
import functools
import json
import pickle
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Annotated, Any, Dict, Optional, TypedDict, Union  # noqa: UP035 - as users write
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent, StreamStartEvent
from steer_llm_sdk.streaming.legacy import DeltaView, adapt_callback, as_dict
from support.events import complete, delta, start


class Old(TypedDict):
    text: str


class Receiver:
    def typed(self, event: StreamDeltaEvent) -> None: ...

    def untyped(self, event) -> Any:  # type: ignore[no-untyped-def]  # that is the point
        return event

    def __call__(self, event: dict[str, Any]) -> dict[str, Any]:
        return event


def received(callback: Callable[..., Any], kind: str = "delta") -> Any:
    """What the callback is called with; it has to return it."""
    event = {"delta": delta("hi", index=3), "start": start(), "complete": complete()}[kind]
    return adapt_callback(callback, kind)(event)


# --- the guide's "Before" ---------------------------------------------------------------------


async def test_the_guides_untyped_callback_prints_the_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def on_delta(data):  # type: ignore[no-untyped-def]  # as it stands in the guide
        if isinstance(data, dict) and "text" in data:
            print(data["text"])

    await adapt_callback(on_delta, "delta")(delta("hello"))

    assert capsys.readouterr().out == "hello\n"


def test_what_an_untyped_callback_gets_is_the_event_too() -> None:
    event = delta("hi", index=3)
    view = adapt_callback(Receiver().untyped, "delta")(event)

    assert isinstance(view, StreamDeltaEvent)
    assert isinstance(view, dict)
    assert (view.get_text(), view.chunk_index, view.kind) == ("hi", 3, "text")
    assert (view["text"], view["type"], view["chunk_index"]) == ("hi", "delta", 3)
    assert json.loads(json.dumps(view))["text"] == "hi"
    assert repr(view) == repr(event)


def test_writing_to_the_view_writes_to_the_event() -> None:
    event = delta("hi")
    view = DeltaView(event)
    view.is_json = True
    view.metadata["seen"] = True

    assert event.is_json
    assert event.metadata == {"seen": True}


def test_a_view_can_be_copied_and_pickled() -> None:
    view = DeltaView(delta("hi"))

    assert copy.copy(view) == pickle.loads(pickle.dumps(view)) == view
    assert copy.copy(view).get_text() == "hi"


def test_other_kinds_of_events_come_as_they_are() -> None:
    assert type(received(Receiver().untyped, "start")) is StreamStartEvent


# --- by annotation ----------------------------------------------------------------------------


def typed(event: StreamDeltaEvent) -> None: ...
def base(event: StreamEvent) -> None: ...
def either(event: StreamDeltaEvent | dict[str, Any]) -> None: ...
def anything(event: Any) -> None: ...
def some_object(event: object) -> None: ...
def several(*events: Any) -> None: ...
def nothing() -> None: ...
def by_keyword(*, event: Any) -> None: ...
def unknown_event(event: Nowhere | StreamDeltaEvent) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def unknown(event: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    "callback",
    [
        typed,
        base,
        either,
        anything,
        some_object,
        several,
        nothing,
        by_keyword,
        unknown_event,
        unknown,
        Receiver().typed,
        functools.partial(typed),
        [].append,
        print,
        dict,
        dict.get,
        Mock(),
        MagicMock(),
        AsyncMock(),
        Mock(spec=Receiver().untyped),
    ],
)
def test_who_takes_the_event_is_not_wrapped(callback: Callable[..., Any]) -> None:
    assert adapt_callback(callback, "delta") is callback


def plain(event: dict) -> Any:  # type: ignore[type-arg]  # as users write it
    return event


def of_any(event: dict[str, Any]) -> Any:
    return event


def old_style(event: Optional[Dict[str, Any]]) -> Any:  # noqa: UP006, UP045 - as users write it
    return event


def union(event: Union[Mapping[str, Any], None]) -> Any:  # noqa: UP007 - as users write it
    return event


def mutable(event: MutableMapping[str, Any] | None = None) -> Any:
    return event


def annotated(event: Annotated[dict[str, Any], "old"]) -> Any:
    return event


def typed_dict(event: Old) -> Any:
    return event


def unresolved(event: Dict[str, Nowhere[int]] | None) -> Any:  # type: ignore[name-defined]  # noqa: F821, UP006
    return event


def unresolved_union(event: Optional[typing_of.Mapping[str, list[int]]]) -> Any:  # type: ignore[name-defined]  # noqa: F821, UP045
    return event


def with_more(event: dict[str, Any], more: int = 0) -> Any:
    return event


@pytest.mark.parametrize(
    "callback",
    [
        plain,
        of_any,
        old_style,
        union,
        mutable,
        annotated,
        typed_dict,
        unresolved,
        unresolved_union,
        with_more,
        Receiver(),
        functools.partial(with_more, more=1),
    ],
)
@pytest.mark.parametrize("kind", ["delta", "start", "complete"])
def test_who_asks_for_a_mapping_gets_a_plain_dict(callback: Callable[..., Any], kind: str) -> None:
    data = received(callback, kind)

    assert type(data) is dict
    assert data["type"] == kind
    assert data["provider"] == "openai"
    assert data.get("text") == ("hi" if kind == "delta" else None)


def test_a_wrapped_callback_keeps_its_name() -> None:
    assert adapt_callback(plain, "start").__name__ == "plain"


def test_an_event_without_text_has_none_as_a_dict() -> None:
    data = as_dict(StreamDeltaEvent(delta={"type": "reasoning", "text": "hm"}))

    assert "text" not in data
    assert data["delta"] == {"type": "reasoning", "text": "hm"}


DEFERRED = """
def a_dict(event: dict[str, Missing]): return event
def a_mapping(event: Mapping[str, Missing] | None): return event
def an_event(event: Missing): return event
def an_event_or_none(event: Missing | None): return event
def a_known_event(event: StreamDeltaEvent, other: Missing = None): return event
def bare(event): return event
"""


# As annotations are read: as text, as a future import has it; and when they are asked for.
EVALUATED_LATE = pytest.param(
    0,
    marks=pytest.mark.skipif(
        sys.version_info < (3, 14), reason="annotations are evaluated at once"
    ),
)
AS_TEXT = __future__.annotations.compiler_flag


@pytest.mark.parametrize("flags", [AS_TEXT, EVALUATED_LATE])
@pytest.mark.parametrize("wrap", [lambda one: one, functools.partial])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a_dict", dict),
        ("a_mapping", dict),
        ("an_event", StreamDeltaEvent),
        ("an_event_or_none", StreamDeltaEvent),
        ("a_known_event", StreamDeltaEvent),
        ("bare", DeltaView),
    ],
)
def test_annotations_that_nobody_can_resolve_are_matched_by_name(
    name: str, expected: type, wrap: Callable[[Any], Any], flags: int
) -> None:
    module: dict[str, Any] = {"StreamDeltaEvent": StreamDeltaEvent}
    exec(compile(DEFERRED, "deferred", "exec", flags, dont_inherit=True), module)

    found = adapt_callback(wrap(module[name]), "delta")(StreamDeltaEvent(delta="hi"))

    assert type(found) is expected


def test_a_partial_is_read_as_what_it_calls() -> None:
    event = StreamDeltaEvent(delta="hi")

    assert type(adapt_callback(functools.partial(of_any), "delta")(event)) is dict
    assert type(adapt_callback(functools.partial(lambda _, event: event, 1), "delta")(event)) is (
        DeltaView
    )
