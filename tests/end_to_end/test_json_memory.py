"""What the value so far costs: nothing unless somebody looks, and then each piece once."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from steer_llm_sdk import EventStream, SteerLLMClient
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.models.text import TextPieces
from steer_llm_sdk.testing import Script, ScriptedProvider, ScriptedToolCall

pytestmark = pytest.mark.usefixtures("uncounted")

TEXT = json.dumps({"text": "lorem ipsum " * 20_000})  # 240 kB: what a stream takes once is little
PIECES = [TEXT[at : at + 16] for at in range(0, len(TEXT), 16)]
FENCED = ["```json\n", *PIECES, "\n```"]
ROWS = '{"items": [' + ", ".join(f'{{"id": {at}}}' for at in range(6000)) + "]}"
LOOKS: dict[str, Callable[[EventStream], object]] = {
    "nobody looks": lambda _stream: None,
    "the value": EventStream.partial_json,
    "the events": EventStream.read_json_events,
}


async def stream_of(script: Script, **arguments: Any) -> AsyncIterator[tuple[EventStream, Any]]:
    provider = ScriptedProvider(script)
    async with (
        SteerLLMClient(openai_api_key="-", transport=provider) as client,
        client.stream_events("?", "gpt-4o", **arguments) as stream,
    ):
        async for event in stream:
            yield stream, event


async def memory_of(
    script: Script, look: Callable[[EventStream, Any], object], **arguments: Any
) -> tuple[float, int]:
    """The most memory that was taken since the second event, and the number of events."""
    seen, peak = 0, 0
    async for stream, event in stream_of(script, **arguments):
        seen += 1
        if seen == 2:  # the script itself has been written
            gc.collect()
            tracemalloc.start()
        look(stream, event)
    if tracemalloc.is_tracing():
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak, seen


async def memory_below(
    most: float, script: Script, look: Callable[[EventStream, Any], object], **arguments: Any
) -> tuple[float, int]:
    """The same, measured again where it is more than `most`.

    All threads of the process are counted, and they only add: the least is the stream's own.
    """
    tries = 0
    while True:
        peak, seen = await memory_of(script, look, **arguments)
        tries += 1
        if peak < most or tries == 3:
            return peak, seen


# The text; the value that the final check makes of it; the value so far, when somebody looks.
@pytest.mark.parametrize(
    ("who", "most"), [("nobody looks", 2.5), ("the value", 3.5), ("the events", 3.5)]
)
async def test_a_long_answer_takes_a_small_multiple_of_its_text(who: str, most: float) -> None:
    look = LOOKS[who]
    peak, seen = await memory_below(
        most * len(TEXT),
        Script(PIECES),
        lambda stream, _event: look(stream),
        response_format={"type": "json_object"},
    )

    assert seen > len(PIECES)
    assert peak < most * len(TEXT)


async def test_json_that_is_looked_for_takes_no_more() -> None:
    most = 4.5 * len(TEXT)
    peak, _ = await memory_below(
        most,
        Script(FENCED),
        lambda stream, _event: stream.partial_json(),
        response_format={"type": "json_object"},
        streaming_options=StreamingOptions(json_extract=True),
    )

    assert peak < most


@pytest.mark.parametrize(("is_read", "most"), [(False, 3.5), (True, 5.5)])
async def test_a_long_call_takes_a_small_multiple_of_its_arguments(
    is_read: bool, most: float
) -> None:
    script = Script([], tool_calls=[ScriptedToolCall("write", PIECES)])
    peak, _ = await memory_below(
        most * len(TEXT),
        script,
        lambda _stream, event: is_read and getattr(event, "partial_arguments", None),
    )

    assert peak < most * len(TEXT)


@pytest.mark.parametrize("every", [1, 100])
async def test_each_piece_is_read_once_however_often_somebody_looks(
    monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    read: list[int] = []
    real = TextPieces.text_since

    def counted(response: TextPieces, mark: int) -> tuple[str, int]:
        text, end = real(response, mark)
        read.append(len(text))
        return text, end

    monkeypatch.setattr(TextPieces, "text_since", counted)
    pieces = [ROWS[at : at + 4] for at in range(0, len(ROWS), 4)]
    value: Any = None
    async for stream, event in stream_of(Script(pieces), response_format={"type": "json_object"}):
        if event.sequence % every == 0 or event.type == "complete":
            value = stream.partial_json()

    assert sum(read) == len(ROWS)
    assert len(read) >= len(pieces) // every
    assert value == json.loads(ROWS)


async def test_what_nobody_looks_at_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_text: TextPieces, _mark: int) -> tuple[str, int]:
        raise AssertionError("somebody looked")

    monkeypatch.setattr(TextPieces, "text_since", refuse)
    value: Any = None
    async for stream, event in stream_of(Script(PIECES), response_format={"type": "json_object"}):
        if event.type == "complete":
            value = stream.response.get_json()

    assert value == json.loads(TEXT)
