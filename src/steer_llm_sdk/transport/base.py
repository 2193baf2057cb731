"""What a transport is: one request in, one response whose body arrives in pieces.

Fakes are ordinary implementations of these two protocols (`steer_llm_sdk.testing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.models.requests import HTTPRequest


class SOCKSFailure(Exception):  # noqa: N818 - it never leaves the transport
    """A SOCKS proxy that is not there, or made no connection.

    Args:
        reason: What it said.
        is_retryable: Whether another try may go better.
        tls_error: What went wrong behind it, with the server itself.
    """

    def __init__(
        self, reason: str, *, is_retryable: bool = True, tls_error: OSError | None = None
    ) -> None:
        super().__init__(reason)
        self.is_retryable = is_retryable
        self.tls_error = tls_error


class Arrivals(Protocol):
    """The bytes of a body as they come, for whoever is called with them rather than woken by them.

    Used instead of `TransportResponse.read`, by one reader, while no `read` is under way.
    """

    @property
    def has_ended(self) -> bool:
        """Whether no more bytes come than those that have; `read` tells how it has ended."""
        ...

    def listen(self, listener: Callable[[], object] | None) -> None:
        """Have this called whenever bytes have come, and when no more will; None: nothing.

        It is called in the loop's thread, within what has brought the bytes: it raises nothing.
        """
        ...

    def take(self) -> bytes:
        """Take all bytes that have come; ``b""`` where none have."""
        ...


class TransportResponse(Protocol):
    """A response whose headers have arrived.

    One that can tell of its bytes as they come has `arrivals`, too: see `arrivals_of`.
    """

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names in lower case, the last value where one is repeated."""
        ...

    async def read(self) -> bytes:
        """The bytes that have arrived, at least one; ``b""`` when the body has ended cleanly.

        Raises:
            ConnectionLostError: The connection broke before the body was whole.
            SteerError: What `abort` was called with.
        """
        ...

    def abort(self, error: SteerError) -> None:
        """Close the socket at once. A `read` under way, and every later one, raises `error`.

        May be called from anywhere in the loop's thread, more than once, and after the end.
        """
        ...

    async def release(self) -> None:
        """The body has been read as far as it is wanted.

        The connection is kept for the next request when what is left of the body arrives within a
        moment, else it is closed. Never raises.
        """
        ...


def arrivals_of(response: TransportResponse) -> Arrivals | None:
    """How the bytes of a response are taken as they come; None where they have to be read."""
    return getattr(response, "arrivals", None)


class Transport(Protocol):
    """Opens responses. Lives as long as a client; its connections are shared and kept alive."""

    async def open(
        self, request: HTTPRequest, *, connect_timeout: float | None
    ) -> TransportResponse:
        """Send a request, and wait for the response's headers.

        Args:
            request: What to send.
            connect_timeout: Seconds for the connection, TLS included; None for no limit. The wait
                for the headers is not limited here.

        Raises:
            ConnectError: No connection could be made.
            RequestTimeoutError: Not within `connect_timeout`.
            ConnectionLostError: The connection broke before the headers came.
        """
        ...

    async def close(self) -> None:
        """Close all connections. Streams under way end in `ConnectionLostError`."""
        ...
