"""The whole text of an answer: the JSON value that it is, or the error that says why it is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steer_llm_sdk.errors import (
    InvalidJSONError,
    RefusalError,
    SchemaError,
    TruncatedJSONError,
)
from steer_llm_sdk.models.strict_json import strict_loads
from steer_llm_sdk.structured.finder import JSONFinder
from steer_llm_sdk.structured.parser import IncrementalJSONParser
from steer_llm_sdk.structured.validators import Validator

_CONTEXT = 20  # characters of the text that a message shows on either side of the fault
_LONGEST_QUOTE = 120


@dataclass(frozen=True, slots=True)
class FinalText:
    """What arrived, and how the stream ended.

    Attributes:
        text: All of the text.
        finish_reason: Why the model stopped, in the library's word.
        refusal: The model's refusal, where the provider keeps it apart from text.
    """

    text: str
    finish_reason: str | None = "stop"
    refusal: str = ""


def read_answer(answer: FinalText, *, find: str | None = None) -> Any:
    """The JSON value of an answer. Nothing is repaired.

    Args:
        answer: What arrived.
        find: The characters that the value can start with where it may stand inside a code fence
            or prose; None where the text has to be the value.

    Raises:
        RefusalError: The model refused; its words are the error's text.
        TruncatedJSONError: The answer reached its length limit and is no whole JSON.
        InvalidJSONError: The text is empty, or not JSON.
    """
    text = answer.text
    if answer.refusal or answer.finish_reason == "refusal":
        words = answer.refusal or text
        raise RefusalError(
            f"JSON was asked for, and the model refused: {_short(words)}", text=words
        )
    try:
        value = parse(text) if find is None else find_json(text, find)
    except InvalidJSONError as error:
        fault = error
    else:
        if answer.finish_reason != "length" or not _may_go_on(value, text):
            return value
        fault = InvalidJSONError("a number may have gone on", position=len(text))
    raise _explained(fault, answer, is_found=find is not None)


def check_value(value: Any, validator: Validator | None, text: str) -> Any:
    """What `validator` makes of a value; the value itself without one.

    Raises:
        SchemaError: The value does not fit; with `text`.
    """
    if validator is None:
        return value
    try:
        return validator.check(value)
    except SchemaError as error:
        error.text = text
        raise


def parse(text: str) -> Any:
    """The value of a whole text: what `json.loads` gives, without ``NaN`` and ``Infinity``.

    Raises:
        InvalidJSONError: The text is not JSON; with the position.
    """
    try:
        return strict_loads(text)
    except (ValueError, RecursionError):
        pass
    # The slower parser knows better what is wrong, and where.
    parser = IncrementalJSONParser(path_events=False)
    parser.feed(text)
    return parser.finish()


def find_json(text: str, starts: str) -> Any:
    """The one value in a text; the text as a whole, when it is JSON.

    Raises:
        InvalidJSONError: There is none, more than one, or a broken one.
    """
    try:
        return strict_loads(text)
    except (ValueError, RecursionError):
        pass
    finder = JSONFinder(starts)
    finder.feed(text)
    return finder.finish()


def _may_go_on(value: Any, text: str) -> bool:
    """Whether more of the text could have changed the value: digits at its very end."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and text[-1:].isdigit()


def _explained(fault: InvalidJSONError, answer: FinalText, *, is_found: bool) -> InvalidJSONError:
    text, position = answer.text, fault.position
    if answer.finish_reason == "length":
        return TruncatedJSONError(
            f"the JSON is cut short: the answer reached its length limit after {len(text)} "
            f"characters; {fault}",
            text=text,
            position=position,
        )
    if not text.strip():
        return InvalidJSONError("JSON was asked for, and no text came", text=text, position=0)
    message = f"the answer is not JSON: {fault}{_near(text, position)}"
    if answer.finish_reason == "content_filter":
        message += "; the provider's content filter cut the answer"
    if not is_found:
        message += _hint(text)
    return InvalidJSONError(message, text=text, position=position)


def _near(text: str, position: int | None) -> str:
    if position is None:
        return ""
    return f", near {text[max(0, position - _CONTEXT) : position + _CONTEXT]!r}"


def _short(text: str) -> str:
    return repr(text) if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]!r}…"


def _hint(text: str) -> str:
    """What to do about it, where the text has JSON inside of something else."""
    finder = JSONFinder()
    finder.feed(text)
    try:
        finder.finish()
    except InvalidJSONError:
        return ""
    place = "a code fence" if "```" in text else "other text"
    return f"; there is JSON inside {place}: StreamingOptions(json_extract=True) looks for it"
