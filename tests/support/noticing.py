"""The whole suite with notices on: ``STEER_NOTICES=1 pytest …``.

Every stream then tells of itself, beside what each test is about: no text, no count, no retry and
no time to the first token may change by it. Tests that count events, whatever they are, are left
out by name.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from steer_llm_sdk.models.streaming import StreamingOptions


def notice_by_default() -> None:
    """Have `StreamingOptions` ask for notices where nobody says otherwise."""
    made: Any = StreamingOptions.__init__
    made = getattr(made, "__wrapped__", made)
    made.__kwdefaults__ |= {"notices": True, "stall_notice_after": 0.05, "live_usage": 0.05}


IS_ON = "STEER_NOTICES" in os.environ

# They say how many events there are, which callbacks they take how long, how deltas are joined
# where nothing comes between them, what a stream without notices is, or what the defaults are.
_COUNT_EVENTS = (
    "test_costs.py::",
    "test_dante.py::test_a_proxy_that_dies_in_the_middle_is_a_broken_connection",
    "test_encoding.py::test_what_has_come_at_once_shares_a_write",
    "test_feed.py::test_threads_may_share_a_stream_and_each_event_goes_to_one",
    "test_heartbeats.py::test_limits_count_on_while_nobody_waits_for_the_headers",
    "test_heartbeats.py::test_reading_with_heartbeats_is_as_reading_undisturbed",
    "test_pouring.py::",  # nothing is poured where streams tell of themselves
    "test_limits.py::test_time_spent_in_async_callbacks_never_counts_either",
    "test_limits.py::test_time_spent_in_callbacks_never_counts",
    "test_recording.py::test_a_recording_gives_the_same_events",
    "test_recording.py::test_it_can_be_played_again_and_left_and_given_up",
    "test_recording.py::test_it_is_played_at_the_speed_that_was_asked_for",
    "test_recording.py::test_the_embedded_models_stream_is_replayed",
    "test_retries.py::test_other_models_are_asked_in_order_when_one_has_failed",
    "test_streaming_options.py::test_the_times_of_the_events_decide_what_is_joined",
    "test_text_transformers.py::test_what_comes_out_is_numbered_and_is_the_response",
    "test_admission.py::test_streams_that_wait_set_no_timer_and_wake_nobody",
    "test_attempts.py::test_the_time_in_which_a_wait_is_given_up_does_not_count",
    "test_processor_scale.py::test_a_hundred_streams_at_once_have_their_own_figures",
    "test_guide.py::test_the_batch_handler_gets_every_event",
    "test_guide.py::test_the_processor_sees_the_deltas_and_the_usage",
    "test_guide.py::test_the_progress_is_shown",
    "test_pump.py::test_the_error_of_an_attempt_is_not_told_of_the_next",
    "test_stats.py::test_the_blocking_client_counts_too",
    "test_client.py::test_a_slow_reader_slows_the_reading",
    "test_fanout.py::test_a_blocking_observer_sets_the_pace",
    "test_callbacks.py::test_a_callback_error_ends_the_stream_as_in_the_asynchronous_client",
    "test_garbage.py::test_a_response_that_nobody_holds_is_gone_at_once",  # asks for none, too
    "test_api_pages.py::test_a_page_of_the_reference_is_what_the_docstrings_say[streaming]",
    "test_watching.py::",
)

if IS_ON:
    notice_by_default()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what counts events."""
    left_out = pytest.mark.skip(reason="it counts events, and notices are among them")
    for item in items if IS_ON else ():
        if any(name in item.nodeid for name in _COUNT_EVENTS):
            item.add_marker(left_out)
