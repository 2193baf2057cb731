"""Keeps what text transformers redact out of all that is no delta: metadata, errors, seals.

A string that the provider sends beside the answer, or that an error quotes, passes the same
transformers as the words do, as a text of its own. What repeats the words in pieces cannot be
checked that way (log probabilities, citations, further choices, the details of reasoning): it is
left out, and so is what a transformer raises on.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias

from steer_llm_sdk.errors import ProviderError, SteerError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.ports import Transformer
from steer_llm_sdk.models.text import without_lone_surrogates
from steer_llm_sdk.pipeline.chain import as_events
from steer_llm_sdk.pipeline.user_errors import USER_ERRORS, await_user_code

_log = logging.getLogger("steer_llm_sdk.streaming")

_Source: TypeAlias = Callable[[], Transformer]

# The keys of a delta that its transformers read: the words, and what names a tool call.
_READ_KEYS = frozenset({"type", "text", "index", "id", "name", "arguments", "call_type"})
# Other keys that are kept, whatever they stand in: what a provider wants back unchanged, and what
# tells it apart. They hold no words; any other key may repeat them.
_SEAL_KEY = re.compile(
    r"(?:.*_)?(?:id|type|kind|index|format|status|phase|namespace|signature|opaque|data)"
    r"|encrypted_\w+"
)
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
# What an error says of the call rather than of the answer.
_OWN_FIELDS = frozenset({"provider", "limit", "partial_response", "quote"})
_NOT_SHOWN = "what came is not shown"
# Where a text that an error quotes was shortened: half a secret may stand before it.
_ELLIPSIS = "…"
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
# JSON inside of JSON (the arguments of a call in a quoted answer), and one more.
_MOST_ESCAPINGS = 3


class Cleaner:
    """Sends texts that are no deltas through one stream's text transformers.

    Args:
        transformers: The transformers that redact, in order, and the instance of each that serves
            the stream's deltas; before the first delta has passed.
    """

    def __init__(self, transformers: Iterable[tuple[Transformer, Transformer]]) -> None:
        self._sources = [_source_of(one, serving) for one, serving in transformers]
        self._has_warned = False

    async def clean_text(self, text: str, *, is_cut: bool = False) -> str:
        """Send one text through the transformers; empty where one of them raises.

        Args:
            text: The text.
            is_cut: Whether its end is missing. What a transformer holds back at the end is then
                left out: it may be the first half of what would have been replaced.
        """
        events: list[StreamEvent] = [StreamDeltaEvent(delta=text)]
        try:
            for source in self._sources:
                events = await _transform_all(source, events, is_cut=is_cut)
        except _Unclean:
            self._warn()
            return ""
        deltas = (event for event in events if isinstance(event, StreamDeltaEvent))
        return "".join(event.get_text() for event in deltas)

    async def clean_value(self, value: Any) -> Any:
        """Send every string in a value through the transformers, each for itself."""
        if isinstance(value, str):
            return await self.clean_text(value)
        if isinstance(value, dict):
            return {key: await self.clean_value(one) for key, one in value.items()}
        if isinstance(value, list):
            return [await self.clean_value(one) for one in value]
        return value

    async def clean_event(self, event: StreamDeltaEvent) -> None:
        """Clean what a delta has beside its words, before its transformers see it."""
        if event.metadata:
            event.metadata = await self.clean_value(event.metadata)
        delta = event.delta
        if isinstance(delta, dict) and not delta.keys() <= _READ_KEYS:
            sealed = {key: await self._seal(key, delta[key]) for key in delta.keys() - _READ_KEYS}
            kept = {key: value for key, value in sealed.items() if value not in _EMPTY}
            event.delta = {key: delta[key] for key in delta if key in _READ_KEYS} | kept

    async def clean_error(self, error: SteerError) -> None:
        """Clean an error's message and fields; it then quotes no bytes, and has no cause."""
        error.__cause__ = error.__context__ = None
        message = str(error)
        if error.quote:
            is_found = error.quote in message
            message = message.replace(error.quote, _NOT_SHOWN) if is_found else _NOT_SHOWN
            if isinstance(error, ProviderError):
                error.body = None
        error.args = (await self._clean_quoted(message) or type(error).__name__,)
        for name in vars(error).keys() - _OWN_FIELDS:
            value = getattr(error, name)
            cleaned = self._clean_quoted if isinstance(value, str) else self.clean_value
            setattr(error, name, await cleaned(value))
        error.quote = ""

    async def _clean_quoted(self, text: str) -> str:
        """Clean a text that may be shortened, or be JSON: what it spells with escapes is read."""
        plain = _without_escapes(text)
        if plain != text and (cleaned := await self._clean_pieces(plain)) != plain:
            return cleaned
        return await self._clean_pieces(text)

    async def _clean_pieces(self, text: str) -> str:
        *cut, last = text.split(_ELLIPSIS)
        pieces = [await self.clean_text(piece, is_cut=True) for piece in cut]
        return _ELLIPSIS.join([*pieces, await self.clean_text(last)])

    async def _seal(self, key: str, value: Any) -> Any:
        """Keep what holds no words: seals, names of kinds, and what they stand in."""
        if isinstance(value, dict):
            inner = {name: await self._seal(name, one) for name, one in value.items()}
            return {name: one for name, one in inner.items() if one not in _EMPTY}
        if isinstance(value, list):
            items = [await self._seal(key, one) for one in value]
            return [one for one in items if one not in _EMPTY]
        if isinstance(value, bool) or not _SEAL_KEY.fullmatch(_CAMEL_CASE.sub("_", key).lower()):
            return value if isinstance(value, bool) else None
        return await self.clean_value(value)

    def _warn(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "a text transformer cannot read what came beside the answer: it is left out"
            )


def has_beside(event: StreamEvent) -> bool:
    """Tell whether an event has something beside the words that its transformers read."""
    if event.metadata:
        return True
    delta = event.delta if isinstance(event, StreamDeltaEvent) else ""
    return isinstance(delta, dict) and not delta.keys() <= _READ_KEYS


_EMPTY: tuple[Any, ...] = (None, "", [], {})


class _Unclean(Exception):  # noqa: N818 - says what became of a text, and never leaves this file
    """A transformer raised, or gave what is no result."""


async def _transform_all(
    source: _Source, events: list[StreamEvent], *, is_cut: bool
) -> list[StreamEvent]:
    one = _call(source)
    if not isinstance(one, Transformer):
        raise _Unclean
    transformed: list[StreamEvent] = []
    for event in events:
        transformed += await _events_of(_call(one.transform, event))
    if not is_cut:
        transformed += await _events_of(_call(getattr(one, "finish", _nothing)))
    return transformed


def _call(function: Callable[..., Any], *arguments: object) -> Any:
    try:
        return function(*arguments)
    except USER_ERRORS as error:
        raise _Unclean from error


async def _events_of(result: Any) -> list[StreamEvent]:
    raised: BaseException | None = None
    if isinstance(result, Awaitable) and not isinstance(result, StreamEvent | list):
        result, raised = await await_user_code(result)
    events = as_events(result)
    if raised is not None or events is None:
        raise _Unclean
    return events


def _source_of(one: Transformer, serving: Transformer) -> _Source:
    """Tell how to get an instance for one more text.

    Where one instance serves all streams, what it remembers of the answer must not meet another
    text, nor the other way round: it is copied as it is before the first delta.
    """
    if serving is not one:
        return one.for_stream
    if not getattr(one, "__dict__", True):
        return lambda: one
    try:
        kept = copy.deepcopy(one)
    except Exception:  # noqa: BLE001 - the user's code: whatever keeps it from being copied
        return _raise_unclean
    return lambda: copy.deepcopy(kept)


def _raise_unclean() -> Transformer:
    raise _Unclean


def _without_escapes(text: str) -> str:
    """Read the escapes of JSON, those of JSON inside of JSON too."""
    for _ in range(_MOST_ESCAPINGS):
        if "\\" not in text:
            break
        text = _ESCAPE.sub(_unescaped, text)
    return without_lone_surrogates(text)


def _unescaped(match: re.Match[str]) -> str:
    code, letter = match.groups()
    return chr(int(code, 16)) if code else _ESCAPED.get(letter, letter)


def _nothing() -> None:
    return None
