"""Redaction replaces what must not be seen before anyone sees it.

A secret may be cut anywhere by the pieces it comes in, so text is held back exactly as long as more
text could make it part of a match: see `partial_match`. What comes out, joined, is what
``pattern.sub(replacement, text)`` gives for the whole text, one pattern after another.

One thing cannot be both checked and shown in time: text that could still become a match when more
than `max_length` characters of it are held. It is replaced at once, whether it turns out to be a
match or not (closed on failure), and so is what follows it as long as that is not settled.
Everything else stays exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Protocol

from steer_llm_sdk.checks import POSITIVE, TEXT, is_asynchronous
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.pipeline.channels import Channel, channel_of, make_next, read_text, replace_text
from steer_llm_sdk.pipeline.partial_match import is_undecided, partial_pattern, reach_of
from steer_llm_sdk.pipeline.transformers import EventTransformer, Several

Finder = Callable[[str], Iterable[tuple[int, int]]]
Secret = str | re.Pattern[str] | Finder

# A candidate that is over the limit is looked at again when it has grown by this share, so that the
# work stays in proportion to the text.
_GROWTH = 8


class RedactTransformer(EventTransformer):
    """Replaces what matches, across the borders of the pieces in which it comes.

    It reads the text, the reasoning, the refusal and the arguments of each tool call, each for
    itself. What is held back comes out with the next piece that settles it, or at the end, in the
    order in which the kinds first came. When it raises, the piece is dropped. Deltas of a kind that
    it does not know are dropped: it cannot check them.

    What a delta has beside its text (a call's identifier and name, a signature) it reads whole.
    In a tool call's arguments it reads the JSON as it is written: a secret spelled with escapes is
    not found. A reasoning signature does not hold for a text that was changed.
    An answer that is cut is redacted as far as it came: the beginning of what would have become a
    match is shown at its end, unless the pattern matches that, too.

    Among the `StreamingOptions.text_transformers` all else that the provider says passes it too:
    strings in metadata, and errors. What repeats the words and cannot be checked that way is left
    out: log probabilities, citations, further choices.

    Args:
        patterns: Regular expressions, compiled or as strings, or functions; one or more, applied in
            order, each to what the one before it made of the text. A function is given text and
            returns the places of what is to be replaced, as pairs of start and end. It must decide
            by what is within `max_length` characters of the place.
        replacement: What stands for each match, as it is: no group references.
        max_length: The most characters that each pattern holds back; what could be a longer match
            is replaced unseen. Needed for patterns without a longest match, and for functions.

    Raises:
        ConfigurationError: A pattern has no longest match, or there is a function, and `max_length`
            is not given; or a pattern cannot be decided piece by piece (a back-reference), or
            matches the empty text.
    """

    fails_closed: ClassVar[bool] = True

    def __init__(
        self,
        patterns: Secret | Iterable[Secret],
        replacement: str = "[REDACTED]",
        max_length: int | None = None,
    ) -> None:
        POSITIVE.check_given("max_length", max_length)
        TEXT.check("replacement", replacement)
        is_one = isinstance(patterns, str | re.Pattern) or not isinstance(patterns, Iterable)
        given: Iterable[Secret] = [patterns] if is_one else patterns  # type: ignore[list-item, assignment]  # checked just now
        self._rules = tuple(_rule(one, replacement, max_length) for one in given)
        self._channels: dict[Channel, _ChannelState] = {}

    @property
    def held(self) -> int:
        """How many characters are held back now, of all kinds together."""
        return sum(channel.held for channel in self._channels.values())

    def for_stream(self) -> RedactTransformer:
        """An instance that holds back the text of one stream."""
        fresh = object.__new__(type(self))
        fresh.__dict__.update(self.__dict__, _channels={})
        return fresh

    def transform(self, event: StreamEvent) -> StreamEvent | Several:
        """Give the event with that part of its text which is decided; none when nothing is."""
        if not isinstance(event, StreamDeltaEvent):
            return event
        channel = channel_of(event.delta)
        if channel is None:
            return Several()
        state = self._channels.get(channel)
        if state is None:
            state = self._channels[channel] = _ChannelState([rule() for rule in self._rules])
        state.last = event
        if isinstance(event.delta, dict):
            event.delta = self._redact_labels(event.delta, channel)
        text = state.feed(read_text(event.delta, channel))
        return replace_text(event, channel, text) or Several()

    def finish(self) -> Several:
        """Release what is held back: its text has ended, so all of it is decided."""
        channels, self._channels = self._channels, {}
        released = [
            (channel, state.last, state.feed("", is_last=True))
            for channel, state in channels.items()
        ]
        return Several(make_next(last, channel, text) for channel, last, text in released if text)

    def _redact_labels(self, delta: dict[str, Any], channel: Channel) -> dict[str, Any]:
        """Redact what a delta has beside its text: the identifier and the name of a call, seals."""
        return {
            key: value if key in {"type", channel.key} else self._redact_value(value)
            for key, value in delta.items()
        }

    def _redact_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return _ChannelState([rule() for rule in self._rules]).feed(value, is_last=True)
        if isinstance(value, dict):
            return {key: self._redact_value(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._redact_value(one) for one in value]
        return value


class _Stage(Protocol):
    """Replaces what one pattern matches in one text."""

    @property
    def held(self) -> int: ...

    def feed(self, text: str, is_last: bool) -> str: ...


class _ChannelState:
    """Sends one text through all patterns, one after another."""

    last: StreamDeltaEvent

    def __init__(self, stages: Sequence[_Stage]) -> None:
        self._stages = stages

    @property
    def held(self) -> int:
        return sum(stage.held for stage in self._stages)

    def feed(self, text: str, is_last: bool = False) -> str:
        for stage in self._stages:
            if text or is_last:
                text = stage.feed(text, is_last)
        return text


class _Window:
    """Holds the part of a text that is still needed: its last end, and what is held back.

    Attributes:
        text: That part.
        at: Where in it what is held back begins.
    """

    def __init__(self, replacement: str, behind: int) -> None:
        self.text = ""
        self.at = 0
        self._replacement = replacement
        self._behind = behind
        self._replaced_to = 0
        self._out: list[str] = []

    @property
    def held(self) -> int:
        """The characters that are held back and not replaced already."""
        return len(self.text) - max(self.at, self._replaced_to)

    def pass_to(self, end: int) -> None:
        """Release the text up to `end`, but for what has been replaced."""
        begin = max(self.at, self._replaced_to)
        if begin < end:
            self._out.append(self.text[begin:end])
        self.at = max(self.at, end)

    def replace(self, begin: int, end: int) -> None:
        """Replace a place once: what was replaced unseen stands for all that touches it."""
        self.pass_to(begin)
        if begin >= self._replaced_to:
            self._out.append(self._replacement)
        self._replaced_to = max(self._replaced_to, end)

    def take(self) -> str:
        """Give what has been released, and forget what is no longer needed."""
        out = "".join(self._out)
        self._out.clear()
        surplus = self.at - self._behind
        if surplus > 0:
            self.text = self.text[surplus:]
            self.at -= surplus
            self._replaced_to = max(0, self._replaced_to - surplus)
        return out


class _PatternStage:
    """Replaces the matches of one pattern in one text."""

    def __init__(self, rule: _PatternRule) -> None:
        self._rule = rule
        self._window = _Window(rule.replacement, rule.behind)
        self._skip = 0

    @property
    def held(self) -> int:
        return self._window.held

    def feed(self, text: str, is_last: bool) -> str:
        window = self._window
        window.text += text
        if is_last:
            self._settle_all(window)
            return window.take()
        self._skip -= len(text)
        if self._skip <= 0:
            self._settle(window)
        return window.take()

    def _settle_all(self, window: _Window) -> None:
        for match in self._rule.pattern.finditer(window.text, window.at):
            window.replace(*match.span())
            window.at = match.end()
        window.pass_to(len(window.text))

    def _settle(self, window: _Window) -> None:
        """Replace what matches for certain; hold back from where that is not known."""
        while (match := self._rule.partial.search(window.text, window.at)) is not None:
            if is_undecided(match):
                self._hold_from(match.start(), window)
                return
            window.replace(*match.span())
            window.at = match.end()
        window.pass_to(len(window.text))

    def _hold_from(self, begin: int, window: _Window) -> None:
        window.pass_to(begin)
        length = len(window.text) - begin
        if length > self._rule.most_held:
            window.replace(begin, len(window.text))
            self._skip = length // _GROWTH


class _PatternRule:
    """Makes the stages of one pattern, for any number of texts."""

    def __init__(self, pattern: re.Pattern[str], replacement: str, max_length: int | None) -> None:
        reach = reach_of(pattern)
        most_held = max_length if max_length is not None else reach.ahead
        if most_held is None:
            raise ConfigurationError(
                f"patterns: {pattern.pattern!r} has no longest match: give max_length, the most "
                "characters that may be held back for it"
            )
        self.pattern = pattern
        self.partial = partial_pattern(pattern)
        self.replacement = replacement
        self.most_held = most_held
        self.behind = reach.behind

    def __call__(self) -> _Stage:
        return _PatternStage(self)


class _FinderRule:
    """Makes the stages of one function, for any number of texts."""

    def __init__(self, find: Finder, replacement: str, max_length: int | None) -> None:
        if max_length is None:
            raise ConfigurationError(
                f"patterns: the function {find!r} needs max_length, the most characters that a "
                "place which it finds may have"
            )
        if is_asynchronous(find):
            raise ConfigurationError(
                f"patterns: expected a plain function, found the asynchronous {find!r}: text is "
                "searched where nothing can be awaited"
            )
        self.find = find
        self.replacement = replacement
        self.max_length = max_length

    def __call__(self) -> _Stage:
        return _FinderStage(self)


class _FinderStage:
    """Replaces what a function finds in one text."""

    def __init__(self, rule: _FinderRule) -> None:
        self._rule = rule
        self._window = _Window(rule.replacement, rule.max_length)

    @property
    def held(self) -> int:
        return self._window.held

    def feed(self, text: str, is_last: bool) -> str:
        window = self._window
        window.text += text
        try:
            places = sorted(self._rule.find(window.text))
        except BaseException:
            # Never seen, never shown; it stays as what is behind the text to come.
            window.at = len(window.text)
            window.take()
            raise
        self._settle(window, places, len(window.text) if is_last else self._settled_to(window))
        return window.take()

    def _settled_to(self, window: _Window) -> int:
        """Find the place before which all is decided: what begins there has come as a whole."""
        return len(window.text) - 2 * self._rule.max_length

    def _settle(self, window: _Window, places: list[tuple[int, int]], settled_to: int) -> None:
        for begin, end in places:
            if end > window.at and begin < settled_to:
                window.replace(max(begin, window.at), end)
                window.at = end
        window.pass_to(settled_to)


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    if isinstance(pattern, re.Pattern) and not isinstance(pattern.pattern, str):
        raise ConfigurationError(
            f"patterns: expected one for text, found {pattern!r}, which is for bytes"
        )
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(
            f"patterns: expected a regular expression, found {pattern!r}: {error}"
        ) from None


def _rule(one: Secret, replacement: str, max_length: int | None) -> Callable[[], _Stage]:
    if isinstance(one, str | re.Pattern):
        return _PatternRule(_compiled(one), replacement, max_length)
    if callable(one):
        return _FinderRule(one, replacement, max_length)
    raise ConfigurationError(f"patterns: expected a pattern or a function, found {one!r}")
