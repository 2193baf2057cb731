"""JSON as servers write it: broken UTF-8, half of a surrogate pair, ``NaN``; never without end."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.providers.failures import scrub, shorten

_SHOWN_CHARS = 80

_read = msgspec.json.Decoder().decode


def parse(data: bytes, provider: str) -> Any:
    """The value of a JSON text.

    Bytes that are not UTF-8 and lone surrogates become U+FFFD, as the WHATWG decodes
    (https://encoding.spec.whatwg.org/#utf-8-decode).

    Raises:
        ProtocolError: `data` is not JSON, or is nested too deeply; says what was found.
    """
    try:
        return _read(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        is_too_deep = False
    except RecursionError:
        is_too_deep = True
    # Outside of the `except` block: Python's own errors hold the whole text, which may quote a key,
    # and would stay reachable as the context of this one.
    text = data.decode("utf-8", "replace")
    found = _NOTHING if is_too_deep else _parse_leniently(text)
    if found is _NOTHING:
        raise _not_json(text, provider)
    return found


_NOTHING: Any = object()


def _parse_leniently(text: str) -> Any:
    try:
        value = json.loads(text, strict=False)
        return json.loads(_without_lone_surrogates(json.dumps(value, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return _NOTHING


def _without_lone_surrogates(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _not_json(text: str, provider: str) -> ProtocolError:
    shown = shorten(scrub(text[: _SHOWN_CHARS * 4]), _SHOWN_CHARS)
    return ProtocolError(f"{provider}: expected JSON, found {shown!r}")
