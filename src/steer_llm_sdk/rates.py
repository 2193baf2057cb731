"""What a provider allows, and what is left of it: `RateLimit`.

Responses have one, and errors; so it stands below both. `steer_llm_sdk.providers.rate_limits` reads
it out of the headers of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of one thing a provider gives. None: it does not say.

    Attributes:
        limit: How much it gives in its window.
        remaining: How much of that is left.
        reset_at: When all of it is there again, in Unix seconds.
    """

    limit: int | None = None
    remaining: int | None = None
    reset_at: float | None = None

    def seconds_until_reset(self, now: float) -> float | None:
        """Seconds from `now` (Unix time) until all of it is there again; None when not known."""
        return None if self.reset_at is None else max(0.0, self.reset_at - now)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What a provider has said of its limits, with one answer.

    Attributes:
        requests: Of requests.
        tokens: Of tokens, prompts and answers.
        input_tokens: Of the tokens of prompts, where they are counted apart.
        output_tokens: Of the tokens of answers, where they are counted apart.
        retry_after: Seconds that it asked to wait; None where it did not.
    """

    requests: Quota = Quota()
    tokens: Quota = Quota()
    input_tokens: Quota = Quota()
    output_tokens: Quota = Quota()
    retry_after: float | None = None

    def seconds_until_free(self, now: float) -> float:
        """Seconds from `now` (Unix time) until nothing is used up; 0 when nothing is, as told."""
        quotas = (getattr(self, name) for name in QUOTAS)
        waits = (quota.seconds_until_reset(now) for quota in quotas if quota.remaining == 0)
        return max((wait for wait in waits if wait is not None), default=0.0)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one of what was stored. Fields that are missing, or not known, are passed over."""
        values = {name: data[name] for name in _names(cls) if name in data}
        for name in QUOTAS:
            if isinstance(stored := values.get(name), Mapping):
                values[name] = Quota(**{key: stored.get(key) for key in _names(Quota)})
        return cls(**values)


QUOTAS = ("requests", "tokens", "input_tokens", "output_tokens")


def _names(kind: type[Quota | RateLimit]) -> list[str]:
    return [field.name for field in fields(kind)]
