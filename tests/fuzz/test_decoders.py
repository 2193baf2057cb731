"""Any bytes, any cuts, spoilt streams: events and one terminal event, and nothing raised.

Short here; `fuzz/` does the same for hours, guided by coverage.
"""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steer_llm_sdk.testing import Script
from support.corpus import corpus_folder, recorded
from support.framings import cut_bodies
from support.fuzzed import SCRIPTS, WIRES, judge, judge_cuts, judge_error_body, pieces_of
from support.mutations import MUTATIONS, Mutation, every_change, frames_of, mutate

# Of a recorded stream: what comes after it says little that did not come before.
MOST_BYTES = 20_000

EACH_FORMAT = pytest.mark.parametrize("name", WIRES)

# Bytes that mean something to a framing, so that frames come about at all.
_WORDS: st.SearchStrategy[bytes] = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"event: error\n",
        b"\n\n",
        b"\r\n\r\n",
        b"\r",
        b": keep-alive\n\n",
        b"[DONE]",
        b"[",
        b"]",
        b",",
        b"{}",
        b"null",
        b'{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}',
        b'{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}',
        b'{"type":"content_block_delta","index":0}',
        b'{"type":"response.output_text.delta","delta":"x"}',
        b'{"message":{"content":"x"},"done":false}',
        b'{"error":',
        b"\xef\xbb\xbf",
        b"\xff",
        b"[" * 2000,
    ]
)
BODIES = st.binary(max_size=200) | st.lists(_WORDS | st.binary(max_size=8), max_size=20).map(
    b"".join
)

# JSON of any shape, under the names that the formats know.
_NAMES = st.sampled_from(
    [
        "choices",
        "delta",
        "content",
        "index",
        "finish_reason",
        "message",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "usage",
        "type",
        "id",
        "error",
        "code",
        "status",
        "text",
        "parts",
        "candidates",
        "functionCall",
        "args",
        "content_block",
        "response",
        "item",
        "output",
        "output_index",
        "sequence_number",
        "done",
        "done_reason",
        "reasoning",
        "thinking",
        "refusal",
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | _NAMES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=3), inner)
    ),
    max_leaves=12,
)


@st.composite
def spoilt(draw: st.DrawFn, name: str) -> tuple[bytes, list[bytes]]:
    """A scripted body after a few mutations, whole and in pieces."""
    body = b"".join(pieces_of(name, draw(st.sampled_from(SCRIPTS))))
    return draw(cut_bodies(st.just(mutate(body, Random(draw(st.integers(0)))))))


@st.composite
def shaped(draw: st.DrawFn, name: str) -> bytes:
    """A body whose frames are JSON that no server would send."""
    values = draw(st.lists(_VALUES, max_size=4))
    frames = [json.dumps(value).encode() for value in values]
    lead, end = (b"", b"\n") if name == "ollama" else (b"data: ", b"\n\n")
    return b"".join(lead + frame + end for frame in frames)


@EACH_FORMAT
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_bytes_come_to_events_and_one_ending(name: str, data: st.DataObject) -> None:
    body, chunks = data.draw(cut_bodies(BODIES))

    judge_cuts(name, body, chunks)


@EACH_FORMAT
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_json_comes_to_events_and_one_ending(name: str, data: st.DataObject) -> None:
    body = data.draw(shaped(name))

    judge(name, [body])


@EACH_FORMAT
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_spoilt_stream_comes_to_events_and_one_ending(name: str, data: st.DataObject) -> None:
    body, chunks = data.draw(spoilt(name))

    judge_cuts(name, body, chunks)


@pytest.mark.parametrize("script", SCRIPTS[1:3], ids=["reasoning", "calls"])
@EACH_FORMAT
def test_a_stream_with_one_value_changed_comes_to_events_and_one_ending(
    name: str, script: Script
) -> None:
    for body in every_change(b"".join(pieces_of(name, script))):
        judge(name, [body])


@EACH_FORMAT
@settings(max_examples=150, deadline=None)
@given(body=BODIES | _VALUES.map(repr).map(str.encode), status=st.integers(201, 999))
def test_any_error_body_is_read_as_an_error(name: str, body: bytes, status: int) -> None:
    judge_error_body(name, body, status, {"retry-after": body[:9].decode("latin-1")})


@pytest.mark.skipif(corpus_folder() is None, reason="set STEER_CORPUS to run")
@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=list(MUTATIONS))
@EACH_FORMAT
def test_spoilt_recorded_streams_come_to_events_and_one_ending(
    name: str, mutation: Mutation
) -> None:
    for stream in recorded(name):
        body = mutation(stream.body[:MOST_BYTES], Random(stream.id))
        judge(name, [body])


@EACH_FORMAT
def test_a_complete_without_its_marker_would_be_noticed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"".join(pieces_of(name, SCRIPTS[0]))
    assert judge(name, [body]).outcome == "complete"

    monkeypatch.setitem(WIRES, name, replace(WIRES[name], end=None, finish=None))

    with pytest.raises(AssertionError, match="without what makes"):
        judge(name, [body])


def test_frames_joined_are_the_body() -> None:
    for name in WIRES:
        body = b"".join(pieces_of(name, SCRIPTS[2]))
        assert b"".join(frames_of(body)) == body
        assert len(frames_of(body)) > 2
