"""Streams of another format than the one that was asked for: an address that is another API's."""

from __future__ import annotations

import re

# How the first event of each is known, and what it is called. They are the formats that gateways
# have side by side, under addresses which are easily mistaken for each other.
_FORMATS: tuple[tuple[re.Pattern[bytes], frozenset[str], str], ...] = (
    (
        re.compile(rb'"type"\s*:\s*"response\.'),
        frozenset({"openai-responses"}),
        'OpenAI\'s Responses API (kind="openai-responses")',
    ),
    (
        re.compile(rb'"type"\s*:\s*"message_start"'),
        frozenset({"anthropic", "bedrock-anthropic"}),
        'Anthropic\'s messages (kind="anthropic")',
    ),
    (
        re.compile(rb'"object"\s*:\s*"chat\.completion'),
        frozenset({"openai-chat", "mistral"}),
        'OpenAI\'s chat completions (kind="openai")',
    ),
    (
        re.compile(rb'"candidates"\s*:\s*\['),
        frozenset({"gemini"}),
        'Gemini (kind="gemini")',
    ),
)

_FIRST = re.compile(rb"(?:^|\n)(?:data:)? *(\{[^\n]*)")


def foreign_format(head: bytes, wire: str) -> str | None:
    """Name the format of a stream whose beginning is another's; None where it may be its own.

    Args:
        head: The beginning of the body.
        wire: The wire format that was asked for.
    """
    first = _FIRST.search(head)
    if first is None:
        return None
    found = (form for form in _FORMATS if form[0].search(first[1]))
    for _, wires, name in found:
        return None if wire in wires else name
    return None
