"""What the final response says of how it ended, and what it cost.

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.models.fragments import Failure, Finish, FinishReason, Usage
from steer_llm_sdk.models.usage import with_total
from steer_llm_sdk.providers.openai_chat.errors import error_object, read_failure
from steer_llm_sdk.providers.openai_chat.usage import read_usage as read_counts
from steer_llm_sdk.providers.openai_chat.usage import with_tier
from steer_llm_sdk.providers.openai_responses.items import Items
from steer_llm_sdk.providers.reading import object_at, text_at

_FINAL_STATUSES = frozenset({"completed", "incomplete", "failed", "cancelled"})

# Other words for them, and the names of final events that say no more.
_STATUSES: Mapping[str, str] = {"done": "completed", "canceled": "cancelled", "error": "failed"}

# Why a response is incomplete: `incomplete_details.reason`.
INCOMPLETE: Mapping[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "max_messages": "length",
    "length": "length",
    "content_filter": "content_filter",
    "steered": "other",  # another response takes its place
}


def read_status(response: Mapping[str, Any], event_type: str) -> str:
    """The response's own word for how it ended; without one, the event's. An error is a failure."""
    if error_object({"error": response.get("error")}):
        return "failed"
    status = text_at(response, "status")
    status = _STATUSES.get(status, status)
    ending = event_type.removeprefix("response.")
    return status if status in _FINAL_STATUSES else _STATUSES.get(ending, ending)


def read_finish(response: Mapping[str, Any], status: str, items: Items) -> Finish:
    """Why the model stopped. The provider says no more than "completed": the items say the rest."""
    if status == "incomplete":
        why = text_at(object_at(response, "incomplete_details"), "reason")
        return Finish(INCOMPLETE.get(why, "other"), f"{status}:{why}" if why else status)
    if items.calls.has_finished:
        return Finish("tool_calls", status)
    is_refusal = items.said.has("refusal") and not items.has_answer()
    return Finish("refusal" if is_refusal else "stop", status)


def read_failed(provider: str, response: Mapping[str, Any], status: str) -> Failure:
    """The error of a response that failed or was cancelled."""
    code = "server_error" if status == "failed" else status
    unexplained = {"code": code, "message": f"the response is {status}, and does not say why"}
    # The Realtime API, and gateways to it, tell it among the details of the status.
    told = (response, object_at(response, "status_details"))
    found = (error_object({"error": each.get("error")}) for each in told)
    error = next(filter(None, found), unexplained)
    return Failure(read_failure(provider, error, None))


def read_usage(response: Mapping[str, Any]) -> Iterator[Usage]:
    """The tokens, where they are told."""
    usage = object_at(response, "usage")
    counts = read_counts(usage)
    if usage:
        yield Usage(with_total(counts), with_tier(usage, response.get("service_tier")))
