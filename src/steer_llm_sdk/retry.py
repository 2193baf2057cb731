"""When to send a request again, and after how long: arithmetic only.

`RetryPolicy` computes seconds from numbers; its caller supplies the random one, waits, and decides
beforehand whether anything may be sent again at all (never after the first delta).

The wait before retry *n* (from 0) is jittered: equal jitter, between half of the exponential step
and all of it. Full jitter (between 0 and the step) spreads a crowd of clients a little better, but
a client alone may draw nearly 0 several times over and spend its two retries within milliseconds of
an overload. Half the step is the least time a provider gets to recover.
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ compares both.
"""

from __future__ import annotations

from dataclasses import dataclass

from steer_llm_sdk.errors import SteerError


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The limits of sending again. Times are in seconds.

    Attributes:
        max_retries: How often a request is sent again; the first time is not counted.
        max_retry_wait: The longest wait; a provider that asks for more is not waited for at all.
        budget: All that may be spent waiting, over all retries of one call; None for no limit.
        base: The step of the first retry.
        factor: By how much each step is longer than the one before.
        cap: The longest step.
    """

    max_retries: int = 2
    max_retry_wait: float = 60.0
    budget: float | None = 120.0
    # The first values of the providers' own SDKs: half a second, doubled, eight at most.
    base: float = 0.5
    factor: float = 2.0
    cap: float = 8.0

    def wait_before(
        self,
        attempt: int,
        error: SteerError,
        *,
        retry_after: float | None,
        spent: float,
        random: float,
    ) -> float | None:
        """How long to wait before the request is sent again.

        Args:
            attempt: How many retries there have been; 0 after the first failure.
            error: Why the last attempt failed.
            retry_after: The seconds that the provider asked for; None where it asked for none.
            spent: The seconds already spent waiting in this call.
            random: From 0 to 1, evenly distributed.

        Returns:
            Seconds; None: give up, and raise `error`.
        """
        if attempt >= self.max_retries or not error.is_retryable:
            return None
        if retry_after is not None and retry_after > self.max_retry_wait:
            return None
        wait = self.backoff(attempt, random)
        if retry_after is not None:
            # Not a moment earlier than asked, and not all clients at the same moment: the jitter
            # goes on top, as far as the limit leaves room.
            wait = min(retry_after + self._jitter(attempt, random), self.max_retry_wait)
        return None if self.budget is not None and spent + wait > self.budget else wait

    def backoff(self, attempt: int, random: float) -> float:
        """The wait where the provider asks for none: half the step, and jitter up to all of it.

        Args:
            attempt: How many retries there have been.
            random: From 0 to 1.

        Returns:
            Seconds.
        """
        return self._step(attempt) / 2 + self._jitter(attempt, random)

    def _jitter(self, attempt: int, random: float) -> float:
        return self._step(attempt) / 2 * random

    def _step(self, attempt: int) -> float:
        # A float's exponent has an end, which a large number of retries would reach.
        step = self.base * self.factor ** min(attempt, 64)
        return min(step, self.cap, self.max_retry_wait)
