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
    ├── ToolError
    ├── CallbackError
    ├── BudgetExceededError           budget, limit, spent
    ├── StreamCancelledError
    ├── ProducerLostError             retryable
    └── JournalGapError

Each class says whether trying again may help (``is_retryable``); an instance may know better than
its class. No exception of another library is ever part of the tree, nor of its ``__cause__``.
Errors can be copied, pickled (so they come out of process pools as they went in) and stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Protocol

from steer_llm_sdk.rates import RateLimit
from steer_llm_sdk.stored import words_of


class PartialResponse(Protocol):
    """What had arrived when a stream failed; it always is a `StreamingResponse`.

    Named here by what it can do, since responses are made of errors too.
    """

    request_id: str
    stream_id: str
    provider: str
    model: str
    reasoning: str
    tool_calls: list[Any]
    incomplete_tool_calls: list[Any]
    usage_is_estimated: bool
    metadata: dict[str, Any]

    @property
    def text(self) -> str:
        """The text that had arrived."""
        ...

    def get_text(self) -> str:
        """Return the text that had arrived."""
        ...

    @property
    def usage(self) -> Mapping[str, Any] | None:
        """The tokens that it took."""
        ...

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped, if it did."""
        ...

    @property
    def metrics(self) -> Mapping[str, Any]:
        """How fast the stream was."""
        ...

    @property
    def cost_usd(self) -> float | None:
        """What it cost in US dollars; None when that is not known."""
        ...


class SteerError(Exception):
    """The root of every error this library raises. Two are equal when their dicts are.

    Attributes:
        is_retryable: Whether the same request may succeed when it is sent again.
        partial_response: What had arrived when the stream failed; None where no stream had begun.
        run: What a run with tools had come to when it failed, a `RunResult`; None outside of one.
        quote: What the message quotes of the bytes that came, as it stands there; text
            transformers have it taken out.
    """

    is_retryable: bool = False
    partial_response: PartialResponse | None = None
    run: Any = None
    _class_name: str | None = None  # where the error was stored by who knew its class
    quote: str = ""

    def __init__(self, message: str = "", *, is_retryable: bool | None = None) -> None:
        super().__init__(message)
        if is_retryable is not None:
            self.is_retryable = is_retryable

    @property
    def message(self) -> str:
        """The message alone, as ``str(error)`` gives it."""
        return str(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as a plain dict, which JSON can hold, without `partial_response`.

        Returns:
            ``{"type", "message", "is_retryable", …}``: the name of the class, and then the fields
            that this error has.
        """
        from steer_llm_sdk.stored import plain

        said = {"type": self._class_name or type(self).__name__, "message": str(self)}
        named = {name: plain(value) for name, value in vars(self).items() if _is_field(name)}
        return said | {"is_retryable": self.is_retryable} | named

    def to_json(self) -> str:
        """Return the error as JSON to be stored: what `to_dict` gives, and ``version``."""
        from steer_llm_sdk.stored import to_json

        return to_json(self.to_dict())

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> SteerError:
        """Make an error of what `to_dict` gave, or `to_json` when it was parsed.

        It is of the class that ``type`` names; where that is not known, a `SteerError` with the
        same fields, whose `to_dict` still names it. Fields that are missing have their defaults;
        what is no mapping is a `TypeError`.
        """
        from steer_llm_sdk.stored import as_stored

        data = as_stored(data)
        name = str(data.get("type", "SteerError"))
        known = _class_named(name)
        found = known or SteerError
        error = _new_error(found, (str(data.get("message", "")),))
        fields = {key: value for key, value in data.items() if _may_be_set(found, key)}
        if data.get("is_retryable", found.is_retryable) != found.is_retryable:
            fields["is_retryable"] = data["is_retryable"]
        if known is None:
            fields["_class_name"] = name
        if isinstance(told := fields.get("rate_limit"), Mapping):
            fields["rate_limit"] = RateLimit.from_dict(told)
        vars(error).update(deepcopy(fields))
        return error

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, SteerError):
            return NotImplemented
        return self is other or self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((type(self), str(self)))

    def __reduce__(self) -> Any:
        # Without `__init__`, whose arguments differ from class to class: the fields are the state.
        return _new_error, (type(self), self.args), dict(vars(self))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        return _error_schema(cls, handler)


def _new_error(kind: type[SteerError], args: tuple[Any, ...]) -> SteerError:
    return kind.__new__(kind, *args)


# Written by `to_dict` under a name of their own, or not at all.
_NOT_FIELDS = frozenset({"type", "message", "is_retryable", "partial_response", "run", "version"})


def _is_field(name: str) -> bool:
    return name not in _NOT_FIELDS and not name.startswith("_")


def _may_be_set(kind: type[SteerError], name: str) -> bool:
    """Whether a stored key is a field: none that would hide a method of the class."""
    return _is_field(name) and not callable(getattr(kind, name, None)) and name != "args"


def _class_named(name: str) -> type[SteerError] | None:
    return next((kind for kind in _tree(SteerError) if kind.__name__ == name), None)


def _tree(kind: type[SteerError]) -> Iterator[type[SteerError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


def error_as_dict(error: Any) -> Any:
    """Return any exception as `SteerError.to_dict` has it; a dict, which one was, as it is."""
    if isinstance(error, SteerError):
        return error.to_dict()
    if isinstance(error, BaseException):
        return {"type": type(error).__name__, "message": words_of(error), "is_retryable": False}
    return error


class AnyError(Exception):
    """Stands for every exception where pydantic reads the type of a field."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        return _error_schema(Exception, handler)


def _error_schema(kind: type[BaseException], handler: Any) -> Any:
    from steer_llm_sdk.stored import pydantic_schema

    hints = {"type": str, "message": str, "is_retryable": bool}
    return pydantic_schema(
        kind, handler, hints, from_dict=SteerError.from_dict, to_dict=error_as_dict
    )


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
        rate_limit: What the answer said of the provider's limits; None where it said nothing.
    """

    # For errors that were stored before a field was there; so in the other classes.
    status: int | None = None
    code: str | None = None
    provider: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    body: str | None = None
    rate_limit: RateLimit | None = None

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

    limit: str = ""
    seconds: float = 0.0

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

    text: str = ""
    position: int | None = None

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

    path: str = "$"
    reason: str = ""

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


class ToolError(SteerError):
    """A run with tools took more turns than it may; `run` has what it had come to."""


class CallbackError(SteerError):
    """A callback raised, and the call asked for that to end the stream."""


class BudgetExceededError(SteerError):
    """A budget of the call is used up: the stream was ended, and what had come is kept.

    Attributes:
        budget: The option: ``"budget_tokens"`` or ``"budget_usd"``.
        limit: Its value.
        spent: What had been spent, as estimated: tokens or US dollars.
    """

    budget: str = ""
    limit: float = 0.0
    spent: float = 0.0

    def __init__(
        self, message: str = "", *, budget: str = "", limit: float = 0.0, spent: float = 0.0
    ) -> None:
        super().__init__(message)
        self.budget = budget
        self.limit = limit
        self.spent = spent


class StreamCancelledError(SteerError):
    """The consumer ended the stream before the provider did."""


# --- what a journal tells -----------------------------------------------------------------------


class ProducerLostError(SteerError):
    """The process that generated a stream into a journal is not heard of any more."""

    is_retryable = True


class JournalGapError(SteerError):
    """A journal does not have what was asked for: it was never written, or is not kept any more."""
