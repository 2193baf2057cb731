"""Where a keyword belongs that was passed to the wrong place.

People come from other libraries, and each has its own names. Tables say what they mean here; no
advice ever puts a key into the body of a request.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from steer_llm_sdk.calls.keywords import CallKeywords
from steer_llm_sdk.checks import did_you_mean, is_name_of_secret
from steer_llm_sdk.config import SETTINGS, TOLD_OTHERWISE
from steer_llm_sdk.models.streaming import OPTIONS
from steer_llm_sdk.providers.dialects import ProviderRow
from steer_llm_sdk.providers.registry import PROVIDERS

# What other libraries call a keyword of ours.
_KEYWORDS: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "max_new_tokens": "max_tokens",
    "temp": "temperature",
    "max_output_tokens": "max_tokens",
    "num_predict": "max_tokens",
    "instructions": "system",
    "system_instruction": "system",
    "system_message": "system",
    "system_prompt": "system",
    "stop_sequences": "stop",
    "function_call": "tool_choice",
    "functions": "tools",
    "effort": "reasoning",
    "reasoning_effort": "reasoning",
    "think": "reasoning",
    "thinking": "reasoning",
    "thinking_budget": "reasoning",
    "thinking_level": "reasoning",
    "default_headers": "extra_headers",
    "headers": "extra_headers",
    "json": "response_format",
    "json_mode": "response_format",
    "json_schema": "response_format",
    "output_format": "response_format",
    "output_type": "response_format",
    "response_model": "response_format",
    "response_schema": "response_format",
    "schema": "response_format",
    "text_format": "response_format",
    "contents": "messages",
    "history": "messages",
    "input": "messages",
    "prompt": "messages",
    "message": "messages",
    "engine": "model",
    "model_name": "model",
    "options": "streaming_options",
}

# What only one method takes.
_OF_METHODS: Mapping[str, str] = {
    "approved": "run",
    "concurrency": "map",
    "exact": "count_tokens",
    "item_type": "stream_items",
    "journal": "start",
    "max_turns": "run",
    "on_progress": "map",
    "prompts": "map",
}
# What other libraries call it.
_ROUND_LIMITS = frozenset(
    {"max_iter", "max_iterations", "max_rounds", "max_steps", "recursion_limit"}
)
# What is a slip of the pen, rather than another word.
_NEAR = 0.8

_CALLBACKS = ("on_complete", "on_delta", "on_error", "on_start", "on_usage")

# What other libraries call a callback of ours.
_LISTENERS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "callback", "callbacks", "listener", "on_chunk", "on_content", "on_data", "on_event",
            "on_llm_new_token", "on_message", "on_new_token", "on_text", "on_token",
            "stream_callback", "stream_handler",
        ),
        "on_delta",
    ),
    **dict.fromkeys(("on_close", "on_done", "on_end", "on_finish", "on_llm_end"), "on_complete"),
    **dict.fromkeys(("on_exception", "on_failure", "on_llm_error"), "on_error"),
    **dict.fromkeys(("on_begin", "on_llm_start", "on_open"), "on_start"),
}  # fmt: skip

_PARTS = "images and files are parts of a message: its content=['What is this?', Path('cat.png')]"
_TWO_BUDGETS = (
    "how much the model may reason is reasoning=…; what the stream may take in all is an option of "
    "a call: streaming_options=StreamingOptions(budget_tokens=…)"
)
_ONE_ANSWER = "a call has one answer; client.gather([prompt] * 3, model) asks three times at once"

# What is said in another way here.
_SAID_OTHERWISE: Mapping[str, str] = {
    **dict.fromkeys(
        ("attachment", "attachments", "file", "files", "image", "images", "image_url"), _PARTS
    ),
    **dict.fromkeys(("best_of", "n", "num_return_sequences"), _ONE_ANSWER),
    "budget_tokens": _TWO_BUDGETS,
    "stream": "every method streams; generate(…) waits for the whole answer",
}

_OF_CALL = frozenset({
    "max_tokens", "messages", "model", "streaming_options", "temperature",
    *CallKeywords.__optional_keys__,
})  # fmt: skip

_OF_ALL = frozenset({"messages", "model"})  # that have no name where a call is read

_ASKS = "client.generate(messages, model) gives the answer, client.stream(…) its words as they come"
_ROUNDS = "client.run(messages, model, tools=[…]) runs functions that the model calls"

# What other libraries' clients are asked by.
METHODS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "acompletion", "ainvoke", "ask", "astream", "beta", "call", "chat", "complete",
            "completion", "completions", "create", "generate_content", "interactions", "invoke",
            "messages", "predict", "prompt", "query", "responses", "send", "stream_text",
        ),
        _ASKS,
    ),
    **dict.fromkeys(("agent", "bind_tools", "run_stream", "run_sync"), _ROUNDS),
    "abatch": "client.map(prompts, model) asks several prompts at a time",
    "batch": "client.map(prompts, model) asks several prompts at a time",
    "aclose": "client.close() closes it",
}  # fmt: skip

# What belongs to the client as it is, by the names that other libraries have for it too.
_OF_CLIENT = frozenset(
    {"clock", "max_generations", "max_streams", "providers", "sinks", "transport"}
)
_LIMITS = frozenset({
    "concurrency", "concurrent", "max_concurrency", "max_connections", "max_parallel",
    "max_parallel_calls", "max_workers", "n_jobs",
})  # fmt: skip
_HTTP_CLIENTS = frozenset({"aiohttp_session", "http_client", "http_options", "session"})

_KEY_OF_PROVIDER = re.compile(r"(\w+?)_?(?:api)?_?key")
_ADDRESS_OF_PROVIDER = re.compile(r"(\w+?)_(?:api_base|base_url|endpoint|host|url)")


def place_in_call(name: str) -> str | None:
    """Where a keyword belongs that a call does not take; None where nothing is known of it."""
    if name in _KEYWORDS:
        return did_you_mean(_KEYWORDS[name])
    if name in _CALLBACKS:
        return (
            "callbacks go to stream_with_usage(…, on_delta=…); this method takes none, "
            "and gives the events or the words themselves"
        )
    if meant := _LISTENERS.get(name) or _near_callback(name):
        return f"{did_you_mean(meant)} (a callback of stream_with_usage)"
    if name in _LIMITS - _OF_METHODS.keys():
        return f"{did_you_mean('concurrency')} (of client.map)"
    if name in _ROUND_LIMITS:
        return f"{did_you_mean('max_turns')} (of client.run)"
    if name in _OF_METHODS:
        return f"it belongs to client.{_OF_METHODS[name]}(…, {name}=…)"
    if name in _SAID_OTHERWISE:
        return _SAID_OTHERWISE[name]
    place = _option(name) or _setting(name) or _of_client(name) or place_of_key(name)
    return place or _near_place(name)


def _near_place(name: str) -> str | None:
    """What a keyword is a misspelling of, where that is nothing that every call takes."""
    near = difflib.get_close_matches(name, {*_OF_CALL, *_OF_METHODS, *OPTIONS}, n=1, cutoff=_NEAR)
    meant = near[0] if near else ""
    if meant in _OF_METHODS:
        return f"{did_you_mean(meant)} (of client.{_OF_METHODS[meant]})"
    if meant in _OF_ALL:
        return did_you_mean(meant)
    return None if meant in _OF_CALL else _option(meant)


def _near_callback(name: str) -> str | None:
    if not name.startswith("on_"):
        return None
    near = difflib.get_close_matches(name, {*_CALLBACKS, "on_progress"}, n=1)
    return near[0] if near and near[0] in _CALLBACKS else None


def place_in_client(name: str) -> str | None:
    """Where a keyword belongs that a client does not take; None where nothing is known of it."""
    if name in _LIMITS:
        return did_you_mean("max_streams")
    return (
        _option(name)
        or _setting(name)
        or place_of_key(name)
        or _http_client(name)
        or _of_call(name)
    )


def _option(name: str) -> str | None:
    option = OPTIONS.get(name)
    return option and f"it is an option of a call: streaming_options=StreamingOptions({option}=…)"


def _setting(name: str) -> str | None:
    if name in TOLD_OTHERWISE:
        return f"ProviderSettings says how a provider is reached; {TOLD_OTHERWISE[name]}"
    provider, setting = "openai", None if is_name_of_secret(name) else SETTINGS.get(name)
    found = _ADDRESS_OF_PROVIDER.fullmatch(name)
    if found is not None and (row := _row_of(found[1])):
        provider, setting = row.name, "base_url"
    return setting and (
        "how a provider is reached is told to the client: "
        f"SteerLLMClient(providers={{{provider!r}: ProviderSettings({setting}=…)}})"
    )


def _of_client(name: str) -> str | None:
    if name in _OF_CLIENT:
        return f"it belongs to the client: SteerLLMClient({name}=…)"
    return _http_client(name)


def _http_client(name: str) -> str | None:
    if name not in _HTTP_CLIENTS:
        return None
    return (
        "the library makes its own connections; ProviderSettings has proxy=, verify= and headers="
    )


def _of_call(name: str) -> str | None:
    keyword = _KEYWORDS.get(name, name)
    if keyword not in _OF_CALL:
        return None
    return f"it belongs to each call: client.generate(…, {keyword}=…)"


def place_of_key(name: str) -> str | None:
    """Where a key belongs: with its provider, in the client, and nowhere else."""
    if not is_name_of_secret(name):
        return None
    found = _KEY_OF_PROVIDER.fullmatch(name)
    row = _row_of(found[1]) if found else None
    if row is None:
        return (
            "a key belongs to the client and to one provider: "
            "SteerLLMClient(providers={'openai': ProviderSettings(api_key=…)})"
        )
    variables = f", or set {' or '.join(row.key_env)}" if row.key_env else ""
    return (
        "a key belongs to the client: "
        f"SteerLLMClient(providers={{{row.name!r}: ProviderSettings(api_key=…)}}){variables}"
    )


def _row_of(word: str) -> ProviderRow | None:
    """The provider that a keyword begins with, by its own name or another."""
    name = word.replace("_", "-")
    return PROVIDERS.get({"google": "gemini"}.get(name, name))
