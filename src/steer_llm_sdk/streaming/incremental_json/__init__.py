"""A JSON parser for text that arrives in pieces."""

from steer_llm_sdk.streaming.incremental_json.events import (
    JSONEvent,
    JSONPathEvent,
    StringPiece,
)
from steer_llm_sdk.streaming.incremental_json.parser import (
    DEFAULT_MAX_CHARS,
    DEFAULT_MAX_DEPTH,
    IncrementalJSONParser,
)

__all__ = [
    "DEFAULT_MAX_CHARS",
    "DEFAULT_MAX_DEPTH",
    "IncrementalJSONParser",
    "JSONEvent",
    "JSONPathEvent",
    "StringPiece",
]
