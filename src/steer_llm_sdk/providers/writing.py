"""What the requests of all wire formats have in common: JSON, headers, fields left unsaid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import InputPart, InputText, ToolCall
from steer_llm_sdk.models.plain_json import exact_scalar
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.strict_json import strict_loads
from steer_llm_sdk.models.text import without_lone_surrogates
from steer_llm_sdk.providers.base import Endpoint


def encode_body(body: Mapping[str, Any], provider: str) -> bytes:
    """Encode a request's body; mappings of any kind are objects, as schemas may be.

    A value of a class that is made of `str`, `int` or `float` is one of those.

    Raises:
        ConfigurationError: Something in it cannot be written as JSON.
    """
    try:
        return msgspec.json.encode(body, enc_hook=_as_json)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{provider}: the request cannot be written as JSON: {error}"
        ) from None


def _as_json(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str | int | float):
        return exact_scalar(value)
    raise TypeError(f"no JSON for a value of type {type(value).__name__}")


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def build_headers(
    endpoint: Endpoint,
    extra: Mapping[str, str],
    own: Mapping[str, str],
    *,
    accept: str = "text/event-stream",
) -> dict[str, str]:
    """Build the headers, their names in lower case, so that the caller's replace the library's.

    Args:
        endpoint: Where the request goes: its own headers are added.
        extra: The headers of this call, which are added last.
        own: What the wire format adds: its key, its version.
        accept: The media type that is asked for.
    """
    headers = {"content-type": "application/json", "accept": accept, **own}
    for given in (endpoint.headers, extra):
        headers |= {name.lower(): value for name, value in given.items()}
    return headers


def refuse_one_call_alone(chat: ChatRequest, provider: str) -> None:
    """Refuse that several calls be forbidden, where a format has no way to say it.

    Raises:
        ConfigurationError: It is asked for.
    """
    if chat.parallel_tool_calls is False:
        raise ConfigurationError(
            f"{provider}: parallel_tool_calls=False has no spelling here: ask for one call at a "
            "time in the system prompt"
        )


def is_blank(block: InputPart | ToolCall) -> bool:
    """Whether a block is words that are nothing but white space, which some APIs refuse."""
    return isinstance(block, InputText) and not block.text.strip()


def bearer(endpoint: Endpoint) -> dict[str, str]:
    """Build the header of a bearer token; none where there is no key."""
    return {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}


def anthropic_key(endpoint: Endpoint) -> dict[str, str]:
    """Build the headers of Anthropic's own API: its version, and the key where there is one."""
    key = {"x-api-key": endpoint.api_key} if endpoint.api_key else {}
    return {"anthropic-version": "2023-06-01", **key}


def google_key(endpoint: Endpoint) -> dict[str, str]:
    """Build the header of a key of Google's; none where there is no key."""
    return {"x-goog-api-key": endpoint.api_key} if endpoint.api_key else {}


def _decode(text: str) -> Any:
    """What JSON says. Halves of characters, of which models write some, become U+FFFD."""
    try:
        return msgspec.json.decode(text)
    except ValueError:
        whole = without_lone_surrogates(json.dumps(strict_loads(text), ensure_ascii=False))
        return json.loads(whole)


def arguments_object(call: ToolCall, provider: str) -> dict[str, Any]:
    """Parse the arguments of an earlier call, to be sent back as an object.

    Raises:
        ConfigurationError: They are not the text of a JSON object.
    """
    try:
        arguments = _decode(call.arguments.strip() or "{}")
    except (ValueError, RecursionError):
        arguments = ()
    if arguments is None:  # how models write that there are none
        return {}
    if not isinstance(arguments, dict):
        raise ConfigurationError(
            f"{provider}: expected the arguments of the call of {call.name!r} to be a JSON object, "
            f"found {call.arguments[:80]!r} in the call {call.id!r}"
        )
    return arguments
