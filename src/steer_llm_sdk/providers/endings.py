"""Words for why a model stopped, as they wander between formats: gateways pass on what they got.

They spell them as their own language does (``tool-calls``, ``toolCalls``, ``FinishReason.STOP``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from steer_llm_sdk.models.fragments import FinishReason

# `length`: there is more to say; it was a limit of the request's, of the model's or the server's.
_WORDS: Mapping[FinishReason, str] = {
    "stop": (
        "stop eos eos_token end_turn stop_sequence stop_token end normal complete completed "
        "finished eosfound stopstringfound"
    ),
    "length": (
        "length max_tokens max_output_tokens max_completion_tokens max_new_tokens max_length "
        "max_len max_context model_length token_limit time_limit "
        "model_context_window_exceeded context_length_exceeded context_length "
        "maxpredictedtokensreached contextlengthreached budget_exceeded pause_turn compaction "
        "continuation too_many_tool_calls error_limit"
    ),
    "tool_calls": "tool_calls tool_call tool_use function_call function_calls toolcalls",
    "content_filter": (
        "content_filter content_filtered guardrail_intervened safety sensitive recitation "
        "language blocklist prohibited_content spii model_armor escalation image_safety "
        "image_prohibited_content image_recitation content_policy_violation"
    ),
    "refusal": "refusal refused",
}

FINISH_REASONS: Mapping[str, FinishReason] = {
    word: reason for reason, words in _WORDS.items() for word in words.split()
}

# Words that stand where none should: the model has not stopped.
_NO_REASONS = frozenset({"", "null", "none", "not_finished", "in_progress", "unspecified"})

# Words that say that the model, or what runs it, failed: no answer ends so. By the words for the
# errors that they are.
_FAILURES: Mapping[str, str] = {
    "server_error": (
        "error network_error connection_error server_error api_error exception internal "
        "internal_error internal_server_error engine_error engine_dead model_error "
        "inference_error upstream_error failed interrupted timeout timeout_error timed_out "
        "upstream_timeout modelunloaded abort aborted cancelled canceled preempt preempted "
        "malformed_function_call malformed_response malformed_model_output malformed_tool_use "
        "unexpected_tool_call"
    ),
    "overloaded_error": (
        "overloaded overloaded_error model_overloaded engine_overloaded server_busy "
        "unavailable service_unavailable insufficient_system_resource"
    ),
    "rate_limit_error": "rate_limit_error rate_limit rate_limited rate_limit_exceeded",
    # Portkey gives the type of an error of Anthropic's as the reason.
    **{
        word: word
        for word in (
            *("authentication_error", "billing_error", "invalid_request_error"),
            *("not_found_error", "permission_error"),
        )
    },
}

FAILED_REASONS: Mapping[str, str] = {
    word: error for error, words in _FAILURES.items() for word in words.split()
}


# What is no letter or digit of a word, and what an enumeration is called in front of its members.
_BETWEEN = re.compile(r"[\W_]+")
_ENUMERATION = re.compile(r"(finish|stop)reason(?=.)")

_T = TypeVar("_T")


def _bare(word: str) -> str:
    """A word without what spelling adds to it: capitals, hyphens, the name of its enumeration."""
    return _ENUMERATION.sub("", _BETWEEN.sub("", word.lower()), count=1)


_BARE_REASONS = {_bare(word): reason for word, reason in FINISH_REASONS.items()}
_BARE_FAILURES = {_bare(word): error for word, error in FAILED_REASONS.items()}
_BARE_NOTHING = frozenset(map(_bare, _NO_REASONS))


def meaning(word: str) -> FinishReason:
    """What a word means, whoever said it."""
    return _find(word, _BARE_REASONS) or "other"


def failure(word: str) -> str | None:
    """The word for the error that a reason to stop is; None where an answer may end so."""
    return _find(word, _BARE_FAILURES)


def is_reason(word: str) -> bool:
    """Whether a word says that the model has stopped."""
    return _bare(word) not in _BARE_NOTHING


def _find(word: str, known: Mapping[str, _T]) -> _T | None:
    """What is known of a word; where it has two halves (``content_filter: SAFETY``), of either.

    The second half is the more precise one.
    """
    kind, _, detail = word.partition(":")
    found = known.get(_bare(detail))
    return known.get(_bare(kind)) if found is None else found
