from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.pipeline.chain import TransformerChain
from steer_llm_sdk.pipeline.shaping import CoalesceTransformer, RateLimiter, SamplingFilter
from steer_llm_sdk.pipeline.transformers import EventTransformer
from support.events import delta, start, texts, usage


def run(transformer: EventTransformer, events: Iterable[StreamEvent]) -> list[StreamEvent]:
    chain = TransformerChain([transformer])
    passed = [chain.process(event) for event in events] + [chain.finish()]
    return [event for part in passed if isinstance(part, list) for event in part]


def tool(arguments: str, index: int) -> StreamDeltaEvent:
    call = {"type": "tool_call", "index": index, "id": "c", "name": None, "arguments": arguments}
    return StreamDeltaEvent(delta=call)


def test_words_are_joined_and_end_with_white_space() -> None:
    events = [delta(text) for text in ["Hel", "lo wor", "ld", " and", " so\n", "on"]]

    joined = texts(run(CoalesceTransformer("word"), events))

    assert joined == ["Hello ", "world ", "and so\n", "on"]


def test_lines_are_joined() -> None:
    events = [delta(text) for text in ["a b", "\nc", "\nd\ne"]]

    assert texts(run(CoalesceTransformer("line"), events)) == ["a b\n", "c\nd\n", "e"]


def test_deltas_are_joined_by_time() -> None:
    events = [delta(str(number), at=number / 100) for number in range(8)]

    assert texts(run(CoalesceTransformer(interval_ms=25), events)) == ["0123", "4567"]


def test_a_text_is_let_go_when_its_time_is_just_up() -> None:
    events = [delta("a", at=0.0), delta("b", at=0.25), delta("c", at=0.5), delta("d", at=0.75)]

    assert texts(run(CoalesceTransformer(interval_ms=250), events)) == ["ab", "cd"]


def test_what_is_left_of_a_delta_has_its_own_time() -> None:
    events = [delta("a", at=0.0), delta("b c", at=0.25), delta("d", at=0.5), delta("e", at=0.75)]

    assert texts(run(CoalesceTransformer("word", interval_ms=500), events)) == ["ab ", "cde"]


def test_what_comes_out_later_shares_nothing_with_the_event_it_came_in() -> None:
    held = delta("a")
    held.metadata["seen"] = "by the first"

    (released,) = run(CoalesceTransformer("line"), [held])

    assert released.metadata == held.metadata
    assert released.metadata is not held.metadata


@pytest.mark.parametrize(("most", "come"), [(5, ["abcdef", "g"]), (6, ["abcdefg"])])
def test_too_long_a_text_is_not_held(most: int, come: list[str]) -> None:
    events = [delta("abc"), delta("def"), delta("g")]

    assert texts(run(CoalesceTransformer("line", max_length=most), events)) == come


def test_other_events_come_after_what_was_held() -> None:
    events = [start(), delta("a"), tool("{", 0), tool("}", 0), tool("[", 1), delta("b"), usage()]

    passed = run(CoalesceTransformer("line"), events)

    shown = [event.delta if isinstance(event, StreamDeltaEvent) else event.type for event in passed]
    call = {"type": "tool_call", "id": "c", "name": None}
    # The first delta of a call goes on at once, for its identifier.
    assert [one if isinstance(one, str) else one["arguments"] for one in shown] == [
        "start", "a", "", "", "{}", "", "[", "b", "usage",
    ]  # fmt: skip
    assert shown[4] == {**call, "index": 0, "arguments": "{}"}


@given(
    st.lists(st.tuples(st.text("ab \n", min_size=1, max_size=4), st.booleans()), max_size=20),
    st.sampled_from(
        [
            CoalesceTransformer("word"),
            CoalesceTransformer("line", interval_ms=30),
            RateLimiter(20),
            RateLimiter(1, burst=3),
        ]
    ),
)
def test_no_text_is_lost_and_none_overtakes_another(
    pieces: list[tuple[str, bool]], transformer: EventTransformer
) -> None:
    def event(number: int, text: str, is_reasoning: bool) -> StreamDeltaEvent:
        made = delta(text, at=number / 50)
        if is_reasoning:
            made.delta = {"type": "reasoning", "text": text}
        return made

    def flat(events: Iterable[StreamEvent]) -> list[tuple[str, str]]:
        return [
            (one.kind, character)
            for one in events
            if isinstance(one, StreamDeltaEvent)
            for character in (one.delta if isinstance(one.delta, str) else one.delta["text"])
        ]

    events = [event(number, *piece) for number, piece in enumerate(pieces)]
    expected = flat(events)

    assert flat(run(transformer, events)) == expected


@pytest.mark.parametrize(
    "wrong",
    [{}, {"unit": "page"}, {"interval_ms": 0}, {"unit": "word", "max_length": 0}],
)
def test_coalescing_needs_a_unit_or_an_interval(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        CoalesceTransformer(**wrong)


def test_a_rate_limiter_joins_what_may_not_pass() -> None:
    events = [start(), *(delta(str(number), at=number / 10) for number in range(8))]

    passed = run(RateLimiter(per_second=2.5), events)

    assert texts(passed) == ["0", "1234", "567"]


def test_a_clock_that_was_set_back_holds_up_no_delta_but_its_own() -> None:
    events = [delta(str(at), at=at) for at in (100.0, 0.0, 0.25, 0.5)]

    assert texts(run(RateLimiter(4, surplus="drop"), events)) == ["100.0", "0.25", "0.5"]


def test_a_rate_limiter_may_drop_instead_and_allow_a_burst() -> None:
    events = [delta(str(number), at=number / 100) for number in range(5)]
    events.append(delta("later", at=10))

    passed = run(RateLimiter(1, burst=2, surplus="drop"), [*events, usage()])

    assert texts(passed) == ["0", "1", "later"]
    assert passed[-1].type == "usage"


@pytest.mark.parametrize(
    "wrong",
    [{"per_second": 0}, {"per_second": 1, "burst": 0}, {"per_second": 1, "surplus": "keep"}],
)
def test_a_rate_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RateLimiter(**wrong)


@pytest.mark.parametrize(("share", "kept"), [(0.1, 10), (0.3, 30), (0.5, 50), (1, 100), (0.01, 1)])
def test_sampling_keeps_the_share_and_the_first(share: float, kept: int) -> None:
    sample = SamplingFilter(share)

    passed = [number for number in range(100) if sample.should_process(delta(index=number))]

    assert len(passed) == kept
    assert passed[0] == 0
    assert sample.should_process(usage())


@pytest.mark.parametrize("share", [0, 1.5, -1])
def test_a_share_that_makes_no_sense_is_refused(share: float) -> None:
    with pytest.raises(ConfigurationError, match="share"):
        SamplingFilter(share)
