"""The names of OpenTelemetry's conventions for generative AI, in both of their generations.

The older ones are those of version 1.41 of the semantic conventions, which is what others emit; the
newer ones are those of the repository that the conventions have moved to. The documented switch
between them is ``OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental``.

* https://github.com/open-telemetry/semantic-conventions/blob/v1.41.0/docs/gen-ai/gen-ai-spans.md
* https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md

All names stand here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
NEWER = "gen_ai_latest_experimental"

# Of the older names and the newer ones.
SCHEMAS = (
    "https://opentelemetry.io/schemas/1.41.0",
    "https://opentelemetry.io/schemas/gen-ai/1.42.0",
)

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
# What turns words on: the first is of the older generation, the others put them on spans.
_CAPTURES = frozenset({"true", "span_only", "span_and_event"})

# Of a span or a metric: by the library's own key, the older name and the newer one.
ATTRIBUTES: Mapping[str, tuple[str, str]] = {
    key: (name, name)
    for key, name in {
        "operation": "gen_ai.operation.name",
        "provider": "gen_ai.provider.name",
        "request_model": "gen_ai.request.model",
        "response_model": "gen_ai.response.model",
        "server_address": "server.address",
        "server_port": "server.port",
        "error_type": "error.type",
        "conversation": "gen_ai.conversation.id",
        "output_type": "gen_ai.output.type",
        "stream": "gen_ai.request.stream",
        "max_tokens": "gen_ai.request.max_tokens",
        "temperature": "gen_ai.request.temperature",
        "top_p": "gen_ai.request.top_p",
        "seed": "gen_ai.request.seed",
        "stop": "gen_ai.request.stop_sequences",
        "finish_reasons": "gen_ai.response.finish_reasons",
        "response_id": "gen_ai.response.id",
        "time_to_first_chunk": "gen_ai.response.time_to_first_chunk",
        "prompt_tokens": "gen_ai.usage.input_tokens",
        "completion_tokens": "gen_ai.usage.output_tokens",
        "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
        "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
        "input_messages": "gen_ai.input.messages",
        "output_messages": "gen_ai.output.messages",
        "system_instructions": "gen_ai.system_instructions",
        "tool_definitions": "gen_ai.tool.definitions",
        "agent_name": "gen_ai.agent.name",
        "tool_name": "gen_ai.tool.name",
        "tool_call_id": "gen_ai.tool.call.id",
        "tool_type": "gen_ai.tool.type",
        "tool_description": "gen_ai.tool.description",
        "tool_arguments": "gen_ai.tool.call.arguments",
        "tool_result": "gen_ai.tool.call.result",
        "token_type": "gen_ai.token.type",
        "modality": "gen_ai.token.modality",
    }.items()
} | {
    "cache_write_tokens": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
    ),
}

# What is the library's own, beside the conventions.
ATTEMPTS = "steer_llm_sdk.attempts"
COST = "steer_llm_sdk.cost_usd"
RETRY_EVENT = "steer_llm_sdk.retry"

# The key of the one metric that is recorded for each chunk.
CHUNK_TIMES = "time_per_output_chunk"

SECONDS = tuple(0.01 * 2**power for power in range(14))
TOKENS = tuple(float(4**power) for power in range(14))


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the conventions; `buckets` are those that they advise, for a histogram."""

    older: str | None
    newer: str | None
    unit: Literal["s", "{token}"]
    description: str
    buckets: tuple[float, ...] | None = None


def _usage(name: str, what: str) -> Metric:
    return Metric(None, f"gen_ai.client.inference.usage.{name}", "{token}", f"Number of {what}.")


METRICS: Mapping[str, Metric] = {
    "duration": Metric(
        "gen_ai.client.operation.duration",
        "gen_ai.client.inference.duration",
        "s",
        "GenAI operation duration.",
        SECONDS,
    ),
    "time_to_first_chunk": Metric(
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.inference.time_to_first_chunk",
        "s",
        "Time until the first chunk of a streamed answer.",
        SECONDS,
    ),
    CHUNK_TIMES: Metric(
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
        "s",
        "Time between neighbouring chunks of a streamed answer.",
        SECONDS,
    ),
    "token_usage": Metric(
        "gen_ai.client.token.usage",
        None,
        "{token}",
        "Number of input and output tokens used.",
        TOKENS,
    ),
    "prompt_tokens": _usage("input_tokens", "input tokens"),
    "completion_tokens": _usage("output_tokens", "output tokens"),
    "cached_tokens": _usage("cache_read.input_tokens", "input tokens read from a cache"),
    "cache_write_tokens": _usage("cache_write.input_tokens", "input tokens written to a cache"),
    "reasoning_tokens": _usage("reasoning.output_tokens", "output tokens for reasoning"),
    "prompt_tokens_of_operation": Metric(
        None,
        "gen_ai.client.inference.operation.input_tokens",
        "{token}",
        "Number of input tokens of an operation.",
        TOKENS,
    ),
    "completion_tokens_of_operation": Metric(
        None,
        "gen_ai.client.inference.operation.output_tokens",
        "{token}",
        "Number of output tokens of an operation.",
        TOKENS,
    ),
    "run_duration": Metric(
        None, "gen_ai.invoke_agent.duration", "s", "Duration of a run of several turns.", SECONDS
    ),
    "tool_duration": Metric(
        None, "gen_ai.execute_tool.duration", "s", "Duration of a tool's execution.", SECONDS
    ),
}

# Our names of providers, where the conventions have others.
_PROVIDERS: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "gemini-interactions": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "openai-responses": "openai",
    "vertex": "gcp.vertex_ai",
    "vertex-anthropic": "gcp.vertex_ai",
    "xai": "x_ai",
}

_OPERATIONS: Mapping[str, str] = {
    "gemini": "generate_content",
    "gemini-interactions": "generate_content",
    "vertex": "generate_content",
}


def provider_name(provider: str) -> str:
    """The name that the conventions have for a provider; its own, where they have none."""
    return _PROVIDERS.get(provider, provider)


def operation_name(provider: str) -> str:
    """The operation by which a provider answers a conversation."""
    return _OPERATIONS.get(provider, "chat")


def wants_newer(environment: Mapping[str, str]) -> bool:
    """Whether the newer names are asked for."""
    asked = environment.get(OPT_IN, "").split(",")
    return NEWER in (each.strip() for each in asked)


def wants_words(environment: Mapping[str, str]) -> bool:
    """Whether the words of prompts and answers are asked for."""
    return environment.get(CAPTURE, "").strip().lower() in _CAPTURES


class Names:
    """The names of one generation.

    Args:
        is_newer: Whether it is the newer one.

    Attributes:
        named: The names of attributes, by the library's own keys.
    """

    def __init__(self, *, is_newer: bool) -> None:
        self.is_newer = is_newer
        self.named = {key: pair[is_newer] for key, pair in ATTRIBUTES.items()}

    def attributes(self, values: Mapping[str, object]) -> dict[str, object]:
        """The values under their names; what is not known (None) is left out."""
        named = self.named
        return {named[key]: value for key, value in values.items() if value is not None}

    def identity(
        self, provider: str, model: str, host: str | None, port: int | None
    ) -> dict[str, object]:
        """What every metric and every span of a stream has."""
        return self.attributes({
            "operation": operation_name(provider),
            "provider": provider_name(provider),
            "request_model": model,
            "server_address": host,
            "server_port": port,
        })  # fmt: skip

    def metric(self, key: str) -> str | None:
        """The name of a metric; None where this generation has none."""
        metric = METRICS[key]
        return metric.newer if self.is_newer else metric.older
