"""What a body says is the same whether its events are read whole or by what they have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steer_llm_sdk.errors import ProtocolError
from steer_llm_sdk.models.fragments import Fragment
from steer_llm_sdk.providers.base import WireFormat
from steer_llm_sdk.providers.body_reader import BodyReader
from support.corpus import MAX_FRAME_BYTES, Recorded, every_stream
from support.recorded_formats import WIRES

Found = tuple[list[Fragment], str]
Make = Callable[[str, Any], dict[str, Any]]


def read(wire: WireFormat, chunks: Iterable[bytes]) -> Found:
    """As the library reads: the fragments, and what was wrong in the end."""
    decoder = wire.decoder("t")
    reader = BodyReader(wire, decoder, MAX_FRAME_BYTES)
    found: list[Fragment] = []
    try:
        for chunk in chunks:
            found.extend(reader.feed(chunk))
        found.extend(reader.feed_eof())
        found.extend(decoder.decode_eof())
    except ProtocolError as error:
        return found, str(error)
    return found, ""


def read_whole(wire: WireFormat, chunks: Iterable[bytes]) -> Found:
    """Frame by frame: the reference."""
    framing, decoder = wire.framing(MAX_FRAME_BYTES), wire.decoder("t")
    found: list[Fragment] = []
    try:
        for chunk in chunks:
            for frame in framing.feed(chunk):
                found.extend(decoder.decode(frame))
        for frame in framing.feed_eof():
            found.extend(decoder.decode(frame))
        found.extend(decoder.decode_eof())
    except ProtocolError as error:
        return found, str(error)
    return found, ""


def by_events(body: bytes) -> list[bytes]:
    """As a network brings a body whose events come one by one."""
    *events, rest = body.replace(b"\r\n", b"\n").split(b"\n\n")
    return [*(event + b"\n\n" for event in events), rest]


@every_stream(*WIRES)
def test_a_recorded_stream_that_comes_event_by_event_says_the_same(stream: Recorded) -> None:
    wire, chunks = WIRES[stream.index["wire"]](), by_events(stream.body)

    assert read(wire, chunks) == read_whole(wire, chunks)


# --- events that are nearly alike -----------------------------------------------------------------

ODD_WORDS = ("-", "id", "content", 'a"b', "\\", "\n", "\u2028", "\ud83d", "\ude00", "[DONE]")

WORDS = st.text(max_size=6) | st.sampled_from(ODD_WORDS)


def _chat(words: str, change: Any) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "delta": {"content": words}, "finish_reason": None}
    chunk: dict[str, Any] = {"id": "r", "model": "m", "choices": [choice], "usage": None}
    return _changed(chunk, change, choice, choice["delta"])


def _thought(words: str, change: Any) -> dict[str, Any]:
    event = _chat("", change)
    event["choices"][0]["delta"] = {"reasoning_content": words}
    return event


def _anthropic(words: str, change: Any) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": words}
    event = {"type": "content_block_delta", "index": 0, "delta": delta}
    return _changed(event, change, delta, event)


def _cohere(words: str, change: Any) -> dict[str, Any]:
    content = {"text": words}
    event = {"type": "content-delta", "index": 0, "delta": {"message": {"content": content}}}
    return _changed(event, change, content, event)


def _planned(words: str, change: Any) -> dict[str, Any]:
    event = _cohere("", change)
    event["delta"]["message"]["content"] = {"thinking": words}
    return event


def _changed(event: dict[str, Any], change: Any, *places: dict[str, Any]) -> dict[str, Any]:
    if change is not None:
        at, key, value = change
        (event, *places)[at % (len(places) + 1)][key] = value
    return event


EVENTS: Mapping[str, tuple[Make, ...]] = {
    "openai-chat": (_chat, _thought),
    "anthropic": (_anthropic,),
    "cohere": (_cohere, _planned),
}

KEYS = """
id model index obfuscation p service_tier system_fingerprint type reasoning_content thinking
tool_calls refusal logprobs finish_reason usage text content new
"""

VALUES: tuple[Any, ...] = (None, "", "a", "abcD1", "zz9", "stop", 0, 1, True, {}, [], {"a": 1})

CHANGES = st.tuples(st.integers(0, 2), st.sampled_from(KEYS.split()), st.sampled_from(VALUES))

STEPS = st.lists(
    st.tuples(WORDS, st.none() | CHANGES, st.integers(0, 3), st.integers(0, 1), st.booleans()),
    min_size=3,
    max_size=12,
)


def _encoded(event: dict[str, Any], blanks: int, *, is_ascii: bool) -> bytes:
    text = json.dumps(event, separators=(",", ":"), ensure_ascii=is_ascii)
    return b"data: " + text[:-1].encode("utf-8", "surrogatepass") + b" " * blanks + b"}\n\n"


@pytest.mark.parametrize("name", EVENTS)
@settings(max_examples=200)
@given(steps=STEPS, stays=st.booleans(), joined=st.integers(0, 3))
def test_events_that_are_nearly_alike_say_what_each_says(
    name: str, steps: Sequence[Any], joined: int, *, stays: bool
) -> None:
    """Words that change, fields that come and go or stay, padding, and reads of several events."""
    chunks: list[bytes] = []
    held = None
    for words, change, blanks, kind, is_ascii in steps:
        held = held if stays and held is not None else change
        make = EVENTS[name][kind % len(EVENTS[name])]
        event = make(words, held if stays else change)
        chunks.append(_encoded(event, blanks, is_ascii=is_ascii))
    chunks[joined : joined + 2] = [b"".join(chunks[joined : joined + 2])]
    wire = WIRES[name]()

    assert read(wire, chunks) == read_whole(wire, chunks)


@pytest.mark.parametrize(
    ("name", "make"), [(name, make) for name, makers in EVENTS.items() for make in makers]
)
def test_events_that_are_alike_are_read_by_their_words(name: str, make: Make) -> None:
    """What this is for: the decoder sees the first events, and none of those that are like them."""
    wire = WIRES[name]()
    decoder = wire.decoder("t")
    reader = BodyReader(wire, decoder, MAX_FRAME_BYTES)
    events = [_encoded(make(f"w{n}", None), 0, is_ascii=True) for n in range(20)]
    expected = read_whole(wire, events)[0][-10:]
    for event in [b": hello\n\n", *events[:10]]:
        list(reader.feed(event))
    calls: list[object] = []

    def refuse(frame: object) -> Sequence[Fragment]:
        calls.append(frame)
        return ()

    vars(reader)["_decode"] = refuse
    said = [fragment for event in events[10:] for fragment in reader.feed(event)]

    assert said == expected
    assert len(said) == 10
    assert calls == []


def test_a_frame_that_cannot_be_read_fails_when_it_is_asked_for() -> None:
    wire = WIRES["openai-chat"]()
    reader = BodyReader(wire, wire.decoder("t"), MAX_FRAME_BYTES)
    list(reader.feed(_encoded(_chat("a", None), 0, is_ascii=True)))

    found = reader.feed(b"data: {no JSON}\n\n")

    with pytest.raises(ProtocolError, match="no JSON"):
        list(found)
