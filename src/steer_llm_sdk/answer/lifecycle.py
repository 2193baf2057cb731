"""Begins and ends a stream: its start event, the verdict on its body, its usage, its one ending.

Strategy. `begin` gives the start event; the deltas come from the `Intake`; `verdict` says what the
end of the body makes of the stream, while whoever drives it can still decide to try again; `settle`
puts the answer together and looks at it as a whole; `usage_event` and `terminal_event` end it. The
order that `steer_llm_sdk.answer.order` shows is kept here: another is an `AssertionError`.

Everything is pure: the time, the identifiers and the estimate come in as arguments.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, TypeVar

from steer_llm_sdk.answer.intake import Intake
from steer_llm_sdk.answer.order import EventOrder
from steer_llm_sdk.errors import (
    IncompleteStreamError,
    IncompleteToolCallError,
    InvalidJSONError,
    SteerError,
)
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamErrorEvent,
    StreamEvent,
    StreamStartEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.models.responses import StreamingResponse, set_going_on, set_parts
from steer_llm_sdk.models.usage import COMPLETION, TOTAL, Estimate, added, with_total
from steer_llm_sdk.providers.base import TerminalMarkers, WireFormat

_Event = TypeVar("_Event", bound=StreamEvent)

# Why a model stops in the middle of what it writes.
_CUTTING = frozenset({"length", "content_filter", "refusal"})


class FinalCheck(Protocol):
    """Checks the whole answer before the stream may be called complete (JSON)."""

    def finish(self, response: StreamingResponse) -> None:
        """Check the answer, and write its value into the response.

        Raises:
            InvalidJSONError: The answer is not what was asked for.
            IncompleteToolCallError: A call does not fit its tool.
        """
        ...


class Lifecycle:
    """One stream, from its start event to its terminal one.

    Args:
        response: Where the answer is put together; its names are those of the events.
        now: The monotonic time at which the call began, in seconds.
        wall: The Unix time at that moment.
        is_json: Whether text deltas are JSON that was asked for.
        is_rewritten: Whether text transformers stand between the intake and the response.
        hides_unchecked: Whether what they cannot check is left out: see `Intake`.
        final_check: Looks at the whole answer before it is called complete.
    """

    def __init__(
        self,
        response: StreamingResponse,
        *,
        now: float,
        wall: float,
        is_json: bool = False,
        is_rewritten: bool = False,
        hides_unchecked: bool = False,
        final_check: FinalCheck | None = None,
    ) -> None:
        self.response = response
        self.intake = Intake(
            response,
            wall_offset=wall - now,
            is_json=is_json,
            is_rewritten=is_rewritten,
            hides_unchecked=hides_unchecked,
        )
        self.begun = now
        self._has_asked = False  # before the first request there is nothing to forget
        self._order = EventOrder()
        self._final_check = final_check
        self._cut: dict[str, Any] | None = None
        self._cut_at = 0  # characters of text that earlier requests brought
        self._recovered: list[dict[str, Any]] = []  # what cut the answer, and where
        self._earlier: list[Estimate | None] = []  # what requests took whose answers were cut

    def begin(self, metadata: dict[str, Any]) -> StreamStartEvent:
        """Make the start event: the call begins."""
        return self._make(StreamStartEvent, self.begun, metadata)

    def begin_attempt(self, provider: str, model: str, wire: WireFormat | None = None) -> None:
        """Begin a request: forget what an earlier one said before its first delta.

        Args:
            provider: Who is asked.
            model: What that provider calls the model.
            wire: The format of the answer: parts say what is to be sent back in it.

        Raises:
            AssertionError: A delta has been emitted; nothing may be sent again after that.
        """
        if self.intake.chunks:
            raise AssertionError("a new attempt after the first delta would repeat text")
        response = self.response
        if self._has_asked or (provider, model) != (response.provider, response.model):
            response.provider = provider
            response.model = model
            self.intake.begin_attempt()
        self._has_asked = True
        if wire is not None:
            self.intake.parts.wire = wire.name
            self.intake.parts.is_ordered = wire.has_ordered_parts

    def verdict(self, markers: TerminalMarkers, *, has_clean_end: bool) -> SteerError | None:
        """Judge the stream at the end of its body: None when it is complete, else why it is not.

        Args:
            markers: What makes a stream of this format complete.
            has_clean_end: The body ended as HTTP wants it, rather than by a broken connection.
                One that ends inside a frame has no clean end, whatever HTTP says.
        """
        intake = self.intake
        if intake.failure is not None:
            return intake.failure
        if intake.has_ended and markers.end:
            return None
        is_clean = has_clean_end and not intake.has_cut_tail
        if intake.finish is not None and markers.finish and is_clean:
            return None
        seen = "after its finish reason" if intake.finish is not None else "before it was finished"
        return IncompleteStreamError(
            f"{self.response.provider}: the stream ended {seen} and without the provider's "
            f"terminal marker: the answer is cut short after {intake.chunks} chunks"
        )

    def note_cut(self, error: SteerError, estimate: Estimate | None) -> None:
        """Note that the answer was cut, and is about to be taken up where it stands.

        Args:
            error: What cut it.
            estimate: What it took so far, where the provider has not told.
        """
        usage = self._usage_so_far(estimate)
        self._earlier.append(usage)
        self._cut = {
            "error_type": type(error).__name__,
            "message": str(error),
            "chunks": self.intake.chunks,
            "usage": usage.counts if usage else None,
        }
        self._cut_at = len(self.response.get_text())
        self.intake.begin_attempt()

    def note_recovery(self) -> None:
        """Note that the cut answer goes on."""
        if self._cut is not None:
            self._recovered.append(self._cut)
            self._cut = None

    def settle(self, error: SteerError | None) -> SteerError | None:
        """Put the answer together, and check it: gives the error that the stream ends in."""
        finish = self.intake.finish
        response = self.response
        response.finish_reason = finish.reason if finish else None
        set_going_on(response, goes_on=finish is not None and finish.goes_on)
        self.intake.collector.settle(
            has_finished=finish is not None or self.intake.has_ended,
            was_cut=finish is not None and finish.reason in _CUTTING,
        )
        if finish is not None and finish.reason == "stop" and response.tool_calls:
            response.finish_reason = "tool_calls"  # they may come behind the reason
        if error is not None:
            return error
        if finish is None:
            response.finish_reason = "tool_calls" if response.tool_calls else "other"
        if response.incomplete_tool_calls:
            return self._incomplete_call()
        try:
            if self._final_check is not None:
                self._final_check.finish(response)
        except (InvalidJSONError, IncompleteToolCallError) as failed:
            return failed
        return None

    def written(self) -> list[str]:
        """List the texts that the model wrote for this request, its other choices too."""
        response = self.response
        others = self.intake.others.as_dict().values()
        calls = [*response.tool_calls, *response.incomplete_tool_calls]
        calls += [call for choice in others for call in choice["tool_calls"]]
        said = [response.get_text()[self._cut_at :], response.reasoning, response.refusal]
        said += [choice["text"] for choice in others]
        return said + [call[key] or "" for call in calls for key in ("name", "arguments")]

    def usage_event(self, now: float, estimate: Estimate | None) -> StreamUsageEvent | None:
        """Make the usage event: the provider's counts, completed by `estimate`; None without both.

        An answer that was taken up again took several requests: their counts are added up.
        """
        usage, found = self.intake.usage, self._usage_so_far(estimate)
        requests = [found, *self._earlier]
        known = [each for each in requests if each is not None]
        if not known:
            return None
        event = self._make(StreamUsageEvent, now, {"provider_usage": usage.raw} if usage else {})
        if found is None or self._earlier:
            counts: Any = added(each.counts for each in known)
        else:  # one request, as nearly always
            counts = found.counts
        event.usage = counts
        estimated = [each for each in known if each.confidence < 1.0]
        if estimated or len(known) < len(requests):
            event.is_estimated = True
            event.confidence = min((each.confidence for each in estimated), default=0.0)
            methods = dict.fromkeys(each.method for each in estimated)
            event.metadata["estimation_method"] = ", ".join(methods) or "unknown"
        self.response.usage = event.usage
        self.response.usage_is_estimated = event.is_estimated
        return event

    def _usage_so_far(self, estimate: Estimate | None) -> Estimate | None:
        """Count what this request took: as reported, and where that is not enough, as estimated.

        The larger number of completion tokens counts, where the answer did not come to its end: a
        provider may have told the beginning only.
        """
        usage = self.intake.usage
        reported = dict(usage.counts) if usage else {}
        if estimate is None:
            return Estimate(with_total(reported), "reported", 1.0) if usage else None
        counts = estimate.counts | reported
        if not self.intake.has_ended:
            counts[COMPLETION] = max(counts[COMPLETION], estimate.counts[COMPLETION])
        counts.pop(TOTAL, None)
        return replace(estimate, counts=with_total(counts))

    def terminal_event(self, now: float, error: SteerError | None) -> StreamEvent:
        """Make the one terminal event."""
        response = self.response
        metadata = response.metadata = self._terminal_metadata()
        response.is_finished = True
        response.error = error
        set_parts(response, self.intake.build_parts())
        if error is None:
            done = self._make(StreamCompleteEvent, now, metadata)
            done.total_chunks = self.intake.chunks
            done.duration_ms = (now - self.begun) * 1000
            done.final_usage = response.usage
            done.finish_reason = response.finish_reason
            return done
        if error.partial_response is None:
            error.partial_response = response
        failed = self._make(StreamErrorEvent, now, metadata)
        failed.error = error
        failed.error_type = type(error).__name__
        failed.is_retryable = error.is_retryable
        return failed

    def _make(self, kind: type[_Event], now: float, metadata: dict[str, Any]) -> _Event:
        response, intake = self.response, self.intake
        if intake.chunks and self._order.last == "start":
            self._order.follow("delta")
        self._order.follow(kind.type)
        event = kind(
            response.provider,
            response.model,
            response.request_id,
            response.stream_id,
            now + intake.wall_offset,
            intake.take_pending() | metadata,
            intake.sequence,
        )
        intake.sequence += 1
        return event

    def _terminal_metadata(self) -> dict[str, Any]:
        finish, usage = self.intake.finish, self.intake.usage
        known: dict[str, Any] = {
            "response_model": None,
            "provider_request_id": None,
            "provider_finish_reason": finish.provider_reason if finish else None,
            "provider_usage": usage.raw if usage else None,
        }
        if (choices := self.intake.others.as_dict()) and not self.intake.hides_unchecked:
            known["choices"] = choices
        if self._recovered:
            known["recovered"] = self._recovered
        return known | self.intake.metadata

    def _incomplete_call(self) -> IncompleteToolCallError:
        response = self.response
        call = response.incomplete_tool_calls[-1]
        size = len(call["arguments"])
        missing = f"its arguments are not whole JSON ({size} characters)"
        return IncompleteToolCallError(
            f"{response.provider}: the stream ended ({response.finish_reason}) inside the tool "
            f"call {call['name']!r}: {missing if call['name'] else 'it has no name'}; "
            "it is in incomplete_tool_calls"
        )
