"""What to do after a failed attempt: again, another model, or nothing. Arithmetic only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from steer_llm_sdk.errors import ProviderError, SteerError
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.retry import RetryPolicy
from steer_llm_sdk.streaming.plan import Plan, Target
from steer_llm_sdk.streaming.stats import ClientStats


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
        self._policy = RetryPolicy(
            max_retries=options.max_retries,
            max_retry_wait=options.max_retry_wait,
            budget=options.retry_budget,
        )
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
        """How many seconds to wait before the next attempt; None when there is to be none."""
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

    def count_into(self, stats: ClientStats, response: StreamingResponse) -> None:
        """Count the stream, which has ended, in its client's books."""
        fallbacks = self._next_target - 1
        stats.note_end(response, retries=len(self.retries) - fallbacks, fallbacks=fallbacks)

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
