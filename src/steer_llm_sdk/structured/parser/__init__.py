"""A JSON parser for text that arrives in pieces."""

from steer_llm_sdk.structured.parser.events import (
    JSONEvent,
    JSONPathEvent,
    StringPiece,
)
from steer_llm_sdk.structured.parser.parser import (
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
