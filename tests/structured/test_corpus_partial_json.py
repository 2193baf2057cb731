"""Every recorded stream, its JSON looked at after each delta: arguments of calls, and answers."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.responses import StreamingResponse, growing_text
from steer_llm_sdk.structured import (
    PartialJSON,
    StructuredOutput,
    read_response_format,
)
from steer_llm_sdk.structured.parser import JSONPathEvent
from support.corpus import Recorded, corpus_folder, every_stream, recorded
from support.growing import is_grown
from support.pure_road import MAX_FRAME_BYTES, new_lifecycle
from support.recorded_formats import WIRES

ANY_JSON = read_response_format({"type": "json_object"}, validate_schema=False)
streams = every_stream(*WIRES)
_NO_JSON: Any = object()

# Where the oracle counts calls otherwise: what they must be, the next test says.
SDK_LISTS_PIECES = "google-genai gives each piece of a call's arguments as a call of its own"
SDK_HAS_OWN_TYPE = "openai keeps it apart from function calls"
SERVERS_OWN = "botocore counts the provider's own tools, which are not the caller's to run"
COUNTED_OTHERWISE = {
    "92992bb20a721d5d": SDK_LISTS_PIECES,
    "9d5c2d9cf9a9d937": SDK_LISTS_PIECES,
    "f7e5a6754aa477a2": SDK_LISTS_PIECES,
    "81c9e5a84cfaf907": SDK_HAS_OWN_TYPE,  # a shell call
    "f733fe37aade84ff": SDK_HAS_OWN_TYPE,  # a patch call
    "76ed4e2f2acf8e85": SDK_HAS_OWN_TYPE,  # a search for tools on the caller's side
    "ef6d8d62dc31f2a1": SDK_HAS_OWN_TYPE,  # another
    "9edab672c4476de3": SERVERS_OWN,
    "f109eb63572b4cdb": SERVERS_OWN,
    "d0405b8f07502a7f": SDK_HAS_OWN_TYPE,  # a request to approve a call
}


class Watched:
    """One value while it grows."""

    def __init__(self) -> None:
        self.last: Any = None
        self.looks = 0

    def see(self, value: Any) -> None:
        """Take a look; fails where something that was shown has gone or changed."""
        assert self.last is None or is_grown(self.last, value), (self.last, value)
        self.last = copy.deepcopy(value)
        self.looks += 1


class Looker:
    """Sends one body along the road, and looks at all its JSON after each delta."""

    def __init__(self, stream: Recorded) -> None:
        self.calls: dict[int, Watched] = {}
        self.answer = Watched()
        self.found: list[JSONPathEvent] = []
        provider = stream.index["provider"]
        wire = WIRES[stream.index["wire"]]()
        self._lifecycle = new_lifecycle(provider)
        self._framing, self._decoder = wire.framing(MAX_FRAME_BYTES), wire.decoder(provider)
        self.response: StreamingResponse = self._lifecycle.response
        self._partial = PartialJSON(growing_text(self.response))
        self._with_events = PartialJSON(growing_text(self.response))
        for event in self._deltas(stream.body):
            self._look(event)
        verdict = self._lifecycle.verdict(wire.markers, has_clean_end=True)
        self.error = self._lifecycle.settle(verdict)

    def _deltas(self, body: bytes) -> Iterator[StreamDeltaEvent]:
        intake = self._lifecycle.intake
        # Frame by frame, each as a read of its own.
        for frame in self._framing.feed(body):
            yield from intake.feed(self._decoder.decode(frame), 101.0)
            if intake.has_ended or intake.failure:
                return
        for frame in self._framing.feed_eof():
            yield from intake.feed_tail(self._decoder.decode(frame), 102.0)
        yield from intake.feed(self._decoder.decode_eof(), 102.0)

    def _look(self, event: StreamDeltaEvent) -> None:
        delta = event.delta
        if isinstance(delta, dict):
            if delta["type"] == "tool_call" and delta.get("call_type") != "custom":
                self.calls.setdefault(delta["index"], Watched()).see(event.partial_arguments)
            return
        self.answer.see(self._partial.snapshot())
        events = self._with_events.read_events()
        self.found += [found for found in events if isinstance(found, JSONPathEvent)]


def loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return _NO_JSON


def arguments_of(call: Mapping[str, Any]) -> Any:
    """Nothing and ``null`` stand for no arguments, as one recorded model writes them."""
    text = call["arguments"].strip()
    return {} if text in {"", "null"} else loaded(text)


@streams
def test_arguments_are_never_taken_back_and_end_as_the_oracle_has_them(stream: Recorded) -> None:
    looker = Looker(stream)
    wanted = list(stream.oracle.get("tool_calls") or ())
    values = [looker.calls[index].last for index in sorted(looker.calls)]
    if stream.id in COUNTED_OTHERWISE:
        assert len(values) != len(wanted)
        return

    for value, call in zip(values, wanted, strict=True):
        whole = arguments_of(call)
        if whole is not _NO_JSON:
            assert (value or {}) == whole


@streams
def test_finished_calls_are_those_whose_arguments_were_shown(stream: Recorded) -> None:
    looker = Looker(stream)
    finished = [
        json.loads(call["arguments"])
        for call in looker.response.tool_calls
        if call.get("type") != "custom"
    ]
    shown = [looker.calls[index].last or {} for index in sorted(looker.calls)]

    assert all(arguments in shown for arguments in finished)
    if not looker.response.incomplete_tool_calls:
        assert finished == shown


@streams
def test_an_answer_in_json_is_never_taken_back_and_ends_as_json_loads_has_it(
    stream: Recorded,
) -> None:
    looker = Looker(stream)
    text = looker.response.get_text()
    whole = loaded(text)

    # The oracle knows no phases; of Cohere it leaves the plan before its calls out.
    said = (looker.response.commentary + text, text)
    assert (stream.oracle.get("text") or "") in said[: 1 + (stream.index["wire"] == "cohere")]
    if isinstance(whole, dict | list):
        assert looker.answer.last == whole
        top = [found.value for found in looker.found if len(found.keys) == 1]
        assert top == (list(whole.values()) if isinstance(whole, dict) else whole)
        StructuredOutput(ANY_JSON).finish(looker.response)
        assert looker.response.get_json() == whole


@pytest.mark.skipif(corpus_folder() is None, reason="set STEER_CORPUS to run")
def test_a_call_whose_arguments_are_null_shows_none_and_has_none() -> None:
    (stream,) = (stream for stream in recorded("openai-chat") if stream.id == "b9ce9bb881317294")
    looker = Looker(stream)

    assert [watched.last for watched in looker.calls.values()] == [None, None]
    assert [call["arguments"] for call in looker.response.tool_calls] == ["{}", "{}"]
    assert looker.error is None
