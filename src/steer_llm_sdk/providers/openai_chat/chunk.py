"""One chunk of a chat completion, whatever it carries and however a server spells it.

This is the slow road of `steer_llm_sdk.providers.openai_chat.decoder`: it decodes the whole object
and looks at every field. What it does not know is kept, once for each value, in `Extras`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import filterfalse
from typing import Any

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Failure,
    Finish,
    Fragment,
    Identity,
    OtherChoice,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.providers.halves import Halves
from steer_llm_sdk.providers.openai_chat.beside import Beside
from steer_llm_sdk.providers.openai_chat.choice import ChoiceReader, error_of, says_something
from steer_llm_sdk.providers.openai_chat.errors import error_in_chunk, error_object, read_failure
from steer_llm_sdk.providers.openai_chat.tool_calls import ToolCallIndexes
from steer_llm_sdk.providers.openai_chat.usage import read_usage, with_tier
from steer_llm_sdk.providers.reading import (
    as_int,
    as_string,
    frames_in,
    is_end,
    is_keep_alive,
    json_text,
    listed,
    object_at,
    parse_json,
    parse_object,
)
from steer_llm_sdk.wire.frame import Frame

# What is read here, or says nothing of the answer: times, padding.
_CHUNK_FIELDS = frozenset(
    {
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "error",
        "base_resp",
        "p",
        "obfuscation",
    }
)

_is_read = _CHUNK_FIELDS.__contains__

# Chunks that are read in full in the hope of an id and a model. Azure's first has neither; some
# servers never send an id.
_OPENING_CHOICES = 4

# The names of events that must carry a chunk; one of another name (a ping) may.
_NAMES = frozenset({"", "message", "data"})

_OF_OTHER_CHOICES = (str, Text, Reasoning, ToolCallPiece, Refusal, Finish, Extras)


class ChunkReader:
    """Reads the chunks of one stream, and remembers what must not be said twice.

    Attributes:
        is_opening: Whether the response has yet to say who it is.
        system_fingerprint, service_tier, upstream: The constants that the last chunk read here had.
    """

    def __init__(self, provider: str) -> None:
        self.is_opening = True
        self._provider = provider
        self._first = ChoiceReader()
        self._choices = {0: self._first}
        self._answer = 0  # the index of the choice that is the answer
        self._is_settled = False
        self._choices_read = 0
        self._identity = Identity()
        self._extras: dict[str, Any] = {}
        self._beside: dict[int, dict[str, Any]] = {}  # the same, of other choices
        self._usage: dict[str, Any] | None = None
        self._counts: dict[str, int] = {}
        self._parts = Beside()
        self._halves = Halves()
        self.system_fingerprint: Any = None
        self.service_tier: Any = None
        self.upstream: Any = None

    @property
    def has_reasoned(self) -> bool:
        """Whether the answer has said in which field its reasoning comes."""
        return self._first.has_reasoned

    @property
    def calls(self) -> ToolCallIndexes:
        """The tool calls of the answer."""
        return self._first.calls

    def read(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one frame.

        Raises:
            ProtocolError: The frame is not JSON, or not an object, or nested without end.
        """
        if (several := frames_in(frame)) != (frame,):
            return [fragment for each in several for fragment in self.read(each)]
        data = frame.data.strip()
        if is_end(frame):
            # A server that failed before its first word may still say so: that is no answer.
            return (*self._first.end(), End()) if self._choices_read else ()
        try:
            if frame.event == "error":
                return self._read_error_event(data)
            data, before = self._halves.join(data)
            found = self._read_chunk(parse_object(data, self._provider))
            # The chunk behind half of a character, or behind thoughts, is none of the usual ones.
            self.is_opening = self.is_opening or bool(self._halves) or self._first.is_thinking
            return [before, *found] if before else found
        except ProtocolError:
            if frame.event in _NAMES and not (data and is_keep_alive(frame)):
                raise
            return ()
        except RecursionError:
            # What could just be parsed can be too deep to be compared or written again.
            raise ProtocolError(f"{self._provider}: a chunk is nested too deeply") from None

    def read_eof(self) -> Sequence[Fragment]:
        """Give what stands for half of a character that was never completed."""
        return self._halves.read_eof()

    def _read_error_event(self, data: bytes) -> Sequence[Fragment]:
        """An event that is named an error is one, whatever its data is."""
        try:
            value = parse_json(data, self._provider)
        except ProtocolError:
            value = data.decode("utf-8", "replace")
        if not isinstance(value, dict):
            value = {"error": json_text(value)}
        return (self._failure(error_object(value) or value),)

    def _read_chunk(self, chunk: dict[str, Any]) -> Sequence[Fragment]:
        found = self._identify(chunk)
        extras = {key: chunk[key] for key in filterfalse(_is_read, chunk)}
        self.system_fingerprint = chunk.get("system_fingerprint")
        self.service_tier = chunk.get("service_tier")
        self.upstream = chunk.get("provider")
        error = error_in_chunk(chunk)
        choices = listed(chunk.get("choices"))
        self._settle_answer(choices)
        usage: object = None  # it may stand in the last choice that has one (Moonshot)
        for position, choice in enumerate(choices):
            found += self._read_choice(choice, position, extras)
            error = error or error_of(choice)
            usage = choice.get("usage") or usage
        # Mostly they are the constants of the chunk before.
        if extras != self._extras and (news := _news(extras, self._extras)):
            found.insert(0, Extras(news))
            found += self._parts.read(news)
        found += self._usage_of(chunk, usage)
        if error is not None:
            found.append(self._failure(error))
        return found

    def _settle_answer(self, choices: list[dict[str, Any]]) -> None:
        """Which choice is the answer: the first; where a server counts from 1, its only one."""
        if self._is_settled or not choices:
            return
        indexes = [as_int(choice.get("index")) or 0 for choice in choices]
        if 0 in indexes:
            self._is_settled = True
        elif len(indexes) == 1 and says_something(choices[0]):
            self._is_settled = True
            (self._answer,) = indexes
            self._first = self._choices.setdefault(self._answer, ChoiceReader())

    def _read_choice(
        self, choice: dict[str, Any], position: int, extras: dict[str, Any]
    ) -> list[Fragment]:
        self._choices_read += 1
        if self.is_opening:
            known = self._identity.response_id and self._identity.model
            is_named = known or self._choices_read >= _OPENING_CHOICES
            is_first = self._is_settled and self._answer == 0  # that is what the quick road reads
            self.is_opening = not (is_named and is_first)
        index = as_int(choice.get("index"))
        if index is None:
            index = position
        if index == self._answer:
            return self._first.read(choice, extras)
        reader = self._choices.setdefault(index, ChoiceReader())
        beside: dict[str, Any] = {}
        found = reader.read(choice, beside)
        if news := _news(beside, self._beside.setdefault(index, {})):
            found.insert(0, Extras(news))
        return [OtherChoice(index, f) for f in found if isinstance(f, _OF_OTHER_CHOICES)]

    def _identify(self, chunk: dict[str, Any]) -> list[Fragment]:
        """Who answers. A router names the model that it has chosen in its later chunks."""
        known = self._identity
        identity = Identity(
            known.response_id or as_string(chunk.get("id")),
            as_string(chunk.get("model")) or known.model,
        )
        if identity == known:
            return []
        self._identity = identity
        return [identity]

    def _usage_of(self, chunk: dict[str, Any], in_choice: object) -> list[Fragment]:
        places = (chunk.get("usage"), object_at(chunk, "x_groq").get("usage"), in_choice)
        told = [usage for usage in places if isinstance(usage, dict) and usage]
        if not told:
            return []
        raw = told[0] if len(told) == 1 else min(told, key=_is_nothing)
        if raw == self._usage:
            return []
        # A zero replaces nothing: some servers end with an object of zeros.
        found = read_usage(raw)
        counts = {key: count for key, count in found.items() if count or not self._counts.get(key)}
        if not counts or (self._counts and not any(counts.values())):
            return []
        self._usage = raw
        self._counts |= counts
        return [Usage(counts, with_tier(raw, self.service_tier))]

    def _failure(self, error: dict[str, Any]) -> Failure:
        return Failure(read_failure(self._provider, error, self._identity.response_id))


def _is_nothing(usage: dict[str, Any]) -> bool:
    """Whether a usage counts no tokens: another place of the chunk may."""
    return not any(read_usage(usage).values())


def _news(extras: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """What says something, and something that has not been said before."""
    news = {
        key: value
        for key, value in extras.items()
        if value is not None and value not in ("", [], {}) and value != said.get(key)
    }
    said |= news
    return news
