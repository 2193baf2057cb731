"""The arguments of a tool call, where a provider's wire has an object and the library JSON text."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from steer_llm_sdk.errors import ConfigurationError, ProtocolError
from steer_llm_sdk.models.messages import ToolCall


def arguments_text(arguments: object, provider: str) -> str:
    """The arguments as JSON text, their keys sorted: their order on the wire means nothing.

    Raises:
        ProtocolError: They are nested too deeply to be written.
    """
    try:
        return json.dumps(arguments, sort_keys=True, ensure_ascii=False)
    except RecursionError:
        raise ProtocolError(
            f"{provider}: the arguments of a function call are nested too deeply"
        ) from None


def arguments_object(call: ToolCall, provider: str) -> dict[str, Any]:
    """The arguments of an earlier call as an object, to be sent back.

    Raises:
        ConfigurationError: They are not the text of a JSON object.
    """
    try:
        arguments = msgspec.json.decode(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise ConfigurationError(
            f"{provider}: expected the arguments of the call of {call.name!r} to be a JSON object"
        )
    return arguments
