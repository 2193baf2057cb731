"""What may come next in JSON: one function for each answer.

A state takes the text and a position in it, and gives the position after what it read. It is only
called where there is a character, and it never looks back. At the end of the text `EXPECTED` says
what each state was waiting for.
"""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.errors import InvalidJSONError
from steer_llm_sdk.structured.parser.events import PathLink
from steer_llm_sdk.structured.parser.machine import Machine, State
from steer_llm_sdk.structured.parser.tokens import (
    LITERALS,
    LONGEST_ESCAPE,
    NUMBER_STARTS,
    WHITE_SPACE,
    LeafError,
    number_run,
    plain_run,
    read_escape,
    read_number,
    skip_white_space,
)

END_OF_TEXT = ""


def fault(position: int, expected: str, found: str) -> InvalidJSONError:
    """The error that says what was expected at `position`, and what was found there."""
    what = repr(found) if found else "the end of the text"
    return InvalidJSONError(
        f"character {position}: expected {expected}, found {what}", position=position
    )


# --- between leaves ---------------------------------------------------------------------------


def before_root(m: Machine, text: str, at: int) -> int:
    """Nothing but white space has come."""
    return before_value(m, text, at)


def before_value(m: Machine, text: str, at: int) -> int:
    """A value must come."""
    char = text[at]
    if char == '"':
        m.state = in_string
        m.is_key = False
        return at + 1
    if char in WHITE_SPACE:
        return _skip(text, at)
    return _VALUE_STARTS.get(char, _unexpected)(m, text, at)


def before_element_or_end(m: Machine, text: str, at: int) -> int:
    """An array has just opened."""
    return _close(m, at) if text[at] == "]" else before_value(m, text, at)


def before_key_or_end(m: Machine, text: str, at: int) -> int:
    """An object has just opened."""
    return _close(m, at) if text[at] == "}" else before_key(m, text, at)


def before_key(m: Machine, text: str, at: int) -> int:
    """The name of a field must come."""
    char = text[at]
    if char == '"':
        m.state = in_string
        m.is_key = True
        return at + 1
    return _skip(text, at) if char in WHITE_SPACE else _unexpected(m, text, at)


def before_colon(m: Machine, text: str, at: int) -> int:
    """The name of a field is complete."""
    char = text[at]
    if char == ":":
        m.state = before_value
        return at + 1
    return _skip(text, at) if char in WHITE_SPACE else _unexpected(m, text, at)


def after_field(m: Machine, text: str, at: int) -> int:
    """The value of a field is complete."""
    char = text[at]
    if char == ",":
        m.state = before_key
        return at + 1
    if char == "}":
        return _close(m, at)
    return _skip(text, at) if char in WHITE_SPACE else _unexpected(m, text, at)


def after_element(m: Machine, text: str, at: int) -> int:
    """An element of an array is complete."""
    char = text[at]
    if char == ",":
        m.state = before_value
        return at + 1
    if char == "]":
        return _close(m, at)
    return _skip(text, at) if char in WHITE_SPACE else _unexpected(m, text, at)


def after_root(m: Machine, text: str, at: int) -> int:
    """The value is complete: only white space may follow."""
    return _skip(text, at) if text[at] in WHITE_SPACE else _unexpected(m, text, at)


def _skip(text: str, at: int) -> int:
    match = skip_white_space(text, at)
    return match.end() if match else at


def _unexpected(m: Machine, text: str, at: int) -> int:
    raise fault(m.offset + at, EXPECTED[m.state], text[at])


# --- containers -------------------------------------------------------------------------------


def _open_object(m: Machine, _text: str, at: int) -> int:
    _open(m, {}, at)
    m.state = before_key_or_end
    return at + 1


def _open_array(m: Machine, _text: str, at: int) -> int:
    _open(m, [], at)
    m.state = before_element_or_end
    return at + 1


def _open(m: Machine, container: Any, at: int) -> None:
    if len(m.around) + (m.container is not None) >= m.max_depth:
        position = m.offset + at
        raise InvalidJSONError(
            f"character {position}: expected at most {m.max_depth} containers inside one another, "
            "found one more",
            position=position,
        )
    key = m.place(container)
    if m.container is not None:
        m.link = PathLink(m.link, key, m.link.depth + 1)
        m.around.append(m.container)
    m.container = container


def _close(m: Machine, at: int) -> int:
    closed = m.container
    m.container = m.around.pop() if m.around else None
    m.report_closed(closed)
    _after_value(m)
    return at + 1


def _after_value(m: Machine) -> None:
    container = m.container
    if container is None:
        m.state = after_root
    else:
        m.state = after_field if type(container) is dict else after_element


# --- strings ----------------------------------------------------------------------------------


def in_string(m: Machine, text: str, at: int) -> int:
    """Inside the quotes."""
    match = plain_run(text, at)
    end = match.end() if match else at
    if end > at:
        m.parts.append(text[at:end])
    if end == len(text):
        return end
    char = text[end]
    if char == '"':
        _end_string(m)
        return end + 1
    if char == "\\":
        return _begin_escape(m, text, end)
    raise fault(m.offset + end, "no bare control character inside a string", char)


def _begin_escape(m: Machine, text: str, at: int) -> int:
    m.rest = ""
    m.state = in_escape
    return in_escape(m, text, at)


def in_escape(m: Machine, text: str, at: int) -> int:
    """After a backslash; `rest` is what has come of the escape."""
    begun = m.rest
    escape = begun + text[at : at + LONGEST_ESCAPE - len(begun)]
    try:
        read = read_escape(escape)
    except LeafError as found:
        position = m.offset + at - len(begun) + found.offset
        raise fault(position, found.expected, escape[found.offset]) from None
    if read is None:
        m.rest = escape
        return len(text)
    m.parts.append(read[0])
    after = read[1] - len(begun)
    if after < 0:  # a surrogate was alone after all: what waited with it is the next escape
        m.rest = begun[after:]
        return at
    m.state = in_string
    return at + after


def _end_string(m: Machine) -> None:
    parts = m.parts
    if m.is_key:
        key = "".join(parts)
        parts.clear()
        m.key = m.keys.setdefault(key, key)
        m.state = before_colon
        return
    if m.has_string_pieces:
        m.report_pieces()
        m.reported = 0
    value = parts[0] if len(parts) == 1 else "".join(parts)
    parts.clear()
    if m.is_placed:
        begun = m.take_placed()
        begun += value
        value = begun
    _end_leaf(m, value)


def _end_leaf(m: Machine, value: Any) -> None:
    m.report_leaf(m.place(value), value)
    _after_value(m)


# --- numbers and literals ---------------------------------------------------------------------


def in_number(m: Machine, text: str, at: int) -> int:
    """Inside a number: only what comes after it says that it is complete."""
    match = number_run(text, at)
    end = match.end() if match else at
    if end > at:
        m.parts.append(text[at:end])
    if end < len(text):
        end_number(m, text[end])
    return end


def end_number(m: Machine, after: str) -> None:
    """The number is complete; `after` is the character that follows it."""
    token = "".join(m.parts)
    m.parts = []
    try:
        value = read_number(token)
    except LeafError as found:
        char = token[found.offset] if found.offset < len(token) else after
        raise fault(m.number_start + found.offset, found.expected, char) from None
    _end_leaf(m, value)


def in_literal(m: Machine, text: str, at: int) -> int:
    """Inside ``true``, ``false`` or ``null``; `rest` is what is missing of it."""
    rest = m.rest
    for step, char in enumerate(text[at : at + len(rest)]):
        if char != rest[step]:
            raise fault(m.offset + at + step, EXPECTED[in_literal], char)
    came = min(len(text) - at, len(rest))
    m.rest = rest[came:]
    if not m.rest:
        _end_leaf(m, m.literal)
    return at + came


def _open_number(m: Machine, text: str, at: int) -> int:
    m.state = in_number
    m.number_start = m.offset + at
    return in_number(m, text, at)


def _open_literal(m: Machine, text: str, at: int) -> int:
    m.state = in_literal
    m.rest, m.literal = LITERALS[text[at]]
    return in_literal(m, text, at)


_VALUE_STARTS: dict[str, State] = {
    "{": _open_object,
    "[": _open_array,
    **dict.fromkeys(LITERALS, _open_literal),
    **dict.fromkeys(NUMBER_STARTS, _open_number),
}

EXPECTED: dict[State, str] = {
    before_root: "a JSON value",
    before_value: "a value",
    before_element_or_end: "a value or ']'",
    before_key_or_end: "'\"' of a field's name, or '}'",
    before_key: "'\"' of a field's name",
    before_colon: "':' after the field's name",
    after_field: "',' or '}'",
    after_element: "',' or ']'",
    after_root: "nothing after the JSON value",
    in_string: "'\"' at the end of the string",
    in_escape: "the rest of an escape in the string",
    in_number: "a number",
    in_literal: "one of the literals true, false, null",
}
