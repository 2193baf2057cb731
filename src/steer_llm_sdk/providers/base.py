"""What a provider's wire format is to the rest of the library.

A new wire format is a folder with a class derived from `WireFormat`, its tests, and one row in
`steer_llm_sdk.providers.registry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from steer_llm_sdk.errors import ProviderError
from steer_llm_sdk.models.fragments import Fragment
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.providers.mould import WordsOf
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


class Credentials(Protocol):
    """What proves who asks, where a key in a header does not (`steer_llm_sdk.providers.auth`)."""

    async def authorize(self, request: HTTPRequest, now: float) -> HTTPRequest:
        """Return the request with the proof, which may depend on its bytes and the Unix time.

        Raises:
            AuthenticationError: There is no proof any more.
        """
        ...

    def forget(self) -> bool:
        """Forget what was refused; returns whether it is worth asking once more, with another."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a request goes, and as whom. The key is not part of the repr."""

    provider: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Credentials | None = field(default=None, repr=False)

    async def authorize(self, request: HTTPRequest, now: float) -> HTTPRequest:
        """Return the request with what proves who asks; as it is, where its headers say that.

        Raises:
            AuthenticationError: There is no proof any more.
        """
        if self.credentials is None:
            return request
        return await self.credentials.authorize(request, now)


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
        """Read one frame into its fragments, in their order; none where it says nothing.

        Raises:
            ProtocolError: The frame is not what the format allows. Nothing else is ever raised.
        """
        ...

    def decode_eof(self) -> Sequence[Fragment]:
        """Give what had been held back: the body has ended."""
        ...


def words_reader(decoder: Decoder) -> WordsOf | None:
    """How a decoder reads the words of a frame for a trial; None where it has no such way.

    Those have `words_of` whose frames can be alike but for the words, as they hold no numbers that
    count.
    """
    return getattr(decoder, "words_of", None)


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


class WireFormat(ABC):
    """One provider's way of asking and answering.

    Attributes:
        markers: What makes a stream of this format complete.
        name: What stored answers call the format: `steer_llm_sdk.models.parts` says with it for
            whom a part's ``provider_data`` is. It never changes; without one, nothing is sent back.
        wants_reasoning: Whether a provider refuses the results of calls without the reasoning that
            led to them, as it was.
        has_ordered_parts: Whether the parts of an answer stand in an order, so that one ends where
            one of another kind begins. Where each kind has one field instead, words and reasoning
            are one part each.
    """

    markers: TerminalMarkers
    name: str = ""
    wants_reasoning: bool = False
    has_ordered_parts: bool = True

    def framing(self, max_frame_bytes: int) -> Framing:
        """Make the framing of one body: server-sent events, where a format has no other."""
        # Imported here: the registry reads this file, and loads no wire format.
        from steer_llm_sdk.wire.sse import SSEFraming

        return SSEFraming(max_frame_bytes)

    @abstractmethod
    def decoder(self, provider: str) -> Decoder:
        """Make the decoder of one stream; `provider` is the name that errors will carry."""

    @abstractmethod
    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request that asks `endpoint` for a stream.

        Raises:
            ConfigurationError: The request asks for what this format has no way to say, or
                something in it cannot be written as JSON.
        """

    @abstractmethod
    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the provider's error out of a response that is not a stream."""

    def without_usage_option(self, chat: ChatRequest, error: ProviderError) -> ChatRequest | None:
        """Return the request without what asks for usage, when `error` says that it is refused.

        None where the error is about something else, and where usage comes without being asked for.
        """
        del chat, error
        return None

    def count_request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest | None:
        """Build the request that asks how many tokens a prompt takes; None where there is none.

        Raises:
            ConfigurationError: As in `request`.
        """
        del chat, endpoint
        return None

    def read_count(self, answer: Mapping[str, Any]) -> object:
        """Read the number of tokens out of the answer to `count_request`."""
        return answer.get("input_tokens")

    def listing_endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint that is asked for the list of models."""
        return endpoint

    def resume(
        self, chat: ChatRequest, endpoint: Endpoint, written: str | None, decoder: Decoder
    ) -> Resumption | None:
        """Build what takes up an answer that was cut; None where the format has no way to.

        Args:
            chat: The request that was being answered.
            endpoint: Where it went.
            written: The text so far; None when something other than text has come too.
            decoder: What has read the answer so far.
        """
        del chat, endpoint, written, decoder
        return None
