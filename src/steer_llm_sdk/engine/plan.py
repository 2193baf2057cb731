"""What a stream is to do: which model to ask, how, and which to ask when that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any

from steer_llm_sdk.answer.budget import Allowance
from steer_llm_sdk.clock import Clock
from steer_llm_sdk.models.ports import StreamAccount
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Decoder, Endpoint, Resumption, WireFormat
from steer_llm_sdk.structured.output import StructuredOutput


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a provider is asked for, at the most. None: there is no limit.

    Attributes:
        max_streams: How many streams run at once.
        requests_per_minute: How many requests are sent in any minute.
        tokens_per_minute: How many tokens they are, prompts and answers.
    """

    max_streams: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    @property
    def are_set(self) -> bool:
        """Whether there is any."""
        each = self.max_streams, self.requests_per_minute, self.tokens_per_minute
        return each != _NONE_SET


_UNLIMITED = Limits()
_NONE_SET = (None, None, None)


@dataclass(slots=True)
class Target:
    """One model at one provider.

    Where its `endpoint` is not known from the beginning, `find_endpoint` is called once, before the
    first attempt: the embedded model is started there.
    """

    provider: str
    chat: ChatRequest
    wire: WireFormat
    find_endpoint: Callable[[], Awaitable[Endpoint]]
    proxy: str | None = field(default=None, repr=False)
    verify: Any = True  # False, or an `ssl.SSLContext`
    endpoint: Endpoint | None = None
    limits: Limits = _UNLIMITED
    account: Hashable = field(default=None, repr=False)  # the call's own key; None: the client's
    allowances: tuple[Allowance, ...] = ()  # what the call's budgets leave for an answer
    _spelled: HTTPRequest | None = field(default=None, repr=False)  # and not yet sent

    @property
    def name(self) -> str:
        """Which endpoint and model this is, among the targets of one client."""
        return f"{self.provider} {self.base_url} {self.chat.model}"

    @property
    def base_url(self) -> str:
        """Where it is; an empty string before `prepare`."""
        return self.endpoint.base_url if self.endpoint is not None else ""

    def ask_without_usage(self) -> None:
        """Do not ask for usage any more: the endpoint refuses that."""
        self.chat = replace(self.chat, include_usage=False)
        self._spelled = None

    async def prepare(self) -> None:
        """Find the endpoint, and spell the request once, so that an impossible one is refused.

        Raises:
            ConfigurationError: The request cannot be made.
        """
        self.endpoint = await self.find_endpoint()
        self.spell()

    def spell(self) -> None:
        """Spell the request once; its endpoint is known.

        Raises:
            ConfigurationError: The request cannot be made.
        """
        self._spelled = self.request()

    def request(self) -> HTTPRequest:
        """The HTTP request; the endpoint is known."""
        assert self.endpoint is not None  # noqa: S101 - see the docstring
        spelled, self._spelled = self._spelled, None
        return spelled or self.by_its_way(self.wire.request(self.chat, self.endpoint))

    async def authorize(self, request: HTTPRequest, clock: Clock) -> HTTPRequest:
        """The request with what proves who asks: see `Endpoint.authorize`.

        Raises:
            AuthenticationError: There is no proof any more.
        """
        endpoint = self.endpoint
        if endpoint is None or endpoint.credentials is None:
            return request
        return await endpoint.authorize(request, clock.time())

    def known_keys(self) -> tuple[str, ...]:
        """The keys that a function gave for it, earlier ones too: no error may quote one."""
        return getattr(self.endpoint and self.endpoint.credentials, "given", ())

    def forget_credentials(self) -> bool:
        """Forget what was refused; returns whether to ask once more: see `Credentials.forget`."""
        credentials = None if self.endpoint is None else self.endpoint.credentials
        return credentials is not None and credentials.forget()

    def resume(self, written: str | None, decoder: Decoder) -> Resumption | None:
        """How to take up an answer that was cut: see `WireFormat.resume`."""
        assert self.endpoint is not None  # noqa: S101 - an answer has been cut
        resumption = self.wire.resume(self.chat, self.endpoint, written, decoder)
        if resumption is None:
            return None
        return replace(resumption, request=self.by_its_way(resumption.request))

    def by_its_way(self, request: HTTPRequest) -> HTTPRequest:
        """The request, by the proxy and with the checks of its provider."""
        if self.proxy is None and self.verify is True:
            return request
        return replace(request, proxy=self.proxy, verify=self.verify)


@dataclass(slots=True)
class Plan:
    """One call.

    Attributes:
        targets: The model that was asked for, then the fallbacks.
        options: How the stream is run.
        request_id: The caller's identifier, or one made by the client.
        stream_id: The identifier of the stream.
        metadata: The caller's metadata, for the start event.
        is_json: Whether text is JSON that was asked for.
        structured: Reads and checks the JSON that was asked for, and the tools' arguments.
        account: Keeps the stream's account for the client's sinks; None where there are none.
        run_id: The run around tools that it is a turn of, where sinks are told of it.
    """

    targets: list[Target]
    options: StreamingOptions
    request_id: str
    stream_id: str
    metadata: dict[str, Any] = field(default_factory=dict)
    is_json: bool = False
    structured: StructuredOutput | None = None
    account: StreamAccount | None = None
    run_id: str | None = None
