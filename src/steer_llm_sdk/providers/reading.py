"""What the decoders of all wire formats need to read JSON that a server wrote.

JSON is read as servers write it (broken UTF-8, half of a surrogate pair, ``NaN``), and a field is
believed only where it has the type that it should have: these readers give nothing for anything
else, and never raise for it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.text import without_lone_surrogates
from steer_llm_sdk.providers.failures import scrub, shorten
from steer_llm_sdk.wire.frame import Frame

JSONObject: TypeAlias = dict[str, Any]

_SHOWN_CHARS = 80
_NOTHING: Any = object()
_END_NAMES = frozenset({"done", "end", "close", "complete", "completed", "finish", "finished"})
_END_WORDS = frozenset({b"DONE", b"END"})
_BRACKETS = b'"[]<> '
_OPENING = (b"[", b'"[', b"<")
_CLOSING = (b"]", b']"', b">")
_KEEP_ALIVE = re.compile(
    rb"|null|\"\"|\[\]|:.*"
    rb"|\W*(?:keep[-_ ]?alive|ping|pong|heartbeat|noop|(?:openrouter )?processing)\W*",
    re.IGNORECASE | re.DOTALL,
)
_KEEP_ALIVE_NAMES = frozenset(
    {"ping", "pong", "heartbeat", "keepalive", "keep-alive", "keep_alive", "noop"}
)
_LONGEST_KEEP_ALIVE = 100
_DIGITS = re.compile(r"[0-9]{1,19}")

# Where one payload may end and another begin, and what a gateway leaves of the line between them.
# (A pattern that begins with a letter of its own is looked for forty times as fast as one of
# alternatives; so the ends of a frame are looked at apart.)
_SEAM = re.compile(rb"\}(?:\s|\\[rn])*(?:data:\s*)?[\[{]")
_BEGINNINGS = (b"data:", b"[{")
_ENDS = (b"\\n", b"\\r")
_BETWEEN = re.compile(r"(?:\s|\\[rn])*(?:data:\s*)*")
_DONE = "[DONE]"
_PATIENT = json.JSONDecoder(strict=False)

_read = msgspec.json.Decoder().decode


# --- the value of a text ----------------------------------------------------------------------


def parse_json(data: bytes, provider: str) -> Any:
    """Parse a JSON text leniently.

    Bytes that are not UTF-8 and lone surrogates become U+FFFD, as the WHATWG decodes
    (https://encoding.spec.whatwg.org/#utf-8-decode).

    Where an event broke off and an error was written into it, the error is what is given.

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
        found = _error_behind(text)
    if found is _NOTHING:
        raise _not_json(text, provider)
    return found


# Where an error may begin behind an event that broke off, and how many places are looked at.
_ERROR = re.compile(r'\{\s*"(?:error|type|event|object|message|detail)"')
_MOST_ERRORS = 4


def _error_behind(text: str) -> Any:
    """The error that a gateway wrote into an event which it had begun and could not finish.

    The first that is whole: an error may hold another, which stands behind its beginning.
    """
    places = [match.start() for match in _ERROR.finditer(text)][-_MOST_ERRORS:]
    for place in places:
        found = _parse_leniently(text[place:])
        if isinstance(found, dict) and (found.get("error") or found.get("type") == "error"):
            return found
    return _NOTHING


def parse_object(data: bytes, provider: str) -> JSONObject:
    """Parse a JSON text that must be an object.

    Raises:
        ProtocolError: `data` is not JSON, or not an object, or is nested too deeply.
    """
    return expect_object(parse_json(data, provider), provider)


def expect_object(value: object, provider: str) -> JSONObject:
    """Return the value, which must be an object.

    Raises:
        ProtocolError: It is something else; says what.
    """
    if isinstance(value, dict):
        return value
    found = type(value).__name__
    raise ProtocolError(f"{provider}: expected a JSON object, found one of type {found}")


def _parse_leniently(text: str) -> Any:
    try:
        value = json.loads(text, strict=False)
        return json.loads(without_lone_surrogates(json.dumps(value, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return _NOTHING


def _not_json(text: str, provider: str) -> ProtocolError:
    shown = shorten(scrub(text[: _SHOWN_CHARS * 4]), _SHOWN_CHARS)
    error = ProtocolError(f"{provider}: expected JSON, found {shown!r}")
    error.quote = repr(shown)
    return error


def frames_in(frame: Frame) -> Sequence[Frame]:
    """The frames of one, where a gateway wrote several payloads as one, or wrapped one twice.

    ``data: {…}{…}``, ``data: {…}data: [DONE]``, ``data: data: {…}``, line ends that are escaped,
    a list of payloads. What only looks so, within a text, stays one: then `frame` is all there is.
    """
    data = frame.data
    is_wrapped = data.startswith(_BEGINNINGS) or data.endswith(_ENDS)
    if not is_wrapped and _SEAM.search(data) is None:
        return (frame,)
    text = frame.data.decode("utf-8", "replace")
    found: list[Frame] = []
    try:
        at = _next(text, 0)
        while at < len(text):
            value, end = _read_payload(text, at)
            listed = value if isinstance(value, list) else [text[at:end]]
            found += [_as_frame(each, frame.event) for each in listed]
            at = _next(text, end)
    except (ValueError, RecursionError):
        return (frame,)
    is_same = len(found) == 1 and found[0].data == frame.data
    return (frame,) if is_same else found


def _next(text: str, at: int) -> int:
    """The place of the payload that follows."""
    return _BETWEEN.match(text, at).end()  # type: ignore[union-attr]


def _read_payload(text: str, at: int) -> tuple[Any, int]:
    end = at + len(_DONE)
    return (None, end) if text[at:end] == _DONE else _PATIENT.raw_decode(text, at)


def _as_frame(payload: object, event: str) -> Frame:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return Frame(text.encode("utf-8", "replace"), event)


def is_keep_alive(frame: Frame) -> bool:
    """Whether a frame only shows that the connection lives, while a model thinks.

    Some gateways send what should be a comment (``: keep-alive``), or a bare ``ping``, as data; or
    an event of such a name, with the time as its data.
    """
    if frame.event in _KEEP_ALIVE_NAMES:
        return True
    data = frame.data
    return len(data) < _LONGEST_KEEP_ALIVE and _KEEP_ALIVE.fullmatch(data.strip()) is not None


def is_end(frame: Frame) -> bool:
    """Whether this is the end of a stream as chat completions have it, or under another name.

    ``[DONE]``, ``DONE``, ``event: done``, ``{"type": "done"}``: gateways write them behind streams
    of other formats.
    """
    data = frame.data.strip()
    word = data.strip(_BRACKETS)
    # Whole: a marker that is cut is none.
    if word.upper() in _END_WORDS and data.startswith(_OPENING) == data.endswith(_CLOSING):
        return True
    if frame.event in _END_NAMES and data in {b"{}", b"null", b'""'}:
        return True
    return len(data) < _LONGEST_KEEP_ALIVE and _names_the_end(data)


def _names_the_end(data: bytes) -> bool:
    """Whether an object says that it is the end, and no more: ``{"type": "done"}``."""
    try:
        value = _read(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict) or len(value) != 1:
        return False
    word = value.get("type", value.get("event"))
    return value.get("done") is True or (isinstance(word, str) and word in _END_NAMES)


# --- a value, where it has the type that is expected --------------------------------------------


def as_string(value: object) -> str | None:
    """Return the value where it is a string that is not empty."""
    return value if isinstance(value, str) and value else None


def as_int(value: object) -> int | None:
    """Return the value where it is a whole number, or one that became a text: ``"1"``."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_object(value: object) -> JSONObject:
    """Return the value where it is an object; an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return the value where it is a list; an empty one otherwise."""
    return value if isinstance(value, list) else []


def as_objects(value: object) -> list[JSONObject]:
    """Return the objects in the value, where it is a list."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def listed(value: object) -> list[JSONObject]:
    """Return the objects in a list; a server that knows but one may write no list around it."""
    return as_objects([value] if isinstance(value, dict) else value)


def unpacked(error: object) -> object:
    """Return the error that a gateway has put into a text, as JSON, or into another one.

    Anything else as it is.
    """
    while isinstance(error, dict) and isinstance(error.get("error"), dict) and _says_no_more(error):
        error = error["error"]
    if not isinstance(error, str) or not error.startswith("{"):
        return error
    try:
        found = _read(error)
    except (ValueError, RecursionError):
        return error
    inner = unpacked(found.get("error", found))
    return inner if text_at(as_object(inner), "message") else error


def _says_no_more(error: JSONObject) -> bool:
    """Whether an error has no words of its own, beside the one within it."""
    return not any(isinstance(error.get(key), str) for key in ("message", "code", "status"))


def text_at(holder: Mapping[str, Any], key: str) -> str:
    """Return the string under a key; an empty one where there is none."""
    value = holder.get(key)
    return value if isinstance(value, str) else ""


def object_at(holder: Mapping[str, Any], key: str) -> JSONObject:
    """Return the object under a key; an empty one where there is none."""
    return as_object(holder.get(key))


def objects_at(holder: Mapping[str, Any], key: str) -> list[JSONObject]:
    """Return the objects in the list under a key."""
    return as_objects(holder.get(key))


# --- a value as text --------------------------------------------------------------------------


def json_text(value: object) -> str:
    """Return a string as it is and anything else as JSON; an empty string for None."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()


def joined_base64(pieces: Iterable[str]) -> str:
    """Join pieces that are each base64 of its own; those that are none are left out."""
    return base64.b64encode(b"".join(map(_bytes_of, pieces))).decode()


def _bytes_of(piece: str) -> bytes:
    try:
        return base64.b64decode(piece)
    except ValueError:
        return b""


def arguments_text(arguments: object, provider: str) -> str:
    """Format arguments that came as an object as JSON text.

    Their keys are sorted: their order on the wire means nothing.

    Raises:
        ProtocolError: They are nested too deeply to be written.
    """
    try:
        return json.dumps(arguments, sort_keys=True, ensure_ascii=False)
    except RecursionError:
        raise ProtocolError(
            f"{provider}: the arguments of a function call are nested too deeply"
        ) from None
