"""The head of an answer: which of its headers are told, and what they say of limits.

Nothing is looked through before somebody asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from steer_llm_sdk.engine.plan import Target
from steer_llm_sdk.engine.scrubbing import SECRET_HEADERS, Secrets
from steer_llm_sdk.models.headers import Headers
from steer_llm_sdk.models.responses import StreamingResponse, set_head
from steer_llm_sdk.pipeline.text_stage import TextStage
from steer_llm_sdk.providers.failures import scrub
from steer_llm_sdk.providers.rate_limits import read_rate_limit
from steer_llm_sdk.rates import RateLimit

# Names that speak of tokens and mean no secret.
_ABOUT_LIMITS = re.compile(r"ratelimit|tokenlimit")


class Head:
    """The status line and the headers of one answer.

    Args:
        headers: The headers, their names in lower case.
        secrets: What no header may tell.
        at: When they came, in Unix time.
    """

    __slots__ = ("_at", "_headers", "_secrets")

    def __init__(self, headers: Mapping[str, str], secrets: Secrets, at: float) -> None:
        self._headers = headers
        self._secrets = secrets
        self._at = at

    def headers(self) -> Headers:
        """The headers that may be told: no cookies, and nothing that holds a key."""
        told = {name: value for name, value in self._headers.items() if not _is_secret(name)}
        return Headers({name: scrub(self._secrets.conceal(value)) for name, value in told.items()})

    def rate_limit(self) -> RateLimit | None:
        """What they say of the provider's limits; None where they say nothing."""
        return read_rate_limit(self._headers, self._at)


def _is_secret(name: str) -> bool:
    return bool(SECRET_HEADERS.search(name)) and not _ABOUT_LIMITS.search(name)


class Heads:
    """Keeps the head of a stream's last answer, for its response.

    Args:
        response: The response.
        text_stage: What redacts: then headers are told when they have passed it, at the end.
        note: Is told of each head.
    """

    def __init__(
        self,
        response: StreamingResponse,
        text_stage: TextStage,
        note: Callable[[Target, Head], object],
    ) -> None:
        self._response = response
        self._text_stage = text_stage
        self._note = note
        self._head: Head | None = None

    def note(self, target: Target, head: Head) -> None:
        """An answer of this target has begun, be it a refusal."""
        self._head = head
        headers = Headers if self._text_stage.redacts else head.headers
        set_head(self._response, headers, head.rate_limit)
        self._note(target, head)

    async def clean(self) -> None:
        """Tell the headers where they had to be redacted first."""
        head = self._head
        if head is not None and self._text_stage.redacts:
            cleaned = Headers(await self._text_stage.clean(dict(head.headers())))
            set_head(self._response, lambda: cleaned, head.rate_limit)
