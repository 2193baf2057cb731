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


class PartReader:
    """Reads the parts of one candidate, in their order.

    Args:
        provider: The name that errors carry.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls = 0  # calls that have begun
        self._said: set[tuple[str, str, str]] = set()  # calls, by their ids, names and arguments
        self._open: PartialArguments | None = None  # of the last call, while it goes on

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
        self, call: JSONObject, extra: JSONObject | None
    ) -> Iterator[ToolCallPiece | Extras]:
        """A whole call, or a piece of one: only its first piece has a name."""
        name, call_id = as_string(call.get("name")), as_string(call.get("id"))
        beside = {key: value for key, value in call.items() if value and key not in _READ_OF_CALLS}
        extra = {**beside, **(extra or {})} or None
        is_whole = not call.get("willContinue")
        if name is not None:
            if call_id and self._was_said(call_id, name, call):
                return  # copies repeat the calls in each frame
            self._calls += 1
            if is_whole and not call.get("partialArgs"):
                self._open = None
                text = self._arguments_of(call)
                yield self._piece(call_id, name, text, extra, is_whole=True)
                return
            self._open = PartialArguments(self._provider, object_at(call, "args"))
            yield self._piece(call_id, name, "", extra)
        elif extra:  # beside a piece that only goes on, or ends its call
            yield self._piece(call_id, None, "", extra) if self._open else Extras(extra)
        if self._open is not None:
            yield from self._continue(self._open, call, is_whole=is_whole)

    def _was_said(self, call_id: str, name: str, call: JSONObject) -> bool:
        key = (call_id, name, self._arguments_of(call))
        is_known = key in self._said
        self._said.add(key)
        return is_known

    def _arguments_of(self, call: JSONObject) -> str:
        """The arguments of a whole call; copies write them as text."""
        given = call.get("args") or {}
        return given if isinstance(given, str) else arguments_text(given, self._provider)

    def _continue(
        self, arguments: PartialArguments, call: JSONObject, *, is_whole: bool
    ) -> Iterator[ToolCallPiece]:
        for piece in as_list(call.get("partialArgs")):
            arguments.add(as_object(piece))
        if is_whole:
            self._open = None
            text = arguments_text(arguments.finish(), self._provider)
            yield self._piece(None, None, text, None, is_whole=True)

    def _piece(
        self,
        call_id: str | None,
        name: str | None,
        arguments: str,
        extra: JSONObject | None,
        *,
        is_whole: bool = False,
    ) -> ToolCallPiece:
        index = self._calls - 1
        return ToolCallPiece(index, call_id, name, arguments, is_whole=is_whole, extra=extra)


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
