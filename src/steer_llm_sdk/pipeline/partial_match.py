r"""Can more text still change what a regular expression matches here?

Python's `re` has no partial matching, so a second expression is derived from the first: one that
also succeeds wherever the text ends in the middle of a match. Each part X of the pattern that
takes a character becomes ``(?:X|\Z)``: X, or the end of the text; once the end is reached all that
follows is at the end as well and succeeds there. The order in which the engine tries things stays
the same, so its first success says one of two things:

* the text ended on the way to it (it ends where the text ends, or an empty group inside it marks
  that an assertion looked at the end): undecided, more text may change the outcome;
* or not: then the original matches here, and no text to come can change that.

And where it fails the original fails, whatever comes.

A negative look-ahead needs the other certainty too, "matches whatever comes": there X must match
without touching the end. So there are two ways to write a pattern down: it *may* match, and it
*must*; inside a negative look-ahead they change places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple

from steer_llm_sdk.errors import ConfigurationError

# The parser that `re.compile` itself uses; private, and the same since 3.11. By name, because
# type checkers do not know it.
_parser: Any = import_module("re._parser")

_UNBOUNDED = int(_parser.MAXREPEAT)
_NEVER = "(?!)"
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "a": re.ASCII}
_REPEATS = {"MAX_REPEAT": "", "MIN_REPEAT": "?", "POSSESSIVE_REPEAT": "+"}
_SINGLE = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN"})
_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_ANCHORS = {
    "AT_BEGINNING": "^",
    "AT_BEGINNING_STRING": r"\A",
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
    "AT_END": "$",
    "AT_END_STRING": r"\Z",
}


class Reach(NamedTuple):
    """Tells how far a pattern looks.

    Attributes:
        ahead: The most characters from the start of a match that decide about it; None without
            a bound.
        behind: The most characters before its start that do.
    """

    ahead: int | None
    behind: int


def reach_of(pattern: re.Pattern[str]) -> Reach:
    """Measure how far a pattern looks, ahead and behind.

    Raises:
        ConfigurationError: It can match the empty text, which stands everywhere.
    """
    tree = _parser.parse(pattern.pattern, pattern.flags)
    shortest, longest = tree.getwidth()
    if shortest == 0:
        raise ConfigurationError(f"patterns: {pattern.pattern!r} matches the empty text")
    looks = list(_looks(tree))
    # One more than what is matched: whether a word or a line ends there shows in what follows.
    ahead = longest + sum(width for direction, width in looks if direction > 0) + 1
    # One more than it looks at, so that a cut text's beginning is not taken for the text's.
    behind = sum(width for direction, width in looks if direction < 0) + 1
    return Reach(None if ahead >= _UNBOUNDED else ahead, behind)


def partial_pattern(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """Derive the pattern that also matches what could become a match: see `is_undecided`.

    Raises:
        ConfigurationError: It has a back-reference, or looks ahead or at the end from inside a
            look-behind: such a pattern can only be decided when the whole text is there.
    """
    tree = _parser.parse(pattern.pattern, pattern.flags)
    writer = _Writer(pattern.pattern)
    flags = pattern.flags & (re.IGNORECASE | re.MULTILINE | re.DOTALL | re.ASCII)
    return re.compile(writer.sequence(tree, _Mode(is_multiline=bool(flags & re.MULTILINE))), flags)


def is_undecided(match: re.Match[str]) -> bool:
    """Tell whether a match of a `partial_pattern` may come out otherwise with more text."""
    return match.lastindex is not None or match.end() == len(match.string)


class _Mode(NamedTuple):
    """Says what holds around a part, and so how it is written."""

    is_multiline: bool
    must: bool = False  # it must match without touching the end of the text
    is_ahead: bool = False  # inside a look-ahead: its end is not the match's, so it is marked
    is_behind: bool = False  # inside a look-behind: what it takes is there already


class _Writer:
    """Writes a parsed pattern down again, as one that may match, or must."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def sequence(self, items: Iterable[tuple[Any, Any]], mode: _Mode) -> str:
        return "".join(self._item(str(op), argument, mode) for op, argument in items)

    def _item(self, op: str, argument: Any, mode: _Mode) -> str:
        if op in _SINGLE:
            return _or_end(_single(op, argument), mode)
        if op in _REPEATS:
            return self._repeat(op, argument, mode)
        write = getattr(self, f"_{op.lower()}", None)
        if write is None:
            raise self._refusal("a back-reference, or a part that depends on a group")
        return str(write(argument, mode))

    def _branch(self, argument: Any, mode: _Mode) -> str:
        return "(?:" + "|".join(self.sequence(one, mode) for one in argument[1]) + ")"

    def _subpattern(self, argument: Any, mode: _Mode) -> str:
        _, added, removed, items = argument
        if added & re.MULTILINE or removed & re.MULTILINE:
            mode = mode._replace(is_multiline=bool(added & re.MULTILINE))
        on = "".join(letter for letter, flag in _FLAGS.items() if added & flag)
        on += "u" if added & re.UNICODE else ""
        off = "".join(letter for letter, flag in _FLAGS.items() if removed & flag)
        switch = on + (f"-{off}" if off else "")
        return f"(?{switch}:{self.sequence(items, mode)})"

    def _atomic_group(self, argument: Any, mode: _Mode) -> str:
        # What it commits to may be another way than the one that must match.
        return _NEVER if mode.must else f"(?>{self.sequence(argument, mode)})"

    def _repeat(self, op: str, argument: Any, mode: _Mode) -> str:
        least, most, items = argument
        if op == "POSSESSIVE_REPEAT" and mode.must:
            return _NEVER
        kind = _REPEATS[op]
        times = f"{{{least},{'' if most >= _UNBOUNDED else most}}}{kind}"
        if len(items) != 1 or str(items[0][0]) not in _SINGLE:
            return f"(?:{self.sequence(items, mode)}){times}"
        # Of a single character the engine makes a tight loop, which an end inside it would break
        # up. At the end of the text the loop simply stops; only too few need to be excused.
        one = _single(str(items[0][0]), items[0][1])
        if least == 0 or mode.must or mode.is_behind:
            return f"{one}{times}"
        fewer = f"{one}{{0,{least - 1}}}" if least > 1 else ""
        return f"(?:{one}{times}|{fewer}{_end(mode)})"

    def _assert(self, argument: Any, mode: _Mode) -> str:
        direction, items = argument
        if direction < 0:
            return self._look_behind("<=", items, mode)
        self._refuse_inside_look_behind(mode)
        return f"(?={self.sequence(items, mode._replace(is_ahead=True))})"

    def _assert_not(self, argument: Any, mode: _Mode) -> str:
        direction, items = argument
        if direction < 0:
            return self._look_behind("<!", items, mode)
        self._refuse_inside_look_behind(mode)
        must = self.sequence(items, mode._replace(is_ahead=True, must=True))
        may = self.sequence(items, mode._replace(is_ahead=True, must=False))
        # It must not match now; and where it may match later, that is marked.
        return f"(?!{may})" if mode.must else f"(?!{must})(?:(?!{may})|())"

    def _failure(self, _argument: Any, _mode: _Mode) -> str:
        # What newer parsers make of `(?!)`.
        return _NEVER

    def _look_behind(self, kind: str, items: Any, mode: _Mode) -> str:
        inside = self.sequence(items, mode._replace(is_behind=True))
        look = f"(?{kind}{inside})"
        if mode.is_behind:
            return look
        return rf"(?!\Z){look}" if mode.must else rf"(?:\Z()|{look})"

    def _at(self, argument: Any, mode: _Mode) -> str:
        name = str(argument)
        anchor = _ANCHORS[name]
        if mode.is_behind:
            if name in {"AT_END", "AT_END_STRING"}:
                raise self._refusal("an end inside a look-behind")
            return anchor
        # Even what looks backward cannot be told at the end: it may stand for text to come.
        # `$` looks past a newline too, when that is the last character.
        border = r"(?=\n?\Z)" if name == "AT_END" and not mode.is_multiline else r"\Z"
        return f"(?!{border}){anchor}" if mode.must else f"(?:{border}()|{anchor})"

    def _refuse_inside_look_behind(self, mode: _Mode) -> None:
        if mode.is_behind:
            raise self._refusal("a look-ahead inside a look-behind")

    def _refusal(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"patterns: {self._pattern!r} has {what}; that cannot be decided piece by piece"
        )


def _or_end(one: str, mode: _Mode) -> str:
    return one if mode.must or mode.is_behind else f"(?:{one}|{_end(mode)})"


def _end(mode: _Mode) -> str:
    """The end of the text; marked by an empty group where the match's own end does not show it."""
    return r"\Z()" if mode.is_ahead else r"\Z"


def _single(op: str, argument: Any) -> str:
    """A part that takes exactly one character."""
    if op == "ANY":
        return "."
    if op == "LITERAL":
        return _character(argument)
    if op == "NOT_LITERAL":
        return f"[^{_character(argument)}]"
    return "[" + "".join(_member(str(kind), value) for kind, value in argument) + "]"


def _member(kind: str, value: Any) -> str:
    if kind == "NEGATE":
        return "^"
    if kind == "RANGE":
        return f"{_character(value[0])}-{_character(value[1])}"
    return _CATEGORIES[str(value)] if kind == "CATEGORY" else _character(value)


def _character(code: int) -> str:
    """A character, in a form that means the same inside a set and outside."""
    text = chr(code)
    return text if text.isalnum() and text.isascii() else f"\\U{code:08x}"


def _looks(items: Iterable[tuple[Any, Any]]) -> Iterable[tuple[int, int]]:
    """The direction and the width of every look-around in a parsed pattern."""
    for op, argument in items:
        if str(op) in {"ASSERT", "ASSERT_NOT"}:
            yield argument[0], argument[1].getwidth()[1]
        for part in _parts(argument):
            yield from _looks(part)


def _parts(argument: Any) -> Iterable[Any]:
    """The parsed patterns inside an argument of the parser's."""
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for one in argument:
            yield from _parts(one)
