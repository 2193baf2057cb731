"""An answer that was cut, and is taken up where it stands: when, and in whose name it fails."""

from __future__ import annotations

from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.providers.base import Decoder, Resumption
from steer_llm_sdk.streaming.attempts import Attempts
from steer_llm_sdk.streaming.lifecycle import Lifecycle


class Recovery:
    """The recoveries of one stream.

    Args:
        is_asked: Whether an answer that was cut is to be taken up at all.
        attempts: Whom to ask, and how often.
        lifecycle: What there is of the answer.

    Attributes:
        cut: What cut the answer, as long as it has not gone on. It stands when taking the answer up
            fails too: that the provider refused a resumption is not what happened to the stream.
    """

    def __init__(self, attempts: Attempts, lifecycle: Lifecycle, *, is_asked: bool) -> None:
        self.cut: SteerError | None = None
        self._is_asked = is_asked
        self._attempts = attempts
        self._lifecycle = lifecycle
        self._next: Resumption | None = None
        self._chunks = 0  # of the answer when it was cut

    def prepare(self, error: SteerError, decoder: Decoder) -> float | None:
        """Find out how to go on.

        Args:
            error: What cut the answer, or the attempt to take it up.
            decoder: What has read the answer.

        Returns:
            The seconds to wait before it; None when the error stands.
        """
        intake = self._lifecycle.intake
        # An answer that was finished lacks its marker only: going on would add to it.
        if not self._is_asked or intake.finish is not None:
            return None
        written = intake.response.get_text() if not intake.firsts else None
        resumption = self._attempts.target.resume(written, decoder)
        wait = self._attempts.after_cut(error) if resumption is not None else None
        if wait is not None:
            self._next = resumption
        return wait

    def note_cut(self, error: SteerError) -> None:
        """The answer was cut, and is about to be taken up."""
        self.cut = error
        self._chunks = self._lifecycle.intake.chunks

    def take(self) -> Resumption | None:
        """How the request that is about to be sent takes the answer up; None when it does not."""
        resumption, self._next = self._next, None
        return resumption

    def note_progress(self) -> None:
        """Something has come: the answer goes on when it is a delta."""
        if self._lifecycle.intake.chunks > self._chunks:
            self.note_success()

    def note_success(self) -> None:
        """The answer has gone on, or had been whole but for its end, which has come now."""
        if self.cut is not None:
            self.cut = None
            self._lifecycle.note_recovery()
