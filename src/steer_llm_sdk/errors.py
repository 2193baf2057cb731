"""Everything that can go wrong, as one tree.

::

    SteerError
    ├── ConfigurationError            MissingAPIKeyError, UnknownModelError, UnknownProviderError,
    │                                 StreamInUseError
    ├── ProviderError                 status, code, provider, request_id, retry_after, body
    │   ├── AuthenticationError, PermissionDeniedError, NotFoundError
    │   ├── InvalidRequestError       ContextLengthError
    │   ├── RateLimitError            retryable
    │   ├── QuotaExceededError
    │   ├── OverloadedError, ServerError             retryable
    │   └── ContentFilterError
    ├── TransportError                retryable
    │   └── ConnectError, ConnectionLostError, RequestTimeoutError, StreamStalledError
    ├── IncompleteStreamError         retryable
    ├── ProtocolError                 FrameTooLargeError
    ├── InvalidJSONError              TruncatedJSONError, SchemaError, RefusalError
    ├── IncompleteToolCallError
    ├── CallbackError
    └── StreamCancelledError

Each class says whether trying again may help (``is_retryable``); an instance may know better than
its class. No exception of another library is ever part of the tree, nor of its ``__cause__``.
"""

from __future__ import annotations

from typing import Any, Protocol


class PartialResponse(Protocol):
    """What had arrived when a stream failed; it always is a `StreamingResponse`.

    Named here by what it can do, since responses are made of errors too.
    """

    request_id: str
    stream_id: str
    provider: str
    model: str
    reasoning: str
    tool_calls: list[dict[str, Any]]
    incomplete_tool_calls: list[dict[str, Any]]
    usage: dict[str, Any] | None
    usage_is_estimated: bool
    finish_reason: str | None
    metadata: dict[str, Any]

    def get_text(self) -> str:
        """The text that had arrived."""
        ...

    @property
    def metrics(self) -> dict[str, Any]:
        """How fast the stream was."""
        ...

    @property
    def cost_usd(self) -> float | None:
        """What it cost in US dollars; None when that is not known."""
        ...


class SteerError(Exception):
    """The root of every error this library raises.

    Attributes:
        is_retryable: Whether the same request may succeed when it is sent again.
        partial_response: What had arrived when the stream failed; None where no stream had begun.
    """

    is_retryable: bool = False
    partial_response: PartialResponse | None = None

    def __init__(self, message: str = "", *, is_retryable: bool | None = None) -> None:
        super().__init__(message)
        if is_retryable is not None:
            self.is_retryable = is_retryable

    @property
    def message(self) -> str:
        """The message alone, as ``str(error)`` gives it."""
        return str(self)


# --- before any stream ------------------------------------------------------------------------


class ConfigurationError(SteerError):
    """The call cannot be made as it was asked for: nothing was sent."""


class StreamInUseError(ConfigurationError, RuntimeError):
    """Two tasks asked one stream, or one observer, for its next event at the same time."""


class MissingAPIKeyError(ConfigurationError):
    """No key was passed, and the provider's environment variable is not set."""


class UnknownModelError(ConfigurationError):
    """The model's name does not say which provider serves it."""


class UnknownProviderError(ConfigurationError):
    """No provider of that name is registered."""


# --- what the provider says -------------------------------------------------------------------


class ProviderError(SteerError):
    """The provider answered with an error, by its status or inside the stream.

    Attributes:
        status: The HTTP status; 200 when the error came inside a stream. None when unknown.
        code: The provider's own word for it (``"overloaded_error"``, ``"insufficient_quota"``, …).
        provider: The provider's name.
        request_id: The provider's identifier of the request, for its support.
        retry_after: Seconds that the provider asks to wait, or None.
        body: The error's body as text, shortened; never holds a key.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        provider: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        body: str | None = None,
        is_retryable: bool | None = None,
    ) -> None:
        super().__init__(message, is_retryable=is_retryable)
        self.status = status
        self.code = code
        self.provider = provider
        self.request_id = request_id
        self.retry_after = retry_after
        self.body = body


class AuthenticationError(ProviderError):
    """The key is wrong, revoked or missing (401)."""


class PermissionDeniedError(ProviderError):
    """The key is valid but may not do this (403)."""


class NotFoundError(ProviderError):
    """The model or the endpoint does not exist (404)."""


class InvalidRequestError(ProviderError):
    """The provider rejects the request as it stands (400, 413, 422)."""


class ContextLengthError(InvalidRequestError):
    """The messages and the answer do not fit into the model's context."""


class RateLimitError(ProviderError):
    """Too many requests or tokens in too short a time (429)."""

    is_retryable = True


class QuotaExceededError(ProviderError):
    """The account's money or quota is used up: waiting a little does not help."""


class OverloadedError(ProviderError):
    """The provider is overloaded (503, 529)."""

    is_retryable = True


class ServerError(ProviderError):
    """The provider failed (5xx)."""

    is_retryable = True


class ContentFilterError(ProviderError):
    """The provider's policy blocked the prompt or the answer."""


# --- what the network does --------------------------------------------------------------------


class TransportError(SteerError):
    """The connection failed; the provider said nothing about it."""

    is_retryable = True


class ConnectError(TransportError):
    """No connection could be made: name, route, refusal or TLS."""


class ConnectionLostError(TransportError):
    """The connection broke before the response was whole."""


class RequestTimeoutError(TransportError):
    """A time limit ran out.

    Attributes:
        limit: The name of the limit, as in `StreamingOptions`: ``"connect_timeout"``,
            ``"first_event_timeout"``, ``"idle_timeout"`` or ``"total_timeout"``.
        seconds: Its value.
    """

    def __init__(self, message: str = "", *, limit: str = "", seconds: float = 0.0) -> None:
        super().__init__(message)
        self.limit = limit
        self.seconds = seconds


class StreamStalledError(RequestTimeoutError):
    """Bytes kept coming, but nothing of the answer did (``stall_timeout``)."""


# --- what the stream is -----------------------------------------------------------------------


class IncompleteStreamError(SteerError):
    """The body ended without the provider's terminal marker: the answer is cut short."""

    is_retryable = True


class ProtocolError(SteerError):
    """The bytes are not what the wire format allows."""


class FrameTooLargeError(ProtocolError):
    """One frame is larger than the limit; the limit protects memory."""


class InvalidJSONError(SteerError):
    """JSON was asked for, and what came does not parse.

    Attributes:
        text: The text that had arrived.
        position: Where the fault is, in characters from the start of `text`; None when it has no
            place.
    """

    def __init__(self, message: str = "", *, text: str = "", position: int | None = None) -> None:
        super().__init__(message)
        self.text = text
        self.position = position


class TruncatedJSONError(InvalidJSONError):
    """The JSON is cut short, because the answer reached its length limit."""


class SchemaError(InvalidJSONError):
    """The JSON parses but does not fit the schema.

    Attributes:
        path: Where in the value the misfit is (``$.items[3].price``).
        reason: What is wrong there.
    """

    def __init__(
        self,
        message: str = "",
        *,
        text: str = "",
        position: int | None = None,
        path: str = "$",
        reason: str = "",
    ) -> None:
        super().__init__(message, text=text, position=position)
        self.path = path
        self.reason = reason


class RefusalError(InvalidJSONError):
    """The model refused, so there is no JSON; `text` holds the refusal."""


class IncompleteToolCallError(SteerError):
    """The stream ended inside a tool call, or its arguments are not JSON: it must not be run."""


class CallbackError(SteerError):
    """A callback raised, and the call asked for that to end the stream."""


class StreamCancelledError(SteerError):
    """The consumer ended the stream before the provider did."""
