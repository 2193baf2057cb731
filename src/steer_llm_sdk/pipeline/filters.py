"""Filters: which events go on to the transformers and to those who watch the stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)

EventType = type[StreamEvent] | str

_CLASSES: dict[str, type[StreamEvent]] = {
    cls.type: cls
    for cls in (
        StreamStartEvent,
        StreamDeltaEvent,
        StreamUsageEvent,
        StreamCompleteEvent,
        StreamErrorEvent,
    )
}


class EventFilter(ABC):
    """Decides whether an event goes on.

    It is asked for every event but a `StreamErrorEvent`: a failure cannot be filtered away. A
    filter that raises drops the event, and the error is logged.
    """

    @abstractmethod
    def should_process(self, event: StreamEvent) -> bool:
        """Whether the event goes on. Not a coroutine: it is asked on the path of every token."""


class TypeFilter(EventFilter):
    """Lets events of some types pass.

    Args:
        types: Event classes (their subclasses pass too) or names such as ``"delta"``; one or more.

    Raises:
        ConfigurationError: Something else is among them.
    """

    def __init__(self, types: EventType | Iterable[EventType]) -> None:
        given = [types] if isinstance(types, str | type) else list(types)
        self._types = tuple(map(_event_class, given))

    def should_process(self, event: StreamEvent) -> bool:
        """Whether the event is of one of the types."""
        return isinstance(event, self._types)


class ProviderFilter(EventFilter):
    """Lets events of some providers pass; upper and lower case are the same.

    Args:
        providers: The names of the providers, or a single name.
    """

    def __init__(self, providers: str | Iterable[str]) -> None:
        names = [providers] if isinstance(providers, str) else providers
        self._providers = frozenset(name.casefold() for name in names)

    def should_process(self, event: StreamEvent) -> bool:
        """Whether the event comes from one of the providers."""
        return event.provider.casefold() in self._providers


class PredicateFilter(EventFilter):
    """Lets events pass for which a function returns something true.

    Args:
        predicate: A plain function of the event.

    Raises:
        ConfigurationError: It is a coroutine function: its result would always be true.
    """

    def __init__(self, predicate: Callable[[StreamEvent], object]) -> None:
        refuse_coroutine("predicate", predicate)
        self._predicate = predicate

    def should_process(self, event: StreamEvent) -> bool:
        """Whether the predicate holds."""
        return bool(self._predicate(event))


class CompositeFilter(EventFilter):
    """Joins filters by *and*, or by *or*.

    Args:
        filters: The filters, asked in order, no more of them than it takes to decide.
        require_all: Whether all have to let the event pass; otherwise one is enough.
    """

    def __init__(self, filters: Iterable[EventFilter], require_all: bool = True) -> None:
        self._filters = tuple(filters)
        self._require_all = require_all

    def should_process(self, event: StreamEvent) -> bool:
        """Whether all of the filters, or any of them, let the event pass."""
        answers = (one.should_process(event) for one in self._filters)
        return all(answers) if self._require_all else any(answers)


def refuse_coroutine(what: str, function: Callable[..., object]) -> None:
    """Refuse a coroutine function where a plain one is called.

    Raises:
        ConfigurationError: It is one.
    """
    from inspect import iscoroutinefunction

    if iscoroutinefunction(function):
        raise ConfigurationError(
            f"{what}: expected a plain function, found the coroutine function {function!r}; "
            "an async transformer that returns None drops events too"
        )


def _event_class(given: object) -> type[StreamEvent]:
    if isinstance(given, type) and issubclass(given, StreamEvent):
        return given
    found = _CLASSES.get(given) if isinstance(given, str) else None
    if found is not None:
        return found
    known = ", ".join(map(repr, _CLASSES))
    raise ConfigurationError(
        f"event types: expected event classes or names among {known}; found {given!r}"
    )
