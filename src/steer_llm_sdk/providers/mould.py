"""Events that differ from the last one in their words alone: `Mould`.

Strategy. While a model writes, most servers send one event for a few words, and all the rest of it
stays what it was: names, identifiers, braces. What has been read once need not be read again: a
mould holds the bytes before the words and those behind them, and what fits it is read by reading
its words, as the JSON string that they are. Some servers pad their events, so that nobody can tell
the words by their length: letters in a string of their own (OpenAI), or blanks (Anthropic). Such
padding may be anything of its kind.

It is right by proof. A mould is made of an event only after other words, put in the place of its
own, were read by the decoder as exactly those words; in the same way padding is found to say
nothing. And in JSON, a whole string may stand wherever another one does.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import msgspec

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.fragments import Reasoning
from steer_llm_sdk.wire.frame import Frame, Framing

# What an event says: words of the answer, or of the reasoning.
Words: TypeAlias = str | Reasoning

# Reads the words of a frame that says nothing else, where reading it changes nothing in its
# decoder; None of any other.
WordsOf: TypeAlias = Callable[[Frame], Words | None]

# A trial costs as much as three events. Two in a row are made at once, since padding is found by
# two events; after each further one, of which no event was like it, twice as many are passed over.
_MOST_DOUBLINGS = 9
_PASSED_OVER = [2**trials // 8 for trials in range(_MOST_DOUBLINGS + 1)]

# What is put in the place of words, and of padding.
_OTHER_WORDS = "-"
_OTHER_LETTERS = b"0aZ"
_OTHER_BLANKS = b" \t "  # no string may hold a tab: it stands between tokens

_LETTERS = (string.ascii_letters + string.digits).encode()

_read_string = msgspec.json.Decoder(str).decode
_write_string = msgspec.json.Encoder().encode


class _Padding(NamedTuple):
    """Bytes of one kind that say nothing.

    Attributes:
        before: What stands between the words and the padding.
        kind: Of which bytes it is.
    """

    before: bytes
    kind: bytes

    def end_of_words(self, chunk: bytes, end: int) -> int:
        """Where the words end in a chunk whose padding ends there; -1 where that is none."""
        at = chunk.rfind(self.before, 0, end)
        return -1 if chunk[at + len(self.before) : end].strip(self.kind) else at


class Mould:
    """What the events of a stream have in common, and where they have their words.

    Args:
        framing: Makes a framing as the stream has one.
        words_of: Reads a frame for a trial; None where no decoder does.
        max_bytes: The most bytes that one event may take.
    """

    def __init__(
        self, framing: Callable[[], Framing], words_of: WordsOf | None, max_bytes: int
    ) -> None:
        self._framing = framing
        self._words_of = words_of
        self._max_bytes = max_bytes
        self._is_valid = False
        self._head = b""  # up to the quote before the words
        self._tail = b""  # from the quote behind the words on, or from the end of the padding
        self._padding: _Padding | None = None
        self._part: int | str | None = None  # of the reasoning, where the words are of that
        self._trials = 0  # since an event was like another one
        self._passed_over = 0  # how many events are still to be passed over

    def take(self, chunk: bytes) -> Words | None:
        """The words of an event that fits; None of anything else, which is then to be read whole.

        What does not fit may change what the same bytes mean: nothing fits any more then, until
        the mould has been learned again.

        Args:
            chunk: What has come next.
        """
        if not self._is_valid:
            return None
        head, tail = self._head, self._tail
        size = len(chunk)
        if chunk.startswith(head) and chunk.endswith(tail) and size <= self._max_bytes:
            end = size - len(tail)
            if self._padding is not None:
                end = self._padding.end_of_words(chunk, end)
            try:
                # From quote to quote: what is read there is one string, or fails.
                words = _read_string(chunk[len(head) - 1 : end + 1])
            except (msgspec.DecodeError, UnicodeDecodeError):
                words = ""
            if words:
                self._trials = 0
                return words if self._part is None else Reasoning(words, self._part)
        self._is_valid = False
        return None

    def learn(self, chunk: bytes, said: Words) -> None:
        """Make a mould of an event, where that can be done.

        Args:
            chunk: A whole event, and nothing else.
            said: What it was found to say.
        """
        if self._words_of is None:
            return
        self._is_valid = bool(self._head)
        if self.take(chunk) == said:  # nothing but the words has changed meanwhile
            return
        self._is_valid = False
        if self._passed_over:
            self._passed_over -= 1
            return
        self._trials = min(self._trials + 1, _MOST_DOUBLINGS)
        self._passed_over = _PASSED_OVER[self._trials]
        words, part = (said, None) if isinstance(said, str) else (said.text, said.part)
        try:
            written = _write_string(words)
        except UnicodeEncodeError:  # half a character
            return
        head, quote, tail = chunk.partition(written)
        if not quote:
            return  # it is written otherwise
        head, tail = head + b'"', b'"' + tail
        other = _OTHER_WORDS if part is None else Reasoning(_OTHER_WORDS, part)
        if not self._is_read(head, tail, other):
            return
        known = self._tail
        self._head, self._tail, self._padding, self._part = head, tail, None, part
        if known != tail:
            self._find_padding(known, tail, other)
        self._is_valid = True

    def _find_padding(self, first: bytes, second: bytes, other: Words) -> None:
        """See whether two tails differ in padding alone, and then take it out of the mould."""
        common = _beginning(first, second)
        behind = _beginning(first[len(common) :][::-1], second[len(common) :][::-1])[::-1]
        for kind, another in ((_LETTERS, _OTHER_LETTERS), (b" ", _OTHER_BLANKS)):
            before, tail = common.rstrip(kind), behind.lstrip(kind)
            fillings = [each[len(before) : len(each) - len(tail)] for each in (first, second)]
            is_padding = not any(filling.strip(kind) for filling in fillings)
            if is_padding and self._is_read(self._head, before + another + tail, other):
                self._tail, self._padding = tail, _Padding(before, kind)
                return

    def _is_read(self, head: bytes, tail: bytes, other: Words) -> bool:
        """Whether other words, between these, are read as just those words."""
        assert self._words_of is not None  # noqa: S101
        try:
            frames = [*self._framing().feed(head + _OTHER_WORDS.encode() + tail)]
        except ProtocolError:
            return False
        return [self._words_of(frame) for frame in frames] == [other]


def _beginning(one: bytes, other: bytes) -> bytes:
    """What both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return one[: next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))]
