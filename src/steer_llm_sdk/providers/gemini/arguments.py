"""The arguments of a Gemini function call that are told piece by piece.

https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling: each piece
names a place by a JSONPath (``$.steps[2].text``) and brings a value for it, or a part of a text
there. The places come in no promised order, so the object is put together, and given out whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.providers.failures import shorten

_SHOWN_CHARS = 80

# The steps of https://www.rfc-editor.org/rfc/rfc9535#name-normalized-paths, and the dotted ones.
_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]]+) | \[(?P<index>\d{1,9})\]
      | \['(?P<single>(?:[^'\\]|\\.)*)'\] | \["(?P<double>(?:[^"\\]|\\.)*)"\]""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MAX_STEPS = 100  # deeper than any schema; keeps what is built writable as JSON

_VALUES = ("stringValue", "numberValue", "boolValue")

_Step: TypeAlias = str | int


class PartialArguments:
    """Puts one call's arguments together; the work is linear in the pieces.

    Args:
        provider: The name that errors carry.
        known: What of the arguments came whole.
    """

    def __init__(self, provider: str, known: Mapping[str, Any]) -> None:
        self._provider = provider
        self._arguments: dict[str, Any] = dict(known)
        self._open_texts: dict[str, list[str]] = {}  # by path: the texts that go on

    def add(self, piece: Mapping[str, Any]) -> None:
        """Take one piece.

        Raises:
            ProtocolError: Its path is not one, or does not fit what is there.
        """
        path = piece.get("jsonPath")
        text = piece.get("stringValue")
        if isinstance(path, str) and isinstance(text, str):
            self._open_texts.setdefault(path, []).append(text)
            if not piece.get("willContinue"):
                self._put(path, "".join(self._open_texts.pop(path)))
        elif any(key in piece for key in (*_VALUES, "nullValue")):
            self._put(path, next((piece[key] for key in _VALUES if key in piece), None))

    def finish(self) -> dict[str, Any]:
        """The arguments: the call is whole."""
        for path, texts in self._open_texts.items():
            self._put(path, "".join(texts))
        self._open_texts.clear()
        return self._arguments

    def _put(self, path: object, value: object) -> None:
        steps = _steps(path)
        if not steps or len(steps) > _MAX_STEPS:
            raise self._misfit(path)
        place: Any = self._arguments
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            is_last = following is None
            fresh = value if is_last else [] if isinstance(following, int) else {}
            if not _make_room(place, step, fresh, is_last=is_last):
                raise self._misfit(path)
            place = place[step]

    def _misfit(self, path: object) -> ProtocolError:
        shown = shorten(repr(path), _SHOWN_CHARS)
        error = ProtocolError(
            f"{self._provider}: expected the path of a function's argument, found {shown}"
        )
        error.quote = shown
        return error


def _make_room(place: Any, step: _Step, fresh: object, *, is_last: bool) -> bool:
    """Put `fresh` at a step, where it is the value or nothing is there; False where none fits."""
    if isinstance(step, str):
        if not isinstance(place, dict):
            return False
        if is_last or step not in place:
            place[step] = fresh
        return True
    # An array grows by one at a time: a path must not be able to ask for a million places.
    if not isinstance(place, list) or step > len(place):
        return False
    if step == len(place):
        place.append(fresh)
    elif is_last:
        place[step] = fresh
    return True


def _steps(path: object) -> list[_Step]:
    """The steps of a path; none where it is not one."""
    if not isinstance(path, str) or not path.startswith("$"):
        return []
    steps: list[_Step] = []
    at = 1
    while match := _STEP.match(path, at):
        at = match.end()
        steps.append(_step(match))
    return steps if at == len(path) else []


def _step(match: re.Match[str]) -> _Step:
    if match["index"] is not None:
        return int(match["index"])
    if match["name"] is not None:
        return match["name"]
    quoted = match["single"] if match["single"] is not None else match["double"]
    return _ESCAPE.sub(r"\1", quoted)
