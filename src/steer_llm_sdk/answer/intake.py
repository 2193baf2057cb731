"""Makes deltas of fragments, and keeps what else they say.

The first half of the lifecycle: what the provider says, piece by piece. `Lifecycle` gives it its
beginning and its end. Pure: times come in as arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from steer_llm_sdk.answer.choices import OtherChoices
from steer_llm_sdk.answer.collector import Collector
from steer_llm_sdk.answer.deltas import call_delta, reasoning_delta
from steer_llm_sdk.answer.parts import SEPARATOR, Parts
from steer_llm_sdk.errors import ProtocolError, SteerError
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.fragments import (
    Commentary,
    End,
    Extras,
    Failure,
    File,
    Finish,
    Fragment,
    Identity,
    MessageBreak,
    OtherChoice,
    PartData,
    PartEnd,
    ProviderItem,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.parts import Part
from steer_llm_sdk.models.responses import (
    StreamingResponse,
    growing_text,
    growing_texts,
    set_parts,
)
from steer_llm_sdk.models.usage import joined


class Intake:
    """What one stream has said so far.

    Args:
        response: Where the answer is put together; its names are those of the events.
        wall_offset: What to add to a monotonic time to have the Unix time, in seconds.
        is_json: Whether text deltas are JSON that was asked for.
        is_rewritten: Whether text transformers may still change or drop deltas: these count only
            once `adopt` has been called with them.
        hides_unchecked: Whether the provider's lists and objects (log probabilities, citations,
            further choices) are left out of the metadata: they may repeat words that are redacted.
    """

    def __init__(
        self,
        response: StreamingResponse,
        *,
        wall_offset: float,
        is_json: bool = False,
        is_rewritten: bool = False,
        hides_unchecked: bool = False,
    ) -> None:
        self.response = response
        # The names of the events: asked of the response, each would be looked up in several places.
        self._provider, self._model = response.provider, response.model
        self._request_id, self._stream_id = response.request_id, response.stream_id
        self.text = growing_text(response)
        self.hides_unchecked = hides_unchecked
        self._is_rewritten = is_rewritten
        self._begin_answer()
        self.wall_offset = wall_offset
        self.failure: SteerError | None = None
        self.has_ended = False  # the provider's own terminal marker has come
        self.has_cut_tail = False  # the body ended inside a frame
        self.chunks = 0  # deltas that were emitted
        self.fragments = 0  # rarer fragments: with `chunks`, a measure of progress
        self.sequence = 0  # of the next event
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.metadata: dict[str, Any] = {}  # for the terminal event
        self.firsts: dict[str, float] = {}  # when each kind of rarer delta first came (monotonic)
        self.others = OtherChoices()
        self._is_json = is_json
        self._pieces = self.text.pieces
        self._pending: dict[str, Any] = {}  # for the metadata of the next event

    def _begin_answer(self) -> None:
        """Nothing has been delivered yet."""
        self.collector = Collector(self.response)
        self.parts = Parts(
            growing_texts(self.response),
            is_rewritten=self._is_rewritten,
            hides_unchecked=self.hides_unchecked,
        )
        set_parts(self.response, self.build_parts)
        self._adopted: int | None = None  # the part of the last delta that `adopt` was given
        self._thought: int | str | None = None  # the provider's own part of the reasoning
        self._spoken_thought: int | str | None = None  # the last one that had words
        self._calls: dict[int, tuple[str, str | None]] = {}  # identifier and name, by index

    def build_parts(self) -> list[Part]:
        """Make the parts of the answer as they stand."""
        return self.parts.build(self.collector.part)

    @property
    def has_answer(self) -> bool:
        """Whether anything has come that only an answer has."""
        named = {"response_id", "response_model"} & self.metadata.keys()
        return bool(self.chunks or self.usage or self.finish or named)

    def begin_attempt(self) -> None:
        """Forget what an earlier attempt said, but for the deltas that it has delivered.

        The calls and the reasoning of those may be gone on with.
        """
        self._provider, self._model = self.response.provider, self.response.model
        self.failure = None
        self.has_ended = False
        self.has_cut_tail = False
        self.usage = None
        self.finish = None
        self.metadata = {}
        self.others = OtherChoices()
        self._pending = {}
        if not self.chunks:
            self._begin_answer()
            self.fragments = 0
            self.firsts = {}

    def feed(self, fragments: Iterable[Fragment], now: float) -> Iterable[StreamDeltaEvent]:
        """Make the deltas of these fragments, one by one as they are asked for.

        Stops at the provider's terminal marker or failure; `fragments` may raise `ProtocolError`,
        which is a failure of the stream.

        Args:
            fragments: What a decoder found in the frames of one network read.
            now: The monotonic time of that read, in seconds.
        """
        if fragments.__class__ is tuple and len(fragments) == 1 and not self._is_rewritten:
            (words,) = fragments
            if words.__class__ is str and words:  # alone: a generator would cost more than they do
                return (self._word_delta(words, now + self.wall_offset),)
        return self._deltas(fragments, now + self.wall_offset)

    def _deltas(
        self, fragments: Iterable[Fragment], timestamp: float
    ) -> Iterator[StreamDeltaEvent]:
        is_rewritten, is_json = self._is_rewritten, self._is_json
        parts, keep = self.parts, self._pieces.append
        provider, model = self._provider, self._model
        request_id, stream_id = self._request_id, self._stream_id
        try:
            rest = iter(fragments)
            for fragment in rest:
                if fragment.__class__ is str and fragment and not is_rewritten:
                    # `_word_delta`, written out: a call would cost a burst a twentieth.
                    metadata, self._pending = self._pending, {}
                    sequence, index = self.sequence, self.chunks
                    self.sequence = sequence + 1
                    self.chunks = index + 1
                    part = parts.text
                    if part is None:
                        part = parts.of_text()
                    keep(fragment)
                    yield StreamDeltaEvent(
                        provider,
                        model,
                        request_id,
                        stream_id,
                        timestamp,
                        metadata,
                        sequence,
                        fragment,
                        index,
                        is_json,
                        part,
                    )
                    continue
                if fragment.__class__ is Reasoning and self._is_another_thought(fragment):
                    yield self._separator("reasoning", timestamp)
                event = _TAKE[fragment.__class__](self, fragment, timestamp)
                if event is not None:
                    yield event
                if self.has_ended or self.failure is not None:
                    self._look_behind(rest)
                    return
        except ProtocolError as error:
            if not self.has_ended:
                self.failure = self.failure or error

    def _look_behind(self, fragments: Iterable[Fragment]) -> None:
        """Take the usage that some servers tell behind their terminal marker, or an error.

        Only what has come together with it: nothing is waited for any more.
        """
        for fragment in fragments:
            if fragment.__class__ is Usage:
                self.usage = self.usage or fragment

    def _word_delta(self, words: str, timestamp: float) -> StreamDeltaEvent:
        """Make the delta of words, and add them to the response.

        Nine fragments of ten are words: no keyword, no copy.
        """
        metadata = self._pending
        self._pending = {}
        sequence = self.sequence
        index = self.chunks
        self.sequence = sequence + 1
        self.chunks = index + 1
        part = self.parts.text
        if part is None:
            part = self.parts.of_text()
        self._pieces.append(words)
        return StreamDeltaEvent(
            self._provider,
            self._model,
            self._request_id,
            self._stream_id,
            timestamp,
            metadata,
            sequence,
            words,
            index,
            self._is_json,
            part,
        )

    def feed_tail(self, fragments: Iterable[Fragment], now: float) -> Iterator[StreamDeltaEvent]:
        """Make the deltas that the end of the body completes. A frame that it cut is no frame."""
        yield from self.feed(fragments, now)
        if isinstance(self.failure, ProtocolError):
            self.failure = None
            self.has_cut_tail = True

    def adopt(self, event: StreamDeltaEvent) -> None:
        """Number a delta, and add it to the response."""
        event.sequence = self.sequence
        event.chunk_index = self.chunks
        self.sequence += 1
        self.chunks += 1
        if event.part is None or event.part != self._adopted:
            self.parts.adopt(event)
            self._adopted = event.part
        self.collector.add(event)

    def notice(self, what: dict[str, Any], now: float) -> StreamDeltaEvent:
        """Make a delta that tells of the stream rather than of the answer: it is in no count.

        Args:
            what: What it tells.
            now: The monotonic time, in seconds.
        """
        sequence = self.sequence
        self.sequence += 1
        return StreamDeltaEvent(
            self._provider,
            self._model,
            self._request_id,
            self._stream_id,
            now + self.wall_offset,
            {},
            sequence,
            {"type": "notice", **what},
            -1,
        )

    def take_pending(self) -> dict[str, Any]:
        """Remove and return what waits for the metadata of the next event."""
        pending, self._pending = self._pending, {}
        return pending

    def put_pending(self, metadata: dict[str, Any]) -> None:
        """Let this wait for the metadata of the next event, as it is."""
        self._pending = metadata

    # --- what a fragment does -----------------------------------------------------------------

    def _take_words(self, words: str, timestamp: float) -> StreamDeltaEvent | None:
        return self._delta(words, timestamp, self.parts.of("text")) if words else None

    def _take_text(self, fragment: Text, timestamp: float) -> StreamDeltaEvent | None:
        self._add_pending(fragment.metadata)
        return self._take_words(fragment.text, timestamp)

    def _is_another_thought(self, fragment: Reasoning) -> bool:
        """Whether these are words of another part of the reasoning than the words before."""
        return bool(fragment.text) and self._spoken_thought not in {None, fragment.part}

    def _take_reasoning(self, fragment: Reasoning, timestamp: float) -> StreamDeltaEvent | None:
        text, extra = fragment.text, fragment.extra
        if not text and not extra:
            return None
        if fragment.part != self._thought:
            if self._thought is not None:
                self.parts.end("reasoning")
            self._thought = fragment.part
        if text:
            self._spoken_thought = fragment.part
        if extra:
            self.parts.add_data("reasoning", extra)
        return self._delta(reasoning_delta(fragment), timestamp, self.parts.of("reasoning"))

    def _take_refusal(self, fragment: Refusal, timestamp: float) -> StreamDeltaEvent | None:
        return self._words_apart("refusal", fragment.text, timestamp)

    def _take_commentary(self, fragment: Commentary, timestamp: float) -> StreamDeltaEvent | None:
        return self._words_apart("commentary", fragment.text, timestamp)

    def _words_apart(self, kind: str, text: str, timestamp: float) -> StreamDeltaEvent | None:
        if not text:
            return None
        return self._delta({"type": kind, "text": text}, timestamp, self.parts.of(kind))

    def _take_break(self, between: MessageBreak, timestamp: float) -> StreamDeltaEvent | None:
        """A blank line between two messages, which is no part of JSON that was asked for."""
        kind = between.kind
        self.parts.end(kind)
        return None if self._is_json and kind == "text" else self._separator(kind, timestamp)

    def _separator(self, kind: str, timestamp: float) -> StreamDeltaEvent:
        """The blank line between two parts: a delta of no part."""
        self.parts.separate(kind)
        delta: Any = SEPARATOR if kind == "text" else {"type": kind, "text": SEPARATOR}
        return self._delta(delta, timestamp, None)

    def _take_part_data(self, fragment: PartData, _timestamp: float) -> None:
        if fragment.index is not None:
            self.parts.add_call_data(fragment.index, fragment.data)
            return
        kind, is_earlier = fragment.kind, fragment.is_earlier
        if fragment.data:
            self.parts.add_data(kind, fragment.data, is_earlier=is_earlier)
        self.parts.cite(kind, fragment.citations, is_earlier=is_earlier)

    def _take_part_end(self, fragment: PartEnd, _timestamp: float) -> None:
        self.parts.end(fragment.kind)
        if fragment.kind == "reasoning":
            self._thought = None

    def _take_item(self, fragment: ProviderItem, _timestamp: float) -> None:
        self.parts.add_item(fragment)

    def _take_file(self, file: File, timestamp: float) -> StreamDeltaEvent:
        delta = {"type": "file", "media_type": file.media_type}
        place = {"data": file.data} if file.url is None else {"url": file.url}
        return self._delta(delta | place, timestamp, self.parts.add_file(file))

    def _take_tool_call(self, piece: ToolCallPiece, timestamp: float) -> StreamDeltaEvent | None:
        index = piece.index
        earlier = self._calls.get(index)
        known = earlier or (f"call_{self.response.stream_id[-12:]}_{index}", None)
        if piece.id or piece.name:
            known = (self._own_id(index, piece.id) or known[0], piece.name or known[1])
        has_news = bool(piece.arguments or piece.extra) or known != earlier
        self._calls[index] = known
        part = self.parts.of_call(index)
        if piece.extra:
            self.parts.add_call_data(index, piece.extra)
        event = self._delta(call_delta(piece, *known), timestamp, part) if has_news else None
        if piece.is_whole:
            self.collector.close_call(index)
        if piece.is_withdrawn:
            self.collector.withdraw_call(index)
        return event

    def _own_id(self, index: int, given: str | None) -> str | None:
        """The identifier of a call, where no other call has it: so each gets a result."""
        is_taken = any(known[0] == given for at, known in self._calls.items() if at != index)
        return None if is_taken else given

    def _take_usage(self, usage: Usage, _timestamp: float) -> None:
        counts = self.usage.counts if self.usage is not None else {}
        self.usage = Usage(joined(counts, usage.counts), usage.raw)

    def _take_finish(self, finish: Finish, _timestamp: float) -> None:
        self.finish = finish

    def _take_end(self, _end: End, _timestamp: float) -> None:
        self.has_ended = True

    def _take_failure(self, failure: Failure, _timestamp: float) -> None:
        self.failure = failure.error

    def _take_identity(self, identity: Identity, _timestamp: float) -> None:
        if identity.response_id or identity.model:
            self.fragments += 1  # somebody is there, and at work
        if identity.response_id:
            self.metadata["response_id"] = identity.response_id
        if identity.model:
            self.metadata["response_model"] = identity.model

    def _take_extras(self, extras: Extras, _timestamp: float) -> None:
        self._add_pending(extras.metadata)

    def _take_other_choice(self, other: OtherChoice, _timestamp: float) -> None:
        self._add_pending({"choices": [self.others.take(other)]})

    def _delta(
        self, delta: str | dict[str, Any], timestamp: float, part: int | None
    ) -> StreamDeltaEvent:
        self.fragments += 1
        if delta.__class__ is dict:
            what = "tool_argument" if delta.get("arguments") else str(delta["type"])
            self.firsts.setdefault(what, timestamp - self.wall_offset)
        event = StreamDeltaEvent(
            self._provider,
            self._model,
            self._request_id,
            self._stream_id,
            timestamp,
            self.take_pending(),
            delta=delta,
            is_json=self._is_json and delta.__class__ is str,
            part=part,
        )
        if not self._is_rewritten:
            self.adopt(event)
        elif part is not None:
            self.parts.note_given(part, _words_of(delta))
        return event

    def _add_pending(self, metadata: dict[str, Any]) -> None:
        """Keep for the next event: lists under one key are joined, other values replaced."""
        self.fragments += 1
        pending = self._pending
        for key, value in metadata.items():
            if self.hides_unchecked and isinstance(value, list | dict):
                continue
            if not isinstance(value, list):
                pending[key] = value
            elif isinstance(earlier := pending.get(key), list):
                earlier.extend(value)  # `pending` has lists of its own
            else:
                pending[key] = value.copy()


def _words_of(delta: str | dict[str, Any]) -> str:
    """The words of a delta; of a piece of a call, its arguments."""
    if isinstance(delta, str):
        return delta
    return str(delta.get("text") or delta.get("arguments") or "")


_Take: TypeAlias = Callable[[Intake, Any, float], StreamDeltaEvent | None]

# ruff: noqa: SLF001 - the table belongs to the class: it stands below only to name its methods
_TAKE: dict[type, _Take] = {
    str: Intake._take_words,
    Text: Intake._take_text,
    Reasoning: Intake._take_reasoning,
    Refusal: Intake._take_refusal,
    Commentary: Intake._take_commentary,
    MessageBreak: Intake._take_break,
    PartData: Intake._take_part_data,
    PartEnd: Intake._take_part_end,
    File: Intake._take_file,
    ProviderItem: Intake._take_item,
    ToolCallPiece: Intake._take_tool_call,
    Usage: Intake._take_usage,
    Finish: Intake._take_finish,
    End: Intake._take_end,
    Failure: Intake._take_failure,
    Identity: Intake._take_identity,
    Extras: Intake._take_extras,
    OtherChoice: Intake._take_other_choice,
}
