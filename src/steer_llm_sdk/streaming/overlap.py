"""The seam of an answer that was taken up again: no character twice, none lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from steer_llm_sdk.models.fragments import Extras, Fragment, Identity, Usage

# What a server says beside the answer, in the midst of it too.
_ASIDE = (Identity, Usage, Extras)


class Overlap:
    """Takes away what a server sends again before it goes on.

    Args:
        echo: What the server repeats, whole or not at all: text that only begins like it is held
            until it differs, or until the answer is finished, and then let through. A body that is
            cut before that was cut in the echo.
        trimmed: White space that was not sent along and that the model may write once more: as much
            of it as comes is taken away.
    """

    def __init__(self, echo: str = "", trimmed: str = "") -> None:
        self._echo = echo
        self._trimmed = trimmed
        self._held = ""

    def pass_through(self, fragments: Iterable[Fragment]) -> Iterator[Fragment]:
        """The fragments without what is repeated."""
        for fragment in fragments:
            if isinstance(fragment, str) and (self._echo or self._trimmed):
                if text := self._without_repeated(fragment):
                    yield text
            else:
                if not isinstance(fragment, _ASIDE):
                    yield from self._release()
                yield fragment

    def _release(self) -> Iterator[Fragment]:
        """What was held because it began like the echo, and is now known to be none."""
        held, self._held = self._held, ""
        if held:
            self._echo = ""
            yield held

    def _without_repeated(self, text: str) -> str:
        if self._echo:
            text, self._held = self._held + text, ""
            if len(text) < len(self._echo) and self._echo.startswith(text):
                self._held = text
                return ""
            text, self._echo = text.removeprefix(self._echo), ""
            return text
        same = 0
        while same < min(len(text), len(self._trimmed)) and text[same] == self._trimmed[same]:
            same += 1
        self._trimmed = self._trimmed[same:] if same == len(text) else ""
        return text[same:]
