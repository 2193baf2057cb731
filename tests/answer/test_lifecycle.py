"""The order of a stream's events, and its one ending."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from steer_llm_sdk.answer.lifecycle import Lifecycle
from steer_llm_sdk.errors import (
    ConnectionLostError,
    IncompleteStreamError,
    IncompleteToolCallError,
    InvalidJSONError,
    OverloadedError,
    ProtocolError,
    SteerError,
)
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Failure,
    Finish,
    FinishReason,
    Fragment,
    Identity,
    OtherChoice,
    Reasoning,
    Refusal,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.usage import Estimate
from steer_llm_sdk.providers.base import TerminalMarkers
from steer_llm_sdk.testing import check_stream
from support.pure_road import new_lifecycle, new_response

EITHER = TerminalMarkers(end=True, finish=True)
END_ONLY = TerminalMarkers(end=True)
FINISH_ONLY = TerminalMarkers(finish=True)

STOP = Finish("stop", "end_turn")
ESTIMATE = Estimate({"prompt_tokens": 10, "completion_tokens": 20}, "characters", 0.6)


def after(*fragments: Fragment) -> Lifecycle:
    lifecycle = new_lifecycle()
    lifecycle.begin({})
    lifecycle.begin_attempt("test", "asked-model")
    list(lifecycle.intake.feed(fragments, 101.0))
    return lifecycle


def verdict(
    markers: TerminalMarkers, *fragments: Fragment, has_clean_end: bool = True
) -> SteerError | None:
    return after(*fragments).verdict(markers, has_clean_end=has_clean_end)


# --- the beginning ----------------------------------------------------------------------------


def test_the_start_event_comes_at_the_time_of_the_call_with_the_callers_metadata() -> None:
    lifecycle = new_lifecycle()

    start = lifecycle.begin({"user": "u-1"})

    assert (start.type, start.sequence, start.timestamp) == ("start", 0, 1_000.0)
    assert start.metadata == {"user": "u-1"}
    assert (start.provider, start.model) == ("test", "asked-model")
    assert (start.request_id, start.stream_id) == ("request-1", "stream-1")


def test_an_attempt_at_another_model_changes_the_names_of_what_follows() -> None:
    lifecycle = new_lifecycle()
    lifecycle.begin({})

    lifecycle.begin_attempt("other", "fallback-model")

    (delta,) = lifecycle.intake.feed(["Hi"], 101.0)
    assert (delta.provider, delta.model) == ("other", "fallback-model")


def test_an_attempt_after_the_first_delta_is_refused() -> None:
    lifecycle = after("Hi")

    with pytest.raises(AssertionError, match="would repeat text"):
        lifecycle.begin_attempt("test", "asked-model")


def test_an_attempt_forgets_what_an_earlier_one_said() -> None:
    lifecycle = after(Identity("r-1", "m-1"), Failure(OverloadedError("busy")))

    lifecycle.begin_attempt("test", "asked-model")

    list(lifecycle.intake.feed(["Hi", STOP, End()], 102.0))
    assert lifecycle.verdict(END_ONLY, has_clean_end=True) is None
    assert lifecycle.terminal_event(103.0, None).metadata["response_model"] is None


def test_time_is_the_wall_clock_at_the_start_plus_what_has_passed_since() -> None:
    lifecycle = new_lifecycle()

    begin = lifecycle.begin({})
    end = lifecycle.terminal_event(lifecycle.begun + 2.5, None)

    assert end.timestamp - begin.timestamp == 2.5


# --- the verdict ------------------------------------------------------------------------------


@pytest.mark.parametrize("markers", [END_ONLY, EITHER])
@pytest.mark.parametrize("has_clean_end", [True, False])
def test_an_end_marker_completes_whatever_becomes_of_the_connection(
    markers: TerminalMarkers, has_clean_end: bool
) -> None:
    assert verdict(markers, "Hi", End(), has_clean_end=has_clean_end) is None


@pytest.mark.parametrize("markers", [FINISH_ONLY, EITHER])
def test_a_finish_reason_completes_when_the_body_ends_cleanly(markers: TerminalMarkers) -> None:
    assert verdict(markers, "Hi", STOP) is None
    error = verdict(markers, "Hi", STOP, has_clean_end=False)
    assert isinstance(error, IncompleteStreamError)


def test_a_body_that_ends_inside_a_frame_has_no_clean_end() -> None:
    lifecycle = after("Hi", STOP)
    lifecycle.intake.has_cut_tail = True

    assert isinstance(lifecycle.verdict(EITHER, has_clean_end=True), IncompleteStreamError)


def test_a_finish_reason_does_not_complete_a_format_with_a_sure_marker() -> None:
    error = verdict(END_ONLY, "Hi", STOP)

    assert isinstance(error, IncompleteStreamError)
    assert "after its finish reason" in str(error)


def test_an_end_marker_that_the_format_does_not_know_completes_nothing() -> None:
    assert isinstance(verdict(FINISH_ONLY, "Hi", End()), IncompleteStreamError)


def test_a_body_that_just_ends_is_incomplete_and_says_how_far_it_came() -> None:
    error = verdict(EITHER, "Hel", "lo")

    assert isinstance(error, IncompleteStreamError)
    assert error.is_retryable
    assert "before it was finished" in str(error)
    assert "after 2 chunks" in str(error)


def test_an_error_of_the_provider_counts_more_than_any_marker() -> None:
    error = OverloadedError("busy")

    assert verdict(EITHER, "Hi", STOP, Failure(error)) is error


# --- the answer as a whole --------------------------------------------------------------------


class Check:
    """A final check that raises what it was made with."""

    def __init__(self, error: SteerError | None = None) -> None:
        self.error = error
        self.seen: StreamingResponse | None = None

    def finish(self, response: StreamingResponse) -> None:
        self.seen = response
        if self.error is not None:
            raise self.error


def checked_by(check: Check) -> Lifecycle:
    lifecycle = Lifecycle(new_response(), now=100.0, wall=1_000.0, is_json=True, final_check=check)
    list(lifecycle.intake.feed(["{}", STOP, End()], 101.0))
    return lifecycle


def test_the_finish_reason_is_in_the_response_and_other_where_none_came() -> None:
    told, untold = after("Hi", STOP, End()), after("Hi", End())

    assert told.settle(None) is None
    assert untold.settle(None) is None
    assert told.response.finish_reason == "stop"
    assert untold.response.finish_reason == "other"


def test_a_stream_that_failed_keeps_its_error_and_knows_no_reason_that_was_not_told() -> None:
    lifecycle, error = after("Hi"), ConnectionLostError("gone")

    assert lifecycle.settle(error) is error
    assert lifecycle.response.finish_reason is None


def test_an_answer_that_stops_inside_a_call_ends_in_an_error_that_names_it() -> None:
    lifecycle = after(ToolCallPiece(0, "c", "add", '{"a"'), Finish("length", "max_tokens"))

    error = lifecycle.settle(None)

    assert isinstance(error, IncompleteToolCallError)
    assert not error.is_retryable
    assert "'add'" in str(error)
    assert "(length)" in str(error)
    assert lifecycle.response.tool_calls == []
    assert lifecycle.response.incomplete_tool_calls[0]["arguments"] == '{"a"'


def test_an_end_marker_closes_a_call_where_no_finish_reason_came() -> None:
    lifecycle = after(ToolCallPiece(0, "c", "add", ""), End())

    assert lifecycle.settle(None) is None
    assert [call["arguments"] for call in lifecycle.response.tool_calls] == ["{}"]


def test_a_call_without_a_name_is_told_so() -> None:
    lifecycle = after(ToolCallPiece(0, "c", "", "{}"), Finish("tool_calls", "tool_calls"), End())

    assert "inside the tool call '': it has no name;" in str(lifecycle.settle(None))


@pytest.mark.parametrize("reason", ["length", "content_filter", "refusal"])
def test_an_answer_that_was_stopped_may_be_cut_inside_its_last_call(reason: FinishReason) -> None:
    lifecycle = after(ToolCallPiece(0, "c", "add", ""), Finish(reason, reason), End())

    assert isinstance(lifecycle.settle(None), IncompleteToolCallError)


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "other"])
def test_an_answer_that_ended_by_itself_is_not_cut(reason: FinishReason) -> None:
    lifecycle = after(ToolCallPiece(0, "c", "add", ""), Finish(reason, reason))

    assert lifecycle.settle(None) is None


def test_the_final_check_sees_the_whole_answer() -> None:
    check = Check()
    lifecycle = checked_by(check)

    assert lifecycle.settle(None) is None
    assert check.seen is lifecycle.response


@pytest.mark.parametrize("error", [InvalidJSONError("no"), IncompleteToolCallError("no")])
def test_what_the_final_check_finds_is_the_error_of_the_stream(error: SteerError) -> None:
    assert checked_by(Check(error)).settle(None) is error


def test_a_stream_that_failed_is_not_checked() -> None:
    check, error = Check(), ConnectionLostError("gone")

    assert checked_by(check).settle(error) is error
    assert check.seen is None


def test_all_that_the_model_wrote_is_counted() -> None:
    lifecycle = after(
        "Hi",
        Reasoning("Hm"),
        Refusal("No"),
        ToolCallPiece(0, "c", "add", "{}"),
        ToolCallPiece(1, "d", "sub", "{"),
        Finish("tool_calls", "tool_calls"),
    )
    lifecycle.settle(None)

    assert lifecycle.written() == ["Hi", "Hm", "No", "add", "{}", "sub", "{"]


# --- usage ------------------------------------------------------------------------------------


def usage_of(lifecycle: Lifecycle, estimate: Estimate | None = None) -> StreamUsageEvent:
    event = lifecycle.usage_event(102.0, estimate)
    assert event is not None
    return event


def test_usage_that_was_reported_is_sure_and_has_a_total() -> None:
    raw = {"in": 12, "out": 7}
    lifecycle = after(Usage({"prompt_tokens": 12, "completion_tokens": 7}, raw))

    event = usage_of(lifecycle)

    assert event.usage == {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
    assert (event.is_estimated, event.confidence) == (False, 1.0)
    assert event.metadata == {"provider_usage": raw}
    assert lifecycle.response.usage == event.usage
    assert not lifecycle.response.usage_is_estimated


def test_usage_that_was_not_reported_is_an_estimate_that_says_so() -> None:
    lifecycle = after("Hi", Extras({"n": 1}))

    event = usage_of(lifecycle, ESTIMATE)

    assert event.usage == {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
    assert (event.is_estimated, event.confidence) == (True, 0.6)
    assert event.metadata == {"n": 1, "estimation_method": "characters"}
    assert lifecycle.response.usage_is_estimated


@pytest.mark.parametrize(("reported", "counted"), [(1, 20), (50, 50)])
def test_of_a_stream_that_was_cut_the_larger_number_of_completion_tokens_counts(
    reported: int, counted: int
) -> None:
    counts = {"prompt_tokens": 12, "completion_tokens": reported, "total_tokens": 12 + reported}
    event = usage_of(after(Usage(counts | {"cached_tokens": 5}, {})), ESTIMATE)

    assert event.usage == {
        "prompt_tokens": 12,
        "completion_tokens": counted,
        "total_tokens": 12 + counted,
        "cached_tokens": 5,
    }
    assert event.is_estimated


@pytest.mark.parametrize("is_ended", [True, False])
def test_a_count_that_came_with_the_end_of_an_answer_is_kept(is_ended: bool) -> None:
    # Ollama leaves the prompt's out, where it had it all in its cache.
    ended: list[Fragment] = [STOP, End()] if is_ended else []
    event = usage_of(after(Usage({"completion_tokens": 7}, {}), *ended), ESTIMATE)

    completion = 7 if is_ended else 20
    assert event.usage == {
        "prompt_tokens": 10,
        "completion_tokens": completion,
        "total_tokens": 10 + completion,
    }
    assert event.is_estimated


def test_without_usage_and_estimate_there_is_no_usage_event() -> None:
    lifecycle = after()

    assert lifecycle.usage_event(102.0, None) is None
    assert lifecycle.response.usage is None


# --- an answer that was cut and is taken up again ----------------------------------------------

CUT = ConnectionLostError("gone")


def taken_up(estimate: Estimate | None, *before: Fragment) -> Lifecycle:
    """A stream that was cut after these fragments, and went on with one word and its end."""
    lifecycle = after(*before)
    lifecycle.note_cut(CUT, estimate)
    lifecycle.note_recovery()
    rest: list[Fragment] = [
        " there",
        Usage({"prompt_tokens": 14, "completion_tokens": 3}, {}),
        STOP,
        End(),
    ]
    list(lifecycle.intake.feed(rest, 102.0))
    return lifecycle


def test_a_cut_answer_goes_on_where_it_stood() -> None:
    lifecycle = taken_up(ESTIMATE, "Hi", Identity("r-1", None))

    assert lifecycle.verdict(END_ONLY, has_clean_end=True) is None
    assert lifecycle.settle(None) is None
    done = lifecycle.terminal_event(103.0, None)

    assert isinstance(done, StreamCompleteEvent)
    assert lifecycle.response.get_text() == "Hi there"
    assert done.total_chunks == 2
    assert done.metadata["recovered"] == [
        {
            "error_type": "ConnectionLostError",
            "message": "gone",
            "chunks": 1,
            "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
        }
    ]


def test_a_cut_that_was_not_taken_up_is_no_recovery() -> None:
    lifecycle = after("Hi")
    lifecycle.note_cut(CUT, None)

    assert "recovered" not in lifecycle.terminal_event(102.0, CUT).metadata


def test_going_on_without_a_cut_is_nothing_to_note() -> None:
    lifecycle = after("Hi")
    lifecycle.note_recovery()

    assert "recovered" not in lifecycle.terminal_event(102.0, None).metadata


def test_the_usage_of_both_requests_is_added_up_and_is_as_sure_as_its_weakest_part() -> None:
    event = usage_of(taken_up(ESTIMATE, "Hi"))

    assert event.usage == {"prompt_tokens": 24, "completion_tokens": 23, "total_tokens": 47}
    assert (event.is_estimated, event.confidence) == (True, 0.6)
    assert event.metadata["estimation_method"] == "characters"


def test_usage_that_was_reported_for_both_requests_is_sure() -> None:
    told = Usage({"prompt_tokens": 12, "completion_tokens": 1}, {})

    event = usage_of(taken_up(None, "Hi", told))

    assert event.usage == {"prompt_tokens": 26, "completion_tokens": 4, "total_tokens": 30}
    assert (event.is_estimated, event.confidence) == (False, 1.0)


def test_usage_of_which_a_part_is_not_known_is_not_trusted() -> None:
    event = usage_of(taken_up(None, "Hi"))

    assert event.usage["completion_tokens"] == 3
    assert (event.is_estimated, event.confidence) == (True, 0.0)
    assert event.metadata["estimation_method"] == "unknown"


def test_only_what_was_written_after_the_cut_is_counted_for_the_second_request() -> None:
    assert taken_up(ESTIMATE, "Hi").written()[0] == " there"


def test_other_choices_are_counted_as_written_too() -> None:
    piece = OtherChoice(1, ToolCallPiece(0, name="add", arguments="{"))

    written = after("A", OtherChoice(1, "B"), piece, OtherChoice(2, ToolCallPiece(0))).written()

    assert written == ["A", "", "", "B", "", "add", "{", "", ""]


# --- the terminal event -----------------------------------------------------------------------


def test_a_complete_event_says_what_the_stream_came_to() -> None:
    lifecycle = after("Hi", "there", STOP, End())
    lifecycle.settle(None)
    usage = usage_of(lifecycle, ESTIMATE)

    done = lifecycle.terminal_event(102.5, None)

    assert isinstance(done, StreamCompleteEvent)
    assert (done.total_chunks, done.duration_ms, done.finish_reason) == (2, 2_500.0, "stop")
    assert done.final_usage == usage.usage
    assert lifecycle.response.ok
    assert lifecycle.response.metadata == done.metadata


def test_the_terminal_metadata_have_what_the_provider_said_of_itself() -> None:
    raw = {"in": 1}
    lifecycle = after(Identity("r-1", "m-2024"), Usage({"prompt_tokens": 1}, raw), STOP)
    lifecycle.intake.metadata["provider_request_id"] = "req-7"

    assert lifecycle.terminal_event(102.0, None).metadata == {
        "response_id": "r-1",
        "response_model": "m-2024",
        "provider_request_id": "req-7",
        "provider_finish_reason": "end_turn",
        "provider_usage": raw,
    }


def test_what_the_provider_did_not_say_is_none() -> None:
    assert after().terminal_event(102.0, None).metadata == {
        "response_model": None,
        "provider_request_id": None,
        "provider_finish_reason": None,
        "provider_usage": None,
    }


def test_further_choices_and_what_no_event_took_are_in_the_terminal_metadata() -> None:
    lifecycle = after(OtherChoice(1, "B"), Extras({"n": 1}))

    metadata = lifecycle.terminal_event(102.0, None).metadata

    assert metadata["choices"] == {1: {"text": "B", "tool_calls": [], "finish_reason": None}}
    assert metadata["n"] == 1


@pytest.mark.parametrize("error", [ConnectionLostError("gone"), InvalidJSONError("no")])
def test_an_error_event_agrees_with_its_error_and_leaves_what_arrived(error: SteerError) -> None:
    lifecycle = after("Hi")
    lifecycle.settle(error)

    failed = lifecycle.terminal_event(102.0, error)

    assert isinstance(failed, StreamErrorEvent)
    assert failed.error is error
    assert failed.error_type == type(error).__name__
    assert failed.is_retryable == error.is_retryable
    assert error.partial_response is lifecycle.response
    assert lifecycle.response.error is error
    assert not lifecycle.response.ok


def test_a_partial_response_that_the_error_already_has_is_kept() -> None:
    lifecycle, earlier, error = after("Hi"), new_response(), ConnectionLostError("gone")
    error.partial_response = earlier

    lifecycle.terminal_event(102.0, error)

    assert error.partial_response is earlier


def test_all_events_together_are_a_stream() -> None:
    lifecycle = new_lifecycle()
    events: list[Any] = [lifecycle.begin({})]
    lifecycle.begin_attempt("test", "asked-model")
    said: list[Fragment] = ["Hel", "lo", Reasoning("Hm"), STOP, End()]
    events += lifecycle.intake.feed(said, 101.0)
    error = lifecycle.settle(lifecycle.verdict(END_ONLY, has_clean_end=True))
    events += [lifecycle.usage_event(102.0, ESTIMATE), lifecycle.terminal_event(102.0, error)]

    summary = check_stream(events)

    assert summary.kinds == ("start", "text", "text", "reasoning", "usage", "complete")
    assert isinstance(events[1], StreamDeltaEvent)
    assert [event.timestamp for event in events] == [1_000.0] + [1_001.0] * 3 + [1_002.0] * 2


@pytest.mark.parametrize("confidences", [(0.6, 0.9), (0.9, 0.6)])
def test_the_weaker_of_two_estimates_says_how_sure_their_sum_is(
    confidences: tuple[float, float],
) -> None:
    first, second = (replace(ESTIMATE, confidence=confidence) for confidence in confidences)

    lifecycle = after("Hi")
    lifecycle.note_cut(CUT, first)
    list(lifecycle.intake.feed([" there"], 102.0))
    lifecycle.note_recovery()
    event = lifecycle.usage_event(103.0, second)

    assert event is not None
    assert (event.is_estimated, event.confidence) == (True, 0.6)
    assert event.usage["completion_tokens"] == 40


def test_calls_are_why_a_stream_ended_that_does_not_say_it() -> None:
    lifecycle = after(ToolCallPiece(0, "c", "f", "{}"), End())

    assert lifecycle.settle(lifecycle.verdict(EITHER, has_clean_end=True)) is None
    assert lifecycle.response.finish_reason == "tool_calls"


@pytest.mark.parametrize("ending", [End(), Failure(OverloadedError("busy"))])
def test_usage_that_comes_behind_the_end_is_read(ending: Fragment) -> None:
    first, second = Usage({"prompt_tokens": 3}, {}), Usage({"prompt_tokens": 4}, {})

    assert after("Hi", ending, "no more", first, second).intake.usage == first


def test_what_is_broken_behind_the_end_is_not_looked_at() -> None:
    def fragments() -> Iterator[Fragment]:
        yield from ("Hi", End())
        raise ProtocolError("no JSON")

    lifecycle = new_lifecycle()
    list(lifecycle.intake.feed(fragments(), 101.0))

    assert lifecycle.verdict(EITHER, has_clean_end=True) is None


def test_what_is_broken_behind_an_error_does_not_hide_it() -> None:
    def fragments() -> Iterator[Fragment]:
        yield Failure(OverloadedError("busy"))
        raise ProtocolError("no JSON")

    lifecycle = new_lifecycle()
    list(lifecycle.intake.feed(fragments(), 101.0))

    assert isinstance(lifecycle.verdict(EITHER, has_clean_end=True), OverloadedError)
