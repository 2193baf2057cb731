"""The arguments of a call whose server said them more than once.

Servers and gateways begin with an empty object, or repeat them: the whole object behind its pieces,
once more as a JSON text, or all of it so far in every piece. What their pieces add up to is then no
JSON, and it is looked at here; arguments that are JSON never are.
"""

from __future__ import annotations

from steer_llm_sdk.models.strict_json import strict_loads, strict_read

# What is tried at the most: a try costs as much as reading it up to where it is no JSON.
_MOST_TRIES = 1000
_LONGEST = 1_000_000


def said_once(text: str) -> str | None:
    """Return the arguments without what is repeated; None where they are not whole.

    Args:
        text: What was said, from the first piece to the last; it is no JSON as it stands.
    """
    return _behind_nothing(text) or _without_repeats(text) or _last_of_growing(text)


def _behind_nothing(text: str) -> str | None:
    """The object behind an empty one, which only began the call."""
    rest = text.removeprefix("{}").lstrip()
    return rest if _is_object(rest, 0) else None


def _without_repeats(text: str) -> str | None:
    """An object, and behind it nothing but the same again, or a JSON string that holds it."""
    try:
        value, end = strict_read(text, 0)
        at = end
        while at < len(text):
            again, at = strict_read(text, at)
            if again != value and not (isinstance(again, str) and strict_loads(again) == value):
                return None
    except (ValueError, RecursionError):
        return None
    return text[:end].strip() if isinstance(value, dict) else None


def _last_of_growing(text: str) -> str | None:
    """The last of several texts, each of which begins with the one before it."""
    if len(text) > _LONGEST:
        return None
    beginning = text[:1]
    at = text.find(beginning, 1)
    for _ in range(_MOST_TRIES):
        if at < 0:
            return None
        if _is_object(text, at):
            return text[at:] if _is_made_of_beginnings(text, at) else None
        at = text.find(beginning, at + 1)
    return None


def _is_object(text: str, at: int) -> bool:
    """Whether all that stands from a place on is one object."""
    try:
        value, end = strict_read(text, at)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and end == len(text)


def _is_made_of_beginnings(text: str, end: int) -> bool:
    """Whether what stands before a place is made of beginnings of what stands behind it."""
    at = reached = 0
    budget = 4 * end  # what overlaps is looked at again: the work stays linear
    while 0 <= at <= reached < end and budget > 0:
        same = _same(text, at, end)
        reached, budget = max(reached, at + same), budget - same
        at = text.find(text[end], at + 1, end)
    return reached >= end


def _same(text: str, at: int, end: int) -> int:
    """How many characters from `at` on are those from `end` on, at most up to `end`."""
    low, high = 0, min(end - at, len(text) - end)
    step = 1
    while low < high:
        size = min(step, high - low)
        if text.startswith(text[end + low : end + low + size], at + low):
            low += size
            step *= 2
        elif size == 1:
            break
        else:
            step, high = 1, low + size - 1
    return low
