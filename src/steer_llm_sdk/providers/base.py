"""What a provider's wire format is to the rest of the library.

A new wire format is one file with a class that satisfies `WireFormat`, its test, and one row in
`steer_llm_sdk.providers.registry`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from steer_llm_sdk.errors import ProviderError
from steer_llm_sdk.models.fragments import Fragment
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.wire.frame import Frame, Framing


@dataclass(frozen=True, slots=True)
class TerminalMarkers:
    """What makes a stream of this format complete; a stream with neither is incomplete.

    Attributes:
        end: The provider's own marker (`End`: ``[DONE]``, ``message_stop``, …) suffices, whatever
            becomes of the connection after it.
        finish: A finish reason suffices when the body then ends cleanly.
    """

    end: bool = False
    finish: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a request goes, and as whom. The key is not part of the repr."""

    provider: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """A response whose status is not 200. Header names are in lower case."""

    provider: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class Decoder(Protocol):
    """Turns the frames of one stream into fragments. One instance serves one stream."""

    def decode(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one frame, in their order; empty for a frame that says nothing.

        Raises:
            ProtocolError: The frame is not what the format allows. Nothing else is ever raised.
        """
        ...

    def decode_eof(self) -> Sequence[Fragment]:
        """The body has ended: what had been held back."""
        ...


@dataclass(frozen=True, slots=True)
class Resumption:
    """How an answer that was cut is taken up again.

    Attributes:
        request: What to send.
        decoder: What reads the rest of the answer.
        echo: What the server sends again before it goes on.
        trimmed: White space at the end of the answer so far that could not be sent along: the
            model may write it once more.
    """

    request: HTTPRequest
    decoder: Decoder
    echo: str = ""
    trimmed: str = ""


class WireFormat(Protocol):
    """One provider's way of asking and answering."""

    markers: TerminalMarkers

    def framing(self, max_frame_bytes: int) -> Framing:
        """A fresh framing for one body."""
        ...

    def decoder(self, provider: str) -> Decoder:
        """A fresh decoder for one stream; `provider` is the name that errors will carry."""
        ...

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Spell a request.

        Raises:
            ConfigurationError: The request asks for what this format has no way to say.
        """
        ...

    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the provider's error out of a response that is not a stream."""
        ...

    def without_usage_option(self, chat: ChatRequest, error: ProviderError) -> ChatRequest | None:
        """The request without what asks for usage, when `error` says that the server refuses it.

        None where the error is about something else, or nothing asks for usage.
        """
        ...

    def resume(
        self, chat: ChatRequest, endpoint: Endpoint, written: str | None, decoder: Decoder
    ) -> Resumption | None:
        """How to take up an answer that was cut; None where the format has no way to.

        Args:
            chat: The request that was being answered.
            endpoint: Where it went.
            written: The text so far; None when something other than text has come too.
            decoder: What has read the answer so far.
        """
        ...
