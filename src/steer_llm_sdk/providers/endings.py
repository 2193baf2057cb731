"""Words for why a model stopped, as they wander between formats: gateways pass on what they got."""

from __future__ import annotations

from collections.abc import Mapping

from steer_llm_sdk.models.fragments import FinishReason

FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "stop_token": "stop",
    "complete": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "max_completion_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "context_length_exceeded": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "refusal": "refusal",
}

# Words that say that the model, or what runs it, failed: no answer ends so. Each with the word for
# the error that it is.
FAILED_REASONS: Mapping[str, str] = {
    "error": "server_error",
    "network_error": "server_error",
    "server_error": "server_error",
    "api_error": "server_error",
    "internal_error": "server_error",
    "internal_server_error": "server_error",
    "engine_error": "server_error",
    "model_error": "server_error",
    "inference_error": "server_error",
    "upstream_error": "server_error",
    "failed": "server_error",
    "timeout": "server_error",
    "timeout_error": "server_error",
    "abort": "server_error",
    "aborted": "server_error",
    "cancelled": "server_error",
    "malformed_function_call": "server_error",
    "malformed_response": "server_error",
    "malformed_model_output": "server_error",
    "malformed_tool_use": "server_error",
    "overloaded": "overloaded_error",
    "overloaded_error": "overloaded_error",
    "engine_overloaded": "overloaded_error",
    "insufficient_system_resource": "overloaded_error",
}


def meaning(word: str) -> FinishReason:
    """What a word means, whoever said it."""
    return FINISH_REASONS.get(word.lower(), "other")
