"""The parts of an answer: where each begins, and what it adds up to.

Strategy. Words are kept once, in the text of their kind (`TextPieces`): a part of words is a span
of it, so that a delta costs no more than the number that it carries. A part begins with the first
delta of its kind while none of that kind is open. One is open until the provider closes it
(`PartEnd`), and in a format whose parts stand in an order, until one of another kind begins.

Where text transformers rewrite the words, a part begins before its words have passed them: the
span is that of the words that came out, and what went in is kept beside it. A part whose words
were changed has no `provider_data`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.fragments import File, ProviderItem
from steer_llm_sdk.models.parts import (
    WIRE,
    CommentaryPart,
    FilePart,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from steer_llm_sdk.models.text import TextPieces

SEPARATOR = "\n\n"

Data: TypeAlias = dict[str, Any]
FindCall: TypeAlias = Callable[[int], ToolCallPart]


class _Record:
    """What is known of one part."""

    __slots__ = ("call", "citations", "data", "end", "given", "item", "kind", "number", "start")

    def __init__(self, kind: str, number: int) -> None:
        self.kind = kind
        self.number = number
        self.data: Data = {}
        self.citations: list[Data] = []
        self.start: int | None = None  # where its words stand in the text of its kind
        self.end: int | None = None
        self.given = TextPieces()  # its words before the text transformers
        self.call: int | None = None
        self.item: File | ProviderItem | None = None


class Parts:
    """The parts of one answer so far.

    Args:
        texts: The words of each kind, which whoever makes deltas appends to.
        is_rewritten: Whether text transformers stand between the provider and these words.
        hides_unchecked: Whether they redact: then what they cannot check is left out, and
            `provider_data` is shown once it has been checked.

    Attributes:
        text: The number of the text part to which words may be added without more ado; None where
            `of_text` has to be asked.
        wire: The wire format that the answer comes by.
        is_ordered: Whether a part ends where one of another kind begins.
        data: What the provider wants back, by the number of the part: whoever checks it may ask
            `drop_data` to leave one out.
    """

    def __init__(
        self,
        texts: Mapping[str, TextPieces],
        *,
        is_rewritten: bool = False,
        hides_unchecked: bool = False,
    ) -> None:
        self.text: int | None = None
        self.wire = ""
        self.is_ordered = True
        self._texts = texts
        self._is_rewritten = is_rewritten
        self._hides_unchecked = hides_unchecked
        self._is_checked = not hides_unchecked
        self._records: list[_Record] = []
        self._open: dict[str, _Record] = {}  # by kind: where the next words belong
        self._latest: dict[str, _Record] = {}  # by kind
        self._filling: dict[str, _Record] = {}  # by kind: whose words were added last
        self._calls: dict[int, _Record] = {}
        self._separators: dict[str, int] = {}  # by kind: those that were made and not yet added

    # --- what the provider says ----------------------------------------------------------------

    def of(self, kind: str) -> int:
        """Return the number of the open part of a kind; begin one where none is."""
        record = self._open.get(kind)
        return (record or self._begin(kind)).number

    def of_text(self) -> int:
        """Return the number of the part of text whose words are added right away, by `text`."""
        record = self._open.get("text") or self._begin("text")
        self._fill(record)
        self.text = record.number
        return record.number

    def of_call(self, index: int) -> int:
        """Return the number of a tool call's part; begin it where it is new."""
        return self._call(index).number

    def end(self, kind: str) -> None:
        """The open part of this kind is whole."""
        self._open.pop(kind, None)
        if kind == "text":
            self.text = None

    def separate(self, kind: str) -> None:
        """What comes next of this kind separates two parts, and belongs to none."""
        self._separators[kind] = self._separators.get(kind, 0) + 1

    def add_data(self, kind: str, data: Data, *, is_earlier: bool = False) -> None:
        """Add what the provider wants back with the open part of a kind, or with the latest."""
        merge(self._named(kind, is_earlier=is_earlier).data, data)

    def add_call_data(self, index: int, data: Data) -> None:
        """Add what the provider wants back with a tool call."""
        merge(self._call(index).data, data)

    def cite(self, kind: str, citations: Sequence[Data], *, is_earlier: bool = False) -> None:
        """Add what the words of the open part of a kind, or of the latest, rest on."""
        if citations and not self._hides_unchecked:
            self._named(kind, is_earlier=is_earlier).citations.extend(citations)

    def add_file(self, file: File) -> int:
        """Add a file; return the number of its part."""
        record = self._begin("file", is_open=False)
        record.item = file
        record.data = dict(file.extra or {})
        return record.number

    def add_item(self, item: ProviderItem) -> None:
        """Add what the provider did itself."""
        if not self._hides_unchecked:
            self._begin("provider", is_open=False).item = item

    def note_given(self, number: int, words: str) -> None:
        """Keep the words of a part as they were before the text transformers."""
        self._records[number].given.append(words)

    # --- what is added to the response ---------------------------------------------------------

    def adopt(self, event: StreamDeltaEvent) -> None:
        """Note where the words of a delta belong, before they are added.

        An event that a transformer made itself belongs where the latest words of its kind do.
        """
        kind = event.kind
        if kind not in self._texts:
            self._show_file(event)
            return
        if event.part is None and self._is_separator(event, kind):
            self._leave(kind)
            return
        record = self._record_at(event.part, kind)
        event.part = record.number
        self._fill(record)

    def _record_at(self, number: int | None, kind: str) -> _Record:
        """Find the part that words belong to. None goes on after the words of another."""
        if number is not None and number < len(self._records):
            record = self._records[number]
            if record.kind == kind and (record.end is None or record.end == record.start):
                return record
        return self._filling.get(kind) or self._latest.get(kind) or self._begin(kind)

    def _is_separator(self, event: StreamDeltaEvent, kind: str) -> bool:
        delta = event.delta
        words = delta.get("text") if isinstance(delta, dict) else delta
        due = self._separators.get(kind, 0)
        if not due or words != SEPARATOR:
            return False
        self._separators[kind] = due - 1
        return True

    def _show_file(self, event: StreamDeltaEvent) -> None:
        """Keep what a file's delta says, which a transformer may have changed."""
        if event.kind == "file" and event.part is not None and isinstance(event.delta, dict):
            record, told = self._records[event.part], event.delta
            record.start = 0
            record.item = File(str(told.get("media_type", "")), told.get("data"), told.get("url"))

    def _fill(self, record: _Record) -> None:
        if record is self._filling.get(record.kind):
            return
        self._leave(record.kind)
        if record.start == record.end:  # it has no words yet
            record.start = len(self._texts[record.kind])
        record.end = None
        self._filling[record.kind] = record

    def _leave(self, kind: str) -> None:
        filled = self._filling.pop(kind, None)
        if filled is not None:
            filled.end = len(self._texts[kind])

    # --- what they add up to -------------------------------------------------------------------

    def build(self, find_call: FindCall) -> list[Part]:
        """Make the parts as they stand.

        Args:
            find_call: Makes the part of the tool call with a certain index, without its data.
        """
        return [self._build(record, find_call) for record in self._records]

    def stored_data(self) -> Iterator[tuple[int, Data]]:
        """Yield what the provider wants back with each part, by the number of the part."""
        for record in self._records:
            if record.data:
                yield record.number, record.data

    def drop_data(self, number: int) -> None:
        """Leave out what the provider wants back with this part."""
        self._records[number].given = TextPieces()
        self._records[number].data = {}

    def note_checked(self) -> None:
        """What the provider wants back has been checked, and may be shown."""
        self._is_checked = True

    def _build(self, record: _Record, find_call: FindCall) -> Part:
        if record.call is not None:
            part: Part = find_call(record.call)
            given = part.arguments if isinstance(part, ToolCallPart) else ""
        elif record.item is not None:
            return self._build_item(record, record.item)
        else:
            given = self._words(record)
            part = _WORDS[record.kind](text=given)
        if isinstance(part, TextPart | CommentaryPart):
            part.citations = list(record.citations)
        part.provider_data = self._data(record, given)
        return part

    def _build_item(self, record: _Record, item: File | ProviderItem) -> Part:
        if isinstance(item, ProviderItem):
            part: Part = ProviderPart(item=item.item)
            part.provider_data = {WIRE: self.wire, **(item.data or {})}
            return part
        if record.start is None:  # a transformer dropped it
            return FilePart()
        file = FilePart(media_type=item.media_type, data=item.data, url=item.url)
        file.provider_data = self._data(record, "")
        return file

    def _words(self, record: _Record) -> str:
        if record.start is None:
            return ""
        return str(self._texts[record.kind])[record.start : record.end]

    def _data(self, record: _Record, words: str) -> Data:
        """Return what the provider wants back: reasoning is for its own format in any case."""
        if not self._is_checked or (self._is_rewritten and str(record.given) != words):
            return {}
        if record.data or record.citations or record.kind == "reasoning":
            return {WIRE: self.wire, **record.data}
        return {}

    # --- where a part begins --------------------------------------------------------------------

    def _begin(self, kind: str, *, is_open: bool = True) -> _Record:
        if self.is_ordered:
            self._open.clear()
            self.text = None
        record = _Record(kind, len(self._records))
        self._records.append(record)
        self._latest[kind] = record
        if is_open:
            self._open[kind] = record
        return record

    def _call(self, index: int) -> _Record:
        record = self._calls.get(index)
        if record is None:
            record = self._calls[index] = self._begin("tool_call", is_open=False)
            record.call = index
        return record

    def _named(self, kind: str, *, is_earlier: bool) -> _Record:
        earlier = self._latest.get(kind) if is_earlier else None
        return self._open.get(kind) or earlier or self._begin(kind)


_WORDS: Mapping[str, type[TextPart | CommentaryPart | ReasoningPart | RefusalPart]] = {
    "text": TextPart,
    "commentary": CommentaryPart,
    "reasoning": ReasoningPart,
    "refusal": RefusalPart,
}


def merge(data: Data, more: Mapping[str, Any]) -> None:
    """Add to what a provider wants back: lists and objects are joined, other values replaced.

    So are those within objects: LiteLLM's ``provider_specific_fields`` hold lists of signatures.
    """
    for key, value in more.items():
        earlier = data.get(key)
        if isinstance(earlier, list) and isinstance(value, list):
            data[key] = [*earlier, *value]
        elif isinstance(earlier, dict) and isinstance(value, dict):
            data[key] = dict(earlier)
            merge(data[key], value)
        else:
            data[key] = value
