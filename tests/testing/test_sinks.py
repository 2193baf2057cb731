"""`check_sink` finds what a sink does wrong."""

from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.records import StreamRecord
from steer_llm_sdk.testing import check_sink
from support.sinks import Raising, Remembering, RememberingEvents


def test_a_good_sink_passes_and_is_told_of_every_kind_of_ending() -> None:
    sink = RememberingEvents()

    told = check_sink(sink)

    assert list(told) == sink.ended
    assert [each.outcome for each in told] == [
        "completed",
        "completed",
        "failed",
        "failed",
        "cancelled",
        "completed",
    ]
    assert {each.error_type for each in told} >= {"InvalidRequestError", "IncompleteStreamError"}


async def test_it_may_be_called_where_a_loop_runs() -> None:
    assert check_sink(Remembering())


class Later(Remembering):
    def stream_ended(self, record: StreamRecord) -> Any:
        async def work() -> None: ...

        waiting = work()
        waiting.close()
        return waiting


class Changing(Remembering):
    def event(self, event: StreamEvent) -> None:
        event.provider = "mine"


class OnceOnly(Remembering):
    def stream_started(self, record: StreamRecord) -> None:
        if ("close", "") in self.calls:
            raise RuntimeError("I am closed")

    def close(self) -> None:
        self.calls.append(("close", ""))


@pytest.mark.parametrize(
    ("sink", "said"),
    [
        (Raising(ValueError("no")), "stream_started raised ValueError: no"),
        (Later(), "stream_ended returned something to await"),
        (Changing(), "event changed what it was told"),
        (OnceOnly(), "stream_started raised RuntimeError: I am closed"),
    ],
)
def test_a_bad_one_is_named_by_its_method(sink: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_sink(sink)


def test_what_is_no_sink_is_refused() -> None:
    nothing: Any = object()

    with pytest.raises(ConfigurationError, match="expected a Sink"):
        check_sink(nothing)
