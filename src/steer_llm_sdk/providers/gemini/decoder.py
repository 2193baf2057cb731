"""Gemini's ``streamGenerateContent``: https://ai.google.dev/api/generate-content.

Each frame is a whole response object that holds only what is new, except for its usage, which is a
snapshot. Nothing marks the end but a finish reason and the end of the body; some servers give the
reason in every frame.

Strategy. Nearly every frame is one part of text; one typed decoding tries just that, and makes
nothing but the fields that are needed. Whatever it does not accept is read again as plain JSON and
with patience.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from steer_llm_sdk.errors import ProviderError
from steer_llm_sdk.models.fragments import (
    Extras,
    Finish,
    FinishReason,
    Fragment,
    Identity,
    OtherChoice,
    Reasoning,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.models.usage import count_at, usage_counts, with_total
from steer_llm_sdk.providers.base import Endpoint, ErrorAnswer, TerminalMarkers, WireFormat
from steer_llm_sdk.providers.endings import is_reason, meaning
from steer_llm_sdk.providers.gemini.errors import (
    blocked_prompt,
    failed_finish,
    failure_in_stream,
    read_gemini_error,
)
from steer_llm_sdk.providers.gemini.framing import GeminiFraming
from steer_llm_sdk.providers.gemini.grounding import Grounding
from steer_llm_sdk.providers.gemini.parts import PartReader
from steer_llm_sdk.providers.gemini.request import build_count_request, build_request
from steer_llm_sdk.providers.gemini.spelling import in_one_spelling
from steer_llm_sdk.providers.halves import Halves
from steer_llm_sdk.providers.openai_chat.errors import read_stray_error
from steer_llm_sdk.providers.reading import (
    JSONObject,
    as_int,
    as_string,
    expect_object,
    frames_in,
    is_end,
    is_keep_alive,
    listed,
    object_at,
    parse_json,
)
from steer_llm_sdk.wire.frame import Frame, Framing

# https://ai.google.dev/api/generate-content#FinishReason; a word that is not here is "other".
FINISH_REASONS: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "ESCALATION": "content_filter",
    # A limit of the request's or of the server's loop around tools: there is more to say.
    "CONTINUATION": "length",
    "TOO_MANY_TOOL_CALLS": "length",
    "IMAGE_OTHER": "other",
    "NO_IMAGE": "other",
    "OTHER": "other",
}

# Some servers number the words. Google's two APIs agree on the first five only; 6 to 8 are filters
# in both, under different names.
_NUMBERED: Mapping[int, str] = {
    1: "STOP",
    2: "MAX_TOKENS",
    3: "SAFETY",
    4: "RECITATION",
    5: "OTHER",
}
_NUMBERED_FILTERS = frozenset({"6", "7", "8"})

# What has a place of its own; everything else is kept in metadata, under the provider's keys.
_READ_OF_RESPONSES = frozenset(
    {
        "candidates",
        "usageMetadata",
        "promptFeedback",
        "error",
        "responseId",
        "modelVersion",
    }
)
# A response with one of these is of an answer.
_ANSWERS = frozenset({"candidates", "usageMetadata", "promptFeedback"})
_READ_OF_CANDIDATES = frozenset({"content", "index", "finishReason"})
_READ_OF_CONTENTS = frozenset({"parts", "role"})

# Counts that never become less: the prompt's, and those of the output.
_GROWING = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")

_OF_OTHER_CHOICES = (str, Text, Reasoning, ToolCallPiece, Finish)

NOTHING: tuple[Fragment, ...] = ()


class Gemini(WireFormat):
    """The wire format ``gemini``: Google's AI Studio, and the same API on Vertex AI.

    There is no marker of the end: a finish reason and a clean end of the body complete a stream.
    An answer that was cut cannot be taken up: Gemini begins a new one, whatever stands last.
    """

    markers = TerminalMarkers(end=False, finish=True)
    name = "gemini"

    def framing(self, max_frame_bytes: int) -> Framing:
        """Make the framing of one body: events, or one array where ``alt=sse`` is passed over."""
        return GeminiFraming(max_frame_bytes)

    def decoder(self, provider: str) -> GeminiDecoder:
        """Make the decoder of one stream."""
        return GeminiDecoder(provider)

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request: see `steer_llm_sdk.providers.gemini.request`."""
        return build_request(chat, endpoint)

    def count_request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the request that asks how many tokens a prompt takes."""
        return build_count_request(chat, endpoint)

    def read_count(self, answer: Mapping[str, Any]) -> object:
        """Read the number of tokens out of the answer to `count_request`."""
        return answer.get("totalTokens")

    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the provider's error out of a response that is not a stream."""
        return read_gemini_error(answer)


# --- the frequent frame, typed ----------------------------------------------------------------


class _Frequent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A shape of the quick road: a field that it does not know sends the frame to the slow one."""


class _Part(_Frequent):
    text: str
    thought: bool = False


class _Content(_Frequent):
    parts: tuple[_Part]
    role: str = ""


class _Candidate(_Frequent):
    content: _Content
    index: Literal[0] = 0
    finishReason: None = None  # noqa: N815 - the words of the wire


class _Chunk(_Frequent):
    """Fields in the order in which Google sends them: the next one is looked for first."""

    candidates: tuple[_Candidate]
    usageMetadata: dict[str, Any] | None = None  # noqa: N815
    modelVersion: str | None = None  # noqa: N815
    createTime: str | None = None  # noqa: N815
    responseId: str | None = None  # noqa: N815


_read_chunk = msgspec.json.Decoder(_Chunk).decode


class _Choice:
    """What is known of one candidate."""

    def __init__(self, provider: str) -> None:
        self.parts = PartReader(provider)
        self.finish_word = ""


class GeminiDecoder:
    """Turns the frames of one answer into fragments.

    Args:
        provider: The name that errors carry.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._is_opening = True
        self._identity = Identity()
        self._create_time: object = None
        self._usage: JSONObject = {}
        self._has_unsent_usage = False
        self._answer: int | None = None  # the index of the candidate that is the answer
        self._first = _Choice(provider)
        self._choices: dict[int, _Choice] = {}
        self._grounding = Grounding(provider)
        self._halves = Halves()

    def decode(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one frame.

        Raises:
            ProtocolError: The frame is not a JSON object, or a function call in it makes no sense.
        """
        if self._is_opening:
            return self._decode_rare(frame)
        try:
            chunk = _read_chunk(frame.data)
        except (ValueError, RecursionError):
            return self._decode_rare(frame)
        known = self._identity
        if (
            (chunk.responseId and chunk.responseId != known.response_id)
            or (chunk.modelVersion and chunk.modelVersion != known.model)
            or (chunk.createTime and chunk.createTime != self._create_time)
        ):
            return self._decode_rare(frame)
        if chunk.usageMetadata:
            self._see_usage(chunk.usageMetadata)
        part = chunk.candidates[0].content.parts[0]
        if not part.text:
            return NOTHING
        return (Reasoning(part.text),) if part.thought else (part.text,)

    def decode_eof(self) -> Sequence[Fragment]:
        """Give the usage as it stands, where no finish reason came to send it with."""
        half = self._halves.read_eof()
        if not self._has_unsent_usage:
            return half
        return (*half, *self._send_usage(has_output="candidatesTokenCount" in self._usage))

    def _decode_rare(self, frame: Frame) -> Sequence[Fragment]:
        if (several := frames_in(frame)) != (frame,):
            return [fragment for each in several for fragment in self.decode(each)]
        if is_keep_alive(frame) or is_end(frame):  # copies write `[DONE]` behind the end
            return NOTHING
        data, before = self._halves.join(frame.data)
        payload = parse_json(data, self._provider)
        values = payload if isinstance(payload, list) else [payload]
        objects = [in_one_spelling(expect_object(each, self._provider)) for each in values]
        self._is_opening = False
        found = [fragment for each in objects for fragment in self._read(each)]
        return [before, *found] if before else found

    def _read(self, payload: JSONObject) -> Iterator[Fragment]:
        if isinstance(inner := payload.get("response"), dict) and "candidates" not in payload:
            payload = {**payload, **inner}  # Code Assist wraps it, and so do gateways
            del payload["response"]
        if error := payload.get("error"):
            yield failure_in_stream(self._provider, error)
            return
        if _ANSWERS.isdisjoint(payload):
            yield from read_stray_error(self._provider, payload)
        yield from self._identify(payload)
        yield from self._read_beside(payload)
        self._see_usage(object_at(payload, "usageMetadata"))
        feedback = object_at(payload, "promptFeedback")
        if blocked := blocked_prompt(self._provider, feedback):
            yield from self._send_usage(has_output=True)
            yield blocked
            return
        if any(feedback.values()):
            yield Extras({"promptFeedback": feedback})
        candidates = listed(payload.get("candidates"))
        if self._answer is None and candidates:
            indexes = [as_int(each.get("index")) or 0 for each in candidates]
            self._answer = 0 if 0 in indexes else indexes[0]  # the first; a server may count from 1
        for candidate in candidates:
            yield from self._read_candidate(candidate)
        if self._has_unsent_usage:
            yield from self._send_usage(has_output=bool(self._first.finish_word))

    def _identify(self, payload: JSONObject) -> Iterator[Fragment]:
        seen = self._identity
        now = Identity(
            as_string(payload.get("responseId")) or seen.response_id,
            as_string(payload.get("modelVersion")) or seen.model,
        )
        if now != seen:
            self._identity = now
            yield now

    def _read_beside(self, payload: JSONObject) -> Iterator[Fragment]:
        """What the response says that has no place of its own; the time of its creation once."""
        found = _unread(payload, _READ_OF_RESPONSES)
        created = found.pop("createTime", None)
        if created and created != self._create_time:
            self._create_time = found["createTime"] = created
        if found:
            yield Extras(found)

    def _read_candidate(self, candidate: JSONObject) -> Iterator[Fragment]:
        index = as_int(candidate.get("index"))
        if index is None or index == self._answer:
            found = _unread(candidate, _READ_OF_CANDIDATES)
            beside = _unread(object_at(candidate, "content"), _READ_OF_CONTENTS)
            if found := found | ({"content": beside} if beside else {}):
                yield Extras(found)
            yield from self._read_content(self._first, candidate)
            yield from self._grounding.read(candidate)
            yield from self._fail(candidate)
            return
        choice = self._choices.setdefault(index, _Choice(self._provider))
        for fragment in self._read_content(choice, candidate):
            if isinstance(fragment, _OF_OTHER_CHOICES):
                yield OtherChoice(index, fragment)

    def _read_content(self, choice: _Choice, candidate: JSONObject) -> Iterator[Any]:
        """The candidate's parts, and why it stopped."""
        had_calls = choice.parts.has_calls
        for part in listed(object_at(candidate, "content").get("parts")):
            yield from choice.parts.read(part)
        word = _finish_word(candidate.get("finishReason"))
        choice.finish_word = word or choice.finish_word
        # A call may come after a frame that said STOP: then the reason is another.
        if word or (choice.finish_word and choice.parts.has_calls != had_calls):
            yield _finish(choice.finish_word, has_calls=choice.parts.has_calls)

    def _fail(self, candidate: JSONObject) -> Iterator[Fragment]:
        """A reason to stop that is no end of an answer, with what the prompt has cost."""
        word = _finish_word(candidate.get("finishReason"))
        if failure := failed_finish(self._provider, word, candidate.get("finishMessage")):
            yield from self._send_usage(has_output=True)
            yield failure

    def _see_usage(self, usage: JSONObject) -> None:
        """Each is a snapshot and stands for itself: a number that it leaves out is zero.

        Some say nothing of tokens (Vertex's ``trafficType``): they add to the one before.
        """
        if usage:
            has_counts = "promptTokenCount" in usage or "totalTokenCount" in usage
            # Tokens that were there are not undone, and no prompt has none; a total that says so is
            # none either.
            is_less = _total(usage) < _total(self._usage)
            growing = _GROWING if is_less else _GROWING[:1]
            known = {key: self._usage.get(key) for key in growing if not usage.get(key)}
            if has_counts and any(known.values()):
                usage = {key: value for key, value in usage.items() if key != "totalTokenCount"}
                usage |= {key: count for key, count in known.items() if count}
            self._usage = usage if has_counts else self._usage | usage
            self._has_unsent_usage = True

    def _send_usage(self, *, has_output: bool) -> Sequence[Fragment]:
        """The usage so far; its counts of the output only where the output has ended.

        A stream that breaks off has more words than the last snapshot counted.
        """
        counts = _counts(self._usage, has_output=has_output)
        if not counts:
            return NOTHING
        self._has_unsent_usage = not has_output
        raw = {key: value for key, value in self._usage.items() if value is not None}
        return (Usage(counts, raw),)


def _counts(raw: JSONObject, *, has_output: bool) -> dict[str, int]:
    """The library's counts.

    https://ai.google.dev/api/generate-content#UsageMetadata: the total is the sum of the prompt,
    what tools added to it, the thoughts and the candidates; a number that is zero is left out.
    """
    prompt = count_at(raw, "promptTokenCount")
    from_tools = count_at(raw, "toolUsePromptTokenCount")
    thoughts = count_at(raw, "thoughtsTokenCount")
    output = (count_at(raw, "candidatesTokenCount") or 0) + (thoughts or 0)
    total = count_at(raw, "totalTokenCount")
    if prompt is None and total is None and not output:
        return {}
    counts = usage_counts(
        prompt=None if prompt is None else prompt + (from_tools or 0),
        completion=output if has_output else None,
        total=total if has_output else None,
        cached=count_at(raw, "cachedContentTokenCount"),
        reasoning=thoughts if has_output else None,
    )
    return with_total(counts)


def _unread(holder: JSONObject, read: frozenset[str]) -> JSONObject:
    return {key: value for key, value in holder.items() if value and key not in read}


def _total(usage: JSONObject) -> int:
    return count_at(usage, "totalTokenCount") or 0


def _finish_word(given: object) -> str:
    """Return the provider's word; an empty one where it gives none."""
    if isinstance(given, int):
        given = _NUMBERED.get(given, str(given))
    word = given if isinstance(given, str) else ""
    return word if word != "0" and is_reason(word) else ""


def _finish(word: str, *, has_calls: bool) -> Finish:
    if word in _NUMBERED_FILTERS:
        return Finish("content_filter", word)
    reason = FINISH_REASONS.get(word) or meaning(word)
    return Finish("tool_calls" if reason == "stop" and has_calls else reason, word)
