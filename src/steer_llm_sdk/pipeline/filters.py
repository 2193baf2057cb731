"""Filters: which events go on to the transformers and to those who watch the stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from steer_llm_sdk.checks import TEXT, is_asynchronous, listed, refuse_yielding, type_found
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import (
    AnyEvent,
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.pipeline.user_errors import USER_ERRORS, UserErrorLog
from steer_llm_sdk.stored import shown_value

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
        given = [types] if isinstance(types, str | type) or types is None else types
        self._types = tuple(map(_event_class, listed("types", given)))

    def should_process(self, event: StreamEvent) -> bool:
        """Whether the event is of one of the types."""
        return isinstance(event, self._types)


class ProviderFilter(EventFilter):
    """Lets events of some providers pass; upper and lower case are the same.

    Args:
        providers: The names of the providers, or a single name.

    Raises:
        ConfigurationError: Something else is among them.
    """

    def __init__(self, providers: str | Iterable[str]) -> None:
        given = [providers] if isinstance(providers, str) or providers is None else providers
        names = tuple(listed("providers", given))
        for name in names:
            TEXT.check("providers", name)
        self._providers = frozenset(name.casefold() for name in names)

    def should_process(self, event: StreamEvent) -> bool:
        """Whether the event comes from one of the providers."""
        return event.provider.casefold() in self._providers


class PredicateFilter(EventFilter):
    """Lets events pass for which a function returns something true.

    Args:
        predicate: A plain function of the event.

    Raises:
        ConfigurationError: It cannot be called, or is a coroutine function or yields: what that
            returns would always be true.
    """

    def __init__(self, predicate: Callable[[AnyEvent], object]) -> None:
        if not callable(predicate):
            raise ConfigurationError(
                f"predicate: expected a function of the event, found {predicate!r}"
            )
        refuse_coroutine("predicate", predicate)
        self._predicate: Callable[[Any], object] = predicate
        self._errors = UserErrorLog()

    def should_process(self, event: StreamEvent) -> bool:
        """Whether the predicate holds; False where it raises, which is logged."""
        try:
            return self.decide(event)
        except USER_ERRORS as error:
            self._errors.report("filter", self._predicate, "the event is dropped", error)
            return False

    def decide(self, event: StreamEvent) -> bool:
        """Whether the predicate holds.

        Raises:
            TypeError: It returned a coroutine, which would always be true.
        """
        return is_kept("predicate", self._predicate(event))


class CompositeFilter(EventFilter):
    """Joins filters by *and*, or by *or*.

    Args:
        filters: The filters, asked in order, no more of them than it takes to decide.
        require_all: Whether all have to let the event pass; otherwise one is enough.

    Raises:
        ConfigurationError: One of them is no filter, or an asynchronous one.
    """

    def __init__(self, filters: Iterable[EventFilter], require_all: bool = True) -> None:
        self._filters = tuple(listed("filters", filters))
        self._decisions = tuple(map(decision_of, self._filters))
        self._require_all = require_all

    def should_process(self, event: StreamEvent) -> bool:
        """Whether all of the filters, or any of them, let the event pass."""
        answers = (is_kept("filters", decide(event)) for decide in self._decisions)
        return all(answers) if self._require_all else any(answers)


def decision_of(event_filter: EventFilter) -> Callable[[StreamEvent], object]:
    """Find what to ask for each event; it may raise, which is reported by who asks.

    Raises:
        ConfigurationError: It has no plain ``should_process``.
    """
    should_process = getattr(event_filter, "should_process", None)
    if isinstance(event_filter, type) or not callable(should_process):
        is_class = isinstance(event_filter, type)
        found = type_found(event_filter) if is_class else shown_value(event_filter)
        hint = ": write PredicateFilter(…) around it"
        if is_class or not callable(event_filter):
            hint = ""
        raise ConfigurationError(f"filters: expected an EventFilter, found {found}{hint}")
    refuse_coroutine("should_process", should_process)
    if getattr(should_process, "__func__", None) is PredicateFilter.should_process:
        return event_filter.decide  # type: ignore[attr-defined, no-any-return]  # a PredicateFilter
    return should_process  # type: ignore[no-any-return]  # of any kind


def is_kept(what: str, answer: object) -> bool:
    """Read the answer of a filter.

    Raises:
        TypeError: It is something to be awaited, which would always be true.
    """
    if isinstance(answer, Awaitable) and not isinstance(answer, StreamEvent):
        close = getattr(answer, "close", None)
        if close is not None:
            close()  # nobody awaits it
        raise TypeError(f"{what}: expected true or false, found {type(answer).__name__}")
    return bool(answer)


def refuse_coroutine(what: str, function: Callable[..., object]) -> None:
    """Refuse a coroutine function, and one that yields, where a plain one is called.

    Raises:
        ConfigurationError: It is one.
    """
    refuse_yielding(what, function)
    if is_asynchronous(function):
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
