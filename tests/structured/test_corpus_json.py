"""The JSON that real providers streamed: tool calls' arguments, and answers."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from steer_llm_sdk.errors import InvalidJSONError
from steer_llm_sdk.structured.parser import IncrementalJSONParser, JSONPathEvent
from support.corpus import Recorded, every_stream
from support.growing import is_grown

_NO_JSON: Any = object()


def _json_texts(stream: Recorded) -> list[str]:
    choices = [stream.oracle, *(stream.oracle.get("choices") or {}).values()]
    texts = [choice.get("text") or "" for choice in choices]
    calls = [call for choice in choices for call in choice.get("tool_calls") or []]
    answers = [text for text in texts if text.strip()[:1] in {"{", "["}]
    return [text for text in answers if text] + [
        call["arguments"] for call in calls if call["arguments"]
    ]


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return _NO_JSON


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _read(text: str, size: int) -> tuple[Any, list[JSONPathEvent]]:
    """Feed the text in pieces, and look after each of them."""
    parser = IncrementalJSONParser()
    events: list[JSONPathEvent] = []
    before: Any = None
    for at in range(0, len(text), size):
        events += [e for e in parser.feed(text[at : at + size]) if isinstance(e, JSONPathEvent)]
        shown = parser.snapshot()
        assert before is None or is_grown(before, shown)
        before = copy.deepcopy(shown)
    return parser.finish(), events


@pytest.mark.parametrize("size", [1, 5])
@every_stream()
def test_what_a_provider_streamed_is_read_as_json_loads_reads_it(
    stream: Recorded, size: int
) -> None:
    for text in _json_texts(stream):
        wanted = _loaded(text)
        if wanted is _NO_JSON:
            with pytest.raises(InvalidJSONError):
                _read(text, size)
            continue
        value, events = _read(text, size)
        assert value == wanted
        assert [event.value for event in events if len(event.keys) == 1] == _children(wanted)
