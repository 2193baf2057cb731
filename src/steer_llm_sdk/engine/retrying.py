"""What to do after a failed attempt: ask again, ask another model, take a cut answer up, or fail.

Arithmetic only: no socket, no clock, no pause.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from steer_llm_sdk.answer.lifecycle import Lifecycle
from steer_llm_sdk.engine.plan import Plan, Target
from steer_llm_sdk.engine.stats import ClientStats
from steer_llm_sdk.errors import ProviderError, RequestTimeoutError, SteerError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Decoder, Resumption
from steer_llm_sdk.retry import RetryPolicy


def policy_of(options: StreamingOptions) -> RetryPolicy:
    """How often, and after how long, the options have a request sent again."""
    return RetryPolicy(
        max_retries=options.max_retries,
        max_retry_wait=options.max_retry_wait,
        budget=options.retry_budget,
    )


class Attempts:
    """The attempts of one stream.

    Args:
        plan: Which models there are to ask, and how often.
        random: Gives numbers from 0 to 1, for the jitter.
        without_usage: The endpoints that are known to refuse being asked for usage: shared by the
            streams of a client, and added to.
    """

    def __init__(self, plan: Plan, random: Callable[[], float], without_usage: set[str]) -> None:
        options = plan.options
        self.target: Target = plan.targets[0]
        self.retries: list[dict[str, Any]] = []
        self.number = 0  # of the attempt, over all models, from 1
        self._plan = plan
        self._random = random
        self._without_usage = without_usage
        self._policy = policy_of(options)
        self._next_target = 1
        self._of_target = 0  # the attempts of this target
        self._spent = 0.0

    def begin(self) -> Target:
        """One more attempt."""
        self.number += 1
        self._of_target += 1
        target = self.target
        if self._without_usage and target.name in self._without_usage:
            target.ask_without_usage()
        return target

    def after(self, error: SteerError) -> float | None:
        """How many seconds to wait before the next attempt; None when there is to be none.

        The total limit is for all models together: once it has run out, no other is asked.
        """
        if isinstance(error, RequestTimeoutError) and error.limit == "total_timeout":
            return None
        if self._is_usage_refused(error):
            self.number -= 1
            self._of_target -= 1
            return 0.0
        wait = self._wait(error)
        if wait is None and self._next_target == len(self._plan.targets):
            return None
        self._note(error, wait)
        if wait is None:
            self.target = self._plan.targets[self._next_target]
            self._next_target += 1
            self._of_target = 0
            return 0.0
        self._spent += wait
        return wait

    def after_cut(self, error: SteerError) -> float | None:
        """How many seconds to wait before a cut answer is taken up again; None: it is not to be."""
        wait = self._wait(error)
        if wait is not None:
            self._note(error, wait)
            self._spent += wait
        return wait

    def count_into(
        self, stats: ClientStats, response: StreamingResponse, last: Sequence[StreamEvent] = ()
    ) -> None:
        """Count the stream, which has ended, in its client's books.

        Args:
            stats: The client's counters.
            response: What the stream came to.
            last: The usage and the terminal event, where somebody gets them.
        """
        fallbacks = self._next_target - 1
        stats.note_end(response, retries=len(self.retries) - fallbacks, fallbacks=fallbacks)
        if (account := self._plan.account) is not None:
            account.end(
                response,
                attempts=self.number,
                retries=self.retries,
                base_url=self.target.base_url,
                last=last,
            )

    def _wait(self, error: SteerError) -> float | None:
        return self._policy.wait_before(
            self._of_target - 1,
            error,
            retry_after=getattr(error, "retry_after", None),
            spent=self._spent,
            random=self._random(),
        )

    def _is_usage_refused(self, error: SteerError) -> bool:
        """Whether the server refused to be asked for usage; the target then asks without."""
        target = self.target
        if not isinstance(error, ProviderError) or not target.chat.include_usage:
            return False
        if target.wire.without_usage_option(target.chat, error) is None:
            return False
        self._without_usage.add(target.name)
        return True

    def _note(self, error: SteerError, wait: float | None) -> None:
        self.retries.append(
            {
                "provider": self.target.provider,
                "model": self.target.chat.model,
                "error_type": type(error).__name__,
                "message": str(error),
                "wait": wait,
            }
        )


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
