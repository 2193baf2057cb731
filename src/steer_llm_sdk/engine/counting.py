"""Asks a provider how many tokens a prompt takes: one request, one answer that is a document."""

from __future__ import annotations

from collections.abc import Callable

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.asking import Asker, json_of
from steer_llm_sdk.engine.plan import Plan, Target
from steer_llm_sdk.errors import ConfigurationError, ProtocolError
from steer_llm_sdk.models.bulk import TokenCount
from steer_llm_sdk.models.usage import count_at
from steer_llm_sdk.transport.base import Transport


async def count_exactly(
    plan: Plan, transport: Transport, clock: Clock, random: Callable[[], float]
) -> TokenCount:
    """Ask the provider of a plan's first model.

    Raises:
        ConfigurationError: It has no endpoint for that.
        SteerError: The request failed, as often as it may be sent again.
    """
    target, options = plan.targets[0], plan.options
    target.endpoint = endpoint = await target.find_endpoint()
    request = target.wire.count_request(target.chat, endpoint)
    if request is None:
        raise ConfigurationError(
            f"{target.provider}: it has no endpoint that counts tokens (anthropic, gemini and "
            "openai-responses have one); without exact=True they are estimated here"
        )
    most = options.max_error_body_bytes
    asker = Asker(target, transport, options, clock, random, max_bytes=most)
    tokens = await asker.ask(request, lambda body: _tokens(body, target))
    return TokenCount(tokens, False, 1.0, "provider")


def _tokens(body: bytes, target: Target) -> int:
    answer = json_of(body)
    found = target.wire.read_count(answer) if isinstance(answer, dict) else None
    tokens = count_at({"tokens": found}, "tokens")
    if tokens is None:
        raise ProtocolError(f"{target.provider}: expected a number of tokens, found {body[:120]!r}")
    return tokens
