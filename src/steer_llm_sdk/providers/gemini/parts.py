"""The parts of a Gemini candidate, and the fragments that they are.

https://ai.google.dev/api/caching#Part: a part holds one of several things, each under its own key.
Text and function calls are what the stream is about; thoughts are text with a flag. Everything else
(code that the provider ran, its output, images, searches) is kept as it came, in metadata.

A ``thoughtSignature`` can hang on any part, and has to come back with it in the next request:
https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from steer_llm_sdk.models.fragments import (
    Extras,
    File,
    PartData,
    PartEnd,
    ProviderItem,
    Reasoning,
    Text,
    ToolCallPiece,
)
from steer_llm_sdk.providers.gemini.arguments import PartialArguments
from steer_llm_sdk.providers.reading import (
    JSONObject,
    arguments_text,
    as_list,
    as_object,
    as_string,
    object_at,
)

PartFragment: TypeAlias = (
    str | Text | Reasoning | ToolCallPiece | File | ProviderItem | PartData | PartEnd | Extras
)

_SIGNATURE = "thoughtSignature"

# What has a place of its own; whatever stands beside it in a part is kept in metadata.
_READ = frozenset({"text", "thought", "functionCall", _SIGNATURE})
# What a part holds in place of words; from some servers beside them.
_CONTENT = ("inlineData", "fileData", "executableCode", "codeExecutionResult", "functionResponse")
_READ_OF_CALLS = frozenset({"id", "name", "args", "partialArgs", "willContinue"})


class _OpenCall(msgspec.Struct):
    """A call that goes on: its number among the calls, and its arguments so far."""

    number: int
    arguments: PartialArguments


class PartReader:
    """Reads the parts of one candidate, in their order.

    Args:
        provider: The name that errors carry.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls = 0  # calls that have begun
        self._said: dict[tuple[str | None, str, str], int] = {}  # whole calls, and their numbers
        self._signed: set[int] = set()  # the numbers of those that are
        self._open: _OpenCall | None = None  # the last call, while it goes on
        self._open_by_id: dict[str, _OpenCall] = {}

    @property
    def has_calls(self) -> bool:
        """Whether the candidate has called a function."""
        return self._calls > 0

    def read(self, part: JSONObject) -> Iterator[PartFragment]:
        """The fragments of one part.

        Raises:
            ProtocolError: The arguments of a function call make no sense.
        """
        signature = part.get(_SIGNATURE)
        extra = {_SIGNATURE: signature} if isinstance(signature, str) and signature else None
        text = part.get("text")
        call = part.get("functionCall")
        content = {key: part[key] for key in _CONTENT if part.get(key)}
        if content and text == "":
            text = None
        if isinstance(call, dict) or isinstance(text, str):
            beside = {key: value for key, value in part.items() if value and key not in _READ}
            if beside:
                yield Extras({"parts": [beside]})
            if content:
                yield _as_part(content, None)
        if isinstance(call, dict):
            yield from self._read_call(call, extra)
        elif isinstance(text, str):
            yield from _read_text(text, extra, is_thought=bool(part.get("thought")))
        elif part:
            yield Extras({"parts": [part]})
            yield _as_part(part, extra)

    def _read_call(
        self, call: JSONObject, signature: JSONObject | None
    ) -> Iterator[ToolCallPiece | Extras]:
        """A whole call, or a piece of one: mostly only its first piece has a name."""
        name, call_id = as_string(call.get("name")), as_string(call.get("id"))
        beside = {key: value for key, value in call.items() if value and key not in _READ_OF_CALLS}
        extra = {**beside, **(signature or {})} or None
        going_on = self._open_by_id.get(call_id) if call_id else None
        if name is not None and going_on is None:
            if call.get("willContinue") or call.get("partialArgs"):
                self._open = going_on = self._begin(call_id, call)
                yield ToolCallPiece(going_on.number, call_id, name, extra=extra)
            else:
                self._open = None
                yield from self._read_whole(name, call_id, call, extra, is_signed=bool(signature))
                return
        else:
            self._open = going_on = going_on or self._open
            if extra:  # beside a piece that only goes on, or ends its call
                number = None if going_on is None else going_on.number
                yield Extras(extra) if number is None else ToolCallPiece(number, extra=extra)
        if going_on is not None:
            yield from self._continue(going_on, call)

    def _begin(self, call_id: str | None, call: JSONObject) -> _OpenCall:
        begun = _OpenCall(self._calls, PartialArguments(self._provider, object_at(call, "args")))
        self._calls += 1
        if call_id:
            self._open_by_id[call_id] = begun
        return begun

    def _read_whole(
        self,
        name: str,
        call_id: str | None,
        call: JSONObject,
        extra: JSONObject | None,
        *,
        is_signed: bool,
    ) -> Iterator[ToolCallPiece]:
        """A whole call, once: copies repeat calls in each frame, and the signature may come then.

        Of calls without an id that are the same, only one which brings a signature is a repetition:
        of calls side by side, the first has it.
        """
        arguments = self._arguments_of(call)
        key = (call_id, name, arguments)
        number = self._said.get(key)
        is_news = is_signed and number not in self._signed
        if number is None or not (call_id or is_news):
            number = self._said[key] = self._calls
            self._calls += 1
            yield ToolCallPiece(number, call_id, name, arguments, is_whole=True, extra=extra)
        elif is_news:
            yield ToolCallPiece(number, extra=extra)
        if is_signed:
            self._signed.add(number)

    def _arguments_of(self, call: JSONObject) -> str:
        """The arguments of a whole call; copies write them as text."""
        given = call.get("args") or {}
        return given if isinstance(given, str) else arguments_text(given, self._provider)

    def _continue(self, going_on: _OpenCall, call: JSONObject) -> Iterator[ToolCallPiece]:
        arguments = going_on.arguments
        for piece in as_list(call.get("partialArgs")):
            arguments.add(as_object(piece))
        if not call.get("willContinue"):
            self._open = None
            self._open_by_id = {k: v for k, v in self._open_by_id.items() if v is not going_on}
            text = arguments_text(arguments.finish(), self._provider)
            yield ToolCallPiece(going_on.number, arguments=text, is_whole=True)


def _read_text(text: str, extra: JSONObject | None, *, is_thought: bool) -> Iterator[PartFragment]:
    if is_thought:
        if text or extra:
            yield Reasoning(text, extra=extra)
        if extra:
            yield PartEnd("reasoning")
    elif extra is None:
        if text:
            yield text
    else:
        # What is signed goes back as it came, not joined with what is not.
        yield PartEnd("text")
        yield PartData("text", extra)
        # An empty delta is never emitted: a signature on no words rides on the next event.
        yield Text(text, extra) if text else Extras(extra)
        yield PartEnd("text")


def _as_part(part: JSONObject, extra: JSONObject | None) -> File | ProviderItem:
    """A part that is neither words nor a call: a file, or what the provider did itself."""
    inline, link = object_at(part, "inlineData"), object_at(part, "fileData")
    data, url = as_string(inline.get("data")), as_string(link.get("fileUri"))
    if part.get("thought") or not (data or url):
        return ProviderItem(part)
    media_type = as_string((inline or link).get("mimeType")) or ""
    return File(media_type, data=data, url=url, extra=extra or {"mimeType": media_type})
