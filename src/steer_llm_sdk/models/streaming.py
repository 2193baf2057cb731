"""The options of one stream: `StreamingOptions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from typing import Any

from steer_llm_sdk.checks import (
    COUNT,
    FLAG,
    NAMES,
    NUMBER,
    PATH,
    POSITIVE,
    SECONDS,
    Kind,
    check_values,
    did_you_mean,
    one_of,
    type_found,
    with_advice,
    yields,
)
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.ports import Processor, Transformer

# 32 MiB: room for an image inside one event (a base64 picture takes 2 to 10 MB), small enough that
# one hostile stream cannot take a process down.
DEFAULT_MAX_FRAME_BYTES = 32 * 1024 * 1024


_KINDS: Mapping[str, Kind] = {
    "raise_callback_errors": FLAG,
    "raise_on_error": FLAG.or_none(),
    "connect_timeout": SECONDS.or_none(),
    "first_event_timeout": SECONDS.or_none(),
    "idle_timeout": SECONDS.or_none(),
    "stall_timeout": SECONDS.or_none(),
    "total_timeout": SECONDS.or_none(),
    "queue_timeout": SECONDS.or_none(),
    "max_retries": COUNT,
    "max_retry_wait": NUMBER,
    "retry_budget": SECONDS.or_none(),
    "fallback_models": NAMES,
    "recovery": one_of(None, "continue"),
    "json_extract": FLAG,
    "validate_schema": FLAG,
    "include_usage": FLAG,
    "exit_grace": NUMBER,
    "slow_callback_warning_ms": NUMBER,
    "notices": FLAG,
    "stall_notice_after": SECONDS.or_none(),
    "live_usage": SECONDS.or_none(),
    "budget_usd": Kind("a number of US dollars above 0", SECONDS.accepts).or_none(),
    "budget_tokens": POSITIVE.or_none(),
    "record": PATH.or_none(),
    "record_raw": FLAG,
    "record_body": FLAG,
    "max_frame_bytes": POSITIVE,
    "max_error_body_bytes": COUNT,
}

# What other libraries call an option of ours.
_OTHER_NAMES: Mapping[str, str] = {
    "fallback": "fallback_models",
    "fallbacks": "fallback_models",
    "budget": "budget_usd",
    "max_attempts": "max_retries",
    "max_cost": "budget_usd",
    "num_retries": "max_retries",
    "processor": "event_processor",
    "read_timeout": "idle_timeout",
    "request_timeout": "total_timeout",
    "retries": "max_retries",
    "retry": "max_retries",
    "timeout": "total_timeout",
    "transformers": "text_transformers",
}

# Arguments that stand beside the options, not among them.
_OF_CALL = frozenset({
    "extra_body", "extra_headers", "max_tokens", "metadata", "on_complete", "on_delta", "on_error",
    "on_start", "on_usage", "parallel_tool_calls", "provider", "request_id", "response_format",
    "seed", "stop", "system", "temperature", "tool_choice", "tools", "top_p",
})  # fmt: skip
_OF_CLIENT = frozenset({"api_key", "base_url", "headers", "proxy", "verify"})


def _place_of(name: str) -> str | None:
    if name in _OTHER_NAMES:
        return did_you_mean(_OTHER_NAMES[name])
    if name in _OF_CALL:
        return f"it is an argument of the call itself, beside streaming_options: {name}=…"
    if name in _OF_CLIENT:
        return (
            "how a provider is reached is told to the client: "
            f"SteerLLMClient(providers={{'openai': ProviderSettings({name}=…)}})"
        )
    return None


@with_advice(_place_of)
@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingOptions:
    """The options of a stream. Times are in seconds; None means no limit.

    Attributes:
        event_processor: An `EventProcessor` between the provider and those who watch this stream.
        text_transformers: A list of transformers that stand before even the response: what they
            redact is nowhere, not in metadata and not in an error either.
        raise_callback_errors: End the stream in a `CallbackError` when a callback raises. By
            default it is logged and counted, and the stream goes on.
        raise_on_error: Whether the call raises when the stream fails. None: it does, unless
            ``on_error`` was passed to ``stream_with_usage``.
        connect_timeout: For the connection, TLS included.
        first_event_timeout: From the request sent to the first event of the provider.
        idle_timeout: Between any two bytes of the body.
        stall_timeout: Bytes come (keep-alive comments), but nothing of the answer does.
        total_timeout: For everything, retries included. The time spent in callbacks never counts.
        queue_timeout: For the stream's turn, where streams or requests are limited on this side.
        max_retries: How often the request is sent again, before the first delta only.
        max_retry_wait: A ``Retry-After`` above this is not waited for: the error is raised.
        retry_budget: All the time that may be spent waiting between attempts.
        fallback_models: Models to try in order when the first fails before its first delta.
        recovery: ``"continue"``: take up an answer that was cut, where the provider can do so.
        json_extract: Look for the JSON inside a code fence or prose.
        validate_schema: Whether JSON that was asked for by a schema is checked against it.
        include_usage: Ask for usage where it must be asked for.
        exit_grace: After a cancellation, how long the call waits for the last events to be
            delivered.
        slow_callback_warning_ms: A plain callback that blocks the loop for longer is named in a
            warning, once a stream. 0 turns that off.
        notices: Tell of retries, stalls and the like in deltas of the kind ``"notice"``, which are
            in no count.
        stall_notice_after: How long nothing of the answer comes before a notice tells so.
        live_usage: How often a notice tells what the stream has taken so far, as estimated.
        budget_usd: End the stream in a `BudgetExceededError` when it is estimated to cost more.
        budget_tokens: … or when prompt and answer are estimated to be more tokens.
        record: Where what goes over the wire is recorded, without keys (`steer_llm_sdk.recording`):
            a file, or a folder in which each stream gets one.
        record_raw: Record although there are `text_transformers`: what they redact is in it.
        record_body: Whether what is sent, and with it the prompt, is part of the recording.
        max_frame_bytes: The most bytes that one frame of the stream may take.
        max_error_body_bytes: The most bytes that are read of an error's body.
    """

    event_processor: Processor | None = None
    text_transformers: Sequence[Transformer] = ()
    raise_callback_errors: bool = False
    raise_on_error: bool | None = None
    connect_timeout: float | None = 10.0
    first_event_timeout: float | None = 300.0
    idle_timeout: float | None = 300.0
    stall_timeout: float | None = 600.0
    total_timeout: float | None = None
    queue_timeout: float | None = 60.0
    max_retries: int = 2
    max_retry_wait: float = 60.0
    retry_budget: float | None = 120.0
    fallback_models: Sequence[str] = ()
    recovery: str | None = None
    json_extract: bool = False
    validate_schema: bool = True
    include_usage: bool = True
    exit_grace: float = 2.0
    slow_callback_warning_ms: float = 50.0
    notices: bool = False
    stall_notice_after: float | None = 10.0
    live_usage: float | None = None
    budget_usd: float | None = None
    budget_tokens: int | None = None
    record: str | PathLike[str] | None = None
    record_raw: bool = False
    record_body: bool = True
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
    max_error_body_bytes: int = 256 * 1024

    def __post_init__(self) -> None:
        check_values(_KINDS, self)
        if self.record is not None and self.text_transformers and not self.record_raw:
            raise ConfigurationError(
                "record: a recording has what comes over the wire, before text_transformers have "
                "redacted it; record_raw=True says that this is meant"
            )
        if self.live_usage is not None and not self.notices:
            raise ConfigurationError("live_usage: it is told in notices: add notices=True")
        _check_processor(self.event_processor)
        _check_text_transformers(self.text_transformers)
        # A list that is changed afterwards is not checked again.
        object.__setattr__(self, "text_transformers", tuple(self.text_transformers))

    def replace(self, **changes: Any) -> StreamingOptions:
        """A copy with some options changed."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return StreamingOptions(**values | changes)


# What an option is called here and elsewhere.
OPTIONS: Mapping[str, str] = {
    **_OTHER_NAMES,
    **{field.name: field.name for field in fields(StreamingOptions)},
}


def _check_processor(given: object) -> None:
    if given is not None and (isinstance(given, type) or not isinstance(given, Processor)):
        raise ConfigurationError(
            f"event_processor: expected an EventProcessor, found {type_found(given)}"
        )


def _check_text_transformers(given: object) -> None:
    """Refuse what is no list of transformers: it would let the words pass as they are."""
    if not isinstance(given, list | tuple):
        raise ConfigurationError(
            f"text_transformers: expected a list of transformers, found {type_found(given)}"
        )
    for one in given:
        refuse_no_transformer("text_transformers", one)


def refuse_no_transformer(what: str, given: object) -> None:
    """Refuse what cannot transform events.

    Args:
        what: The name of the argument, for the message.
        given: What is to be a transformer.

    Raises:
        ConfigurationError: It is a class, or has no `transform` and `for_stream` to call; or its
            `transform` is a generator function, which would change nothing.
    """
    if isinstance(given, type) or not isinstance(given, Transformer):
        raise ConfigurationError(f"{what}: expected an EventTransformer, found {type_found(given)}")
    transform: object = given.transform
    for_stream: object = given.for_stream
    if not (callable(transform) and callable(for_stream)):
        raise ConfigurationError(
            f"{what}: expected methods transform and for_stream, found {type_found(given)}"
        )
    if yields(transform):
        raise ConfigurationError(
            f"{what}: expected a transform that returns events, found one that yields them: "
            f"{transform!r}"
        )
