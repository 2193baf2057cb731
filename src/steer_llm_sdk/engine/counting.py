"""Asks a provider how many tokens a prompt takes: one request, one answer that is a document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.exchange import read_refusal
from steer_llm_sdk.engine.plan import Plan, Target
from steer_llm_sdk.engine.scrubbing import Secrets
from steer_llm_sdk.engine.timeouts import Deadlines, Supervisor
from steer_llm_sdk.errors import (
    ConfigurationError,
    ConnectionLostError,
    ProtocolError,
    SteerError,
)
from steer_llm_sdk.models.bulk import TokenCount
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.models.usage import count_at
from steer_llm_sdk.retry import RetryPolicy
from steer_llm_sdk.transport.base import Transport, TransportResponse


async def count_exactly(
    plan: Plan, transport: Transport, clock: Clock, random: Callable[[], float]
) -> TokenCount:
    """Ask the provider of a plan's first model.

    Raises:
        ConfigurationError: It has no endpoint for that.
        SteerError: The request failed, as often as it may be sent again.
    """
    target = plan.targets[0]
    endpoint = await target.find_endpoint()
    request = target.wire.count_request(target.chat, endpoint)
    if request is None:
        raise ConfigurationError(
            f"{target.provider}: it has no endpoint that counts tokens (anthropic, gemini and "
            "openai-responses have one); without exact=True they are estimated here"
        )
    exchange = _Exchange(target, target.by_its_way(request), transport, clock, random)
    return TokenCount(await exchange.ask(plan.options), False, 1.0, "provider")


class _Exchange:
    """One question to a provider, sent again while it fails in a way that may pass."""

    def __init__(
        self,
        target: Target,
        request: HTTPRequest,
        transport: Transport,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._target = target
        self._random = random
        self._request = request
        self._transport = transport
        self._clock = clock

    async def ask(self, options: StreamingOptions) -> int:
        """Send the request until it is answered.

        Raises:
            SteerError: It failed, as often as it may be sent again.
        """
        policy = RetryPolicy(
            max_retries=options.max_retries,
            max_retry_wait=options.max_retry_wait,
            budget=options.retry_budget,
        )
        spent, retries = 0.0, 0
        while True:
            try:
                return await self._ask_once(options)
            except SteerError as error:
                wait = policy.wait_before(
                    retries,
                    error,
                    retry_after=getattr(error, "retry_after", None),
                    spent=spent,
                    random=self._random(),
                )
                if wait is None:
                    raise
            await self._clock.sleep(wait)
            spent, retries = spent + wait, retries + 1

    async def _ask_once(self, options: StreamingOptions) -> int:
        secrets = Secrets(self._request)
        deadlines = Deadlines(options)
        deadlines.begin_attempt()
        supervisor = Supervisor(self._clock, deadlines)
        try:
            return await supervisor.run(self._exchange(options))
        except SteerError as error:
            secrets.conceal_in(error)
            raise
        finally:
            supervisor.close()

    async def _exchange(self, options: StreamingOptions) -> int:
        response = await self._transport.open(
            self._request, connect_timeout=options.connect_timeout
        )
        is_read = False
        try:
            tokens = await self._read(response, options)
            is_read = True
        finally:
            if not is_read:
                response.abort(ConnectionLostError("the number of tokens is not waited for"))
            await response.release()
        return tokens

    async def _read(self, response: TransportResponse, options: StreamingOptions) -> int:
        most = options.max_error_body_bytes
        wire, provider = self._target.wire, self._target.provider
        if response.status != 200:
            raise await read_refusal(response, wire, provider, max_bytes=most, clock=self._clock)
        body = await _whole(response, most)
        tokens = count_at({"tokens": wire.read_count(_object(body))}, "tokens")
        if tokens is None:
            raise ProtocolError(f"{provider}: expected a number of tokens, found {body[:120]!r}")
        return tokens


async def _whole(response: TransportResponse, most: int) -> bytes:
    body = bytearray()
    while chunk := await response.read():
        body += chunk
        if len(body) > most:
            raise ProtocolError(f"expected a number of tokens, found more than {most} bytes")
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
