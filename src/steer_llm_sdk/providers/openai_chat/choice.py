"""What one choice of a chunk says, and what it has said before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from steer_llm_sdk.models.fragments import (
    File,
    Finish,
    Fragment,
    PartData,
    PartEnd,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
)
from steer_llm_sdk.providers.endings import failure, is_reason, meaning
from steer_llm_sdk.providers.openai_chat.content import (
    REASONING_FIELDS,
    has_thought,
    is_marked_as_thought,
    may_reason,
    plain_detail,
    read_content,
    read_reasoning,
    reasoning_field,
    sealed,
    seals_block,
    seals_of_words,
    thought_apart,
    without_closing_tag,
)
from steer_llm_sdk.providers.openai_chat.errors import error_object
from steer_llm_sdk.providers.openai_chat.sound import Sound
from steer_llm_sdk.providers.openai_chat.tool_calls import ToolCallIndexes
from steer_llm_sdk.providers.reading import (
    as_int,
    as_object,
    as_string,
    json_text,
    listed,
    text_at,
)

# What is read here, or says nothing: roles, padding, numbers of tokens, the accumulated message.
_CHOICE_FIELDS = frozenset(
    {
        "index",
        "delta",
        "message",
        "text",
        "finish_reason",
        "finishReason",
        "error",
        "logprobs",
        "token_ids",
        "usage",
    }
)
_DELTA_FIELDS = frozenset(
    {
        "role",
        "name",
        "index",
        "channel",
        "token_id",
        "content",
        "audio",
        *REASONING_FIELDS,
        "refusal",
        "tool_calls",
        "function_call",
    }
)
_CALL_FIELDS = frozenset({"index", "id", "type", "function", "custom"})
_FUNCTION_FIELDS = frozenset({"name", "arguments", "input"})


class ChoiceReader:
    """Reads one choice through all its chunks.

    Attributes:
        calls: Its tool calls so far.
        has_reasoned: Whether the field of its reasoning has been told, of the part that is open.
        is_thinking: Whether the last words were thoughts, in the place of words.
    """

    __slots__ = (
        *("_detail", "_field", "_finish", "_has_delta", "_is_sealed", "_sound"),
        *("calls", "has_reasoned", "is_thinking"),
    )

    def __init__(self) -> None:
        self.calls = ToolCallIndexes()
        self._sound = Sound()
        self._finish = ""
        self._has_delta = False
        self._is_sealed = False
        self.has_reasoned = False
        self.is_thinking = False
        self._field: str | None = None
        self._detail: object = None  # the index of the detail of which the reasoning is a part

    def read(self, choice: dict[str, Any], extras: dict[str, Any]) -> list[Fragment]:
        """The fragments of the choice in this chunk; what else it holds is put into `extras`."""
        found: list[Fragment] = []
        with_words = _with_words(choice)
        delta = self._delta_of(choice)
        # Most have nothing unknown, and no reasoning: that is seen at once.
        if not choice.keys() <= _CHOICE_FIELDS:
            extras.update(_unknown(choice, _CHOICE_FIELDS))
        if "message" in choice:
            extras.update(_unknown(as_object(choice["message"]), _DELTA_FIELDS))
        if not delta.keys() <= _DELTA_FIELDS:
            extras.update(_unknown(delta, _DELTA_FIELDS | sealed(delta).keys()))
        if may_reason(delta):
            found += self._about_reasoning(delta)
            found += read_reasoning(delta)
            if seals_block(delta):  # what comes behind it is another part
                self._is_sealed, self.has_reasoned = True, False
        words, others = self._said(delta)
        first = words[0] if words else None
        if with_words and isinstance(first, str):
            found += [Text(first, with_words), *words[1:]]
        else:
            extras.update(with_words)
            found += words
        if others:
            extras["content_parts"] = others
        if seals := seals_of_words(delta):
            found.append(PartData("text", seals))
        if "audio" in delta and (spoken := self._sound.read(as_object(delta["audio"]))):
            found.append(spoken)
        if refusal := text_at(delta, "refusal"):
            found.append(Refusal(refusal))
        found += self._pieces(delta, choice)
        ending = self._finish_of(choice)
        return [*found, *(self.end() if ending else ()), *ending]

    def _said(self, delta: dict[str, Any]) -> tuple[list[str | Reasoning], list[Any]]:
        """The words of the content; Gemini's copy puts thoughts in their place, and says so."""
        words, others = read_content(delta.get("content"))
        if is_marked_as_thought(delta):
            words = [part for each in words for part in thought_apart(each)]
            self.is_thinking = True
        elif words and self.is_thinking:
            words = without_closing_tag(words)
            self.is_thinking = False
        return words, others

    def end(self) -> list[File]:
        """What is whole with the answer: its sound."""
        return self._sound.end()

    def _about_reasoning(self, delta: dict[str, Any]) -> Iterator[PartData | PartEnd]:
        """Before the first words of a part of reasoning: how it has to be sent back."""
        if self._is_sealed and has_thought(delta):
            self._is_sealed = False
            yield PartEnd("reasoning")
        detail, field = plain_detail(delta), reasoning_field(delta)
        if self.has_reasoned:
            if detail is None or self._detail in (None, detail.get("index")):
                return
            yield PartEnd("reasoning")
        elif field is None and detail is None:
            return
        self.has_reasoned = True
        self._field = self._field or field
        told: dict[str, Any] = {"field": self._field} if self._field else {}
        if detail is not None:
            self._detail = detail.get("index")
            told["detail"] = detail
        yield PartData("reasoning", told)

    def _delta_of(self, choice: dict[str, Any]) -> dict[str, Any]:
        """The delta; or the message, where a server sends the whole answer at once, or its text.

        Some servers repeat all that they have said as a message beside each delta.
        """
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._has_delta = True
            return delta
        if self._has_delta:
            return {}
        message = choice.get("message")
        return message if isinstance(message, dict) else {"content": choice.get("text")}

    def _pieces(self, delta: dict[str, Any], choice: dict[str, Any]) -> list[ToolCallPiece]:
        calls = _calls_in(delta)
        if not calls and not len(self.calls) and _reason_of(choice):
            calls = _calls_in(as_object(choice.get("message")))  # that the end alone has
        # The form that tool calls had before there could be several.
        legacy = delta.get("function_call")
        if isinstance(legacy, dict):
            calls.append({"index": 0, "function": legacy})
        pieces = (_read_call(call, self.calls) for call in calls)
        return [piece for piece in pieces if piece is not None]

    def _finish_of(self, choice: dict[str, Any]) -> list[Finish]:
        """The finish reason, once: several servers repeat it in the chunk with the usage."""
        reason = _reason_of(choice)
        if reason == self._finish or not is_reason(reason) or failure(reason):
            return []
        meant = meaning(reason)
        if meant == "stop" and self._finish and meaning(self._finish) != "stop":
            return []  # a gateway's own last word, behind the reason of the server
        self._finish = reason
        if meant == "stop" and len(self.calls):
            meant = "tool_calls"  # there are calls to run, whatever the server calls it
        return [Finish(meant, reason)]


def error_of(choice: dict[str, Any]) -> dict[str, Any] | None:
    """The error that a choice carries, or of which its finish reason tells."""
    error = error_object({"error": choice["error"]}) if "error" in choice else None
    reason = _reason_of(choice)
    if error is None and reason and (kind := failure(reason)):
        return {"type": kind, "message": f"the answer ended with the finish reason {reason!r}"}
    return error


def _calls_in(holder: dict[str, Any]) -> list[dict[str, Any]]:
    """The calls of a delta or a message; a server that knows but one writes no list."""
    return listed(holder.get("tool_calls"))


def _reason_of(choice: Mapping[str, Any]) -> str:
    """The server's word for why it stopped; Google's copy once wrote it in its own spelling."""
    given = choice.get("finish_reason") or choice.get("finishReason")
    return "" if given is None else str(given)


def says_something(choice: Mapping[str, Any]) -> bool:
    """Whether a choice has more than its place and its role."""
    said = {**as_object(choice.get("delta")), **as_object(choice.get("message"))}
    return bool(choice.get("text")) or any(said[key] for key in said if key != "role")


def _unknown(fields: dict[str, Any], known: AbstractSet[str]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key not in known}


def _with_words(choice: dict[str, Any]) -> dict[str, Any]:
    """What belongs to the words of a choice: log-probabilities and the numbers of the tokens."""
    metadata: dict[str, Any] = {}
    logprobs = choice.get("logprobs")
    if isinstance(logprobs, dict) and any(logprobs.values()):
        metadata["logprobs"] = logprobs
    if token_ids := choice.get("token_ids"):
        metadata["token_ids"] = token_ids
    return metadata


def _read_call(call: dict[str, Any], calls: ToolCallIndexes) -> ToolCallPiece | None:
    custom = call.get("custom")
    is_custom = isinstance(custom, dict)
    inner = custom if is_custom else call.get("function")
    is_flat = not isinstance(inner, dict)  # some servers put nothing around the function's fields
    named = call if is_flat else as_object(inner)
    field = "input" if is_custom else "arguments"
    if field not in named and "parameters" in named:
        field = "parameters"  # as the models of some servers call them
    known = _CALL_FIELDS | _FUNCTION_FIELDS | {field} if is_flat else _CALL_FIELDS
    beside = _unknown(call, known)
    if not is_flat:
        beside |= _unknown(named, _FUNCTION_FIELDS | {field})
    return calls.settle(
        as_int(call.get("index")),
        as_string(call.get("id")),
        as_string(named.get("name")),
        json_text(named.get(field)),
        kind="custom" if is_custom else "function",
        # Gemini's thought signatures come here, under `extra_content`, or from LiteLLM under
        # `provider_specific_fields`, beside the function or inside it.
        extra={key: value for key, value in beside.items() if value is not None} or None,
    )
