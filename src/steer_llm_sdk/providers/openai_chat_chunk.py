"""One chunk of a chat completion, whatever it carries and however a server spells it.

This is the slow road of `steer_llm_sdk.providers.openai_chat`: it decodes the whole object and looks
at every field. What it does not know is kept, once for each value, in `Extras`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Failure,
    Finish,
    FinishReason,
    Fragment,
    Identity,
    OtherChoice,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.providers.lenient_json import parse
from steer_llm_sdk.providers.openai_chat_content import json_text, read_content, read_reasoning
from steer_llm_sdk.providers.openai_chat_errors import error_object, read_failure
from steer_llm_sdk.providers.openai_chat_usage import read_usage
from steer_llm_sdk.providers.tool_calls import ToolCallIndexes
from steer_llm_sdk.wire.frame import Frame

FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "refusal": "refusal",
    "insufficient_system_resource": "other",
}

# What says nothing of the answer: names, times, padding, the accumulated message.
_CHUNK_FIELDS = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "error", "p", "obfuscation"}
)
_CHOICE_FIELDS = frozenset(
    {"index", "delta", "message", "text", "finish_reason", "error", "logprobs", "token_ids"}
)
_DELTA_FIELDS = frozenset(
    {
        "role",
        "name",
        "index",
        "channel",
        "token_id",
        "content",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "refusal",
        "tool_calls",
        "function_call",
    }
)
_CALL_FIELDS = frozenset({"index", "id", "type", "function", "custom"})

# Chunks that are read in full in the hope of an id and a model. Azure's first has neither; some
# servers never send an id.
_OPENING_CHUNKS = 4

_NAMED_AS_ANSWERS = frozenset({"", "message", "data", "error"})


class _Choice:
    """What one choice has said so far."""

    __slots__ = ("calls", "finish", "has_delta")

    def __init__(self) -> None:
        self.calls = ToolCallIndexes()
        self.finish = ""
        self.has_delta = False


class ChunkReader:
    """Reads the chunks of one stream, and remembers what must not be said twice.

    Attributes:
        is_opening: Whether the response has yet to say who it is.
    """

    def __init__(self, provider: str) -> None:
        self.is_opening = True
        self._provider = provider
        self._choices: dict[int, _Choice] = {}
        self._answered = 0
        self._identity = Identity()
        self._kept: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None

    @property
    def calls(self) -> ToolCallIndexes:
        """The tool calls of choice 0."""
        return self._state(0).calls

    def read(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one frame.

        Raises:
            ProtocolError: The frame is not JSON, or not an object.
        """
        data = frame.data.strip()
        if data == b"[DONE]":
            # A server that failed before its first word may still say so: that is no answer.
            return (End(),) if self._answered else ()
        if frame.event not in _NAMED_AS_ANSWERS:
            return ()
        try:
            chunk = parse(data, self._provider)
        except ProtocolError:
            if frame.event != "error":
                raise
            chunk = {"error": data.decode("utf-8", "replace")}
        if not isinstance(chunk, dict):
            if frame.event != "error":
                raise ProtocolError(
                    f"{self._provider}: expected a JSON object, found {type(chunk).__name__}"
                )
            chunk = {"error": json_text(chunk)}
        return self._read_object(chunk, is_error=frame.event == "error")

    def _read_object(self, chunk: dict[str, Any], *, is_error: bool) -> list[Fragment]:
        found: list[Fragment] = []
        kept = self._news(chunk, _CHUNK_FIELDS)
        error = self._error_of(chunk, is_error=is_error)
        self._identify(chunk, found)
        choices = chunk.get("choices")
        for position, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict):
                error = self._read_choice(choice, position, kept, found) or error
        if kept:
            found.insert(0, Extras(kept))
        self._read_usage(chunk, found)
        if error is not None:
            failure = read_failure(self._provider, error, self._identity.response_id)
            found.append(Failure(failure))
        return found

    def _error_of(self, chunk: dict[str, Any], *, is_error: bool) -> dict[str, Any] | None:
        if chunk.get("error") or chunk.get("object") == "error":
            return error_object(chunk)
        return chunk if is_error else None

    def _identify(self, chunk: dict[str, Any], found: list[Fragment]) -> None:
        if not self.is_opening:
            return
        known = self._identity
        identity = Identity(
            known.response_id or _word(chunk.get("id")), known.model or _word(chunk.get("model"))
        )
        if identity != known:
            self._identity = identity
            found.append(identity)

    def _read_usage(self, chunk: dict[str, Any], found: list[Fragment]) -> None:
        raw = chunk.get("usage")
        if not raw and isinstance(groq := chunk.get("x_groq"), dict):
            raw = groq.get("usage")
        if not isinstance(raw, dict) or raw == self._usage:
            return
        counts = read_usage(raw)
        if counts:
            self._usage = raw
            found.append(Usage(counts, raw))

    # --- one choice ---------------------------------------------------------------------------

    def _state(self, index: int) -> _Choice:
        return self._choices.setdefault(index, _Choice())

    def _read_choice(
        self, choice: dict[str, Any], position: int, kept: dict[str, Any], found: list[Fragment]
    ) -> dict[str, Any] | None:
        """Add what the choice says to `found`; give the error that it carries."""
        index = choice.get("index")
        if isinstance(index, bool) or not isinstance(index, int):
            index = position
        self._answered += 1
        if (self._identity.response_id and self._identity.model) or (
            self._answered >= _OPENING_CHUNKS
        ):
            self.is_opening = False
        state = self._state(index)
        said: list[Fragment] = []
        metadata = _with_words(choice)
        delta = self._delta_of(choice, state)
        if delta is not None:
            self._read_delta(delta, state, metadata, said)
        error = self._read_finish(choice, state, said)
        if index == 0:
            kept.update(self._news(choice, _CHOICE_FIELDS))
            kept.update(self._news(delta or {}, _DELTA_FIELDS))
            kept.update(metadata)
            found.extend(said)
        else:
            found.extend(_of_other(index, said))
        for extras in [f for f in found if isinstance(f, Extras)]:
            found.remove(extras)
            kept.update(extras.metadata)
        return error

    @staticmethod
    def _delta_of(choice: dict[str, Any], state: _Choice) -> dict[str, Any] | None:
        """The delta; or the message, where a server sends the whole answer at once."""
        delta = choice.get("delta")
        if isinstance(delta, dict):
            state.has_delta = True
            return delta
        message = choice.get("message")
        return message if isinstance(message, dict) and not state.has_delta else None

    def _read_delta(
        self,
        delta: dict[str, Any],
        state: _Choice,
        metadata: dict[str, Any],
        said: list[Fragment],
    ) -> None:
        """Add what the delta says; `metadata` of words goes with the first of them."""
        said.extend(read_reasoning(delta))
        for fragment in read_content(delta.get("content")):
            if metadata and isinstance(fragment, str):
                said.append(Text(fragment, dict(metadata)))
                metadata.clear()
            else:
                said.append(fragment)
        if refusal := _word(delta.get("refusal")):
            said.append(Refusal(refusal))
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and (piece := _read_call(call, state.calls)) is not None:
                said.append(piece)
        # The form that tool calls had before there could be several.
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            piece = _read_call({"index": 0, "function": legacy}, state.calls)
            if piece is not None:
                said.append(piece)

    @staticmethod
    def _read_finish(
        choice: dict[str, Any], state: _Choice, said: list[Fragment]
    ) -> dict[str, Any] | None:
        error = error_object({"error": choice.get("error")})
        reason = choice.get("finish_reason")
        if reason is None or reason == "":
            return error
        reason = str(reason)
        if reason == "error":
            return error or {"type": "server_error", "message": "the answer ended in an error"}
        if reason != state.finish:
            state.finish = reason
            said.append(Finish(FINISH_REASONS.get(reason.lower(), "other"), reason))
        return error

    def _news(self, fields: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
        """The fields outside `known` that say something which they have not said before."""
        news: dict[str, Any] = {}
        for key, value in fields.items():
            if key in known or value is None or value in ("", [], {}):
                continue
            if key not in self._kept or self._kept[key] != value:
                self._kept[key] = news[key] = value
        return news


def _with_words(choice: dict[str, Any]) -> dict[str, Any]:
    """What belongs to the words of a choice: log-probabilities and the numbers of the tokens."""
    metadata: dict[str, Any] = {}
    logprobs = choice.get("logprobs")
    if isinstance(logprobs, dict) and any(logprobs.values()):
        metadata["logprobs"] = logprobs
    if token_ids := choice.get("token_ids"):
        metadata["token_ids"] = token_ids
    return metadata


def _of_other(index: int, said: list[Fragment]) -> list[Fragment]:
    kinds = (str, Text, Reasoning, ToolCallPiece, Refusal, Finish)
    return [OtherChoice(index, fragment) for fragment in said if isinstance(fragment, kinds)]


def _read_call(call: dict[str, Any], calls: ToolCallIndexes) -> ToolCallPiece | None:
    index = call.get("index")
    index = index if isinstance(index, int) and not isinstance(index, bool) else None
    custom = call.get("custom")
    function = custom if isinstance(custom, dict) else call.get("function")
    if not isinstance(function, dict):
        function = {}
    arguments = function.get("input" if function is custom else "arguments")
    extra = {k: v for k, v in call.items() if k not in _CALL_FIELDS and v is not None}
    return calls.settle(
        index,
        _word(call.get("id")),
        _word(function.get("name")),
        arguments if isinstance(arguments, str) else json_text(arguments),
        "custom" if function is custom else "function",
        extra or None,
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
