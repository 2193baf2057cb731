"""A response that is not a stream: read as far as it may be, and turned into the error it tells."""

from __future__ import annotations

from collections.abc import Mapping

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.errors import ConnectError, ConnectionLostError, ProviderError, SteerError
from steer_llm_sdk.providers.base import ErrorAnswer, WireFormat
from steer_llm_sdk.providers.failures import describe_body, retry_after_seconds
from steer_llm_sdk.transport.base import TransportResponse

# How long the body of an error is waited for: its status alone is worth telling.
_BODY_SECONDS = 10.0

# Successes that may carry a stream: some gateways answer every POST with 201 or 202.
STREAMING_STATUSES = frozenset({200, 201, 202, 203})

# Content types that do not rule a stream out: its own, and those of servers that do not care.
_STREAM_TYPES = ("text/event-stream", "application/x-ndjson", "application/jsonl", "application/x-")


async def read_refusal(
    response: TransportResponse,
    wire: WireFormat,
    provider: str,
    *,
    max_bytes: int,
    clock: Clock,
) -> SteerError:
    """Read an error out of a response. The response is still to be released.

    Args:
        response: The response; its status is none of `STREAMING_STATUSES`.
        wire: How the provider tells errors.
        provider: The provider's name.
        max_bytes: How much of the body is read at the most; unpacked, where it is compressed.
        clock: By which the body is waited for, and from which a ``Retry-After`` date counts.
    """
    if response.status == 407:
        return _proxy_refused(provider)
    if 300 <= response.status < 400:
        return _redirect(response, provider)
    late = ConnectionLostError("the body of an error did not come to its end in time")
    timer = clock.call_later(_BODY_SECONDS, lambda: response.abort(late))
    try:
        body = await _read_body(response, max_bytes)
    finally:
        timer.cancel()
    answer = ErrorAnswer(provider, response.status, response.headers, body)
    if response.status < 300:
        return not_a_stream(wire, answer)
    error = wire.read_error(answer)
    asked = retry_after_seconds(response.headers, clock.time())
    error.retry_after = error.retry_after if asked is None else asked
    return error


def is_stream_type(headers: Mapping[str, str]) -> bool:
    """Whether the headers announce a stream, rather than a document or nothing in particular."""
    return headers.get("content-type", "").strip().lower().startswith(_STREAM_TYPES)


def not_a_stream(wire: WireFormat, answer: ErrorAnswer) -> ProviderError:
    """The error of a success that brought something else than a stream.

    A proxy's login page, a gateway that does not stream, an error under the wrong status.
    """
    error = wire.read_error(answer)
    if error.code is not None or type(error) is not ProviderError:
        return error
    is_json = answer.body.lstrip()[:1] in {b"{", b"["}
    what = "a JSON document" if is_json else describe_body(answer)
    what = what if len(what) <= _SHOWN_CHARS else what[:_SHOWN_CHARS] + "…"
    return ProviderError(
        f"{answer.provider} ({answer.status}): expected a stream, found {what}; check the base URL",
        status=answer.status,
        provider=answer.provider,
        request_id=error.request_id,
        body=error.body,
    )


_SHOWN_CHARS = 120


async def _read_body(response: TransportResponse, max_bytes: int) -> bytes:
    """What there is of the body: a status is worth telling even when its body breaks off."""
    body = bytearray()
    try:
        while len(body) < max_bytes and (chunk := await response.read()):
            body += chunk
    except SteerError:
        pass
    return bytes(body[:max_bytes])


def _redirect(response: TransportResponse, provider: str) -> ProviderError:
    return ProviderError(
        f"{provider} ({response.status}): the server redirects elsewhere; redirects are not "
        "followed, since the key would go along: check the base URL",
        status=response.status,
        provider=provider,
    )


def _proxy_refused(provider: str) -> ConnectError:
    return ConnectError(
        f"{provider}: a proxy on the way wants a user and password (407): check the proxy's URL",
        is_retryable=False,
    )
