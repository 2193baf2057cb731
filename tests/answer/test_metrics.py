from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.answer.intake import Intake
from steer_llm_sdk.answer.metrics import Measuring, StreamMetrics, delta_content
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.responses import StreamingResponse
from support.events import BEGAN, delta


def measured(gaps: list[float], **options: float) -> StreamMetrics:
    """A stream whose first delta comes half a second after its start."""
    metrics = StreamMetrics(**options)
    metrics.on_start(BEGAN)
    now = BEGAN + 0.5
    metrics.on_delta("text", now)
    for gap in gaps:
        now += gap
        metrics.on_delta("text", now)
    return metrics


def test_each_formula_gives_what_the_documentation_says() -> None:
    metrics = measured([0.1, 0.1, 0.3])
    metrics.on_end(BEGAN + 2.0)
    summary = metrics.summary({"completion_tokens": 11})

    expected = {
        "ttft_ms": 500,
        "duration_ms": 2000,
        "e2e_ms": 2000,
        "tokens_per_second": 11 / 2.0,
        "decode_tokens_per_second": 10 / 0.5,
        "tpot_ms": 1500 / 10,
        "itl_ms": 500 / 3,
        "gap_p50_ms": 100,
        "gap_p90_ms": 300,
        "gap_p99_ms": 300,
        "gap_max_ms": 300,
    }
    assert {key: summary[key] for key in expected} == pytest.approx(expected, abs=0.01)
    assert summary["chunks"] == 4


def test_the_firsts_are_kept_apart() -> None:
    def at(what: object, seconds: float) -> StreamDeltaEvent:
        return StreamDeltaEvent(delta=what, timestamp=BEGAN + seconds)  # type: ignore[arg-type]  # a str or a dict

    metrics = StreamMetrics()
    metrics.on_first("byte", BEGAN + 0.125)
    events = [
        at({"type": "reasoning", "text": "m"}, 0.5),
        at({"type": "reasoning", "text": "m"}, 0.625),
        at("x", 1.0),
        at({"type": "tool_call", "index": 0, "name": "f", "arguments": ""}, 1.5),
        at({"type": "tool_call", "index": 0, "arguments": "{"}, 2.0),
    ]
    metrics.on_start(BEGAN)
    for event in events:
        metrics.on_delta(delta_content(event), event.timestamp)
    metrics.on_end(BEGAN + 4.0)
    summary = metrics.summary()

    firsts = {key: value for key, value in summary.items() if key.startswith("time_to_first")}
    assert firsts == {
        "time_to_first_byte_ms": 125,
        "time_to_first_event_ms": 500,
        "time_to_first_reasoning_ms": 500,
        "time_to_first_text_ms": 1000,
        "time_to_first_tool_argument_ms": 2000,
    }
    assert summary["ttft_ms"] == 500
    assert summary["duration_ms"] == 4000


def test_what_is_not_known_is_none() -> None:
    nothing = StreamMetrics().summary()

    assert nothing.pop("chunks") == nothing.pop("stalls") == nothing.pop("stall_ms") == 0
    assert nothing.pop("queued_ms") == 0
    assert set(nothing.values()) == {None}


def test_the_waits_of_all_attempts_for_their_turn_are_added_up() -> None:
    response = StreamingResponse()
    measuring = Measuring(Intake(response, wall_offset=0), response, BEGAN)

    measuring.note_queued(0.5)
    measuring.note_queued(0.25)

    assert response.metrics["queued_ms"] == 750


def test_deltas_that_were_counted_are_not_counted_again() -> None:
    response = StreamingResponse()
    intake = Intake(response, wall_offset=0)
    measuring = Measuring(intake, response, BEGAN)
    for words in (["a", "b"], ["c", "d", "e"]):
        list(intake.feed(words, BEGAN))
        measuring.count_deltas()
        measuring.count_deltas()

    assert response.metrics["chunks"] == 5


def test_one_delta_has_no_gaps_and_no_rate_of_decoding() -> None:
    metrics = measured([])
    metrics.on_end(BEGAN + 1.0)
    summary = metrics.summary({"completion_tokens": 1})

    assert summary["tokens_per_second"] == 1.0
    assert summary["decode_tokens_per_second"] is summary["tpot_ms"] is None
    assert summary["itl_ms"] is summary["gap_max_ms"] is None
    assert metrics.summary({"completion_tokens": 0})["decode_tokens_per_second"] is None


def test_stalls_are_counted_and_summed() -> None:
    summary = measured([0.1, 0.5, 0.1, 0.75], stall_threshold_ms=400).summary()

    assert summary["stalls"] == 2
    assert summary["stall_ms"] == pytest.approx(1250, abs=0.01)


def test_deltas_that_came_in_one_read_are_counted_together() -> None:
    together, apart = StreamMetrics(), StreamMetrics()
    for metrics in (together, apart):
        metrics.on_start(BEGAN)
    together.on_first("text", BEGAN + 0.5)
    for number in range(400):
        at = BEGAN + 0.5 + number
        together.on_deltas(2, at)
        apart.on_delta("text", at)
        apart.on_delta("text", at)

    assert together.summary() == apart.summary()
    assert together.summary()["chunks"] == 800


def test_only_the_first_start_counts() -> None:
    metrics = measured([])
    metrics.on_start(BEGAN + 0.25)

    assert metrics.summary()["ttft_ms"] == 500


def test_a_clock_that_was_set_back_makes_no_negative_gap() -> None:
    assert measured([0.5, -0.25]).summary()["gap_p50_ms"] == 0.0


@given(st.lists(st.floats(0, 100) | st.just(0.0), min_size=1, max_size=20))
def test_percentiles_of_many_gaps_are_off_by_little(some: list[float]) -> None:
    gaps = some * (600 // len(some) + 1)
    metrics = measured(gaps)
    summary = metrics.summary()

    exact = sorted(gaps)
    for share in (50, 90, 99):
        expected = exact[-(-share * len(gaps) // 100) - 1] * 1000
        assert summary[f"gap_p{share}_ms"] == pytest.approx(expected, rel=0.03, abs=0.002)
    assert summary["gap_max_ms"] == pytest.approx(max(gaps) * 1000, abs=0.002)
    assert summary["chunks"] == len(gaps) + 1
    assert metrics.summary() == summary


def test_many_deltas_take_no_more_memory_than_a_few() -> None:
    metrics = measured([0.01] * 2000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(50_000):
            metrics.on_delta("text", BEGAN + number / 100)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert grown < 40_000


def test_a_tool_calls_name_alone_is_not_an_argument() -> None:
    named = StreamDeltaEvent(delta={"type": "tool_call", "index": 0, "name": "f"})

    assert delta_content(named) == "tool_call"
    assert delta_content(delta()) == "text"


def test_a_count_beyond_all_measure_gives_no_rate_and_no_error() -> None:
    metrics = measured([0.1])
    metrics.on_end(BEGAN + 2.0)

    summary = metrics.summary({"completion_tokens": 10**400})

    assert (summary["tokens_per_second"], summary["decode_tokens_per_second"]) == (None, None)
    assert summary["duration_ms"] == 2000


def test_the_gaps_of_a_long_stream_are_those_of_a_short_one_by_little() -> None:
    some = [0.01, 0.02, 0.04] * 400
    gaps = measured(some).gaps()

    assert sum(count for _, count in gaps) == len(some)
    assert {count for _, count in gaps} == {400}
    assert [gap for gap, _ in gaps] == pytest.approx([0.01, 0.02, 0.04], rel=0.03)
    assert [count for _, count in measured([0.01, 0.02]).gaps()] == [1, 1]


@pytest.mark.parametrize(
    ("begun", "deltas", "ended", "known"),
    [
        (True, [1.0, 2.0], True, {"tokens_per_second", "decode_tokens_per_second", "tpot_ms"}),
        (True, [1.0, 2.0], False, {"decode_tokens_per_second"}),
        (True, [], True, {"tokens_per_second"}),
        (True, [], False, set()),
        (False, [1.0, 2.0], True, {"decode_tokens_per_second", "tpot_ms"}),
        (False, [], False, set()),
    ],
)
def test_a_rate_is_told_where_both_of_its_moments_are_known(
    begun: bool, deltas: list[float], ended: bool, known: set[str]
) -> None:
    metrics = StreamMetrics()
    if begun:
        metrics.on_start(0.0)
    for at in deltas:
        metrics.on_delta("text", at)
    if ended:
        metrics.on_end(4.0)

    found = metrics.summary({"completion_tokens": 9})

    rates = ("tokens_per_second", "decode_tokens_per_second", "tpot_ms")
    assert {name for name in rates if found[name] is not None} == known
    assert found.keys() == metrics.summary().keys()


@pytest.mark.parametrize("tokens", [-1, 0])
def test_a_count_that_is_none_gives_no_rate(tokens: int) -> None:
    metrics = StreamMetrics()
    metrics.on_start(0.0)
    metrics.on_delta("text", 1.0)
    metrics.on_delta("text", 2.0)
    metrics.on_end(4.0)

    found = metrics.summary({"completion_tokens": tokens})

    assert found["tokens_per_second"] == (0.0 if tokens == 0 else None)
    assert found["decode_tokens_per_second"] is None
    assert found["tpot_ms"] is None
