"""Old, untyped callbacks: what they are called with. To be deleted one day, together with them.

Before there were typed events, callbacks were called with a dict. Which kind a callback is, is
decided once, when it is registered, by the annotation of its first parameter:

================================= =======================================================
an event class, or a base of one  the event, by the callback itself: nothing is wrapped
``dict``, or another mapping      a plain dict: ``type``, ``text``, and the event's fields
none, for ``on_delta``            a `DeltaView`: the event, and that dict, in one object
anything else                     the event
================================= =======================================================

Annotations that cannot be resolved are matched by name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import partial, update_wrapper
from operator import attrgetter
from types import FunctionType, MethodType
from typing import Any

from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent

Callback = Callable[[Any], Any]

_MAPPING_NAMES = frozenset({"dict", "Dict", "Mapping", "MutableMapping"})
_EVENT_NAMES = frozenset(
    {
        "StreamEvent",
        "StreamStartEvent",
        "StreamDeltaEvent",
        "StreamUsageEvent",
        "StreamCompleteEvent",
        "StreamErrorEvent",
    }
)


class DeltaView(dict[str, Any]):
    """A delta event that is also the dict which old callbacks expect.

    ``isinstance(view, StreamDeltaEvent)`` and ``isinstance(view, dict)`` are both true; attributes
    are the event's own, to read and to write, and the keys are those of `as_dict`.

    The dict is filled at once, though most callbacks read one key of it: C libraries (``orjson``,
    ``msgspec``) look into a dict without asking its methods, and would find an unfilled one empty.

    Args:
        event: The event it stands for.
    """

    __slots__ = ("_event",)
    _event: StreamDeltaEvent

    def __init__(self, event: StreamDeltaEvent) -> None:
        is_plain = type(event) is StreamDeltaEvent
        dict.__init__(self, _delta_as_dict(event) if is_plain else as_dict(event))
        _set_event(self, event)

    @property  # type: ignore[misc]  # `isinstance` asks this when the type itself does not answer
    def __class__(self) -> type[StreamDeltaEvent]:  # type: ignore[override]
        return type(_get_event(self))

    # What callbacks read of every event; the rest goes by `__getattr__`, which is slower.
    delta = property(attrgetter("_event.delta"))
    get_text = property(attrgetter("_event.get_text"))

    def __getattr__(self, name: str) -> Any:
        return getattr(_get_event(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_get_event(self), name, value)

    def __reduce__(self) -> tuple[type[DeltaView], tuple[StreamDeltaEvent]]:
        return DeltaView, (_get_event(self),)

    def __repr__(self) -> str:
        return repr(_get_event(self))


_get_event = DeltaView.__dict__["_event"].__get__
_set_event = DeltaView.__dict__["_event"].__set__


def adapt_callback(callback: Callback, kind: str) -> Callback:
    """The callback as it is to be called with an event.

    Args:
        callback: What the user passed.
        kind: ``"start"``, ``"delta"``, ``"usage"``, ``"complete"`` or ``"error"``.

    Returns:
        The callback itself where it takes the event; otherwise one that makes it what it expects.
        What the callback returns is returned, to be awaited where it is awaitable.
    """
    convert = _converter(callback, kind)
    if convert is None:
        return callback

    def adapted(event: Any) -> Any:
        return callback(convert(event))

    return update_wrapper(adapted, callback)


def as_dict(event: StreamEvent) -> dict[str, Any]:
    """The event as a plain dict: its ``type``, its fields, and ``text`` when it has some.

    Unlike `StreamEvent.to_dict`, it holds the fields' own values: under ``error`` the exception.
    """
    if type(event) is StreamDeltaEvent:
        return _delta_as_dict(event)
    data = {"type": event.type} | {f.name: getattr(event, f.name) for f in fields(event)}
    text = event.get_text() if isinstance(event, StreamDeltaEvent) else ""
    return data | {"text": text} if text else data


def _delta_as_dict(event: StreamDeltaEvent) -> dict[str, Any]:
    """The same, written out: it is made of every delta, and reflection costs ten times as much."""
    delta = event.delta
    data = {
        "type": "delta",
        "provider": event.provider,
        "model": event.model,
        "request_id": event.request_id,
        "stream_id": event.stream_id,
        "timestamp": event.timestamp,
        "metadata": event.metadata,
        "sequence": event.sequence,
        "delta": delta,
        "chunk_index": event.chunk_index,
        "is_json": event.is_json,
        "part": event.part,
    }
    text = delta if delta.__class__ is str else event.get_text()
    if text:
        data["text"] = text
    return data


def _converter(callback: Callback, kind: str) -> Callable[[Any], Any] | None:
    """What makes of an event what the callback expects; None where that is the event."""
    annotation = _first_annotation(callback)
    if annotation is _UNANNOTATED:
        return DeltaView if kind == "delta" else None
    return as_dict if _means_mapping(annotation) else None


class _Unannotated:
    """Stands for a first parameter without an annotation."""


_UNANNOTATED = _Unannotated()
_NOT_PLAIN = object()


def _first_annotation(callback: Callback) -> Any:
    """The first positional parameter's annotation; `object` where there is none to speak of."""
    if type(callback) is FunctionType and not callback.__dict__:
        annotation = _plain_annotation(callback)
        if annotation is not _NOT_PLAIN:
            return annotation
    import inspect

    # A `partial` is a routine from Python 3.14 on: it binds like a method.
    is_python = inspect.isfunction(callback) or isinstance(callback, MethodType | partial)
    if inspect.isroutine(callback) and not is_python:
        return object
    signature = _signature(callback)
    first = next(iter(signature.parameters.values()), None) if signature is not None else None
    if first is None or first.kind not in {first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD}:
        return object
    return _UNANNOTATED if first.annotation is first.empty else first.annotation


def _plain_annotation(callback: FunctionType) -> Any:
    """The first annotation of a plain function, read off it: a signature takes 30 µs to make.

    `_NOT_PLAIN` where more has to be known: no such parameter, or a name that has to be resolved.
    """
    code = callback.__code__
    if not code.co_argcount:
        return _NOT_PLAIN
    try:
        annotation = callback.__annotations__.get(code.co_varnames[0], _UNANNOTATED)
    except Exception:  # noqa: BLE001 - from Python 3.14 on, this runs the user's code
        return _NOT_PLAIN
    if isinstance(annotation, str):
        annotation = callback.__globals__.get(annotation, _NOT_PLAIN)
        return annotation if isinstance(annotation, type) else _NOT_PLAIN
    return annotation


def _signature(callback: Callback) -> Any:
    """The signature, with annotations resolved where they can be; None where there is none."""
    import inspect

    with suppress(Exception):  # resolving an annotation runs the user's code
        return inspect.signature(callback, eval_str=True)
    with suppress(Exception):  # so does asking for it, from Python 3.14 on
        return inspect.signature(callback, **_unresolved())
    return None


def _unresolved() -> dict[str, Any]:
    """How `inspect.signature` is asked for annotations as far as they can be resolved.

    Until Python 3.13 those that are not evaluated yet are strings. From then on they are
    `ForwardRef`s, where a name that is only imported for type checkers does not exist.
    https://docs.python.org/3/library/annotationlib.html#annotationlib.Format.FORWARDREF
    """
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return {"annotation_format": Format.FORWARDREF}
    return {}


def _means_mapping(annotation: Any) -> bool:
    """Whether it asks for a mapping: among the members of a union, events go first."""
    if isinstance(annotation, type) and issubclass(annotation, StreamEvent):
        return False
    from typing import get_origin

    members = _members(annotation)
    if any(_is_event(member) for member in members):
        return False
    classes = [get_origin(member) or member for member in members]
    return any(
        one in _MAPPING_NAMES if isinstance(one, str) else _is_subclass(one, Mapping)
        for one in classes
    )


def _members(annotation: Any) -> list[Any]:
    """The types of a union, or the type alone; names where it is a string."""
    from types import UnionType
    from typing import Annotated, ForwardRef, Union, get_args, get_origin

    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return _names(annotation)
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return [one for member in get_args(annotation) for one in _members(member)]
    return [annotation]


def _names(annotation: str) -> list[Any]:
    """The class names in an annotation that could not be resolved: `a.B[c] | D` gives B and D."""
    import re

    outside = re.sub(
        r"\[[^\[\]]*\]", "", re.sub(r"\b(?:Optional|Union)\[(.*)\]", r"\1", annotation)
    )
    while "[" in outside and (shorter := re.sub(r"\[[^\[\]]*\]", "", outside)) != outside:
        outside = shorter
    return [part.strip().rpartition(".")[2] for part in re.split(r"[|,]", outside)]


def _is_event(member: Any) -> bool:
    if isinstance(member, str):
        return member in _EVENT_NAMES
    return _is_subclass(member, StreamEvent)


def _is_subclass(one: Any, base: type) -> bool:
    return isinstance(one, type) and issubclass(one, base)
