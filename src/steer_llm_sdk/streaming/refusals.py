"""A response that is not a stream: read as far as it may be, and turned into the error it tells."""

from __future__ import annotations

from steer_llm_sdk.errors import ProviderError, SteerError
from steer_llm_sdk.providers.base import ErrorAnswer, WireFormat
from steer_llm_sdk.providers.failures import retry_after_seconds
from steer_llm_sdk.transport.base import TransportResponse


async def read_refusal(
    response: TransportResponse,
    wire: WireFormat,
    provider: str,
    *,
    max_bytes: int,
    now: float,
) -> ProviderError:
    """Read an error out of a response.

    Args:
        response: The response, its status not 200.
        wire: How the provider tells errors.
        provider: The provider's name.
        max_bytes: How much of the body is read at the most.
        now: The Unix time, from which a ``Retry-After`` date counts.
    """
    if 300 <= response.status < 400:
        return _redirect(response, provider)
    body = await _read_body(response, max_bytes)
    error = wire.read_error(ErrorAnswer(provider, response.status, response.headers, body))
    asked = retry_after_seconds(response.headers, now)
    error.retry_after = error.retry_after if asked is None else asked
    return error


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
