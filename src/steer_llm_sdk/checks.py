"""What the value of an argument has to be, and what is said of one that is something else.

A table names a `Kind` for each argument; `check_values` goes through it. Words for a keyword that
does not exist come from tables too: `refuse_unknown`.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from os import PathLike, fsencode
from types import FunctionType
from typing import Any, NoReturn, TypeVar

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.stored import shown_value

_T = TypeVar("_T")

_SHOWN_CHARS = 80
_NAMES_SHOWN = 3

# The flags of a code object: https://docs.python.org/3/library/inspect.html#inspect.CO_GENERATOR
_CO_GENERATOR = 0x20
_CO_COROUTINE = 0x80
_CO_ASYNC_GENERATOR = 0x200
_CO_YIELDS = _CO_GENERATOR | _CO_ASYNC_GENERATOR
_CO_ASYNCHRONOUS = _CO_COROUTINE | _CO_ASYNC_GENERATOR

# Names of what must never be advised into the body of a request.
_SECRET_NAME = re.compile(
    r"api_?key|(?<!max_)token$|secret|passw|auth|credential|bearer", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: `expected` says it in words, `accepts` decides.

    With `hides_value` the type alone is told of what was found: it may be a key, or a page long.
    With `takes_none` it accepts None, and need not be asked.
    """

    expected: str
    accepts: Callable[[Any], bool]
    hides_value: bool = False
    takes_none: bool = False

    def or_none(self) -> Kind:
        """The same kind, where None may stand for it too."""
        accepts = self.accepts
        return Kind(
            f"{self.expected}, or None",
            lambda v: v is None or accepts(v),
            self.hides_value,
            takes_none=True,
        )

    def check(self, where: str, value: object) -> None:
        """Refuse a value of another kind.

        Raises:
            ConfigurationError: Names the argument, what was expected and what was found.
        """
        if not self.accepts(value):
            raise ConfigurationError(
                f"{where}: expected {self.expected}, found {self._show(value)}"
            )

    def check_given(self, where: str, value: object) -> None:
        """As `check`, where None may stand for the value too.

        Raises:
            ConfigurationError: The same; says that None would do.
        """
        if value is not None and not self.accepts(value):
            self.or_none().check(where, value)  # which says so

    def _show(self, value: object) -> str:
        if self.hides_value:
            return type_found(value)
        shown = shown_value(value)
        return shown if len(shown) <= _SHOWN_CHARS else shown[: _SHOWN_CHARS - 1] + "…"


def having(expected: str, *methods: str) -> Kind:
    """The kind of objects that have certain methods, whatever their class; never a class."""

    def has_methods(value: object) -> bool:
        found = (getattr(value, name, None) for name in methods)
        return not isinstance(value, type) and all(map(callable, found))

    return Kind(expected, has_methods, hides_value=True)


def check_values(kinds: Mapping[str, Kind], owner: object, where: str = "") -> None:
    """Check the attributes of an object by a table of their kinds.

    Raises:
        ConfigurationError: One is of another kind.
    """
    for name, kind in kinds.items():
        value = getattr(owner, name)
        if value is not None or not kind.takes_none:  # most are None, in each call
            kind.check(f"{where}{name}", value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    """Whether it is a number and finite; an infinite one is no JSON, and no limit is None."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # a whole number that is larger than any clock's
        return False


def _is_list_of_text(value: object) -> bool:
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return is_list and all(isinstance(each, str) and each for each in value)  # type: ignore[attr-defined]


def _is_path(value: object) -> bool:
    """Whether it is a path that a file can have: no system takes an empty one, or a zero byte."""
    if not isinstance(value, str | PathLike):
        return False
    try:
        name = fsencode(value)
    except UnicodeEncodeError:
        return False
    return name != b"" and b"\0" not in name


def _is_whole_text(value: object) -> bool:
    """Whether it is text that UTF-8 has bytes for, as any place that holds it needs them."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_mapping_by_name(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


NAME = Kind("a name", lambda value: isinstance(value, str), hides_value=True)
FLAG = Kind("True or False", lambda value: isinstance(value, bool))
TEXT = Kind("a str", lambda value: isinstance(value, str))
WHOLE_TEXT = Kind("a str without half a character", _is_whole_text)
SECRET = Kind("a str", lambda value: isinstance(value, str), hides_value=True)
PATH = Kind("a path", _is_path)
NUMBER = Kind("a finite number of at least 0", lambda value: _is_number(value) and value >= 0)
SHARE = Kind("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
WHOLE = Kind("a whole number", _is_whole)
COUNT = Kind("a whole number of at least 0", lambda value: _is_whole(value) and value >= 0)
ABOVE_0 = Kind("a number above 0", lambda value: _is_number(value) and value > 0)
POSITIVE = Kind("a whole number above 0", lambda value: _is_whole(value) and value > 0)
SECONDS = Kind("a number of seconds above 0", lambda value: _is_number(value) and value > 0)
MAPPING = Kind("a mapping whose keys are strings", _is_mapping_by_name)
NAMES = Kind("a list of names", _is_list_of_text)


def one_of(*values: str | None) -> Kind:
    """The kind of a value that is one of a few."""
    return Kind(
        " or ".join("None" if value is None else f'"{value}"' for value in values),
        lambda value: value is None or isinstance(value, str) if value in values else False,
    )


def listed(what: str, given: Any) -> Iterable[Any]:
    """Give the members of a list; of None there are none.

    Raises:
        ConfigurationError: It is no list; a single one is told to be put into one.
    """
    if given is None:
        return ()
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise ConfigurationError(
            f"{what}: expected a list, found {type(given).__name__}: write {what}=[…]"
        )
    return given


def type_found(given: object) -> str:
    """Say of which type a value is that was found; of a class, that an instance was meant.

    Its value is not told: it may be a key, or the very text that is to be redacted.
    """
    if isinstance(given, type):
        return f"the class {given.__name__}: an instance is needed"
    return type(given).__name__


def refuse_yielding(what: str, function: object) -> None:
    """Refuse a generator function where one is called for what it does: it would never run.

    Raises:
        ConfigurationError: It is one, plain or asynchronous.
    """
    flags = _flags_of_call(function)
    if not flags & _CO_YIELDS:
        return
    kind = f"{'' if flags & _CO_GENERATOR else 'asynchronous '}generator function"
    inner: Any = unwrapped(function)
    name = getattr(inner, "__qualname__", None) or shown_value(inner)
    raise ConfigurationError(
        f"{what}: expected a function, found the {kind} {name}: what it does would never be done; "
        "yield nothing in it"
    )


def yields(function: object) -> bool:
    """Whether it is a generator function, plain or asynchronous: to call it runs nothing of it.

    A `functools.partial` is judged by its function, an object by its ``__call__``, and what a
    decorator has put around a generator function by itself.
    """
    return bool(_flags_of_call(function) & _CO_YIELDS)


def is_asynchronous(function: object) -> bool:
    """Whether what it gives has to be awaited, or iterated asynchronously.

    It is judged as by `yields`; what `inspect.markcoroutinefunction` has marked is asynchronous.
    """
    if type(function) is FunctionType and not function.__dict__:  # nobody has marked it
        return bool(function.__code__.co_flags & _CO_ASYNCHRONOUS)
    if _flags_of_call(function) & _CO_ASYNCHRONOUS:
        return True
    from inspect import iscoroutinefunction

    inner = unwrapped(function)
    return iscoroutinefunction(inner) or iscoroutinefunction(_call_of(inner))


def _flags_of_call(function: object) -> int:
    """The flags of the code that a call begins with."""
    if type(function) is FunctionType:
        return function.__code__.co_flags
    inner = unwrapped(function)
    return _code_flags(inner) | _code_flags(_call_of(inner))


def _call_of(given: object) -> object:
    return getattr(type(given), "__call__", None)  # noqa: B004 - of an object that is called


def _code_flags(function: object) -> int:
    """The flags of a function's code; none of what has no code, such as a class.

    `inspect` finds the same in ten times as long, and is itself slow to import.
    """
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return flags if isinstance(flags, int) else 0


def unwrapped(function: object) -> object:
    """Find what is called in the end: within a `functools.partial`, its function."""
    while isinstance(function, functools.partial):
        function = function.func
    return given_function(function)


def given_function(given: Any) -> Any:
    """The function that an object gives as the property ``__call__``; what is given, without one.

    The tools of Anthropic's SDK are such; `inspect` takes the property itself for what is called.
    """
    return given.__call__ if isinstance(_call_of(given), property) else given


def refuse_unknown(
    given: Iterable[str],
    known: Collection[str],
    place_of: Callable[[str], str | None],
    fallback: str = "",
) -> None:
    """Refuse keywords that do not exist, and say where what was meant belongs.

    Args:
        given: The keywords that were passed.
        known: Those that exist.
        place_of: Says where one belongs that belongs elsewhere; None where it knows of no place.
        fallback: What to say at last, with ``{name}`` for the keyword; never said of a key.

    Raises:
        TypeError: One of them does not exist.
    """
    for name in given:
        if name not in known:
            hint = place_of(name) or _nearest(name, known, fallback)
            raise TypeError(f"unexpected keyword argument {name!r}" + (f": {hint}" if hint else ""))


def with_advice(place_of: Callable[[str], str | None]) -> Callable[[type[_T]], type[_T]]:
    """Decorate a class: keywords that its ``__init__`` does not have are refused with advice.

    Args:
        place_of: Says where a keyword belongs that belongs elsewhere.
    """

    def decorate(cls: type[_T]) -> type[_T]:
        plain: Any = cls.__init__
        code = plain.__code__
        known = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]

        @functools.wraps(plain)
        def advising(self: _T, *args: Any, **given: Any) -> None:
            refuse_unknown(given, known, place_of)
            if len(args) >= code.co_argcount:
                refuse_nameless(cls.__name__, known, code.co_argcount - 1)
            plain(self, *args, **given)

        cls.__init__ = advising  # type: ignore[method-assign, assignment]
        return cls

    return decorate


def refuse_nameless(what: str, known: Sequence[str], count: int) -> NoReturn:
    """Refuse arguments without a name, of which there are too many.

    Args:
        what: Who was given them; what they are is not told: one may be a key.
        known: The names that there are.
        count: How many of them, the first, may be given without.

    Raises:
        TypeError: Always.
    """
    names = ", ".join(f"{name}=" for name in known[count : count + _NAMES_SHOWN])
    raise TypeError(f"{what}: expected arguments by their names ({names}, …), found one without")


class _Absent:
    """An attribute that a class does not have, and what is there instead."""

    def __init__(self, name: str, hint: str) -> None:
        self._name = name
        self._hint = hint

    def __get__(self, given: object, kind: type | None = None) -> NoReturn:
        owner = type(given) if kind is None else kind
        told = f"{owner.__name__!r} object has no attribute {self._name!r}: {self._hint}"
        raise AttributeError(told, name=self._name, obj=given)


def with_absent(hints: Mapping[str, str]) -> Callable[[type[_T]], type[_T]]:
    """Decorate a class as `with_hints` does; it costs the attributes that there are nothing.

    Where a class has a ``__getattr__``, each of its attributes takes longer to be read.
    """

    def decorate(cls: type[_T]) -> type[_T]:
        for name, hint in hints.items():
            if not hasattr(cls, name):  # what it has stays
                setattr(cls, name, _Absent(name, hint))
        return cls

    return decorate


def with_hints(hints: Mapping[str, str]) -> Callable[[type[_T]], type[_T]]:
    """Decorate a class: of attributes that it does not have the error says what is there instead.

    Args:
        hints: What to say, by the names that other libraries have.
    """

    def decorate(cls: type[_T]) -> type[_T]:
        def refuse(self: _T, name: str) -> NoReturn:
            told = f"{type(self).__name__!r} object has no attribute {name!r}"
            hint = f": {hints[name]}" if name in hints else ""
            raise AttributeError(told + hint, name=name, obj=self)

        cls.__getattr__ = refuse  # type: ignore[attr-defined]  # so type checkers see none of it
        return cls

    return decorate


def did_you_mean(name: str) -> str:
    """The advice to take another keyword of the same call."""
    return f"did you mean {name!r}?"


def is_name_of_secret(name: str) -> bool:
    """Whether a keyword by this name would hold a key."""
    return _SECRET_NAME.search(name) is not None


def _nearest(name: str, known: Iterable[str], fallback: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"{did_you_mean(near[0])} " if near else ""
    rest = "" if is_name_of_secret(name) else fallback.format(name=name)
    return (hint + rest).strip()
