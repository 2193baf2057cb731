"""From a provider's own words for an error to the library's class.

The body decides first, by the provider's code, then by phrases that several providers share; the
status decides only where the body says nothing. Each provider's file brings its own codes.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from steer_llm_sdk.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.providers.base import ErrorAnswer
from steer_llm_sdk.providers.endings import failure

MAX_BODY_CHARS = 2_000
MAX_MESSAGE_CHARS = 500

BY_STATUS: Mapping[int, type[ProviderError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServerError,
    409: ServerError,
    425: ServerError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitError,
    503: OverloadedError,
    529: OverloadedError,
}

# What several providers say in prose where their code is too coarse.
_PHRASES: tuple[tuple[re.Pattern[str], type[ProviderError]], ...] = (
    (
        re.compile(
            r"context[ _]?(?:length|window|size|limit)|maximum context|maximum prompt length|"
            r"(?:prompt|input) is too long|exceeded model token limit|range of input length|"
            r"`inputs` tokens \+ `max_new_tokens`|"
            r"input token count.*exceeds|too many (?:input )?tokens(?!, please wait)|"
            r"exceeds? the (?:available )?context|max tokens of \d+ exceeded",
            re.IGNORECASE,
        ),
        ContextLengthError,
    ),
    (
        re.compile(
            r"insufficient[ _](?:quota|balance|credits?|funds)|credit balance is too low|"
            r"exceeded your current quota|exhausted your (?:\w+ ){0,2}quota|billing|"
            r"payment required|spend(?:ing)? (?:limit|cap)|key limit exceeded|"
            r"specified (?:\w+ )?API usage limits|extra usage is required|"
            r"out of (?:extra usage|credits?)|balance is insufficient|"
            r"余额不足|欠费|额度(?:不足|已用尽)|"
            r"(?:hourly|daily|weekly|monthly|session|\d[ -]hours?) "
            r"(?:(?:usage|tokens?|requests?) )?(?:limit|quota|cap\b)|daily free allocation|"
            # What comes back tomorrow does not come back while anyone waits; where it comes back
            # earlier, the server says when.
            r"(?:tokens?|requests?|calls|models)(?:[ -]per[ -]| / )(?:day|month)(?!.*again in)",
            re.IGNORECASE,
        ),
        QuotaExceededError,
    ),
    (
        re.compile(
            r"content[ _]?(?:management[ _]policy|filter|policy)|safety system|input was flagged",
            re.IGNORECASE,
        ),
        ContentFilterError,
    ),
    (
        re.compile(r"internal (?:server )?error|server had an error", re.IGNORECASE),
        ServerError,
    ),
    (re.compile(r"\boverloaded\b|at capacity|over capacity", re.IGNORECASE), OverloadedError),
    (
        re.compile(
            r"rate[ _-]?limit(?! of 0(?!\.\d))|too many requests|please wait before trying again",
            re.IGNORECASE,
        ),
        RateLimitError,
    ),
    (
        re.compile(
            r"(?:invalid|incorrect)[ _]api[ _](?:key|token)|api key not valid", re.IGNORECASE
        ),
        AuthenticationError,
    ),
)

# A coarse class that a phrase may narrow; anything else was said precisely.
_COARSE = (InvalidRequestError, RateLimitError, PermissionDeniedError, ServerError, ProviderError)

_WHAT_TO_DO: Mapping[type[ProviderError], str] = {
    AuthenticationError: "check the API key",
    PermissionDeniedError: "check what the key may do",
    NotFoundError: "check the model's name and the base URL",
    ContextLengthError: "shorten the messages or lower max_tokens",
    RateLimitError: "wait and try again",
    QuotaExceededError: "check the account's balance and limits",
    OverloadedError: "try again later",
    ServerError: "try again",
}

# Shapes of keys in texts that providers send back ("Incorrect API key provided: sk-abc…").
_KEY_SHAPES = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|pplx|hf|key|AIza|csk|fw|tgp|nvapi)[-_][\w*.-]{6,}|\bAIza[\w-]{10,}"
    r"|(?i:bearer\s+)[\w.~+/*-]{8,}=*"
    # A key of no known shape, where the text says that it is one.
    r"|((?i:api[ _-]?key(?: provided)?[\"']?\s*[:=]\s*[\"']?))[^\s\"',}]{6,}"
)


def scrub(text: str) -> str:
    """The text without anything that has the shape of a key."""
    return _KEY_SHAPES.sub(r"\g<1>[key]", text)


def shorten(text: str, limit: int) -> str:
    """The text on one line, cut with an ellipsis where it is longer than `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def classify(
    code: str | None,
    message: str,
    status: int | None,
    codes: Mapping[str, type[ProviderError]],
) -> type[ProviderError]:
    """The class of an error: by the provider's code, its prose, then the status."""
    by_code = codes.get(code) if code is not None else None
    by_status = class_of_status(status)
    # "Invalid request" is said of wrong keys and missing models too; the status knows better.
    is_vague = by_code is InvalidRequestError and by_status is not ProviderError
    coarse = by_status if by_code is None or is_vague else by_code
    # A word of another provider's, which a gateway has passed on, says it too.
    said = message if by_code is not None or code is None else f"{message} {code}"
    if coarse in _COARSE:
        for pattern, narrower in _PHRASES:
            if pattern.search(said) and _may_narrow(coarse, narrower):
                return narrower
    return coarse


def _may_narrow(coarse: type[ProviderError], narrower: type[ProviderError]) -> bool:
    """A phrase is believed where the class so far does not already say something else.

    A rate limit that mentions billing may be a quota; it is not a context length.
    """
    if coarse is RateLimitError:
        return narrower in {QuotaExceededError, OverloadedError}
    return True


_ENDINGS: Mapping[str, type[ProviderError]] = {
    "overloaded_error": OverloadedError,
    "rate_limit_error": RateLimitError,
    "authentication_error": AuthenticationError,
    "billing_error": QuotaExceededError,
    "invalid_request_error": InvalidRequestError,
    "not_found_error": NotFoundError,
    "permission_error": PermissionDeniedError,
}


def kind_of_ending(word: str) -> type[ProviderError] | None:
    """The class of the error that a reason to stop is; None where an answer may end so."""
    said = failure(word)
    return None if said is None else _ENDINGS.get(said, ServerError)


def class_of_status(status: int | None) -> type[ProviderError]:
    """The class that a status alone gives."""
    if status is None or status < 400:
        return ProviderError
    if status in BY_STATUS:
        return BY_STATUS[status]
    return ServerError if status >= 500 else InvalidRequestError


def make_error(
    provider: str,
    code: str | None,
    message: str,
    *,
    status: int | None,
    codes: Mapping[str, type[ProviderError]],
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
    body_status: int | None = None,
    kind: type[ProviderError] | None = None,
    retry_after: float | None = None,
) -> ProviderError:
    """Build the error: a short message that names the provider and says what to do.

    Args:
        provider: The provider's name.
        code: Its own word for the error.
        message: Its prose.
        status: The HTTP status of the response; 200 for an error inside a stream.
        codes: The provider's words, and the classes that they mean.
        body: The body as text; it is scrubbed and shortened here.
        headers: The response's headers, their names in lower case.
        request_id: The provider's identifier of the request, where the body has it.
        body_status: The status that the error itself names; it decides in place of `status`.
        kind: The class, where the provider says more precisely than words what it is.
        retry_after: Seconds that the body itself asks to wait.
    """
    kind = kind or classify(code, message, body_status or status, codes)
    said = shorten(scrub(message), MAX_MESSAGE_CHARS) or "no message"
    where = f"{provider}" + (f" ({status})" if status is not None and status != 200 else "")
    advice = _WHAT_TO_DO.get(kind)
    text = f"{where}: {said}" + (f" [{code}]" if code else "") + (f"; {advice}" if advice else "")
    found = headers or {}
    return kind(
        text,
        status=status,
        code=code,
        provider=provider,
        request_id=request_id or found.get("x-request-id") or found.get("request-id"),
        retry_after=retry_after,
        body=None if body is None else shorten(scrub(body), MAX_BODY_CHARS),
    )


def read_json_body(answer: ErrorAnswer) -> Any:
    """The body as JSON, or None when it is something else (an HTML page, nothing)."""
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


_GZIP = b"\x1f\x8b"


def describe_body(answer: ErrorAnswer) -> str:
    """What to say of a body that is not the provider's JSON."""
    if not answer.body.strip():
        return "an empty body"
    if answer.body.startswith(_GZIP):
        return "a body that gzip has packed, of which its headers do not tell"
    text = answer.body[: MAX_BODY_CHARS * 4].decode("utf-8", "replace")
    if "<" in text and re.search(r"<\s*(?:!doctype|html|head|body)", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        return f"an HTML page{': ' + title[1].strip() if title else ''}"
    return text


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """What ``retry-after-ms`` or ``Retry-After`` asks for, in seconds; None where neither does.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after: seconds, or a date (`now` is the
    Unix time to count from).
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < float("inf") else None
