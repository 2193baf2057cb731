"""One question to a provider whose answer is a document, not a stream.

It is sent again while it fails in a way that may pass, under the limits of a stream: one total for
all that is asked, retries and pauses included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.engine.exchange import read_refusal
from steer_llm_sdk.engine.plan import Target
from steer_llm_sdk.engine.retrying import policy_of
from steer_llm_sdk.engine.scrubbing import Secrets
from steer_llm_sdk.engine.timeouts import Deadlines, Supervisor
from steer_llm_sdk.errors import (
    AuthenticationError,
    ConnectionLostError,
    ProtocolError,
    SteerError,
)
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.transport.base import Transport, TransportResponse

_Result = TypeVar("_Result")


class Asker:
    """Asks one provider.

    Args:
        target: Whom to ask; its endpoint has been found.
        transport: Where requests go.
        options: The limits.
        clock: What time it is.
        random: Gives numbers from 0 to 1, for the jitter.
        max_bytes: The most bytes that an answer may take.
    """

    def __init__(
        self,
        target: Target,
        transport: Transport,
        options: StreamingOptions,
        clock: Clock,
        random: Callable[[], float],
        *,
        max_bytes: int,
    ) -> None:
        self._target = target
        self._transport = transport
        self._options = options
        self._clock = clock
        self._random = random
        self._max_bytes = max_bytes
        self._deadlines = Deadlines(options)
        self._supervisor = Supervisor(clock, self._deadlines)
        self._policy = policy_of(options)

    async def ask(self, request: HTTPRequest, read: Callable[[bytes], _Result]) -> _Result:
        """Send a request until it is answered.

        Args:
            request: What to send, without what proves who asks.
            read: Reads the answer.

        Raises:
            SteerError: It failed, as often as it may be sent again; or what `read` raised.
        """
        spent, retries = 0.0, 0
        while True:
            try:
                return await self._ask_once(request, read)
            except SteerError as error:
                wait = self._policy.wait_before(
                    retries,
                    error,
                    retry_after=getattr(error, "retry_after", None),
                    spent=spent,
                    random=self._random(),
                )
                if wait is None or getattr(error, "limit", None) == "total_timeout":
                    raise
            self._deadlines.begin_pause()
            await self._within_limits(self._clock.sleep(wait))
            spent, retries = spent + wait, retries + 1

    async def _ask_once(self, request: HTTPRequest, read: Callable[[bytes], _Result]) -> _Result:
        try:
            return await self._send(request, read)
        except AuthenticationError:
            if not self._target.forget_credentials():
                raise
        return await self._send(request, read)

    async def _send(self, request: HTTPRequest, read: Callable[[bytes], _Result]) -> _Result:
        self._deadlines.begin_attempt()
        request = await self._target.authorize(self._target.by_its_way(request), self._clock)
        secrets = Secrets(request, self._target.known_keys())
        try:
            return read(await self._within_limits(self._exchange(request)))
        except SteerError as error:
            secrets.conceal_in(error)
            raise

    async def _within_limits(self, work: Any) -> Any:
        try:
            return await self._supervisor.run(work)
        finally:
            self._supervisor.close()

    async def _exchange(self, request: HTTPRequest) -> bytes:
        response = await self._transport.open(
            request, connect_timeout=self._options.connect_timeout
        )
        is_read = False
        try:
            body = await self._read(response)
            is_read = True
        finally:
            if not is_read:
                response.abort(ConnectionLostError("the answer is not waited for any more"))
            await response.release()
        return body

    async def _read(self, response: TransportResponse) -> bytes:
        if response.status != 200:
            raise await read_refusal(
                response,
                self._target.wire,
                self._target.provider,
                max_bytes=self._options.max_error_body_bytes,
                clock=self._clock,
            )
        body = bytearray()
        while chunk := await response.read():
            body += chunk
            if len(body) > self._max_bytes:
                raise ProtocolError(
                    f"{self._target.provider}: expected a document, found more than "
                    f"{self._max_bytes} bytes"
                )
        return bytes(body)


def json_of(body: bytes) -> Any:
    """The value of a JSON document; None where it is none."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
