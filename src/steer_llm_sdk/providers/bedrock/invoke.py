"""Anthropic's messages as Bedrock serves them: ``InvokeModelWithResponseStream``.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html:
the body is Anthropic's own, without ``model`` and ``stream`` and with a version; each event of the
answer is one of Anthropic's, in base64, in one of Amazon's event messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from steer_llm_sdk.errors import ProtocolError, ProviderError
from steer_llm_sdk.models.fragments import Fragment
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.providers.anthropic.decoder import AnthropicDecoder, AnthropicMessages
from steer_llm_sdk.providers.anthropic.request import build_body
from steer_llm_sdk.providers.base import Endpoint, ErrorAnswer
from steer_llm_sdk.providers.bedrock.blocks import NOTHING
from steer_llm_sdk.providers.bedrock.errors import failure_in_stream, read_bedrock_error
from steer_llm_sdk.providers.bedrock.request import model_url
from steer_llm_sdk.providers.writing import bearer, build_headers, encode_body
from steer_llm_sdk.wire.aws_events import EventStreamFraming
from steer_llm_sdk.wire.frame import Frame

API_VERSION = "bedrock-2023-05-31"

# Where Anthropic's own API takes the names of its trials; Bedrock takes them in the body.
_BETA_HEADER = "anthropic-beta"


class InvokeAnthropic(AnthropicMessages):
    """The wire format ``bedrock-anthropic``: Anthropic's messages within Amazon's."""

    def framing(self, max_frame_bytes: int) -> EventStreamFraming:
        """Make the framing of one body: Amazon's event messages."""
        return EventStreamFraming(max_frame_bytes)

    def decoder(self, provider: str) -> InvokeDecoder:
        """Make the decoder of one stream."""
        return InvokeDecoder(provider)

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request that asks `endpoint` for a stream.

        Raises:
            ConfigurationError: As for Anthropic's own API.
        """
        headers = build_headers(
            endpoint, chat.extra_headers, bearer(endpoint), accept="application/json"
        )
        betas = _betas(headers.pop(_BETA_HEADER, ""))
        body = _within_bedrock(build_body(chat, endpoint.provider)) | betas
        url = model_url(endpoint, chat.model, "invoke-with-response-stream")
        return HTTPRequest(url, encode_body(body, endpoint.provider), headers)

    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the provider's error out of a response that is not a stream."""
        return read_bedrock_error(answer)


def _within_bedrock(body: Mapping[str, Any]) -> dict[str, Any]:
    left = {key: value for key, value in body.items() if key not in {"model", "stream"}}
    return {"anthropic_version": API_VERSION, **left}


def _betas(header: str) -> dict[str, list[str]]:
    named = [name.strip() for name in header.split(",") if name.strip()]
    return {"anthropic_beta": named} if named else {}


class _Chunk(msgspec.Struct, gc=False):
    """One event of the model's own, in base64."""

    packed: bytes = msgspec.field(name="bytes")


_read_chunk = msgspec.json.Decoder(_Chunk).decode


class InvokeDecoder(AnthropicDecoder):
    """Unpacks Anthropic's events, and reads them as they are read elsewhere."""

    def decode(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one message.

        Raises:
            ProtocolError: It is no chunk, or what it holds is not what Anthropic's format allows.
        """
        if frame.event == "chunk":
            return super().decode(Frame(_unpack(frame.data, self._provider)))
        failure = failure_in_stream(frame, self._provider)
        return NOTHING if failure is None else (failure,)


def _unpack(payload: bytes, provider: str) -> bytes:
    try:
        return _read_chunk(payload).packed
    except (ValueError, RecursionError):
        pass  # what the library says of it may quote the payload
    raise ProtocolError(f"{provider}: expected a chunk with bytes in base64, found another payload")
