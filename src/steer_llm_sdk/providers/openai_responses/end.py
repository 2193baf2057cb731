"""What the final response says of how it ended, and what it cost.

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.models.fragments import Failure, Finish, FinishReason, Usage
from steer_llm_sdk.models.usage import with_total
from steer_llm_sdk.providers.endings import failure, meaning
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
    """The response's own word for how it ended; without one, the event's. An error is a failure.

    So is being incomplete for a reason that is one, of a server behind a gateway.
    """
    if error_object({"error": response.get("error")}):
        return "failed"
    status = text_at(response, "status")
    status = _STATUSES.get(status, status)
    ending = event_type.removeprefix("response.")
    status = status if status in _FINAL_STATUSES else _STATUSES.get(ending, ending)
    return "failed" if status == "incomplete" and failure(_reason(response)) else status


def read_finish(response: Mapping[str, Any], status: str, items: Items) -> Finish:
    """Why the model stopped. The provider says no more than "completed": the items say the rest."""
    if status == "incomplete":
        why = _reason(response)
        return Finish(INCOMPLETE.get(why) or meaning(why), f"{status}:{why}" if why else status)
    if items.calls.has_finished:
        return Finish("tool_calls", status)
    is_refusal = items.said.has("refusal") and not items.has_answer()
    return Finish("refusal" if is_refusal else "stop", status)


def read_failed(provider: str, response: Mapping[str, Any], status: str) -> Failure:
    """The error of a response that failed or was cancelled."""
    why = _reason(response)
    code = failure(why) or ("server_error" if status == "failed" else status)
    because = f": {why!r}" if why else ", and does not say why"
    unexplained = {"code": code, "message": f"the response is {status}{because}"}
    told = (response, object_at(response, "status_details"))
    found = (error_object({"error": each.get("error")}) for each in told)
    error = next(filter(None, found), unexplained)
    return Failure(read_failure(provider, error, None))


def _reason(response: Mapping[str, Any]) -> str:
    """Why the response is what it is; the Realtime API, and gateways to it, tell it elsewhere."""
    details = (object_at(response, key) for key in ("incomplete_details", "status_details"))
    return next(filter(None, (text_at(each, "reason") for each in details)), "")


def read_usage(response: Mapping[str, Any]) -> Iterator[Usage]:
    """The tokens, where they are told."""
    usage = object_at(response, "usage")
    counts = read_counts(usage)
    if usage:
        yield Usage(with_total(counts), with_tier(usage, response.get("service_tier")))
