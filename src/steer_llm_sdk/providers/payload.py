"""Reading a frame's JSON with patience: for the frames that the fast, typed road does not take.

Providers cut characters in half, and put unpaired surrogates into escapes. One damaged character
is no reason to lose an answer: it is replaced, as a browser would.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.providers.failures import scrub, shorten

MAX_QUOTED_CHARS = 80

# An escaped backslash, a pair of surrogates (both stay), or a surrogate alone (replaced).
_ESCAPES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def read_object(data: bytes, provider: str) -> dict[str, Any]:
    """The JSON object of a frame.

    Args:
        data: The frame's payload. Bytes that are not UTF-8 and unpaired surrogates are replaced.
        provider: The provider's name, for the error.

    Raises:
        ProtocolError: The payload is not JSON, is nested too deeply to be read, or is no object.
    """
    try:
        value = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        value = _read_mended(data, provider)
    if not isinstance(value, dict):
        raise ProtocolError(
            f"{provider}: expected a JSON object in a frame, found {quote(data)} "
            f"({type(value).__name__})"
        )
    return value


def quote(data: bytes) -> str:
    """The beginning of a payload as it may stand in a message: short, and without keys."""
    text = data[: MAX_QUOTED_CHARS * 4].decode("utf-8", "replace")
    return repr(shorten(scrub(text), MAX_QUOTED_CHARS))


def _read_mended(data: bytes, provider: str) -> Any:
    text = _ESCAPES.sub(_mend, data.decode("utf-8", "replace"))
    try:
        return msgspec.json.decode(text)
    except ValueError:
        raise ProtocolError(f"{provider}: a frame is not JSON: {quote(data)}") from None
    except RecursionError:
        raise ProtocolError(f"{provider}: the JSON of a frame is nested too deeply") from None


def _mend(match: re.Match[str]) -> str:
    return r"\ufffd" if match[1] else match[0]
